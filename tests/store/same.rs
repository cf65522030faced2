//! What every store does alike.

use crate::database::{Machine, PATIENCE, migrated, options};
use sdgroup::store::{
    Entry, Follower, JobRecord, Keep, MemoryStore, PostgresStore, Recorded, SharedStore, Source, SqliteStore,
    StateRecord, Store, StoreError, Weight,
};
use sdgroup::types::{
    Bytes, ClientName, Decision, DirectorName, FileSetName, GroupName, JobId, JobLevel, JobName, JobResourceName,
    JobStatus, JobType, MediaType, Moment, PoolName, State, StorageName, VolumeName,
};
use tempfile::TempDir;

pub(crate) fn volume(name: &str) -> VolumeName {
    VolumeName::new(name).unwrap()
}

pub(crate) fn entry(name: &str, storage: &str, weight: Weight, at: i64) -> Entry {
    Entry {
        volume: volume(name),
        storage: StorageName::new(storage).unwrap(),
        source: Source::Learned,
        weight,
        media_type: None,
        pool: Some(PoolName::new("Nightly").unwrap()),
        at,
        by: Some("Job.1".to_owned()),
    }
}

pub(crate) fn job(number: u32, ended: i64) -> JobRecord {
    JobRecord {
        director: DirectorName::new("lab-dir").unwrap(),
        job: JobName::new(&format!("Nightly.{number}")).unwrap(),
        job_id: JobId(number),
        resource: JobResourceName::new("Nightly").unwrap(),
        client: ClientName::new("My Client").unwrap(),
        fileset: FileSetName::new("All").unwrap(),
        job_type: JobType::Backup,
        level: JobLevel::Other(b'Z'),
        group: GroupName::new("Files").unwrap(),
        storage: StorageName::new("File4").unwrap(),
        arrived: ended - 20,
        placed: ended - 10,
        ended,
        status: JobStatus::Terminated,
        files: 7,
        bytes: Bytes(1 << 50),
    }
}

pub(crate) fn state(storage: &str, state: State, since: i64) -> StateRecord {
    StateRecord {
        storage: StorageName::new(storage).unwrap(),
        decision: Decision {
            state,
            reason: Some("a new controller".to_owned()),
            by: "root".to_owned(),
            since: Moment(since),
            until: None,
        },
    }
}

struct Kind {
    store: Box<dyn Store>,
    _folder: Option<TempDir>,
    _follower: Option<Follower>,
}

/// Every kind of store, empty, with what it needs to live.
async fn kinds(machines: &[Machine; 2]) -> Vec<Kind> {
    let plain = |store: Box<dyn Store>, folder| Kind {
        store,
        _folder: folder,
        _follower: None,
    };
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let file = |folder: &TempDir| SqliteStore::open(&folder.path().join("sdgroup.db")).unwrap();
    let [one, other, away] = folders;
    let alone = PostgresStore::connect(&options(&[&machines[0]]), PATIENCE).await;
    let (shared, mut follower, _) = SharedStore::new(file(&other), options(&[&machines[1]]), PATIENCE);
    follower.begin().await;
    assert_eq!(follower.view().borrow().trouble, None);
    // Nobody has called the database of this one.
    let (cut_off, idle, _) = SharedStore::new(file(&away), options(&[&machines[1]]), PATIENCE);
    vec![
        plain(Box::new(MemoryStore::new()), None),
        plain(Box::new(file(&one)), Some(one)),
        plain(Box::new(alone.unwrap()), None),
        Kind {
            store: Box::new(shared),
            _folder: Some(other),
            _follower: Some(follower),
        },
        Kind {
            store: Box::new(cut_off),
            _folder: Some(away),
            _follower: Some(idle),
        },
    ]
}

async fn volumes_are_recorded(store: &dyn Store) {
    use Recorded::{Conflict, Moved, New, Same};
    use Weight::{KeepKnown, ReplaceKnown};
    let file4 = StorageName::new("File4").unwrap();
    let several = vec![
        entry("B", "File4", KeepKnown, 10),
        entry("A", "File4", KeepKnown, 10),
        entry("A", "File5", KeepKnown, 10),
    ];
    let told = store.record(several).await.unwrap();
    assert_eq!(told, [New, New, Conflict { known: file4.clone() }], "{store:?}");
    let mut media = entry("A", "File4", KeepKnown, 20);
    media.media_type = Some(MediaType::new("File").unwrap());
    assert_eq!(store.record(vec![media.clone()]).await.unwrap(), [Same]);
    let moved = store.record(vec![entry("B", "File5", ReplaceKnown, 30)]).await.unwrap();
    assert_eq!(moved, [Moved { from: file4.clone() }]);
    let found = store.find(vec![volume("A"), volume("C")]).await.unwrap();
    assert_eq!(found.len(), 1, "{store:?}");
    let record = &found[0];
    assert_eq!(
        (record.first_seen, record.updated, record.source),
        (10, 20, Source::Learned)
    );
    assert_eq!((&record.media_type, &record.pool), (&media.media_type, &media.pool));
    let names = |records: Vec<sdgroup::store::VolumeRecord>| -> Vec<String> {
        records.iter().map(|record| record.volume.to_string()).collect()
    };
    assert_eq!(names(store.all(None).await.unwrap()), ["A", "B"], "{store:?}");
    assert_eq!(names(store.all(Some(file4.clone())).await.unwrap()), ["A"]);
    assert_eq!(
        store.forget(volume("A")).await.unwrap().map(|gone| gone.storage),
        Some(file4)
    );
    assert_eq!(store.forget(volume("A")).await.unwrap(), None);
    assert_eq!(names(store.all(None).await.unwrap()), ["B"], "{store:?}");
    let again = entry("A", "File6", KeepKnown, Moment::of(std::time::SystemTime::now()).0);
    assert_eq!(store.record(vec![again]).await.unwrap(), [New], "{store:?}");
}

async fn the_history_comes_back_as_it_was(store: &dyn Store) {
    const ALL: Keep = Keep { since: 0, most: 1000 };
    let added: Vec<_> = (1..=6).map(|number| job(number, i64::from(number) * 100)).collect();
    store.add_jobs(added[..2].to_vec(), ALL).await.unwrap();
    store.add_jobs(added[2..].to_vec(), ALL).await.unwrap();
    assert_eq!(store.jobs(0, 1000).await.unwrap(), added, "{store:?}");
    assert_eq!(store.jobs(300, 1000).await.unwrap(), added[2..], "{store:?}");
    assert_eq!(store.jobs(0, 2).await.unwrap(), added[4..], "the youngest");
    // Of two that ended in another order, the one that was placed first comes first.
    let mut early = job(7, 900);
    early.placed = 50;
    store
        .add_jobs(vec![early.clone()], Keep { since: 300, most: 3 })
        .await
        .unwrap();
    let kept = store.jobs(0, 1000).await.unwrap();
    assert_eq!(kept, [early, added[4].clone(), added[5].clone()], "{store:?}");
    store.add_jobs(Vec::new(), Keep { since: 0, most: 0 }).await.unwrap();
    assert_eq!(store.jobs(0, 1000).await.unwrap(), []);
}

async fn the_last_state_of_a_storage_is_kept(store: &dyn Store) {
    assert_eq!(store.states().await.unwrap(), []);
    let sealed = state("File5", State::Sealed, 100);
    let mut draining = state("File4", State::Draining, 100);
    draining.decision.until = Some(Moment(2_000_000_000));
    for record in [&sealed, &draining] {
        store.put_state(record.clone()).await.unwrap();
    }
    assert_eq!(store.states().await.unwrap(), [draining.clone(), sealed.clone()]);
    let mut changed = state("File5", State::Maintenance, 100);
    changed.decision.reason = None;
    store.put_state(changed.clone()).await.unwrap();
    assert_eq!(store.states().await.unwrap(), [draining, changed]);
    let ready = ["File4", "File5"].map(|storage| state(storage, State::Ready, 200));
    for record in &ready {
        store.put_state(record.clone()).await.unwrap();
    }
    assert_eq!(store.states().await.unwrap(), ready, "{store:?}");
}

#[tokio::test]
async fn every_store_does_the_same() {
    let machines = [migrated().await, migrated().await];
    for kind in kinds(&machines).await {
        volumes_are_recorded(&*kind.store).await;
        the_history_comes_back_as_it_was(&*kind.store).await;
        the_last_state_of_a_storage_is_kept(&*kind.store).await;
    }
    let again = PostgresStore::migrate(&options(&[&machines[0]]), PATIENCE).await;
    assert_eq!(again.unwrap(), (4, 4));
}

#[tokio::test]
async fn a_database_that_is_not_ready_says_what_to_do() {
    let machine = Machine::primary();
    let mut options = options(&[&machine]);
    let told = |error: StoreError| error.to_string();
    let error = told(PostgresStore::connect(&options, PATIENCE).await.unwrap_err());
    assert!(error.contains("run \"sdgroup store migrate\""), "{error}");
    PostgresStore::migrate(&options, PATIENCE).await.unwrap();
    machine.ask("UPDATE sdgroup.version SET version = 99");
    let error = told(PostgresStore::connect(&options, PATIENCE).await.unwrap_err());
    assert!(
        error.contains("schema 99") && error.contains("run the newer sdgroup"),
        "{error}"
    );
    options.password = None;
    let error = told(PostgresStore::connect(&options, PATIENCE).await.unwrap_err());
    assert!(error.contains("password") && error.contains("127.0.0.1"), "{error}");
    machine.server.kill();
    let error = told(PostgresStore::connect(&options, PATIENCE).await.unwrap_err());
    assert!(error.contains("is away"), "{error}");
}
