//! What came of a history under one policy.

use std::collections::HashMap;

use serde::Serialize;

use crate::types::{DirectorName, JobLevel, JobResourceName};

use super::history::Job;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The policy.
    pub policy: String,
    /// The group's file, where there are several.
    pub layout: String,
    /// Jobs that came.
    pub jobs: usize,
    /// That ended well.
    pub ended: usize,
    /// That broke off: their storage failed, or was full.
    pub failed: usize,
    /// Those of them whose storage was full.
    pub failed_full: usize,
    /// That no storage took within the group's waits.
    pub refused: usize,
    /// From the first job's start to the last one's end, in seconds.
    pub makespan_seconds: f64,
    /// For a place.
    pub waits: Waits,
    /// From the start to the end, those that ended well.
    pub lasts: Waits,
    /// How much longer than on average the storage that had the most to do was at work, as a share: 0.5 is half as long
    /// again.
    pub imbalance: f64,
    /// After how many of the runs a restore of that job would have touched more than one storage, as a share.
    pub scattered: f64,
    /// Each storage, in the order of the group.
    pub storages: Vec<Share>,
}

/// A distribution of lengths, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Waits {
    /// On average.
    pub mean_seconds: f64,
    /// Nineteen of twenty were no longer.
    pub p95_seconds: f64,
    /// The longest.
    pub longest_seconds: f64,
}

impl Waits {
    #[allow(clippy::cast_precision_loss, reason = "a number of jobs")]
    fn of(mut lengths: Vec<f64>) -> Self {
        if lengths.is_empty() {
            return Self::default();
        }
        let last = lengths.len() - 1;
        let (_, p95, _) = lengths.select_nth_unstable_by(last * 95 / 100, f64::total_cmp);
        let p95 = *p95;
        Self {
            mean_seconds: lengths.iter().sum::<f64>() / lengths.len() as f64,
            p95_seconds: p95,
            longest_seconds: lengths.iter().copied().fold(0.0, f64::max),
        }
    }
}

/// What one storage had of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// Which.
    pub storage: String,
    /// Jobs that ended well there.
    pub jobs: usize,
    /// What they wrote.
    pub bytes: f64,
    /// For how long it was at work, in seconds.
    pub busy_seconds: f64,
}

/// Gathers it while the history is played.
#[derive(Debug)]
pub(super) struct Gathering {
    shares: Vec<Share>,
    waits: Vec<f64>,
    lasts: Vec<f64>,
    failed: usize,
    failed_full: usize,
    refused: usize,
    last_end: f64,
    /// Which storages a restore of each job would touch: those since its last full, and that of its last differential.
    chains: HashMap<(DirectorName, JobResourceName), Chain>,
    runs: usize,
    scattered: usize,
}

#[derive(Debug, Default)]
struct Chain {
    full: usize,
    since: Vec<usize>,
}

impl Chain {
    fn add(&mut self, level: JobLevel, storage: usize) {
        match level {
            JobLevel::Full | JobLevel::VirtualFull => {
                self.full = storage;
                self.since.clear();
            }
            JobLevel::Differential => self.since = vec![storage],
            _ if !self.since.contains(&storage) => self.since.push(storage),
            _ => {}
        }
    }

    fn is_scattered(&self) -> bool {
        self.since.iter().any(|storage| *storage != self.full)
    }
}

impl Gathering {
    pub(super) fn new(storages: impl Iterator<Item = String>) -> Self {
        Self {
            shares: storages
                .map(|storage| Share {
                    storage,
                    jobs: 0,
                    bytes: 0.0,
                    busy_seconds: 0.0,
                })
                .collect(),
            waits: Vec::new(),
            lasts: Vec::new(),
            failed: 0,
            failed_full: 0,
            refused: 0,
            last_end: 0.0,
            chains: HashMap::new(),
            runs: 0,
            scattered: 0,
        }
    }

    pub(super) fn placed(&mut self, waited: f64) {
        self.waits.push(waited);
    }

    #[allow(clippy::cast_precision_loss, reason = "what is simulated is not counted to the byte")]
    pub(super) fn ended(&mut self, job: &Job, storage: usize, lasted: f64, at: f64) {
        self.lasts.push(lasted);
        self.last_end = self.last_end.max(at);
        if let Some(share) = self.shares.get_mut(storage) {
            share.jobs += 1;
            share.bytes += job.bytes.0 as f64;
        }
        let chain = self
            .chains
            .entry((job.director.clone(), job.resource.clone()))
            .or_insert_with(|| Chain {
                full: storage,
                since: Vec::new(),
            });
        chain.add(job.level, storage);
        self.runs += 1;
        self.scattered += usize::from(chain.is_scattered());
    }

    pub(super) fn failed(&mut self, is_full: bool) {
        self.failed += 1;
        self.failed_full += usize::from(is_full);
    }

    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    pub(super) fn busy(&mut self, storage: usize, seconds: f64) {
        if let Some(share) = self.shares.get_mut(storage) {
            share.busy_seconds += seconds;
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a number of jobs")]
    pub(super) fn finish(self, policy: String, layout: String, jobs: usize) -> Outcome {
        let busy: Vec<f64> = self.shares.iter().map(|share| share.busy_seconds).collect();
        let mean = busy.iter().sum::<f64>() / busy.len().max(1) as f64;
        let most = busy.iter().copied().fold(0.0, f64::max);
        Outcome {
            policy,
            layout,
            jobs,
            ended: self.lasts.len(),
            failed: self.failed,
            failed_full: self.failed_full,
            refused: self.refused,
            makespan_seconds: self.last_end,
            waits: Waits::of(self.waits),
            lasts: Waits::of(self.lasts),
            imbalance: if mean > 0.0 { most / mean - 1.0 } else { 0.0 },
            scattered: self.scattered as f64 / self.runs.max(1) as f64,
            storages: self.shares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_summed_up() {
        let waits = Waits::of((1..=100).map(f64::from).collect());
        assert_eq!(
            (waits.mean_seconds, waits.p95_seconds, waits.longest_seconds),
            (50.5, 95.0, 100.0)
        );
        assert_eq!(Waits::of(Vec::new()), Waits::default());
    }

    #[test]
    fn a_chain_is_scattered_when_it_leaves_its_full() {
        let mut chain = Chain::default();
        let story = [
            (JobLevel::Full, 1, false),
            (JobLevel::Incremental, 1, false),
            (JobLevel::Incremental, 2, true),
            (JobLevel::Incremental, 1, true),
            (JobLevel::Differential, 1, false),
            (JobLevel::Incremental, 3, true),
            (JobLevel::VirtualFull, 3, false),
        ];
        for (level, storage, scattered) in story {
            chain.add(level, storage);
            assert_eq!(chain.is_scattered(), scattered, "{level} on {storage}");
        }
    }
}
