//! Where bytes and messages pass in bulk, nothing is allocated per chunk. (A program of its own, without the threads of one
//! that runs tests, because it counts the allocations of a whole process.)

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and says how it went"
)]

mod bridge;
mod couple;
mod relay;

#[path = "../../benches/site/mod.rs"]
mod site;

use std::alloc::System;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use sdgroup::net::listen;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What peers write and read at once, as Bacula's daemons do.
const BLOCK: usize = 64 << 10;

/// What two runs of different length may differ by: a little noise of the threads and the runtime, far below one
/// allocation per chunk.
const NOISE: usize = 8;

/// One after the other: two at once would count each other's allocations.
const ALL: [(&str, fn()); 5] = [
    ("passing through pipes", relay::through_pipes),
    ("passing through buffers", relay::through_buffers),
    ("coupling", couple::packets),
    ("bridging TLS with TLS", bridge::tls_with_tls),
    ("bridging clear with TLS", bridge::clear_with_tls),
];

fn main() {
    for (what, run) in ALL {
        run();
        println!("{what} allocates nothing per chunk ... ok");
    }
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
