//! What the state file holds for a database that several sdgroups share: a copy of what is there, and what is to be
//! told to it yet.

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior};

use super::fact::{Fact, catch_up};
use super::row::{self, JOB_COLUMNS, STATE_COLUMNS, VOLUME_COLUMNS};
use super::sqlite::{self, SqliteStore, one, place, remove};
use super::sqlite_jobs;
use super::{Answer, JobRecord, Keep, StateRecord, StoreError, VolumeRecord, Weight};
use crate::types::VolumeName;

/// How much is told at once.
const BATCH: usize = 500;

/// What the database is to be told.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    pub(super) facts: Vec<(Fact, Weight)>,
    /// With the numbers of their rows.
    pub(super) jobs: Vec<(i64, JobRecord)>,
    pub(super) states: Vec<StateRecord>,
}

impl Unsent {
    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.jobs.is_empty() && self.states.is_empty()
    }
}

impl SqliteStore {
    /// As [`super::Store::add_jobs`], which are to be told.
    pub(super) fn add_jobs_unsent(&self, jobs: Vec<JobRecord>, keep: Keep) -> Answer<()> {
        self.apart(move |connection, path| sqlite_jobs::add(connection, path, &jobs, keep, true))
    }

    /// As [`super::Store::put_state`], which is to be told.
    pub(super) fn put_state_unsent(&self, record: StateRecord) -> Answer<()> {
        self.apart(move |connection, path| sqlite_jobs::put_state(connection, path, &record, true))
    }

    /// What is to be told next.
    pub(super) fn unsent(&self) -> Answer<Unsent> {
        self.read(|file| {
            Ok(Unsent {
                facts: unsent_facts(file)?,
                jobs: unsent_jobs(file)?,
                states: file.rows(&format!("SELECT {STATE_COLUMNS} FROM states WHERE unsent = 1"), |row| {
                    row::state(row).map_err(|unread| unread.at(&place(file.path), "states"))
                })?,
            })
        })
    }

    /// How much is to be told.
    pub(super) fn unsent_count(&self) -> Answer<u64> {
        self.read(|file| {
            let query = "SELECT (SELECT count(*) FROM volumes WHERE unsent IS NOT NULL) \
                         + (SELECT count(*) FROM forgotten WHERE unsent = 1) \
                         + (SELECT count(*) FROM jobs WHERE unsent = 1) \
                         + (SELECT count(*) FROM states WHERE unsent = 1)";
            let count: i64 = file.done(file.connection.query_row(query, [], |row| row.get(0)))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
    }

    /// Takes what another store had, as [`super::PostgresStore::tell`] does.
    #[must_use = "whether it was told is in the answer"]
    pub fn tell(&self, facts: Vec<(Fact, Weight)>) -> Answer<()> {
        self.write(move |file| {
            for (told, weight) in &facts {
                let known = one(file.connection, file.path, told.volume())?.map(Fact::Held);
                if let Some(fact) = catch_up(known.as_ref(), told, *weight) {
                    take(file, &fact)?;
                }
            }
            Ok(())
        })
    }

    /// Everything that is known of volumes.
    pub(super) fn facts(&self) -> Answer<Vec<Fact>> {
        self.read(|file| {
            let held = format!("SELECT {VOLUME_COLUMNS} FROM volumes");
            let mut all = file.rows(&held, |row| sqlite::volume(file.path, row).map(Fact::Held))?;
            all.extend(file.rows("SELECT name, at FROM forgotten", |row| forgotten(file, row))?);
            Ok(all)
        })
    }

    /// Takes over what the database says of volumes, except where it is to be told something yet.
    pub(super) fn adopt(&self, facts: Vec<Fact>) -> Answer<()> {
        self.write(move |file| facts.iter().try_for_each(|fact| adopt(file, fact, None)))
    }

    /// Takes over what the database answered when it was told what was known at this time, in seconds of Unix time.
    pub(super) fn settle(&self, facts: Vec<(Fact, i64)>) -> Answer<()> {
        self.write(move |file| facts.iter().try_for_each(|(fact, told)| adopt(file, fact, Some(*told))))
    }

    /// The database lacks these: they are to be told.
    pub(super) fn mark(&self, facts: Vec<Fact>) -> Answer<()> {
        self.write(move |file| {
            for fact in &facts {
                let marked = match fact {
                    Fact::Held(record) => file.connection.execute(
                        "UPDATE volumes SET unsent = 'replace' WHERE name = ?1 AND unsent IS NULL",
                        [record.volume.as_str()],
                    ),
                    Fact::Forgotten { volume, .. } => mark_forgotten(file.connection, volume),
                };
                file.done(marked)?;
            }
            Ok(())
        })
    }

    /// Jobs that ended since then are to be told, again if they were.
    pub(super) fn mark_jobs(&self, since: i64) -> Answer<()> {
        self.write(move |file| {
            let mark = "UPDATE jobs SET unsent = 1 WHERE ended >= ?1 AND own = 1";
            file.done(file.connection.execute(mark, [since])).map(|_| ())
        })
    }

    /// The database knows these jobs now.
    pub(super) fn settle_jobs(&self, rows: Vec<i64>) -> Answer<()> {
        self.write(move |file| {
            rows.iter().try_for_each(|id| {
                let settle = "UPDATE jobs SET unsent = 0 WHERE id = ?1";
                file.done(file.connection.execute(settle, [id])).map(|_| ())
            })
        })
    }

    /// Takes over jobs of others, and returns those that are new here.
    pub(super) fn adopt_jobs(&self, jobs: Vec<JobRecord>) -> Answer<Vec<JobRecord>> {
        self.write(move |file| {
            let added = file.done(sqlite_jobs::insert(file.connection, &jobs, None))?;
            Ok(added.into_iter().cloned().collect())
        })
    }

    /// When the last job ended that is known of, in seconds of Unix time.
    pub(super) fn last_end(&self) -> Answer<Option<i64>> {
        self.read(|file| {
            file.done(
                file.connection
                    .query_row("SELECT max(ended) FROM jobs", [], |row| row.get(0)),
            )
        })
    }

    /// The session time that all sdgroups have who share the database, if it was ever told.
    pub(super) fn session_time(&self) -> Answer<Option<u32>> {
        self.read(|file| {
            let query = "SELECT time FROM identity";
            file.done(file.connection.query_row(query, [], |row| row.get(0)).optional())
        })
    }

    /// Notes it.
    pub(super) fn put_session_time(&self, time: u32) -> Answer<()> {
        self.write(move |file| {
            let put = "INSERT INTO identity (one, time) VALUES (1, ?1) ON CONFLICT DO UPDATE SET time = excluded.time";
            file.done(file.connection.execute(put, [time])).map(|_| ())
        })
    }

    /// Takes over a state that the database has.
    pub(super) fn adopt_states(&self, states: Vec<StateRecord>) -> Answer<()> {
        self.write(move |file| {
            states
                .iter()
                .try_for_each(|state| sqlite_jobs::put_state(file.connection, file.path, state, false))
        })
    }

    /// Has `work` done with the file as it is at one moment.
    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        self.transact(TransactionBehavior::Deferred, work)
    }

    /// Has `work` done, all or nothing. It waits for another process that writes: one that begins to read has what it
    /// read, and is turned away when it wants to write beside that process.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        self.transact(TransactionBehavior::Immediate, work)
    }

    fn transact<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&File<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        self.apart(move |connection, path| {
            let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
            let transaction = connection.transaction_with_behavior(behavior).map_err(failed)?;
            let done = work(&File {
                connection: &transaction,
                path,
            })?;
            transaction.commit().map_err(failed)?;
            Ok(done)
        })
    }
}

/// The state file within a transaction.
struct File<'f> {
    connection: &'f Connection,
    path: &'f str,
}

impl File<'_> {
    fn done<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(self.path, &error))
    }

    fn rows<T>(
        &self,
        query: &str,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.done(self.connection.prepare_cached(query))?;
        let mut rows = self.done(statement.query([]))?;
        let mut all = Vec::new();
        while let Some(row) = self.done(rows.next())? {
            all.push(read(row)?);
        }
        Ok(all)
    }
}

/// As [`sqlite::put`], of what is to be told with this weight, or with that of what is to be told of the volume
/// already.
pub(super) fn put(connection: &Connection, record: &VolumeRecord, weight: Weight) -> rusqlite::Result<usize> {
    let replaces =
        weight == Weight::ReplaceKnown || weight_of(connection, &record.volume)? == Some(Weight::ReplaceKnown);
    sqlite::put(connection, record)?;
    let word = if replaces { "replace" } else { "keep" };
    connection
        .prepare_cached("UPDATE volumes SET unsent = ?2 WHERE name = ?1")?
        .execute([record.volume.as_str(), word])
}

/// That a volume was forgotten is to be told.
pub(super) fn mark_forgotten(connection: &Connection, volume: &VolumeName) -> rusqlite::Result<usize> {
    connection.execute("UPDATE forgotten SET unsent = 1 WHERE name = ?1", [volume.as_str()])
}

/// The weight of what is to be told of a volume, if anything is.
fn weight_of(connection: &Connection, volume: &VolumeName) -> rusqlite::Result<Option<Weight>> {
    let word: Option<Option<String>> = connection
        .prepare_cached("SELECT unsent FROM volumes WHERE name = ?1")?
        .query_row([volume.as_str()], |row| row.get(0))
        .optional()?;
    Ok(word.flatten().map(|word| weight(&word)))
}

fn weight(word: &str) -> Weight {
    if word == "replace" {
        Weight::ReplaceKnown
    } else {
        Weight::KeepKnown
    }
}

fn unsent_facts(file: &File<'_>) -> Result<Vec<(Fact, Weight)>, StoreError> {
    let held = format!("SELECT {VOLUME_COLUMNS}, unsent FROM volumes WHERE unsent IS NOT NULL LIMIT {BATCH}");
    let mut facts = file.rows(&held, |row| {
        let word: String = file.done(row.get(8))?;
        Ok((Fact::Held(sqlite::volume(file.path, row)?), weight(&word)))
    })?;
    let gone = format!("SELECT name, at FROM forgotten WHERE unsent = 1 LIMIT {BATCH}");
    facts.extend(file.rows(&gone, |row| Ok((forgotten(file, row)?, Weight::ReplaceKnown)))?);
    Ok(facts)
}

fn unsent_jobs(file: &File<'_>) -> Result<Vec<(i64, JobRecord)>, StoreError> {
    let query = format!("SELECT {JOB_COLUMNS}, id FROM jobs WHERE unsent = 1 ORDER BY id LIMIT {BATCH}");
    file.rows(&query, |row| {
        let job = row::job(row).map_err(|unread| unread.at(&place(file.path), "jobs"))?;
        Ok((file.done(row.get(16))?, job))
    })
}

fn forgotten(file: &File<'_>, row: &Row<'_>) -> Result<Fact, StoreError> {
    let name: String = file.done(row.get(0))?;
    let volume = VolumeName::new(&name).map_err(|error| StoreError::Record {
        place: place(file.path),
        volume: name,
        cause: error.to_string(),
    })?;
    Ok(Fact::Forgotten {
        volume,
        at: file.done(row.get(1))?,
    })
}

fn adopt(file: &File<'_>, fact: &Fact, told: Option<i64>) -> Result<(), StoreError> {
    let name = fact.volume();
    let waits = "SELECT (SELECT updated FROM volumes WHERE name = ?1 AND unsent IS NOT NULL), \
                 (SELECT at FROM forgotten WHERE name = ?1 AND unsent = 1)";
    let (held, gone): (Option<i64>, Option<i64>) = file.done(
        file.connection
            .prepare_cached(waits)
            .and_then(|mut statement| statement.query_row([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))),
    )?;
    // What was learned since it was told is told next.
    if held.or(gone).is_some_and(|since| told.is_none_or(|told| since > told)) {
        return Ok(());
    }
    take(file, fact)
}

fn take(file: &File<'_>, fact: &Fact) -> Result<(), StoreError> {
    let written = match fact {
        Fact::Held(record) => sqlite::put(file.connection, record),
        Fact::Forgotten { volume, at } => remove(file.connection, volume, Some(*at)),
    };
    file.done(written).map(|_| ())
}
