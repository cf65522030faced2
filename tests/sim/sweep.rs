//! The invariants: what is true after every step, by the shadow.

use sdgroup::group::StorageView;

use super::shadow::{Job, Shadow, Sure};
use super::world::{BUSY_WAIT, DOWN_WAIT, MAXIMUM_QUEUED_JOBS};
use super::{Holds, LONGEST_STEP, Sim, Waits, now};

impl Sim {
    /// Counts what is held.
    fn count(&mut self) {
        for known in &mut self.known {
            (known.writes, known.reads, known.outstanding) = (0, 0, 0);
            known.settle_trial(now());
        }
        for held in self.holding.values() {
            let known = &mut self.known[held.at];
            if held.job.kind.reads {
                known.reads += 1;
            } else {
                known.writes += 1;
            }
            known.outstanding += held.job.kind.expected();
        }
    }

    /// The invariants.
    pub(super) fn sweep(&mut self, placed: &[u32]) {
        self.count();
        let views = self.views();
        let mut of_group = vec![0; self.groups.len()];
        let mut of_first = 0;
        for held in self.holding.values() {
            of_group[held.job.group] += 1;
            of_first += u32::from(held.job.kind.director == 0 && !held.job.kind.reads);
        }
        let shadow = Shadow {
            world: &self.world,
            known: &self.known,
            views: &views,
            homes: [&self.homes, &self.homes_before],
            sized: &self.sized,
            of_group: &of_group,
            of_first,
            now: now(),
        };
        self.sweep_storages(&views);
        self.sweep_limits(placed, &shadow);
        self.sweep_placed(placed, &shadow);
        self.sweep_waiting(&shadow);
        self.sweep_order(placed, &shadow);
        for (index, group) in self.groups.iter().enumerate() {
            let waiting = self.waiting.values().filter(|waits| waits.job.group == index).count();
            assert_eq!(group.waiting(), waiting, "{}: jobs that wait", group.name());
            assert!(waiting <= MAXIMUM_QUEUED_JOBS);
        }
    }

    /// Places are counted.
    fn sweep_storages(&self, views: &[StorageView]) {
        for (known, view) in self.known.iter().zip(views) {
            let name = &view.storage;
            assert_eq!(view.running, known.writes + known.reads, "{name}: jobs counted");
            assert_eq!(view.reading, known.reads, "{name}: jobs that read");
            if let Some(trial) = &known.trial {
                assert!(trial.jobs.len() <= 1, "{name}: {} on trial", trial.jobs.len());
            }
        }
    }

    /// Where a job was placed there are no more than there may be. Elsewhere there can be more, since a reload has left the
    /// jobs and taken the limit.
    fn sweep_limits(&self, placed: &[u32], shadow: &Shadow<'_>) {
        for number in placed {
            let Holds { job, at, .. } = &self.holding[number];
            let (known, limits, name) = (&self.known[*at], &self.world.storages[*at], &self.names[*at]);
            assert!(known.writes + known.reads <= limits.maximum, "{name}: above its limit");
            if job.kind.reads {
                assert!(known.reads <= limits.maximum_read, "{name}: too many read");
            } else {
                assert!(known.writes <= limits.maximum_write, "{name}: too many write");
            }
            if job.kind.director == 0 && !job.kind.reads {
                let most = self.world.maximum_of_first;
                assert!(shadow.of_first <= most, "Director a is above its limit");
            }
            let most = self.world.groups[job.group].maximum;
            assert!(shadow.of_group[job.group] <= most, "a group is above its limit");
        }
    }

    /// Nothing was placed where it may not be.
    fn sweep_placed(&self, placed: &[u32], shadow: &Shadow<'_>) {
        for number in placed {
            let Holds { job, at, .. } = &self.holding[number];
            assert!(
                shadow.was_open_to(job, *at),
                "job {number} was placed on {}, which is closed to it: {:?}",
                self.names[*at],
                shadow.views[*at]
            );
            // Those placed in this step may have come after it.
            let others = placed.iter().map(|other| &self.holding[other]);
            let others = others
                .filter(|other| other.at == *at)
                .map(|other| other.job.kind.expected());
            assert_ne!(
                shadow.has_room(job, *at, 0, others.sum()),
                Sure::No,
                "job {number} was placed on {}, which has no room for it: {:?}",
                self.names[*at],
                shadow.known[*at]
            );
        }
    }

    /// Nobody waits who could have a place.
    fn sweep_waiting(&self, shadow: &Shadow<'_>) {
        for (number, Waits { job, .. }) in &self.waiting {
            for at in shadow.open_to(job) {
                let excused = shadow.is_full(job, at)
                    || shadow.has_room(job, at, 0, 0) != Sure::Yes
                    || shadow.may_start_slowly(at);
                assert!(excused, "job {number} waits while {} has a place", self.names[at]);
            }
            // Time goes on in steps: the end of one limit is seen late, and may be within the other by then.
            assert!(
                shadow.now - job.began < DOWN_WAIT + BUSY_WAIT + LONGEST_STEP,
                "job {number} waits for longer than both of its limits"
            );
        }
    }

    /// No job has taken a place that one of the same Director could have had which is more urgent, or came earlier.
    fn sweep_order(&self, placed: &[u32], shadow: &Shadow<'_>) {
        let priority = |job: &Job| self.world.priority(job.group, job.kind.job);
        for number in placed {
            let Holds { job, at, .. } = &self.holding[number];
            let freed = self
                .freed
                .filter(|(freed, _)| freed == at)
                .map_or(0, |(_, expected)| expected);
            let overtaken = self.waiting.iter().find(|(_, Waits { job: other, .. })| {
                (other.group, other.kind.director, other.kind.reads) == (job.group, job.kind.director, job.kind.reads)
                    && other.tried.is_empty()
                    && other.lined < job.lined
                    && priority(other) <= priority(job)
                    && shadow.was_always_open_to(other, *at)
                    && shadow.has_room(other, *at, freed, 0) == Sure::Yes
            });
            if let Some((other, _)) = overtaken {
                let late = &self.waiting[other].job;
                panic!(
                    "job {number} has overtaken job {other} on {}: {job:?}, {late:?}",
                    self.names[*at]
                );
            }
        }
    }
}
