//! `LastBackedUpTo`: the storage to which this job at this level was given the longest ago, as in Bacula, but from our
//! own history and from the moment of the placement on. Use it where several copies of a job are to lie on several
//! storages, so that the loss of one is not the loss of all: it spreads a job's runs, which is the opposite of
//! `Locality`.
//!
//! A storage that never had it comes first; among equals the one with the fewest jobs.

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;

/// Longest since the same job's last run there.
#[derive(Debug, Clone, Copy, Default)]
pub struct LastBackedUpTo;

impl Policy for LastBackedUpTo {
    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        candidates.sort_unstable_by_key(|it| (it.last_backed_up, it.running, it.last_placed, it.listed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::policy::rig::order;

    #[test]
    fn never_then_longest_ago_then_fewest_jobs() {
        let rows = [(7, 0), (0, 2), (3, 9), (0, 1)];
        let candidates = rows.map(|(last_backed_up, running)| Candidate {
            running,
            last_backed_up,
            ..Candidate::default()
        });
        assert_eq!(order(&LastBackedUpTo, &candidates), [3, 1, 2, 0]);
    }
}
