//! Strangers: each has its defined answer and its metric, and none has an effect on a job that runs.

use std::time::Duration;

use sdgroup::handshake::{HandshakeError, Step, TlsPolicy, bridge};
use sdgroup::types::{JobName, JobStatus, SessionKey};
use sdgroup::wire::packet::{Outbox, Packet, Signal};

use crate::harness::bytes_of_jobs::{Amount, files};
use crate::harness::meters::Meters;
use crate::harness::running::Running;
use crate::harness::site::{DIRECTOR, PASSWORD, POOL, Plot, Site};
use crate::harness::wait::soon;
use crate::harness::wire::{LoginFailed, Wire, WireError, random};
use crate::peers::client::{self, ClientError, DataLink, Errand};
use crate::peers::director::{Director, DirectorError, Plan};
use crate::peers::storage::Point;

/// A site with a job in the middle of its data, which must not notice what the test does.
struct Scene {
    meters: Meters,
    site: Site,
    job: Running,
}

impl Scene {
    /// With deadlines that a test can wait for.
    async fn set() -> Self {
        Self::with("FirstPacketTimeout = \"1 second\"\nLoginTimeout = \"1 second\"\nRouteWait = \"1 second\"").await
    }

    /// With deadlines that nobody misses who does not mean to.
    async fn patient() -> Self {
        Self::with("FirstPacketTimeout = \"1 minute\"\nLoginTimeout = \"1 minute\"\nRouteWait = \"1 minute\"").await
    }

    async fn with(process: &'static str) -> Self {
        let meters = Meters::new();
        let plot = Plot {
            process,
            ..Plot::default()
        };
        let site = Site::new(plot).await;
        let job = Running::start(&site.director, "Bystander").await;
        Self { meters, site, job }
    }

    async fn connect(&self) -> Wire {
        Wire::dial(self.site.sdgroup.address).await.unwrap()
    }

    /// What a stranger gets who says this and waits.
    async fn answer_to(&self, bytes: &[u8]) -> (Vec<Packet>, WireError) {
        let mut wire = self.connect().await;
        wire.put_raw(bytes);
        wire.flush().await.unwrap();
        soon("the stranger to be shown out", wire.until_closed()).await
    }

    /// The job ends well, no storage has seen any stranger, and nothing is left.
    async fn end(self) {
        let (report, records) = self.job.finish().await;
        assert_eq!(self.site.home(&report).written_by(&report.name), records);
        for storage in &self.site.storages {
            assert_eq!((storage.wrong_keys(), storage.unknown_jobs()), (0, 0));
        }
        self.site.until_quiet(&[&report]).await;
    }
}

fn director(scene: &Scene, name: &str, password: &str) -> Director {
    let known = &scene.site.director;
    Director::new(name, password, known.storage.clone(), known.catalog.clone())
}

#[tokio::test]
async fn a_director_with_a_wrong_password_is_told_no_go() {
    let scene = Scene::patient().await;
    let refused = director(&scene, DIRECTOR, "a guess").call().await.unwrap_err();
    assert!(
        matches!(
            &refused,
            DirectorError::Login(LoginFailed::Handshake(HandshakeError::Refused))
        ),
        "{refused}"
    );
    scene
        .meters
        .until(&["sdgroup_logins_refused_total", "director", "wrong_answer"], 1)
        .await;
    scene.end().await;
}

#[tokio::test]
async fn an_unknown_director_is_told_nothing_but_the_end() {
    let scene = Scene::patient().await;
    let (said, how) = scene
        .answer_to(b"\0\0\0\x2fHello SD: Bacula Director stranger calling 103\n")
        .await;
    assert_eq!(said, [Packet::Signal(Signal::Terminate)]);
    assert!(matches!(how, WireError::Closed), "{how}");
    scene
        .meters
        .until(&["sdgroup_logins_refused_total", "director", "unknown"], 1)
        .await;
    scene.end().await;
}

#[tokio::test]
async fn a_director_is_known_by_any_case_and_its_password_alone_lets_it_in() {
    let scene = Scene::patient().await;
    let control = director(&scene, "SIM-DIR", PASSWORD).call().await.unwrap();
    assert_eq!(control.storage_version, 306);
    drop(control);
    scene.end().await;
}

#[tokio::test]
async fn a_client_of_an_unknown_job_is_shown_out_after_the_route_wait() {
    let scene = Scene::set().await;
    let errand = Errand {
        address: scene.site.sdgroup.address,
        job: JobName::new("Nobody.2026-11-23_00.20.37_99").unwrap(),
        key: SessionKey::mint([1; 16]),
        sd_id: 1,
        sd_time: 1,
    };
    let refused = soon("the end", DataLink::open(&errand)).await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::Login(LoginFailed::Wire(WireError::Closed))),
        "{refused}"
    );
    scene.meters.until(&["sdgroup_routes_missing_total"], 1).await;
    scene.end().await;
}

#[tokio::test]
async fn a_client_that_comes_before_its_job_waits_for_it() {
    let scene = Scene::patient().await;
    let director = &scene.site.director;
    let (id, name) = director.next_job("Early");
    let mut wire = scene.connect().await;
    wire.send(client::hello(&name).to_line()).await.unwrap();
    scene.meters.until(&["sdgroup_sessions{", "client"], 2).await;
    let mut job = director
        .begin_as(&Plan::backup("Early", POOL), id, name.clone())
        .await
        .unwrap();
    job.reserve().await.unwrap();
    job.run().await.unwrap();
    let mut said = Outbox::new();
    let (hello, tls) = (client::hello(&name), TlsPolicy::default());
    let login = bridge::Login::start(&hello, &job.answer.key, "sim-fd", random(), tls, None, &mut said).unwrap();
    soon("the login", wire.log_in(Ok(Step::Expect(login)), Outbox::new()))
        .await
        .unwrap();
    let mut link = DataLink::over(wire);
    let ends = tokio::spawn(job.finish());
    let records = files(5, Amount::SMALL);
    soon("the storage to be ready", link.open_append()).await.unwrap();
    link.send(&records).await.unwrap();
    link.close_append().await.unwrap();
    let report = soon("the job", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Terminated));
    assert_eq!(scene.site.home(&report).written_by(&name), records);
    scene.end().await;
}

#[tokio::test]
async fn a_second_client_for_a_job_that_has_one_is_shown_out() {
    let scene = Scene::patient().await;
    let mut errand = scene.job.errand.clone();
    let wrong = SessionKey::mint([1; 16]);
    // Nobody has a second one, so the key is not even asked for.
    for (count, key) in [errand.key.clone(), wrong].into_iter().enumerate() {
        errand.key = key;
        let refused = DataLink::open(&errand).await.unwrap_err();
        assert!(
            matches!(&refused, ClientError::Login(LoginFailed::Wire(WireError::Closed))),
            "{refused}"
        );
        let count = i64::try_from(count).unwrap() + 1;
        scene.meters.until(&["sdgroup_routes_taken_total"], count).await;
    }
    assert_eq!(scene.meters.sum(&["sdgroup_logins_refused_total"]), 0);
    scene.end().await;
}

#[tokio::test]
async fn a_stranger_with_a_wrong_key_does_not_reach_the_storage() {
    let scene = Scene::set().await;
    let director = &scene.site.director;
    let mut job = director.begin(&Plan::backup("Coveted", POOL)).await.unwrap();
    job.reserve().await.unwrap();
    job.run().await.unwrap();
    let errand = job.errand();
    let mut stranger = errand.clone();
    stranger.key = SessionKey::mint([1; 16]);
    let refused = DataLink::open(&stranger).await.unwrap_err();
    assert!(
        matches!(
            &refused,
            ClientError::Login(LoginFailed::Handshake(HandshakeError::Refused))
        ),
        "{refused}"
    );
    // One who stays silent in the middle of the login does not keep the real Client out either.
    let mut silent = scene.connect().await;
    silent.send(client::hello(&errand.job).to_line()).await.unwrap();
    assert!(silent.message().await.unwrap().starts_with(b"auth cram-md5 "));

    let ends = tokio::spawn(job.finish());
    let records = files(6, Amount::SMALL);
    soon("the Client", client::back_up(errand, records.clone()))
        .await
        .unwrap();
    let report = soon("the job", ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Terminated));
    assert_eq!(scene.site.home(&report).written_by(&report.name), records);
    let (_, how) = soon("the silent one to be shown out", silent.until_closed()).await;
    assert!(matches!(how, WireError::Closed | WireError::Broken(_)), "{how}");
    scene
        .meters
        .until(&["sdgroup_logins_refused_total", "client", "wrong_answer"], 1)
        .await;
    scene
        .meters
        .until(&["sdgroup_logins_refused_total", "client", "silent"], 1)
        .await;
    scene.end().await;
}

#[tokio::test]
async fn garbage_and_packets_too_large_end_the_connection_without_a_word() {
    let scene = Scene::patient().await;
    let large = 1_000_000_u32.to_be_bytes();
    let negative = (-4_i32).to_be_bytes();
    let strangers: [(&[u8], &str); 6] = [
        (b"\0\0\0\x24this is no Hello of any Bacula daemon", "garbage"),
        (b"\0\0\0\x05Hello", "garbage"),
        (b"\0\0\0\0", "garbage"),
        (&negative, "garbage"),
        (&large, "oversize"),
        (b"GET / HTTP/1.1\r\nHost: sdgroup\r\n\r\n", "oversize"),
    ];
    let (mut garbage, mut oversize) = (0, 0);
    for (bytes, cause) in strangers {
        let (said, _) = scene.answer_to(bytes).await;
        assert!(said.is_empty(), "{said:?}");
        *if cause == "garbage" {
            &mut garbage
        } else {
            &mut oversize
        } += 1;
        scene
            .meters
            .until(&["sdgroup_packets_refused_total", "garbage"], garbage)
            .await;
        scene
            .meters
            .until(&["sdgroup_packets_refused_total", "oversize"], oversize)
            .await;
    }
    scene.end().await;
}

#[tokio::test]
async fn a_small_packet_that_unpacks_to_a_large_one_is_garbage() {
    let scene = Scene::patient().await;
    let bomb = lz4_flex::block::compress(&vec![b' '; 100_000]);
    assert!(bomb.len() < 500);
    let word = u32::try_from(bomb.len()).unwrap() | 1 << 30;
    let (said, _) = scene.answer_to(&[&word.to_be_bytes(), &bomb[..]].concat()).await;
    assert!(said.is_empty(), "{said:?}");
    scene
        .meters
        .until(&["sdgroup_packets_refused_total", "garbage"], 1)
        .await;
    scene.end().await;
}

#[tokio::test]
async fn a_large_packet_after_the_login_ends_the_connection() {
    let scene = Scene::patient().await;
    let mut control = scene.site.director.call().await.unwrap();
    control.wire.put_raw(&1_000_001_u32.to_be_bytes());
    control.wire.flush().await.unwrap();
    let (said, _) = soon("the end", control.wire.until_closed()).await;
    assert!(said.is_empty(), "{said:?}");
    scene
        .meters
        .until(&["sdgroup_packets_refused_total", "oversize"], 1)
        .await;
    scene.end().await;
}

#[tokio::test]
async fn who_says_nothing_or_says_it_too_slowly_is_shown_out() {
    let scene = Scene::set().await;
    let mut silent = scene.connect().await;
    let mut slow = scene.connect().await;
    let line = b"Hello SD: Bacula Director sim-dir calling 103\n";
    slow.put_raw(&u32::try_from(line.len()).unwrap().to_be_bytes());
    let dripped = async {
        for byte in line {
            slow.put_raw(&[*byte]);
            slow.flush().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<(), WireError>(())
    };
    let (said, dripped) = tokio::join!(silent.until_closed(), dripped);
    assert!(said.0.is_empty() && matches!(said.1, WireError::Closed), "{said:?}");
    assert!(dripped.is_err(), "a whole Hello was taken byte by byte");
    scene
        .meters
        .until(&["sdgroup_packets_refused_total", "silent"], 2)
        .await;

    // Who begins the login and does not end it.
    let mut half = scene.connect().await;
    half.send(line).await.unwrap();
    let (said, _) = soon("the end", half.until_closed()).await;
    assert!(
        matches!(&said[0], Packet::Message(text) if text.starts_with(b"auth cram-md5 ")),
        "{said:?}"
    );
    scene
        .meters
        .until(&["sdgroup_logins_refused_total", "director", "silent"], 1)
        .await;
    scene.end().await;
}

#[tokio::test]
async fn who_connects_and_leaves_is_nothing_to_tell() {
    let scene = Scene::patient().await;
    let callers = ["sdgroup_sessions_started_total", "unknown"];
    let before = scene.meters.sum(&callers);
    drop(scene.connect().await);
    let mut reset = scene.connect().await;
    reset.put_raw(b"\0\0");
    reset.flush().await.unwrap();
    scene.meters.until(&callers, before + 2).await;
    reset.reset();
    scene.meters.until(&["sdgroup_sessions{", "unknown"], 0).await;
    assert_eq!(scene.meters.sum(&["refused_total"]), 0);
    scene.end().await;
}

#[tokio::test]
async fn an_unknown_command_is_refused_in_a_storages_words_and_never_passed_on() {
    let scene = Scene::patient().await;
    let said = scene.site.director.console("make%n coffee").await.unwrap();
    assert!(said[0].starts_with("3900 Invalid command: make%n coffee"), "{said:?}");
    let bad = scene.site.director.console("JobId=1 job=x").await.unwrap();
    assert!(bad[0].starts_with("3915 "), "{bad:?}");
    let none = scene.site.director.console("cancel Job=Nobody.1\n").await.unwrap();
    assert_eq!(none, ["3904 Job Nobody.1 not found."]);
    for storage in &scene.site.storages {
        let passed = storage.commands();
        assert!(!passed.iter().any(|line| line.contains("coffee")), "{passed:?}");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_stranger_of_a_later_release_is_not_passed_through_to_a_storage_of_9() {
    let scene = Scene::patient().await;
    let reached = |scene: &Scene| {
        scene
            .site
            .storages
            .iter()
            .map(|storage| storage.reached(Point::Accepted))
            .sum::<usize>()
    };
    let before = reached(&scene);
    for said in ["14 tlspsk=0", "15 tlspsk=100", "214 tlspsk=100"] {
        let hello = format!("Hello Bacula SD: Start Job {} {said}\n", scene.job.name);
        let mut stranger = scene.connect().await;
        stranger.send(hello).await.unwrap();
        soon("the stranger to be shown out", stranger.until_closed()).await;
    }
    assert_eq!(
        reached(&scene),
        before,
        "a stranger without a key has reached a storage"
    );
    scene.end().await;
}
