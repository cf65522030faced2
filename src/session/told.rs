//! Which jobs of other processes, and of other sdgroups, placement has been told of.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::config::model;
use crate::group::PastJob;

/// How many are told apart: as many as the history has unless it is configured otherwise.
const MOST: u64 = model::DEFAULT_HISTORY_JOBS;

/// Those jobs. While a handover lasts one may come from the history as well as from the process that had it, and counts
/// once.
#[derive(Debug, Default)]
pub(super) struct Told {
    hasher: RandomState,
    last: Mutex<(HashSet<u64>, VecDeque<u64>)>,
}

impl Told {
    /// Those that are new.
    pub(super) fn news<'a>(&self, jobs: &'a [PastJob]) -> Vec<&'a PastJob> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *last;
        let is_new = |job: &&PastJob| {
            // A run that is resumed has the name of its first part.
            let run = (&job.director, &job.job, &job.storage, job.is_ok, job.bytes.0);
            let run = self.hasher.hash_one(run);
            if !known.insert(run) {
                return false;
            }
            order.push_back(run);
            if order.len() as u64 > MOST
                && let Some(oldest) = order.pop_front()
            {
                known.remove(&oldest);
            }
            true
        };
        jobs.iter().filter(is_new).collect()
    }
}
