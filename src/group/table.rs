//! Everything that placement decides by, under one lock: who runs how much, who is well, who waits. After every
//! change the queues are served until nobody can be (`serve`), so that outside the lock no job waits while a place
//! that it may have is free; that is why a new job cannot overtake one that waits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::config::model::{self, Limits, Model};
use crate::types::{DirectorName, GroupName};

use super::clock::Condition;
use super::directory::Directory;
use super::ejection::{Cause, Ejected, EjectionRule};
use super::group::Entry;
use super::health::{Availability, Layer, ProbeFailure, Probed, RiseAndFall};
use super::history::{History, PastJob};
use super::line::Line;
use super::live::{Gauges, Observed, StorageLive};
use super::load::Load;
use super::member::{Member, MemberId, Run};
use super::place::{Choice, Taken, Unplaced, UnplacedReason};
use super::policy::{Candidate, Dice};
use super::request::{PlacementRequest, Tried};
use super::serve::{Grant, condition};
use super::state::{Decision, State};

/// For how long what a storage told of its room is believed at least; where probes are rarer, for three of them.
const ROOM_LASTS: Duration = Duration::from_secs(300);

/// The table and its lock.
#[derive(Debug)]
pub(super) struct Board(Mutex<Table>);

impl Board {
    pub(super) fn new(table: Table) -> Self {
        Self(Mutex::new(table))
    }

    /// The table. A thread that panicked with the lock held has left whole numbers behind, so poison is ignored.
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The jobs of a group or of a Director, and how many there may be.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) limits: Limits,
    pub(super) load: Load,
}

impl Counted {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            load: Load::default(),
        }
    }

    fn is_at_target(&self) -> bool {
        self.load.is_at_target(&self.limits)
    }
}

/// What placement knows.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) members: Vec<Member>,
    pub(super) groups: Vec<Counted>,
    pub(super) directors: Vec<Counted>,
    director_names: Vec<DirectorName>,
    group_names: Vec<GroupName>,
    /// The configuration in force. Not held: it holds storages, which hold this.
    directory: Weak<Directory>,
    /// How many there have been.
    generation: u64,
    /// How often a place was taken or given back, and who waits for the next time.
    pub(super) changes: u64,
    pub(super) changed: Arc<Notify>,
    pub(super) lines: Vec<Line>,
    pub(super) grants: BTreeMap<u64, Grant>,
    pub(super) placements: u64,
    pub(super) numbers: u64,
    pub(super) turns: u64,
    // When something changes by itself, if the queues have not been served since.
    pub(super) next_change: Option<Instant>,
    pub(super) history: History,
    // When the pace of the storages was looked at last.
    paced_at: Option<Instant>,
    pub(super) dice: Dice,
    // The last ranking, kept for its memory and for the explanation.
    pub(super) ranked: Vec<Candidate>,
    // The same by the shadow policy, kept for its memory.
    pub(super) shadowed: Vec<Candidate>,
    // For how long what a storage told of its room is believed.
    pub(super) room_lasts: Duration,
    probe_rule: RiseAndFall,
    pub(super) ejection_rule: EjectionRule,
}

impl Table {
    /// Without storages and groups.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            members: Vec::new(),
            groups: Vec::new(),
            directors: Vec::new(),
            director_names: Vec::new(),
            group_names: Vec::new(),
            directory: Weak::new(),
            generation: 0,
            changes: 0,
            changed: Arc::default(),
            lines: Vec::new(),
            grants: BTreeMap::new(),
            placements: 0,
            numbers: 0,
            turns: 0,
            next_change: None,
            history: History::default(),
            paced_at: None,
            dice: Dice::from_seed(seed),
            ranked: Vec::new(),
            shadowed: Vec::new(),
            room_lasts: ROOM_LASTS,
            probe_rule: RiseAndFall { rise: 1, fall: 1 },
            ejection_rule: EjectionRule {
                failures: 1,
                time: Duration::ZERO,
                maximum_time: Duration::ZERO,
            },
        }
    }

    /// Begins to go by `model`. Every storage counts as removed until it is entered again.
    pub(super) fn begin(&mut self, model: &Model) {
        self.generation += 1;
        self.room_lasts = ROOM_LASTS.max(model.probe.interval.saturating_mul(3));
        self.probe_rule = RiseAndFall {
            rise: model.probe.rise,
            fall: model.probe.fall,
        };
        self.ejection_rule = EjectionRule {
            failures: model.ejection.failures,
            time: model.ejection.time,
            maximum_time: model.ejection.maximum_time,
        };
        for member in &mut self.members {
            member.is_removed = true;
        }
        for director in &model.directors {
            let known = self.director(&director.name).and_then(|at| self.directors.get_mut(at));
            if let Some(counted) = known {
                counted.limits = director.limits;
            } else {
                // Counted even without limits: it may get some while its jobs run.
                self.director_names.push(director.name.clone());
                self.directors.push(Counted::new(director.limits));
            }
        }
    }

    /// Enters a storage, which keeps its place and all that is known of it where it had one. What was seen of it is
    /// forgotten when it `is_elsewhere`.
    pub(super) fn enter_storage(
        &mut self,
        storage: &model::Storage,
        is_elsewhere: bool,
        now: Instant,
    ) -> (MemberId, Arc<Gauges>) {
        if let Some(member) = self.members.iter_mut().find(|member| member.name == storage.name) {
            member.reconfigure(storage, is_elsewhere, now);
            return (member.id, Arc::clone(member.gauges()));
        }
        let (id, gauges) = (MemberId(self.members.len()), Arc::new(Gauges::new(now)));
        self.members.push(Member::new(id, storage, Arc::clone(&gauges), now));
        (id, gauges)
    }

    /// Enters a group, which keeps its place, its jobs and its queue where it had one.
    pub(super) fn enter_group(&mut self, group: &model::Group) -> Entry {
        let line = self.group_at(&group.name).unwrap_or_else(|| {
            self.group_names.push(group.name.clone());
            self.lines.push(Line::new(Arc::default()));
            self.groups.push(Counted::new(group.limits));
            self.lines.len() - 1
        });
        if let Some(counted) = self.groups.get_mut(line) {
            counted.limits = group.limits;
        }
        Entry {
            line,
            waiting: self.lines.get(line).map(Line::shown).cloned().unwrap_or_default(),
            generation: self.generation,
        }
    }

    /// Goes by `directory` from `now` on, all of whose storages and groups have been entered. Jobs that wait do so too.
    pub(super) fn follow(&mut self, directory: &Arc<Directory>, now: Instant) {
        self.directory = Arc::downgrade(directory);
        let mut lines = std::mem::take(&mut self.lines);
        for line in &mut lines {
            line.revise(|waiter| {
                waiter.choice = self.in_force(&waiter.choice).into_owned();
                let group = waiter.choice.group();
                waiter.clock.limit(group, now);
                waiter.priority = group.priority(&waiter.request);
                waiter.rule = group.rule_at(&waiter.request);
            });
        }
        self.lines = lines;
        self.changed(now);
    }

    /// The same choice by the configuration in force, for a session that began with an earlier one. A group or a
    /// storage that is there no longer stays what it was.
    pub(super) fn in_force<'a>(&self, choice: &'a Choice) -> Cow<'a, Choice> {
        if choice.group().generation == self.generation {
            return Cow::Borrowed(choice);
        }
        let Some(directory) = self.directory.upgrade() else {
            return Cow::Borrowed(choice);
        };
        let group = directory.group(choice.group().name());
        let group = group.unwrap_or_else(|| Arc::clone(choice.group()));
        Cow::Owned(match choice {
            Choice::Of(_) => Choice::Of(group),
            Choice::Bound { live, .. } => {
                let newer = directory.storage(live.name());
                let live = newer.unwrap_or_else(|| Arc::clone(live));
                Choice::Bound { live, group }
            }
        })
    }

    /// The configuration in force.
    pub(super) fn directory(&self) -> Option<Arc<Directory>> {
        self.directory.upgrade()
    }

    pub(super) fn member(&self, live: &StorageLive) -> Option<&Member> {
        self.members.get(live.id.0)
    }

    /// The place of a Director.
    pub(super) fn director(&self, name: &DirectorName) -> Option<usize> {
        self.director_names.iter().position(|known| known == name)
    }

    pub(super) fn is_director_at_target(&self, name: &DirectorName) -> bool {
        let counted = self.director(name).and_then(|at| self.directors.get(at));
        counted.is_some_and(Counted::is_at_target)
    }

    pub(super) fn is_group_at_target(&self, line: usize) -> bool {
        self.groups.get(line).is_some_and(Counted::is_at_target)
    }

    fn counted(&mut self, group: usize, director: Option<usize>) -> impl Iterator<Item = &mut Load> {
        let group = self.groups.get_mut(group);
        let director = director.and_then(|at| self.directors.get_mut(at));
        [group, director].into_iter().flatten().map(|counted| &mut counted.load)
    }

    /// The name of the group at this place.
    pub(super) fn group_name(&self, at: usize) -> Option<&GroupName> {
        self.group_names.get(at)
    }

    /// The place of the group of this name.
    pub(super) fn group_at(&self, name: &GroupName) -> Option<usize> {
        self.group_names.iter().position(|known| known == name)
    }

    /// The name of the Director at this place.
    pub(super) fn director_name(&self, at: usize) -> Option<&DirectorName> {
        self.director_names.get(at)
    }

    fn note_change(&mut self) {
        self.changes += 1;
        self.changed.notify_waiters();
    }

    /// Counts a job for its group and its Director.
    pub(super) fn count(&mut self, run: &Run) {
        self.note_change();
        self.counted(run.group, run.director)
            .for_each(|load| load.add(run.access));
    }

    /// Counts a job that has a place for the storage alone, no longer for its group and its Director, or for all again;
    /// false if nothing changes by it.
    fn mark_left(&mut self, id: MemberId, number: u64, is_left: bool) -> bool {
        let run = self.members.get_mut(id.0).and_then(|member| member.run_mut(number));
        let Some(run) = run.filter(|run| run.is_left != is_left) else {
            return false;
        };
        run.is_left = is_left;
        let (group, director, access) = (run.group, run.director, run.access);
        self.counted(group, director).for_each(|load| {
            if is_left {
                load.remove(access);
            } else {
                load.add(access);
            }
        });
        true
    }

    /// The job of this place goes on elsewhere; its storage is not rid of it yet.
    pub(super) fn leave_place(&mut self, id: MemberId, number: u64, now: Instant) {
        if self.mark_left(id, number, true) {
            self.serve(now);
        }
    }

    /// As [`Table::place`], for a job that leaves the place of this number for the one that it gets.
    pub(super) fn place_instead(
        &mut self,
        (id, number): (MemberId, u64),
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<Taken, Unplaced> {
        // Nobody is served in between: who waits for the group does not get what the job may take back.
        self.settle(now);
        let left = self.mark_left(id, number, true);
        let placed = self.place(choice, request, tried, now);
        if left && placed.is_err() {
            self.mark_left(id, number, false);
        }
        placed
    }

    /// Takes a place at once, or says why there is none.
    pub(super) fn place(
        &mut self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<Taken, Unplaced> {
        self.settle(now);
        let case = self.case(choice, request, tried, now);
        if let Some(taken) = self.take_best(&case) {
            let next = self
                .members
                .get(taken.live.id.0)
                .and_then(|member| member.next_change(now, self.room_lasts));
            self.next_change = self.next_change.into_iter().chain(next).min();
            return Ok(taken);
        }
        let explanation = self.objections(&case);
        let reason = if condition(&explanation) == Condition::Busy {
            UnplacedReason::AllBusy
        } else if tried.is_empty() {
            UnplacedReason::AllDown
        } else {
            UnplacedReason::NoneLeft
        };
        Err(Unplaced { reason, explanation })
    }

    /// Gives a place back, and on to the next.
    pub(super) fn release(&mut self, id: MemberId, number: u64, now: Instant) {
        let run = self.members.get_mut(id.0).and_then(|member| member.release(number));
        if let Some(run) = run {
            if !run.is_left {
                self.counted(run.group, run.director)
                    .for_each(|load| load.remove(run.access));
            }
            self.note_change();
        }
        self.serve(now);
    }

    /// A job of an earlier process, in the order of their placements.
    pub(super) fn remember(&mut self, job: &PastJob, id: MemberId) {
        self.placements += 1;
        let number = self.placements;
        if let Some(member) = self.members.get_mut(id.0) {
            member.last_placed = number;
        }
        if job.wrote() {
            self.history.placed(&job.director, &job.resource, job.level, id, number);
        }
        self.history.ended(job, id);
    }

    /// Looks how fast every storage has been since the last look.
    pub(super) fn look_at_pace(&mut self, now: Instant) {
        let last = self.paced_at.replace(now);
        let elapsed = last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        for member in &mut self.members {
            member.look_at_pace(elapsed, now);
        }
    }

    pub(super) fn observe_probe(
        &mut self,
        id: MemberId,
        outcome: Result<Probed, ProbeFailure>,
        now: Instant,
    ) -> Observed {
        let rule = self.probe_rule;
        let Some(member) = self.members.get_mut(id.0) else {
            return Observed::default();
        };
        match &outcome {
            Ok(probed) => member.probed(*probed, now),
            Err(failure) if failure.layer == Layer::Exhausted => return Observed::default(),
            Err(_) => {}
        }
        let readmitted = member.ejection.probed(outcome.is_ok(), rule.rise, now);
        let flip = member.health.observe(outcome.err(), rule, now);
        if flip.as_ref().is_some_and(|flip| flip.to == Availability::Down) {
            member.slow_start.close();
        }
        member.publish(now);
        if flip.is_some() || readmitted {
            self.changed(now);
        } else {
            // More room may be what somebody waits for.
            self.serve(now);
        }
        Observed { flip, readmitted }
    }

    pub(super) fn observe_failure(&mut self, id: MemberId, cause: Cause, now: Instant) -> Option<Ejected> {
        let rule = self.ejection_rule;
        let member = self.members.get_mut(id.0)?;
        member.slow_start.fail();
        let Some(ejected) = member.ejection.failed(cause, rule, now).cloned() else {
            // Its slow start may have begun again, and take a job now.
            self.serve(now);
            return None;
        };
        member.slow_start.close();
        member.gauges().ejected();
        member.publish(now);
        self.changed(now);
        Some(ejected)
    }

    pub(super) fn observe_success(&mut self, id: MemberId, now: Instant) {
        if let Some(member) = self.members.get_mut(id.0) {
            member.ejection.succeeded(now);
        }
    }

    pub(super) fn decide(&mut self, id: MemberId, decision: Decision, ends: Option<Instant>, now: Instant) {
        self.put(id, decision, ends, now);
        self.changed(now);
    }

    /// As [`Table::decide`], but nobody that waits is served yet.
    pub(super) fn put(&mut self, id: MemberId, decision: Decision, ends: Option<Instant>, now: Instant) {
        let Some(member) = self.members.get_mut(id.0) else {
            return;
        };
        if decision.state == State::Maintenance {
            member.slow_start.close();
        }
        member.tenure.begin(decision, ends);
        member.publish(now);
    }

    /// The states that have ended by themselves by `now` and of which nobody has heard yet.
    pub(super) fn take_over(&mut self, now: Instant) -> Vec<(MemberId, Arc<Decision>)> {
        self.settle(now);
        let members = self.members.iter_mut();
        members
            .filter_map(|member| Some((member.id, member.tenure.take_over()?)))
            .collect()
    }
}
