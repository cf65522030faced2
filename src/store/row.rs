//! Rows as they are in a database, where an operator may have written anything, and the records that they make.

use super::{JobRecord, Source, StateRecord, StoreError, VolumeRecord};
use crate::types::{
    Bytes, ClientName, Decision, DirectorName, FileSetName, GroupName, JobId, JobLevel, JobName, JobResourceName,
    JobStatus, JobType, MediaType, Moment, NameError, PoolName, State, StorageName, VolumeName,
};

/// What a volume's row has, in this order.
pub(super) const VOLUME_COLUMNS: &str = "name, storage, source, media_type, pool, first_seen, updated, updated_by";

/// What a job's row has, in this order.
pub(super) const JOB_COLUMNS: &str = "director, job, job_id, resource, client, fileset, type, level, group_name, \
                                      storage, arrived, placed, ended, status, files, bytes";

/// What a state's row has, in this order.
pub(super) const STATE_COLUMNS: &str = "storage, state, reason, set_by, since, until";

/// The columns of one row.
pub(super) trait Columns {
    /// The text at this place; `None` where there is nothing.
    fn text(&self, at: usize) -> Result<Option<String>, String>;

    /// The number at this place; `None` where there is nothing.
    fn number(&self, at: usize) -> Result<Option<i64>, String>;
}

impl Columns for rusqlite::Row<'_> {
    fn text(&self, at: usize) -> Result<Option<String>, String> {
        self.get(at).map_err(|error| error.to_string())
    }

    fn number(&self, at: usize) -> Result<Option<i64>, String> {
        self.get(at).map_err(|error| error.to_string())
    }
}

impl Columns for tokio_postgres::Row {
    fn text(&self, at: usize) -> Result<Option<String>, String> {
        self.try_get(at).map_err(|error| error.to_string())
    }

    fn number(&self, at: usize) -> Result<Option<i64>, String> {
        self.try_get(at).map_err(|error| error.to_string())
    }
}

/// Why a row cannot be read: somebody wrote it by hand.
pub(super) enum Unread {
    Column(String),
    Name(&'static str, NameError),
    Word(&'static str, String),
}

impl Unread {
    /// The same as an error of the table of a store, which is called `place`.
    pub(super) fn at(&self, place: &str, table: &'static str) -> StoreError {
        StoreError::Row {
            place: place.to_owned(),
            table,
            cause: self.cause(),
        }
    }

    /// The same of a volume's row.
    pub(super) fn of_volume(&self, place: &str, row: &impl Columns) -> StoreError {
        StoreError::Record {
            place: place.to_owned(),
            volume: row.text(0).ok().flatten().unwrap_or_default(),
            cause: self.cause(),
        }
    }

    fn cause(&self) -> String {
        match self {
            Self::Column(error) => error.clone(),
            Self::Name(column, error) => format!("{column}: {error}"),
            Self::Word(column, word) => format!("{column}: {word:?} is no word for it"),
        }
    }
}

impl From<String> for Unread {
    fn from(error: String) -> Self {
        Self::Column(error)
    }
}

/// The record of a volume.
pub(super) fn volume(row: &impl Columns) -> Result<VolumeRecord, Unread> {
    // An empty word is what a hand-written row says for "not known".
    let told = |at| Ok::<_, Unread>(row.text(at)?.filter(|text| !text.is_empty()));
    let source = text(row, 2)?;
    Ok(VolumeRecord {
        volume: name(row, 0, "name", VolumeName::new)?,
        storage: name(row, 1, "storage", StorageName::new)?,
        source: Source::from_word(&source).ok_or(Unread::Word("source", source))?,
        media_type: told(3)?
            .map(|text| MediaType::new(&text))
            .transpose()
            .map_err(|error| Unread::Name("media_type", error))?,
        pool: told(4)?
            .map(|text| PoolName::new(&text))
            .transpose()
            .map_err(|error| Unread::Name("pool", error))?,
        first_seen: number(row, 5)?,
        updated: number(row, 6)?,
        updated_by: row.text(7)?,
    })
}

/// The record of a job.
pub(super) fn job(row: &impl Columns) -> Result<JobRecord, Unread> {
    Ok(JobRecord {
        director: name(row, 0, "director", DirectorName::new)?,
        job: name(row, 1, "job", JobName::new)?,
        job_id: JobId(u32::try_from(number(row, 2)?).map_err(|error| Unread::Column(error.to_string()))?),
        resource: name(row, 3, "resource", JobResourceName::new)?,
        client: name(row, 4, "client", ClientName::new)?,
        fileset: name(row, 5, "fileset", FileSetName::new)?,
        job_type: JobType::from_code(code(row, 6, "type")?),
        level: JobLevel::from_code(code(row, 7, "level")?),
        group: name(row, 8, "group_name", GroupName::new)?,
        storage: name(row, 9, "storage", StorageName::new)?,
        arrived: number(row, 10)?,
        placed: number(row, 11)?,
        ended: number(row, 12)?,
        status: JobStatus::from_code(code(row, 13, "status")?),
        files: unsigned(number(row, 14)?),
        bytes: Bytes(unsigned(number(row, 15)?)),
    })
}

/// The record of a state.
pub(super) fn state(row: &impl Columns) -> Result<StateRecord, Unread> {
    let word = text(row, 1)?;
    Ok(StateRecord {
        storage: name(row, 0, "storage", StorageName::new)?,
        decision: Decision {
            state: State::from_word(&word).ok_or(Unread::Word("state", word))?,
            reason: row.text(2)?,
            by: text(row, 3)?,
            since: Moment(number(row, 4)?),
            until: row.number(5)?.map(Moment),
        },
    })
}

fn text(row: &impl Columns, at: usize) -> Result<String, Unread> {
    Ok(row.text(at)?.unwrap_or_default())
}

fn number(row: &impl Columns, at: usize) -> Result<i64, Unread> {
    Ok(row.number(at)?.unwrap_or_default())
}

fn name<N>(
    row: &impl Columns,
    at: usize,
    column: &'static str,
    make: fn(&str) -> Result<N, NameError>,
) -> Result<N, Unread> {
    make(&text(row, at)?).map_err(|error| Unread::Name(column, error))
}

/// Types, levels and statuses are kept as Bacula's letters.
fn code(row: &impl Columns, at: usize, column: &'static str) -> Result<u8, Unread> {
    let text = text(row, at)?;
    match text.as_bytes() {
        [code] => Ok(*code),
        _ => Err(Unread::Word(column, text)),
    }
}

pub(super) fn letter(code: u8) -> String {
    char::from(code).to_string()
}

/// The numbers of databases have a sign. What is beyond them is as much as can be.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
