//! Everything worth telling, one type each: `emit` writes the log line and moves the metrics.
//!
//! Every log line has a field `event` with the type's name in snake case, and the same word for the same thing in
//! all of them: `director`, `job`, `job_id`, `client`, `group`, `storage`, `volume`, `sdgroup` (another one; `peer` is
//! an address), `cause`. Fields that a line has no value for are left out. Words that become label values
//! (`&'static str`) must come from a closed set.

mod fleet;
mod job;
mod process;
mod session;
mod storage;
mod volume;

pub use fleet::{ConnectionPassed, ConnectionReceived, PeerFailed, PeerNamesake, PeerTurned};
pub use job::{JobExplained, JobFailedOver, JobPlaced, JobQueued, JobRefused, QueueCause, ShadowAsked};
pub use process::{
    AcceptFailed, ConfigLoaded, ConfigRefused, ConfigReloaded, ConfigWarning, DrainProgress, HandoverBegun,
    HandoverDone, HandoverFailed, PHASES, Panicked, ProcessPhase, ReloadCause, Started, StoreFailed, StoreTurned,
};
pub use session::{
    LiveSession, LoginRefused, PacketCause, PacketRefused, RelayFellBackToCopy, RouteMissing, RouteTaken, SessionEnded,
    SessionKind, SessionStarted, TokenCause, TokenRefused,
};
pub use storage::{
    ProbeDone, ProbeNotMade, StateChanged, StorageEjected, StorageFlipped, StorageLoggedIn, StorageReadmitted,
};
pub use volume::{VolumeConflict, VolumeForgotten, VolumeGuarded, VolumeLearned, VolumeMoved};

use crate::types::{ClientName, DirectorName, JobId, JobName};

/// Which job an event is about.
#[derive(Debug, Clone, Copy)]
pub struct JobRef<'a> {
    /// Whose job it is.
    pub director: &'a DirectorName,
    /// This run of it.
    pub job: &'a JobName,
    /// Its number in that Director.
    pub job_id: JobId,
    /// Whose files they are, where the Director said so.
    pub client: Option<&'a ClientName>,
}
