//! What is to be placed: the job, as its Director announced it, and what has been tried for it so far.

use std::sync::Arc;
use std::time::Duration;

use crate::types::{
    ClientName, DirectorName, FileSetName, JobId, JobLevel, JobName, JobResourceName, JobType, StorageName,
};

/// Whether a job writes volumes or reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Backups, and the writing half of a copy or migration.
    Write,
    /// Restores, verifies, and the reading half of a copy or migration.
    Read,
}

/// What there is of a job already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Origin {
    /// Nothing.
    #[default]
    New,
    /// A part of it is on some storage: it was stopped, and goes on.
    Resumed,
    /// All of it: it is the writing half of a copy or a migration. It has no home, since it is to be elsewhere.
    Copy,
}

/// A job that needs a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementRequest {
    /// Whose job it is, spelled as in the configuration.
    pub director: DirectorName,
    /// The name of this run.
    pub job: JobName,
    /// The Director's number of it.
    pub job_id: JobId,
    /// The Job resource.
    pub job_resource: JobResourceName,
    /// Whose files they are.
    pub client: ClientName,
    /// Backup, restore and so on.
    pub job_type: JobType,
    /// Full, incremental and so on.
    pub level: JobLevel,
    /// Which files.
    pub fileset: FileSetName,
    /// Whether it writes or reads.
    pub access: Access,
    /// What there is of it already.
    pub origin: Origin,
}

impl PlacementRequest {
    /// The request of a full backup that is run for the first time; what is otherwise is to be set.
    #[must_use]
    pub fn new(
        director: DirectorName,
        job: JobName,
        job_resource: JobResourceName,
        client: ClientName,
        fileset: FileSetName,
    ) -> Self {
        Self {
            director,
            job,
            job_id: JobId(0),
            job_resource,
            client,
            job_type: JobType::Backup,
            level: JobLevel::Full,
            fileset,
            access: Access::Write,
            origin: Origin::New,
        }
    }
}

/// What trying a storage has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trial {
    /// It failed, and may do better when the job has waited.
    Failed,
    /// It is well, but all its devices are busy: the job waits as it waits for a place.
    Busy,
    /// It is well and will not run this job, however long that waits.
    Unfit,
}

/// The storages that failed for one job, and how long that job has waited in all. A session keeps one for as long
/// as it looks for a storage, so that the waits of several rounds add up to no more than the configured ones.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    storages: Vec<(StorageName, Trial, Arc<str>)>,
    versions: &'static [u32],
    pub(super) waited_down: Duration,
    pub(super) waited_busy: Duration,
}

impl Tried {
    /// Nothing was tried yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing was tried yet, and only storages will be that say one of these numbers, as far as it is known.
    #[must_use]
    pub fn among(versions: &'static [u32]) -> Self {
        Self {
            versions,
            ..Self::default()
        }
    }

    /// Whether a storage that says `version` is not among those.
    pub(super) fn excludes(&self, version: u32) -> bool {
        !self.versions.is_empty() && !self.versions.contains(&version)
    }

    /// `storage` was tried and did not take the job, because of `why`.
    pub fn add(&mut self, storage: StorageName, trial: Trial, why: impl Into<Arc<str>>) {
        self.storages.retain(|(name, ..)| *name != storage);
        self.storages.push((storage, trial, why.into()));
    }

    /// What trying `storage` has shown and why, if it was tried.
    #[must_use]
    pub fn trial(&self, storage: &StorageName) -> Option<(Trial, &Arc<str>)> {
        self.storages
            .iter()
            .find_map(|(name, trial, why)| (name == storage).then_some((*trial, why)))
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.storages.is_empty()
    }

    /// Whether a new round would try something again.
    pub(super) fn can_be_forgiven(&self) -> bool {
        self.storages.iter().any(|(_, trial, _)| *trial != Trial::Unfit)
    }

    /// How many storages failed in this round.
    #[must_use]
    pub fn len(&self) -> usize {
        self.storages.len()
    }

    /// Starts a new round: every storage may be tried again but those which will never take the job. The time waited
    /// stays.
    pub(super) fn forgive(&mut self) {
        self.storages.retain(|(_, trial, _)| *trial == Trial::Unfit);
    }
}
