//! A relay of connections in the clear: through pipes, and through buffers where none are to be had.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use sdgroup::relay::{End, FirstBytes, PipePool, PoolOptions, Tally, duplex};
use tokio_util::sync::CancellationToken;

use crate::{BLOCK, NOISE, counting, pair, runtime};

const FEW: u64 = 16 << 20;
const MANY: u64 = 1 << 30;

/// Moves `bytes` each way and tells how many allocations that took, from the first byte to the last.
async fn allocations(pool: &PipePool, bytes: u64) -> usize {
    let (near, relay_near) = pair().await;
    let (far, relay_far) = pair().await;
    let count = counting();
    let threads = [&near, &far].map(|stream| {
        let (mut to, mut from) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        let write = std::thread::spawn(move || {
            let block = vec![7; BLOCK];
            for _ in 0..bytes / BLOCK as u64 {
                to.write_all(&block).unwrap();
            }
            to.shutdown(Shutdown::Write).unwrap();
        });
        let read = std::thread::spawn(move || {
            let mut block = vec![0; BLOCK];
            let mut left = bytes;
            loop {
                match from.read(&mut block).unwrap() {
                    0 => break,
                    read => left -= read as u64,
                }
            }
            assert_eq!(left, 0);
        });
        [write, read]
    });
    let (tally, stop) = (Tally::default(), CancellationToken::new());
    let outcome = duplex(relay_near, relay_far, FirstBytes::default(), pool, &tally, &stop).await;
    assert!(matches!(outcome.end, End::Closed), "{outcome:?}");
    assert_eq!((tally.to_far(), tally.to_near()), (bytes, bytes));
    for thread in threads.into_iter().flatten() {
        thread.join().unwrap();
    }
    count()
}

/// The threads of a run and the first loans of a pool are the same for few bytes and for many (a gigabyte each way is
/// 2,048 chunks of 1 MiB).
async fn assert_flat(options: PoolOptions) {
    let pool = PipePool::new(options);
    let few = allocations(&pool, FEW).await;
    let many = allocations(&pool, MANY / 2).await;
    assert!(
        many <= few + NOISE,
        "{few} allocations for {FEW} bytes each way, {many} for {}",
        MANY / 2
    );
    let figures = pool.figures();
    let moved = figures.spliced_bytes + figures.copied_bytes;
    assert_eq!(moved, 2 * FEW + MANY);
}

pub(crate) fn through_pipes() {
    runtime().block_on(assert_flat(PoolOptions::default()));
}

pub(crate) fn through_buffers() {
    runtime().block_on(assert_flat(PoolOptions {
        pipes: 0,
        ..PoolOptions::default()
    }));
}
