//! Both directions between two connections of which at least one is in TLS: the bytes have to be read and written.

use std::pin::pin;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::task::coop::consume_budget;
use tokio_util::sync::CancellationToken;

use super::duplex::{End, FirstBytes, Outcome, Side, broken, duplex};
use super::pass::Fault;
use super::pipe_pool::PipePool;
use super::tally::{Count, Tally};
use crate::net::options::{end_on_close, reset_on_close};
use crate::net::stream::Stream;

/// [`duplex`] for connections that may be in TLS; where neither is, it is that, with all that it promises.
///
/// Otherwise each direction has one buffer of the pool for as long as it lasts. A TLS connection that ends without
/// TLS's farewell counts as broken off.
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
    let end = tokio::select! {
        biased;
        () = stop.cancelled() => End::Stopped,
        end = relay(near, far, first, pipes, tally) => end,
    };
    Outcome { end }
}

async fn relay(near: Stream, far: Stream, first: FirstBytes, pipes: &PipePool, tally: &Tally) -> End {
    let (mut from_near, mut to_near) = tokio::io::split(near);
    let (mut from_far, mut to_far) = tokio::io::split(far);
    let way = pipes.copied();
    let end = {
        let relay = tally.far();
        let mut outward = pin!(pass_all(
            &mut from_near,
            &mut to_far,
            &first.to_far,
            pipes,
            Count { relay, way }
        ));
        let relay = tally.near();
        let mut inward = pin!(pass_all(
            &mut from_far,
            &mut to_near,
            &first.to_near,
            pipes,
            Count { relay, way }
        ));
        let (ended, rest) = tokio::select! {
            biased;
            done = &mut outward => match done {
                Err(fault) => return broken(fault, Side::Near, None),
                Ok(()) => (Side::Near, inward.await),
            },
            done = &mut inward => match done {
                Err(fault) => return broken(fault, Side::Far, None),
                Ok(()) => (Side::Far, outward.await),
            },
        };
        rest.map_or_else(|fault| broken(fault, ended.other(), Some(ended)), |()| End::Closed)
    };
    if matches!(end, End::Closed | End::Reset { after_end: true, .. }) {
        // Neither can fail on a socket that took the opposite before; and if it did, there would be a reset too many.
        let _ = end_on_close(from_near.unsplit(to_near).tcp());
        let _ = end_on_close(from_far.unsplit(to_far).tcp());
    }
    end
}

/// Sends `first`, then everything that comes until the source ends, then the end.
async fn pass_all(
    from: &mut ReadHalf<Stream>,
    to: &mut WriteHalf<Stream>,
    first: &[u8],
    pipes: &PipePool,
    count: Count<'_>,
) -> Result<(), Fault> {
    to.write_all(first).await.map_err(Fault::Write)?;
    count.add(first.len());
    let mut buffer = pipes.buffer();
    loop {
        let read = from.read(&mut buffer).await.map_err(Fault::Read)?;
        if read == 0 {
            break;
        }
        to.write_all(buffer.get(..read).unwrap_or_default())
            .await
            .map_err(Fault::Write)?;
        count.add(read);
        // TLS has bytes at hand without asking the socket, and would keep the thread.
        consume_budget().await;
    }
    pipes.keep_buffer(buffer);
    to.shutdown().await.map_err(Fault::Write)
}
