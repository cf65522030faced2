//! What must outlive the process: the volume ledger's records.
//!
//! [`Store`] is what the rest of the program sees; [`SqliteStore`] keeps the records in one file that the successor
//! of this process and an operator's `sqlite3` can open at the same time, [`MemoryStore`] keeps them for tests.
//! No store keeps a copy of its records in memory: each question is answered from where they are kept, so that what
//! another process wrote is seen at once.

mod error;
mod memory;
mod record;
mod schema;
mod sqlite;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

pub use error::StoreError;
pub use memory::MemoryStore;
pub use record::{Entry, Recorded, Source, VolumeRecord, Weight};
pub use sqlite::SqliteStore;

use crate::types::{StorageName, VolumeName};

/// The answer of a store, as soon as it is there. Dropping it does not undo what was asked for.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Keeps the records of the volume ledger.
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
}
