//! How the members that may take a job are put in order. A policy ranks, it does not pick: the rest of its order
//! is the order of failover. It reads nothing but its arguments, no clock and no generator of its own, so that
//! the same arguments always give the same order, and it allocates nothing.
//!
//! Each policy is a file here and a line in the table of `config::policies`.

use std::fmt::Debug;

use crate::config::model::{PolicyName, Threshold};
use crate::config::policies::policies;

use super::pace::Pace;
use super::request::PlacementRequest;

mod dice;
mod free_space;
mod free_space_least_used;
mod job_hash;
mod last_backed_up_to;
mod least_used;
mod listed_order;
mod round_robin;
mod throughput;
mod two_choices;
mod weighted;

pub use dice::Dice;
pub use free_space::FreeSpace;
pub use free_space_least_used::FreeSpaceLeastUsed;
pub use job_hash::{JobHash, hash_of};
pub use last_backed_up_to::LastBackedUpTo;
pub use least_used::LeastUsed;
pub use listed_order::ListedOrder;
pub use round_robin::RoundRobin;
pub use throughput::Throughput;
pub use two_choices::TwoChoices;
pub use weighted::Weighted;

/// A member that may take the job, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the group's list, from 0; no two candidates share one.
    pub listed: usize,
    /// Candidates of a lower tier come first, whatever the policy; it sees those of one tier at a time.
    pub tier: u8,
    /// The jobs it runs, counted from their placement, over all groups and Directors.
    pub running: u32,
    /// How many it may run.
    pub limit: u32,
    /// Its share where a policy weighs; at least 1.
    pub weight: u32,
    /// The number of its last placement; larger is more recent, 0 is never.
    pub last_placed: u64,
    /// The number of the last placement there of this very job at this level; 0 is never.
    pub last_backed_up: u64,
    /// When its next turn is by its weight; lower is sooner. Placements move it on, the farther the smaller the weight.
    pub turn: u64,
    /// The room on it in bytes once its jobs have ended, as far as that is foreseen; none if it is not known.
    pub free: Option<u64>,
    /// How fast it was seen to be, now or when it had jobs last; none if it never was.
    pub pace: Option<Pace>,
    /// The [`hash_of`] its name.
    pub hash: u64,
    /// A figure of the policy's own.
    pub score: u64,
}

impl Default for Candidate {
    /// The first of the list, idle, with nothing known of it.
    fn default() -> Self {
        Self {
            listed: 0,
            tier: 0,
            running: 0,
            limit: u32::MAX,
            weight: 1,
            last_placed: 0,
            last_backed_up: 0,
            turn: 0,
            free: None,
            pace: None,
            hash: 0,
            score: 0,
        }
    }
}

/// What a configuration says beside a policy's name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// `StorageGroupPolicyThreshold`.
    pub threshold: Threshold,
}

/// An order of preference.
pub trait Policy: Debug + Send + Sync {
    /// The policy with these settings.
    #[must_use]
    fn make(_settings: &Settings) -> Box<dyn Policy>
    where
        Self: Default + Sized + 'static,
    {
        Box::new(Self::default())
    }

    /// Puts `candidates` in order, best first.
    fn rank(&self, request: &PlacementRequest, candidates: &mut [Candidate], dice: &mut Dice);
}

macro_rules! make_them {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The policy of this name.
        #[must_use]
        pub fn policy(name: PolicyName, settings: &Settings) -> Box<dyn Policy> {
            match name {
                $(PolicyName::$name => $name::make(settings),)*
            }
        }
    };
}
policies!(make_them);

#[cfg(test)]
pub(super) mod rig;
#[cfg(test)]
mod tests;
