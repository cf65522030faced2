//! Two sdgroups with one database, between simulated daemons: whatever one has, the other knows.

use std::net::SocketAddr;
use std::sync::Arc;

use rustix::process::Signal;
use sdgroup::types::JobStatus;

use crate::database::{Machine, migrated, table};
use crate::harness::apart::assert_clean;
use crate::harness::binary::Binary;
use crate::harness::running::{Running, back_up, restore};
use crate::harness::site::{NAMES, POOL, Plot, catalog, director_at, storages};
use crate::harness::wait::{soon, until_told, until_true};
use crate::peers::client::{ClientError, DataLink};
use crate::peers::director::{Director, Plan};
use crate::peers::storage::Storage;

pub(crate) const PASSWORD: &str = "known to all sdgroups";

/// Nothing here is about time, and the machine may be busy.
pub(crate) fn patient() -> Plot {
    Plot {
        group: "LoginTimeout = \"30 seconds\"\nConnectTimeout = \"30 seconds\"\nReserveTimeout = \"60 seconds\"\n\
                BusyWait = \"60 seconds\"",
        process: "LoginTimeout = \"30 seconds\"\nFirstPacketTimeout = \"30 seconds\"",
        ..Plot::default()
    }
}

/// One job on each storage, and these in their order.
fn full_at_once() -> Plot {
    Plot {
        policy: "ListedOrder",
        maximum_concurrent_jobs: 1,
        ..patient()
    }
}

/// Two of them; the Director calls the first, and has Clients call the second.
pub(crate) struct Pair {
    pub(crate) machine: Machine,
    storages: Vec<Arc<Storage>>,
    a: Binary,
    b: Binary,
    pub(crate) crossed: Director,
}

fn own(name: &str, password: &str) -> String {
    format!("[Peers]\nName = \"{name}\"\nAddress = \"127.0.0.1\"\nPassword = \"{password}\"\n\n")
}

impl Pair {
    async fn start(plot: Plot) -> Self {
        Self::with_passwords(plot, [PASSWORD; 2]).await
    }

    async fn with_passwords(plot: Plot, passwords: [&str; 2]) -> Self {
        Self::with_database(plot, passwords, migrated().await).await
    }

    pub(crate) async fn with_database(plot: Plot, passwords: [&str; 2], machine: Machine) -> Self {
        let storages = storages(&plot);
        let addresses: Vec<SocketAddr> = storages.iter().map(|storage| storage.address).collect();
        let [a, b] = ["a", "b"].map(|name| {
            let password = if name == "a" { passwords[0] } else { passwords[1] };
            let more = table(&[&machine]) + &own(name, password);
            Plot {
                more: more.leak(),
                pool: plot.pool.clone(),
                ..plot
            }
        });
        let (a, b) = (
            Binary::start(&a, &addresses, None).await,
            Binary::start(&b, &addresses, None).await,
        );
        for sdgroup in [&a, &b] {
            sdgroup.until_metric("sdgroup_peers", "1").await;
        }
        let mut crossed = director_at(a.address(), catalog());
        crossed.clients_call = Some(b.address());
        Self {
            machine,
            storages,
            a,
            b,
            crossed,
        }
    }

    /// The Director that calls the second; of the same site.
    pub(crate) fn other(&self) -> Director {
        let mut other = self.crossed.clone();
        other.storage.address = self.b.address();
        other.clients_call = Some(self.a.address());
        other
    }

    /// Waits until the storages are without jobs, and looks for traces.
    async fn until_quiet(&self) {
        assert_clean(&self.storages, &self.crossed).await;
    }
}

fn jobs_on(name: &str) -> String {
    format!("sdgroup_storage_jobs{{storage=\"{name}\"}}")
}

fn passed(direction: &str) -> String {
    format!("sdgroup_connections_passed_total{{direction=\"{direction}\"}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_calls_the_other_sdgroup_reaches_its_job() {
    let mut pair = Pair::start(patient()).await;
    let (report, records) = back_up(&pair.crossed, "Crossed").await;
    // The key of a restore is sdgroup's own: its data connection is a bridge.
    assert_eq!(restore(&pair.crossed, &report).await, records);
    pair.b.until_metric(&passed("out"), "2").await;
    pair.a.until_metric(&passed("in"), "2").await;
    // And the other way round, for volumes that the first has learned of.
    let other = pair.other();
    assert_eq!(restore(&other, &report).await, records);
    let (back, records) = back_up(&other, "Back").await;
    assert_eq!(restore(&pair.crossed, &back).await, records);

    // Each shows both.
    let status = pair.b.command(&["status"]).unwrap();
    let ours = status.lines().find(|line| line.trim_start().starts_with("b "));
    assert!(ours.unwrap().contains("this one"), "{status}");
    let address = pair.a.address().to_string();
    let theirs = status.lines().find(|line| line.trim_start().starts_with("a "));
    assert!(theirs.unwrap().contains(&address), "{status}");
    let told = other.console("status\n").await.unwrap().join("");
    assert!(told.contains(&format!("Peer a at {address}: ")), "{told}");

    // While one hands over, the process that has the job gets it.
    let mut late = pair.crossed.begin(&Plan::backup("Late", POOL)).await.unwrap();
    late.reserve().await.unwrap();
    pair.a.hand_over();
    late.run().await.unwrap();
    let client = tokio::spawn(crate::peers::client::back_up(late.errand(), records.clone()));
    let report = soon("the late job", late.finish()).await;
    soon("the late Client", client).await.unwrap().unwrap();
    assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
    assert!(pair.a.ended().await.success(), "{}", pair.a.log());
    pair.crossed.record(&report, &records);
    let (after, written) = back_up(&pair.crossed, "After the handover").await;
    let (elsewhere, elsewheres) = back_up(&other, "At the other").await;
    for (report, records) in [(&report, &records), (&after, &written), (&elsewhere, &elsewheres)] {
        assert_eq!(restore(&pair.crossed, report).await, *records);
        assert_eq!(restore(&other, report).await, *records);
    }

    // One that names no job of anybody's is turned away.
    let mut nobody = pair.crossed.begin(&Plan::backup("Gone", POOL)).await.unwrap();
    nobody.reserve().await.unwrap();
    let errand = nobody.errand();
    drop(nobody);
    pair.until_quiet().await;
    until_true("the route to be gone", || {
        pair.machine.ask("SELECT count(*) FROM sdgroup.routes") == "0"
    })
    .await;
    let turned_away = soon("the end", DataLink::open(&errand)).await;
    assert!(turned_away.is_err());
    pair.b.until_metric("sdgroup_routes_missing_total", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_not_needed_to_find_a_job() {
    let pair = Pair::start(patient()).await;
    pair.machine.server.kill();
    for sdgroup in [&pair.a, &pair.b] {
        sdgroup.until_metric("sdgroup_store_up", "0").await;
    }
    let (report, records) = back_up(&pair.crossed, "Away").await;
    assert_eq!(restore(&pair.crossed, &report).await, records);
    pair.b.until_metric(&passed("out"), "2").await;
    pair.until_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_both_are_counted_by_both() {
    let pair = Pair::start(full_at_once()).await;
    let other = pair.other();
    let first = Running::start(&pair.crossed, "First").await;
    pair.b.until_metric(&jobs_on("File4"), "1").await;
    let second = Running::start(&other, "Second").await;
    pair.a.until_metric(&jobs_on("File5"), "1").await;
    let third = Running::start(&pair.crossed, "Third").await;
    pair.b.until_metric(&jobs_on("File6"), "1").await;
    for (storage, job) in pair.storages.iter().zip([&first, &second, &third]) {
        until_true("the job's data to be where it is to be", || {
            !storage.written_by(&job.name).is_empty()
        })
        .await;
    }
    // All are full, to both; the place that is given back at one is taken at the other.
    let waits = tokio::spawn({
        let other = other.clone();
        async move { back_up(&other, "Waits").await }
    });
    pair.b
        .until_metric("sdgroup_group_queued_jobs{group=\"Files\"}", "1")
        .await;
    let (first, records) = first.finish().await;
    pair.crossed.record(&first, &records);
    let (waited, _) = soon("the job that waited", waits).await.unwrap();
    assert!(!pair.storages[0].written_by(&waited.name).is_empty());
    assert_eq!(restore(&other, &first).await, records);
    second.finish().await;
    third.finish().await;
    for name in NAMES {
        for sdgroup in [&pair.a, &pair.b] {
            sdgroup.until_metric(&jobs_on(name), "0").await;
        }
    }
    for storage in &pair.storages {
        assert_eq!(storage.most_jobs(), 1);
    }
    pair.until_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_reaches_a_job_that_waits_at_the_other() {
    let pair = Pair::start(full_at_once()).await;
    let other = pair.other();
    let mut full = Vec::new();
    for name in NAMES {
        full.push(Running::start(&pair.crossed, name).await);
    }
    // It has no storage that could be asked.
    let (id, name) = pair.crossed.next_job("Waits");
    let control = pair.crossed.call().await.unwrap();
    let waits = tokio::spawn({
        let name = name.clone();
        async move { control.begin(&Plan::backup("Waits", POOL), id, name).await.map(drop) }
    });
    pair.a
        .until_metric("sdgroup_group_queued_jobs{group=\"Files\"}", "1")
        .await;
    let said = other.cancel(&name).await.unwrap();
    assert!(said.contains("marked to be canceled"), "{said}");
    let refused = soon("the end of the job that waited", waits).await.unwrap();
    assert!(refused.is_err());
    // One that runs is canceled at its storage, and its own sdgroup knows.
    let running = full.pop().unwrap();
    let said = other.cancel(&running.name).await.unwrap();
    assert!(said.contains("marked to be canceled"), "{said}");
    let report = soon("the canceled job", running.ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled), "{:?}", report.told);
    drop(running.link);
    for job in full {
        job.finish().await;
    }
    pair.until_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn least_used_is_even_over_both() {
    let even = Plot {
        policy: "LeastUsed",
        ..patient()
    };
    let pair = Pair::start(even).await;
    let other = pair.other();
    let begun: Vec<_> = (0..24)
        .map(|number| {
            let director = if number % 2 == 0 { &pair.crossed } else { &other }.clone();
            tokio::spawn(async move { Running::start(&director, &format!("Job{number}")).await })
        })
        .collect();
    let mut running = Vec::new();
    for job in begun {
        let job = soon("a job to run", job).await;
        running.push(job.unwrap_or_else(|error| panic!("{error}\n{}\n{}", pair.a.log(), pair.b.log())));
    }
    let counts: Vec<_> = pair.storages.iter().map(|storage| storage.jobs()).collect();
    let (most, fewest) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
    assert_eq!(counts.iter().sum::<usize>(), 24);
    assert!(most - fewest <= 2, "{counts:?}");
    for (name, count) in NAMES.iter().zip(&counts) {
        for sdgroup in [&pair.a, &pair.b] {
            sdgroup.until_metric(&jobs_on(name), &count.to_string()).await;
        }
    }
    for job in running {
        job.finish().await;
    }
    pair.until_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_sdgroup_had_is_released() {
    let mut pair = Pair::start(full_at_once()).await;
    let mut lost = Vec::new();
    for name in NAMES {
        lost.push(Running::start(&pair.crossed, name).await);
    }
    for name in NAMES {
        pair.b.until_metric(&jobs_on(name), "1").await;
    }
    let other = pair.other();
    let mut direct = other.clone();
    direct.clients_call = Some(pair.b.address());
    let waits = tokio::spawn(async move { back_up(&direct, "Waits").await });
    pair.b
        .until_metric("sdgroup_group_queued_jobs{group=\"Files\"}", "1")
        .await;

    pair.a.signal(Signal::KILL);
    pair.a.ended().await;
    soon("the job that waited for the dead", waits).await.unwrap();
    pair.b.until_metric("sdgroup_peers", "0").await;
    for job in lost {
        let report = soon("a lost job", job.ends).await.unwrap();
        assert_ne!(report.status(), Some(JobStatus::Terminated));
        let mut link = job.link;
        let over = soon("the Client to notice", async {
            loop {
                if let Err(error) = link.send(&job.records).await {
                    return error;
                }
            }
        });
        let error: ClientError = over.await;
        assert!(!error.to_string().is_empty());
    }
    // Its routes go when it is struck from the list.
    let of_the_dead = "SELECT count(*) FROM sdgroup.routes JOIN sdgroup.peers USING (owner) WHERE name = 'a'";
    assert_eq!(pair.machine.ask(of_the_dead), "3");
    pair.machine
        .ask("UPDATE sdgroup.peers SET heard = heard - interval '1 minute' WHERE name = 'a'");
    until_told("the routes to go", || {
        let left = pair.machine.ask("SELECT count(*) FROM sdgroup.routes");
        if left == "0" { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_know_the_password_passes_nothing_on() {
    let pair = Pair::with_passwords(patient(), [PASSWORD, "another one, as it happens"]).await;
    let mut job = pair.crossed.begin(&Plan::backup("Crossed", POOL)).await.unwrap();
    job.reserve().await.unwrap();
    job.run().await.unwrap();
    let turned_away = soon("the end", DataLink::open(&job.errand())).await;
    assert!(turned_away.is_err());
    for (sdgroup, words) in [(&pair.a, ["login_refused", "peer"]), (&pair.b, ["peer_failed", ""])] {
        until_told("the refusal to be told", || {
            let log = sdgroup.log();
            let told = log.lines().any(|line| words.iter().all(|word| line.contains(word)));
            told.then_some(()).ok_or(log)
        })
        .await;
    }
    // The job has lost nothing by it.
    let mut errand = job.errand();
    errand.address = pair.a.address();
    let records = crate::harness::bytes_of_jobs::files(7, crate::harness::bytes_of_jobs::Amount::SMALL);
    let client = tokio::spawn(crate::peers::client::back_up(errand, records));
    let report = soon("the job", job.finish()).await;
    soon("the Client", client).await.unwrap().unwrap();
    assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
}
