//! `LeastUsed`: the storage with the fewest jobs, as in Bacula, but counted over all Directors and groups. Use it
//! where jobs differ much in length. Among equals the one whose last job is the longest ago comes first, so that
//! jobs which start together are spread.

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;

/// Fewest running jobs first.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeastUsed;

impl Policy for LeastUsed {
    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        candidates.sort_unstable_by_key(|candidate| (candidate.running, candidate.last_placed, candidate.listed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::policy::rig::order;

    #[test]
    fn fewest_jobs_then_longest_ago_then_listed() {
        let candidates = [(2, 1), (1, 9), (1, 4), (0, 7), (1, 4)].map(|(running, last_placed)| Candidate {
            running,
            last_placed,
            ..Candidate::default()
        });
        assert_eq!(order(&LeastUsed, &candidates), [3, 2, 4, 1, 0]);
    }
}
