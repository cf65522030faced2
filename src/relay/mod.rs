//! Bulk bytes between two sockets, without a word of Bacula.
//!
//! [`duplex::duplex`] moves the bytes of two connections in both directions until both have ended, one is broken,
//! or it is told to stop. On their way the bytes stay in the kernel: socket to pipe to socket (`splice`), and only
//! where no pipe can be had, through a buffer (`copy`). Nothing is allocated per chunk, and a connection on which
//! nothing moves holds neither pipe nor buffer.

mod copy;
pub mod duplex;
mod flow;
mod gather;
mod pass;
pub mod pipe_pool;
mod splice;
pub mod streams;
#[cfg(test)]
mod streams_tests;
pub mod tally;
#[cfg(test)]
mod tests;

pub use duplex::{End, FirstBytes, Outcome, Side, duplex};
pub use pipe_pool::{PipePool, PoolFigures, PoolOptions};
pub use streams::duplex_streams;
pub use tally::Tally;
