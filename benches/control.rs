//! What control connections cost: what sdgroup adds to a job's set-up, jobs set up in a second, and packets of a job that
//! tells its Director of its files one by one.
//!
//! `cargo bench --bench control [-- --jobs 1000 --running 1000 --packets 4000000]`; `-- --test` does little of each.
//! sdgroup is the installed binary, a process of its own; a simulated Director and a simulated storage share this
//! process. Direct and through sdgroup take turns, job by job.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for people who look at what it prints; any failure may end it"
)]

mod rig;
mod site;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use rig::{Arguments, cpu_time_of, load, percentile};
use site::director::Job;
use site::proxy::Sdgroup;
use site::storage::{Wanted, listen, serve};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

fn main() {
    let arguments = Arguments::of_this_program();
    let testing = arguments.testing();
    let jobs: u32 = if testing { 5 } else { arguments.value("--jobs", 1000) };
    let running: u32 = if testing { 3 } else { arguments.value("--running", 1000) };
    let packets: usize = if testing {
        5_000
    } else {
        arguments.value("--packets", 4_000_000)
    };
    let runtime = Runtime::new().expect("a runtime");
    if !testing {
        println!("load {}", load());
    }
    set_up(&runtime, jobs, running, testing);
    attributes(&runtime, packets, testing);
    if testing {
        println!("control: {jobs} jobs, {packets} packets: ok");
    }
}

/// Times the set-up of jobs, direct and through sdgroup, with none running and with many.
fn set_up(runtime: &Runtime, jobs: u32, running: u32, quiet: bool) {
    let storage = {
        let _inside = runtime.enter();
        let (listener, storage) = listen([127, 0, 0, 1]);
        let (data, _nobody) = mpsc::unbounded_channel();
        runtime.spawn(serve(listener, Wanted { data, control: None }));
        storage
    };
    let sdgroup = Sdgroup::start(&[storage]);
    if !quiet {
        println!(
            "\nset-up of {jobs} jobs, one after the other, from the Director's call to the storage's answer\n\
             {:<26}{:>14}{:>14}{:>14}{:>14}{:>12}{:>12}",
            "", "direct p50 ms", "p99", "sdgroup p50", "p99", "added p50", "jobs/s"
        );
    }
    let mut others = Vec::new();
    for count in [0, running] {
        runtime.block_on(async {
            for number in 0..count {
                others.push(begin(sdgroup.address(), 1_000_000 + number).await);
            }
        });
        let (mut direct, mut through) = (Vec::new(), Vec::new());
        for number in 1..=jobs {
            direct.push(timed(runtime, storage, number));
            through.push(timed(runtime, sdgroup.address(), number));
        }
        let [direct_p50, through_p50] = [&direct, &through].map(|took| percentile(took, 50));
        if !quiet {
            println!(
                "{:<26}{direct_p50:>14.3}{:>14.3}{through_p50:>14.3}{:>14.3}{:>12.3}{:>12.0}",
                format!("while {} others run", others.len()),
                percentile(&direct, 99),
                percentile(&through, 99),
                through_p50 - direct_p50,
                f64::from(jobs) * 1000.0 / through.iter().sum::<f64>()
            );
        }
    }
    runtime.block_on(async {
        for job in others {
            job.end().await;
        }
    });
}

async fn begin(address: SocketAddr, number: u32) -> Job {
    let begun = Job::begin(address, number).await;
    begun.unwrap_or_else(|error| panic!("job {number}: {error}"))
}

/// Milliseconds.
fn timed(runtime: &Runtime, address: SocketAddr, number: u32) -> f64 {
    let began = Instant::now();
    let job = runtime.block_on(begin(address, number));
    let took = began.elapsed().as_secs_f64() * 1000.0;
    runtime.block_on(job.end());
    took
}

/// Sends attributes of files from a storage to its Director, direct and through sdgroup.
fn attributes(runtime: &Runtime, packets: usize, quiet: bool) {
    let (control, mut job) = mpsc::unbounded_channel();
    let storage = {
        let _inside = runtime.enter();
        let (listener, storage) = listen([127, 0, 0, 1]);
        let (data, _nobody) = mpsc::unbounded_channel();
        let control = Some(control);
        runtime.spawn(serve(listener, Wanted { data, control }));
        storage
    };
    let sdgroup = Sdgroup::start(&[storage]);
    let block = site::attributes(PACKETS);
    let blocks = packets / PACKETS;
    if !quiet {
        println!(
            "\n{} packets of attributes, {:.0} bytes each at the mean\n{:<26}{:>12}{:>12}{:>20}",
            blocks * PACKETS,
            block.len() as f64 / PACKETS as f64,
            "",
            "packets/s",
            "MiB/s",
            "CPU-s per million"
        );
    }
    for (name, address) in [("direct", storage), ("coupled by sdgroup", sdgroup.address())] {
        let (director, storage) = runtime.block_on(async {
            let (director, unread) = begin(address, 1).await.channel.into_parts();
            assert!(unread.is_empty());
            (
                director.into_tcp().expect("in the clear"),
                job.recv().await.expect("a job"),
            )
        });
        let [director, storage] = [director, storage].map(blocking);
        let (cpu, wall) = (cpu_time_of(sdgroup.pid()), Instant::now());
        pass(&storage, &director, &block, blocks);
        let (cpu, wall) = (cpu_time_of(sdgroup.pid()) - cpu, wall.elapsed().as_secs_f64());
        let passed = (blocks * PACKETS) as f64;
        if !quiet {
            println!(
                "{name:<26}{:>12.0}{:>12.0}{:>20.3}",
                passed / wall,
                (blocks * block.len()) as f64 / wall / f64::from(1 << 20),
                cpu * 1e6 / passed
            );
        }
    }
}

/// In one block.
const PACKETS: usize = 256;

fn blocking(stream: tokio::net::TcpStream) -> TcpStream {
    let stream = stream.into_std().expect("a socket");
    stream.set_nonblocking(false).expect("a socket that blocks");
    stream
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, block: &[u8], blocks: usize) {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..blocks {
                from.write_all(block).expect("a reader");
            }
        });
        let mut buffer = vec![0; block.len()];
        for _ in 0..blocks {
            to.read_exact(&mut buffer).expect("a sender");
            assert!(buffer == block, "attributes came otherwise");
        }
    });
}
