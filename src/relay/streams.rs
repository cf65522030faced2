//! Both directions between two connections of which at least one is in TLS: the bytes have to be read and written.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::duplex::{End, FirstBytes, Outcome, Side, both, duplex};
use super::gather::Gather;
use super::pass::{Fault, Pass, TLS_WORK_BUDGET};
use super::pipe_pool::PipePool;
use super::tally::{Count, Tally};
use crate::net::options::reset_on_close;
use crate::net::stream::Stream;

/// [`duplex`] for connections that may be in TLS; where neither is, it is that, with all that it promises.
///
/// Otherwise each direction borrows buffers of the pool for as long as there is something to move. A TLS connection
/// that ends without TLS's farewell counts as broken off.
pub async fn duplex_streams(
    near: Stream,
    far: Stream,
    first: FirstBytes,
    pipes: &PipePool,
    tally: &Tally,
    stop: &CancellationToken,
) -> Outcome {
    let (near, far) = match (near.into_tcp(), far.into_tcp()) {
        (Ok(near), Ok(far)) => return duplex(near, far, first, pipes, tally, stop).await,
        (near, far) => (
            near.map_or_else(|near| near, Stream::from),
            far.map_or_else(|far| far, Stream::from),
        ),
    };
    for (side, stream) in [(Side::Near, &near), (Side::Far, &far)] {
        if let Err(error) = reset_on_close(stream.tcp()) {
            return Outcome {
                end: End::Failed { side, error },
            };
        }
    }
    let (near, far) = (Leg::from(near), Leg::from(far));
    let end = tokio::select! {
        biased;
        () = stop.cancelled() => End::Stopped,
        end = relay(&near, &far, first, pipes, tally) => end,
    };
    Outcome { end }
}

async fn relay(near: &Leg, far: &Leg, first: FirstBytes, pipes: &PipePool, tally: &Tally) -> End {
    let direction = |from, to, relay| Direction {
        from,
        to,
        pipes,
        count: Count {
            relay,
            way: pipes.copied(),
        },
    };
    let to_far = direction(near, far, tally.far()).run(&first.to_far);
    let to_near = direction(far, near, tally.near()).run(&first.to_near);
    both(&near.socket, &far.socket, to_far, to_near).await
}

/// One connection, which one direction reads and the other writes: never at the same time, since both are in one task.
struct Leg {
    stream: Mutex<Stream>,
    socket: Arc<TcpStream>,
}

impl From<Stream> for Leg {
    fn from(stream: Stream) -> Self {
        Self {
            socket: stream.socket(),
            stream: Mutex::new(stream),
        }
    }
}

impl Leg {
    fn with<T>(&self, act: impl FnOnce(Pin<&mut Stream>) -> T) -> T {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        act(Pin::new(&mut *stream))
    }

    /// Reads what is there; `None` when there is nothing.
    fn read_now(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        match self.with(|stream| stream.poll_read(cx, &mut buffer)) {
            Poll::Ready(done) => Some(done.map(|()| buffer.filled().len())),
            Poll::Pending => None,
        }
    }

    /// Writes `bytes`, telling `told` of each part.
    async fn write_all(&self, mut bytes: &[u8], told: impl Fn(usize)) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let written = poll_fn(|cx| self.with(|stream| stream.poll_write(cx, bytes))).await;
            match written.map_err(Fault::Write)? {
                0 => return Err(Fault::Write(io::ErrorKind::WriteZero.into())),
                written => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    told(written);
                }
            }
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), Fault> {
        let flushed = poll_fn(|cx| self.with(|stream| stream.poll_flush(cx))).await;
        flushed.map_err(Fault::Write)
    }

    async fn shut_down(&self) -> Result<(), Fault> {
        let shut = poll_fn(|cx| self.with(|stream| stream.poll_shutdown(cx))).await;
        shut.map_err(Fault::Write)
    }
}

/// As many bytes in one pass, a record's, are likely to be followed by more, for which system calls are worth saving.
const MUCH: usize = 16 << 10;

/// The bytes that go from one connection to the other.
#[derive(Clone, Copy)]
struct Direction<'a> {
    from: &'a Leg,
    to: &'a Leg,
    pipes: &'a PipePool,
    count: Count<'a>,
}

impl Direction<'_> {
    /// Sends `first`, then everything that comes until the source ends, then the end.
    async fn run(self, first: &[u8]) -> Result<(), Fault> {
        self.to.write_all(first, |written| self.count.first(written)).await?;
        let mut gather = Gather::new(&self.from.socket, self.pipes.gathered());
        loop {
            // The runtime lets a task that has had its turn find every socket silent until it has yielded.
            consume_budget().await;
            // Before any wait: TLS may have read something that the socket does not know of any more.
            let (pass, moved) = self.pass().await?;
            gather.read(moved);
            match pass {
                Pass::Dry | Pass::Unsupported => gather.readable().await.map_err(Fault::Read)?,
                Pass::Spent => yield_now().await,
                Pass::Ended => break,
            }
        }
        self.to.shut_down().await
    }

    /// Borrows buffers for as long as there is something to move, and tells how much that was.
    async fn pass(self) -> Result<(Pass, usize), Fault> {
        let mut buffer = self.pipes.buffer();
        let mut moved = 0;
        let pass = loop {
            let read = poll_fn(|cx| Poll::Ready(self.from.read_now(cx, &mut buffer))).await;
            match read {
                None => break Pass::Dry,
                Some(Err(error)) => return Err(Fault::Read(error)),
                Some(Ok(0)) => break Pass::Ended,
                Some(Ok(read)) => {
                    if moved < MUCH && moved + read >= MUCH {
                        self.lend();
                    }
                    let chunk = buffer.get(..read).unwrap_or_default();
                    self.to.write_all(chunk, |written| self.count.add(written)).await?;
                    moved += read;
                }
            }
            if moved >= TLS_WORK_BUDGET {
                break Pass::Spent;
            }
        };
        self.to.flush().await?;
        let lent = [
            self.from.with(|mut stream| stream.take_incoming()),
            self.to.with(|mut stream| stream.take_outgoing()),
        ];
        for buffer in lent.into_iter().flatten().chain([buffer]) {
            self.pipes.keep_buffer(buffer);
        }
        Ok((pass, moved))
    }

    /// Lends both legs room for many records.
    fn lend(self) {
        let back = [
            self.from.with(|mut stream| stream.lend_incoming(self.pipes.buffer())),
            self.to.with(|mut stream| stream.lend_outgoing(self.pipes.buffer())),
        ];
        for buffer in back.into_iter().flatten() {
            self.pipes.keep_buffer(buffer);
        }
    }
}
