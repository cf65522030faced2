//! `FreeSpace`: the storage with the most room, as in Bacula, but without a call to every storage before every job: the
//! room is what the probes saw. Use it where storages differ in size and are to fill up together.
//!
//! A storage that does not tell its room comes after all that do (Bacula drops it), and among several of them the one
//! with the fewest jobs is first.

use std::cmp::Reverse;

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;

/// Most room first.
#[derive(Debug, Clone, Copy, Default)]
pub struct FreeSpace;

impl Policy for FreeSpace {
    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        candidates.sort_unstable_by_key(|it| (Reverse(it.free), it.running, it.last_placed, it.listed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::policy::rig::order;

    #[test]
    fn most_room_then_fewest_jobs_and_those_that_do_not_tell_last() {
        let rows = [
            (None, 1),
            (Some(10), 0),
            (Some(30), 5),
            (None, 0),
            (Some(30), 2),
            (Some(0), 0),
        ];
        let candidates = rows.map(|(free, running)| Candidate {
            running,
            free,
            ..Candidate::default()
        });
        assert_eq!(order(&FreeSpace, &candidates), [4, 2, 1, 5, 3, 0]);
    }
}
