//! Restores: placed by their bootstrap, and what can go wrong before and after.

use std::time::Instant;

use sdgroup::types::JobStatus;

use crate::harness::bytes_of_jobs::{Amount, Record, files};
use crate::harness::running::{AT_ONCE, LATER};
use crate::harness::site::{POOL, Plot, Site};
use crate::harness::wait::{soon, until_true};
use crate::peers::client::{self, DataLink};
use crate::peers::director::{Job, Plan, Report};
use crate::peers::storage::Point;

/// A site with two backups, each on a storage of its own.
async fn site_with_backups() -> (Site, Vec<(Report, Vec<Record>)>) {
    let plot = Plot {
        group: LATER,
        ..Plot::default()
    };
    let site = Site::new(plot).await;
    let mut done = Vec::new();
    for seed in 0..2 {
        let records = files(seed, Amount::SMALL);
        let plan = Plan::backup(&format!("Kept{seed}"), POOL);
        let (report, client) = soon("a backup", site.director.back_up(&plan, &records)).await.unwrap();
        client.unwrap();
        done.push((report, records));
    }
    (site, done)
}

/// A restore up to its bootstrap, which is the first thing that tells where it has to go.
async fn begun(site: &Site) -> Job {
    let mut job = soon("the announcement", site.director.begin(&Plan::restore(POOL)))
        .await
        .unwrap();
    soon("the reservation", job.reserve()).await.unwrap();
    job
}

fn bootstrap(site: &Site, jobs: &[&Report]) -> Vec<String> {
    let director = &site.director;
    let jobs: Vec<u32> = jobs.iter().map(|report| report.id.0).collect();
    director
        .catalog
        .bootstrap(&jobs, &director.storage.name, &director.storage.device)
}

#[tokio::test]
async fn no_storage_is_asked_before_the_bootstrap_says_which() {
    let (site, done) = site_with_backups().await;
    let asked = |site: &Site| -> Vec<usize> { site.storages.iter().map(|sd| sd.reached(Point::Accepted)).collect() };
    let before = asked(&site);
    let mut job = begun(&site).await;
    assert_eq!(asked(&site), before);
    job.bootstrap(&bootstrap(&site, &[&done[1].0])).await.unwrap();
    job.run().await.unwrap();
    let client = tokio::spawn(client::restore(job.errand()));
    let report = soon("the restore", job.finish()).await;
    assert_eq!(client.await.unwrap().unwrap(), done[1].1);
    assert_eq!(report.status(), Some(JobStatus::Terminated));
    let home = site.home(&done[1].0).settings().name.clone();
    for (storage, before) in site.storages.iter().zip(before) {
        assert_eq!(
            storage.reached(Point::Accepted) > before,
            storage.settings().name == home
        );
    }
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn many_restores_of_one_job_run_side_by_side() {
    let (site, done) = site_with_backups().await;
    let (kept, records) = &done[0];
    let mut restores = Vec::new();
    for _ in 0..10 {
        let (director, wanted) = (site.director.clone(), [kept.id]);
        restores.push(tokio::spawn(async move {
            director.restore(&Plan::restore(POOL), &wanted).await.unwrap()
        }));
    }
    for restore in restores {
        let (report, back) = soon("a restore", restore).await.unwrap();
        assert_eq!(&back.unwrap(), records);
        assert_eq!(report.status(), Some(JobStatus::Terminated));
    }
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_bootstrap_that_is_none_is_refused_with_its_line() {
    let (site, _) = site_with_backups().await;
    let mut job = begun(&site).await;
    let nonsense = ["Volume=\"x\"\n".to_owned(), "this is no bootstrap\n".to_owned()];
    let refused = soon("the refusal", job.bootstrap(&nonsense))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.starts_with("3904 ") && refused.contains("line 2 of the bootstrap"),
        "{refused}"
    );
    drop(job);
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn cancel_before_the_bootstrap_ends_a_restore() {
    let (site, _) = site_with_backups().await;
    let job = begun(&site).await;
    let said = site.director.cancel(&job.name).await.unwrap();
    assert!(said.contains("marked to be canceled"), "{said}");
    let report = soon("the end", job.finish()).await;
    assert!(
        report.told.terminated && report.told.says(&["canceled"]),
        "{:?}",
        report.told
    );
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_director_that_vanishes_before_the_bootstrap_leaves_nothing() {
    let (site, _) = site_with_backups().await;
    let job = begun(&site).await;
    drop(job);
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn cancel_in_the_middle_of_a_restore_is_its_storages_affair() {
    let (site, done) = site_with_backups().await;
    let home = site.home(&done[0].0);
    home.hold(Point::ReadData);
    let mut job = begun(&site).await;
    job.bootstrap(&bootstrap(&site, &[&done[0].0])).await.unwrap();
    job.run().await.unwrap();
    let client = tokio::spawn(client::restore(job.errand()));
    let name = job.name.clone();
    let ends = tokio::spawn(job.finish());
    home.until_reached(Point::ReadData, 1).await;
    assert!(
        site.director
            .cancel(&name)
            .await
            .unwrap()
            .contains("marked to be canceled")
    );
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled), "{:?}", report.told);
    assert!(soon("the Client", client).await.unwrap().is_err());
    assert_eq!(home.reached(Point::Cancel), 1);
    home.release(Point::ReadData);
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_storage_that_dies_in_the_middle_of_a_restore_ends_it_everywhere() {
    let (site, done) = site_with_backups().await;
    let home = site.home(&done[0].0);
    home.hold(Point::ReadData);
    let mut job = begun(&site).await;
    job.bootstrap(&bootstrap(&site, &[&done[0].0])).await.unwrap();
    job.run().await.unwrap();
    let client = tokio::spawn(client::restore(job.errand()));
    let ends = tokio::spawn(job.finish());
    home.until_reached(Point::ReadData, 1).await;
    let begun = Instant::now();
    home.die().await;
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    assert!(
        report.told.says(&[&home.settings().name, "connection lost"]),
        "{:?}",
        report.told.log
    );
    assert!(soon("the Client", client).await.unwrap().is_err());
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_stranger_cannot_spoil_a_restore() {
    let (site, done) = site_with_backups().await;
    let mut job = begun(&site).await;
    job.bootstrap(&bootstrap(&site, &[&done[0].0])).await.unwrap();
    job.run().await.unwrap();
    let mut stranger = job.errand();
    stranger.key = sdgroup::types::SessionKey::mint([1; 16]);
    assert!(DataLink::open(&stranger).await.is_err());
    let client = tokio::spawn(client::restore(job.errand()));
    let report = soon("the restore", job.finish()).await;
    assert_eq!(client.await.unwrap().unwrap(), done[0].1);
    assert_eq!(report.status(), Some(JobStatus::Terminated));
    assert!(site.storages.iter().all(|storage| storage.wrong_keys() == 0));
    until_true("the job to be over", || site.sdgroup.sessions() == 0).await;
    site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_client_that_is_slow_to_part_keeps_its_connection_and_no_place() {
    let (site, done) = site_with_backups().await;
    let mut job = begun(&site).await;
    job.bootstrap(&bootstrap(&site, &[&done[0].0])).await.unwrap();
    job.run().await.unwrap();
    let errand = job.errand();
    let ends = tokio::spawn(job.finish());
    let mut link = soon("the data connection", DataLink::open(&errand)).await.unwrap();
    link.open_read(&errand).await.unwrap();
    assert_eq!(link.receive().await.unwrap(), done[0].1);
    link.end_read().await.unwrap();
    let report = soon("the end", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Terminated));

    // An sdgroup that drains waits for it, as for a job.
    let context = &site.sdgroup.context;
    until_true("only the connection to be left", || {
        context.jobs.all().is_empty() && *context.jobs.count().borrow() == 1
    })
    .await;
    let home = site.home(&done[0].0).settings().name.clone();
    assert_eq!(site.sdgroup.running(&home), 0);
    drop(link);
    until_true("nothing to be left", || *context.jobs.count().borrow() == 0).await;
}
