//! No job is held up by another, however much that one moves, or however slowly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sdgroup::types::{JobStatus, State};
use sdgroup::wire::packet::Signal;
use tokio::task::JoinHandle;

use crate::harness::bytes_of_jobs::{Amount, DATA, Record, files, total};
use crate::harness::running::{Running, back_up};
use crate::harness::site::{POOL, Plot, Site};
use crate::harness::wait::{soon, until_true};
use crate::peers::client::DataLink;
use crate::peers::director::{Plan, Report};

/// On a busy machine so many logins at once take their time.
fn patient() -> Plot {
    Plot {
        group: "LoginTimeout = \"30 seconds\"\nConnectTimeout = \"30 seconds\"",
        process: "LoginTimeout = \"30 seconds\"\nFirstPacketTimeout = \"30 seconds\"\nRouteWait = \"30 seconds\"",
        ..Plot::default()
    }
}

/// Jobs whose storages keep no data of theirs.
const TORRENT: &str = "Torrent";

/// A backup that sends as much as its storage takes, until it is told to end.
struct Torrent {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    ends: JoinHandle<(Report, u64)>,
}

impl Torrent {
    async fn start(site: &Site) -> Self {
        const PIECE: usize = 64 << 10;
        const AT_ONCE: usize = 8;
        let mut job = Running::start(&site.director, TORRENT).await;
        let (sent, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let told = (Arc::clone(&sent), Arc::clone(&stop));
        let ends = tokio::spawn(async move {
            let (sent, stop) = told;
            let length = u32::try_from(PIECE).unwrap().to_be_bytes();
            let pieces = [length.to_vec(), vec![7; PIECE]].concat().repeat(AT_ONCE);
            job.link.wire.put(format!("2 {DATA} 0"));
            while !stop.load(Ordering::Relaxed) {
                job.link.wire.put_raw(&pieces);
                job.link.wire.flush().await.unwrap();
                sent.fetch_add((AT_ONCE * PIECE) as u64, Ordering::Relaxed);
            }
            job.link.wire.put_signal(Signal::Eod);
            let (report, records) = job.finish().await;
            (report, total(&records))
        });
        Self { sent, stop, ends }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; its storage has every byte.
    async fn end(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let (report, others) = soon("the torrent's end", self.ends).await.unwrap();
        let bytes = report.told.end.as_ref().map(|end| end.bytes);
        assert_eq!(bytes, Some(self.sent.load(Ordering::Relaxed) + others));
        report
    }
}

/// So many small jobs at once, beside one that sends all it can: they all end while it runs, and it runs on all the
/// while.
async fn beside_a_torrent(jobs: u64) {
    crate::harness::allow_many_open_files();
    let plot = Plot {
        maximum_concurrent_jobs: 1000,
        settings: |settings| {
            settings.forgets = Some(TORRENT);
            settings.jobs_per_device = 1000;
        },
        ..patient()
    };
    let site = Site::new(plot).await;
    let torrent = Torrent::start(&site).await;
    until_true("the torrent to run", || torrent.sent() > 0).await;
    let mut small = tokio::task::JoinSet::new();
    for seed in 0..jobs {
        let director = site.director.clone();
        small.spawn(async move {
            let records = files(seed, Amount::SMALL);
            let plan = Plan::backup(&format!("Small{seed}"), POOL);
            let (report, client) = director.back_up(&plan, &records).await.unwrap();
            client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
            (report, records)
        });
    }
    let (mut ended, mut sent) = (0, vec![torrent.sent()]);
    while let Some(job) = soon("a small job", small.join_next()).await {
        let (report, records) = job.unwrap();
        assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
        assert_eq!(site.home(&report).written_by(&report.name), records);
        ended += 1;
        if ended % (jobs / 4) == 0 {
            sent.push(torrent.sent());
        }
    }
    assert_eq!(ended, jobs);
    assert!(!torrent.ends.is_finished(), "the torrent has ended");
    let starved = sent.windows(2).any(|quarter| quarter[0] == quarter[1]);
    assert!(!starved, "the torrent's bytes, by quarters of the small jobs: {sent:?}");
    let report = torrent.end().await;
    site.until_quiet(&[&report]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_small_jobs_end_beside_one_that_sends_all_it_can_and_it_sends_on() {
    beside_a_torrent(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the same with a thousand"]
async fn a_thousand_small_jobs_end_beside_one_that_sends_all_it_can_and_it_sends_on() {
    beside_a_torrent(1000).await;
}

/// Much more than sockets and pipes hold.
const LARGE: Amount = Amount {
    files: 3,
    bytes: 20_000_000,
    record: 65_536,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_and_a_slow_storage_hold_up_nobody_else_and_lose_nothing() {
    let site = Site::new(patient()).await;
    let kept = files(1, LARGE);
    let (report, client) = site.director.back_up(&Plan::backup("Kept", POOL), &kept).await.unwrap();
    client.unwrap();
    assert_eq!(site.home(&report).settings().name, "File4");

    // A Client that asks for all of that and reads none of it.
    let mut restore = site.director.begin(&Plan::restore(POOL)).await.unwrap();
    restore.reserve().await.unwrap();
    let resource = &site.director.storage;
    let bootstrap = site
        .director
        .catalog
        .bootstrap(&[report.id.0], &resource.name, &resource.device);
    restore.bootstrap(&bootstrap).await.unwrap();
    restore.run().await.unwrap();
    let errand = restore.errand();
    let restored = tokio::spawn(restore.finish());
    let mut slow_client = soon("the data connection", DataLink::open(&errand)).await.unwrap();
    slow_client.open_read(&errand).await.unwrap();
    // A storage that reads no more, and a Client that has much for it.
    let mut stalled = Running::start(&site.director, "Stalled").await;
    let storage = site.home_of(&stalled.name).await;
    assert_eq!(storage.settings().name, "File5");
    storage.freeze();
    site.sdgroup.decide("File5", State::Draining, "ann");
    let more: Vec<Record> = files(2, LARGE)
        .into_iter()
        .filter(|record| record.stream == DATA)
        .map(|record| Record {
            file_index: 2,
            ..record
        })
        .collect();
    let sending = tokio::spawn(async move {
        stalled.link.send(&more).await.unwrap();
        (stalled, more)
    });

    for number in 0..20 {
        let (beside, records) = back_up(&site.director, &format!("Beside{number}")).await;
        assert_eq!(site.home(&beside).written_by(&beside.name), records);
    }

    assert!(!restored.is_finished() && !sending.is_finished());
    storage.thaw();
    let (stalled, more) = soon("the storage to read on", sending).await.unwrap();
    let (stalled, records) = stalled.finish().await;
    let half = records.iter().position(|record| record.file_index == 2).unwrap();
    let sent = [&records[..half], &more, &records[half..]].concat();
    assert!(storage.written_by(&stalled.name) == sent, "bytes were lost");
    let read = soon("the Client to read on", slow_client.receive()).await.unwrap();
    assert!(read == kept, "bytes were lost");
    slow_client.close_read().await.unwrap();
    let restored = soon("the restore", restored).await.unwrap();
    assert_eq!(restored.status(), Some(JobStatus::Terminated), "{:?}", restored.told);
    site.until_quiet(&[&stalled, &restored]).await;
}
