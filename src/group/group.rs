//! A group, alive: its members and its policy, and how many jobs wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::config::model;
use crate::types::GroupName;

use super::live::StorageLive;
use super::policy::{self, Policy, Settings};
use super::releases::Releases;

/// Several storages that look like one, and the rule that chooses among them.
#[derive(Debug)]
pub struct Group {
    config: Arc<model::Group>,
    members: Vec<Arc<StorageLive>>,
    policy: Box<dyn Policy>,
    pub(super) waiting: Arc<AtomicUsize>,
    // The place of its queue in the directory.
    pub(super) line: usize,
}

impl Group {
    pub(super) fn new(config: Arc<model::Group>, members: Vec<Arc<StorageLive>>, line: usize) -> Self {
        let settings = Settings {
            threshold: config.threshold,
        };
        Self {
            policy: policy::policy(config.policy, &settings),
            config,
            members,
            waiting: Arc::default(),
            line,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &GroupName {
        &self.config.name
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<model::Group> {
        &self.config
    }

    /// Its members, in the order of the configuration.
    #[must_use]
    pub fn members(&self) -> &[Arc<StorageLive>] {
        &self.members
    }

    /// How many jobs wait for a place, read without the directory's lock.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether at least one member could take a writing job at `now` but for its limit, without the lock.
    #[must_use]
    pub fn is_usable(&self, now: Instant) -> bool {
        self.members.iter().any(|member| member.view(now).is_usable())
    }

    /// The releases of its members, as far as probes have seen them, without the lock.
    #[must_use]
    pub fn releases(&self) -> Releases {
        let seen = self.members.iter();
        Releases::of(seen.filter_map(|member| Some((member.name(), member.storage_version()?))))
    }

    pub(super) fn policy(&self) -> &dyn Policy {
        &*self.policy
    }
}
