//! `Weighted`: each storage in turn, one with `Weight = 3` three times as often as one with `Weight = 1`, and evenly
//! spread. Use it where you know how much more some storages can take than others, and jobs are alike.
//!
//! Shares are of the jobs placed, over all groups. A storage that was away does not make up for what it missed.

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;

/// Whose turn is next, by the weights.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weighted;

impl Policy for Weighted {
    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        candidates.sort_unstable_by_key(|it| (it.turn, it.last_placed, it.listed));
    }
}
