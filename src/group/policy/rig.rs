//! What the tests of policies are built on.

use super::{Candidate, Dice, Policy};
use crate::group::rig;

/// The order into which `policy` puts `candidates`, which are listed as they stand there, by their places in the list.
pub(in crate::group) fn order(policy: &dyn Policy, candidates: &[Candidate]) -> Vec<usize> {
    let mut candidates: Vec<_> = candidates
        .iter()
        .enumerate()
        .map(|(listed, candidate)| Candidate { listed, ..*candidate })
        .collect();
    policy.rank(&rig::request("dir", 1), &mut candidates, &mut Dice::from_seed(1));
    candidates.iter().map(|candidate| candidate.listed).collect()
}
