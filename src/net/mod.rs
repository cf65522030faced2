//! Sockets, without a word of Bacula: listening, dialling, options, deadlines, TLS.

pub mod deadline;
pub mod dial;
pub mod listen;
pub mod local;
pub mod low_water;
pub mod options;
pub mod pass;
pub mod stream;
mod tcp;
pub mod tls;
