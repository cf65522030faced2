//! `ListedOrder`: the first of the list that may take the job, as in Bacula. Use it where one storage is the
//! preferred one and the others stand by: it gets every job until it is full, then the next does.

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;

/// In the order of the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListedOrder;

impl Policy for ListedOrder {
    fn rank(&self, _request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        candidates.sort_unstable_by_key(|candidate| candidate.listed);
    }
}
