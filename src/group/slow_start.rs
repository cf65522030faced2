//! Slow start of a storage that came back, in jobs: one at first, and more as these prove it. A storage that was down a
//! moment ago would look idle to every policy, get every waiting job at once, and perhaps lose them all.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A job that has lasted so long on a storage proves it as well as one that has ended.
const PROVES_AFTER: Duration = Duration::from_secs(60);

/// The slow start of one storage.
#[derive(Debug, Default)]
pub(super) struct SlowStart {
    /// How many jobs prove a storage; 0 is no slow start.
    jobs: u32,
    /// How many have, since it was closed.
    proofs: u32,
    is_on: bool,
    /// The jobs that it got since, by their numbers, in their order, and have not proved it yet.
    trials: VecDeque<(u64, Instant)>,
}

impl SlowStart {
    pub(super) fn new(jobs: u32) -> Self {
        Self {
            jobs,
            ..Self::default()
        }
    }

    /// So many jobs prove it from now on.
    pub(super) fn set_jobs(&mut self, jobs: u32) {
        self.jobs = jobs;
        if self.proofs >= jobs {
            self.is_on = false;
            self.trials.clear();
        }
    }

    /// The storage is closed: what it gets once it is open again are trials.
    pub(super) fn close(&mut self) {
        self.is_on = self.jobs > 0;
        self.proofs = 0;
        self.trials.clear();
    }

    /// A job failed there: if it is still to be proved, it begins again.
    pub(super) fn fail(&mut self) {
        if self.is_on {
            self.close();
        }
    }

    /// How many jobs are on trial, if those are as many as may be: one more than have proved it.
    pub(super) fn full(&self) -> Option<usize> {
        let most = usize::try_from(self.proofs).unwrap_or(usize::MAX).saturating_add(1);
        (self.is_on && self.trials.len() >= most).then_some(self.trials.len())
    }

    /// It got a job.
    pub(super) fn placed(&mut self, number: u64, now: Instant) {
        if self.is_on {
            self.trials.push_back((number, now));
        }
    }

    /// A job left it. One that failed has begun it again first, and is forgotten.
    pub(super) fn ended(&mut self, number: u64) {
        if let Some(at) = self.trials.iter().position(|(trial, _)| *trial == number) {
            self.trials.remove(at);
            self.prove();
        }
    }

    /// The job never came: its place proves nothing.
    pub(super) fn unused(&mut self, number: u64) {
        self.trials.retain(|(trial, _)| *trial != number);
    }

    /// Jobs that have lasted long enough by `now` prove it.
    pub(super) fn settle(&mut self, now: Instant) {
        while self.next().is_some_and(|at| at <= now) {
            self.trials.pop_front();
            self.prove();
        }
    }

    /// When the next job will have lasted long enough.
    pub(super) fn next(&self) -> Option<Instant> {
        self.trials.front().map(|(_, placed)| *placed + PROVES_AFTER)
    }

    fn prove(&mut self) {
        self.proofs += 1;
        if self.proofs >= self.jobs {
            self.is_on = false;
            self.trials.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many jobs it takes now, one after the other.
    fn fill(start: &mut SlowStart, from: u64, now: Instant) -> u64 {
        let mut taken = 0;
        while start.full().is_none() && taken < 100 {
            start.placed(from + taken, now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn one_job_then_two_then_all() {
        let now = Instant::now();
        let mut start = SlowStart::new(3);
        assert_eq!(fill(&mut start, 0, now), 100, "it was never closed");
        start.close();
        assert_eq!(fill(&mut start, 200, now), 1);
        start.ended(200);
        assert_eq!(fill(&mut start, 300, now), 2);
        let later = now + PROVES_AFTER;
        assert_eq!(start.next(), Some(later));
        start.settle(later);
        assert_eq!(start.full(), None, "both have lasted: three proofs in all");
        assert_eq!(fill(&mut start, 400, later), 100);
    }

    #[test]
    fn a_storage_that_is_closed_again_begins_again() {
        let now = Instant::now();
        let mut start = SlowStart::new(2);
        start.close();
        assert_eq!(fill(&mut start, 1, now), 1);
        start.close();
        start.ended(1);
        assert_eq!(fill(&mut start, 2, now), 1, "the job of before proves nothing");
        assert_eq!(start.full(), Some(1));
    }

    #[test]
    fn a_place_that_nobody_came_for_proves_nothing() {
        let mut start = SlowStart::new(2);
        start.close();
        start.placed(1, Instant::now());
        start.unused(1);
        start.ended(1);
        assert_eq!(fill(&mut start, 2, Instant::now()), 1);
    }

    #[test]
    fn none_is_none() {
        let mut start = SlowStart::default();
        start.close();
        assert_eq!((start.full(), start.next()), (None, None));
    }
}
