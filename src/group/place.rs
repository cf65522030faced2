//! The result of looking for a place once: a storage with a slot, or why there is none.

use std::fmt;
use std::sync::Arc;

use crate::config::model::{self, Locality, RoomForJob};

use super::explain::Explanation;
use super::group::Group;
use super::live::StorageLive;
use super::request::PlacementRequest;
use super::slot::{Moved, Slot};

/// A job's place.
#[derive(Debug)]
pub struct Placement {
    /// Where it goes.
    pub storage: Arc<model::Storage>,
    /// Its place there.
    pub slot: Slot,
    /// Why there.
    pub explanation: Arc<Explanation>,
}

impl Placement {
    pub(super) fn new(taken: Taken) -> Self {
        Self {
            storage: Arc::clone(taken.live.storage()),
            slot: Slot::new(taken.live, taken.number, taken.moved),
            explanation: taken.explanation,
        }
    }
}

/// A place that was taken under the lock.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) live: Arc<StorageLive>,
    /// The number of the placement.
    pub(super) number: u64,
    pub(super) moved: Arc<Moved>,
    pub(super) explanation: Arc<Explanation>,
}

/// What is in the way, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnplacedReason {
    /// Members are well, but have all the jobs they may have.
    AllBusy,
    /// Every member is down, ejected or kept from it by the operator.
    AllDown,
    /// What could be tried has failed for this job.
    NoneLeft,
    /// There is no such storage or group.
    Unknown,
}

impl UnplacedReason {
    /// A word for logs and metrics; one of a fixed set.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::AllBusy => "all_busy",
            Self::AllDown => "all_down",
            Self::NoneLeft => "none_left",
            Self::Unknown => "unknown",
        }
    }
}

/// No place for a job at the moment.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{explanation}")]
pub struct Unplaced {
    /// In one word.
    pub reason: UnplacedReason,
    /// Every member and what is against it.
    pub explanation: Arc<Explanation>,
}

/// Where a job may go.
#[derive(Debug, Clone)]
pub(super) enum Choice {
    /// To any member of a group.
    Of(Arc<Group>),
    /// To this storage and no other.
    Bound {
        live: Arc<StorageLive>,
        /// The group that it came by.
        group: Arc<Group>,
    },
}

impl Choice {
    pub(super) fn members(&self) -> &[Arc<StorageLive>] {
        match self {
            Self::Of(group) => group.members(),
            Self::Bound { live, .. } => std::slice::from_ref(live),
        }
    }

    /// Whether the job may go to certain members only, so that when it cannot be placed others perhaps can.
    pub(super) fn is_particular(&self, request: &PlacementRequest) -> bool {
        let Self::Of(group) = self else { return true };
        let rule = group.rule(request);
        group.locality(rule) == Locality::Require || group.room_for_job(rule) == RoomForJob::Require
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        match self {
            Self::Of(group) | Self::Bound { group, .. } => group,
        }
    }
}

/// That there is no place, as the beginning of a sentence.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(group) => write!(f, "no storage of group {} can take the job", group.name()),
            Self::Bound { live, .. } => {
                write!(f, "storage {}, the only one for this job, cannot take it", live.name())
            }
        }
    }
}
