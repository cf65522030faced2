//! One process hands over to the next while jobs run in it.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use sdgroup::types::{JobId, JobStatus};
use tokio::task::JoinHandle;

use crate::harness::apart::Apart;
use crate::harness::binary::Binary;
use crate::harness::bytes_of_jobs::{Amount, Record, files};
use crate::harness::http::get;
use crate::harness::running::{Running, back_up, refusal};
use crate::harness::site::{NAMES, OTHER_DIRECTOR, POOL, Plot, catalog, director_at};
use crate::harness::wait::{soon, until_true};
use crate::peers::client;
use crate::peers::director::{Director, Plan, Report};

/// A job that is placed, and whose Client has not called yet.
struct Late {
    job: crate::peers::director::Job,
}

impl Late {
    async fn begin(director: &Director, name: &str) -> Self {
        let mut job = director.begin(&Plan::backup(name, POOL)).await.unwrap();
        job.reserve().await.unwrap();
        Self { job }
    }

    /// The Client calls now.
    async fn finish(mut self, seed: u64) -> (Report, Vec<Record>) {
        self.job.run().await.unwrap();
        let records = files(seed, Amount::SMALL);
        let client = tokio::spawn(client::back_up(self.job.errand(), records.clone()));
        let report = soon("the late job", self.job.finish()).await;
        let client = soon("the late Client", client).await.unwrap();
        client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
        assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
        (report, records)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_predecessor_runs_is_found_counted_and_canceled_through_its_successor() {
    let plot = Plot {
        maximum_concurrent_jobs: 2,
        group: "BusyWait = \"20 seconds\"",
        ..Plot::listed()
    };
    let mut place = Apart::start(plot).await;
    let running = Running::start(&place.director, "Runs on").await;
    let late = Late::begin(&place.director, "Late Client").await;
    let canceled = Running::start(&place.director, "Canceled").await;
    place.binary.hand_over();
    place.binary.until_metric("sdgroup_predecessor_jobs", "3").await;

    // File4 has its two jobs, and File5 one, although they are the other process's.
    for (name, jobs) in [("File4", "2"), ("File5", "1"), ("File6", "0")] {
        let series = format!("sdgroup_storage_jobs{{storage=\"{name}\"}}");
        place.binary.until_metric(&series, jobs).await;
    }
    let next = Running::start(&place.director, "Next").await;
    assert_eq!(place.storages[1].jobs(), 2, "File4 is full");
    let (sixth, records) = back_up(&place.director, "Elsewhere").await;
    assert_eq!(place.storages[2].written_by(&sixth.name), records);

    let said = place.director.cancel(&canceled.name).await.unwrap();
    assert!(said.starts_with("3000 "), "{said}");
    let report = soon("the canceled job", canceled.ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled), "{:?}", report.told);
    drop(canceled.link);
    let (late, records) = late.finish(7).await;
    assert_eq!(place.storages[0].written_by(&late.name), records);
    place.director.record(&late, &records);
    assert_eq!(place.restore(&late).await, records);
    let (report, records) = running.finish().await;
    assert_eq!(place.storages[0].written_by(&report.name), records);
    assert!(place.binary.ended().await.success(), "{}", place.binary.log());
    place.binary.until_metric("sdgroup_predecessors", "0").await;
    let (report, records) = next.finish().await;
    assert_eq!(place.storages[1].written_by(&report.name), records);
    for name in NAMES {
        let series = format!("sdgroup_storage_jobs{{storage=\"{name}\"}}");
        place.binary.until_metric(&series, "0").await;
    }
    place.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_its_predecessor_runs_may_begin_anew_in_the_successor_and_no_other_of_its_name() {
    let mut place = Apart::start(Plot::listed()).await;
    let running = Running::start(&place.director, "Again").await;
    place.binary.hand_over();
    place.binary.until_metric("sdgroup_predecessor_jobs", "1").await;

    let plan = Plan::backup("Again", POOL);
    let mut other = director_at(place.binary.address(), catalog());
    OTHER_DIRECTOR.clone_into(&mut other.name);
    let refused = other.begin_as(&plan, JobId(7), running.name.clone()).await;
    let said = refusal(refused.map(drop).unwrap_err());
    assert!(said.starts_with("3915 ") && said.contains("another Director"), "{said}");
    let said = other.cancel(&running.name).await.unwrap();
    assert!(!said.starts_with("3000 "), "{said}");

    let again = place.director.begin_as(&plan, JobId(1), running.name.clone()).await;
    let records = files(3, Amount::SMALL);
    let (report, client) = soon("the later one", place.director.back_up_as(again.unwrap(), &records))
        .await
        .unwrap();
    client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
    assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
    let earlier = soon("the earlier one", running.ends).await.unwrap();
    assert!(earlier.told.says(&["same job again"]), "{:?}", earlier.told.log);
    drop(running.link);
    assert!(place.binary.ended().await.success(), "{}", place.binary.log());
    place.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_waits_in_the_predecessor_gets_the_place_that_is_left_in_either() {
    let plot = Plot {
        maximum_concurrent_jobs: 1,
        group: "BusyWait = \"20 seconds\"",
        ..Plot::listed()
    };
    let mut place = Apart::start(plot).await;
    let mut full = Vec::new();
    for name in NAMES {
        full.push(Running::start(&place.director, name).await);
    }
    let waits = ["Waits", "Waits too"].map(|name| {
        let director = place.director.clone();
        tokio::spawn(async move { back_up(&director, name).await })
    });
    let queued = "sdgroup_group_queued_jobs{group=\"Files\"}";
    place.binary.until_metric(queued, "2").await;
    place.binary.hand_over();
    let late = tokio::spawn({
        let director = place.director.clone();
        async move { back_up(&director, "Came to the successor").await }
    });
    place.binary.until_metric(queued, "1").await;
    let mut done = Vec::new();
    for job in full {
        done.push(job.finish().await);
    }
    for job in waits.into_iter().chain([late]) {
        done.push(soon("a job that waited", job).await.unwrap());
    }
    for storage in &place.storages {
        assert_eq!(storage.most_jobs(), 1);
    }
    for (report, records) in &done {
        place.director.record(report, records);
        assert_eq!(place.restore(report).await, *records);
    }
    place.assert_clean().await;
}

/// Waits until the one that serves has heard a first signal: two that it has not heard are one.
async fn until_draining(binary: &Binary) {
    until_true("the drain", || {
        let answer = binary.get("/readyz");
        answer.is_some_and(|(_, text)| text.contains("sdgroup is draining"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_during_a_handover_finds_nobody_who_only_starts() {
    let mut place = Apart::start(Plot::listed()).await;
    let running = Running::start(&place.director, "Runs on").await;
    let (metrics, over) = (place.binary.metrics_address(), AtomicBool::new(false));
    let answers = std::thread::scope(|scope| {
        let asks = scope.spawn(|| {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) {
                answers.extend(get(metrics, "/readyz"));
            }
            answers
        });
        for _ in 0..3 {
            place.binary.hand_over();
        }
        over.store(true, Ordering::Relaxed);
        asks.join().unwrap()
    });
    assert!(answers.iter().filter(|(status, _)| *status == 200).count() > 10);
    let not_ready = answers.iter().find(|(status, _)| *status != 200);
    assert_eq!(not_ready, None);
    running.finish().await;
    place.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_successor_waits_for_its_predecessors() {
    let mut place = Apart::start(Plot::listed()).await;
    let running = Running::start(&place.director, "Runs on").await;
    place.binary.hand_over();
    place.binary.until_metric("sdgroup_predecessors", "1").await;
    place.binary.signal_serving(Signal::TERM);
    until_draining(&place.binary).await;
    assert!(place.binary.get("/livez").is_some(), "it waits");
    let (report, records) = running.finish().await;
    assert_eq!(place.storages[0].written_by(&report.name), records);
    until_true("the successor to end", || place.binary.get("/livez").is_none()).await;
    assert!(place.binary.ended().await.success());

    // A second signal is told to those who have handed over.
    place.binary.start_again().await;
    let cut = Running::start(&place.director, "Cut").await;
    place.binary.hand_over();
    place.binary.until_metric("sdgroup_predecessors", "1").await;
    place.binary.signal_serving(Signal::TERM);
    until_draining(&place.binary).await;
    place.binary.signal_serving(Signal::TERM);
    let report = soon("the Director to be told", cut.ends).await.unwrap();
    assert!(
        report.told.says(&["end at once"]),
        "{:?}\n{}",
        report.told.log,
        place.binary.log()
    );
    place.binary.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_decided_while_a_successor_starts_or_by_others_is_in_force_in_it() {
    let plot = Plot {
        probe: "Interval = \"1 hour\"\nTimeout = \"3 seconds\"",
        ..Plot::listed()
    };
    let mut place = Apart::start(plot).await;
    // The successor waits for all storages to be asked, and so for one that is silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let [was, is] =
        [place.storages[2].address, silent.local_addr().unwrap()].map(|at| format!("SDPort = {}", at.port()));
    place.binary.configure(&place.binary.configuration().replace(&was, &is));
    let seal = |binary: &Binary| drop(binary.command(&["seal", "File4", "--reason", "new disks"]).unwrap());
    place.binary.hand_over_and(seal).await;
    assert!(place.binary.ended().await.success(), "{}", place.binary.log());
    let sealed = |name: &str| format!("sdgroup_storage_state{{storage=\"{name}\",state=\"sealed\"}}");
    place.binary.until_metric(&sealed("File4"), "1").await;

    // Beside a predecessor, as if that had been told by another sdgroup over the database that they share.
    let running = Running::start(&place.director, "Runs on").await;
    place.binary.hand_over();
    place.binary.until_metric("sdgroup_predecessors", "1").await;
    let file = rusqlite::Connection::open(place.binary.state_file()).unwrap();
    let told = "INSERT INTO states (storage, state, set_by) VALUES ('File6', 'sealed', 'ann')";
    assert_eq!(file.execute(told, []).unwrap(), 1);
    place.binary.until_metric(&sealed("File6"), "1").await;
    running.finish().await;
}

/// Jobs of one round, in all stages.
struct Round {
    running: Vec<Running>,
    late: Vec<Late>,
    whole: Vec<JoinHandle<(Report, Vec<Record>)>>,
}

impl Round {
    async fn begin(director: &Director, round: usize, jobs: usize) -> Self {
        let start = |number: usize| {
            let (director, name) = (director.clone(), format!("Round{round} {number}"));
            tokio::spawn(async move { Running::start(&director, &name).await })
        };
        let begun: Vec<_> = (0..jobs / 2).map(start).collect();
        let mut running = Vec::new();
        for job in begun {
            running.push(soon("a job to run", job).await.unwrap());
        }
        let mut late = Vec::new();
        for number in 0..jobs / 4 {
            late.push(Late::begin(director, &format!("Late{round} {number}")).await);
        }
        let whole = (0..jobs - jobs / 2 - jobs / 4).map(|number| {
            let (director, name) = (director.clone(), format!("Whole{round} {number}"));
            tokio::spawn(async move { back_up(&director, &name).await })
        });
        Self {
            running,
            late,
            whole: whole.collect(),
        }
    }

    async fn finish(self, director: &Director) -> Vec<(Report, Vec<Record>)> {
        let running = self.running.into_iter().map(|job| tokio::spawn(job.finish()));
        let late = self
            .late
            .into_iter()
            .zip(0..)
            .map(|(job, seed)| tokio::spawn(job.finish(seed)));
        let mut done = Vec::new();
        for job in running.chain(late).collect::<Vec<_>>() {
            let (report, records) = soon("a job", job).await.unwrap();
            director.record(&report, &records);
            done.push((report, records));
        }
        for job in self.whole {
            done.push(soon("a whole job", job).await.unwrap());
        }
        done
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_handovers_in_a_row_in_the_middle_of_500_jobs_lose_none() {
    const ROUNDS: usize = 5;
    const JOBS: usize = 100;
    crate::harness::allow_many_open_files();
    let plot = Plot {
        maximum_concurrent_jobs: 500,
        settings: |settings| settings.jobs_per_device = 200,
        group: "LoginTimeout = \"30 seconds\"\nConnectTimeout = \"30 seconds\"\nReserveTimeout = \"60 seconds\"",
        process: "LoginTimeout = \"30 seconds\"\nFirstPacketTimeout = \"30 seconds\"\nRouteWait = \"30 seconds\"",
        ..Plot::default()
    };
    let mut place = Apart::start(plot).await;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        rounds.push(Round::begin(&place.director, round, JOBS).await);
        tokio::task::block_in_place(|| place.binary.hand_over());
        place
            .binary
            .until_metric("sdgroup_predecessors", &(round + 1).to_string())
            .await;
    }
    // All of them have jobs yet, five processes beside the one that serves.
    let mut done = Vec::new();
    for round in rounds {
        done.extend(round.finish(&place.director).await);
    }
    assert_eq!(done.len(), ROUNDS * JOBS);
    assert!(place.binary.ended().await.success(), "{}", place.binary.log());
    place.binary.until_metric("sdgroup_predecessors", "0").await;
    for (report, records) in &done {
        assert_eq!(place.restore(report).await, *records, "{}", report.name);
    }
    for name in NAMES {
        let series = format!("sdgroup_storage_jobs{{storage=\"{name}\"}}");
        place.binary.until_metric(&series, "0").await;
    }
    place.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_hands_over_once_the_program_has_been_replaced_and_goes_on_when_that_cannot_start() {
    let mut place = Apart::start(Plot::listed()).await;
    place.binary.install().await;
    let running = Running::start(&place.director, "Runs on").await;
    let said = place.binary.command(&["reload", "--upgrade"]).unwrap();
    assert!(said.starts_with("reloaded"), "{said}");

    place.binary.replace_program("/bin/false");
    let said = place.binary.command(&["reload", "--upgrade"]).unwrap_err();
    assert!(said.contains("its log tells why"), "{said}");
    let (report, records) = place.back_up("By the one before").await;
    assert_eq!(place.restore(&report).await, records);

    place.binary.replace_program(env!("CARGO_BIN_EXE_sdgroup"));
    place.binary.upgrade();
    place.binary.until_metric("sdgroup_predecessor_jobs", "1").await;
    let (report, records) = place.back_up("By the new one").await;
    assert_eq!(place.restore(&report).await, records);
    let (report, records) = running.finish().await;
    assert_eq!(place.storages[0].written_by(&report.name), records);
    assert!(place.binary.ended().await.success(), "{}", place.binary.log());
    let said = place.binary.command(&["reload", "--upgrade"]).unwrap();
    assert!(said.starts_with("reloaded"), "{said}");
    place.assert_clean().await;
}
