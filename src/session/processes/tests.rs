use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::config::{self, MachineSecrets};
use crate::group::{Directory, PlacementRequest, Tried};
use crate::relay::PipePool;
use crate::session::history::Recorder;
use crate::session::routes::{Far, Route};
use crate::session::{Context, Current, States, sharing};
use crate::store::{JobRecord, MemoryStore, News, Store};
use crate::types::{
    Bytes, ClientName, FileSetName, GroupName, JobId, JobLevel, JobResourceName, JobStatus, JobType, SessionKey,
};
use crate::volumes::Ledger;

const CONFIG: &str = r#"
    [[Listen]]
    Group = "Files"
    [[Director]]
    Name = "lab-dir"
    Password = "secret"
    [[Storage]]
    Name = "File4"
    Address = "192.0.2.4"
    Password = "secret"
    [[Storage]]
    Name = "File5"
    Address = "192.0.2.5"
    Password = "secret"
    [[Group]]
    Name = "Files"
    Storages = ["File4", "File5"]
    StorageGroupPolicy = "LastBackedUpTo"
"#;

fn current() -> Arc<Current> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let loaded = config::compile(CONFIG, Path::new("test.toml"), &MachineSecrets::new()).unwrap();
    let model = Arc::new(loaded.model);
    let directory = Directory::new(&model);
    Current::new(Context::new(
        model,
        directory,
        Ledger::new(Arc::clone(&store)),
        States::new(store),
        Recorder::new().0,
        PipePool::default(),
    ))
}

fn introduction() -> Introduction {
    Introduction {
        socket: "/nowhere/process.7.sock".into(),
        pid: 7,
        version: "0.0.0".to_owned(),
    }
}

fn record(number: u32, storage: &str) -> JobRecord {
    JobRecord {
        director: DirectorName::new("lab-dir").unwrap(),
        job: JobName::new(&format!("Nightly.{number}")).unwrap(),
        job_id: JobId(number),
        resource: JobResourceName::new("Nightly").unwrap(),
        client: ClientName::new("client").unwrap(),
        fileset: FileSetName::new("All").unwrap(),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        group: GroupName::new("Files").unwrap(),
        storage: StorageName::new(storage).unwrap(),
        arrived: 0,
        placed: 0,
        ended: 0,
        status: JobStatus::Terminated,
        files: 7,
        bytes: Bytes(1 << 20),
    }
}

/// Where the next run goes: to the storage that had one the longest ago.
fn next_goes_to(context: &Context) -> String {
    let record = record(9, "File4");
    let request = PlacementRequest::new(
        record.director,
        record.job,
        record.resource,
        record.client,
        record.fileset,
    );
    let group = context.directory.group(&record.group).unwrap();
    let placed = context.directory.place(&group, &request, &Tried::new(), Instant::now());
    placed.unwrap().storage.name.to_string()
}

/// Tells `current` what a process tells that joins it, and waits until it has heard that.
async fn told(current: &Arc<Current>, tidings: &[Value]) {
    let processes = Arc::clone(&current.context().processes);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (counted, first) = oneshot::channel();
    let joined = {
        let current = Arc::clone(current);
        tokio::spawn(async move { join::keep(&current, ours, introduction(), true, Some(counted)).await })
    };
    for one in tidings {
        say(&mut theirs, one).await.unwrap();
    }
    say(&mut theirs, &json!({"Places": {"jobs": 3, "places": []}}))
        .await
        .unwrap();
    first.await.expect("it is listened to");
    assert_eq!(processes.predecessors().first().map(|it| it.jobs), Some(3));
    drop(theirs);
    joined.await.unwrap();
    assert!(processes.is_alone());
}

#[tokio::test]
async fn what_a_later_version_tells_besides_is_passed_over() {
    let current = current();
    let unknown = [
        json!({"Weather": {"outlook": "fair"}}),
        json!("Holiday"),
        json!({"Places": 3}),
    ];
    told(&current, &unknown).await;

    let (mut asks, answers) = UnixStream::pair().unwrap();
    say(&mut asks, &json!({"Weather": "tomorrow"})).await.unwrap();
    serve::answer(&current, answers).await.unwrap();
    assert!(matches!(hear(&mut asks).await.unwrap(), Reply::Nothing));
}

#[tokio::test]
async fn a_job_that_is_in_the_history_and_told_by_its_process_counts_once() {
    let current = current();
    let context = current.context();
    let past = [record(1, "File4"), record(2, "File5")].map(|record| crate::session::history::past(&record));
    context.remember(&past);
    let again = serde_json::to_value(Tidings::Ended(EndedShown::of(&past[0]))).unwrap();
    told(&current, &[again]).await;
    assert_eq!(next_goes_to(&context), "File4");
    let another = crate::session::history::past(&record(3, "File4"));
    let another = serde_json::to_value(Tidings::Ended(EndedShown::of(&another))).unwrap();
    told(&current, &[another]).await;
    assert_eq!(next_goes_to(&context), "File5");
}

#[tokio::test]
async fn jobs_that_other_sdgroups_had_are_told_to_the_other_processes() {
    let current = current();
    let context = current.context();
    let mut tidings = context.processes.tidings.subscribe();
    let (news, told) = mpsc::unbounded_channel();
    news.send(News::Jobs(vec![record(1, "File4")])).unwrap();
    drop(news);
    sharing::follow(Arc::clone(&current), told).await;
    assert_eq!(next_goes_to(&context), "File5");
    let Tidings::Ended(ended) = tidings.try_recv().unwrap() else {
        panic!("that a job has ended");
    };
    assert_eq!(ended.job().unwrap().job.as_str(), "Nightly.1");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_hangs_is_named_and_one_that_is_gone_has_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("process.7.sock");
    let hangs = tokio::net::UnixListener::bind(&socket).unwrap();
    let processes = Processes::default();
    let whom = Introduction {
        socket,
        ..introduction()
    };
    let process = processes.enter(whom, true);
    let (volume, here) = (VolumeName::new("V").unwrap(), StorageName::new("File4").unwrap());
    let silence = processes.claimed_by(&volume, &here).await.unwrap_err();
    assert_eq!(silence.pid, 7);
    drop(hangs);
    assert_eq!(processes.claimed_by(&volume, &here).await, Ok(None));
    processes.leave(&process);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_is_passed_on_has_a_place_among_the_strangers() {
    let current = current();
    let context = current.context();
    let job = JobName::new("Nightly.1").unwrap();
    let route = Route {
        director: DirectorName::new("lab-dir").unwrap(),
        job_id: JobId(1),
        job: job.clone(),
        group: GroupName::new("Files").unwrap(),
        client: ClientName::new("client").unwrap(),
        connect_timeout: ANSWER,
        login_timeout: ANSWER,
        client_key: SessionKey::mint([7; 16]),
        far: Far::InTurn {
            version: 306,
            turns: Mutex::default(),
        },
        tally: Arc::default(),
        stop: CancellationToken::new(),
        ended: Arc::default(),
        over: CancellationToken::new(),
    };
    let announced = context.routes.announce(route, None).unwrap();
    let places = context.strangers.available_permits();
    let all = Arc::clone(&context.strangers).acquire_many_owned(u32::try_from(places).unwrap());
    let all = all.await.unwrap();

    let (mut asks, answers) = UnixStream::pair().unwrap();
    let request = Request::Route {
        job: job.to_string(),
        wait: 10,
    };
    say(&mut asks, &request).await.unwrap();
    let answering = tokio::spawn(async move { serve::answer(&current, answers).await });
    let reply = tokio::time::timeout(ANSWER, hear::<Reply>(&mut asks)).await;
    assert!(reply.is_err(), "{reply:?}");
    drop(all);
    assert!(matches!(hear(&mut asks).await.unwrap(), Reply::Ours));
    assert_eq!(context.strangers.available_permits(), places - 1);
    drop(asks);
    answering.await.unwrap().unwrap_err();
    assert_eq!(context.strangers.available_permits(), places);
    drop(announced);
}
