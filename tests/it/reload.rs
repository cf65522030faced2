//! Another configuration while jobs run, in a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use sdgroup::types::JobStatus;

use crate::harness::apart::Apart;
use crate::harness::binary::Binary;
use crate::harness::bytes_of_jobs::{Amount, files};
use crate::harness::running::{Running, back_up, refusal, restore};
use crate::harness::site::{NAMES, POOL, Plot};
use crate::harness::wait::{soon, until_true};
use crate::peers::client;
use crate::peers::director::Plan;

/// The configuration without one of its storages.
fn without(text: &str, storage: &str) -> String {
    let mut tables = text.split("[[Storage]]");
    let head = tables.next().unwrap().replace(&format!("\"{storage}\", "), "");
    let name = format!("Name = \"{storage}\"");
    tables
        .filter(|table| !table.contains(&name))
        .fold(head, |text, table| format!("{text}[[Storage]]{table}"))
}

#[tokio::test]
async fn a_storage_that_is_removed_finishes_its_jobs_and_is_there_again_when_it_is_back() {
    let Apart {
        storages,
        binary,
        director,
    } = Apart::start(Plot::listed()).await;
    let whole = binary.configuration();
    let running = Running::start(&director, "Runs on").await;
    let mut late = director.begin(&Plan::backup("Late client", POOL)).await.unwrap();
    late.reserve().await.unwrap();

    binary.configure(&without(&whole, "File4"));
    let told = binary.command(&["reload"]).unwrap();
    assert_eq!(
        told,
        "reloaded, 2 changes:\n  [[Storage]] File4 is gone\n  [[Group]] Files: Storages\n"
    );
    let (elsewhere, _) = back_up(&director, "Elsewhere").await;
    assert!(elsewhere.told.says(&["Placed on", "File5"]), "{:?}", elsewhere.told.log);
    late.run().await.unwrap();
    let (errand, records) = (late.errand(), files(1, Amount::SMALL));
    let client = tokio::spawn(client::back_up(errand, records.clone()));
    let late = soon("the late job", late.finish()).await;
    client.await.unwrap().unwrap();
    assert_eq!(late.status(), Some(JobStatus::Terminated), "{:?}", late.told);
    assert_eq!(storages[0].written_by(&late.name), records);
    director.record(&late, &records);
    let (report, records) = running.finish().await;
    assert_eq!(storages[0].written_by(&report.name), records);
    director.record(&report, &records);

    let plan = Plan::restore(POOL);
    let said = refusal(
        soon("a refusal", director.restore(&plan, &[report.id]))
            .await
            .unwrap_err(),
    );
    assert!(said.contains("File4"), "{said}");
    binary.configure(&whole);
    binary.signal(Signal::HUP);
    let applied = "sdgroup_config_reloads_total{outcome=\"applied\"}";
    binary.until_metric(applied, "2").await;
    assert_eq!(restore(&director, &report).await, records);
    let (home, _) = back_up(&director, "Home").await;
    assert!(home.told.says(&["Placed on", "File4"]), "{:?}", home.told.log);
    for storage in &storages {
        until_true("the storages to be without jobs", || storage.jobs() == 0).await;
        assert_eq!((storage.strangers().len(), storage.missing().len()), (0, 0));
        assert_eq!(storage.broken_rules(), [""; 0]);
    }
}

/// What the nth configuration of a storm looks like.
fn gust(whole: &str, number: usize) -> String {
    match number % 8 {
        0 => without(whole, "File4"),
        2 => without(whole, "File5"),
        4 => whole.replace("MaximumConcurrentJobs = 100", "MaximumConcurrentJobs = 3\nWeight = 2"),
        6 => whole.replace("\"RoundRobin\"", "\"LeastUsed\""),
        1 => whole.replace("[Probe]", "[Probe]\nIntervall = \"1 hour\""),
        3 => format!("{whole}\n[[Group"),
        5 => without(whole, "File4").replace("Storages = [", "Storages = [\"File4\", "),
        _ => whole.replace("[Sdgroup]", "[Sdgroup]\nLogLevel = \"debug\""),
    }
}

/// So many reloads, and one that makes all as it was.
fn rage(binary: &Binary, reloads: usize) {
    let whole = binary.configuration();
    for number in 0..reloads {
        binary.configure(&gust(&whole, number));
        let told = binary.command(&["reload"]);
        assert_eq!(told.is_ok(), number % 2 == 0, "{number}: {told:?}");
        let said = told.unwrap_or_else(|error| error);
        let expected = match (number % 2, number % 8) {
            (0, _) => "reloaded",
            (_, 7) => "[Sdgroup]: LogLevel",
            _ => "error",
        };
        assert!(said.contains(expected), "{number}: {said}");
    }
    binary.configure(&whole);
    binary.command(&["reload"]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_a_hundred_reloads_loses_nothing_and_the_metric_tells() {
    const RELOADS: usize = 100;
    let plot = Plot {
        group: "BusyWait = \"30 seconds\"\nLoginTimeout = \"30 seconds\"\nConnectTimeout = \"30 seconds\"",
        process: "LoginTimeout = \"30 seconds\"\nFirstPacketTimeout = \"30 seconds\"",
        ..Plot::default()
    };
    let Apart {
        storages,
        binary,
        director,
    } = Apart::start(plot).await;
    let mut running = Vec::new();
    for number in 0..3 {
        running.push(Running::start(&director, &format!("Through all of it {number}")).await);
    }
    let calm = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (director, calm) = (director.clone(), Arc::clone(&calm));
            tokio::spawn(async move {
                let mut done = Vec::new();
                while !calm.load(Ordering::Relaxed) {
                    done.push(back_up(&director, &format!("In the storm {worker}")).await);
                }
                done
            })
        })
        .collect();
    let binary = tokio::task::spawn_blocking(move || {
        rage(&binary, RELOADS);
        binary
    });
    let binary = binary.await.unwrap();
    calm.store(true, Ordering::Relaxed);
    let mut done = Vec::new();
    for worker in workers {
        done.extend(soon("the jobs", worker).await.unwrap());
    }
    assert!(done.len() > 10, "{} jobs", done.len());
    for job in running {
        let (report, records) = job.finish().await;
        director.record(&report, &records);
        done.push((report, records));
    }
    for (outcome, times) in [("applied", 51), ("refused", 38), ("needs_handover", 12)] {
        let series = format!("sdgroup_config_reloads_total{{outcome=\"{outcome}\"}}");
        binary.until_metric(&series, &times.to_string()).await;
    }
    binary.until_metric("sdgroup_config_last_load_successful", "1").await;
    for name in NAMES {
        let series = format!("sdgroup_storage_jobs{{storage=\"{name}\"}}");
        binary.until_metric(&series, "0").await;
    }
    for (report, records) in &done {
        assert_eq!(restore(&director, report).await, *records, "{}", report.name);
    }
    for storage in &storages {
        assert_eq!((storage.strangers().len(), storage.missing().len()), (0, 0));
        assert_eq!(storage.broken_rules(), [""; 0]);
    }
    assert_eq!(director.catalog.refused(), [""; 0]);
}
