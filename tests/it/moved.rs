//! Jobs that leave the storage that took them, because it has no device for them.

use std::time::Duration;

use sdgroup::types::JobStatus;
use tokio::time::Instant;

use crate::harness::bytes_of_jobs::{Amount, Record, files};
use crate::harness::meters::Meters;
use crate::harness::running::{AT_ONCE, Running, back_up, refusal};
use crate::harness::site::{NAMES, POOL, Plot, Site};
use crate::harness::wait::{soon, until_true};
use crate::peers::director::{Job, Plan, Report};
use crate::peers::storage::Point;

fn plot() -> Plot {
    Plot {
        group: "DownWait = \"0.5 seconds\"\nLoginTimeout = \"20 seconds\"\nReserveTimeout = \"1 second\"\n\
                BusyWait = \"20 seconds\"",
        ejection: "0.2 seconds",
        ..Plot::listed()
    }
}

async fn begin(site: &Site, name: &str) -> Job {
    site.director.begin(&Plan::backup(name, POOL)).await.unwrap()
}

/// The rest of a job that one storage has taken ends well on another, and can be restored: what is on the volume
/// agrees with what the Director was told by the first.
async fn ends_on(site: &Site, job: Job, storage: &str) -> (Report, Vec<Record>) {
    let records = files(7, Amount::SMALL);
    let done = soon("the job", site.director.back_up_as(job, &records)).await;
    let (report, client) = done.unwrap();
    client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
    assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
    assert_eq!(site.home(&report).settings().name, storage);
    assert_eq!(site.home(&report).written_by(&report.name), records);
    let (plan, jobs) = (Plan::restore(POOL), [report.id]);
    let restore = site.director.restore(&plan, &jobs);
    let (restored, read) = soon("the restore", restore).await.unwrap();
    assert_eq!(restored.status(), Some(JobStatus::Terminated), "{:?}", restored.told);
    assert_eq!(read.unwrap(), records);
    (report, records)
}

#[tokio::test]
async fn a_job_leaves_a_storage_that_dies_before_it_is_asked_for_a_device() {
    let (meters, site) = (Meters::new(), Site::new(plot()).await);
    let job = begin(&site, "Before").await;
    site.storages[0].die().await;

    let (report, _) = ends_on(&site, job, "File5").await;

    assert!(report.told.says(&["File4", "connection lost"]), "{:?}", report.told.log);
    assert!(report.told.says(&["Placed on File5"]), "{:?}", report.told.log);
    meters.until(&["sdgroup_job_failovers_total", "File4", "lost"], 1).await;
    assert!(site.sdgroup.ejected("File4") || site.sdgroup.placed("File4") == 1);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_leaves_a_storage_that_dies_while_it_looks_for_a_device() {
    let site = Site::new(plot()).await;
    let job = begin(&site, "During").await;
    site.storages[0].hold(Point::UseDevice);
    let dies = async {
        site.storages[0].until_reached(Point::UseDevice, 1).await;
        site.storages[0].die().await;
    };
    let ((report, _), ()) = tokio::join!(ends_on(&site, job, "File5"), dies);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_leaves_storages_that_refuse_the_device_and_nobody_blames_them() {
    let (meters, site) = (Meters::new(), Site::new(plot()).await);
    site.storages[0].refuse_devices(true);
    site.storages[1].refuse_devices(true);
    let job = begin(&site, "Refused").await;

    let (report, _) = ends_on(&site, job, "File6").await;

    assert!(report.told.says(&["File4", "3924"]), "{:?}", report.told.log);
    assert!(!site.sdgroup.ejected("File4") && !site.sdgroup.ejected("File5"));
    meters
        .until(&["sdgroup_job_failovers_total", "File5", "refused"], 1)
        .await;
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_that_is_all_that_its_group_may_have_leaves_a_storage_at_once() {
    let plot = Plot {
        group: "MaximumConcurrentJobs = 1\nDownWait = \"0.5 seconds\"\nLoginTimeout = \"20 seconds\"\n\
                ReserveTimeout = \"1 second\"\nBusyWait = \"0.5 seconds\"",
        ..plot()
    };
    let (meters, site) = (Meters::new(), Site::new(plot).await);
    site.storages[0].refuse_devices(true);
    // It is told to cancel the job, and its place is not free before it is.
    site.storages[1].hold(Point::UseDevice);
    let job = begin(&site, "Only one").await;

    let (report, _) = ends_on(&site, job, "File6").await;

    assert_eq!(meters.sum(&["sdgroup_jobs_queued_total"]), 0);
    site.storages[1].release(Point::UseDevice);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_leaves_a_storage_that_is_silent_over_its_devices_and_has_it_cancel_the_job() {
    let site = Site::new(plot()).await;
    site.storages[0].hold(Point::UseDevice);
    let job = begin(&site, "Silent").await;
    let name = job.name.clone();

    let (report, _) = ends_on(&site, job, "File5").await;

    assert!(
        report.told.says(&["File4", "no device within"]),
        "{:?}",
        report.told.log
    );
    assert!(!site.sdgroup.ejected("File4"), "it may just be busy");
    let cancel = format!("cancel Job={name}");
    until_true("File4 to be told", || {
        site.storages[0]
            .commands()
            .iter()
            .any(|command| command.contains(&cancel))
    })
    .await;
    site.storages[0].release(Point::UseDevice);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_that_no_storage_can_ever_run_is_refused_at_once_and_each_reason_is_told() {
    let site = Site::new(plot()).await;
    for storage in &site.storages {
        storage.refuse_devices(true);
    }
    let mut job = begin(&site, "Hopeless").await;
    let begun = Instant::now();
    let said = refusal(soon("the answer", job.reserve()).await.unwrap_err());
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(said.starts_with("3999 "), "{said}");
    for name in NAMES {
        assert!(said.contains(&format!("{name} cannot run this job")), "{said}");
    }
    drop(job);
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_job_waits_for_busy_devices_as_for_places_and_takes_the_first_that_is_free() {
    let plot = Plot {
        settings: |settings| {
            settings.devices = 1;
            settings.jobs_per_device = 1;
        },
        ..plot()
    };
    let (meters, site) = (Meters::new(), Site::new(plot).await);
    let mut running = Vec::new();
    for number in 0..3 {
        running.push(Running::start(&site.director, &format!("Long{number}")).await);
    }
    let job = begin(&site, "Patient").await;
    let frees = async {
        meters.until(&["sdgroup_jobs_queued_total", "busy"], 1).await;
        running.remove(1).finish().await.0
    };
    let ((report, _), long) = tokio::join!(ends_on(&site, job, "File5"), frees);
    let mut reports = vec![report, long];
    for job in running {
        reports.push(job.finish().await.0);
    }
    site.until_quiet(&reports.iter().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_job_that_is_canceled_while_it_looks_for_a_device_leaves_no_trace() {
    let site = Site::new(plot()).await;
    for storage in &site.storages {
        storage.hold(Point::UseDevice);
    }
    let mut job = begin(&site, "Canceled").await;
    let name = job.name.clone();
    let cancels = async {
        site.storages[1].until_reached(Point::UseDevice, 1).await;
        site.director.cancel(&name).await.unwrap()
    };
    let (refused, said) = tokio::join!(soon("the answer", job.reserve()), cancels);
    assert!(said.contains("marked to be canceled"), "{said}");
    assert!(refusal(refused.unwrap_err()).contains("canceled"));
    drop(job);
    for storage in &site.storages {
        storage.release(Point::UseDevice);
    }
    let (next, _) = back_up(&site.director, "Next").await;
    site.until_quiet(&[&next]).await;
}

#[tokio::test]
async fn a_director_that_vanishes_while_its_job_is_moved_leaves_no_trace() {
    let site = Site::new(plot()).await;
    for storage in &site.storages {
        storage.hold(Point::UseDevice);
    }
    let mut job = begin(&site, "Orphan").await;
    {
        let mut reserving = std::pin::pin!(job.reserve());
        tokio::select! {
            _ = &mut reserving => panic!("nobody answers"),
            () = site.storages[2].until_reached(Point::UseDevice, 1) => {}
        }
    }
    drop(job);
    for storage in &site.storages {
        storage.release(Point::UseDevice);
    }
    site.until_quiet(&[]).await;
    tokio::time::timeout(Duration::from_secs(20), back_up(&site.director, "Next"))
        .await
        .expect("the next job");
}

#[tokio::test]
async fn all_that_is_written_has_one_session_time_in_a_group_of_one_as_well() {
    let plot = Plot {
        more: "[[Group]]\nName = \"One\"\nStorages = [\"File6\"]",
        ..plot()
    };
    let mut site = Site::new(plot).await;
    let time = site.sdgroup.context.identities.lineage().unwrap().time;
    let (several, _) = back_up(&site.director, "Of several").await;
    site.director.storage.address = site.sdgroup.listen(1).await;
    let (alone, records) = back_up(&site.director, "Of one").await;
    assert_eq!(site.storages[2].written_by(&alone.name), records);
    assert_eq!([several.answer.sd_time, alone.answer.sd_time], [time; 2]);
    assert!(
        alone.answer.sd_id > 1 << 30,
        "{} is no number of ours",
        alone.answer.sd_id
    );
    site.until_quiet(&[&several, &alone]).await;
}
