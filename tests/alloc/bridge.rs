//! A relay with TLS on one leg or on both, where bytes are read and written.
//!
//! What is counted here is what Rust allocates. The TLS library is C and has an allocator of its own, which this cannot
//! see; `benches/README.md` tells what a heap profiler sees of it.

use bytes::Bytes;
use sdgroup::net::stream::Stream;
use sdgroup::net::tls::Side;
use sdgroup::relay::{End, FirstBytes, PipePool, Tally, duplex_streams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio_util::sync::CancellationToken;

use crate::{BLOCK, NOISE, counting, pair, runtime};

const KEY: &[u8] = b"17b0e77943e0f8025737818a726756ed";

/// In each direction. Both directions of both ways come to more than a gigabyte.
const FEW: u64 = 4 << 20;
const MANY: u64 = 288 << 20;

/// A connection: the peer's end, and the relay's.
async fn connection(in_tls: bool) -> (Stream, Stream) {
    let (peer, ours) = pair().await;
    peer.set_nonblocking(true).unwrap();
    let peer = tokio::net::TcpStream::from_std(peer).unwrap();
    let (mut peer, mut ours) = (Stream::from(peer), Stream::from(ours));
    if in_tls {
        let (client, server) = tokio::join!(
            peer.start_psk(Side::Client, KEY, Bytes::new()),
            ours.start_psk(Side::Server, KEY, Bytes::new())
        );
        client.unwrap();
        server.unwrap();
    }
    (peer, ours)
}

async fn write(mut to: WriteHalf<Stream>, bytes: u64) {
    let block = vec![7; BLOCK];
    for _ in 0..bytes / BLOCK as u64 {
        to.write_all(&block).await.unwrap();
    }
    to.shutdown().await.unwrap();
}

async fn read(mut from: ReadHalf<Stream>, bytes: u64) {
    let mut block = vec![0; BLOCK];
    let mut left = bytes;
    loop {
        match from.read(&mut block).await.unwrap() {
            0 => break,
            read => left -= read as u64,
        }
    }
    assert_eq!(left, 0);
}

/// Moves `bytes` each way and tells how many allocations that took, from the first byte to the last.
async fn allocations(pool: &PipePool, near_in_tls: bool, bytes: u64) -> usize {
    let (near, relay_near) = connection(near_in_tls).await;
    let (far, relay_far) = connection(true).await;
    let (tally, stop) = (Tally::default(), CancellationToken::new());
    let count = counting();
    let (from_near, to_near) = tokio::io::split(near);
    let (from_far, to_far) = tokio::io::split(far);
    let relay = duplex_streams(relay_near, relay_far, FirstBytes::default(), pool, &tally, &stop);
    let (outcome, ..) = tokio::join!(
        relay,
        write(to_near, bytes),
        write(to_far, bytes),
        read(from_near, bytes),
        read(from_far, bytes)
    );
    let count = count();
    assert!(matches!(outcome.end, End::Closed), "{outcome:?}");
    assert_eq!((tally.to_far(), tally.to_near()), (bytes, bytes));
    count
}

async fn assert_flat(near_in_tls: bool) {
    let pool = PipePool::default();
    let few = allocations(&pool, near_in_tls, FEW).await;
    let many = allocations(&pool, near_in_tls, MANY).await;
    assert!(
        many <= few + NOISE,
        "{few} allocations for {FEW} bytes each way, {many} for {MANY}"
    );
    assert_eq!(pool.figures().copied_bytes, 2 * (FEW + MANY));
}

pub(crate) fn tls_with_tls() {
    runtime().block_on(assert_flat(true));
}

pub(crate) fn clear_with_tls() {
    runtime().block_on(assert_flat(false));
}
