//! What is kept of a job that has ended: the history that placement learns from.

use crate::types::{
    Bytes, ClientName, DirectorName, FileSetName, GroupName, JobId, JobLevel, JobName, JobResourceName, JobStatus,
    JobType, StorageName,
};

/// A job that a storage had. Times are seconds of Unix time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Whose it was.
    pub director: DirectorName,
    /// The name of this run.
    pub job: JobName,
    /// The Director's number of it.
    pub job_id: JobId,
    /// The Job resource.
    pub resource: JobResourceName,
    /// Whose files they were.
    pub client: ClientName,
    /// Which files.
    pub fileset: FileSetName,
    /// Backup, restore and so on.
    pub job_type: JobType,
    /// Full, incremental and so on.
    pub level: JobLevel,
    /// The group that it came to.
    pub group: GroupName,
    /// The storage that it was on.
    pub storage: StorageName,
    /// When it came.
    pub arrived: i64,
    /// When the storage had taken it.
    pub placed: i64,
    /// When it ended.
    pub ended: i64,
    /// How it ended, as the storage reported it or sdgroup in its place.
    pub status: JobStatus,
    /// Its files, as the storage reported them.
    pub files: u64,
    /// Its bytes, as the storage reported them.
    pub bytes: Bytes,
}

/// How much of the history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Jobs that ended before this time, in seconds of Unix time, are forgotten.
    pub since: i64,
    /// No more than so many, the youngest.
    pub most: u64,
}
