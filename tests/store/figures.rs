//! What several sdgroups cost their database: statements, and the processor time of all its processes. Figures for
//! `deploy/ha/sdgroup/README.md`, which this prints, and the plot beside it, which this draws when it is asked to.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sdgroup::store::Beat;
use sdgroup::types::PeerName;
use tokio_util::task::AbortOnDropHandle;

use crate::database::{Machine, migrated_with, options};
use crate::fleet::{PASSWORD, Pair, patient};
use crate::harness::running::back_up;
use crate::sharing::Sharer;

const CONFIGURATION: &str = "shared_preload_libraries = 'pg_stat_statements'\nmax_connections = 200\n";

/// How long is measured.
const WHILE: Duration = Duration::from_secs(20);

const JOBS: u32 = 60;

/// How many sdgroups, each with jobs on this many storages.
const FLEETS: [u32; 4] = [2, 8, 16, 32];
const STORAGES: usize = 20;

/// How many statements the database was given, for each kind of them.
fn statements(machine: &Machine) -> Vec<(String, f64)> {
    let rows = machine
        .server
        .ask(
            "sdgroup",
            "SELECT regexp_replace(left(query, 90), '\\s+', ' ', 'g'), calls FROM pg_stat_statements \
             WHERE query ~ 'sdgroup' OR query ~ '^(BEGIN|COMMIT|START)' ORDER BY calls DESC",
        )
        .expect("pg_stat_statements");
    let read = |row: &str| {
        let (query, calls) = row.rsplit_once('|')?;
        Some((query.to_owned(), calls.parse().ok()?))
    };
    rows.lines().filter_map(read).collect()
}

fn forget(machine: &Machine) {
    machine
        .server
        .ask("sdgroup", "SELECT pg_stat_statements_reset()")
        .expect("a reset");
}

fn sum(statements: &[(String, f64)]) -> f64 {
    statements.iter().map(|(_, calls)| calls).sum()
}

/// Seconds of processor time that the server's processes have had, those that live.
fn processor(machine: &Machine) -> f64 {
    let file = fs::read_to_string(machine.server.data().join("postmaster.pid")).expect("postmaster.pid");
    let server = file.lines().next().expect("its number").to_owned();
    let ticks = fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        // Behind the name in parentheses: state, parent, and the times as the 14th and 15th of all.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let of_server = *fields.get(1)? == server;
        let time = |at: usize| fields.get(at)?.parse::<f64>().ok();
        of_server.then_some(time(11)? + time(12)?)
    });
    ticks.sum::<f64>() / 100.0
}

/// What `count` sdgroups without news cost in a second: statements, and processor time.
async fn idle(machine: &Machine, count: u32) -> (f64, f64) {
    let options = options(&[machine]);
    let mut sharers = Vec::new();
    for _ in 0..count {
        sharers.push(Sharer::new(&options).await);
    }
    let places: Vec<_> = (0..STORAGES)
        .map(|number| {
            format!("{{\"storage\":\"File{number}\",\"group\":\"Files\",\"director\":\"bacula-dir\",\"reads\":false,\"jobs\":3}}")
        })
        .collect();
    let beating: Vec<_> = sharers
        .iter()
        .enumerate()
        .map(|(number, sharer)| {
            let roster = sharer.store.roster();
            let beat = Beat {
                name: PeerName::new(&format!("sdgroup-{number}")).expect("a name"),
                address: "192.0.2.1".to_owned(),
                port: 9103,
                pid: 1,
                version: "0".to_owned(),
                jobs: 60,
                queued: 0,
                places: format!("[{}]", places.join(",")),
            };
            AbortOnDropHandle::new(tokio::spawn(async move {
                loop {
                    roster.beat(beat.clone(), false).await.expect("an answer");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }))
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    forget(machine);
    let (began, before) = (Instant::now(), processor(machine));
    tokio::time::sleep(WHILE).await;
    let (length, used) = (began.elapsed().as_secs_f64(), processor(machine) - before);
    let calls = sum(&statements(machine));
    drop(beating);
    for sharer in sharers {
        sharer.end().await;
    }
    (calls / length, used / length)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures for a document, three minutes"]
async fn what_one_database_carries() {
    let machine = migrated_with(CONFIGURATION).await;
    let extension = machine
        .server
        .ask("sdgroup", "CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
    extension.expect("pg_stat_statements");
    let mut alone = Vec::new();
    for count in FLEETS {
        let (calls, used) = idle(&machine, count).await;
        println!(
            "{count:>3} sdgroups without news: {:.1} statements/s each, {:.2} % of a core in all",
            calls / f64::from(count),
            used * 100.0
        );
        alone.push((f64::from(count), used));
    }

    let pair = Pair::with_database(patient(), [PASSWORD; 2], machine).await;
    let other = pair.other();
    back_up(&other, "First").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    forget(&pair.machine);
    let (began, before) = (Instant::now(), processor(&pair.machine));
    tokio::time::sleep(WHILE).await;
    let quiet = sum(&statements(&pair.machine)) / began.elapsed().as_secs_f64();
    let quiet_used = (processor(&pair.machine) - before) / began.elapsed().as_secs_f64();
    forget(&pair.machine);
    let (began, before) = (Instant::now(), processor(&pair.machine));
    for number in 0..JOBS {
        let director = if number % 2 == 0 { &pair.crossed } else { &other };
        back_up(director, &format!("Job{number}")).await;
    }
    // What is told of the last one.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let length = began.elapsed().as_secs_f64();
    let told = statements(&pair.machine);
    let calls = (sum(&told) - quiet * length) / f64::from(JOBS);
    let used = (processor(&pair.machine) - before - quiet_used * length) / f64::from(JOBS);
    println!(
        "a job, one after the other: {calls:.1} statements, {:.2} ms of a core",
        used * 1000.0
    );
    for (query, calls) in told.iter().take(14) {
        println!("    {:>6.2} a job  {query}", calls / f64::from(JOBS));
    }
    assert!(calls > 1.0 && used > 0.0, "{calls} {used}");
    if std::env::var_os("SDGROUP_WRITE_DOCS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/ha/sdgroup/scale.svg");
        fs::write(path, plot(&alone, used)).expect("the plot");
    }
}

/// What the database costs by the number of sdgroups, without jobs and with so many jobs a minute in all.
fn plot(alone: &[(f64, f64)], job: f64) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 320.0;
    const LEFT: f64 = 60.0;
    const TOP: f64 = 30.0;
    let (right, bottom) = (WIDTH - 150.0, HEIGHT - 50.0);
    let lines = [
        (0.0, "no jobs"),
        (600.0, "600 jobs a minute"),
        (3000.0, "3000 jobs a minute"),
    ];
    let cost = |used: f64, jobs: f64| (used + job * jobs / 60.0) * 100.0;
    let most = lines
        .iter()
        .flat_map(|(jobs, _)| alone.iter().map(|(_, used)| cost(*used, *jobs)))
        .fold(10.0, f64::max);
    let widest = alone.iter().map(|(count, _)| *count).fold(1.0, f64::max);
    let x = |count: f64| LEFT + (right - LEFT) * count / widest;
    let y = |percent: f64| bottom - (bottom - TOP) * percent / most;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\">PostgreSQL: % of a core by the number of sdgroups</text>\n\
         <path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"black\"/>\n"
    );
    for (count, _) in alone {
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{count}</text>",
            x(*count),
            bottom + 18.0
        );
    }
    for step in 0..=4 {
        let percent = most * f64::from(step) / 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{percent:.1}</text>",
            LEFT - 6.0,
            y(percent) + 4.0
        );
    }
    for ((jobs, words), colour) in lines.iter().zip(["#1b6ca8", "#2f9e44", "#c2410c"]) {
        let points: Vec<_> = alone
            .iter()
            .map(|(count, used)| format!("{:.1},{:.1}", x(*count), y(cost(*used, *jobs))))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" fill=\"{colour}\">{words}</text>",
            points.join(" "),
            right + 8.0,
            y(cost(alone.last().map_or(0.0, |(_, used)| *used), *jobs)) + 4.0
        );
    }
    svg + "</svg>\n"
}
