//! The tables of the state file, and how an older file becomes a current one.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Marks the file as ours (`PRAGMA application_id`): "sdgr".
const APPLICATION: i64 = 0x7364_6772;

/// Each step leads from the schema of its index to the next one. Steps that were released are never changed.
const STEPS: [&str; 4] = [
    "
    CREATE TABLE volumes (
        name       TEXT NOT NULL PRIMARY KEY,
        storage    TEXT NOT NULL,
        source     TEXT NOT NULL CHECK (source IN ('learned', 'assigned', 'imported')),
        media_type TEXT,
        pool       TEXT,
        first_seen INTEGER NOT NULL DEFAULT (unixepoch()),
        updated    INTEGER NOT NULL DEFAULT (unixepoch()),
        updated_by TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX volumes_storage ON volumes (storage, name);
",
    "
    CREATE TABLE jobs (
        id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        director   TEXT NOT NULL,
        job        TEXT NOT NULL,
        job_id     INTEGER NOT NULL,
        resource   TEXT NOT NULL,
        client     TEXT NOT NULL,
        fileset    TEXT NOT NULL,
        type       TEXT NOT NULL,
        level      TEXT NOT NULL,
        group_name TEXT NOT NULL,
        storage    TEXT NOT NULL,
        arrived    INTEGER NOT NULL,
        placed     INTEGER NOT NULL,
        ended      INTEGER NOT NULL,
        status     TEXT NOT NULL,
        files      INTEGER NOT NULL,
        bytes      INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX jobs_ended ON jobs (ended);
    CREATE TABLE states (
        storage TEXT NOT NULL PRIMARY KEY,
        state   TEXT NOT NULL CHECK (state IN ('draining', 'sealed', 'maintenance')),
        reason  TEXT,
        set_by  TEXT NOT NULL,
        since   INTEGER NOT NULL DEFAULT (unixepoch()),
        until   INTEGER
    ) STRICT, WITHOUT ROWID;
",
    // What is not shared with a database yet is 'unsent'; what was removed is remembered, to be removed there as well.
    "
    ALTER TABLE volumes ADD COLUMN unsent TEXT CHECK (unsent IN ('keep', 'replace'));
    CREATE INDEX volumes_unsent ON volumes (unsent) WHERE unsent IS NOT NULL;
    CREATE TABLE forgotten (
        name   TEXT NOT NULL PRIMARY KEY,
        at     INTEGER NOT NULL,
        unsent INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX forgotten_unsent ON forgotten (unsent) WHERE unsent = 1;
    ALTER TABLE jobs ADD COLUMN unsent INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN own INTEGER NOT NULL DEFAULT 1;
    DELETE FROM jobs WHERE id NOT IN
        (SELECT min(id) FROM jobs GROUP BY director, job, job_id, storage, placed, ended);
    CREATE UNIQUE INDEX jobs_once ON jobs (director, job, job_id, storage, placed, ended);
    CREATE INDEX jobs_unsent ON jobs (unsent) WHERE unsent = 1;
    ALTER TABLE states RENAME TO states_before;
    CREATE TABLE states (
        storage TEXT NOT NULL PRIMARY KEY,
        state   TEXT NOT NULL CHECK (state IN ('ready', 'draining', 'sealed', 'maintenance')),
        reason  TEXT,
        set_by  TEXT NOT NULL,
        since   INTEGER NOT NULL DEFAULT (unixepoch()),
        until   INTEGER,
        unsent  INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    INSERT INTO states (storage, state, reason, set_by, since, until)
        SELECT storage, state, reason, set_by, since, until FROM states_before;
    DROP TABLE states_before;
",
    // The session time of all sdgroups that share a database.
    "
    CREATE TABLE identity (
        one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
        time INTEGER NOT NULL
    ) STRICT;
",
];

/// The newest schema.
pub(super) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Brings the file to the newest schema; a new file gets it as a whole.
pub(super) fn migrate(connection: &mut Connection, path: &str) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    if version(connection).map_err(failed)? == newest() && is_ours(connection).map_err(failed)? {
        return Ok(());
    }
    // Two processes may start at once: the version that counts is the one read under the write lock.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let found = version(&transaction).map_err(failed)?;
    if !is_ours(&transaction).map_err(failed)? && !is_empty(&transaction).map_err(failed)? {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if found > newest() || found < 0 {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: newest(),
        });
    }
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION)
        .map_err(failed)?;
    transaction
        .pragma_update(None, "user_version", newest())
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let found: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(found == APPLICATION)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}
