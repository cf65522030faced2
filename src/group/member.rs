//! One storage as placement sees it: everything that decides about it, kept under the directory's one lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::model::{self, Limits};
use crate::types::{Bytes, StorageName};

use super::ejection::{Cause, Ejection};
use super::health::{Availability, Health, Probed};
use super::live::Gauges;
use super::load::Load;
use super::pace::Pacer;
use super::policy::hash_of;
use super::request::Access;
use super::room::{Marks, Room};
use super::slot::Moved;
use super::slow_start::SlowStart;
use super::state::Tenure;

/// The place of a storage in the directory. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberId(pub(super) usize);

/// From one turn to the next of a member whose weight is 1.
const ROUND: u64 = 1 << 32;

/// A job on a storage.
#[derive(Debug)]
pub(super) struct Run {
    /// The number of its placement.
    pub(super) number: u64,
    pub(super) access: Access,
    /// The place in the directory of the group that it came by.
    pub(super) group: usize,
    /// The place in the directory of its Director, if the configuration has it.
    pub(super) director: Option<usize>,
    /// What it is expected to write in all.
    pub(super) expected: Bytes,
    pub(super) moved: Arc<Moved>,
    /// It is a job of another process.
    pub(super) is_foreign: bool,
    /// The job has left for another storage: what is left of it counts for this one alone.
    pub(super) is_left: bool,
    /// What it had written when the last probe looked at the room.
    seen: u64,
    /// What it had moved when the pace was last looked at.
    paced: u64,
}

impl Run {
    pub(super) fn new(number: u64, access: Access, group: usize, director: Option<usize>, expected: Bytes) -> Self {
        Self {
            number,
            access,
            group,
            director,
            expected,
            moved: Arc::default(),
            is_foreign: false,
            is_left: false,
            seen: 0,
            paced: 0,
        }
    }

    /// What it was expected to write after the last probe.
    fn outstanding(&self) -> Bytes {
        self.expected.saturating_sub(Bytes(self.seen))
    }
}

/// One storage, under the lock.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) name: StorageName,
    pub(super) limits: Limits,
    pub(super) weight: u32,
    pub(super) load: Load,
    pub(super) last_placed: u64,
    /// When its next turn is by its weight, see [`Candidate::turn`](super::policy::Candidate::turn).
    turn: u64,
    /// The hash of its name.
    pub(super) hash: u64,
    pub(super) room: Room,
    pub(super) pacer: Pacer,
    pub(super) tenure: Tenure,
    pub(super) health: Health,
    pub(super) ejection: Ejection,
    pub(super) slow_start: SlowStart,
    /// The configuration does not have it any more: its jobs end, and it gets no others.
    pub(super) is_removed: bool,
    runs: Vec<Run>,
    gauges: Arc<Gauges>,
}

impl Member {
    pub(super) fn new(id: MemberId, storage: &model::Storage, gauges: Arc<Gauges>, now: Instant) -> Self {
        Self {
            id,
            name: storage.name.clone(),
            limits: storage.limits,
            weight: storage.weight,
            load: Load::default(),
            last_placed: 0,
            turn: 0,
            hash: hash_of(storage.name.as_str().as_bytes()),
            room: Room::new(Marks::of(storage)),
            pacer: Pacer::default(),
            tenure: Tenure::default(),
            health: Health::new(now),
            ejection: Ejection::default(),
            slow_start: SlowStart::new(storage.slow_start_jobs),
            is_removed: false,
            runs: Vec::new(),
            gauges,
        }
    }

    /// The configuration in force says this of it from `now` on. Its jobs, its state and what was seen of it stay; what
    /// was seen does not when it `is_elsewhere`: at another address, or with another password.
    pub(super) fn reconfigure(&mut self, storage: &model::Storage, is_elsewhere: bool, now: Instant) {
        self.limits = storage.limits;
        self.weight = storage.weight;
        self.is_removed = false;
        self.room.set_marks(Marks::of(storage));
        self.slow_start.set_jobs(storage.slow_start_jobs);
        if is_elsewhere {
            self.health = Health::new(now);
            self.ejection = Ejection::default();
            self.room.forget();
            self.pacer = Pacer::default();
            self.gauges.forget();
        }
        self.publish(now);
    }

    /// Its next turn, where the member with the last one has it at `latest`: one that was away for a while does not
    /// have all the turns that it missed.
    pub(super) fn turn(&self, latest: u64) -> u64 {
        self.turn.max(latest.saturating_sub(ROUND))
    }

    /// When its turn has been at the latest.
    pub(super) fn own_turn(&self) -> u64 {
        self.turn
    }

    /// A probe ended well at `now`.
    pub(super) fn probed(&mut self, probed: Probed, now: Instant) {
        if let Some(space) = probed.space {
            let mut expected = Bytes(0);
            for run in &mut self.runs {
                run.seen = run.moved.to_storage();
                expected = expected.saturating_add(run.outstanding());
            }
            self.room.tell(space, expected, now);
        }
        self.gauges.probed(probed, now);
    }

    /// Takes one place for `run`, in its `turn`.
    pub(super) fn take(&mut self, run: Run, turn: u64, now: Instant) {
        self.load.add(run.access);
        self.last_placed = run.number;
        self.turn = turn.saturating_add(ROUND / u64::from(self.weight.max(1)));
        self.slow_start.placed(run.number, now);
        self.room.begin(run.expected);
        self.runs.push(run);
        self.gauges.placed(self.load);
        self.publish_room();
    }

    /// Counts a job of another process, which says nothing of whose turn it is.
    pub(super) fn hold(&mut self, run: Run) {
        self.load.add(run.access);
        self.runs.push(run);
        self.gauges.released(self.load);
    }

    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The job in the place of this number.
    pub(super) fn run_mut(&mut self, number: u64) -> Option<&mut Run> {
        self.runs.iter_mut().find(|run| run.number == number)
    }

    /// Gives the place of this number back.
    pub(super) fn release(&mut self, number: u64) -> Option<Run> {
        let at = self.runs.iter().position(|run| run.number == number);
        debug_assert!(at.is_some(), "a place of {} is given back twice", self.name);
        let run = self.runs.swap_remove(at?);
        self.load.remove(run.access);
        let written = run.moved.to_storage().saturating_sub(run.seen);
        self.room.end(run.outstanding(), Bytes(written));
        self.pacer.end(run.moved.in_all().saturating_sub(run.paced));
        self.slow_start.ended(number);
        self.gauges.released(self.load);
        self.publish_room();
        Some(run)
    }

    /// Looks how fast it has been for the last `elapsed`.
    pub(super) fn look_at_pace(&mut self, elapsed: Duration, now: Instant) {
        let (mut bytes, mut jobs) = (0_u64, 0_u32);
        for run in &mut self.runs {
            let moved = run.moved.in_all();
            let since = moved.saturating_sub(std::mem::replace(&mut run.paced, moved));
            bytes = bytes.saturating_add(since);
            jobs += u32::from(since > 0);
        }
        self.pacer.look(bytes, jobs, elapsed, now);
    }

    /// What changes by itself has by `now`.
    pub(super) fn settle(&mut self, now: Instant) {
        self.slow_start.settle(now);
        if self.tenure.settle(now) {
            self.publish(now);
        }
    }

    /// When something about it changes by itself next, after `now`, where what it told of its room is believed for so
    /// long.
    pub(super) fn next_change(&self, now: Instant, room_lasts: Duration) -> Option<Instant> {
        let readmitted = self.ejection.active(now).map(|ejected| ejected.until);
        let stale = self.room.stale_at(room_lasts).filter(|at| *at > now);
        [readmitted, self.slow_start.next(), self.tenure.ends(), stale]
            .into_iter()
            .flatten()
            .min()
    }

    /// What stands against it now: the probe's failure if it is down, else what it was ejected for.
    fn trouble(&self, now: Instant) -> Option<Cause> {
        if self.health.availability() == Availability::Down {
            let failure = self.health.failure()?;
            return Some(Cause::new(failure.layer.as_str(), Arc::clone(&failure.text)));
        }
        self.ejection.active(now).map(|ejected| ejected.cause.clone())
    }

    /// Shows health, ejection and state to those who look on without the lock.
    pub(super) fn publish(&self, now: Instant) {
        self.gauges.publish(
            self.tenure.decision().cloned(),
            self.health.availability(),
            self.health.since(),
            self.ejection.active(now).map(|ejected| ejected.until),
            self.trouble(now),
        );
        self.publish_room();
    }

    fn publish_room(&self) {
        self.gauges.too_full(self.room.closed().is_some());
    }

    pub(super) fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }
}
