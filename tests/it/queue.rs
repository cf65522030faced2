//! Jobs that wait, and jobs that are canceled, wherever they are.

use std::time::Instant;

use sdgroup::types::JobStatus;

use crate::harness::meters::Meters;
use crate::harness::running::{AT_ONCE, LATER, Running, back_up, refusal};
use crate::harness::site::{NAMES, POOL, Plot, Site};
use crate::harness::wait::{soon, until_true};
use crate::peers::director::{Plan, Report};
use crate::peers::storage::Point;

#[tokio::test]
async fn when_all_storages_are_dead_the_reason_comes_within_the_wait() {
    let (meters, site) = (Meters::new(), Site::new(Plot::listed()).await);
    for storage in &site.storages {
        storage.die().await;
    }
    let begun = Instant::now();
    let plan = Plan::backup("Hopeless", POOL);
    let said = refusal(soon("the refusal", site.director.begin(&plan)).await.unwrap_err());
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(said.starts_with("3915 "), "{said}");
    for name in NAMES {
        assert!(said.contains(name), "{said}");
    }
    meters.until(&["sdgroup_jobs_refused_total", "down"], 1).await;
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_job_that_waits_takes_the_first_storage_that_comes_back() {
    let plot = Plot {
        group: "DownWait = \"20 seconds\"",
        ejection: "0.3 seconds",
        ..Plot::listed()
    };
    let (meters, site) = (Meters::new(), Site::new(plot).await);
    for storage in &site.storages {
        storage.die().await;
    }
    let waits = tokio::spawn({
        let director = site.director.clone();
        async move { back_up(&director, "Patient").await }
    });
    meters.until(&["sdgroup_jobs_queued_total"], 1).await;
    site.storages[2].listen_again();
    let (report, records) = soon("the patient job", waits).await.unwrap();
    assert_eq!(site.storages[2].written_by(&report.name), records);
    site.until_quiet(&[&report]).await;
}

/// A site on which three jobs run and no fourth can.
async fn full_site() -> (Site, Vec<Running>) {
    let plot = Plot {
        maximum_concurrent_jobs: 1,
        group: "BusyWait = \"20 seconds\"",
        ..Plot::listed()
    };
    let site = Site::new(plot).await;
    let mut running = Vec::new();
    for name in ["First", "Second", "Third"] {
        running.push(Running::start(&site.director, name).await);
    }
    (site, running)
}

#[tokio::test]
async fn jobs_that_wait_get_their_places_in_order() {
    let (site, mut running) = full_site().await;
    let mut waiting = Vec::new();
    for name in ["Fourth", "Fifth"] {
        let director = site.director.clone();
        waiting.push(tokio::spawn(async move { Running::start(&director, name).await }));
        let count = waiting.len();
        until_true("the job to wait", || site.sdgroup.waiting() == count).await;
    }
    let mut reports = Vec::new();
    for _ in 0..2 {
        let (report, records) = running.remove(0).finish().await;
        assert_eq!(site.home(&report).written_by(&report.name), records);
        reports.push(report);
        let next = soon("the next in the queue", waiting.remove(0)).await.unwrap();
        running.push(next);
        assert_eq!(site.sdgroup.waiting(), waiting.len());
    }
    for job in running {
        reports.push(job.finish().await.0);
    }
    assert!(
        reports
            .iter()
            .any(|report| report.told.says(&["waits", "jobs"]) || report.told.log.len() > 1)
    );
    for storage in &site.storages {
        assert_eq!(storage.most_jobs(), 1);
    }
    let reports: Vec<&Report> = reports.iter().collect();
    site.until_quiet(&reports).await;
}

#[tokio::test]
async fn cancel_takes_a_job_out_of_the_queue() {
    let (site, running) = full_site().await;
    let (id, name) = site.director.next_job("Queued");
    let waits = tokio::spawn({
        let (director, name) = (site.director.clone(), name.clone());
        async move {
            director
                .begin_as(&Plan::backup("Queued", POOL), id, name)
                .await
                .map(drop)
        }
    });
    until_true("the job to wait", || site.sdgroup.waiting() == 1).await;
    let said = site.director.cancel(&name).await.unwrap();
    assert!(
        said.starts_with("3000 ") && said.contains("marked to be canceled"),
        "{said}"
    );
    let refused = refusal(soon("the end of the wait", waits).await.unwrap().unwrap_err());
    assert!(
        refused.starts_with("3915 ") && refused.contains("canceled"),
        "{refused}"
    );
    assert_eq!(site.sdgroup.waiting(), 0);
    for job in running {
        job.finish().await;
    }
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn cancel_of_a_running_job_is_its_storages_affair() {
    let site = Site::new(Plot::listed()).await;
    let running = Running::start(&site.director, "Unwanted").await;
    let said = site.director.cancel(&running.name).await.unwrap();
    assert!(said.contains("marked to be canceled"), "{said}");
    let Running { mut link, ends, .. } = running;
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled), "{:?}", report.told);
    assert_eq!(site.storages[0].reached(Point::Cancel), 1);
    soon("the Client to be told", link.wire.until_closed()).await;
    assert!(!site.sdgroup.ejected("File4"));
    // A Client that hangs keeps its connection open, and yet not the job's place.
    site.until_quiet(&[&report]).await;
    drop(link);
}

#[tokio::test]
async fn cancel_of_a_job_whose_storage_hangs_ends_it_all_the_same() {
    let site = Site::new(Plot::listed()).await;
    let running = Running::start(&site.director, "Stuck").await;
    site.storages[0].freeze();
    let said = soon("the answer to cancel", site.director.cancel(&running.name))
        .await
        .unwrap();
    assert!(said.contains("marked to be canceled"), "{said}");
    let Running { mut link, ends, .. } = running;
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled), "{:?}", report.told);
    soon("the Client to be told", link.wire.until_closed()).await;
    until_true("the place to be free", || site.sdgroup.running("File4") == 0).await;
    site.storages[0].thaw();
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn cancel_of_a_job_that_a_hanging_storage_is_asked_to_take_ends_it_at_once() {
    let plot = Plot {
        group: LATER,
        ..Plot::listed()
    };
    let site = Site::new(plot).await;
    site.storages[0].freeze();
    let (id, name) = site.director.next_job("Asked");
    let waits = tokio::spawn({
        let (director, name) = (site.director.clone(), name.clone());
        async move {
            director
                .begin_as(&Plan::backup("Asked", POOL), id, name)
                .await
                .map(drop)
        }
    });
    site.storages[0].until_reached(Point::Accepted, 1).await;
    let begun = Instant::now();
    site.director.cancel(&name).await.unwrap();
    let refused = refusal(soon("the end", waits).await.unwrap().unwrap_err());
    assert!(refused.contains("canceled"), "{refused}");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    site.storages[0].thaw();
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_director_that_vanishes_from_the_queue_leaves_its_place() {
    let (site, running) = full_site().await;
    let waits = tokio::spawn({
        let director = site.director.clone();
        async move { director.begin(&Plan::backup("Gone", POOL)).await.map(drop) }
    });
    until_true("the job to wait", || site.sdgroup.waiting() == 1).await;
    waits.abort();
    until_true("the queue to be empty", || site.sdgroup.waiting() == 0).await;
    for job in running {
        job.finish().await;
    }
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_director_that_vanishes_while_a_storage_is_asked_leaves_no_job_anywhere() {
    let site = Site::new(Plot::listed()).await;
    site.storages[0].freeze();
    let waits = tokio::spawn({
        let director = site.director.clone();
        async move { director.begin(&Plan::backup("Gone", POOL)).await.map(drop) }
    });
    site.storages[0].until_reached(Point::Accepted, 1).await;
    waits.abort();
    until_true("all places to be free", || {
        NAMES.iter().all(|name| site.sdgroup.running(name) == 0)
    })
    .await;
    site.storages[0].thaw();
    site.until_quiet(&[]).await;
}
