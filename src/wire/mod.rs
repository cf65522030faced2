//! Bytes to messages and back, as pure code: the Storage Daemon's protocol of Bacula 9.6 to 15.
//!
//! [`packet`] makes messages of bytes; each other module reads and writes one kind of message. Commands, names and
//! texts are bytes until a type says otherwise: a peer may send anything, and nothing here can panic over it.

pub mod base64;
pub mod bootstrap;
pub mod capabilities;
pub mod catalog;
pub mod challenge;
pub mod command;
pub mod hello;
pub mod job;
pub mod line;
pub mod lz4;
pub mod packet;
pub mod progress;
pub mod read_session;
pub mod refusal;
pub mod reserve;
pub mod starttls;
pub mod status;
pub mod verb;
