//! Tests of the state file, with real files, second connections and a process that is killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::store::{Fact, MemoryStore, Source, Weight};

/// Set for the process that [`what_was_answered_survives_a_kill`] starts and kills.
const CHILD: &str = "SDGROUP_TEST_STORE_CHILD";

fn volume(name: &str) -> VolumeName {
    VolumeName::new(name).unwrap()
}

fn entry(name: &str, storage: &str, weight: Weight) -> Entry {
    Entry {
        volume: volume(name),
        storage: StorageName::new(storage).unwrap(),
        source: Source::Learned,
        weight,
        media_type: None,
        pool: Some(PoolName::new("Default").unwrap()),
        at: 1_795_393_237,
        by: Some("Nightly.2026-11-23_00.20.37_03".into()),
    }
}

fn wait<T>(answer: Answer<T>) -> Result<T, StoreError> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(answer)
}

fn scratch() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sdgroup.db");
    (directory, path)
}

/// Records with the store alone, or beside a database that is to be told.
fn record(store: &SqliteStore, unsent: bool, entries: Vec<Entry>) -> Answer<Vec<Recorded>> {
    if unsent {
        store.record_unsent(entries)
    } else {
        store.record(entries)
    }
}

fn holder(store: &dyn Store, name: &str) -> Option<String> {
    wait(store.find(vec![volume(name)]))
        .unwrap()
        .pop()
        .map(|record| record.storage.as_str().to_owned())
}

#[test]
fn a_record_is_there_for_another_process_as_soon_as_it_is_answered() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    assert_eq!(
        wait(store.record(vec![entry("V1", "File4", Weight::KeepKnown)])).unwrap(),
        [Recorded::New]
    );
    let seen: String = other
        .query_row("SELECT storage FROM volumes WHERE name = 'V1'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(seen, "File4");
    // And the other way round: nothing here remembers what was true before.
    other
        .execute(
            "UPDATE volumes SET storage = 'File6', source = 'assigned' WHERE name = 'V1'",
            [],
        )
        .unwrap();
    assert_eq!(holder(&store, "V1").as_deref(), Some("File6"));
    other
        .execute(
            "INSERT INTO volumes (name, storage, source) VALUES ('V2', 'File5', 'assigned')",
            [],
        )
        .unwrap();
    assert_eq!(holder(&store, "V2").as_deref(), Some("File5"));
}

#[test]
fn records_survive_the_process() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    let entries = vec![
        entry("V1", "File4", Weight::KeepKnown),
        entry("V2", "File5", Weight::KeepKnown),
    ];
    wait(store.record(entries)).unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    let all = wait(store.all(None)).unwrap();
    assert_eq!(
        all.iter().map(|record| record.volume.as_str()).collect::<Vec<_>>(),
        ["V1", "V2"]
    );
    assert_eq!(all[0].pool.as_ref().map(PoolName::as_str), Some("Default"));
    let of_one = wait(store.all(Some(StorageName::new("File5").unwrap()))).unwrap();
    assert_eq!(of_one.len(), 1);
    assert_eq!(wait(store.forget(volume("V2"))).unwrap().unwrap().volume, volume("V2"));
    assert_eq!(wait(store.forget(volume("V2"))).unwrap(), None);
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    wait(store.record(vec![entry("V1", "File4", Weight::KeepKnown)])).unwrap();
    let before = store.commits();
    for _ in 0..3 {
        let recorded = wait(store.record(vec![entry("V1", "File4", Weight::ReplaceKnown)])).unwrap();
        assert_eq!(recorded, [Recorded::Same]);
    }
    assert!(matches!(
        &wait(store.record(vec![entry("V1", "File5", Weight::KeepKnown)])).unwrap()[..],
        [Recorded::Conflict { known }] if known.as_str() == "File4"
    ));
    assert_eq!(store.commits(), before);
}

#[test]
fn entries_that_wait_are_written_together() {
    for unsent in [false, true] {
        let (_directory, path) = scratch();
        let store = SqliteStore::open(&path).unwrap();
        let before = store.commits();
        let mut other = Connection::open(&path).unwrap();
        let lock = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let answers: Vec<_> = (0..100)
            .map(|n| {
                record(
                    &store,
                    unsent,
                    vec![entry(&format!("V{n}"), "File4", Weight::KeepKnown)],
                )
            })
            .collect();
        lock.commit().unwrap();
        for answer in answers {
            assert_eq!(wait(answer).unwrap(), [Recorded::New]);
        }
        // The thread may have taken the first few while they were still being ordered.
        let commits = store.commits() - before;
        assert!((1..50).contains(&commits), "{commits} transactions");
        assert_eq!(wait(store.all(None)).unwrap().len(), 100);
        assert_eq!(wait(store.unsent_count()).unwrap(), if unsent { 100 } else { 0 });
    }
}

#[test]
fn two_processes_write_one_file() {
    for unsent in [false, true] {
        let (_directory, path) = scratch();
        let one = SqliteStore::open(&path).unwrap();
        let two = SqliteStore::open(&path).unwrap();
        std::thread::scope(|scope| {
            for (store, storage) in [(&one, "File4"), (&two, "File5")] {
                scope.spawn(move || {
                    for n in 0..50 {
                        let own = entry(&format!("{storage}-{n}"), storage, Weight::KeepKnown);
                        let shared = entry(&format!("shared-{n}"), storage, Weight::KeepKnown);
                        wait(record(store, unsent, vec![own, shared])).unwrap();
                        // What a database answers is written by both as well.
                        let known = wait(store.find(vec![volume(&format!("{storage}-{n}"))])).unwrap();
                        let facts = known.into_iter().map(|record| (Fact::Held(record), i64::MAX)).collect();
                        wait(store.settle(facts)).unwrap();
                    }
                });
            }
        });
        let all = wait(one.all(None)).unwrap();
        assert_eq!(all.len(), 150);
        assert_eq!(all, wait(two.all(None)).unwrap());
    }
}

#[test]
fn a_foreign_lock_is_told() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open_waiting(&path, Duration::from_millis(50)).unwrap();
    let mut other = Connection::open(&path).unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let error = wait(store.record(vec![entry("V1", "File4", Weight::KeepKnown)])).unwrap_err();
    assert_eq!(error.label(), "locked");
    assert!(error.to_string().contains("another process"), "{error}");
    // Reading goes on, and so does writing once the lock is gone.
    assert_eq!(holder(&store, "V1"), None);
    drop(lock);
    assert_eq!(
        wait(store.record(vec![entry("V1", "File4", Weight::KeepKnown)])).unwrap(),
        [Recorded::New]
    );
}

#[test]
fn a_newer_schema_is_refused() {
    let (_directory, path) = scratch();
    drop(SqliteStore::open(&path).unwrap());
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(
        error,
        StoreError::Newer {
            path: path.display().to_string(),
            found: 99,
            known: schema::newest()
        }
    );
    assert!(error.to_string().contains("newer sdgroup"), "{error}");
}

#[test]
fn another_programs_database_is_refused() {
    let (_directory, path) = scratch();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    assert_eq!(SqliteStore::open(&path).unwrap_err().label(), "foreign");
}

#[test]
fn a_damaged_file_is_told() {
    let (_directory, path) = scratch();
    std::fs::write(
        &path,
        "this is no database, and long enough to be looked at as one".repeat(100),
    )
    .unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error.label(), "corrupt");
    assert!(error.to_string().contains("volumes import"), "{error}");
}

#[test]
fn a_damaged_page_is_told_at_the_start() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    let entries = (0..2000)
        .map(|n| entry(&format!("Volume-{n:05}"), "File4", Weight::KeepKnown))
        .collect();
    wait(store.record(entries)).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(SqliteStore::open(&path).unwrap_err().label(), "corrupt");
}

#[test]
fn a_directory_that_is_missing_is_told() {
    let (directory, _) = scratch();
    let error = SqliteStore::open(&directory.path().join("nowhere/sdgroup.db")).unwrap_err();
    assert_eq!(error.label(), "open");
}

#[test]
fn a_full_disk_is_told_and_nothing_half_is_kept() {
    let (_directory, path) = scratch();
    let connection = connect(&path, "state", BUSY_WAIT).unwrap();
    connection
        .query_row("PRAGMA max_page_count = 8", [], |row| row.get::<_, i64>(0))
        .unwrap();
    let mut owner = Owner {
        connection,
        path: "state".into(),
        commits: Arc::default(),
    };
    let (reply, mut answer) = oneshot::channel();
    let entries = (0..2000)
        .map(|n| entry(&format!("Volume-{n:05}"), "File4", Weight::KeepKnown))
        .collect();
    owner.apply(vec![Change::Record {
        entries,
        unsent: false,
        reply,
    }]);
    assert_eq!(
        answer.try_recv().unwrap(),
        Err(StoreError::Full { path: "state".into() })
    );
    assert_eq!(owner.listed(None).unwrap(), []);
    assert_eq!(owner.commits.load(Ordering::Relaxed), 0);
}

#[test]
fn a_row_that_is_no_record_is_told() {
    let (_directory, path) = scratch();
    let store = SqliteStore::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other
        .execute(
            "INSERT INTO volumes (name, storage, source) VALUES ('V1', '', 'assigned')",
            [],
        )
        .unwrap();
    let error = wait(store.find(vec![volume("V1")])).unwrap_err();
    assert!(error.to_string().contains("\"V1\""), "{error}");
    assert_eq!(error.label(), "record");
}

#[test]
#[ignore = "the process that the test below kills"]
fn child_that_records_until_it_is_killed() {
    let path = std::env::var_os(CHILD).expect("started by the test below");
    let store = SqliteStore::open(Path::new(&path)).unwrap();
    for n in 0.. {
        let recorded = wait(store.record(vec![entry(&format!("V{n}"), "File4", Weight::KeepKnown)])).unwrap();
        assert_eq!(recorded, [Recorded::New]);
        println!("\nanswered {n}");
    }
}

#[test]
fn what_was_answered_survives_a_kill() {
    let (_directory, path) = scratch();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::sqlite::tests::child_that_records_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered = lines.map_while(Result::ok).filter_map(|line| {
        line.strip_prefix("answered ")
            .and_then(|number| number.parse::<u32>().ok())
    });
    let twentieth = answered.by_ref().nth(20);
    child.kill().unwrap();
    child.wait().unwrap();
    let last = answered
        .last()
        .or(twentieth)
        .expect("the child recorded at least twenty volumes");
    let store = SqliteStore::open(&path).unwrap();
    for n in 0..=last {
        assert_eq!(
            holder(&store, &format!("V{n}")).as_deref(),
            Some("File4"),
            "volume V{n} of {last}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_store_gives_the_same_answers(
        orders in prop::collection::vec((0..4_u8, 0..5_u8, 0..3_u8, any::<bool>()), 1..25)
    ) {
        let (_directory, path) = scratch();
        let file = SqliteStore::open(&path).unwrap();
        let memory = MemoryStore::new();
        for (what, name, storage, replace) in orders {
            let name = format!("V{name}");
            let weight = if replace { Weight::ReplaceKnown } else { Weight::KeepKnown };
            if what == 0 {
                prop_assert_eq!(wait(file.forget(volume(&name))), wait(memory.forget(volume(&name))));
            } else {
                let entries = vec![entry(&name, &format!("File{storage}"), weight)];
                prop_assert_eq!(wait(file.record(entries.clone())), wait(memory.record(entries)));
            }
        }
        prop_assert_eq!(wait(file.all(None)), wait(memory.all(None)));
    }
}
