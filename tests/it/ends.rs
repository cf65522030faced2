//! Jobs that end in disorder leave nothing behind, and whoever waits is told at once.

use sdgroup::types::{JobLevel, JobStatus};

use crate::harness::bytes_of_jobs::{Amount, files};
use crate::harness::running::{LATER, Running};
use crate::harness::site::{POOL, Plot, Site};
use crate::harness::wait::{soon, until_true};
use crate::peers::director::Plan;
use crate::peers::storage::Point;

fn listed() -> Plot {
    Plot {
        policy: "ListedOrder",
        ..Plot::default()
    }
}

#[tokio::test]
async fn a_storage_is_told_when_the_director_of_a_job_that_waits_there_has_vanished() {
    let site = Site::new(listed()).await;
    let mut job = site.director.begin(&Plan::backup("Orphan", POOL)).await.unwrap();
    job.reserve().await.unwrap();
    job.run().await.unwrap();
    site.storages[0].until_reached(Point::Run, 1).await;
    drop(job);
    site.storages[0].until_reached(Point::Cancel, 1).await;
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_client_that_hangs_after_the_end_keeps_no_place() {
    let site = Site::new(listed()).await;
    let running = Running::start(&site.director, "Unwanted").await;
    site.director.cancel(&running.name).await.unwrap();
    let Running { link, ends, .. } = running;
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled));
    until_true("the place to be free", || site.sdgroup.running("File4") == 0).await;
    drop(link);
}

#[tokio::test]
async fn the_director_is_told_at_once_when_jobs_are_cut() {
    let plot = Plot {
        group: LATER,
        ..listed()
    };
    let site = Site::new(plot).await;
    // The storage, which waits for its Client, is told to cancel the job, and takes its time.
    site.storages[0].hold(Point::Cancel);
    let mut job = site.director.begin(&Plan::backup("Cut", POOL)).await.unwrap();
    job.reserve().await.unwrap();
    job.run().await.unwrap();
    site.storages[0].until_reached(Point::Run, 1).await;
    site.sdgroup.context.stop_jobs();
    let report = soon("the end", job.finish()).await;
    assert_eq!(report.status(), Some(JobStatus::FatalError));
    site.storages[0].until_reached(Point::Cancel, 1).await;
    site.storages[0].release(Point::Cancel);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_in_the_middle_of_its_bootstrap_can_be_canceled() {
    let site = Site::new(listed()).await;
    let mut job = site.director.begin(&Plan::restore(POOL)).await.unwrap();
    job.reserve().await.unwrap();
    job.control.wire.send("bootstrap\n").await.unwrap();
    let said = site.director.cancel(&job.name).await.unwrap();
    assert!(said.contains("marked to be canceled"), "{said}");
    until_true("the job to be gone", || site.sdgroup.context.jobs.all().is_empty()).await;
}

#[tokio::test]
async fn a_storage_that_does_not_read_its_bootstrap_keeps_no_job() {
    let plot = Plot {
        over_links: true,
        ..listed()
    };
    let site = Site::new(plot).await;
    let (report, _) = site
        .director
        .back_up(&Plan::backup("B", POOL), &files(5, Amount::SMALL))
        .await
        .unwrap();
    let storage = &site.director.storage;
    let mut lines = site
        .director
        .catalog
        .bootstrap(&[report.id.0], &storage.name, &storage.device);
    // More than the sockets on the way take.
    lines.extend((500_000..1_100_000).map(|at| format!("FileIndex={0}-{0}\n", at * 2)));
    site.storages[0].hold(Point::UseDevice);
    let mut job = site.director.begin(&Plan::restore(POOL)).await.unwrap();
    job.reserve().await.unwrap();
    let asks = tokio::spawn(async move { job.bootstrap(&lines).await.map(|()| job) });
    site.storages[0].until_reached(Point::UseDevice, 2).await;
    site.links[0].stall_there(true);
    site.storages[0].release(Point::UseDevice);
    site.sdgroup.context.stop_jobs();
    until_true("the job to be gone", || site.sdgroup.context.jobs.all().is_empty()).await;
    until_true("its place to be free", || site.sdgroup.running("File4") == 0).await;
    asks.abort();
}

#[tokio::test]
async fn the_next_job_knows_of_one_whose_director_has_not_parted_yet() {
    let plot = Plot {
        group: "Locality = \"require\"",
        ..Plot::default()
    };
    let site = Site::new(plot).await;
    let mut first = site.director.begin(&Plan::backup("Nightly", POOL)).await.unwrap();
    first.reserve().await.unwrap();
    first.run().await.unwrap();
    let records = files(3, Amount::SMALL);
    let client = tokio::spawn(crate::peers::client::back_up(first.errand(), records));
    soon("the end of the first", first.until_over()).await;
    client.await.unwrap().unwrap();

    let mut plan = Plan::backup("Nightly", POOL);
    plan.level = JobLevel::Incremental;
    let mut next = site.director.begin(&plan).await.unwrap();
    next.reserve().await.unwrap();
    next.run().await.unwrap();
    let client = tokio::spawn(crate::peers::client::back_up(next.errand(), files(4, Amount::SMALL)));
    let next = soon("the end of the next", next.finish()).await;
    client.await.unwrap().unwrap();

    let first = soon("the first to part", first.finish()).await;
    assert_eq!(first.status(), Some(JobStatus::Terminated), "{:?}", first.told);
    assert_eq!(site.home(&next).settings().name, site.home(&first).settings().name);
    site.until_quiet(&[&first, &next]).await;
}
