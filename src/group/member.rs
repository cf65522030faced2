//! One storage as placement sees it: everything that decides about it, kept under the directory's one lock.

use std::sync::Arc;
use std::time::Instant;

use crate::config::model;
use crate::types::StorageName;

use super::ejection::{Cause, Ejection};
use super::health::{Availability, Health};
use super::live::Gauges;
use super::state::State;

/// The place of a storage in the directory. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberId(pub(super) usize);

/// One storage, under the lock.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: StorageName,
    pub(super) limit: u32,
    pub(super) weight: u32,
    pub(super) running: u32,
    pub(super) last_placed: u64,
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
            state: State::Ready,
            health: Health::new(now),
            ejection: Ejection::default(),
            gauges,
        }
    }

    /// Takes one place, the `sequence`th of the directory.
    pub(super) fn take(&mut self, sequence: u64) {
        self.running = self.running.saturating_add(1);
        self.last_placed = sequence;
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
