//! The simulated daemons against each other, with nothing between them: what they do here is the measure for what
//! they do through sdgroup.

use std::sync::Arc;

use sdgroup::types::JobStatus;

use crate::harness::bytes_of_jobs::{Amount, count, files, total};
use crate::harness::site::{POOL, catalog, director_of, storage};
use crate::harness::wait::{soon, until_true};
use crate::peers::client::{ClientError, DataLink};
use crate::peers::director::Plan;
use crate::peers::storage::{Point, Settings, Storage};

#[tokio::test]
async fn a_backup_is_written_recorded_and_restored_byte_for_byte() {
    let storage = storage("sd4");
    let director = director_of(&storage, catalog());
    let records = files(1, Amount::SMALL);

    let (report, client) = soon("the backup", director.back_up(&Plan::backup("Tiny", POOL), &records))
        .await
        .unwrap();
    assert_eq!(client.unwrap(), JobStatus::Terminated.code());
    let end = report.told.end.clone().unwrap();
    assert_eq!(
        (end.status, end.files, end.bytes),
        (JobStatus::Terminated, count(&records), total(&records))
    );
    assert!(report.told.started && report.told.terminated);
    assert_eq!(report.told.attributes, 2 * count(&records));
    assert_eq!(storage.written_by(&report.name), records);

    let media = director.catalog.media();
    assert_eq!(media.len(), 1);
    assert_eq!((media[0].status.as_str(), media[0].jobs), ("Append", 1));
    assert_eq!(storage.volumes()[&media[0].name], media[0].bytes);

    let (restored, back) = soon("the restore", director.restore(&Plan::restore(POOL), &[report.id]))
        .await
        .unwrap();
    assert_eq!(back.unwrap(), records);
    assert_eq!(restored.status(), Some(JobStatus::Terminated));
    assert_eq!(restored.told.end.unwrap().bytes, total(&records));
    assert!(storage.broken_rules().is_empty() && director.catalog.refused().is_empty());
    until_true("the storage to let the jobs go", || {
        storage.jobs() == 0 && storage.connections() == 0
    })
    .await;
}

#[tokio::test]
async fn jobs_side_by_side_share_volumes_and_go_on_to_the_next_when_one_is_full() {
    let mut settings = Settings::new(
        "sd4",
        crate::harness::site::DIRECTOR,
        &crate::harness::site::password("sd4"),
    );
    settings.maximum_volume_bytes = Some(40_000);
    let storage = Storage::start(settings);
    let director = Arc::new(director_of(&storage, catalog()));
    let mut jobs = Vec::new();
    for seed in 0..20 {
        let director = Arc::clone(&director);
        jobs.push(tokio::spawn(async move {
            let records = files(seed, Amount::SMALL);
            let (report, client) = director.back_up(&Plan::backup("Many", POOL), &records).await.unwrap();
            client.unwrap();
            (report, records)
        }));
    }
    for job in jobs {
        let (report, records) = soon("a job", job).await.unwrap();
        assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
        assert_eq!(storage.written_by(&report.name), records);
        let (_, back) = director.restore(&Plan::restore(POOL), &[report.id]).await.unwrap();
        assert_eq!(back.unwrap(), records);
    }
    assert!(director.catalog.media().len() > 5, "volumes were filled");
    assert!(director.catalog.media().iter().all(|media| media.status != "Error"));
    assert!(storage.strangers().is_empty() && storage.broken_rules().is_empty());
}

#[tokio::test]
async fn a_storage_marks_a_volume_that_is_not_its_own_as_the_real_ones_do() {
    let (one, two) = (storage("sd4"), storage("sd5"));
    let catalog = catalog();
    let records = files(1, Amount::SMALL);
    let director = director_of(&one, Arc::clone(&catalog));
    let (first, _) = director.back_up(&Plan::backup("First", POOL), &records).await.unwrap();
    let volume = catalog.volumes_of(first.id.0)[0].clone();

    // The catalog knows nothing of storages and offers the volume to the other one.
    let other = director_of(&two, Arc::clone(&catalog));
    other.next_job("keeps the two Directors' numbers apart");
    let (second, _) = other.back_up(&Plan::backup("Second", POOL), &records).await.unwrap();
    assert_eq!(second.status(), Some(JobStatus::Terminated));
    assert_eq!(two.strangers()[0].volume, volume);
    let media = catalog.media();
    assert_eq!(
        (media[0].status.as_str(), media[1].status.as_str()),
        ("Error", "Append")
    );

    let (_, back) = other.restore(&Plan::restore(POOL), &[first.id]).await.unwrap();
    assert!(matches!(back, Err(ClientError::Refused { .. })), "{back:?}");
    assert_eq!(two.missing(), [volume]);
}

#[tokio::test]
async fn a_wrong_key_kills_the_job_and_a_second_client_does_not() {
    let storage = storage("sd4");
    let director = director_of(&storage, catalog());
    let mut killed = director.begin(&Plan::backup("Killed", POOL)).await.unwrap();
    killed.reserve().await.unwrap();
    killed.run().await.unwrap();
    let mut stranger = killed.errand();
    stranger.key = sdgroup::types::SessionKey::mint([7; 16]);
    assert!(DataLink::open(&stranger).await.is_err());
    let report = soon("the end of the job", killed.finish()).await;
    assert!(!report.told.started && report.told.end.is_none() && report.told.terminated);
    assert_eq!(storage.wrong_keys(), 1);

    let mut job = director.begin(&Plan::backup("Lives", POOL)).await.unwrap();
    job.reserve().await.unwrap();
    job.run().await.unwrap();
    let mut link = DataLink::open(&job.errand()).await.unwrap();
    assert!(DataLink::open(&job.errand()).await.is_err());
    let records = files(3, Amount::SMALL);
    let client = tokio::spawn(async move {
        link.open_append().await?;
        link.send(&records).await?;
        link.close_append().await
    });
    let report = soon("the job", job.finish()).await;
    assert_eq!(report.status(), Some(JobStatus::Terminated));
    client.await.unwrap().unwrap();
}

#[tokio::test]
async fn cancel_ends_a_job_that_waits_and_one_that_runs() {
    let storage = storage("sd4");
    let director = director_of(&storage, catalog());
    let mut waits = director.begin(&Plan::backup("Waits", POOL)).await.unwrap();
    waits.reserve().await.unwrap();
    waits.run().await.unwrap();
    storage.until_reached(Point::Run, 1).await;
    let said = director.cancel(&waits.name).await.unwrap();
    assert!(said.contains("marked to be canceled"), "{said}");
    let report = soon("the end of the waiting job", waits.finish()).await;
    assert!(report.told.end.is_none() && report.told.terminated);

    let mut runs = director.begin(&Plan::backup("Runs", POOL)).await.unwrap();
    runs.reserve().await.unwrap();
    runs.run().await.unwrap();
    let mut link = DataLink::open(&runs.errand()).await.unwrap();
    // The Client's dialogue needs the Director, so the two go side by side.
    let name = runs.name.clone();
    let ends = tokio::spawn(runs.finish());
    link.open_append().await.unwrap();
    director.cancel(&name).await.unwrap();
    let report = soon("the end of the running job", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled));
    assert!(director.cancel(&name).await.unwrap().starts_with("3904 "));
}

#[tokio::test]
async fn a_storage_can_die_in_the_middle_and_come_back_with_its_volumes() {
    let storage = storage("sd4");
    let director = director_of(&storage, catalog());
    let records = files(1, Amount::SMALL);
    let (kept, _) = director.back_up(&Plan::backup("Kept", POOL), &records).await.unwrap();

    storage.hold(Point::Written);
    let running = tokio::spawn({
        let (director, records) = (director.clone(), records.clone());
        async move { director.back_up(&Plan::backup("Lost", POOL), &records).await }
    });
    storage.until_reached(Point::Written, 2).await;
    storage.die().await;
    let (report, client) = soon("the lost job", running).await.unwrap().unwrap();
    assert!(report.told.end.is_none() && !report.told.terminated && client.is_err());
    assert!(director.call().await.is_err(), "the port is closed");

    storage.release(Point::Written);
    storage.listen_again();
    let (_, back) = director.restore(&Plan::restore(POOL), &[kept.id]).await.unwrap();
    assert_eq!(back.unwrap(), records);
}

#[tokio::test]
async fn a_frozen_storage_says_nothing_until_it_thaws() {
    let storage = storage("sd4");
    let director = director_of(&storage, catalog());
    storage.freeze();
    let calls = tokio::spawn(async move { director.call().await.map(|control| control.storage_version) });
    storage.until_reached(Point::Accepted, 1).await;
    assert!(!calls.is_finished());
    storage.thaw();
    assert_eq!(soon("the login", calls).await.unwrap().unwrap(), 306);
}
