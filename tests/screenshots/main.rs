//! Makes the pictures of the README: real Bacula daemons at work behind sdgroup, the dashboard in a browser, and the status in a
//! terminal. The dashboard's plots are of the run itself, so it takes some minutes; `--minutes N` says how many.

// It is made to be read on a terminal; and a step that fails says so and ends it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing
)]

#[path = "../browser/mod.rs"]
mod browser;
#[path = "../lab/mod.rs"]
mod lab;
mod terminal;

use browser::{Browser, View};
use lab::packages::Release;
use lab::sdgroup::ADMIN_TOKEN;
use lab::tree::Gate;
use lab::{JOB_WITHIN, Lab, Plan, wait};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Bacula's release in the pictures: it tells how much room storages have.
const BACULA: Release = Release::Trixie;

/// Where the pictures are.
const PICTURES: &str = "deploy/docs/pictures";

/// Backups of these run all the time, and write so many bytes per second for a while, then so many.
const WRITERS: [(&str, [usize; 6]); 3] = [
    ("Mail", [900_000, 1_500_000, 700_000, 1_900_000, 2_400_000, 1_300_000]),
    (
        "Database",
        [2_600_000, 2_200_000, 2_500_000, 800_000, 300_000, 1_800_000],
    ),
    ("Home", [300_000, 200_000, 900_000, 1_100_000, 500_000, 600_000]),
];

/// How long a writer keeps its pace.
const PACE_LASTS: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let minutes = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => 5,
        ["--minutes", count] => count.parse().unwrap_or(5),
        _ => {
            eprintln!("usage: screenshots [--minutes N]");
            return ExitCode::from(2);
        }
    };
    let Some(browser) = Browser::start() else {
        eprintln!("There is no Chromium here: apt-get install chromium, or SDGROUP_CHROMIUM=program");
        return ExitCode::FAILURE;
    };
    make(browser, Duration::from_secs(60 * minutes));
    ExitCode::SUCCESS
}

fn make(mut browser: Browser, length: Duration) {
    let binary = build();
    println!("Starting Bacula's daemons and sdgroup ...");
    let mut plan = Plan::with_policy("LeastUsed");
    plan.storages = 4;
    plan.settings.ejection_time = "1 minute";
    plan.tree("Docs", 1);
    plan.large("Web", 2, 30_000_000);
    let mut gates: Vec<(Gate, [usize; 6])> = WRITERS.map(|(name, paces)| (plan.gate(name), paces)).into();
    let mut lab = plan.start(&binary);
    wait::until("the storages to be up", JOB_WITHIN, || {
        let up = lab.sdgroup().metrics().sum("sdgroup_storage_up", &[]);
        (up > 3.5).then_some(())
    });
    for (name, _) in WRITERS {
        lab.run_job(name, "Full");
    }
    lab.job("Docs", "Full").must_be_ok();
    println!("Working for {} s ...", length.as_secs());
    let begun = Instant::now();
    let mut next_job = Duration::from_secs(20);
    while begun.elapsed() < length {
        let pace = usize::try_from(begun.elapsed().as_secs() / PACE_LASTS.as_secs()).unwrap_or(0);
        for (gate, paces) in &mut gates {
            let bytes = paces.iter().cycle().nth(pace).copied().unwrap_or_default();
            gate.feed(bytes, JOB_WITHIN);
        }
        if begun.elapsed() > next_job {
            next_job += Duration::from_secs(45);
            lab.run_job("Web", "Full");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    spoil(&mut lab, &mut gates);
    look(&mut browser, &mut lab, &mut gates);
}

/// A storage that is taken out, and one that dies under the jobs that would go there.
fn spoil(lab: &mut Lab, gates: &mut [(Gate, [usize; 6])]) {
    let words = [
        "drain",
        "File4",
        "--reason",
        "new disks",
        "--by",
        "ann",
        "--until",
        "3 hours",
    ];
    let (status, printed) = lab.sdgroup().run(&words);
    assert!(status.success(), "{printed}");
    lab.storage("File7").kill();
    for name in ["Docs", "Web"] {
        lab.run_job(name, "Full");
        feed(gates);
    }
    wait::until("the dead storage to be found", JOB_WITHIN, || {
        feed(gates);
        let up = lab
            .sdgroup()
            .metrics()
            .sum("sdgroup_storage_up", &[("storage", "File7")]);
        (up < 0.5).then_some(())
    });
    lab.job("Docs", "Full").must_be_ok();
}

fn feed(gates: &mut [(Gate, [usize; 6])]) {
    for (gate, paces) in gates {
        gate.feed(paces[0] / 4, JOB_WITHIN);
    }
}

fn look(browser: &mut Browser, lab: &mut Lab, gates: &mut [(Gate, [usize; 6])]) {
    let view = |width, height, dark| View { width, height, dark };
    browser.look_from(view(1280, 980, false));
    browser.open(&format!("http://{}/", lab.sdgroup().admin_address()));
    browser.wait("document.activeElement.id === 'token'");
    browser.write(ADMIN_TOKEN);
    browser.press("Enter");
    browser.wait("document.querySelectorAll('.member').length === 4");
    for (name, view) in [
        ("dashboard", view(1280, 980, false)),
        ("dashboard-dark", view(1280, 980, true)),
        ("dashboard-phone", view(390, 844, false)),
    ] {
        feed(gates);
        browser.look_from(view);
        browser.wait("document.querySelector('.member svg').hasAttribute('aria-label')");
        keep(name, &browser.picture());
    }

    let commands: [&[&str]; 3] = [
        &["status", "--color", "always"],
        &["jobs", "--recent", "3"],
        &["explain", "--job", "Web"],
    ];
    let screens = commands.map(|words| {
        let (_, printed) = lab.sdgroup().run(words);
        let typed = words.iter().filter(|word| !["--color", "always"].contains(*word));
        let typed: Vec<&str> = typed.copied().collect();
        (format!("sdgroup {}", typed.join(" ")), printed)
    });
    // The dashboard's page lets no style in.
    browser.open("about:blank");
    browser.show(&terminal::page(&screens));
    let size = browser.evaluate("[document.body.scrollWidth, document.body.scrollHeight]");
    let extent = |at: usize| {
        size[at]
            .as_u64()
            .and_then(|side| u32::try_from(side).ok())
            .expect("its size")
    };
    browser.look_from(view(extent(0), extent(1), true));
    keep("terminal", &browser.picture());
}

fn keep(name: &str, picture: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURES);
    fs::create_dir_all(&folder).expect("the pictures' folder");
    let path = folder.join(format!("{name}.png"));
    fs::write(&path, picture).expect("a picture");
    println!("  {} ({} kB)", path.display(), picture.len() / 1000);
}

/// Builds the daemon beside this program, in the same profile.
fn build() -> PathBuf {
    let here = std::env::current_exe().expect("this program's own path");
    let profile = here.ancestors().nth(2).expect("the profile's folder");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build
            .args(["build", "--bin", "sdgroup", "--example", "screenshots"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        build.arg("--target-dir").arg(lab::packages::build_folder());
        assert!(build.status().expect("cargo").success(), "cargo did not build sdgroup");
    }
    profile.join("sdgroup")
}
