//! Storages, Directors and Clients that fail while a job runs, and jobs that meet each other.

use std::time::{Duration, Instant};

use sdgroup::types::{JobId, JobStatus};
use sdgroup::wire::packet::Signal;

use crate::harness::bytes_of_jobs::{Amount, files};
use crate::harness::running::{AT_ONCE, LATER, Running, back_up, refusal};
use crate::harness::site::{POOL, Plot, Site};
use crate::harness::wait::{soon, until_true};
use crate::peers::client::{self, DataLink};
use crate::peers::director::{Plan, Report};
use crate::peers::storage::{Point, Storage};

/// Lets `fault` happen to the storage of a job that runs; the job must be over soon, for Director and Client alike,
/// and the next one must run elsewhere.
async fn ends_a_running_job(site: &Site, fault: impl AsyncFnOnce(&Storage, usize)) -> Report {
    let running = Running::start(&site.director, "Struck").await;
    assert_eq!(site.sdgroup.running("File4"), 1);
    fault(&site.storages[0], 0).await;
    let begun = Instant::now();
    let Running { mut link, ends, .. } = running;
    let report = soon("the job's end in the Director", ends).await.unwrap();
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    assert!(report.told.says(&["File4"]), "{:?}", report.told.log);
    soon("the Client to be told", link.wire.until_closed()).await;
    until_true("the place to be free", || site.sdgroup.running("File4") == 0).await;
    assert!(site.sdgroup.ejected("File4"));
    let (next, _) = back_up(&site.director, "Next").await;
    assert_eq!(site.home(&next).settings().name, "File5");
    report
}

#[tokio::test]
async fn a_storage_that_dies_in_the_middle_ends_its_job_everywhere_at_once() {
    let plot = Plot {
        group: LATER,
        ..Plot::listed()
    };
    let site = Site::new(plot).await;
    let report = ends_a_running_job(&site, async |storage, _| storage.die().await).await;
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_link_that_breaks_in_the_middle_ends_its_job_everywhere_at_once() {
    let plot = Plot {
        over_links: true,
        group: LATER,
        ..Plot::listed()
    };
    let site = Site::new(plot).await;
    let report = ends_a_running_job(&site, async |_, at| site.links[at].cut()).await;
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_storage_that_dies_while_it_waits_for_the_client_ends_the_job() {
    let site = Site::new(Plot::listed()).await;
    let mut job = site.director.begin(&Plan::backup("No client", POOL)).await.unwrap();
    job.reserve().await.unwrap();
    job.run().await.unwrap();
    let errand = job.errand();
    site.storages[0].until_reached(Point::Run, 1).await;
    site.storages[0].die().await;
    let report = soon("the end", job.finish()).await;
    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    // The Client that comes now finds nothing.
    assert!(soon("the Client's end", DataLink::open(&errand)).await.is_err());
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn slow_links_and_stalls_end_no_job() {
    let plot = Plot {
        over_links: true,
        group: "DownWait = \"1 second\"\nLoginTimeout = \"20 seconds\"",
        ..Plot::listed()
    };
    let site = Site::new(plot).await;
    site.links[0].delay(Duration::from_millis(5));
    let (slow, records) = back_up(&site.director, "Slow").await;
    assert_eq!(site.storages[0].written_by(&slow.name), records);
    site.links[0].delay(Duration::ZERO);

    let running = Running::start(&site.director, "Stalled").await;
    site.links[0].stall_back(true);
    let finished = tokio::spawn(running.finish());
    // The data still arrive; the storage's word that it has them does not.
    site.storages[0].until_reached(Point::Written, 2).await;
    assert!(!finished.is_finished());
    site.links[0].stall_back(false);
    let (stalled, records) = soon("the stalled job", finished).await.unwrap();
    assert_eq!(site.storages[0].written_by(&stalled.name), records);
    site.until_quiet(&[&slow, &stalled]).await;
}

#[tokio::test]
async fn a_director_that_vanishes_in_the_middle_leaves_the_job_to_its_storage() {
    let site = Site::new(Plot::listed()).await;
    let Running { mut link, ends, .. } = Running::start(&site.director, "Orphan").await;
    ends.abort();
    // The storage does not notice before it needs the Director; the Client can send until then.
    link.wire.signal(Signal::Eod).await.unwrap();
    soon(
        "the data connection's end",
        link.wire.until_closed_after(Signal::Terminate),
    )
    .await;
    drop(link);
    until_true("the place to be free", || site.sdgroup.running("File4") == 0).await;
    let (next, _) = back_up(&site.director, "Next").await;
    assert_eq!(
        site.home(&next).settings().name,
        "File4",
        "the storage has done nothing wrong"
    );
    site.until_quiet(&[&next]).await;
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_job_and_nothing_else() {
    let site = Site::new(Plot::listed()).await;
    let stays = Running::start(&site.director, "Stays").await;
    let Running { link, ends, .. } = Running::start(&site.director, "Leaves").await;
    link.wire.reset();
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    let (kept, records) = stays.finish().await;
    assert_eq!(site.storages[0].written_by(&kept.name), records);
    assert!(!site.sdgroup.ejected("File4"));
    site.until_quiet(&[&report, &kept]).await;
}

#[tokio::test]
async fn a_job_that_is_rescheduled_takes_the_place_of_its_earlier_run() {
    let site = Site::new(Plot::listed()).await;
    let earlier = Running::start(&site.director, "Again").await;
    let name = earlier.name.clone();
    let Running { ends, link, .. } = earlier;
    // A Director that reschedules a job cancels what may be left of it, on the connection of the new run.
    let mut control = site.director.call().await.unwrap();
    control.wire.send(format!("cancel Job={name}\n")).await.unwrap();
    assert!(control.wire.message().await.unwrap().starts_with(b"3000 "));
    assert!(matches!(
        control.wire.message().await,
        Err(crate::harness::wire::WireError::Signal(Signal::Eod))
    ));
    let earlier = soon("the earlier run's end", ends).await.unwrap();
    assert_eq!(earlier.status(), Some(JobStatus::Canceled));
    drop(link);
    let records = files(9, Amount::SMALL);
    let mut job = control
        .begin(&Plan::backup("Again", POOL), earlier.id, name.clone())
        .await
        .unwrap();
    job.reserve().await.unwrap();
    job.run().await.unwrap();
    let client = tokio::spawn(client::back_up(job.errand(), records.clone()));
    let report = soon("the second run", job.finish()).await;
    client.await.unwrap().unwrap();
    assert_eq!(report.status(), Some(JobStatus::Terminated));
    assert!(site.home(&report).written_by(&name).ends_with(&records));
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn the_same_job_announced_again_ends_the_run_that_is_left() {
    let site = Site::new(Plot::listed()).await;
    let Running {
        name, ends, mut link, ..
    } = Running::start(&site.director, "Twice").await;
    let plan = Plan::backup("Twice", POOL);
    let again = site.director.begin_as(&plan, JobId(1), name.clone());
    let again = soon("the second run", again).await.unwrap();
    let earlier = soon("the earlier run's end", ends).await.unwrap();
    assert!(earlier.told.says(&["started the same job again"]), "{:?}", earlier.told);
    soon("its Client to be told", link.wire.until_closed()).await;
    drop(again);
    site.until_quiet(&[&earlier]).await;
}

#[tokio::test]
async fn two_directors_jobs_of_one_name_are_kept_apart() {
    let site = Site::new(Plot::listed()).await;
    let running = Running::start(&site.director, "Nightly").await;
    let other = site.other_director();
    let plan = Plan::backup("Nightly", POOL);
    let refused = other.begin_as(&plan, JobId(7), running.name.clone()).await;
    let said = refusal(refused.map(drop).unwrap_err());
    assert!(said.starts_with("3915 ") && said.contains("another Director"), "{said}");
    // Nor may one cancel the other's.
    assert!(other.cancel(&running.name).await.unwrap().starts_with("3904 "));
    let (report, records) = running.finish().await;
    assert_eq!(site.storages[0].written_by(&report.name), records);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn when_no_new_jobs_are_taken_running_ones_end_in_peace() {
    let site = Site::new(Plot::listed()).await;
    let running = Running::start(&site.director, "Last").await;
    site.sdgroup.context.admission.close("sdgroup is shutting down");
    let plan = Plan::backup("Late", POOL);
    let said = refusal(site.director.begin(&plan).await.map(drop).unwrap_err());
    assert!(said.starts_with("3915 ") && said.contains("shutting down"), "{said}");
    let (report, records) = running.finish().await;
    assert_eq!(site.storages[0].written_by(&report.name), records);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn when_jobs_are_to_end_at_once_each_is_told_why() {
    let site = Site::new(Plot::listed()).await;
    let Running { ends, mut link, .. } = Running::start(&site.director, "Cut short").await;
    site.sdgroup.context.stop_jobs();
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::FatalError));
    assert!(report.told.says(&["told to end at once"]), "{:?}", report.told);
    soon("the Client to be told", link.wire.until_closed()).await;
    site.until_quiet(&[&report]).await;
}
