//! Many jobs at once.

use sdgroup::types::JobStatus;

use std::time::Duration;

use crate::harness::bytes_of_jobs::{Amount, DATA, Record, files, total};
use crate::harness::running::{Running, back_up};
use crate::harness::site::{DIRECTOR, NAMES, OTHER_POOL, POOL, Plot, Site};
use crate::harness::wait::soon;
use crate::peers::director::{Plan, Report};

#[tokio::test]
async fn a_job_goes_through_and_comes_back() {
    let site = Site::new(Plot::default()).await;
    let records = files(1, Amount::SMALL);
    let (report, client) = soon(
        "the backup",
        site.director.back_up(&Plan::backup("Tiny", POOL), &records),
    )
    .await
    .unwrap();
    assert_eq!(client.unwrap(), JobStatus::Terminated.code());
    assert_eq!(report.status(), Some(JobStatus::Terminated));
    assert_eq!(site.home(&report).written_by(&report.name), records);

    let (plan, wanted) = (Plan::restore(POOL), [report.id]);
    let (restored, back) = soon("the restore", site.director.restore(&plan, &wanted))
        .await
        .unwrap();
    assert_eq!(back.unwrap(), records);
    assert_eq!(restored.status(), Some(JobStatus::Terminated));
    let plan = Plan::verify(POOL);
    let (verified, back) = soon("the verify job", site.director.restore(&plan, &wanted))
        .await
        .unwrap();
    assert_eq!(back.unwrap(), records);
    assert_eq!(verified.status(), Some(JobStatus::Terminated));
    site.until_quiet(&[&report, &restored, &verified]).await;
    site.assert_volumes_stayed_home();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_jobs_at_once_end_with_every_byte_at_the_right_storage() {
    const JOBS: u64 = 200;
    crate::harness::allow_many_open_files();
    let plot = Plot {
        // On a busy machine so many logins at once take their time.
        group: "LoginTimeout = \"30 seconds\"\nConnectTimeout = \"30 seconds\"",
        process: "LoginTimeout = \"30 seconds\"\nFirstPacketTimeout = \"30 seconds\"\nRouteWait = \"30 seconds\"",
        ..Plot::default()
    };
    let site = Site::new(plot).await;
    let mut jobs = Vec::new();
    for seed in 0..JOBS {
        let director = site.director.clone();
        jobs.push(tokio::spawn(async move {
            let records = files(seed, Amount::SMALL);
            let mut plan = Plan::backup(&format!("Job{seed}"), POOL);
            plan.spool_attributes = seed % 2 == 0;
            let (report, client) = director.back_up(&plan, &records).await.unwrap();
            (report, client, records)
        }));
    }
    let mut done = Vec::new();
    for job in jobs {
        let (report, client, records) = soon("a backup", job).await.unwrap();
        client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
        assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
        assert_eq!(site.home(&report).written_by(&report.name), records);
        done.push((report, records));
    }
    let placed: Vec<u64> = NAMES.iter().map(|name| site.sdgroup.placed(name)).collect();
    assert_eq!(placed.iter().sum::<u64>(), JOBS);
    assert!(placed.iter().all(|placed| (66..=67).contains(placed)), "{placed:?}");
    let reports: Vec<&Report> = done.iter().map(|(report, _)| report).collect();
    site.until_quiet(&reports).await;
    for report in &reports {
        for volume in site.director.catalog.volumes_of(report.id.0) {
            let holder = site.sdgroup.holder(&volume).await;
            assert_eq!(holder.as_ref(), Some(&site.home(report).settings().name));
        }
    }

    let mut restores = Vec::new();
    for (report, records) in done {
        let director = site.director.clone();
        restores.push(tokio::spawn(async move {
            let (told, back) = director.restore(&Plan::restore(POOL), &[report.id]).await.unwrap();
            assert_eq!(back.unwrap_or_else(|error| panic!("{error}: {:?}", told.told)), records);
            told
        }));
    }
    for restore in restores {
        let told = soon("a restore", restore).await.unwrap();
        assert_eq!(told.status(), Some(JobStatus::Terminated), "{:?}", told.told);
    }
    site.until_quiet(&[]).await;
    site.assert_volumes_stayed_home();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_storage_ever_has_more_jobs_than_it_may() {
    const LIMIT: usize = 3;
    let plot = Plot {
        policy: "LeastUsed",
        maximum_concurrent_jobs: LIMIT,
        group: "LoginTimeout = \"30 seconds\"\nBusyWait = \"30 seconds\"",
        ..Plot::default()
    };
    let site = Site::new(plot).await;
    // Two Directors with catalogs of their own share the storages, and the count of jobs on them.
    let other = site.other_director();
    let mut jobs = Vec::new();
    for seed in 0..40 {
        let director = if seed % 2 == 0 { &site.director } else { &other }.clone();
        jobs.push(tokio::spawn(async move {
            let records = files(seed, Amount::SMALL);
            let pool = if director.name == DIRECTOR { POOL } else { OTHER_POOL };
            let plan = Plan::backup(&format!("Limited{seed}"), pool);
            let (report, client) = director.back_up(&plan, &records).await.unwrap();
            client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
            (report, records)
        }));
    }
    for job in jobs {
        let (report, records) = soon("a backup", job).await.unwrap();
        assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
        assert_eq!(site.home(&report).written_by(&report.name), records);
    }
    for storage in &site.storages {
        assert!(
            (1..=LIMIT).contains(&storage.most_jobs()),
            "{} jobs at once",
            storage.most_jobs()
        );
    }
    site.until_quiet(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_go_through_in_both_directions_at_once() {
    const LARGE: Amount = Amount {
        files: 3,
        bytes: 4_000_000,
        record: 65_536,
    };
    let site = Site::new(Plot::default()).await;
    let mut jobs = Vec::new();
    for seed in 0..3 {
        let director = site.director.clone();
        jobs.push(tokio::spawn(async move {
            let records = files(seed, LARGE);
            let (report, client) = director.back_up(&Plan::backup("Large", POOL), &records).await.unwrap();
            client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
            let (told, back) = director.restore(&Plan::restore(POOL), &[report.id]).await.unwrap();
            assert!(back.unwrap_or_else(|error| panic!("{error}: {:?}", told.told)) == records);
            (report, records)
        }));
    }
    for job in jobs {
        let (report, records) = soon("a large job", job).await.unwrap();
        assert!(site.home(&report).written_by(&report.name) == records);
        assert_eq!(report.told.end.as_ref().map(|end| end.bytes), Some(total(&records)));
    }
    site.until_quiet(&[]).await;
}

#[tokio::test]
async fn a_storage_that_reads_no_more_stops_its_client_and_nothing_piles_up() {
    const PIECE: usize = 1 << 20;
    /// Sockets and pipes hold some of it; what goes beyond would be memory of sdgroup.
    const MOST: usize = 48 << 20;
    let site = Site::new(Plot::default()).await;
    let mut job = Running::start(&site.director, "Dammed").await;
    let storage = site.home_of(&job.name).await;
    storage.freeze();
    let piece = Record {
        file_index: 2,
        stream: DATA,
        bytes: files(
            7,
            Amount {
                files: 1,
                bytes: PIECE,
                record: PIECE,
            },
        )[1]
        .bytes
        .slice(..PIECE / 2),
    };
    let mut sent = 0;
    while sent < 2 * MOST {
        let sending = job.link.send(std::slice::from_ref(&piece));
        if tokio::time::timeout(Duration::from_secs(1), sending).await.is_err() {
            break;
        }
        sent += piece.bytes.len();
    }
    assert!(
        sent < MOST,
        "{sent} bytes were taken from the Client while its storage read nothing"
    );
    // Nobody else is in the way of a storage that reads.
    let (other, records) = back_up(&site.director, "Beside").await;
    assert_eq!(site.home(&other).written_by(&other.name), records);
    site.director.cancel(&job.name).await.unwrap();
    let report = soon("the end", job.ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled), "{:?}", report.told);
    storage.thaw();
    drop(job.link);
    site.until_quiet(&[&report]).await;
}
