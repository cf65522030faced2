//! How the price of jobs grows with their number: many jobs at once between simulated daemons and sdgroup as it is
//! installed.
//!
//! `cargo bench --bench scale [-- --jobs 10000 --steps 10,1000,5000,10000 --kib 256 --more 300]`; `-- --test` runs a
//! few jobs. Every job has a Director's control connection and a Client's data connection, both on both sides of
//! sdgroup: four sockets there, and four with the simulated daemons. Where the system lets one process have too few
//! descriptors for all, the jobs are spread over several sites, each an sdgroup with daemons of its own, which then
//! share the machine; the table says over how many.
//!
//! At each step all jobs are set up, and kept. While they all run, some more come and go, one after the other: how long
//! their set-up takes is what a new job waits when so many run. Then all move their bytes at once, and all end.

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

mod lane;
mod plot;

use std::path::PathBuf;

use rig::{Arguments, Role, load};

/// Sockets of one job in sdgroup's process, and as many with the daemons of its site.
const SOCKETS: u64 = 4;
/// Descriptors that sdgroup keeps for everything else, and those of a hundred jobs that come and go.
const OTHERS: u64 = 2000 + 100 * SOCKETS;

/// What one step took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    jobs: u32,
    sites: u32,
    /// Of sdgroup, in KiB for each job: its own memory while all jobs wait, and the most there was.
    waiting_kib: f64,
    most_kib: f64,
    /// Of sdgroup, CPU seconds for all jobs: to set them up, to move their bytes, to end them.
    begin_cpu: f64,
    move_cpu: f64,
    end_cpu: f64,
    /// Jobs set up in a second, all of them at once.
    rate: f64,
    /// Set-up of one more job, milliseconds.
    p50: f64,
    p99: f64,
}

impl Step {
    fn cpu(&self) -> f64 {
        self.begin_cpu + self.move_cpu + self.end_cpu
    }
}

fn main() {
    let arguments = Arguments::of_this_program();
    if let Some(("lane", known)) = arguments.role() {
        return lane::run(known);
    }
    let testing = arguments.testing();
    let most: u32 = if testing { 12 } else { arguments.value("--jobs", 10_000) };
    let steps: String = arguments.value("--steps", "10,100,1000,2500,5000,7500,10000".to_owned());
    let steps = if testing { "3,12".to_owned() } else { steps };
    let kib: u64 = arguments.value("--kib", 256);
    let more = if testing { 5 } else { arguments.value("--more", 300) };
    let limit = site::raise_open_files();
    let fit = u32::try_from((limit.saturating_sub(OTHERS) / SOCKETS).max(1)).unwrap_or(u32::MAX);

    let mut done = Vec::new();
    for jobs in steps
        .split(',')
        .map(|jobs| jobs.parse::<u32>().expect("a number of jobs"))
    {
        let jobs = jobs.min(most);
        let sites = jobs.div_ceil(fit);
        let step = measure(jobs, sites, kib, more);
        if !testing {
            if done.is_empty() {
                println!(
                    "{kib} KiB each way in each job, {more} more jobs at each step, {limit} descriptors for a process; \
                     load {}",
                    load()
                );
                heading();
            }
            line(&step);
        }
        done.push(step);
    }
    if testing {
        println!("scale: {most} jobs at once: ok");
        return;
    }
    let last = done[done.len() - 1];
    println!(
        "set-up of one more job with {} running, to that with {}: p50 {:.2}, p99 {:.2}",
        last.jobs,
        done[0].jobs,
        last.p50 / done[0].p50,
        last.p99 / done[0].p99
    );
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/plots/scale.svg");
    plot::draw(&done, &file);
    println!("drawn: {}", file.display());
}

fn heading() {
    println!(
        "{:>7}{:>7}{:>10}{:>10}{:>12}{:>12}{:>11}{:>11}{:>9}{:>9}{:>9}",
        "jobs",
        "sites",
        "KiB/job",
        "at most",
        "begin CPU",
        "move CPU",
        "end CPU",
        "all CPU",
        "jobs/s",
        "p50 ms",
        "p99 ms"
    );
    println!(
        "{:>7}{:>7}{:>10}{:>10}{:>12}{:>12}{:>11}{:>11}",
        "", "", "waiting", "", "ms/job", "ms/job", "ms/job", "s"
    );
}

fn line(step: &Step) {
    let each = |seconds: f64| seconds * 1000.0 / f64::from(step.jobs);
    println!(
        "{:>7}{:>7}{:>10.1}{:>10.1}{:>12.2}{:>12.2}{:>11.2}{:>11.2}{:>9.0}{:>9.2}{:>9.2}",
        step.jobs,
        step.sites,
        step.waiting_kib,
        step.most_kib,
        each(step.begin_cpu),
        each(step.move_cpu),
        each(step.end_cpu),
        step.cpu(),
        step.rate,
        step.p50,
        step.p99
    );
}

/// Runs `jobs` at once, spread over so many sites.
fn measure(jobs: u32, sites: u32, kib: u64, more: u32) -> Step {
    let mut lanes: Vec<Role> = (0..sites)
        .map(|site| {
            let share = jobs / sites + u32::from(site < jobs % sites);
            Role::start(&["lane", &share.to_string(), &kib.to_string(), &more.to_string()])
        })
        .collect();
    let told = |lanes: &mut [Role], word: &str| {
        for lane in &mut *lanes {
            lane.tell(word);
        }
        lanes.iter_mut().map(Role::says::<lane::Figures>).collect::<Vec<_>>()
    };
    let begun = told(&mut lanes, "begin");
    let one_more = told(&mut lanes[..1], "more");
    let moved = told(&mut lanes, "move");
    let ended = told(&mut lanes, "end");
    for lane in lanes {
        lane.end();
    }
    let sum = |of: &[lane::Figures], at: usize| of.iter().map(|figures| figures.0[at]).sum::<f64>();
    let slowest = begun.iter().map(|figures| figures.0[2]).fold(0.0, f64::max);
    Step {
        jobs,
        sites,
        waiting_kib: sum(&begun, 1) / f64::from(jobs),
        most_kib: sum(&moved, 1) / f64::from(jobs),
        begin_cpu: sum(&begun, 0),
        move_cpu: sum(&moved, 0),
        end_cpu: sum(&ended, 0),
        rate: f64::from(jobs) / slowest,
        p50: one_more[0].0[0],
        p99: one_more[0].0[1],
    }
}
