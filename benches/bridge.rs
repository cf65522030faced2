//! What bridging TLS costs: CPU seconds per GiB beside the crypto itself, which is what the two ends need when they
//! talk to each other directly; and throughput.
//!
//! `cargo bench --bench bridge [-- --gib 2 --rounds 5 --streams 1]`; `-- --test` moves a few MiB and checks that they
//! arrive. Source and sink are processes of their own that read and write as Bacula's daemons do, by the TLS library's
//! own blocking calls; this process is the bridge alone. A bridge decrypts what the source encrypts and encrypts what
//! the sink decrypts, so the CPU time of both in a direct run is its measure. The ways take turns within each round,
//! and the medians are told.

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

use bytes::Bytes;
use openssl::ssl::{Ssl, SslContextBuilder, SslMethod, SslStream, SslVersion};
use rig::{Arguments, GIB, MIB, Role, cpu_time, load, median, receive, send};
use sdgroup::net::stream::Stream;
use sdgroup::net::tls::Side;
use sdgroup::net::{dial, listen, options};
use sdgroup::relay::{End, FirstBytes, PipePool, Tally, duplex_streams};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(10);
const KEY: &[u8] = b"17b0e77943e0f8025737818a726756ed";
/// The one that sdgroup prefers, in every run and on every leg.
const SUITE: &str = "TLS_AES_128_GCM_SHA256";

/// How the bytes get from the source to the sink.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// Whether the source talks TLS, and the sink.
    tls: (bool, bool),
    bridged: bool,
}

const WAYS: [Way; 5] = [
    Way {
        name: "direct, in the clear",
        tls: (false, false),
        bridged: false,
    },
    Way {
        name: "direct, TLS",
        tls: (true, true),
        bridged: false,
    },
    Way {
        name: "bridged, TLS on both legs",
        tls: (true, true),
        bridged: true,
    },
    Way {
        name: "bridged, clear to TLS",
        tls: (false, true),
        bridged: true,
    },
    Way {
        name: "bridged, TLS to clear",
        tls: (true, false),
        bridged: true,
    },
];

/// What one run took.
#[derive(Clone, Copy)]
struct Cost {
    /// CPU seconds of source and sink together.
    ends: f64,
    /// CPU seconds of the bridge.
    ours: f64,
    wall: f64,
}

struct Plan {
    bytes: u64,
    streams: u64,
    rounds: usize,
}

fn main() {
    let arguments = Arguments::of_this_program();
    match arguments.role() {
        Some(("source", known)) => return source(&known[0], &known[1], &known[2], &known[3]),
        Some(("sink", known)) => return sink(&known[0], &known[1]),
        _ => {}
    }
    let testing = arguments.testing();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small positive numbers"
    )]
    let plan = Plan {
        bytes: if testing {
            8 * MIB
        } else {
            (arguments.value("--gib", 2.0) * GIB as f64) as u64
        },
        streams: arguments.value("--streams", 1),
        rounds: if testing { 1 } else { arguments.value("--rounds", 5) },
    };
    let mut costs = [const { Vec::new() }; WAYS.len()];
    for _ in 0..plan.rounds {
        for (way, costs) in WAYS.into_iter().zip(&mut costs) {
            costs.push(measure(way, &plan));
        }
    }
    if testing {
        println!("bridge: {} ways, {} bytes through each: ok", WAYS.len(), plan.bytes);
        return;
    }
    report(&plan, &costs);
}

fn report(plan: &Plan, costs: &[Vec<Cost>]) {
    let gib = plan.bytes as f64 / GIB as f64;
    println!(
        "{gib} GiB over {} stream(s), {SUITE}, median of {} rounds; load {}",
        plan.streams,
        plan.rounds,
        load()
    );
    let direct = median(costs[1].iter().map(|cost| cost.ends)) / gib;
    println!(
        "{:<28}{:>10}{:>18}{:>18}{:>14}",
        "", "MiB/s", "ends CPU-s/GiB", "ours CPU-s/GiB", "to the crypto"
    );
    for (way, costs) in WAYS.iter().zip(costs) {
        let rate = gib * 1024.0 / median(costs.iter().map(|cost| cost.wall));
        let ends = median(costs.iter().map(|cost| cost.ends)) / gib;
        print!("{:<28}{rate:>10.0}{ends:>18.3}", way.name);
        if way.bridged {
            let ours = median(costs.iter().map(|cost| cost.ours)) / gib;
            print!("{ours:>18.3}");
            if way.tls == (true, true) {
                print!("{:>14.2}", ours / direct);
            }
        }
        println!();
    }
}

/// Moves all bytes in one way.
fn measure(way: Way, plan: &Plan) -> Cost {
    let streams = plan.streams.to_string();
    let mut sink = Role::start(&["sink", &streams, &way.tls.1.to_string()]);
    let sink_at: SocketAddr = sink.says();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (at, bridge) = {
        let _inside = runtime.enter();
        if way.bridged {
            let listener = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
            let at = listener.local_addr().expect("an address");
            (at, Some(runtime.spawn(serve(listener, sink_at, way, plan.streams))))
        } else {
            (sink_at, None)
        }
    };
    let (cpu, wall) = (cpu_time(), Instant::now());
    let each = plan.bytes / plan.streams;
    let mut source = Role::start(&[
        "source",
        &at.to_string(),
        &each.to_string(),
        &streams,
        &way.tls.0.to_string(),
    ]);
    if let Some(bridge) = bridge {
        runtime.block_on(bridge).expect("the bridge");
    }
    let arrived: u64 = sink.says();
    let wall = wall.elapsed().as_secs_f64();
    let ours = cpu_time() - cpu;
    assert_eq!(arrived, each * plan.streams, "bytes were lost");
    let ends = source.says::<f64>() + sink.says::<f64>();
    source.end();
    sink.end();
    Cost { ends, ours, wall }
}

/// Bridges `streams` connections to `sink`, and returns when all have ended.
async fn serve(listener: tokio::net::TcpListener, sink: SocketAddr, way: Way, streams: u64) {
    let pool = Arc::new(PipePool::default());
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..streams {
        let (near, _) = listen::accept(&listener).await.expect("a caller");
        let pool = Arc::clone(&pool);
        running.spawn(async move {
            let far = dial::dial(&sink.ip().to_string(), sink.port(), PATIENCE)
                .await
                .expect("the sink");
            options::tune(&near).expect("options");
            options::tune(&far).expect("options");
            let (mut near, mut far) = (Stream::from(near), Stream::from(far));
            if way.tls.0 {
                near.start_psk(Side::Server, KEY, Bytes::new()).await.expect("TLS");
            }
            if way.tls.1 {
                far.start_psk(Side::Client, KEY, Bytes::new()).await.expect("TLS");
            }
            for leg in [&near, &far].map(Stream::tls_in_words).into_iter().flatten() {
                assert!(leg.ends_with(SUITE), "{leg}");
            }
            let (tally, stop) = (Tally::default(), CancellationToken::new());
            let outcome = duplex_streams(near, far, FirstBytes::default(), &pool, &tally, &stop).await;
            assert!(matches!(outcome.end, End::Closed), "{outcome:?}");
        });
    }
    while let Some(done) = running.join_next().await {
        done.expect("a bridge");
    }
}

/// A connection of the ends: the library's own, which blocks.
enum Line {
    Clear(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl Line {
    fn new(stream: TcpStream, tls: bool, is_client: bool) -> Self {
        stream.set_nodelay(true).expect("an option");
        if !tls {
            return Self::Clear(stream);
        }
        let mut builder = SslContextBuilder::new(SslMethod::tls()).expect("a context");
        builder
            .set_min_proto_version(Some(SslVersion::TLS1_3))
            .expect("a version");
        builder.set_ciphersuites(SUITE).expect("a suite");
        builder.set_num_tickets(0).expect("no tickets");
        let give = |buffer: &mut [u8]| {
            buffer[..KEY.len()].copy_from_slice(KEY);
            KEY.len()
        };
        if is_client {
            builder.set_psk_client_callback(move |_, _, identity, buffer| {
                identity[..2].copy_from_slice(b"x\0");
                Ok(give(buffer))
            });
        } else {
            builder.set_psk_server_callback(move |_, _, buffer| Ok(give(buffer)));
        }
        let mut stream = SslStream::new(Ssl::new(&builder.build()).expect("TLS"), stream).expect("TLS");
        let shaken = if is_client { stream.connect() } else { stream.accept() };
        shaken.expect("a handshake");
        Self::Tls(Box::new(stream))
    }

    fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Clear(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes),
        }
        .expect("a reader");
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
        .expect("an orderly end")
    }

    /// Says that no more comes, and waits until the other end says so too.
    fn end(mut self) {
        match &mut self {
            Self::Clear(stream) => stream.shutdown(std::net::Shutdown::Write).expect("an end"),
            Self::Tls(stream) => {
                stream.shutdown().expect("a farewell");
            }
        }
        assert_eq!(self.read(&mut [0; 16]), 0);
    }
}

fn source(at: &str, bytes: &str, streams: &str, tls: &str) {
    let (at, tls): (SocketAddr, bool) = (at.parse().unwrap(), tls.parse().unwrap());
    let bytes: u64 = bytes.parse().unwrap();
    let threads: Vec<_> = (0..streams.parse().unwrap())
        .map(|_: usize| {
            std::thread::spawn(move || {
                let mut line = Line::new(TcpStream::connect(at).expect("the other end"), tls, true);
                send(bytes, |block| line.write(block));
                line.end();
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a stream");
    }
    println!("{}", cpu_time());
}

fn sink(streams: &str, tls: &str) {
    let tls: bool = tls.parse().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let threads: Vec<_> = (0..streams.parse().unwrap())
        .map(|_: usize| {
            let (stream, _) = listener.accept().expect("a caller");
            std::thread::spawn(move || {
                let mut line = Line::new(stream, tls, false);
                let total = receive(|buffer| line.read(buffer));
                match &mut line {
                    Line::Clear(stream) => stream.shutdown(std::net::Shutdown::Write).expect("an end"),
                    Line::Tls(stream) => {
                        stream.shutdown().expect("a farewell");
                    }
                }
                total
            })
        })
        .collect();
    let total: u64 = threads.into_iter().map(|thread| thread.join().expect("a stream")).sum();
    println!("{total}");
    println!("{}", cpu_time());
}
