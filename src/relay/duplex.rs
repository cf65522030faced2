//! Both directions between two connections, and how they end.

use std::io;
use std::pin::pin;

use bytes::Bytes;
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::flow::Flow;
use super::pass::Fault;
use super::pipe_pool::PipePool;
use super::tally::Tally;
use crate::net::options::{end_on_close, reset_on_close};

/// One of the two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that was accepted.
    Near,
    /// The one that was dialled.
    Far,
}

impl Side {
    /// The opposite one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }

    /// A word for logs and metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }
}

/// What has been read already, or is to be said, before the relay begins. It is sent before anything else.
#[derive(Debug, Clone, Default)]
pub struct FirstBytes {
    /// For the far side: what the near side has sent so far.
    pub to_far: Bytes,
    /// For the near side: what the far side has sent so far.
    pub to_near: Bytes,
}

/// How a relay ended.
#[derive(Debug)]
pub enum End {
    /// Both sides ended in order, and each was sent everything that the other had said. (The kernel may still be
    /// delivering the last of it.)
    Closed,
    /// One side broke the connection off.
    Reset {
        /// The side that did.
        side: Side,
        /// Whether it had ended its own bytes in order before: it has said all it had to say, and closed without
        /// reading the rest. Many protocols part like that, and all that it said is passed on.
        after_end: bool,
    },
    /// One side's connection failed in another way: its machine no longer answers, the network is gone.
    Failed {
        /// The side whose connection it was.
        side: Side,
        /// What the kernel said.
        error: io::Error,
    },
    /// The relay was told to stop.
    Stopped,
}

impl End {
    /// A word for logs and metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reset { side: Side::Near, .. } => "reset_near",
            Self::Reset { side: Side::Far, .. } => "reset_far",
            Self::Failed { side: Side::Near, .. } => "failed_near",
            Self::Failed { side: Side::Far, .. } => "failed_far",
            Self::Stopped => "stopped",
        }
    }
}

/// What came of a relay. How many bytes passed is in its [`Tally`].
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
}

/// Moves bytes between `near` and `far` until both have ended, one is broken, or `stop` is cancelled; then both
/// connections are closed.
///
/// - **Half-close.** When one side ends, the other is told so after the last byte, and may go on sending for as
///   long as it likes. There is no idle timeout: a peer that is gone is noticed by keepalive.
/// - **Broken ends stay broken.** If one side breaks off, and if the relay is stopped, both connections are reset,
///   so that no peer can take a broken transfer for a whole one; what was still on its way is lost, as it is when a
///   peer crashes. This also holds if this future is dropped or the process is killed. The exception is a side that
///   breaks off after it had ended in order: the other is still sent all that it had said, and is reset by the
///   kernel only if it goes on sending.
/// - **A slow reader slows its sender**: at most one pipe or buffer per direction is filled, then the sender waits.
///   A break of the sender's connection is noticed once what it sent before has been accepted.
/// - **Fairness**: a busy relay gives up its thread after a few MiB.
/// - **Fast streams are let gather** for up to two milliseconds; what comes singly is passed on at once.
///
/// Both directions run in the task that awaits this; nothing is spawned and nothing is allocated per chunk.
pub async fn duplex(
    near: TcpStream,
    far: TcpStream,
    first: FirstBytes,
    pipes: &PipePool,
    tally: &Tally,
    stop: &CancellationToken,
) -> Outcome {
    for (side, stream) in [(Side::Near, &near), (Side::Far, &far)] {
        if let Err(error) = reset_on_close(stream) {
            return Outcome {
                end: End::Failed { side, error },
            };
        }
    }
    let end = tokio::select! {
        biased;
        () = stop.cancelled() => End::Stopped,
        end = relay(&near, &far, first, pipes, tally) => end,
    };
    Outcome { end }
}

async fn relay(near: &TcpStream, far: &TcpStream, first: FirstBytes, pipes: &PipePool, tally: &Tally) -> End {
    let sent = tally.far();
    let to_far = Flow {
        from: near,
        to: far,
        pipes,
        sent,
    };
    let sent = tally.near();
    let to_near = Flow {
        from: far,
        to: near,
        pipes,
        sent,
    };
    both(near, far, to_far.run(&first.to_far), to_near.run(&first.to_near)).await
}

/// Awaits the directions `to_far` and `to_near` between two connections that are reset on closing, and has them end in
/// order if the directions did.
pub(super) async fn both(
    near: &TcpStream,
    far: &TcpStream,
    to_far: impl Future<Output = Result<(), Fault>>,
    to_near: impl Future<Output = Result<(), Fault>>,
) -> End {
    let (mut to_far, mut to_near) = (pin!(to_far), pin!(to_near));
    let (ended, rest) = tokio::select! {
        biased;
        done = &mut to_far => match done {
            Err(fault) => return broken(fault, Side::Near, None),
            Ok(()) => (Side::Near, outlive(to_near, near).await),
        },
        done = &mut to_near => match done {
            Err(fault) => return broken(fault, Side::Far, None),
            Ok(()) => (Side::Far, outlive(to_far, far).await),
        },
    };
    let end = rest.map_or_else(|fault| broken(fault, ended.other(), Some(ended)), |()| End::Closed);
    if let End::Closed | End::Reset { after_end: true, .. } = end {
        // Neither can fail on a socket that took the opposite before; and if it did, there would be a reset too many.
        let _ = end_on_close(near);
        let _ = end_on_close(far);
    }
    end
}

/// Awaits the direction that is left after `ended` has said its last. Nobody reads from `ended` any more, and if the
/// other side is silent nobody writes to it either, so its breaking off must be looked for.
async fn outlive(rest: impl Future<Output = Result<(), Fault>>, ended: &TcpStream) -> Result<(), Fault> {
    tokio::select! {
        biased;
        done = rest => done,
        error = breaking(ended) => Err(Fault::Write(error)),
    }
}

async fn breaking(stream: &TcpStream) -> io::Error {
    if let Err(error) = stream.ready(Interest::ERROR).await {
        return error;
    }
    match stream.take_error() {
        Ok(Some(error)) | Err(error) => error,
        // A write has met the error first, and tells of it.
        Ok(None) => std::future::pending().await,
    }
}

/// What a fault in the direction from `source` means, when `ended` had ended before.
fn broken(fault: Fault, source: Side, ended: Option<Side>) -> End {
    let (side, error) = match fault {
        Fault::Read(error) => (source, error),
        Fault::Write(error) => (source.other(), error),
    };
    if error.kind() == io::ErrorKind::UnexpectedEof {
        // TLS without its farewell.
        let after_end = ended == Some(side);
        return End::Reset { side, after_end };
    }
    match Errno::from_io_error(&error) {
        // The kernel says EPIPE instead of ECONNRESET when the peer had ended before, and ENOTCONN when it has told
        // of the reset already.
        Some(Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN | Errno::CONNABORTED) => End::Reset {
            side,
            after_end: ended == Some(side),
        },
        _ => End::Failed { side, error },
    }
}
