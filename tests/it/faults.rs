//! Storages, Directors and Clients that fail at a chosen step.

use std::time::{Duration, Instant};

use sdgroup::types::JobStatus;
use sdgroup::wire::packet::Signal;

use crate::harness::bytes_of_jobs::{Amount, Record, files};
use crate::harness::meters::Meters;
use crate::harness::running::Running;
use crate::harness::site::{NAMES, POOL, Plot, Site};
use crate::harness::wait::{soon, until_true};
use crate::peers::client::{self, DataLink};
use crate::peers::director::{Director, DirectorError, Plan, Report};
use crate::peers::storage::{Point, Storage};

/// What a job may take at most when a storage in its way fails at once.
const AT_ONCE: Duration = Duration::from_secs(1);

fn listed() -> Plot {
    Plot {
        policy: "ListedOrder",
        ..Plot::default()
    }
}

async fn back_up(director: &Director, name: &str) -> (Report, Vec<Record>) {
    let records = files(name.len() as u64, Amount::SMALL);
    let plan = Plan::backup(name, POOL);
    let (report, client) = soon("a backup", director.back_up(&plan, &records)).await.unwrap();
    client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
    assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
    (report, records)
}

fn refusal(refused: DirectorError) -> String {
    match refused {
        DirectorError::Refused(text) => text,
        other => panic!("not refused in words: {other}"),
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
    let (meters, site) = (Meters::new(), Site::new(listed()).await);
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
    let (meters, site) = (Meters::new(), Site::new(listed()).await);
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
        ..listed()
    };
    let (meters, site) = (Meters::new(), Site::new(plot).await);
    site.links[0].stall_there(true);
    let report = goes_on_to_the_next(&site, &meters, "silent").await;
    site.links[0].stall_there(false);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_lets_nobody_in() {
    let (meters, site) = (Meters::new(), Site::new(listed()).await);
    site.storages[0].refuse_logins(true);
    let report = goes_on_to_the_next(&site, &meters, "login").await;
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_refuses_it_and_the_storage_stays() {
    let (meters, site) = (Meters::new(), Site::new(listed()).await);
    site.storages[0].refuse_jobs(true);
    let report = goes_on_to_the_next(&site, &meters, "refused").await;
    assert!(!site.sdgroup.ejected("File4"), "it is the job that was refused");
    site.storages[0].refuse_jobs(false);
    let (next, _) = back_up(&site.director, "Next").await;
    assert_eq!(site.home(&next).settings().name, "File4");
    site.until_quiet(&[&report, &next]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_falls_silent_over_its_announcement() {
    let (meters, site) = (Meters::new(), Site::new(listed()).await);
    site.storages[0].hold(Point::JobCommand);
    let report = goes_on_to_the_next(&site, &meters, "silent").await;
    site.storages[0].release(Point::JobCommand);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_job_goes_on_from_a_storage_that_dies_over_its_announcement() {
    let (meters, site) = (Meters::new(), Site::new(listed()).await);
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
    let site = Site::new(listed()).await;
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

#[tokio::test]
async fn a_storage_that_dies_before_or_during_the_reservation_fails_the_job_in_words() {
    let site = Site::new(listed()).await;
    let mut job = site.director.begin(&Plan::backup("Before", POOL)).await.unwrap();
    site.storages[0].die().await;
    let said = refusal(soon("the answer", job.reserve()).await.unwrap_err());
    assert!(said.contains("File4") && said.contains("connection lost"), "{said}");
    drop(job);

    let mut job = site.director.begin(&Plan::backup("During", POOL)).await.unwrap();
    site.storages[1].hold(Point::UseDevice);
    let dies = async {
        site.storages[1].until_reached(Point::UseDevice, 1).await;
        site.storages[1].die().await;
    };
    let (refused, ()) = tokio::join!(job.reserve(), dies);
    let said = refusal(refused.unwrap_err());
    assert!(said.starts_with("3999 ") && said.contains("File5"), "{said}");
    drop(job);
    let (next, _) = back_up(&site.director, "Next").await;
    assert_eq!(site.home(&next).settings().name, "File6");
    site.until_quiet(&[&next]).await;
}

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
    let site = Site::new(listed()).await;
    let report = ends_a_running_job(&site, async |storage, _| storage.die().await).await;
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_link_that_breaks_in_the_middle_ends_its_job_everywhere_at_once() {
    let plot = Plot {
        over_links: true,
        ..listed()
    };
    let site = Site::new(plot).await;
    let report = ends_a_running_job(&site, async |_, at| site.links[at].cut()).await;
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_storage_that_dies_while_it_waits_for_the_client_ends_the_job() {
    let site = Site::new(listed()).await;
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
        ..listed()
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
async fn when_all_storages_are_dead_the_reason_comes_within_the_wait() {
    let (meters, site) = (Meters::new(), Site::new(listed()).await);
    for storage in &site.storages {
        storage.die().await;
    }
    let begun = Instant::now();
    let plan = Plan::backup("Hopeless", POOL);
    let said = refusal(soon("the refusal", site.director.begin(&plan)).await.unwrap_err());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
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
        ..listed()
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
        ..listed()
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
    let site = Site::new(listed()).await;
    let running = Running::start(&site.director, "Unwanted").await;
    let said = site.director.cancel(&running.name).await.unwrap();
    assert!(said.contains("marked to be canceled"), "{said}");
    let Running { mut link, ends, .. } = running;
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled), "{:?}", report.told);
    assert_eq!(site.storages[0].reached(Point::Cancel), 1);
    soon("the Client to be told", link.wire.until_closed()).await;
    drop(link);
    assert!(!site.sdgroup.ejected("File4"));
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn cancel_of_a_job_whose_storage_hangs_ends_it_all_the_same() {
    let site = Site::new(listed()).await;
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
        group: "LoginTimeout = \"20 seconds\"",
        ..listed()
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
    let site = Site::new(listed()).await;
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

#[tokio::test]
async fn a_director_that_vanishes_in_the_middle_leaves_the_job_to_its_storage() {
    let site = Site::new(listed()).await;
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
    let site = Site::new(listed()).await;
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
    let site = Site::new(listed()).await;
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
    let site = Site::new(listed()).await;
    let Running {
        name, ends, mut link, ..
    } = Running::start(&site.director, "Twice").await;
    let plan = Plan::backup("Twice", POOL);
    let again = site.director.begin_as(&plan, sdgroup::types::JobId(1), name.clone());
    let again = soon("the second run", again).await.unwrap();
    let earlier = soon("the earlier run's end", ends).await.unwrap();
    assert!(earlier.told.says(&["started the same job again"]), "{:?}", earlier.told);
    soon("its Client to be told", link.wire.until_closed()).await;
    drop(again);
    site.until_quiet(&[&earlier]).await;
}

#[tokio::test]
async fn two_directors_jobs_of_one_name_are_kept_apart() {
    let site = Site::new(listed()).await;
    let running = Running::start(&site.director, "Nightly").await;
    let other = site.other_director();
    let plan = Plan::backup("Nightly", POOL);
    let refused = other
        .begin_as(&plan, sdgroup::types::JobId(7), running.name.clone())
        .await;
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
    let site = Site::new(listed()).await;
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
    let site = Site::new(listed()).await;
    let Running { ends, mut link, .. } = Running::start(&site.director, "Cut short").await;
    site.sdgroup.context.stop_jobs();
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::FatalError));
    assert!(report.told.says(&["told to end at once"]), "{:?}", report.told);
    soon("the Client to be told", link.wire.until_closed()).await;
    site.until_quiet(&[&report]).await;
}
