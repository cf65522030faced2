//! What a relay costs: CPU seconds of its process per GiB, and throughput, side by side in one run.
//!
//! `cargo bench --bench relay [-- --gib 2 --rounds 3 --streams 1 --pipe-sizes --gathered]`; `-- --test` moves a few MiB and
//! checks that they arrive. Source and sink are processes of their own, so that the CPU time of this process is
//! that of the relay alone (`CLOCK_PROCESS_CPUTIME_ID`). The variants take turns within each round, and the median
//! of the rounds is told.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program for people who look at what it prints; any failure may end it"
)]

mod rig;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rig::{Arguments, GIB, MIB, Role, cpu_time, median, receive, send};
use sdgroup::net::{dial, listen, options};
use sdgroup::relay::{End, FirstBytes, PipePool, PoolOptions, Tally, duplex};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(10);

/// A way of getting bytes from the source to the sink.
#[derive(Clone, Copy)]
enum Way {
    /// Without a relay.
    Direct,
    /// `tokio::io::copy_bidirectional` with its own buffers of 8 KiB, or others.
    Tokio(Option<usize>),
    /// Our relay.
    Ours(PoolOptions),
}

struct Plan {
    bytes: u64,
    streams: usize,
    rounds: usize,
    ways: Vec<(String, Way)>,
    testing: bool,
}

impl Plan {
    fn from_arguments(arguments: &Arguments) -> Self {
        let testing = arguments.testing();
        let mut ways = vec![
            ("direct".to_owned(), Way::Direct),
            ("tokio copy_bidirectional, 8 KiB".to_owned(), Way::Tokio(None)),
            (
                "tokio copy_bidirectional, 256 KiB".to_owned(),
                Way::Tokio(Some(256 << 10)),
            ),
            ("our copy, 256 KiB".to_owned(), copying(256 << 10)),
            ("our splice, 1 MiB".to_owned(), splicing(1 << 20)),
        ];
        if arguments.given("--pipe-sizes") {
            ways.truncate(3);
            ways.extend([8, 64, 256, 1024].map(|kib| (format!("our copy, {kib} KiB"), copying(kib << 10))));
            ways.extend([8, 64, 256, 1024].map(|kib| (format!("our splice, {kib} KiB"), splicing(kib << 10))));
        }
        if arguments.given("--gathered") {
            ways.truncate(1);
            ways.extend(
                [0, 256, 1024, 2048, 4096]
                    .map(|kib| (format!("our splice, gathering {kib} KiB"), gathering(kib << 10))),
            );
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small positive numbers"
        )]
        Self {
            bytes: if testing {
                8 * MIB
            } else {
                (arguments.value("--gib", 2.0) * GIB as f64) as u64
            },
            streams: arguments.value("--streams", 1),
            rounds: if testing { 1 } else { arguments.value("--rounds", 3) },
            ways,
            testing,
        }
    }
}

fn copying(buffer_size: usize) -> Way {
    Way::Ours(PoolOptions {
        pipes: 0,
        buffer_size,
        ..PoolOptions::default()
    })
}

fn splicing(pipe_size: usize) -> Way {
    Way::Ours(PoolOptions {
        pipe_size,
        ..PoolOptions::default()
    })
}

fn gathering(gathered: usize) -> Way {
    Way::Ours(PoolOptions {
        gathered,
        ..PoolOptions::default()
    })
}

/// What one run of one way took.
#[derive(Clone, Copy)]
struct Cost {
    /// CPU seconds of the relay.
    cpu: f64,
    /// CPU seconds of source and sink together.
    ends: f64,
    /// How often the relay's threads gave up their core, since they had nothing to do.
    waits: f64,
    wall: f64,
}

fn main() {
    let arguments = Arguments::of_this_program();
    match arguments.role() {
        Some(("source", known)) => return source(&known[0], &known[1], &known[2]),
        Some(("sink", known)) => return sink(&known[0]),
        _ => {}
    }
    let plan = Plan::from_arguments(&arguments);
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); plan.ways.len()];
    for _ in 0..plan.rounds {
        for (at, (_, way)) in plan.ways.iter().enumerate() {
            costs[at].push(measure(*way, plan.bytes, plan.streams));
        }
    }
    if plan.testing {
        println!("relay: {} ways, {} bytes through each: ok", plan.ways.len(), plan.bytes);
        return;
    }
    report(&plan, &costs);
}

fn report(plan: &Plan, costs: &[Vec<Cost>]) {
    let gib = plan.bytes as f64 / GIB as f64;
    println!(
        "{gib} GiB over {} stream(s), median of {} rounds",
        plan.streams, plan.rounds
    );
    println!(
        "{:<36}{:>14}{:>10}{:>10}{:>16}{:>10}",
        "", "CPU-s per GiB", "to last", "ends", "waits per GiB", "MiB/s"
    );
    let last = median(costs[costs.len() - 1].iter().map(|cost| cost.cpu));
    for ((name, _), of_way) in plan.ways.iter().zip(costs) {
        let cpu = median(of_way.iter().map(|cost| cost.cpu));
        let rate = gib * 1024.0 / median(of_way.iter().map(|cost| cost.wall));
        let ends = median(of_way.iter().map(|cost| cost.ends)) / gib;
        let waits = median(of_way.iter().map(|cost| cost.waits)) / gib;
        println!(
            "{name:<36}{:>14.3}{:>10.2}{ends:>10.3}{waits:>16.0}{rate:>10.0}",
            cpu / gib,
            cpu / last
        );
    }
}

/// Moves `bytes` in all over `streams` connections.
fn measure(way: Way, bytes: u64, streams: usize) -> Cost {
    let mut sink = Role::start(&["sink", &streams.to_string()]);
    let sink_at: SocketAddr = sink.says();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (at, relay) = {
        let _inside = runtime.enter();
        if let Way::Direct = way {
            (sink_at, None)
        } else {
            let listener = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
            let at = listener.local_addr().expect("an address");
            (at, Some(runtime.spawn(serve(listener, sink_at, way, streams))))
        }
    };
    let (cpu, waits, wall) = (cpu_time(), rig::waits(), Instant::now());
    let each = bytes / streams as u64;
    let mut source = Role::start(&["source", &at.to_string(), &each.to_string(), &streams.to_string()]);
    if let Some(relay) = relay {
        runtime.block_on(relay).expect("the relay");
    }
    let arrived: u64 = sink.says();
    let wall = wall.elapsed().as_secs_f64();
    let (cpu, waits) = (cpu_time() - cpu, rig::waits() - waits);
    assert_eq!(arrived, each * streams as u64, "bytes were lost");
    let ends = source.says::<f64>() + sink.says::<f64>();
    source.end();
    sink.end();
    Cost { cpu, ends, waits, wall }
}

/// Relays `streams` connections to `sink`, and returns when all have ended.
async fn serve(listener: tokio::net::TcpListener, sink: SocketAddr, way: Way, streams: usize) {
    let pool = Arc::new(match way {
        Way::Ours(options) => PipePool::new(options),
        _ => PipePool::default(),
    });
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..streams {
        let (mut near, _) = listen::accept(&listener).await.expect("a caller");
        let pool = Arc::clone(&pool);
        running.spawn(async move {
            let mut far = dial::dial(&sink.ip().to_string(), sink.port(), PATIENCE)
                .await
                .expect("the sink");
            options::tune(&near).expect("options");
            options::tune(&far).expect("options");
            match way {
                Way::Direct => {}
                Way::Tokio(None) => {
                    tokio::io::copy_bidirectional(&mut near, &mut far)
                        .await
                        .expect("an end");
                }
                Way::Tokio(Some(size)) => {
                    tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, size, size)
                        .await
                        .expect("an end");
                }
                Way::Ours(_) => {
                    let (tally, stop) = (Tally::default(), CancellationToken::new());
                    let outcome = duplex(near, far, FirstBytes::default(), &pool, &tally, &stop).await;
                    assert!(matches!(outcome.end, End::Closed), "{outcome:?}");
                }
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.expect("a relay");
    }
}

fn source(at: &str, bytes: &str, streams: &str) {
    let bytes: u64 = bytes.parse().expect("a number");
    let threads: Vec<_> = (0..streams.parse().expect("a number"))
        .map(|_: usize| {
            let at: SocketAddr = at.parse().expect("an address");
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(at).expect("the relay");
                send(bytes, |block| stream.write_all(block).expect("a reader"));
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a stream");
    }
    println!("{}", cpu_time());
}

fn sink(streams: &str) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let threads: Vec<_> = (0..streams.parse().expect("a number"))
        .map(|_: usize| {
            let (mut stream, _) = listener.accept().expect("a caller");
            std::thread::spawn(move || receive(|buffer| stream.read(buffer).expect("an orderly end")))
        })
        .collect();
    let total: u64 = threads.into_iter().map(|thread| thread.join().expect("a stream")).sum();
    println!("{total}");
    println!("{}", cpu_time());
}
