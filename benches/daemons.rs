//! What sdgroup costs between real daemons: a backup of Bacula 15.0.3 that passes through it and a restore that it
//! bridges, each beside the same job without it.
//!
//! `cargo bench --bench daemons [-- --mib 2048 --rounds 4]`; `-- --test` runs each job once with a few MiB, and skips
//! where the daemons have not been fetched. The daemons are as shipped, in TLS. Each round has daemons, catalog and
//! volumes of its own, in memory where there is room, and runs each job directly and through sdgroup, in turn. The rate
//! is that of the Client's reading or writing of its file, between the first and the last hundredth, so that what a
//! Director does before and after does not count.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for people who look at what it prints; any failure may end it"
)]

#[path = "../tests/lab/mod.rs"]
mod lab;
mod rig;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::catalog::JobId;
use lab::packages::{Release, Root};
use lab::tree::Noise;
use lab::{Lab, Plan};
use rig::{Arguments, GIB, MIB, cpu_time_of, load, median};

/// Bacula's release in this bench.
const BACULA: Release = Release::Trixie;

const JOB: &str = "Large";
const STORAGE: &str = "File4";
const PATIENCE: Duration = Duration::from_secs(600);

/// What is done, and how.
#[derive(Debug, Clone, Copy)]
struct Errand {
    name: &'static str,
    restores: bool,
    through: bool,
}

const ERRANDS: [Errand; 4] = [
    Errand {
        name: "backup, direct",
        restores: false,
        through: false,
    },
    Errand {
        name: "backup, passed through",
        restores: false,
        through: true,
    },
    Errand {
        name: "restore, direct",
        restores: true,
        through: false,
    },
    Errand {
        name: "restore, bridged",
        restores: true,
        through: true,
    },
];

/// What one job took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Seconds for the bytes.
    wall: f64,
    /// CPU seconds of sdgroup, Client and storage.
    cpu: [f64; 3],
}

fn main() {
    let arguments = Arguments::of_this_program();
    let testing = arguments.testing();
    if testing && !Root::is_unpacked(BACULA) {
        println!("daemons: SKIPPED, Bacula's daemons are not here: cargo test --test real15 fetches them");
        return;
    }
    let bytes = MIB * if testing { 8 } else { arguments.value("--mib", 2048) };
    let rounds = if testing { 1 } else { arguments.value("--rounds", 4) };
    work_in_memory(4 * bytes);
    let source = tempfile::Builder::new()
        .prefix("sdgroup-source-")
        .tempdir()
        .expect("a folder");
    fs::write(source.path().join("noise"), noise(bytes)).expect("something to back up");
    let mut costs = [const { Vec::new() }; ERRANDS.len()];
    for round in 0..rounds {
        let mut plan = Plan::with_policy("ListedOrder");
        plan.storages = 1;
        plan.folder_of_files(JOB, source.path());
        let mut lab = plan.start(env!("CARGO_BIN_EXE_sdgroup"));
        // What each kind of restore gives back.
        let mut backups = [None; 2];
        // Whoever comes second finds memory that has been used before: each is second in its turn.
        let order = if round % 2 == 0 { [0, 1, 2, 3] } else { [1, 0, 3, 2] };
        for at in order {
            let errand = ERRANDS[at];
            costs[at].push(run(&mut lab, errand, &mut backups[usize::from(errand.through)], bytes));
        }
    }
    if testing {
        println!("daemons: {} jobs of {bytes} bytes: ok", ERRANDS.len());
        return;
    }
    report(bytes, rounds, &costs);
}

/// Has all temporary folders made in memory if there is room for `bytes`: the disk is not what is measured.
fn work_in_memory(bytes: u64) {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |about| about.f_bavail * about.f_frsize);
    if room > bytes + GIB {
        tempfile::env::override_temp_dir(memory).expect("nobody has chosen another");
    } else {
        println!("/dev/shm has no room for {bytes} bytes: the disk counts in these figures");
    }
}

/// Bytes that do not compress, not all different.
fn noise(bytes: u64) -> Vec<u8> {
    let bytes = usize::try_from(bytes).expect("a size in memory");
    let part = Noise::new(6).bytes(bytes.min(64 << 20));
    part.iter().copied().cycle().take(bytes).collect()
}

/// Runs one job to its good end.
fn run(lab: &mut Lab, errand: Errand, backup: &mut Option<JobId>, bytes: u64) -> Cost {
    let client = lab.client().pid().expect("a Client that runs");
    let pids = [
        lab.sdgroup().daemon_mut().pid().expect("sdgroup"),
        client,
        lab.storage(STORAGE).pid().expect("a storage that runs"),
    ];
    let restored = lab.folder().join("restored");
    let before = pids.map(cpu_time_of);
    let begun = moved(client, errand.restores);
    let job = match (errand.restores, errand.through) {
        (false, true) => lab.run_job(JOB, "Full"),
        (false, false) => lab.run_directly(JOB, "Full", STORAGE),
        // The catalog has the storage that was named when the job ran: the group, or the storage itself.
        (true, _) => lab.start_restore(&[backup.expect("a backup before")], &restored),
    };
    let hundredth = bytes / 100;
    wait_for(client, errand.restores, begun + hundredth);
    let first = Instant::now();
    wait_for(client, errand.restores, begun + bytes - hundredth);
    let wall = first.elapsed().as_secs_f64() / 0.98;
    let report = lab.wait_within(job, PATIENCE);
    report.must_be_ok();
    assert!(report.bytes >= bytes, "{} bytes:\n{}", report.bytes, report.log);
    let after = pids.map(cpu_time_of);
    if errand.restores {
        fs::remove_dir_all(&restored).expect("what was restored");
    } else {
        *backup = Some(job);
    }
    Cost {
        wall,
        cpu: [0, 1, 2].map(|at| after[at] - before[at]),
    }
}

/// How many bytes the Client has read or written so far, in files and sockets (proc_pid_io(5)).
fn moved(client: u32, writes: bool) -> u64 {
    let io = fs::read_to_string(format!("/proc/{client}/io")).expect("the Client's counters");
    let name = if writes { "wchar: " } else { "rchar: " };
    let line = io.lines().find_map(|line| line.strip_prefix(name));
    line.expect("the counter").parse().expect("a number")
}

fn wait_for(client: u32, writes: bool, bytes: u64) {
    lab::wait::until("the Client to move its bytes", PATIENCE, || {
        (moved(client, writes) >= bytes).then_some(())
    });
}

fn report(bytes: u64, rounds: usize, costs: &[Vec<Cost>]) {
    let gib = bytes as f64 / GIB as f64;
    println!(
        "one job of {gib} GiB, Bacula 15.0.3 in TLS, median of {rounds} rounds; load {}",
        load()
    );
    println!(
        "{:<26}{:>8}{:>10}   CPU-s per GiB:{:>8}{:>8}{:>9}",
        "", "MB/s", "to direct", "sdgroup", "Client", "storage"
    );
    let rate = |of: &[Cost]| bytes as f64 / 1e6 / median(of.iter().map(|cost| cost.wall));
    for (at, (errand, of)) in ERRANDS.iter().zip(costs).enumerate() {
        print!("{:<26}{:>8.0}", errand.name, rate(of));
        if errand.through {
            let pairs = of.iter().zip(&costs[at - 1]);
            print!(
                "{:>10.2}",
                median(pairs.map(|(through, direct)| direct.wall / through.wall))
            );
        } else {
            print!("{:>10}", "");
        }
        let cpu = [0, 1, 2].map(|who| median(of.iter().map(|cost| cost.cpu[who])) / gib);
        println!("{:>17}{:>8.3}{:>8.3}{:>9.3}", "", cpu[0], cpu[1], cpu[2]);
    }
}
