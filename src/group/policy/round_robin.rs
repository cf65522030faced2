//! `RoundRobin`: the storage whose last job is the longest ago (NetBackup's meaning of the word). Use it where
//! jobs are alike. With all members eligible it is an exact rotation in the order of the list; a member that was
//! away comes first when it is back, once.

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;

/// Least recently placed first.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobin;

impl Policy for RoundRobin {
    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        candidates.sort_unstable_by_key(|candidate| (candidate.last_placed, candidate.listed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::rig;

    #[test]
    fn it_rotates_exactly_and_takes_a_returned_member_first() {
        let mut last_placed = [0_u64; 3];
        let mut order = Vec::new();
        for sequence in 1..=9 {
            let mut candidates: Vec<_> = (0..3)
                .filter(|listed| !(4..=6).contains(&sequence) || *listed != 1)
                .map(|listed| Candidate {
                    listed,
                    last_placed: last_placed[listed],
                    ..Candidate::default()
                })
                .collect();
            RoundRobin.rank(&rig::request("dir", 1), &mut candidates, &mut Dice::from_seed(1));
            let best = candidates[0].listed;
            last_placed[best] = sequence;
            order.push(best);
        }
        assert_eq!(order, [0, 1, 2, 0, 2, 0, 1, 2, 0]);
    }
}
