//! What one turn at moving bytes came to.

use std::io;

/// Bytes after which a direction lets others have a turn, so that a busy connection starves no one: about a
/// millisecond's work.
pub(super) const WORK_BUDGET: usize = 4 << 20;

/// The same where the bytes have to be decrypted or encrypted.
pub(super) const TLS_WORK_BUDGET: usize = 1 << 20;

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Everything that was there has been moved.
    Dry,
    /// The source has ended in order, and everything has been moved.
    Ended,
    /// The work budget is used up.
    Spent,
    /// This way of moving bytes is not to be had on this machine; nothing was moved.
    Unsupported,
}

/// Which end of a direction failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The source.
    Read(io::Error),
    /// The destination.
    Write(io::Error),
}
