//! How the members that may take a job are put in order. A policy ranks, it does not pick: the rest of its order
//! is the order of failover. It reads nothing but its arguments, no clock and no generator of its own, so that
//! the same arguments always give the same order.
//!
//! Each policy is a file here and a line in [`policy`].

use std::fmt::Debug;

use crate::config::model::PolicyName;

use super::request::PlacementRequest;

mod dice;
mod least_used;
mod listed_order;
mod round_robin;

pub use dice::Dice;
pub use least_used::LeastUsed;
pub use listed_order::ListedOrder;
pub use round_robin::RoundRobin;

/// A member that may take the job, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the group's list, from 0; no two candidates share one.
    pub listed: usize,
    /// The jobs it runs, counted from their placement, over all groups and Directors.
    pub running: u32,
    /// How many it may run.
    pub limit: u32,
    /// Its share where a policy weighs.
    pub weight: u32,
    /// The number of its last placement; larger is more recent, 0 is never.
    pub last_placed: u64,
}

/// An order of preference.
pub trait Policy: Debug + Send + Sync {
    /// Puts `candidates` in order, best first.
    fn rank(&self, request: &PlacementRequest, candidates: &mut [Candidate], dice: &mut Dice);
}

/// The policy of this name.
#[must_use]
pub fn policy(name: PolicyName) -> Box<dyn Policy> {
    match name {
        PolicyName::ListedOrder => Box::new(ListedOrder),
        PolicyName::LeastUsed => Box::new(LeastUsed),
        PolicyName::RoundRobin => Box::new(RoundRobin),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::group::rig;

    const ALL: [PolicyName; 3] = [PolicyName::ListedOrder, PolicyName::LeastUsed, PolicyName::RoundRobin];

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        prop::collection::vec((0_u32..5, 1_u32..10, 1_u32..4, 0_u64..6), 0..40).prop_map(|rows| {
            rows.into_iter()
                .enumerate()
                .map(|(listed, (running, limit, weight, last_placed))| Candidate {
                    listed,
                    running,
                    limit,
                    weight,
                    last_placed,
                })
                .collect()
        })
    }

    fn ranked(name: PolicyName, candidates: &[Candidate], seed: u64) -> Vec<usize> {
        let mut ranked = candidates.to_vec();
        policy(name).rank(&rig::request("dir", 1), &mut ranked, &mut Dice::from_seed(seed));
        ranked.iter().map(|candidate| candidate.listed).collect()
    }

    proptest! {
        #[test]
        fn a_rank_is_a_permutation(candidates in candidates(), seed: u64) {
            for name in ALL {
                let mut order = ranked(name, &candidates, seed);
                order.sort_unstable();
                prop_assert_eq!(order, (0..candidates.len()).collect::<Vec<_>>(), "{:?}", name);
            }
        }

        #[test]
        fn the_same_seed_gives_the_same_order_whatever_the_order_of_the_input(
            candidates in candidates(), seed: u64, turn in 0_usize..40,
        ) {
            for name in ALL {
                let mut turned = candidates.clone();
                if !turned.is_empty() {
                    let by = turn % turned.len();
                    turned.rotate_left(by);
                }
                prop_assert_eq!(ranked(name, &candidates, seed), ranked(name, &turned, seed), "{:?}", name);
            }
        }

        #[test]
        fn a_candidate_less_leaves_the_order_of_the_others(candidates in candidates(), gone in 0_usize..40) {
            for name in ALL {
                let rest: Vec<_> = candidates.iter().copied().filter(|it| it.listed != gone).collect();
                let mut expected = ranked(name, &candidates, 1);
                expected.retain(|listed| *listed != gone);
                prop_assert_eq!(ranked(name, &rest, 1), expected, "{:?}", name);
            }
        }
    }
}
