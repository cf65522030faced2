//! `Throughput`: the storage on which the job can expect the most bytes per second, by what really passes through
//! sdgroup. Use it where storages differ in speed, or where one now and then becomes slow: it gets less then, without
//! anybody setting a weight.
//!
//! A job on a storage can expect its share of the most that the storage was lately seen to move, or of what it moves
//! now where its jobs are much slower than others'. Storages that promise at least a third of what the fastest jobs get
//! are alike, and so are any of the same power of two: among them the one with the fewest jobs is first. One
//! that was not seen yet is taken for a fast one.

use std::cmp::Reverse;

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;

/// What part of the fastest jobs' pace is as good as theirs. Below it storages that are alike would be told apart by
/// chance; above it slow ones would be filled for too long (`sdgroup simulate` shows it).
const AS_GOOD: u64 = 3;

/// Most bytes per second for the job first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Throughput;

impl Policy for Throughput {
    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        let paces = candidates.iter().filter_map(|it| it.pace);
        let good = paces.map(|pace| pace.of_one).max().unwrap_or(0) / AS_GOOD;
        for candidate in candidates.iter_mut() {
            let sharers = u64::from(candidate.running).saturating_add(1);
            let promised = candidate.pace.map_or(good, |pace| {
                let is_slow_now = pace.is_current && candidate.running > 0 && pace.of_one < good;
                let moved = if is_slow_now { pace.total } else { pace.most };
                good.min(moved / sharers)
            });
            candidate.score = promised.checked_ilog2().map_or(0, u64::from);
        }
        candidates.sort_unstable_by_key(|it| (Reverse(it.score), it.running, it.last_placed, it.listed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Pace;
    use crate::group::policy::rig::order;

    fn candidate(running: u32, most: u64, of_one: u64) -> Candidate {
        Candidate {
            running,
            pace: Some(Pace {
                most,
                total: of_one * u64::from(running),
                of_one,
                is_current: true,
            }),
            ..Candidate::default()
        }
    }

    #[test]
    fn what_is_fast_enough_is_alike_and_the_fewest_jobs_count() {
        let candidates = [candidate(3, 400, 90), candidate(2, 400, 80), candidate(1, 60, 50)];
        // Shares of 100, 133 and 30; a third of 90 is good.
        assert_eq!(order(&Throughput, &candidates), [2, 1, 0]);
    }

    #[test]
    fn a_storage_that_is_slow_or_shared_by_many_comes_later() {
        let fast = candidate(9, 1000, 90);
        let slow = candidate(1, 20, 20);
        assert_eq!(order(&Throughput, &[slow, fast]), [1, 0]);
        let crowded = candidate(99, 1000, 10);
        assert_eq!(order(&Throughput, &[crowded, candidate(9, 1000, 90)]), [1, 0]);
    }

    #[test]
    fn one_that_has_become_slow_is_not_judged_by_what_it_was() {
        let slow_now = candidate(2, 800, 5);
        let usual = candidate(9, 800, 90);
        assert_eq!(order(&Throughput, &[slow_now, usual]), [1, 0]);
        let mut slow_once = slow_now;
        slow_once.running = 0;
        assert_eq!(
            order(&Throughput, &[slow_once, usual]),
            [0, 1],
            "it is idle: it may try"
        );
    }

    #[test]
    fn one_that_was_not_seen_is_taken_for_a_fast_one() {
        let unseen = Candidate {
            running: 1,
            ..Candidate::default()
        };
        assert_eq!(order(&Throughput, &[candidate(2, 800, 90), unseen]), [1, 0]);
        let nobody = [3, 1, 2].map(|running| Candidate {
            running,
            ..Candidate::default()
        });
        assert_eq!(order(&Throughput, &nobody), [1, 2, 0]);
    }
}
