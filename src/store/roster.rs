//! All sdgroups that share a database, and which of them has which job.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Answer, PostgresStore, StoreError};
use crate::types::{JobName, PeerName};

/// How long an sdgroup is believed to live that is not heard of.
pub const BELIEVED: Duration = Duration::from_secs(10);

/// What a process says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// What its sdgroup is called.
    pub name: PeerName,
    /// Where that can be called.
    pub address: String,
    /// The port there.
    pub port: u16,
    /// Its number in the system.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// How many jobs it has.
    pub jobs: u64,
    /// How many of them wait for a place.
    pub queued: u64,
    /// Which places they have, in words that sdgroups understand.
    pub places: String,
}

/// A process of another sdgroup, or another one of this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Who it is among all processes there ever were.
    pub owner: String,
    /// What it said last.
    pub beat: Beat,
    /// How long ago.
    pub age: Duration,
}

/// The sdgroup that has a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// What it is called.
    pub name: PeerName,
    /// Where it can be called.
    pub address: String,
    /// The port there.
    pub port: u16,
}

/// The database's list of them.
#[derive(Debug, Clone)]
pub struct Roster {
    link: watch::Receiver<Option<PostgresStore>>,
    owner: Arc<str>,
}

impl Roster {
    pub(super) fn new(link: watch::Receiver<Option<PostgresStore>>, owner: Arc<str>) -> Self {
        Self { link, owner }
    }

    /// Says that this process lives, and hears who else does. The others are told at once if it is `news`.
    #[must_use = "whether it was told is in the answer"]
    pub fn beat(&self, beat: Beat, news: bool) -> Answer<Vec<Heard>> {
        match self.database() {
            Ok(database) => database.beat(Arc::clone(&self.owner), beat, news),
            Err(away) => Box::pin(std::future::ready(Err(away))),
        }
    }

    /// Says that this process lives no longer, and has no jobs.
    #[must_use = "whether it was told is in the answer"]
    pub fn leave(&self) -> Answer<()> {
        match self.database() {
            Ok(database) => database.leave(Arc::clone(&self.owner)),
            Err(away) => Box::pin(std::future::ready(Err(away))),
        }
    }

    /// Jobs that this process has from now on, and those that it does not have any more; all others, too, if these are `all`
    /// that it has.
    #[must_use = "whether it was told is in the answer"]
    pub fn announce(&self, has: Vec<JobName>, had: Vec<JobName>, all: bool) -> Answer<()> {
        match self.database() {
            Ok(database) => database.announce(Arc::clone(&self.owner), has, had, all),
            Err(away) => Box::pin(std::future::ready(Err(away))),
        }
    }

    /// The sdgroups, other than `own`, that have this job.
    #[must_use = "whether it was told is in the answer"]
    pub fn owners(&self, job: JobName, own: PeerName) -> Answer<Vec<Owner>> {
        match self.database() {
            Ok(database) => database.owners(job, own),
            Err(away) => Box::pin(std::future::ready(Err(away))),
        }
    }

    /// Returns when another process has news; never, while there is no connection.
    pub async fn news(&self) {
        match self.database() {
            Ok(database) => database.news().await,
            Err(_) => std::future::pending().await,
        }
    }

    /// Returns when there is another connection, or none any more.
    pub async fn reconnected(&mut self) {
        // The other end lives as long as the store's follower, and nobody asks after it.
        if self.link.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn database(&self) -> Result<PostgresStore, StoreError> {
        self.link.borrow().clone().ok_or(StoreError::Closed)
    }
}
