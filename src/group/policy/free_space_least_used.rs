//! `FreeSpaceLeastUsed`: the storage with the fewest jobs among those that have about the most room, as in Bacula, the
//! threshold in bytes or in percent. Use it where storages are to fill up together and several jobs start at once.
//!
//! A storage counts as roomy when it has no more than `StorageGroupPolicyThreshold` less room than the roomiest one;
//! the others follow by their room, and those that do not tell it come last.

use std::cmp::Reverse;

use super::{Candidate, Dice, Policy, Settings};
use crate::config::model::Threshold;
use crate::group::request::PlacementRequest;

/// Fewest jobs first among those with about the most room.
#[derive(Debug, Clone, Copy, Default)]
pub struct FreeSpaceLeastUsed {
    threshold: Threshold,
}

impl FreeSpaceLeastUsed {
    /// With this threshold.
    #[must_use]
    pub fn new(threshold: Threshold) -> Self {
        Self { threshold }
    }

    /// The least room that counts as much as `most`.
    // A share of a number of bytes; its rounding is of no consequence.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    fn enough(&self, most: u64) -> u64 {
        let less = match self.threshold {
            Threshold::Bytes(bytes) => bytes.0,
            Threshold::Share(share) => (most as f64 * share) as u64,
        };
        most.saturating_sub(less)
    }
}

impl Policy for FreeSpaceLeastUsed {
    fn make(settings: &Settings) -> Box<dyn Policy> {
        Box::new(Self::new(settings.threshold))
    }

    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        let most = candidates.iter().filter_map(|it| it.free).max();
        let enough = self.enough(most.unwrap_or(0));
        candidates.sort_unstable_by_key(|it| {
            let (class, free) = match it.free {
                Some(free) if free >= enough => (0, 0),
                Some(free) => (1, free),
                None => (2, 0),
            };
            (class, Reverse(free), it.running, it.last_placed, it.listed)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::policy::rig::order;
    use crate::types::Bytes;

    fn candidates() -> [Candidate; 5] {
        let rows = [(Some(100), 3), (Some(80), 1), (Some(79), 0), (None, 0), (Some(20), 0)];
        rows.map(|(free, running)| Candidate {
            running,
            free,
            ..Candidate::default()
        })
    }

    #[test]
    fn the_roomy_ones_by_jobs_and_the_others_by_room() {
        let table = [
            (Threshold::Bytes(Bytes(20)), [1, 0, 2, 4, 3]),
            (Threshold::Share(0.2), [1, 0, 2, 4, 3]),
            (Threshold::Bytes(Bytes(21)), [2, 1, 0, 4, 3]),
            (Threshold::NONE, [0, 1, 2, 4, 3]),
            // In Bacula this underflows, and only one storage counts.
            (Threshold::Bytes(Bytes(1000)), [2, 4, 1, 0, 3]),
        ];
        for (threshold, expected) in table {
            let policy = FreeSpaceLeastUsed::new(threshold);
            assert_eq!(order(&policy, &candidates()), expected, "{threshold:?}");
        }
    }

    #[test]
    fn where_nobody_tells_the_fewest_jobs_count() {
        let candidates = [2, 0, 1].map(|running| Candidate {
            running,
            ..Candidate::default()
        });
        assert_eq!(order(&FreeSpaceLeastUsed::new(Threshold::NONE), &candidates), [1, 2, 0]);
    }
}
