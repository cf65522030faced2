//! Sockets, without a word of Bacula: listening, dialling, options, deadlines.

pub mod deadline;
pub mod dial;
pub mod listen;
pub mod options;
