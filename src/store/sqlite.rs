//! The state file: SQLite with a write-ahead log, which two sdgroup processes and an operator's `sqlite3` can use at
//! the same time.
//!
//! One thread owns the connection and takes orders from a channel. Entries that wait there are written in one
//! transaction, so that the disk's flush is paid once for all of them; their callers are answered after it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::record::meet;
use super::row::{self, VOLUME_COLUMNS};
use super::{
    Answer, Entry, JobRecord, Keep, Recorded, StateRecord, Store, StoreError, VolumeRecord, schema, sqlite_jobs,
    sqlite_spool,
};
use crate::types::{MediaType, PoolName, StorageName, VolumeName};

/// How long to wait for another process's write lock.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// How many orders one transaction serves at most.
const BATCH: usize = 256;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to do with the connection and the file's path; it answers its caller itself.
type Work = Box<dyn FnOnce(&mut Connection, &str) + Send>;

/// What the thread is asked to do.
enum Order {
    Find {
        volumes: Vec<VolumeName>,
        reply: Reply<Vec<VolumeRecord>>,
    },
    All {
        storage: Option<StorageName>,
        reply: Reply<Vec<VolumeRecord>>,
    },
    Change(Change),
    /// Something that has a transaction of its own, so that it cannot undo a volume's.
    Apart(Work),
}

/// An order that may write; what is `unsent` is to be told to another store yet.
enum Change {
    Record {
        entries: Vec<Entry>,
        unsent: bool,
        reply: Reply<Vec<Recorded>>,
    },
    Forget {
        volume: VolumeName,
        unsent: bool,
        reply: Reply<Option<VolumeRecord>>,
    },
}

impl SqliteStore {
    /// Opens the file, makes it if it is not there, and brings it to the newest schema. Blocks for as long as that
    /// takes: call it while the process starts.
    ///
    /// # Errors
    /// When the file cannot be opened, is damaged, belongs to another program or to a newer sdgroup.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_waiting(path, BUSY_WAIT)
    }

    fn open_waiting(path: &Path, busy_wait: Duration) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let connection = connect(path, &shown, busy_wait)?;
        let (orders, queue) = channel();
        let commits = Arc::new(AtomicU64::new(0));
        let owner = Owner {
            connection,
            path: shown.clone(),
            commits: Arc::clone(&commits),
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || owner.run(&queue))
            .map_err(|error| StoreError::Failed {
                path: shown,
                cause: error.to_string(),
            })?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
            commits,
        })
    }

    /// Write transactions so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn ask<T: Send + 'static>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let sent = self
            .orders
            .as_ref()
            .is_some_and(|orders| orders.send(order(reply)).is_ok());
        Box::pin(async move {
            if !sent {
                return Err(StoreError::Closed);
            }
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }
}

impl SqliteStore {
    /// As [`Store::record`]; what changes is to be told to another store.
    pub(super) fn record_unsent(&self, entries: Vec<Entry>) -> Answer<Vec<Recorded>> {
        self.change(|reply| Change::Record {
            entries,
            unsent: true,
            reply,
        })
    }

    /// As [`Store::forget`], which is to be told to another store.
    pub(super) fn forget_unsent(&self, volume: VolumeName) -> Answer<Option<VolumeRecord>> {
        self.change(|reply| Change::Forget {
            volume,
            unsent: true,
            reply,
        })
    }

    fn change<T: Send + 'static>(&self, change: impl FnOnce(Reply<T>) -> Change) -> Answer<T> {
        self.ask(|reply| Order::Change(change(reply)))
    }

    /// Has `work` done with the file, apart from everything else.
    pub(super) fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        self.ask(|reply: Reply<T>| {
            Order::Apart(Box::new(move |connection, path| {
                let _ = reply.send(work(connection, path));
            }))
        })
    }
}

impl Store for SqliteStore {
    fn find(&self, volumes: Vec<VolumeName>) -> Answer<Vec<VolumeRecord>> {
        self.ask(|reply| Order::Find { volumes, reply })
    }

    fn all(&self, storage: Option<StorageName>) -> Answer<Vec<VolumeRecord>> {
        self.ask(|reply| Order::All { storage, reply })
    }

    fn record(&self, entries: Vec<Entry>) -> Answer<Vec<Recorded>> {
        self.change(|reply| Change::Record {
            entries,
            unsent: false,
            reply,
        })
    }

    fn forget(&self, volume: VolumeName) -> Answer<Option<VolumeRecord>> {
        self.change(|reply| Change::Forget {
            volume,
            unsent: false,
            reply,
        })
    }

    fn add_jobs(&self, jobs: Vec<JobRecord>, keep: Keep) -> Answer<()> {
        self.apart(move |connection, path| sqlite_jobs::add(connection, path, &jobs, keep, false))
    }

    fn jobs(&self, since: i64, most: u64) -> Answer<Vec<JobRecord>> {
        self.apart(move |connection, path| sqlite_jobs::jobs(connection, path, since, most))
    }

    fn states(&self) -> Answer<Vec<StateRecord>> {
        self.apart(|connection, path| sqlite_jobs::states(connection, path))
    }

    fn put_state(&self, record: StateRecord) -> Answer<()> {
        self.apart(move |connection, path| sqlite_jobs::put_state(connection, path, &record, false))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // What is queued is still written; then the thread closes the file, which a successor may wait for.
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn connect(path: &Path, shown: &str, busy_wait: Duration) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(shown, &error);
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(busy_wait).map_err(failed)?;
    check(&connection, shown)?;
    write_ahead(&connection, shown, busy_wait)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    connection
        .pragma_update(None, "trusted_schema", false)
        .map_err(failed)?;
    schema::migrate(&mut connection, shown)?;
    Ok(connection)
}

/// Damage is told now, when somebody looks, and not in the middle of a night's backups.
fn check(connection: &Connection, shown: &str) -> Result<(), StoreError> {
    let found: Result<String, _> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match found {
        Ok(text) if text == "ok" => Ok(()),
        Ok(cause) => Err(StoreError::Corrupt {
            path: shown.to_owned(),
            cause,
        }),
        Err(error) => Err(StoreError::from_sqlite(shown, &error)),
    }
}

/// Turns the write-ahead log on. SQLite does not wait for this lock by itself when two processes make a file at once.
fn write_ahead(connection: &Connection, shown: &str, busy_wait: Duration) -> Result<(), StoreError> {
    let until = Instant::now().checked_add(busy_wait);
    loop {
        let mode: Result<String, _> = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        let error = match mode {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                let cause = format!("it has journal mode {mode}, and its file system does not allow WAL");
                return Err(StoreError::Failed {
                    path: shown.to_owned(),
                    cause,
                });
            }
            Err(error) => StoreError::from_sqlite(shown, &error),
        };
        if !matches!(error, StoreError::Locked { .. }) || until.is_none_or(|until| Instant::now() >= until) {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The thread's own.
struct Owner {
    connection: Connection,
    path: String,
    commits: Arc<AtomicU64>,
}

impl Owner {
    fn run(mut self, queue: &Receiver<Order>) {
        while let Ok(order) = queue.recv() {
            let mut changes = Vec::new();
            self.take(order, &mut changes);
            while changes.len() < BATCH {
                let Ok(order) = queue.try_recv() else { break };
                self.take(order, &mut changes);
            }
            self.apply(changes);
        }
    }

    /// Answers what needs no write now, and keeps the rest.
    fn take(&mut self, order: Order, changes: &mut Vec<Change>) {
        match order {
            Order::Apart(work) => work(&mut self.connection, &self.path),
            Order::Find { volumes, reply } => {
                let _ = reply.send(self.named(&volumes));
            }
            Order::All { storage, reply } => {
                let _ = reply.send(self.listed(storage.as_ref()));
            }
            Order::Change(Change::Record { entries, unsent, reply }) => match self.unchanged(&entries) {
                Ok(Some(recorded)) => {
                    let _ = reply.send(Ok(recorded));
                }
                Ok(None) => changes.push(Change::Record { entries, unsent, reply }),
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            },
            Order::Change(change) => changes.push(change),
        }
    }

    /// What is to be told of `entries` if none of them changes a record.
    fn unchanged(&self, entries: &[Entry]) -> Result<Option<Vec<Recorded>>, StoreError> {
        let mut all = Vec::with_capacity(entries.len());
        for entry in entries {
            let known = one(&self.connection, &self.path, &entry.volume)?;
            let (recorded, None) = meet(known.as_ref(), entry) else {
                return Ok(None);
            };
            all.push(recorded);
        }
        Ok(Some(all))
    }

    /// Writes all changes in one transaction, then answers all callers.
    fn apply(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        match self.transact(&changes) {
            Ok(outcomes) => {
                for (change, outcome) in changes.into_iter().zip(outcomes) {
                    match (change, outcome) {
                        (Change::Record { reply, .. }, Outcome::Recorded(recorded)) => {
                            let _ = reply.send(Ok(recorded));
                        }
                        (Change::Forget { reply, .. }, Outcome::Forgotten(record)) => {
                            let _ = reply.send(Ok(record));
                        }
                        // A dropped reply reads as closed; an outcome is of its change's own kind.
                        _ => {}
                    }
                }
            }
            Err(error) => {
                for change in changes {
                    match change {
                        Change::Record { reply, .. } => drop(reply.send(Err(error.clone()))),
                        Change::Forget { reply, .. } => drop(reply.send(Err(error.clone()))),
                    }
                }
            }
        }
    }

    fn transact(&mut self, changes: &[Change]) -> Result<Vec<Outcome>, StoreError> {
        let path = &self.path;
        let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            outcomes.push(match change {
                Change::Record { entries, unsent, .. } => {
                    Outcome::Recorded(write_all(&transaction, path, entries, *unsent)?)
                }
                Change::Forget { volume, unsent, .. } => {
                    let known = one(&transaction, path, volume)?;
                    remove(&transaction, volume, None).map_err(failed)?;
                    if *unsent {
                        sqlite_spool::mark_forgotten(&transaction, volume).map_err(failed)?;
                    }
                    Outcome::Forgotten(known)
                }
            });
        }
        transaction.commit().map_err(failed)?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(outcomes)
    }

    fn named(&self, volumes: &[VolumeName]) -> Result<Vec<VolumeRecord>, StoreError> {
        let mut found = Vec::with_capacity(volumes.len());
        for volume in volumes {
            found.extend(one(&self.connection, &self.path, volume)?);
        }
        Ok(found)
    }

    fn listed(&self, storage: Option<&StorageName>) -> Result<Vec<VolumeRecord>, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::from_sqlite(&self.path, &error);
        let query = format!("SELECT {VOLUME_COLUMNS} FROM volumes WHERE ?1 IS NULL OR storage = ?1 ORDER BY name");
        let mut statement = self.connection.prepare_cached(&query).map_err(failed)?;
        let rows = statement
            .query_map([storage.map(StorageName::as_str)], |row| Ok(volume(&self.path, row)))
            .map_err(failed)?;
        rows.map(|row| row.map_err(failed)?).collect()
    }
}

enum Outcome {
    Recorded(Vec<Recorded>),
    Forgotten(Option<VolumeRecord>),
}

fn write_all(
    connection: &Connection,
    path: &str,
    entries: &[Entry],
    unsent: bool,
) -> Result<Vec<Recorded>, StoreError> {
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        let known = one(connection, path, &entry.volume)?;
        let (recorded, write) = meet(known.as_ref(), entry);
        if let Some(record) = write {
            let written = if unsent {
                sqlite_spool::put(connection, &record, entry.weight)
            } else {
                put(connection, &record)
            };
            written.map_err(|error| StoreError::from_sqlite(path, &error))?;
        }
        all.push(recorded);
    }
    Ok(all)
}

/// The record of one volume.
pub(super) fn one(
    connection: &Connection,
    path: &str,
    volume: &VolumeName,
) -> Result<Option<VolumeRecord>, StoreError> {
    let query = format!("SELECT {VOLUME_COLUMNS} FROM volumes WHERE name = ?1");
    let read = |row: &Row<'_>| Ok(self::volume(path, row));
    let found = connection
        .prepare_cached(&query)
        .and_then(|mut statement| statement.query_row([volume.as_str()], read).optional())
        .map_err(|error| StoreError::from_sqlite(path, &error))?;
    found.transpose()
}

/// Removes a volume's record, and notes that it was removed: another store may know of it yet. It is `at` this time, or
/// now.
pub(super) fn remove(connection: &Connection, volume: &VolumeName, at: Option<i64>) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM volumes WHERE name = ?1")?
        .execute([volume.as_str()])?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO forgotten (name, at) VALUES (?1, coalesce(?2, unixepoch()))")?
        .execute(params![volume.as_str(), at])
}

/// Writes a volume's record in place of what is known of it.
pub(super) fn put(connection: &Connection, record: &VolumeRecord) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM forgotten WHERE name = ?1")?
        .execute([record.volume.as_str()])?;
    let query = format!("INSERT OR REPLACE INTO volumes ({VOLUME_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    connection.prepare_cached(&query)?.execute(params![
        record.volume.as_str(),
        record.storage.as_str(),
        record.source.as_str(),
        record.media_type.as_ref().map(MediaType::as_str),
        record.pool.as_ref().map(PoolName::as_str),
        record.first_seen,
        record.updated,
        record.updated_by,
    ])
}

/// What a row's record is, or why there is none.
pub(super) fn volume(path: &str, row: &Row<'_>) -> Result<VolumeRecord, StoreError> {
    row::volume(row).map_err(|unread| unread.of_volume(&place(path), row))
}

/// How a file is called in errors.
pub(super) fn place(path: &str) -> String {
    format!("the state file {path}")
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
