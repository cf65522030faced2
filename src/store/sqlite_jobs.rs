//! The history of jobs, and the states of storages, in the state file.

use rusqlite::{Connection, Row, params};

use super::{JobRecord, Keep, StateRecord, StoreError};
use crate::types::{
    Bytes, ClientName, Decision, DirectorName, FileSetName, GroupName, JobId, JobLevel, JobName, JobResourceName,
    JobStatus, JobType, Moment, NameError, State, StorageName,
};

const JOB_COLUMNS: &str = "director, job, job_id, resource, client, fileset, type, level, group_name, storage, arrived, \
                           placed, ended, status, files, bytes";

/// The whole of `jobs`, or nothing; then what is no longer to be kept goes.
pub(super) fn add(connection: &mut Connection, path: &str, jobs: &[JobRecord], keep: Keep) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let transaction = connection.transaction().map_err(failed)?;
    {
        let insert = format!(
            "INSERT INTO jobs ({JOB_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
             ?16)"
        );
        let mut insert = transaction.prepare_cached(&insert).map_err(failed)?;
        for job in jobs {
            insert
                .execute(params![
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
                ])
                .map_err(failed)?;
        }
    }
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

/// The youngest `most` jobs that ended since then, in the order in which they were placed.
pub(super) fn jobs(connection: &Connection, path: &str, since: i64, most: u64) -> Result<Vec<JobRecord>, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let query = format!("SELECT {JOB_COLUMNS} FROM jobs WHERE ended >= ?1 ORDER BY id DESC LIMIT ?2");
    let mut statement = connection.prepare_cached(&query).map_err(failed)?;
    let rows = statement
        .query_map(params![since, signed(most)], |row| Ok(job(row)))
        .map_err(failed)?;
    let mut jobs = Vec::new();
    for row in rows {
        jobs.push(row.map_err(failed)?.map_err(|unread| unread.at(path, "jobs"))?);
    }
    // Those that were placed in one second stay in the order of their ends.
    jobs.reverse();
    jobs.sort_by_key(|job| job.placed);
    Ok(jobs)
}

/// The states of storages that are not ready.
pub(super) fn states(connection: &Connection, path: &str) -> Result<Vec<StateRecord>, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let query = "SELECT storage, state, reason, set_by, since, until FROM states ORDER BY storage";
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let rows = statement.query_map([], |row| Ok(state(row))).map_err(failed)?;
    let mut states = Vec::new();
    for row in rows {
        states.push(row.map_err(failed)?.map_err(|unread| unread.at(path, "states"))?);
    }
    Ok(states)
}

/// Notes the state of one storage.
pub(super) fn put_state(connection: &Connection, path: &str, record: &StateRecord) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let StateRecord { storage, decision } = record;
    let done = if decision.state == State::Ready {
        connection.execute("DELETE FROM states WHERE storage = ?1", [storage.as_str()])
    } else {
        connection.execute(
            "INSERT OR REPLACE INTO states (storage, state, reason, set_by, since, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                storage.as_str(),
                decision.state.as_str(),
                decision.reason,
                decision.by,
                decision.since.0,
                decision.until.map(|until| until.0)
            ],
        )
    };
    done.map(|_| ()).map_err(failed)
}

/// Why a row cannot be read: somebody wrote to the file by hand.
enum Unread {
    Column(rusqlite::Error),
    Name(&'static str, NameError),
    Word(&'static str, String),
}

impl Unread {
    fn at(self, path: &str, table: &'static str) -> StoreError {
        let cause = match self {
            Self::Column(error) => error.to_string(),
            Self::Name(column, error) => format!("{column}: {error}"),
            Self::Word(column, word) => format!("{column}: {word:?} is no word for it"),
        };
        StoreError::Row {
            path: path.to_owned(),
            table,
            cause,
        }
    }
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Column(error)
    }
}

fn job(row: &Row<'_>) -> Result<JobRecord, Unread> {
    Ok(JobRecord {
        director: name(row, 0, "director", DirectorName::new)?,
        job: name(row, 1, "job", JobName::new)?,
        job_id: JobId(row.get(2)?),
        resource: name(row, 3, "resource", JobResourceName::new)?,
        client: name(row, 4, "client", ClientName::new)?,
        fileset: name(row, 5, "fileset", FileSetName::new)?,
        job_type: JobType::from_code(code(row, 6, "type")?),
        level: JobLevel::from_code(code(row, 7, "level")?),
        group: name(row, 8, "group_name", GroupName::new)?,
        storage: name(row, 9, "storage", StorageName::new)?,
        arrived: row.get(10)?,
        placed: row.get(11)?,
        ended: row.get(12)?,
        status: JobStatus::from_code(code(row, 13, "status")?),
        files: unsigned(row.get(14)?),
        bytes: Bytes(unsigned(row.get(15)?)),
    })
}

fn state(row: &Row<'_>) -> Result<StateRecord, Unread> {
    let word: String = row.get(1)?;
    Ok(StateRecord {
        storage: name(row, 0, "storage", StorageName::new)?,
        decision: Decision {
            state: State::from_word(&word).ok_or(Unread::Word("state", word))?,
            reason: row.get(2)?,
            by: row.get(3)?,
            since: Moment(row.get(4)?),
            until: row.get::<_, Option<i64>>(5)?.map(Moment),
        },
    })
}

fn name<N>(
    row: &Row<'_>,
    at: usize,
    column: &'static str,
    make: fn(&str) -> Result<N, NameError>,
) -> Result<N, Unread> {
    let text: String = row.get(at)?;
    make(&text).map_err(|error| Unread::Name(column, error))
}

/// Types, levels and statuses are kept as Bacula's letters.
fn code(row: &Row<'_>, at: usize, column: &'static str) -> Result<u8, Unread> {
    let text: String = row.get(at)?;
    match text.as_bytes() {
        [code] => Ok(*code),
        _ => Err(Unread::Word(column, text)),
    }
}

fn letter(code: u8) -> String {
    char::from(code).to_string()
}

/// SQLite's numbers have a sign. What is beyond them is as much as can be.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
