//! The words of the domain: names, job identities, releases, secrets. No input or output, no Bacula syntax.

mod glob;
mod job;
mod moment;
mod names;
mod release;
mod secret;
mod space;
mod state;
mod tls;

pub use glob::Glob;
pub use job::{JobId, JobLevel, JobStatus, JobType, SessionIdentity};
pub use moment::Moment;
pub use names::{
    ClientName, DeviceName, DirectorName, FileSetName, GroupName, JobName, JobResourceName, MAX_NAME_BYTES, MediaType,
    NameError, PeerName, PoolName, StorageName, VolumeName,
};
pub use release::{Release, Severity};
pub use secret::{Secret, SessionKey};
pub use space::{Bytes, Space};
pub use state::{Decision, State};
pub use tls::{Need, Needs};
