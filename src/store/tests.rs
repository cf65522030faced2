//! The history and the states, held to the same by every store.

use super::*;
use crate::types::{
    Bytes, ClientName, Decision, DirectorName, FileSetName, GroupName, JobId, JobLevel, JobName, JobResourceName,
    JobStatus, JobType, Moment, State,
};

fn wait<T>(answer: Answer<T>) -> Result<T, StoreError> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(answer)
}

fn job(number: u32, ended: i64) -> JobRecord {
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

fn state(storage: &str, state: State) -> StateRecord {
    StateRecord {
        storage: StorageName::new(storage).unwrap(),
        decision: Decision {
            state,
            reason: Some("a new controller".to_owned()),
            by: "root".to_owned(),
            since: Moment(100),
            until: None,
        },
    }
}

/// Every kind of store, empty, with what it needs to live.
fn stores() -> Vec<(Box<dyn Store>, Option<tempfile::TempDir>)> {
    let directory = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(&directory.path().join("sdgroup.db")).unwrap();
    vec![
        (Box::new(MemoryStore::new()), None),
        (Box::new(sqlite), Some(directory)),
    ]
}

#[test]
fn the_history_comes_back_as_it_was_and_does_not_grow_without_end() {
    const ALL: Keep = Keep { since: 0, most: 1000 };
    for (store, _directory) in stores() {
        let added: Vec<_> = (1..=6).map(|number| job(number, i64::from(number) * 100)).collect();
        wait(store.add_jobs(added[..2].to_vec(), ALL)).unwrap();
        wait(store.add_jobs(added[2..].to_vec(), ALL)).unwrap();
        assert_eq!(wait(store.jobs(0, 1000)).unwrap(), added);
        assert_eq!(wait(store.jobs(300, 1000)).unwrap(), added[2..], "{store:?}");
        assert_eq!(wait(store.jobs(0, 2)).unwrap(), added[4..], "the youngest");
        // Of two that ended in another order, the one that was placed first comes first.
        let mut early = job(7, 900);
        early.placed = 50;
        wait(store.add_jobs(vec![early.clone()], Keep { since: 300, most: 3 })).unwrap();
        let kept = wait(store.jobs(0, 1000)).unwrap();
        assert_eq!(kept, [early, added[4].clone(), added[5].clone()], "{store:?}");
        wait(store.add_jobs(Vec::new(), Keep { since: 0, most: 0 })).unwrap();
        assert_eq!(wait(store.jobs(0, 1000)).unwrap(), []);
    }
}

#[test]
fn a_state_is_kept_until_the_storage_is_ready() {
    for (store, _directory) in stores() {
        assert_eq!(wait(store.states()).unwrap(), []);
        let sealed = state("File5", State::Sealed);
        let mut draining = state("File4", State::Draining);
        draining.decision.until = Some(Moment(2_000_000_000));
        for record in [&sealed, &draining] {
            wait(store.put_state(record.clone())).unwrap();
        }
        assert_eq!(wait(store.states()).unwrap(), [draining.clone(), sealed.clone()]);
        let mut changed = state("File5", State::Maintenance);
        changed.decision.reason = None;
        wait(store.put_state(changed.clone())).unwrap();
        assert_eq!(wait(store.states()).unwrap(), [draining, changed]);
        for storage in ["File4", "File5"] {
            wait(store.put_state(state(storage, State::Ready))).unwrap();
        }
        assert_eq!(wait(store.states()).unwrap(), [], "{store:?}");
    }
}

#[test]
fn both_survive_the_process_and_an_older_file_gets_their_tables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sdgroup.db");
    drop(SqliteStore::open(&path).unwrap());
    // As the first release left it.
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("DROP TABLE jobs; DROP TABLE states; PRAGMA user_version = 1;")
        .unwrap();
    drop(connection);
    let store = SqliteStore::open(&path).unwrap();
    wait(store.add_jobs(vec![job(1, 100)], Keep { since: 0, most: 9 })).unwrap();
    wait(store.put_state(state("File5", State::Sealed))).unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(wait(store.jobs(0, 9)).unwrap(), [job(1, 100)]);
    assert_eq!(wait(store.states()).unwrap(), [state("File5", State::Sealed)]);
}

#[test]
fn a_row_written_by_hand_that_cannot_be_read_says_which() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sdgroup.db");
    let store = SqliteStore::open(&path).unwrap();
    wait(store.add_jobs(vec![job(1, 100)], Keep { since: 0, most: 9 })).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    for (change, told) in [
        ("UPDATE jobs SET level = 'Full'", "level: \"Full\" is no word for it"),
        ("UPDATE jobs SET level = 'F', client = ''", "client: the name is empty"),
    ] {
        connection.execute(change, []).unwrap();
        let error = wait(store.jobs(0, 9)).unwrap_err().to_string();
        assert!(
            error.contains("a row in its table jobs that cannot be read") && error.contains(told),
            "{error}"
        );
    }
    let refused = connection.execute(
        "INSERT INTO states (storage, state, set_by) VALUES ('File4', 'off', 'me')",
        [],
    );
    assert!(refused.is_err());
}
