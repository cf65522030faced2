//! What must outlive the process: the volume ledger's records, the history of jobs, the states of storages.
//!
//! [`Store`] is what the rest of the program sees; [`SqliteStore`] keeps the records in one file that the successor
//! of this process and an operator's `sqlite3` can open at the same time, [`PostgresStore`] in a database that several
//! sdgroups share, [`SharedStore`] in both; [`MemoryStore`] keeps them for tests.
//! None of those that outlive a process answers from a copy in memory: what another process wrote is seen at once.

mod error;
mod fact;
mod job_record;
mod memory;
mod numbers;
mod postgres;
mod record;
mod roster;
mod row;
mod schema;
mod shared;
mod sqlite;
mod sqlite_jobs;
mod sqlite_spool;
mod state_record;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

pub use error::StoreError;
pub use fact::Fact;
pub use job_record::{JobRecord, Keep};
pub use memory::MemoryStore;
pub use numbers::{Lease, Numbers};
pub use postgres::PostgresStore;
pub use record::{Entry, Recorded, Source, VolumeRecord, Weight};
pub use roster::{BELIEVED, Beat, Heard, Owner, Roster};
pub use shared::{Follower, News, SharedStore, StoreView};
pub use sqlite::SqliteStore;
pub use state_record::StateRecord;

use crate::types::{StorageName, VolumeName};

/// The answer of a store, as soon as it is there. Dropping it does not undo what was asked for.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Keeps records. Those of volumes are truth and are asked for when they are needed; the history is read once, when a
/// process starts, and so are the states, which are read again where others may have put some.
pub trait Store: Debug + Send + Sync {
    /// The records of those of `volumes` that are known, in no particular order.
    fn find(&self, volumes: Vec<VolumeName>) -> Answer<Vec<VolumeRecord>>;

    /// Every record, or those of one storage, in the order of the volumes' names.
    fn all(&self, storage: Option<StorageName>) -> Answer<Vec<VolumeRecord>>;

    /// Takes entries, all or none, and says of each what became of it, in their order. When the answer is there,
    /// what it says is durable. Nothing is written when nothing changes.
    fn record(&self, entries: Vec<Entry>) -> Answer<Vec<Recorded>>;

    /// Removes a record and returns it.
    fn forget(&self, volume: VolumeName) -> Answer<Option<VolumeRecord>>;

    /// Keeps `volume` for jobs on `storage`, from all who share the store, until it is released; or says whose it is.
    /// It ends by itself soon after the process is gone. A store that nobody shares has nobody to keep it from.
    fn claim(&self, volume: VolumeName, storage: StorageName) -> Answer<Option<StorageName>> {
        let _ = (volume, storage);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Lets a claimed volume go. What was learned of it before is known to others by then.
    fn release(&self, volume: &VolumeName) {
        let _ = volume;
    }

    /// Adds jobs that have ended to the history, all or none, and forgets what is no longer to be kept.
    fn add_jobs(&self, jobs: Vec<JobRecord>, keep: Keep) -> Answer<()>;

    /// The youngest `most` jobs of the history that ended since `since`, in seconds of Unix time, in the order in which
    /// they were placed.
    fn jobs(&self, since: i64, most: u64) -> Answer<Vec<JobRecord>>;

    /// The last state of every storage that was ever put into one, in the order of their names: that one is ready again
    /// is known as well, and since when.
    fn states(&self) -> Answer<Vec<StateRecord>>;

    /// Notes the state of one storage.
    fn put_state(&self, record: StateRecord) -> Answer<()>;
}
