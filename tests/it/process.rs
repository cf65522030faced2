//! The process with jobs in it: signals, its end, its next start, its probes.

use rustix::process::Signal;
use sdgroup::types::JobStatus;

use crate::harness::apart::Apart;
use crate::harness::bytes_of_jobs::{Amount, files};
use crate::harness::running::{Running, refusal};
use crate::harness::site::{POOL, Plot};
use crate::harness::wait::{soon, until_true};
use crate::peers::client;
use crate::peers::director::Plan;

/// Where storages that are down cost a second.
fn plot() -> Plot {
    Plot {
        group: "LoginTimeout = \"10 seconds\"\nDownWait = \"1 second\"",
        ..Plot::listed()
    }
}

#[tokio::test]
async fn a_process_that_is_told_to_end_lets_its_jobs_end_and_takes_no_new_ones() {
    let mut place = Apart::start(plot()).await;
    let running = Running::start(&place.director, "Last").await;
    // This one's Client comes when the end has been announced already.
    let mut late = place.director.begin(&Plan::backup("Late client", POOL)).await.unwrap();
    late.reserve().await.unwrap();
    place.binary.signal(Signal::TERM);
    until_true("new jobs to be refused", || {
        place.binary.get("/readyz").is_none_or(|(status, _)| status != 200)
    })
    .await;
    let refused = place
        .director
        .begin(&Plan::backup("Refused", POOL))
        .await
        .map(drop)
        .unwrap_err();
    assert!(refused.to_string().contains("takes no new jobs"), "{refused}");

    late.run().await.unwrap();
    let client = tokio::spawn(client::back_up(late.errand(), files(1, Amount::SMALL)));
    let late = soon("the late job", late.finish()).await;
    client.await.unwrap().unwrap();
    assert_eq!(late.status(), Some(JobStatus::Terminated), "{:?}", late.told);
    assert!(place.binary.is_running(), "a job runs yet");
    let (report, records) = running.finish().await;
    assert_eq!(place.storages[0].written_by(&report.name), records);
    assert!(place.binary.ended().await.success(), "{}", place.binary.log());
}

#[tokio::test]
async fn a_second_signal_ends_jobs_with_a_word_to_each() {
    let mut place = Apart::start(plot()).await;
    let Running { mut link, ends, .. } = Running::start(&place.director, "Cut short").await;
    place.binary.signal(Signal::TERM);
    until_true("the drain", || {
        place.binary.get("/readyz").is_none_or(|(status, _)| status != 200)
    })
    .await;
    place.binary.signal(Signal::TERM);
    let report = soon("the job's end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    assert!(report.told.says(&["told to end at once"]), "{:?}", report.told.log);
    soon("the Client to be told", link.wire.until_closed()).await;
    place.binary.ended().await;
    until_true("the storage to let the job go", || place.storages[0].jobs() == 0).await;
}

#[tokio::test]
async fn a_process_that_is_killed_ends_its_jobs_and_knows_its_volumes_when_it_is_back() {
    let mut place = Apart::start(plot()).await;
    let (kept, records) = place.back_up("Kept").await;
    let Running { mut link, ends, .. } = Running::start(&place.director, "Lost").await;
    place.binary.signal(Signal::KILL);
    let lost = soon("the Director to notice", ends).await.unwrap();
    assert_eq!(lost.status(), None, "{:?}", lost.told);
    soon("the Client to notice", link.wire.until_closed()).await;
    drop(link);
    place.binary.ended().await;

    place.binary.start_again().await;
    assert_eq!(place.restore(&kept).await, records);
    let (next, records) = place.back_up("Next").await;
    assert_eq!(place.restore(&next).await, records);
    for storage in &place.storages {
        assert_eq!((storage.strangers().len(), storage.missing().len()), (0, 0));
    }
}

#[tokio::test]
async fn probes_close_the_door_of_a_storage_and_open_it_again() {
    let plot = Plot {
        policy: "ListedOrder",
        probe: "Interval = \"0.2 seconds\"\nTimeout = \"2 seconds\"\nRise = 2\nFall = 2",
        ..Plot::default()
    };
    let place = Apart::start(plot).await;
    let up = "sdgroup_storage_up{storage=\"File4\"}";
    place.binary.until_metric(up, "1").await;
    let free = "sdgroup_storage_free_bytes{storage=\"File4\"}";
    place.binary.until_metric(free, "NaN").await;
    place.storages[0].tell_space(512_000, 1_024_000);
    place.binary.until_metric(free, "512000").await;
    place.storages[0].refuse_connections().await;
    place.binary.until_metric(up, "0").await;
    let (report, _) = place.back_up("Elsewhere").await;
    assert!(
        report.told.says(&["Placed on", "File5"]) && !report.told.says(&["did not take"]),
        "{:?}",
        report.told.log
    );
    place.storages[0].listen_again();
    place.binary.until_metric(up, "1").await;
    let (report, _) = place.back_up("Home").await;
    assert!(report.told.says(&["Placed on", "File4"]), "{:?}", report.told.log);

    // A storage that hangs is as bad as one that is down, and a job that runs there is not touched.
    let running = Running::start(&place.director, "Runs on").await;
    place.storages[0].freeze();
    place.binary.until_metric(up, "0").await;
    place.storages[0].thaw();
    place.binary.until_metric(up, "1").await;
    let (report, records) = running.finish().await;
    assert_eq!(place.storages[0].written_by(&report.name), records);
    // Probes leave nothing behind.
    assert!(
        place.storages[0]
            .commands()
            .iter()
            .any(|line| line.starts_with(".status"))
    );
    assert_eq!(place.storages[0].broken_rules(), [""; 0]);
}

#[tokio::test]
async fn jobs_that_run_end_well_when_descriptors_are_used_up_and_one_too_many_is_told_so() {
    // Enough for ten jobs, and what else there is.
    let place = Apart::start_with(Plot::default(), Some(60)).await;
    let mut running = Vec::new();
    for number in 0..10 {
        running.push(Running::start(&place.director, &format!("Fits{number}")).await);
    }
    let refused = place.director.begin(&Plan::backup("One too many", POOL)).await;
    let said = refusal(refused.map(|_| ()).unwrap_err());
    assert!(
        said.contains("sdgroup may have descriptors for 10: raise LimitNOFILE"),
        "{said}"
    );
    let series = r#"sdgroup_jobs_refused_total{group="Files",cause="descriptors"}"#;
    place.binary.until_metric(series, "1").await;
    for job in running {
        let (report, records) = job.finish().await;
        let home = place
            .storages
            .iter()
            .find(|storage| storage.written_by(&report.name) == records);
        assert!(home.is_some(), "no storage has all of {}", report.name);
    }
    place.back_up("There is room again").await;
}
