//! What processes of one sdgroup say to each other while a handover lasts: JSON, so that two versions understand each
//! other as far as they can.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::told::{JobTold, SessionTold};
use crate::group::{Access, PastJob, Place};
use crate::types::{Bytes, DirectorName, GroupName, JobLevel, JobName, JobResourceName, JobType, Moment, StorageName};

/// The first message on a connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// The successor that was started asks for the sockets. The connection is the handover's from now on.
    TakeOver,
    /// Another process begins to serve the same storages. Both say [`Tidings`] from now on.
    Join(Introduction),
    /// Whether a job's data connection belongs to the process, which may take so long to find out. If it does, it is
    /// sent.
    Route {
        /// The job's unique name.
        job: String,
        /// In milliseconds.
        wait: u64,
    },
    /// Which storage's job may write a volume.
    Claimed {
        /// The volume.
        volume: String,
        /// Its own storage does not count.
        here: String,
    },
    /// Where a job is.
    Whereabouts {
        /// Whose job it is; None is anybody's.
        director: Option<String>,
        /// Its unique name.
        job: String,
    },
    /// A Director wants a job to end.
    Cancel {
        /// Which Director.
        director: String,
        /// The number that storages of its release say.
        storage_version: u32,
        /// The job's unique name.
        job: String,
        /// The command as it came.
        line: Vec<u8>,
    },
    /// A Director begins a job: an earlier instance of it ends.
    Begins {
        /// Which Director.
        director: String,
        /// The job's unique name.
        job: String,
    },
    /// The operator wants to see the jobs.
    Jobs,
    /// The operator wants to see the sessions.
    Sessions,
    /// The operator wants a session to end.
    End {
        /// Its number.
        session: u64,
    },
    /// The operator wants the process to end at once.
    Stop,
}

/// The answer to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Join`]: who answers.
    Welcome(Introduction),
    /// To [`Request::Route`]: the job is there.
    Ours,
    /// The job, or the volume, is not.
    Nothing,
    /// To [`Request::Claimed`] and [`Request::Whereabouts`].
    Storage(String),
    /// To [`Request::Begins`]: another Director has a job of that name there.
    Anothers,
    /// To [`Request::Cancel`]: what the Director is to be told.
    Lines(Vec<Vec<u8>>),
    /// To [`Request::Jobs`].
    Jobs(Vec<JobTold>),
    /// To [`Request::Sessions`]: all. To [`Request::End`]: the one that was asked to end.
    Sessions(Vec<SessionTold>),
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Where it can be asked.
    pub socket: PathBuf,
    /// Its number in the system.
    pub pid: u32,
    /// Its version.
    pub version: String,
}

/// A data connection that goes with the socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Connection {
    /// It is a storage's, not a Client's.
    pub(super) is_storage: bool,
    /// What has been read of it.
    pub(super) read: Vec<u8>,
    /// Who called, where that is not the other end: another sdgroup may have passed it on.
    #[serde(default)]
    pub(super) caller: Option<SocketAddr>,
}

/// What two processes tell each other for as long as both live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Tidings {
    /// All the places that its jobs have now.
    Places {
        /// How many jobs it has, those without a place among them.
        jobs: usize,
        /// The places.
        places: Vec<PlaceShown>,
    },
    /// A job has ended.
    Ended(EndedShown),
}

/// So many jobs of one kind at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::session) struct PlaceShown {
    pub(super) storage: String,
    pub(super) group: String,
    pub(super) director: String,
    pub(super) reads: bool,
    pub(super) jobs: usize,
}

impl PlaceShown {
    pub(in crate::session) fn of(place: &Place, jobs: usize) -> Self {
        Self {
            storage: place.storage.to_string(),
            group: place.group.to_string(),
            director: place.director.to_string(),
            reads: place.access == Access::Read,
            jobs,
        }
    }

    /// None for names that are none.
    pub(super) fn place(&self) -> Option<Place> {
        Some(Place {
            storage: StorageName::new(&self.storage).ok()?,
            group: GroupName::new(&self.group).ok()?,
            director: DirectorName::new(&self.director).ok()?,
            access: if self.reads { Access::Read } else { Access::Write },
        })
    }
}

/// A job that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndedShown {
    director: String,
    job: String,
    resource: String,
    job_type: u8,
    level: u8,
    storage: String,
    #[serde(default)]
    placed: i64,
    is_ok: bool,
    bytes: u64,
}

impl EndedShown {
    pub(super) fn of(job: &PastJob) -> Self {
        Self {
            director: job.director.to_string(),
            job: job.job.to_string(),
            resource: job.resource.to_string(),
            job_type: job.job_type.code(),
            level: job.level.code(),
            storage: job.storage.to_string(),
            placed: job.placed.0,
            is_ok: job.is_ok,
            bytes: job.bytes.0,
        }
    }

    /// None for names that are none.
    pub(super) fn job(&self) -> Option<PastJob> {
        Some(PastJob {
            director: DirectorName::new(&self.director).ok()?,
            job: JobName::new(&self.job).ok()?,
            resource: JobResourceName::new(&self.resource).ok()?,
            job_type: JobType::from_code(self.job_type),
            level: JobLevel::from_code(self.level),
            storage: StorageName::new(&self.storage).ok()?,
            placed: Moment(self.placed),
            is_ok: self.is_ok,
            bytes: Bytes(self.bytes),
        })
    }
}
