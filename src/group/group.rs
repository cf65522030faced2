//! A group, alive: its members and its policy, and how many jobs wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::config::model::{self, DEFAULT_PRIORITY, Locality, PolicyName, RoomForJob};
use crate::types::GroupName;

use super::health::Availability;
use super::live::{StorageLive, StorageView};
use super::policy::{self, Policy, Settings};
use super::releases::Releases;
use super::request::PlacementRequest;
use super::rule::Rule;

/// Where a group is entered in the directory's table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) generation: u64,
}

/// Several storages that look like one, and the rule that chooses among them.
#[derive(Debug)]
pub struct Group {
    config: Arc<model::Group>,
    members: Vec<Arc<StorageLive>>,
    policy: Box<dyn Policy>,
    shadow: Option<(PolicyName, Box<dyn Policy>)>,
    rules: Vec<Rule>,
    waiting: Arc<AtomicUsize>,
    // The place of its queue in the directory.
    pub(super) line: usize,
    // Of which configuration of the directory it is.
    pub(super) generation: u64,
}

impl Group {
    pub(super) fn new(config: Arc<model::Group>, members: Vec<Arc<StorageLive>>, entry: Entry) -> Self {
        let Entry {
            line,
            waiting,
            generation,
        } = entry;
        let settings = Settings {
            threshold: config.threshold,
        };
        let rules = config.rules.iter();
        Self {
            policy: policy::policy(config.policy, &settings),
            shadow: config.shadow_policy.map(|name| (name, policy::policy(name, &settings))),
            rules: rules.map(|rule| Rule::new(rule, &members, &settings)).collect(),
            config,
            members,
            waiting,
            line,
            generation,
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

    /// The members that could take a writing job at `now` but for their limits, without the lock. Ejections are
    /// overlooked as they are in placement: when all that are open are ejected, those that probes see up are tried.
    #[must_use]
    pub fn usable(&self, now: Instant) -> Vec<&Arc<StorageLive>> {
        let views = self.members.iter().map(|member| (member, member.view(now)));
        let open: Vec<_> = views.filter(|(_, view)| view.is_open()).collect();
        let pardon = open.iter().all(|(_, view)| view.ejected_for.is_some());
        let pardoned = |view: &StorageView| pardon && view.availability == Availability::Up;
        open.into_iter()
            .filter(|(_, view)| !view.too_full && (view.ejected_for.is_none() || pardoned(view)))
            .map(|(member, _)| member)
            .collect()
    }

    /// The releases of its members, as far as probes have seen them, without the lock.
    #[must_use]
    pub fn releases(&self) -> Releases {
        let seen = self.members.iter();
        Releases::of(seen.filter_map(|member| Some((member.name(), member.storage_version()?))))
    }

    /// The rule that the job falls under, if it falls under one: the first that fits it.
    pub(super) fn rule(&self, request: &PlacementRequest) -> Option<&Rule> {
        self.rules.get(self.rule_at(request)?)
    }

    /// The place of that rule among the group's.
    pub(super) fn rule_at(&self, request: &PlacementRequest) -> Option<usize> {
        self.rules.iter().position(|rule| rule.fits(request))
    }

    /// The policy for a job that falls under `rule`.
    pub(super) fn policy<'a>(&'a self, rule: Option<&'a Rule>) -> (PolicyName, &'a dyn Policy) {
        let own = rule.and_then(Rule::policy);
        own.unwrap_or((self.config.policy, &*self.policy))
    }

    /// The policy that is asked, too, and not followed. A job whose rule has a policy of its own has none.
    pub(super) fn shadow(&self, rule: Option<&Rule>) -> Option<(PolicyName, &dyn Policy)> {
        let has_own = rule.and_then(Rule::policy).is_some();
        let shadow = self.shadow.as_ref().filter(|_| !has_own);
        shadow.map(|(name, policy)| (*name, &**policy))
    }

    /// Whether a job that falls under `rule` goes where its last full is.
    pub(super) fn locality(&self, rule: Option<&Rule>) -> Locality {
        rule.and_then(Rule::locality).unwrap_or(self.config.locality)
    }

    /// Whether a job that falls under `rule` has to fit.
    pub(super) fn room_for_job(&self, rule: Option<&Rule>) -> RoomForJob {
        rule.and_then(Rule::room_for_job).unwrap_or(self.config.room_for_job)
    }

    /// The place of a job in the queue: a lower number is served first.
    pub(super) fn priority(&self, request: &PlacementRequest) -> u32 {
        self.rule(request).map_or(DEFAULT_PRIORITY, Rule::priority)
    }
}
