//! The interface, as a caller on the socket has it.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::admin::server::{Bounds, serve};
use crate::admin::socket::AdminSocket;
use crate::admin::{NotReloaded, Outcome, Reloaded};
use crate::config::{self, MachineSecrets};
use crate::group::{Cause, Condition, Directory, Explanation, PlacementRequest, Tried};
use crate::relay::PipePool;
use crate::session::history::Recorder;
use crate::session::{JobFacts, States, Wait};
use crate::store::{JobRecord, Keep, MemoryStore};
use crate::types::{
    Bytes, ClientName, DirectorName, FileSetName, GroupName, JobId, JobLevel, JobName, JobResourceName, JobStatus,
    JobType, Moment, StorageName,
};
use crate::volumes::Ledger;

/// What is secret in the configuration.
pub(super) const SECRETS: [&str; 8] = [
    "hush-operator-16",
    "hush-database",
    "hush-among-peers",
    "hush-director",
    "hush-file4",
    "hush-file5",
    "hush-monitor-4",
    "hush-monitor-5",
];

pub(super) const CONFIG: &str = r#"
    [Sdgroup]
    AdminToken = "hush-operator-16"
    LogFormat = "json"
    TlsRequire = true
    [Store]
    DbAddress = ["db1.example.org", "/run/postgresql"]
    Password = "hush-database"
    [Peers]
    Name = "sdgroup-a"
    Address = "192.0.2.1"
    Password = "hush-among-peers"
    [History]
    MaximumJobs = 77
    [Probe]
    Director = "monitor"
    [[Listen]]
    Group = "Files"
    [[Director]]
    Name = "lab-dir"
    Password = "hush-director"
    [[Storage]]
    Name = "File4"
    Address = "192.0.2.4"
    Password = "hush-file4"
    MaximumConcurrentJobs = 2
    [[Storage.Director]]
    Name = "monitor"
    Password = "hush-monitor-4"
    [[Storage]]
    Name = "File5"
    Address = "192.0.2.5"
    Password = "hush-file5"
    [[Storage.Director]]
    Name = "monitor"
    Password = "hush-monitor-5"
    [[Group]]
    Name = "Files"
    Storages = ["File4", "File5"]
    ShadowPolicy = "RoundRobin"
    [[Group.Rule]]
    Client = "laptop-*"
    Storages = ["File5"]
"#;

/// A process whose configuration stays what it is.
#[derive(Debug)]
struct Unmoved;

impl Steering for Unmoved {
    fn reload(self: Arc<Self>) -> Outcome<Reloaded, NotReloaded> {
        let refused = NotReloaded {
            reason: "no".to_owned(),
            details: vec!["line 3".to_owned()],
        };
        Box::pin(async { Err(refused) })
    }

    fn hand_over(self: Arc<Self>) -> Outcome<u32, String> {
        Box::pin(async { Err("not now".to_owned()) })
    }

    fn is_replaced(&self) -> bool {
        true
    }
}

/// A process that is well.
#[derive(Debug)]
struct Well;

impl Vitals for Well {
    fn show(&self) {}

    fn phase(&self) -> &'static str {
        "ready"
    }

    fn obstacles(&self) -> Vec<String> {
        Vec::new()
    }

    fn remarks(&self) -> Vec<String> {
        vec!["the database is away".to_owned()]
    }
}

pub(super) struct Site {
    folder: tempfile::TempDir,
    pub(super) desk: Desk,
    pub(super) office: Office,
    stop: CancellationToken,
}

impl Site {
    pub(super) fn new() -> Self {
        let loaded = config::compile(CONFIG, Path::new("test.toml"), &MachineSecrets::new()).unwrap();
        let model = Arc::new(loaded.model);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let directory = Directory::new(&model);
        let (recorder, _records) = Recorder::new();
        let context = Context::new(
            model,
            directory,
            Ledger::new(Arc::clone(&store)),
            States::new(Arc::clone(&store)),
            recorder,
            PipePool::default(),
        );
        let office = Office {
            current: Current::new(context),
            store,
            steering: Arc::new(Unmoved),
            vitals: Arc::new(Well),
            started: Moment(0),
        };
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            desk: Desk::from_ref(&office),
            office: office.clone(),
            stop: CancellationToken::new(),
        };
        let socket = AdminSocket::bind(&site.path()).unwrap();
        tokio::spawn(serve(
            socket,
            api(office),
            Bounds::default(),
            TaskTracker::new(),
            site.stop.clone(),
        ));
        site
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("admin.sock")
    }

    /// The status and the body of an answer.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = UnixStream::connect(self.path()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, None).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn put_state(&self, storage: &str, wanted: Value) -> (u16, Value) {
        let path = format!("/api/v1/storages/{storage}/state");
        self.ask("PUT", &path, Some(wanted)).await
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(super) fn facts(id: u32) -> JobFacts {
    JobFacts {
        director: DirectorName::new("lab-dir").unwrap(),
        id: JobId(id),
        name: JobName::new(&format!("Nightly.{id}")).unwrap(),
        group: GroupName::new("Files").unwrap(),
        resource: JobResourceName::new("Nightly").unwrap(),
        client: ClientName::new("server").unwrap(),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        arrived: Moment(1_795_393_237),
    }
}

fn record(client: &str) -> JobRecord {
    let facts = facts(1);
    JobRecord {
        director: facts.director,
        job: facts.name,
        job_id: facts.id,
        resource: facts.resource,
        client: ClientName::new(client).unwrap(),
        fileset: FileSetName::new("All").unwrap(),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        group: facts.group,
        storage: StorageName::new("File4").unwrap(),
        arrived: 1,
        placed: 1,
        ended: 1,
        status: JobStatus::Terminated,
        files: 1,
        bytes: Bytes(1),
    }
}

#[tokio::test]
async fn a_state_is_put_seen_and_kept() {
    let site = Site::new();
    let sealed = json!({"state": "sealed", "by": "ann", "reason": "full", "seconds": 3600});
    let (status, shown) = site.put_state("File4", sealed).await;
    assert_eq!(
        (status, &shown["state"], &shown["by"]),
        (200, &json!("sealed"), &json!("ann"))
    );
    assert!(shown["until"].as_str().unwrap().ends_with('Z'), "{shown}");
    assert_eq!(site.get("/api/v1/storages/File4").await, shown);
    let kept = site.desk.store.states().await.unwrap();
    assert_eq!(kept[0].decision.reason.as_deref(), Some("full"));
    let all = site.get("/api/v1/storages").await;
    assert_eq!(
        (&all[0]["state"], &all[1]["state"]),
        (&json!("sealed"), &json!("ready"))
    );
    assert_eq!(
        (&all[0]["jobs_limit"], &all[0]["groups"]),
        (&json!(2), &json!(["Files"]))
    );

    let (status, shown) = site.put_state("File4", json!({"state": "ready", "by": "ann"})).await;
    assert_eq!(
        (status, &shown["state"], &shown["by"]),
        (200, &json!("ready"), &Value::Null)
    );
    let kept = site.desk.store.states().await.unwrap();
    assert_eq!(kept[0].decision.state, crate::types::State::Ready);
}

#[tokio::test]
async fn what_makes_no_sense_is_told_and_changes_nothing() {
    let site = Site::new();
    for (storage, wanted, code, told) in [
        (
            "File9",
            json!({"state": "sealed", "by": "ann"}),
            404,
            "there is no storage",
        ),
        ("File4", json!({"state": "closed", "by": "ann"}), 400, "is no state"),
        ("File4", json!({"state": "sealed", "by": " "}), 400, "by is empty"),
        ("File4", json!({"state": "sealed"}), 400, "missing field `by`"),
        (
            "File4",
            json!({"state": "sealed", "by": "ann", "untill": "x"}),
            400,
            "unknown field",
        ),
        (
            "File4",
            json!({"state": "sealed", "by": "ann", "reason": "two\nlines"}),
            400,
            "one line",
        ),
        (
            "File4",
            json!({"state": "sealed", "by": "ann", "reason": "x".repeat(201)}),
            400,
            "more than 200",
        ),
        (
            "File4",
            json!({"state": "sealed", "by": "ann", "until": "2001-01-01T00:00:00Z"}),
            400,
            "is over",
        ),
        (
            "File4",
            json!({"state": "sealed", "by": "ann", "until": "soon"}),
            400,
            "is no time",
        ),
        (
            "File4",
            json!({"state": "sealed", "by": "ann", "until": "2999-01-01T00:00:00Z", "seconds": 1}),
            400,
            "either",
        ),
        (
            "File4",
            json!({"state": "ready", "by": "ann", "seconds": 5}),
            400,
            "no end",
        ),
    ] {
        let (status, body) = site.put_state(storage, wanted.clone()).await;
        assert_eq!(status, code, "{wanted}: {body}");
        assert!(body["error"].as_str().unwrap().contains(told), "{wanted}: {body}");
    }
    let (status, _) = site.ask("PUT", "/api/v1/storages/File4/state", None).await;
    assert_eq!(status, 400);
    assert_eq!(site.get("/api/v1/storages/File4").await["state"], "ready");
}

#[tokio::test]
async fn what_would_happen_is_explained() {
    let site = Site::new();
    let explain = async |wanted: Value| site.ask("POST", "/api/v1/explain", Some(wanted)).await;
    let (status, explained) = explain(json!({"job": "Nightly"})).await;
    assert_eq!(status, 200, "{explained}");
    assert_eq!(
        (&explained["level"], &explained["is_known"]),
        (&json!("full"), &json!(false))
    );
    let why = &explained["explanation"];
    assert_eq!(
        (&why["storage"], &why["policy"]),
        (&json!("File4"), &json!("ListedOrder"))
    );
    assert_eq!(why["shadow"]["storage"], "File4");
    assert_eq!(why["members"][1]["rank"], 2);

    let context = &site.desk.context;
    let file4 = &context.directory.storages()[0];
    let _ = file4.observe_failure(Cause::new("dial", "connection refused"), Instant::now());
    let why = explain(json!({"job": "Nightly", "level": "Incremental"})).await.1;
    let member = &why["explanation"]["members"][0];
    assert_eq!((&member["cause"], &member["rank"]), (&json!("ejected"), &Value::Null));
    assert!(
        member["objection"].as_str().unwrap().contains("connection refused"),
        "{member}"
    );

    // The last run says whose job it is, and so the rule.
    let keep = Keep { since: 0, most: 10 };
    site.desk.store.add_jobs(vec![record("laptop-7")], keep).await.unwrap();
    let explained = explain(json!({"job": "Nightly"})).await.1;
    assert_eq!(
        (&explained["client"], &explained["is_known"]),
        (&json!("laptop-7"), &json!(true))
    );
    assert_eq!(explained["explanation"]["rule"], "rule 1");
    assert_eq!(explained["explanation"]["members"][0]["cause"], "rule");
    let explained = explain(json!({"job": "Nightly", "client": "server"})).await.1;
    assert_eq!(explained["explanation"]["rule"], Value::Null);

    for (wanted, code, told) in [
        (json!({"job": "Nightly", "group": "File"}), 404, "did you mean"),
        (json!({"job": "Nightly", "level": "fool"}), 400, "is no level"),
        (
            json!({"job": "Nightly", "type": "restore"}),
            400,
            "where its volumes are",
        ),
        (json!({"job": ""}), 400, "the name is empty"),
        (json!({}), 400, "missing field `job`"),
    ] {
        let (status, body) = explain(wanted.clone()).await;
        assert_eq!(status, code, "{wanted}: {body}");
        assert!(
            body["error"].as_str().unwrap().to_lowercase().contains(told),
            "{wanted}: {body}"
        );
    }
    let view = context.directory.storages()[1].view(Instant::now());
    assert_eq!(view.placed_total, 0, "nothing was placed");
}

#[tokio::test]
async fn jobs_are_listed_with_their_reasons() {
    let site = Site::new();
    let context = &site.desk.context;
    let live = context.jobs.enter(facts(17));
    let group = context.directory.groups()[0].clone();
    let request = PlacementRequest {
        job_id: live.facts.id,
        ..PlacementRequest::new(
            live.facts.director.clone(),
            live.facts.name.clone(),
            live.facts.resource.clone(),
            live.facts.client.clone(),
            FileSetName::new("All").unwrap(),
        )
    };
    let jobs = site.get("/api/v1/jobs").await;
    assert_eq!(jobs["running"][0]["storage"], Value::Null);
    let placed = context.directory.place(&group, &request, &Tried::new(), Instant::now());
    live.placed_on(placed.unwrap().storage.name.clone());
    let jobs = site.get("/api/v1/jobs").await;
    let running = &jobs["running"][0];
    assert_eq!((&running["job_id"], &running["storage"]), (&json!(17), &json!("File4")));
    assert_eq!(
        (&running["type"], &running["arrived"]),
        (&json!("backup"), &json!("2026-11-23T00:20:37Z"))
    );
    assert_eq!(jobs["recent"], json!([]));
}

#[tokio::test]
async fn the_queue_is_told_in_its_order() {
    let site = Site::new();
    let context = &site.desk.context;
    let explanation = Arc::new(Explanation::default());
    let jobs: Vec<_> = [17, 18, 19].map(|id| context.jobs.enter(facts(id))).into();
    for (job, ahead) in jobs.iter().zip([1, 0]) {
        let wait = Wait {
            condition: Condition::Busy,
            ahead,
            since: Moment(1_795_393_237),
        };
        job.waits(wait, &explanation);
    }
    let queue = site.get("/api/v1/queue").await;
    let ids: Vec<&Value> = queue.as_array().unwrap().iter().map(|job| &job["job_id"]).collect();
    assert_eq!(ids, [&json!(18), &json!(17)], "the third does not wait");
    let first = &queue[0];
    assert_eq!(
        (&first["group"], &first["cause"], &first["since"]),
        (&json!("Files"), &json!("busy"), &json!("2026-11-23T00:20:37Z"))
    );
    assert_eq!(first["reason"], explanation.objections());
    let all = site.get("/api/v1/jobs").await;
    assert_eq!(all["running"][0]["waits"]["ahead"], 1);
}

#[tokio::test]
async fn a_reload_that_is_refused_is_told_in_full() {
    let site = Site::new();
    let (status, told) = site.ask("POST", "/api/v1/reload", None).await;
    assert_eq!((status, told), (409, json!({"error": "no", "details": ["line 3"]})));
    let (status, _) = site.ask("GET", "/api/v1/reload", None).await;
    assert_eq!(status, 405);
    let (status, told) = site.ask("POST", "/api/v1/handover", None).await;
    assert_eq!((status, told), (409, json!({"error": "nothing has changed: not now"})));
    let shown = site.get("/api/v1/process").await;
    assert_eq!(
        (&shown["is_replaced"], &shown["predecessors"]),
        (&json!(true), &json!([]))
    );
}
