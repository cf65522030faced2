//! `LeastUsed`: the storage with the fewest jobs, as in Bacula, but counted over all Directors and groups. Use it
//! where jobs differ much in length. Among equals the one whose last job is the longest ago comes first, so that
//! jobs which start together are spread.

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;

/// Fewest running jobs first.
#[derive(Debug, Clone, Copy)]
pub struct LeastUsed;

impl Policy for LeastUsed {
    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        candidates.sort_unstable_by_key(|candidate| (candidate.running, candidate.last_placed, candidate.listed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::rig;

    #[test]
    fn fewest_jobs_then_longest_ago_then_listed() {
        let rows = [(2, 1), (1, 9), (1, 4), (0, 7), (1, 4)];
        let mut candidates: Vec<_> = rows
            .into_iter()
            .enumerate()
            .map(|(listed, (running, last_placed))| Candidate {
                listed,
                running,
                limit: 20,
                weight: 1,
                last_placed,
            })
            .collect();
        LeastUsed.rank(&rig::request("dir", 1), &mut candidates, &mut Dice::from_seed(1));
        let order: Vec<_> = candidates.iter().map(|candidate| candidate.listed).collect();
        assert_eq!(order, [3, 2, 4, 1, 0]);
    }
}
