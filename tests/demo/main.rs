//! sdgroup between real Bacula daemons, to look at: builds it, fetches the daemons if they are missing, starts
//! everything on the loopback address, runs a backup, kills a storage, runs another backup, restores both, and stays
//! until Ctrl-C. `--once` ends at once instead.

// It is made to be read on a terminal; and a step that fails says so and ends the demo.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::panic, clippy::expect_used)]

#[path = "../lab/mod.rs"]
mod lab;

use lab::catalog::JobReport;
use lab::packages::{Release, Root, build_folder};
use lab::tree::checksum;
use lab::{Lab, Plan, wait};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bacula's release in the demo.
const BACULA: Release = Release::Bookworm;

const JOB: &str = "Docs";

/// How far the demo is, for whoever interrupts it.
#[derive(Debug)]
enum Progress {
    /// In its steps; the lab's folder, once there is one.
    Steps(Option<PathBuf>),
    /// Past them, waiting to be ended.
    Waiting,
}

type Shared = Arc<Mutex<Progress>>;

fn set(shared: &Shared, progress: Progress) {
    *shared.lock().unwrap_or_else(PoisonError::into_inner) = progress;
}

fn main() -> ExitCode {
    let once = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--once") => true,
        Some(_) => {
            eprintln!("usage: demo [--once]");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|failure| {
        let payload = failure.payload();
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(payload.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("a step failed");
        eprintln!("\nThe demo cannot go on: {text}");
    }));
    let progress = Arc::new(Mutex::new(Progress::Steps(None)));
    let interrupted = listen_for_interrupt(Arc::clone(&progress));
    // A panic has told what it is about; unwinding has ended the daemons.
    std::panic::catch_unwind(|| show(once, &progress, &interrupted)).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn show(once: bool, progress: &Shared, interrupted: &Receiver<()>) {
    step("Building sdgroup");
    let binary = build();
    step("Bacula's daemons");
    if !Root::is_unpacked(BACULA) {
        println!("  Not here yet: fetching Debian's packages, about 20 MB ...");
    }
    let root = Root::of(BACULA).unwrap_or_else(|error| panic!("{error}"));
    println!(
        "  Debian's packages of Bacula 9.6.7, unpacked in {}",
        root.folder().display()
    );

    step("Starting everything on the loopback address");
    let mut plan = Plan::with_policy("RoundRobin");
    // Seldom enough that the second backup meets the dead storage before a probe does.
    plan.settings.probe_interval = "30 seconds";
    let source = plan.tree(JOB, 1);
    set(progress, Progress::Steps(Some(plan.folder().to_owned())));
    let mut lab = plan.start(&binary);
    tell_addresses(&mut lab);
    wait_until_all_are_up(&mut lab);

    step("A backup through the group, RoundRobin");
    let expected = checksum(&source);
    let (first, first_took) = timed_backup(&mut lab);
    println!(
        "  sdgroup found it a storage within {:.3} s; it took {:.1} s in all.",
        first_took.place, first_took.all
    );
    let first_at = first.must_be_ok().only_storage().to_owned();

    let names: Vec<_> = lab.storages().iter().map(|storage| storage.name.clone()).collect();
    let place = names.iter().position(|name| *name == first_at).unwrap_or(0);
    let next = names.iter().cycle().nth(place + 1).cloned().unwrap_or_default();
    step(&format!(
        "{next} would be next: it is killed (SIGKILL), and another backup started at once"
    ));
    lab.storage(&next).kill();
    let (second, second_took) = timed_backup(&mut lab);
    let moved_to = second.must_be_ok().only_storage();
    assert_ne!(moved_to, next, "the second backup is on a storage that was dead");
    tell_failover((&next, moved_to), &first_took, &second_took);

    for (which, report) in [("first", &first), ("second", &second)] {
        step(&format!("Restoring the {which} backup, from {}", report.only_storage()));
        let restore = lab.must_restore(&[report.id], &source, &expected);
        tell_job(&restore);
        println!(
            "  {} files restored and compared with what was backed up: the same, byte for byte.",
            restore.files
        );
    }
    if once {
        return;
    }
    step("Everything is left running");
    tell_what_to_look_at(&mut lab, &next);
    set(progress, Progress::Waiting);
    let _ended = interrupted.recv();
    println!("\nEnding the daemons; nothing stays but the build folder.");
}

fn step(text: &str) {
    println!("\n== {text}");
}

/// Builds the daemon beside this program, in the same profile.
fn build() -> PathBuf {
    let here = std::env::current_exe().expect("this program's own path");
    let profile = here.ancestors().nth(2).expect("the profile's folder");
    let binary = profile.join("sdgroup");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        // Together with this program, so that what was built for it serves the daemon too.
        build
            .args(["build", "--bin", "sdgroup", "--example", "demo"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        build.arg("--target-dir").arg(build_folder());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo");
        assert!(status.success(), "cargo did not build sdgroup");
    }
    assert!(
        binary.exists(),
        "{} is missing: start the demo with `cargo demo`",
        binary.display()
    );
    println!("  {}", binary.display());
    binary
}

fn tell_addresses(lab: &mut Lab) {
    let (here, metrics) = (lab.sdgroup().address(), lab.sdgroup().metrics_address());
    println!(
        "  Director  {}  its one Storage resource points at sdgroup",
        lab.director().port().address()
    );
    println!("  Client    {}", lab.client().port().address());
    println!("  sdgroup   {here}  group Files; http://{metrics}/metrics");
    let names: Vec<_> = lab.storages().iter().map(|storage| storage.name.clone()).collect();
    for name in names {
        println!("  {name}     {}", lab.storage(&name).port().address());
    }
}

fn wait_until_all_are_up(lab: &mut Lab) {
    let count = lab.storages().len();
    wait::until("the storages to be found up", Duration::from_secs(30), || {
        let metrics = lab.sdgroup().metrics();
        let up = metrics.sum("sdgroup_storage_up", &[]);
        (up.round().to_string() == count.to_string()).then_some(())
    });
    println!("  sdgroup has found all {count} storages up.");
}

/// What a backup took, in seconds.
struct Took {
    /// From the command to the end in the catalog.
    all: f64,
    /// Until a storage had it, by sdgroup's own metrics.
    place: f64,
}

fn timed_backup(lab: &mut Lab) -> (JobReport, Took) {
    let waited = |lab: &mut Lab| lab.sdgroup().metrics().sum("sdgroup_job_wait_seconds_sum", &[]);
    let (before, begun) = (waited(lab), Instant::now());
    let report = lab.job(JOB, "Full");
    let took = Took {
        all: begun.elapsed().as_secs_f64(),
        place: waited(lab) - before,
    };
    tell_job(&report);
    (report, took)
}

fn tell_failover((dead, moved_to): (&str, &str), first: &Took, second: &Took) {
    println!(
        "  Failover from {dead} to {moved_to} within {:.3} s; the backup took {:.1} s in all, the first one {:.1} s.",
        second.place, second.all, first.all
    );
    println!("  The Director has noticed nothing: it knows one storage, and that one is up.");
}

/// What the Director's log says of the job: sdgroup's lines and the end.
fn tell_job(report: &JobReport) {
    println!("  Job {} ({}), from its log in the Director:", report.id, report.job);
    for line in report.log.lines() {
        let told = line.contains("sdgroup JobId") || line.contains("Start ") || line.contains("Termination:");
        if told {
            println!("    {}", line.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    if !report.storages.is_empty() {
        println!(
            "  {} files, {} kB; its volume {} lies on {}.",
            report.files,
            report.bytes / 1000,
            report.volumes.join(", "),
            report.storages.join(", ")
        );
    }
}

fn tell_what_to_look_at(lab: &mut Lab, killed: &str) {
    let console = lab.write_console_script();
    let (metrics, sdgroup) = (lab.sdgroup().metrics_address(), lab.sdgroup().log_file().to_owned());
    let configuration = lab.sdgroup().configuration().display().to_string();
    println!("  Metrics          http://{metrics}/metrics   (and /livez, /readyz)");
    println!(
        "  bconsole         {}   (try: run job={JOB} yes, or: status storage=Files)",
        console.display()
    );
    println!("  sdgroup's log    {}", sdgroup.display());
    println!("  Its settings     {configuration}");
    println!(
        "  Its volumes      {} volumes list -c {configuration}",
        lab.sdgroup().binary().display()
    );
    println!("  {killed} is still dead. Ctrl-C ends everything.");
}

/// Takes Ctrl-C and SIGTERM for as long as the demo lives. After the last step they are passed on; before, the demo
/// ends on the spot: the kernel kills the daemons with it, and their folder is removed here.
fn listen_for_interrupt(progress: Shared) -> Receiver<()> {
    let (interrupted, receiver) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(wait_for_signal());
        let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        match &*progress {
            Progress::Waiting => {
                let _ended_already = interrupted.send(());
            }
            Progress::Steps(folder) => {
                let _gone_already = folder.as_ref().map(std::fs::remove_dir_all);
                std::process::exit(130);
            }
        }
    });
    receiver
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("a listener for SIGTERM");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a listener for SIGINT");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
