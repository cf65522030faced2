//! One direction without touching the bytes: socket to pipe to socket.
//!
//! What the kernel does (splice(2)), and what follows from it here:
//!
//! - `EAGAIN` from socket to pipe means "the socket has nothing" or "the pipe is full", and does not say which. So a
//!   pipe is filled only when it is empty and emptied before it is filled again: then it always means the former,
//!   and from pipe to socket it always means "the socket is full".
//! - Zero bytes from the socket are its orderly end. The pipe is empty by then, so the end is passed on after the
//!   last byte, never before; bytes in flight keep a connection alive whose sender has ended.
//! - The length is a limit, not a wish: what is there is moved at once. It may exceed the size of the pipe, which
//!   counts slots and not bytes.
//! - `SPLICE_F_MORE` is not set: it would hold the last part of a packet back for up to 200 ms.

use std::io;

use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{SpliceFlags, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::pass::{Fault, Pass, WORK_BUDGET};
use super::pipe_pool::Pipe;
use super::tally::Count;

/// The most that is asked of one call, in bytes.
const CHUNK: usize = 1 << 20;

/// Moves what `from` has to `to` through `pipe`, which is empty before, and after unless this fails or is dropped.
pub(super) async fn pass(from: &TcpStream, to: &TcpStream, pipe: &mut Pipe, count: Count<'_>) -> Result<Pass, Fault> {
    let mut budget = WORK_BUDGET;
    loop {
        match from.try_io(Interest::READABLE, || fill(from, pipe)) {
            Ok(0) => return Ok(Pass::Ended),
            Ok(moved) => {
                pipe.holds = moved;
                empty(pipe, to, count).await?;
                budget = budget.saturating_sub(moved);
                if budget == 0 {
                    return Ok(Pass::Spent);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Pass::Dry),
            Err(error) if forbids_splicing(&error) => return Ok(Pass::Unsupported),
            Err(error) => return Err(Fault::Read(error)),
        }
    }
}

fn fill(from: &TcpStream, pipe: &Pipe) -> io::Result<usize> {
    let moved = retry_on_intr(|| splice(from, None, &pipe.writer, None, CHUNK, SpliceFlags::NONBLOCK))?;
    Ok(moved)
}

/// Moves all that `pipe` holds to `to`, waiting for as long as the peer takes to accept it.
async fn empty(pipe: &mut Pipe, to: &TcpStream, count: Count<'_>) -> Result<(), Fault> {
    while pipe.holds > 0 {
        let drain = || {
            let moved = retry_on_intr(|| splice(&pipe.reader, None, to, None, pipe.holds, SpliceFlags::NONBLOCK))?;
            Ok(moved)
        };
        match to.try_io(Interest::WRITABLE, drain) {
            Ok(0) => return Err(Fault::Write(io::ErrorKind::WriteZero.into())),
            Ok(moved) => {
                pipe.holds = pipe.holds.saturating_sub(moved);
                count.add(moved);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.writable().await.map_err(Fault::Write)?,
            Err(error) => return Err(Fault::Write(error)),
        }
    }
    Ok(())
}

/// Whether the machine does not let this connection be spliced (a filter of system calls, a kernel without it).
/// Asked only of the first half, which has taken nothing from the socket when it fails.
fn forbids_splicing(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_call_is_no_broken_connection() {
        assert!(forbids_splicing(&Errno::NOSYS.into()));
        assert!(forbids_splicing(&Errno::PERM.into()));
        assert!(!forbids_splicing(&Errno::CONNRESET.into()));
        assert!(!forbids_splicing(&Errno::TIMEDOUT.into()));
    }
}
