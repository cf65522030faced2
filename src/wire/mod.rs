//! Bytes to messages and back, as pure code: the Storage Daemon's protocol of Bacula 9.6 to 15.

pub mod base64;
pub mod bootstrap;
pub mod catalog;
pub mod challenge;
pub mod hello;
pub mod job;
pub mod line;
pub mod lz4;
pub mod packet;
pub mod refusal;
pub mod release;
