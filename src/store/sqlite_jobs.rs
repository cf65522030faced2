//! The history of jobs, and the states of storages, in the state file.

use rusqlite::{Connection, TransactionBehavior, params};

use super::row::{self, JOB_COLUMNS, STATE_COLUMNS, letter, signed};
use super::sqlite::place;
use super::{JobRecord, Keep, StateRecord, StoreError};

/// The whole of `jobs`, or nothing; then what is no longer to be kept goes.
/// Those that are `unsent` are to be told to another store yet.
pub(super) fn add(
    connection: &mut Connection,
    path: &str,
    jobs: &[JobRecord],
    keep: Keep,
    unsent: bool,
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    insert(&transaction, jobs, Some(unsent)).map_err(failed)?;
    transaction
        .execute("DELETE FROM jobs WHERE ended < ?1", [keep.since])
        .and_then(|_| {
            transaction.execute(
                "DELETE FROM jobs WHERE id <= (SELECT id FROM jobs ORDER BY id DESC LIMIT 1 OFFSET ?1)",
                [signed(keep.most)],
            )
        })
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Adds those of `jobs` that are not known yet, and returns them. They are our own, and to be told or not, or others'
/// where nothing is given.
pub(super) fn insert<'j>(
    connection: &Connection,
    jobs: &'j [JobRecord],
    unsent: Option<bool>,
) -> rusqlite::Result<Vec<&'j JobRecord>> {
    let insert = format!(
        "INSERT OR IGNORE INTO jobs ({JOB_COLUMNS}, unsent, own) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
         ?13, ?14, ?15, ?16, ?17, ?18)"
    );
    let mut insert = connection.prepare_cached(&insert)?;
    let mut added = Vec::new();
    for job in jobs {
        let rows = insert.execute(params![
            job.director.as_str(),
            job.job.as_str(),
            job.job_id.0,
            job.resource.as_str(),
            job.client.as_str(),
            job.fileset.as_str(),
            letter(job.job_type.code()),
            letter(job.level.code()),
            job.group.as_str(),
            job.storage.as_str(),
            job.arrived,
            job.placed,
            job.ended,
            letter(job.status.code()),
            signed(job.files),
            signed(job.bytes.0),
            unsent.unwrap_or(false),
            unsent.is_some(),
        ])?;
        if rows > 0 {
            added.push(job);
        }
    }
    Ok(added)
}

/// The youngest `most` jobs that ended since then, in the order in which they were placed.
pub(super) fn jobs(connection: &Connection, path: &str, since: i64, most: u64) -> Result<Vec<JobRecord>, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let query = format!("SELECT {JOB_COLUMNS} FROM jobs WHERE ended >= ?1 ORDER BY id DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&query).map_err(failed)?;
    let rows = statement
        .query_map(params![since, signed(most)], |row| Ok(row::job(row)))
        .map_err(failed)?;
    let mut jobs = Vec::new();
    for row in rows {
        jobs.push(row.map_err(failed)?.map_err(|unread| unread.at(&place(path), "jobs"))?);
    }
    // Those that were placed in one second stay in the order of their ends.
    jobs.reverse();
    jobs.sort_by_key(|job| job.placed);
    Ok(jobs)
}

/// The states of storages.
pub(super) fn states(connection: &Connection, path: &str) -> Result<Vec<StateRecord>, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let query = format!("SELECT {STATE_COLUMNS} FROM states ORDER BY storage");
    let mut statement = connection.prepare_cached(&query).map_err(failed)?;
    let rows = statement.query_map([], |row| Ok(row::state(row))).map_err(failed)?;
    let mut states = Vec::new();
    for row in rows {
        states.push(
            row.map_err(failed)?
                .map_err(|unread| unread.at(&place(path), "states"))?,
        );
    }
    Ok(states)
}

/// Notes the state of one storage. One that is `unsent` is to be told to another store.
pub(super) fn put_state(
    connection: &Connection,
    path: &str,
    record: &StateRecord,
    unsent: bool,
) -> Result<(), StoreError> {
    let StateRecord { storage, decision } = record;
    let put = format!("INSERT OR REPLACE INTO states ({STATE_COLUMNS}, unsent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    connection
        .execute(
            &put,
            params![
                storage.as_str(),
                decision.state.as_str(),
                decision.reason,
                decision.by,
                decision.since.0,
                decision.until.map(|until| until.0),
                unsent
            ],
        )
        .map(|_| ())
        .map_err(|error| StoreError::from_sqlite(path, &error))
}
