//! One storage as placement sees it: everything that decides about it, kept under the directory's one lock.

use std::sync::Arc;
use std::time::Instant;

use crate::config::model;
use crate::types::{Space, StorageName};

use super::ejection::{Cause, Ejection};
use super::health::{Availability, Health, Probed};
use super::live::Gauges;
use super::policy::hash_of;
use super::state::State;

/// The place of a storage in the directory. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberId(pub(super) usize);

/// From one turn to the next of a member whose weight is 1.
const ROUND: u64 = 1 << 32;

/// One storage, under the lock.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: StorageName,
    pub(super) limit: u32,
    pub(super) weight: u32,
    pub(super) running: u32,
    pub(super) last_placed: u64,
    /// When its next turn is by its weight, see [`Candidate::turn`](super::policy::Candidate::turn).
    turn: u64,
    /// The hash of its name.
    pub(super) hash: u64,
    /// The room on it, and when it told that.
    space: Option<(Space, Instant)>,
    pub(super) state: State,
    pub(super) health: Health,
    pub(super) ejection: Ejection,
    gauges: Arc<Gauges>,
}

impl Member {
    pub(super) fn new(storage: &model::Storage, gauges: Arc<Gauges>, now: Instant) -> Self {
        Self {
            name: storage.name.clone(),
            limit: storage.maximum_concurrent_jobs,
            weight: storage.weight,
            running: 0,
            last_placed: 0,
            turn: 0,
            hash: hash_of(storage.name.as_str().as_bytes()),
            space: None,
            state: State::Ready,
            health: Health::new(now),
            ejection: Ejection::default(),
            gauges,
        }
    }

    /// Its next turn, where the member with the last one has it at `latest`: one that was away for a while does not
    /// have all the turns that it missed.
    pub(super) fn turn(&self, latest: u64) -> u64 {
        self.turn.max(latest.saturating_sub(ROUND))
    }

    /// When its turn has been at the latest.
    pub(super) fn own_turn(&self) -> u64 {
        self.turn
    }

    /// The room on it in bytes, if it was told after `since`.
    pub(super) fn free(&self, since: Option<Instant>) -> Option<u64> {
        let (space, at) = self.space?;
        since.is_none_or(|since| at >= since).then_some(space.free.0)
    }

    /// A probe ended well at `now`.
    pub(super) fn probed(&mut self, probed: Probed, now: Instant) {
        if let Some(space) = probed.space {
            self.space = Some((space, now));
        }
        self.gauges.probed(probed, now);
    }

    /// Takes one place, the `sequence`th of the directory, in its `turn`.
    pub(super) fn take(&mut self, sequence: u64, turn: u64) {
        self.running = self.running.saturating_add(1);
        self.last_placed = sequence;
        self.turn = turn.saturating_add(ROUND / u64::from(self.weight.max(1)));
        self.gauges.placed(self.running);
    }

    /// Gives one place back.
    pub(super) fn release(&mut self) {
        debug_assert!(self.running > 0, "a place of {} is given back twice", self.name);
        self.running = self.running.saturating_sub(1);
        self.gauges.released(self.running);
    }

    /// What stands against it now: the probe's failure if it is down, else what it was ejected for.
    fn trouble(&self, now: Instant) -> Option<Cause> {
        if self.health.availability() == Availability::Down {
            let failure = self.health.failure()?;
            return Some(Cause::new(failure.layer.as_str(), Arc::clone(&failure.text)));
        }
        self.ejection.active(now).map(|ejected| ejected.cause.clone())
    }

    /// Shows health, ejection and state to those who look on without the lock.
    pub(super) fn publish(&self, now: Instant) {
        self.gauges.publish(
            self.state,
            self.health.availability(),
            self.health.since(),
            self.ejection.active(now).map(|ejected| ejected.until),
            self.trouble(now),
        );
    }

    pub(super) fn gauges(&self) -> &Gauges {
        &self.gauges
    }
}
