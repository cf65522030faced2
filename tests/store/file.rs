//! The state file of older releases, and rows that somebody wrote by hand.

use crate::same::{job, state};
use sdgroup::store::{Keep, SqliteStore, Store};
use sdgroup::types::State;

#[tokio::test]
async fn both_survive_the_process_and_an_older_file_gets_their_tables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sdgroup.db");
    drop(SqliteStore::open(&path).unwrap());
    // As the first release left it.
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "DROP TABLE jobs; DROP TABLE states; DROP TABLE forgotten; DROP TABLE identity; DROP INDEX volumes_unsent; \
             ALTER TABLE volumes DROP COLUMN unsent; PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(connection);
    let store = SqliteStore::open(&path).unwrap();
    store
        .add_jobs(vec![job(1, 100)], Keep { since: 0, most: 9 })
        .await
        .unwrap();
    store.put_state(state("File5", State::Sealed, 100)).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.jobs(0, 9).await.unwrap(), [job(1, 100)]);
    assert_eq!(store.states().await.unwrap(), [state("File5", State::Sealed, 100)]);
}

#[tokio::test]
async fn a_row_written_by_hand_that_cannot_be_read_says_which() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sdgroup.db");
    let store = SqliteStore::open(&path).unwrap();
    store
        .add_jobs(vec![job(1, 100)], Keep { since: 0, most: 9 })
        .await
        .unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    for (change, told) in [
        ("UPDATE jobs SET level = 'Full'", "level: \"Full\" is no word for it"),
        ("UPDATE jobs SET level = 'F', client = ''", "client: the name is empty"),
    ] {
        connection.execute(change, []).unwrap();
        let error = store.jobs(0, 9).await.unwrap_err().to_string();
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
