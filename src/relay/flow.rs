//! One direction from its first byte to its end.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::net::{Shutdown, shutdown};
use tokio::net::TcpStream;
use tokio::task::yield_now;

use super::gather::Gather;
use super::pass::{Fault, Pass};
use super::pipe_pool::PipePool;
use super::tally::Count;
use super::{copy, splice};

/// The bytes that go from one socket to the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow<'a> {
    pub(super) from: &'a TcpStream,
    pub(super) to: &'a TcpStream,
    pub(super) pipes: &'a PipePool,
    pub(super) sent: &'a AtomicU64,
}

impl Flow<'_> {
    /// Sends `first`, then everything that comes until the source ends, then the end.
    pub(super) async fn run(self, first: &[u8]) -> Result<(), Fault> {
        let count = |bytes: usize| {
            self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        };
        copy::send_all(first, self.to, count).await?;
        let mut gather = Gather::new(self.from, self.pipes.gathered());
        let mut may_splice = true;
        loop {
            gather.readable().await.map_err(Fault::Read)?;
            let before = self.sent.load(Ordering::Relaxed);
            let pass = self.pass(may_splice).await?;
            let moved = self.sent.load(Ordering::Relaxed).wrapping_sub(before);
            gather.read(usize::try_from(moved).unwrap_or(usize::MAX));
            match pass {
                Pass::Dry => {}
                Pass::Spent => yield_now().await,
                Pass::Unsupported => may_splice = false,
                Pass::Ended => break,
            }
        }
        shutdown(self.to, Shutdown::Write).map_err(|errno| Fault::Write(errno.into()))
    }

    /// Borrows a pipe, or else a buffer, for as long as there is something to move. Returning it as soon as the
    /// source is dry lets a few pipes serve many connections, most of which wait at any moment; and one that had to
    /// copy splices again as soon as there are pipes.
    async fn pass(self, may_splice: bool) -> Result<Pass, Fault> {
        let pipe = if may_splice { self.pipes.pipe() } else { None };
        if let Some(mut pipe) = pipe {
            let count = Count {
                relay: self.sent,
                way: self.pipes.spliced(),
            };
            let pass = splice::pass(self.from, self.to, &mut pipe, count).await?;
            self.pipes.keep_pipe(pipe);
            return Ok(pass);
        }
        let count = Count {
            relay: self.sent,
            way: self.pipes.copied(),
        };
        let mut buffer = self.pipes.buffer();
        let pass = copy::pass(self.from, self.to, &mut buffer, count).await?;
        self.pipes.keep_buffer(buffer);
        Ok(pass)
    }
}
