//! The relay beside others of its kind: HAProxy (with and without splice, one and two threads) and nginx's stream
//! module, with a direct connection and a bare splice loop as the limits. Throughput, and CPU seconds of the relaying
//! process per GiB.
//!
//! `cargo bench --bench peers [-- --gib 4 --rounds 3 --streams 1,8,64 --only sdgroup,bare]`; `-- --test` moves a few
//! MiB through each and checks that they arrive. HAProxy and nginx are those of the machine; without them the bench
//! says which packages are missing, and goes on with what is there.
//!
//! Everyone carries the same bytes: each stream begins with a Client's Hello, which names a job that a simulated
//! Director has announced to sdgroup beforehand, and from which sdgroup passes it through to a simulated storage; the
//! others connect it blindly. Client and storage are processes of their own, which read and write 64 KiB at a time as
//! Bacula's daemons do. The ways take turns within each round.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for people who look at what it prints; any failure may end it"
)]

#[path = "../rig/mod.rs"]
mod rig;
#[path = "../site/mod.rs"]
mod site;

mod bare;
mod ends;
mod ways;

use std::net::SocketAddr;

use ends::Direction;
use rig::{Arguments, GIB, MIB, Role, cpu_time_of, load, median};
use ways::{Kind, Way};

struct Plan {
    /// In all streams together.
    bytes: u64,
    streams: Vec<u32>,
    rounds: usize,
    ways: Vec<Way>,
}

/// What one run of one way took.
#[derive(Clone, Copy)]
struct Cost {
    /// CPU seconds of the relay.
    relay: f64,
    /// CPU seconds of Client and storage.
    ends: f64,
    wall: f64,
}

fn main() {
    let arguments = Arguments::of_this_program();
    match arguments.role() {
        Some(("storage", known)) => return ends::storage(known),
        Some(("client", known)) => return ends::client(known),
        Some(("bare", known)) => return bare::relay(known),
        _ => {}
    }
    let testing = arguments.testing();
    let plan = plan(&arguments, testing);
    for direction in [Direction::ToStorage, Direction::FromStorage] {
        for &streams in &plan.streams {
            let mut costs = vec![Vec::new(); plan.ways.len()];
            for _ in 0..plan.rounds {
                for (way, costs) in plan.ways.iter().zip(&mut costs) {
                    costs.push(measure(way, direction, streams, plan.bytes));
                }
            }
            if !testing {
                report(&plan, direction, streams, &costs);
            }
        }
    }
    if testing {
        println!(
            "peers: {} ways, {} bytes through each in both directions: ok",
            plan.ways.len(),
            plan.bytes
        );
    }
}

fn plan(arguments: &Arguments, testing: bool) -> Plan {
    let only: String = arguments.value("--only", String::new());
    let streams: String = arguments.value("--streams", "1,8,64".to_owned());
    let wanted = |way: &Way| only.is_empty() || only.split(',').any(|part| way.name.contains(part));
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small positive numbers"
    )]
    Plan {
        bytes: if testing {
            8 * MIB
        } else {
            (arguments.value("--gib", 4.0) * GIB as f64) as u64
        },
        streams: if testing {
            vec![2]
        } else {
            streams
                .split(',')
                .map(|count| count.parse().expect("a number of streams"))
                .collect()
        },
        rounds: if testing { 1 } else { arguments.value("--rounds", 3) },
        ways: ways::all().into_iter().filter(wanted).collect(),
    }
}

/// Moves `bytes` in all over `streams` connections.
fn measure(way: &Way, direction: Direction, streams: u32, bytes: u64) -> Cost {
    let each = (bytes / u64::from(streams)).to_string();
    let mut storage = Role::start(&["storage", direction.word(), &each]);
    let storage_at: SocketAddr = storage.says();
    let relay = way.start(storage_at, streams);
    let before = [relay.cpu_time(), cpu_time_of(storage.pid())];
    let mut client = Role::start(&[
        "client",
        &relay.address().to_string(),
        direction.word(),
        &each,
        &streams.to_string(),
    ]);
    let (wall, cpu): (f64, f64) = (client.says(), client.says());
    client.end();
    let cost = Cost {
        relay: relay.cpu_time() - before[0],
        ends: cpu + cpu_time_of(storage.pid()) - before[1],
        wall,
    };
    relay.end();
    cost
}

fn report(plan: &Plan, direction: Direction, streams: u32, costs: &[Vec<Cost>]) {
    let gib = plan.bytes as f64 / GIB as f64;
    println!(
        "\n{gib} GiB {} storage over {streams} stream(s), median of {} rounds; load {}",
        direction.word(),
        plan.rounds,
        load()
    );
    println!(
        "{:<26}{:>8}{:>14}{:>16}{:>15}{:>10}",
        "", "MiB/s", "to best peer", "relay CPU-s/GiB", "to best peer", "ends"
    );
    let rate = |of: &[Cost]| gib * 1024.0 / median(of.iter().map(|cost| cost.wall));
    let cpu = |of: &[Cost]| median(of.iter().map(|cost| cost.relay)) / gib;
    let peers = || {
        let all = plan.ways.iter().zip(costs);
        all.filter(|(way, _)| matches!(way.kind, Kind::Peer)).map(|(_, of)| of)
    };
    let quickest = peers().map(|of| rate(of)).fold(0.0, f64::max);
    let cheapest = peers().map(|of| cpu(of)).fold(f64::INFINITY, f64::min);
    for (way, of) in plan.ways.iter().zip(costs) {
        let ends = median(of.iter().map(|cost| cost.ends)) / gib;
        print!("{:<26}{:>8.0}", way.name, rate(of));
        if matches!(way.kind, Kind::Direct) {
            println!("{:>14.2}{:>16}{:>15}{ends:>10.3}", rate(of) / quickest, "", "");
        } else {
            println!(
                "{:>14.2}{:>16.3}{:>15.2}{ends:>10.3}",
                rate(of) / quickest,
                cpu(of),
                cpu(of) / cheapest
            );
        }
    }
}
