//! `TwoChoices`: two storages are drawn by lot, and the one with fewer jobs gets the job. Use it where several sdgroups
//! share storages: each knows only its own jobs, and all of them would run after the same least used one. With one
//! sdgroup it is a little less even than `LeastUsed`.

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;

/// The less busy of two, the rest by lot.
#[derive(Debug, Clone, Copy, Default)]
pub struct TwoChoices;

impl Policy for TwoChoices {
    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], dice: &mut Dice) {
        // The lot is the dice's alone, whatever order the candidates come in.
        candidates.sort_unstable_by_key(|it| it.listed);
        for last in (1..candidates.len()).rev() {
            let bound = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
            let drawn = usize::try_from(dice.below(bound)).unwrap_or(last);
            candidates.swap(last, drawn);
        }
        if let [first, second, ..] = candidates
            && second.running < first.running
        {
            std::mem::swap(first, second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::rig;

    #[test]
    fn the_busiest_one_is_first_only_if_it_meets_itself() {
        let candidates: Vec<_> = [9, 1, 1, 1]
            .into_iter()
            .enumerate()
            .map(|(listed, running)| Candidate {
                listed,
                running,
                ..Candidate::default()
            })
            .collect();
        let mut dice = Dice::from_seed(3);
        let mut firsts = [0_u32; 4];
        for _ in 0..3000 {
            let mut ranked = candidates.clone();
            TwoChoices.rank(&rig::request("dir", 1), &mut ranked, &mut dice);
            firsts[ranked[0].listed] += 1;
        }
        assert_eq!(firsts[0], 0, "{firsts:?}");
        assert!(
            firsts[1..].iter().all(|count| (900..1100).contains(count)),
            "{firsts:?}"
        );
    }
}
