//! A relay allocates nothing per chunk. (A binary of its own, because it counts the allocations of a whole process.)

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::alloc::System;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use sdgroup::net::listen;
use sdgroup::relay::{End, FirstBytes, PipePool, PoolOptions, Tally, duplex};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BLOCK: usize = 64 << 10;
const FEW: u64 = 16 << 20;
const MANY: u64 = 1 << 30;

/// A connection: the end for a thread that blocks, and the relay's.
async fn pair() -> (TcpStream, tokio::net::TcpStream) {
    let listener = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let called = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (called, listen::accept(&listener).await.unwrap().0)
}

/// Moves `bytes` each way and tells how many allocations that took, from the first byte to the last.
async fn allocations(pool: &PipePool, bytes: u64) -> usize {
    let (near, relay_near) = pair().await;
    let (far, relay_far) = pair().await;
    let region = Region::new(ALLOCATOR);
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
    region.change().allocations
}

/// The threads of a run and the first loans of a pool are the same for few bytes and for many; what is allowed on
/// top is a little noise, far below one allocation per chunk (a gigabyte each way is 2,048 chunks of 1 MiB).
async fn assert_flat(options: PoolOptions) {
    let pool = PipePool::new(options);
    let few = allocations(&pool, FEW).await;
    let many = allocations(&pool, MANY / 2).await;
    assert!(
        many <= few + 8,
        "{few} allocations for {FEW} bytes each way, {many} for {}",
        MANY / 2
    );
    let figures = pool.figures();
    let moved = figures.spliced_bytes + figures.copied_bytes;
    assert_eq!(moved, 2 * FEW + MANY);
}

// One test, since two at once would count each other's allocations.
#[test]
fn the_number_of_allocations_does_not_grow_with_the_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(assert_flat(PoolOptions::default()));
    runtime.block_on(assert_flat(PoolOptions {
        pipes: 0,
        ..PoolOptions::default()
    }));
}
