//! Packets over a socket, and the loop that runs a handshake machine over them.

mod drive;
mod packets;
mod stock;

pub use drive::{Certificates, LoginError, drive};
pub use packets::{Channel, ChannelError};
