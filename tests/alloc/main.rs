//! Where bytes and messages pass in bulk, nothing is allocated per chunk. (A binary of its own, because it counts the
//! allocations of a whole process.)

// A test may fail by panicking.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod bridge;
mod couple;
mod relay;

#[path = "../../benches/site/mod.rs"]
mod site;

use std::alloc::System;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sdgroup::net::listen;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What peers write and read at once, as Bacula's daemons do.
const BLOCK: usize = 64 << 10;

/// What two runs of different length may differ by: a little noise of the threads, of the runtime, and of the program
/// that starts the tests and tells how they went. Thousands of chunks pass in the longer one.
const NOISE: usize = 64;

/// Held by the test that runs: two at once would count each other's allocations.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts allocations from here on; a change of size counts as one.
fn counting() -> impl Fn() -> usize {
    let region = Region::new(ALLOCATOR);
    move || {
        let change = region.change();
        change.allocations + change.reallocations
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A connection: the end for a thread that blocks, and the other.
async fn pair() -> (TcpStream, tokio::net::TcpStream) {
    let listener = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let called = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (called, listen::accept(&listener).await.unwrap().0)
}
