//! Which storage gets a job: members, policies, health, slots and the queue. No sockets.
//!
//! [`Directory`] is the way in. Everything that decides is under one lock (`table`); what only looks on reads
//! atomics ([`StorageLive::view`]). Three axes decide whether a member may take a job: what the operator wants
//! ([`State`]), what probes see ([`Availability`]) and what traffic met (ejection); [`policy`] orders those that
//! may, and [`Explanation`] keeps the reasons.

mod clock;
mod directory;
mod ejection;
mod eligible;
mod explain;
#[expect(
    clippy::module_inception,
    reason = "a group is what this layer is about, and a type in it"
)]
mod group;
mod health;
mod history;
mod line;
mod live;
mod load;
mod member;
mod pace;
mod place;
mod places;
pub mod policy;
mod queue;
#[cfg(test)]
mod queue_tests;
mod rank;
mod releases;
#[cfg(test)]
mod renewed_tests;
mod request;
#[cfg(test)]
mod rig;
mod room;
mod rule;
mod serve;
mod slot;
mod slow_start;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod waiting;

pub use clock::Condition;
pub use directory::Directory;
pub use ejection::{Cause, Ejected};
pub use eligible::Ineligible;
pub use explain::{Explanation, Judged, Obstacle, Spoken};
pub use group::Group;
pub use health::{Availability, Flip, Layer, ProbeFailure, Probed};
pub use history::{Keeps, PastJob};
pub use live::{Observed, Room, StorageLive, StorageView};
pub use load::{Full, Kind};
pub use pace::Pace;
pub use place::{Placement, Unplaced, UnplacedReason};
pub use places::Place;
pub use queue::{Asked, Looked, Queued};
pub use releases::Releases;
pub use request::{Access, Origin, PlacementRequest, Trial, Tried};
pub use slot::Slot;
pub use state::{Decision, Standing, State};
pub use waiting::{Refused, RefusedReason, Waiting};
