//! What holds for every policy. A new one has to say in [`promise`] what it promises; the rest comes by itself.

use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::config::model::Model;
use crate::group::{Directory, Tried, rig};
use crate::types::{Bytes, JobResourceName};

/// How the jobs are shared out over members that are alike but for their weight, when each job ends at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shares {
    /// All to the first.
    First,
    /// As many to each.
    Even,
    /// In proportion to the weights.
    Weighted,
    /// In proportion to the weights over many jobs, and always to the same for one.
    WeightedByJob,
}

struct Promise {
    /// A member that goes leaves the order of the others as it was.
    stable: bool,
    shares: Shares,
    /// Members that are alike are chosen in turn, and never twice in a round.
    rotates: bool,
}

fn promise(name: PolicyName) -> Promise {
    let (stable, shares, rotates) = match name {
        PolicyName::ListedOrder => (true, Shares::First, false),
        PolicyName::LeastUsed | PolicyName::RoundRobin | PolicyName::FreeSpace | PolicyName::LastBackedUpTo => {
            (true, Shares::Even, true)
        }
        // What counts as fast, and as roomy, hangs on the fastest and the roomiest.
        PolicyName::Throughput | PolicyName::FreeSpaceLeastUsed => (false, Shares::Even, true),
        PolicyName::Weighted => (true, Shares::Weighted, true),
        PolicyName::TwoChoices => (false, Shares::Even, false),
        PolicyName::JobHash => (true, Shares::WeightedByJob, false),
    };
    Promise {
        stable,
        shares,
        rotates,
    }
}

fn made(name: PolicyName) -> Box<dyn Policy> {
    policy(
        name,
        &Settings {
            threshold: Threshold::Bytes(Bytes(3)),
        },
    )
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let free = prop_oneof![Just(None), (0_u64..9).prop_map(Some)];
    let row = (0_u32..5, 1_u32..10, 1_u32..4, 0_u64..6, 0_u64..4, free, any::<u64>());
    prop::collection::vec(row, 0..40).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(
                |(listed, (running, limit, weight, last_placed, turn, free, hash))| Candidate {
                    listed,
                    tier: 0,
                    running,
                    limit,
                    weight,
                    last_placed,
                    last_backed_up: last_placed % 3,
                    turn,
                    free,
                    pace: free.map(|speed| Pace {
                        most: speed * 5,
                        total: speed * u64::from(running),
                        of_one: speed,
                        is_current: speed % 2 == 0,
                    }),
                    hash,
                    score: 0,
                },
            )
            .collect()
    })
}

fn ranked(name: PolicyName, candidates: &[Candidate], seed: u64) -> Vec<usize> {
    let mut ranked = candidates.to_vec();
    made(name).rank(&rig::request("dir", 1), &mut ranked, &mut Dice::from_seed(seed));
    ranked.iter().map(|candidate| candidate.listed).collect()
}

proptest! {
    #[test]
    fn a_rank_is_a_permutation(candidates in candidates(), seed: u64) {
        for name in PolicyName::ALL {
            let mut order = ranked(*name, &candidates, seed);
            order.sort_unstable();
            prop_assert_eq!(order, (0..candidates.len()).collect::<Vec<_>>(), "{:?}", name);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_order_whatever_the_order_of_the_input(
        candidates in candidates(), seed: u64, turn in 0_usize..40,
    ) {
        for name in PolicyName::ALL {
            let mut turned = candidates.clone();
            if !turned.is_empty() {
                let by = turn % turned.len();
                turned.rotate_left(by);
            }
            prop_assert_eq!(ranked(*name, &candidates, seed), ranked(*name, &turned, seed), "{:?}", name);
        }
    }

    #[test]
    fn a_member_that_goes_leaves_the_order_of_the_others_where_that_is_promised(
        candidates in candidates(), gone in 0_usize..40,
    ) {
        for name in PolicyName::ALL.iter().copied().filter(|name| promise(*name).stable) {
            let rest: Vec<_> = candidates.iter().copied().filter(|it| it.listed != gone).collect();
            let mut expected = ranked(name, &candidates, 1);
            expected.retain(|listed| *listed != gone);
            prop_assert_eq!(ranked(name, &rest, 1), expected, "{:?}", name);
        }
    }
}

const WEIGHTS: [u32; 3] = [1, 2, 3];
const PLACEMENTS: u32 = 6000;

fn model(name: PolicyName, weights: [u32; 3]) -> Model {
    let mut model = rig::model(name);
    for (storage, weight) in model.storages.iter_mut().zip(weights) {
        std::sync::Arc::make_mut(storage).weight = weight;
    }
    model
}

/// Where `count` jobs go that each end at once; `job` names the job resource of each.
fn places(model: &Model, count: u32, job: impl Fn(u32) -> u32) -> Vec<usize> {
    let directory = Directory::seeded(model, 11);
    let group = directory.group(&rig::group_name()).expect("the rig's group");
    let now = Instant::now();
    (0..count)
        .map(|number| {
            let mut request = rig::request("dir", number);
            request.job_resource = JobResourceName::new(&format!("Job{}", job(number))).expect("a name");
            let placement = directory.place(&group, &request, &Tried::new(), now).expect("all free");
            let at = |live: &std::sync::Arc<crate::group::StorageLive>| *live.name() == placement.storage.name;
            group.members().iter().position(at).expect("a member")
        })
        .collect()
}

#[test]
fn jobs_are_shared_out_as_promised() {
    for name in PolicyName::ALL {
        let mut counts = [0_u32; 3];
        for at in places(&model(*name, WEIGHTS), PLACEMENTS, |number| number) {
            counts[at] += 1;
        }
        let expected: [u32; 3] = match promise(*name).shares {
            Shares::First => [PLACEMENTS, 0, 0],
            Shares::Even => [PLACEMENTS / 3; 3],
            Shares::Weighted | Shares::WeightedByJob => WEIGHTS.map(|weight| PLACEMENTS * weight / 6),
        };
        for (count, expected) in counts.into_iter().zip(expected) {
            assert!(
                count.abs_diff(expected) <= PLACEMENTS / 40,
                "{name}: {counts:?}, promised {expected:?}"
            );
        }
    }
}

#[test]
fn one_job_goes_to_one_storage_where_that_is_promised() {
    for name in PolicyName::ALL.iter().copied() {
        if promise(name).shares == Shares::WeightedByJob {
            for job in 0..20 {
                let places = places(&model(name, WEIGHTS), 10, |_| job);
                assert!(places.iter().all(|at| *at == places[0]), "{name}: {places:?}");
            }
        }
    }
}

#[test]
fn ties_rotate_where_that_is_promised() {
    for name in PolicyName::ALL.iter().copied().filter(|name| promise(*name).rotates) {
        for round in places(&model(name, [1; 3]), 30, |number| number).chunks(3) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, [0, 1, 2], "{name}");
        }
    }
}
