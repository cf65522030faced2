//! Jobs that read from several storages as if they were one.

use std::time::Instant;

use sdgroup::types::{JobLevel, JobStatus, JobType, SessionKey, State};

use crate::harness::bytes_of_jobs::{Amount, Record, count, files, total};
use crate::harness::running::{AT_ONCE, LATER, refusal};
use crate::harness::site::{POOL, Plot, Site};
use crate::harness::wait::{soon, until_true};
use crate::peers::client::{self, ClientError, DataLink};
use crate::peers::director::{Job, Plan, Report};
use crate::peers::storage::Point;

/// A site with four backups: the first and the last on File4, the others on File5 and File6.
struct Kept {
    site: Site,
    backups: Vec<(Report, Vec<Record>)>,
}

impl Kept {
    async fn new() -> Self {
        let plot = Plot {
            group: LATER,
            ..Plot::default()
        };
        let site = Site::new(plot).await;
        let mut backups = Vec::new();
        for (seed, home) in (0..).zip(["File4", "File5", "File6", "File4"]) {
            let records = files(seed, Amount::SMALL);
            let plan = Plan::backup(&format!("Kept{seed}"), POOL);
            let (report, client) = soon("a backup", site.director.back_up(&plan, &records)).await.unwrap();
            client.unwrap();
            assert_eq!(site.home(&report).settings().name, home);
            backups.push((report, records));
        }
        Self { site, backups }
    }

    /// What a Client is given that reads all of them, in their order.
    fn all(&self) -> Vec<Record> {
        self.backups.iter().flat_map(|(_, records)| records.clone()).collect()
    }

    fn bootstrap(&self) -> Vec<String> {
        let jobs: Vec<u32> = self.backups.iter().map(|(report, _)| report.id.0).collect();
        let director = &self.site.director;
        let (storage, device) = (&director.storage.name, &director.storage.device);
        director.catalog.bootstrap(&jobs, storage, device)
    }

    /// A job that reads all of them, up to its bootstrap.
    async fn begin(&self, plan: &Plan) -> Job {
        let mut job = soon("the announcement", self.site.director.begin(plan)).await.unwrap();
        soon("the reservation", job.reserve()).await.unwrap();
        job
    }

    /// The same, running.
    async fn run(&self) -> Job {
        let mut job = self.begin(&Plan::restore(POOL)).await;
        soon("the bootstrap", job.bootstrap(&self.bootstrap())).await.unwrap();
        job.run().await.unwrap();
        job
    }
}

/// The Director has seen one job, which started once and ended once with the sums of all.
fn one_job(report: &Report, kept: &Kept) {
    let told = &report.told;
    let end = told.end.as_ref().expect("an end");
    assert!(told.started && told.terminated, "{told:?}");
    assert_eq!(end.status, JobStatus::Terminated, "{told:?}");
    let files = kept.backups.iter().map(|(_, records)| count(records)).sum();
    assert_eq!((end.files, end.bytes), (files, total(&kept.all())), "{told:?}");
    let ends = told.statuses.iter().filter(|status| **status == JobStatus::Terminated);
    assert_eq!(ends.count(), 1, "{told:?}");
}

#[tokio::test]
async fn a_client_reads_from_all_in_the_order_of_the_bootstrap_in_one_session() {
    let kept = Kept::new().await;
    for plan in [Plan::restore(POOL), Plan::verify(POOL)] {
        let mut job = kept.begin(&plan).await;
        job.bootstrap(&kept.bootstrap()).await.unwrap();
        job.run().await.unwrap();
        let client = tokio::spawn(client::restore(job.errand()));
        let report = soon("the job", job.finish()).await;

        assert_eq!(client.await.unwrap().unwrap(), kept.all());
        one_job(&report, &kept);
        for storage in ["File4", "File5", "File6"] {
            assert!(report.told.says(&["Placed on", storage]), "{:?}", report.told.log);
        }
        kept.site.until_quiet(&[&report]).await;
    }
}

#[tokio::test]
async fn with_one_storage_down_no_other_is_begun_and_volume_and_storage_are_named() {
    let kept = Kept::new().await;
    let volume = kept.site.director.catalog.volumes_of(kept.backups[1].0.id.0).remove(0);
    let mut job = kept.begin(&Plan::restore(POOL)).await;
    kept.site.storages[1].refuse_connections().await;
    let begun = Instant::now();

    let refused = refusal(soon("the refusal", job.bootstrap(&kept.bootstrap())).await.unwrap_err());

    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(
        refused.contains(&format!("volume \"{volume}\" is on storage File5")),
        "{refused}"
    );
    let ran = |at: usize| kept.site.storages[at].reached(Point::JobCommand);
    assert_eq!((ran(0), ran(2)), (2, 1), "the backups alone");
    drop(job);
    kept.site.until_quiet(&[]).await;
}

#[tokio::test]
async fn with_one_storage_in_maintenance_no_other_is_begun_and_who_said_so_is_told() {
    let kept = Kept::new().await;
    let mut job = kept.begin(&Plan::restore(POOL)).await;
    kept.site.sdgroup.decide("File6", State::Maintenance, "ann");
    let begun = Instant::now();

    let refused = refusal(soon("the refusal", job.bootstrap(&kept.bootstrap())).await.unwrap_err());

    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    let told = "on storage File6, which cannot be read from now: its state is maintenance by ann";
    assert!(refused.contains(told), "{refused}");
    assert_eq!(kept.site.storages[0].reached(Point::JobCommand), 2, "the backups alone");
    drop(job);
    kept.site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_storage_that_dies_in_its_turn_ends_the_job_everywhere() {
    let kept = Kept::new().await;
    kept.site.storages[1].hold(Point::ReadData);
    let job = kept.run().await;
    let client = tokio::spawn(client::restore(job.errand()));
    let ends = tokio::spawn(job.finish());
    kept.site.storages[1].until_reached(Point::ReadData, 1).await;

    kept.site.storages[1].die().await;

    let report = soon("the job", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    assert!(report.told.says(&["File5", "connection lost"]), "{:?}", report.told.log);
    assert!(soon("the Client", client).await.unwrap().is_err());
    kept.site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_storage_that_cannot_read_its_stretch_ends_the_job_with_its_reason_and_the_sums_so_far() {
    let kept = Kept::new().await;
    let volume = kept.site.director.catalog.volumes_of(kept.backups[1].0.id.0).remove(0);
    kept.site.storages[1].lose(&volume);
    let job = kept.run().await;
    let client = tokio::spawn(client::restore(job.errand()));

    let report = soon("the job", job.finish()).await;

    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    assert!(report.told.says(&["File5", "is not here"]), "{:?}", report.told.log);
    let end = report.told.end.as_ref().unwrap();
    assert_eq!(end.files, count(&kept.backups[0].1), "what File4 has read: {end:?}");
    assert!(soon("the Client", client).await.unwrap().is_err());
    kept.site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn cancel_in_the_middle_reaches_the_storage_whose_turn_it_is() {
    let kept = Kept::new().await;
    kept.site.storages[2].hold(Point::ReadData);
    let job = kept.run().await;
    let name = job.name.clone();
    let client = tokio::spawn(client::restore(job.errand()));
    let ends = tokio::spawn(job.finish());
    kept.site.storages[2].until_reached(Point::ReadData, 1).await;

    let said = kept.site.director.cancel(&name).await.unwrap();
    kept.site.storages[2].release(Point::ReadData);

    assert!(said.contains("marked to be canceled"), "{said}");
    let report = soon("the job", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled), "{:?}", report.told);
    assert!(soon("the Client", client).await.unwrap().is_err());
    kept.site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_ends_the_job() {
    let kept = Kept::new().await;
    kept.site.storages[1].hold(Point::ReadData);
    let job = kept.run().await;
    let errand = job.errand();
    let ends = tokio::spawn(job.finish());
    let mut link = soon("the data connection", DataLink::open(&errand)).await.unwrap();
    soon("the first storage", link.open_read(&errand)).await.unwrap();
    kept.site.storages[1].until_reached(Point::ReadData, 1).await;

    drop(link);
    kept.site.storages[1].release(Point::ReadData);

    let report = soon("the job", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    kept.site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_director_that_goes_away_in_the_middle_leaves_no_trace() {
    let kept = Kept::new().await;
    kept.site.storages[1].hold(Point::ReadData);
    let job = kept.run().await;
    let client = tokio::spawn(client::restore(job.errand()));
    let ends = tokio::spawn(job.finish());
    kept.site.storages[1].until_reached(Point::ReadData, 1).await;

    ends.abort();
    kept.site.storages[1].release(Point::ReadData);

    let _ = soon("the Client", client).await.unwrap();
    until_true("the sessions to end", || kept.site.sdgroup.sessions() == 0).await;
    kept.site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_stranger_and_a_client_that_talks_out_of_turn_cost_the_job_nothing() {
    let kept = Kept::new().await;
    let job = kept.run().await;
    let mut stranger = job.errand();
    stranger.key = SessionKey::mint([1; 16]);
    assert!(matches!(DataLink::open(&stranger).await, Err(ClientError::Login(_))));
    let client = tokio::spawn(client::restore(job.errand()));
    let report = soon("the job", job.finish()).await;
    assert_eq!(client.await.unwrap().unwrap(), kept.all());
    one_job(&report, &kept);
    assert!(kept.site.storages.iter().all(|storage| storage.wrong_keys() == 0));
    kept.site.until_quiet(&[&report]).await;
}

#[tokio::test]
async fn a_copy_and_a_virtual_full_are_refused_with_the_places_of_the_volumes() {
    let kept = Kept::new().await;
    for (job_type, level) in [
        (JobType::Copy, JobLevel::Full),
        (JobType::Backup, JobLevel::VirtualFull),
    ] {
        let plan = Plan {
            job_type,
            level,
            ..Plan::restore(POOL)
        };
        let mut job = kept.begin(&plan).await;
        let refused = refusal(soon("the refusal", job.bootstrap(&kept.bootstrap())).await.unwrap_err());
        for (report, _) in &kept.backups {
            let home = &kept.site.home(report).settings().name;
            assert!(refused.contains(&format!("on {home}")), "{refused}");
        }
        assert!(refused.contains("reads from one storage only"), "{refused}");
        drop(job);
    }
    kept.site.until_quiet(&[]).await;
}
