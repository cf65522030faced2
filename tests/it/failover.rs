//! Storages that fail before they have the job, and jobs that go on to the next one.

use std::time::Instant;

use sdgroup::types::JobStatus;

use crate::harness::meters::Meters;
use crate::harness::running::{AT_ONCE, LATER, back_up};
use crate::harness::site::{POOL, Plot, Site};
use crate::harness::wait::soon;
use crate::peers::director::{Plan, Report};
use crate::peers::storage::Point;

fn in_no_hurry() -> Plot {
    Plot {
        group: LATER,
        ..Plot::listed()
    }
}

/// A backup goes to the second storage, because the first does not take it.
async fn goes_on_to_the_next(site: &Site, meters: &Meters, cause: &str) -> Report {
    let (report, records) = back_up(&site.director, "Moved").await;
    assert_eq!(site.home(&report).settings().name, "File5");
    assert_eq!(site.home(&report).written_by(&report.name), records);
    assert!(
        report.told.says(&["File4", "did not take the job"]),
        "{:?}",
        report.told.log
    );
    assert!(report.told.says(&["Placed on", "File5"]), "{:?}", report.told.log);
    meters.until(&["sdgroup_job_failovers_total", "File4", cause], 1).await;
    report
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_is_down() {
    let (meters, site) = (Meters::new(), Site::new(in_no_hurry()).await);
    site.storages[0].refuse_connections().await;
    let begun = Instant::now();
    let report = goes_on_to_the_next(&site, &meters, "refused").await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(site.sdgroup.ejected("File4"));
    meters.until(&["sdgroup_storage_ejections_total", "File4"], 1).await;

    // Nobody asks it a second time.
    let (next, _) = back_up(&site.director, "Next").await;
    assert_eq!(site.home(&next).settings().name, "File5");
    assert_eq!(meters.sum(&["sdgroup_job_failovers_total"]), 1);
    site.until_quiet(&[&report, &next]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_accepts_and_says_nothing() {
    let (meters, site) = (Meters::new(), Site::new(Plot::listed()).await);
    site.storages[0].freeze();
    let report = goes_on_to_the_next(&site, &meters, "silent").await;
    assert!(site.sdgroup.ejected("File4"));
    site.storages[0].thaw();
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_whose_link_swallows_everything() {
    let plot = Plot {
        over_links: true,
        ..Plot::listed()
    };
    let (meters, site) = (Meters::new(), Site::new(plot).await);
    site.links[0].stall_there(true);
    let report = goes_on_to_the_next(&site, &meters, "silent").await;
    site.links[0].stall_there(false);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_lets_nobody_in() {
    let (meters, site) = (Meters::new(), Site::new(Plot::listed()).await);
    site.storages[0].refuse_logins(true);
    let report = goes_on_to_the_next(&site, &meters, "login").await;
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_refuses_it_and_the_storage_stays() {
    let (meters, site) = (Meters::new(), Site::new(Plot::listed()).await);
    site.storages[0].refuse_jobs(true);
    let report = goes_on_to_the_next(&site, &meters, "refused").await;
    assert!(!site.sdgroup.ejected("File4"), "it is the job that was refused");
    site.storages[0].refuse_jobs(false);
    let (next, _) = back_up(&site.director, "Next").await;
    assert_eq!(site.home(&next).settings().name, "File4");
    site.until_quiet(&[&report, &next]).await;
}

#[tokio::test]
async fn a_job_that_is_all_that_its_group_may_have_does_not_wait_for_itself() {
    let plot = Plot {
        group: "MaximumConcurrentJobs = 1\nDownWait = \"0.5 seconds\"\nBusyWait = \"0.5 seconds\"\n\
                LoginTimeout = \"0.5 seconds\"",
        ..Plot::listed()
    };
    let (meters, site) = (Meters::new(), Site::new(plot).await);
    site.storages[0].refuse_jobs(true);
    let report = goes_on_to_the_next(&site, &meters, "refused").await;
    assert_eq!(meters.sum(&["sdgroup_jobs_queued_total"]), 0);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_falls_silent_over_its_announcement() {
    let (meters, site) = (Meters::new(), Site::new(Plot::listed()).await);
    site.storages[0].hold(Point::JobCommand);
    let report = goes_on_to_the_next(&site, &meters, "silent").await;
    site.storages[0].release(Point::JobCommand);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_dies_over_its_announcement() {
    let (meters, site) = (Meters::new(), Site::new(Plot::listed()).await);
    site.storages[0].hold(Point::JobCommand);
    let dies = async {
        site.storages[0].until_reached(Point::JobCommand, 1).await;
        site.storages[0].die().await;
    };
    let (report, ()) = tokio::join!(goes_on_to_the_next(&site, &meters, "lost"), dies);
    assert!(site.sdgroup.ejected("File4"));
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_storage_that_dies_between_announcement_and_run_fails_the_job_and_the_next_goes_elsewhere() {
    let site = Site::new(in_no_hurry()).await;
    let mut job = site.director.begin(&Plan::backup("Early death", POOL)).await.unwrap();
    job.reserve().await.unwrap();
    site.storages[0].die().await;
    let _ = job.run().await;
    let begun = Instant::now();
    let report = soon("the end of the job", job.finish()).await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    assert!(report.told.says(&["File4", "connection lost"]), "{:?}", report.told.log);
    assert!(report.told.terminated);
    let (next, _) = back_up(&site.director, "Next").await;
    assert_eq!(site.home(&next).settings().name, "File5");
    site.until_quiet(&[&report, &next]).await;
}
