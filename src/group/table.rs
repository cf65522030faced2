//! Everything that placement decides by, under one lock: who runs how much, who is well, who waits. After every
//! change the queues are served until nobody can be, so that outside the lock no job waits while a place that it
//! may have is free; that is why a new job cannot overtake one that waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::model;

use super::ejection::{Cause, Ejected, EjectionRule};
use super::eligible::{Ineligible, Question, eligible, pardon};
use super::explain::{Explanation, Judged};
use super::health::{ProbeFailure, Probed, RiseAndFall};
use super::line::{Condition, Line, Waiter};
use super::live::{Observed, StorageLive};
use super::member::{Member, MemberId};
use super::place::{Choice, Unplaced, UnplacedReason};
use super::policy::{Candidate, Dice};
use super::request::{Access, PlacementRequest, Tried};
use super::state::State;

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

/// A place that was given to a waiting job and is not yet collected.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) live: Arc<StorageLive>,
    pub(super) explanation: Explanation,
    /// The waiter's, its clock charged to it.
    pub(super) tried: Tried,
}

/// What a waiting job finds when it looks.
#[derive(Debug)]
pub(super) enum Look {
    /// It has a place.
    Granted(Box<Grant>),
    /// It is to look again then, or when it is woken.
    Until(Instant),
    /// Its time is over, spent in this condition for the last part.
    Over(Condition),
    /// It does not wait here.
    Unknown,
}

/// What placement knows.
#[derive(Debug)]
pub(super) struct Table {
    members: Vec<Member>,
    lines: Vec<Line>,
    grants: BTreeMap<u64, Grant>,
    placements: u64,
    numbers: u64,
    turns: u64,
    // When the next ejection ends by itself, if the queues have not been served since.
    next_return: Option<Instant>,
    dice: Dice,
    // The last ranking, kept for its memory and for the explanation.
    ranked: Vec<Candidate>,
    // For how long what a storage told of its room is believed.
    room_lasts: Duration,
    probe_rule: RiseAndFall,
    ejection_rule: EjectionRule,
}

impl Table {
    pub(super) fn new(model: &model::Model, seed: u64) -> Self {
        Self {
            members: Vec::with_capacity(model.storages.len()),
            lines: Vec::with_capacity(model.groups.len()),
            grants: BTreeMap::new(),
            placements: 0,
            numbers: 0,
            turns: 0,
            next_return: None,
            dice: Dice::from_seed(seed),
            ranked: Vec::with_capacity(model.storages.len()),
            room_lasts: ROOM_LASTS.max(model.probe.interval.saturating_mul(3)),
            probe_rule: RiseAndFall {
                rise: model.probe.rise,
                fall: model.probe.fall,
            },
            ejection_rule: EjectionRule {
                failures: model.ejection.failures,
                time: model.ejection.time,
                maximum_time: model.ejection.maximum_time,
            },
        }
    }

    pub(super) fn add_member(&mut self, member: Member) -> MemberId {
        self.members.push(member);
        MemberId(self.members.len() - 1)
    }

    pub(super) fn add_line(&mut self, line: Line) {
        self.lines.push(line);
    }

    fn member(&self, live: &StorageLive) -> Option<&Member> {
        self.members.get(live.id.0)
    }

    /// Ranks what may take the job, best first, into `ranked`, and returns the best with its turn.
    fn rank(
        &mut self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Option<(Arc<StorageLive>, u64)> {
        let members = choice.members();
        let question = self.question(choice, request.access, tried, now);
        let fresh = now.checked_sub(self.room_lasts);
        let latest = members
            .iter()
            .filter_map(|live| self.member(live))
            .map(Member::own_turn);
        let latest = latest.max().unwrap_or(0);
        self.ranked.clear();
        for (listed, live) in members.iter().enumerate() {
            if let Some(member) = self.members.get(live.id.0)
                && eligible(member, question).is_ok()
            {
                self.ranked.push(Candidate {
                    listed,
                    running: member.running,
                    limit: member.limit,
                    weight: member.weight,
                    last_placed: member.last_placed,
                    turn: member.turn(latest),
                    free: member.free(fresh),
                    hash: member.hash,
                    score: 0,
                });
            }
        }
        if let Choice::Of(group) = choice {
            group.policy().rank(request, &mut self.ranked, &mut self.dice);
        }
        let best = self.ranked.first()?;
        Some((Arc::clone(members.get(best.listed)?), best.turn))
    }

    fn question<'a>(&self, choice: &Choice, access: Access, tried: &'a Tried, now: Instant) -> Question<'a> {
        let members = choice.members().iter().filter_map(|live| self.member(live));
        Question {
            access,
            tried,
            now,
            pardon: pardon(members, access, tried, now),
        }
    }

    /// Says what the last [`Table::rank`] of the same arguments saw.
    fn explain(&self, choice: &Choice, question: Question<'_>, chosen: Option<&StorageLive>) -> Explanation {
        let mut members: Vec<Judged> = choice
            .members()
            .iter()
            .filter_map(|live| self.member(live))
            .map(|member| Judged {
                storage: member.name.clone(),
                running: member.running,
                limit: member.limit,
                rank: None,
                ineligible: eligible(member, question).err(),
            })
            .collect();
        for (rank, candidate) in self.ranked.iter().enumerate() {
            if let Some(judged) = members.get_mut(candidate.listed) {
                judged.rank = Some(rank + 1);
            }
        }
        Explanation {
            group: match choice {
                Choice::Of(group) => Some((group.name().clone(), group.config().policy)),
                Choice::Bound(_) => None,
            },
            chosen: chosen.map(|live| live.name().clone()),
            pardoned: question.pardon,
            members,
        }
    }

    /// Ranks, and takes a place on the best.
    fn take_best(
        &mut self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Option<(Arc<StorageLive>, Explanation)> {
        let (best, turn) = self.rank(choice, request, tried, now)?;
        let question = self.question(choice, request.access, tried, now);
        let explanation = self.explain(choice, question, Some(&best));
        self.placements += 1;
        let sequence = self.placements;
        self.members.get_mut(best.id.0)?.take(sequence, turn);
        Some((best, explanation))
    }

    /// Takes a place at once, or says why there is none.
    pub(super) fn place(
        &mut self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<(Arc<StorageLive>, Explanation), Unplaced> {
        self.settle(now);
        if let Some(placed) = self.take_best(choice, request, tried, now) {
            return Ok(placed);
        }
        let explanation = self.why_not(choice, request, tried, now);
        let reason = if condition(&explanation) == Condition::Busy {
            UnplacedReason::AllBusy
        } else if tried.is_empty() {
            UnplacedReason::AllDown
        } else {
            UnplacedReason::NoneLeft
        };
        Err(Unplaced { reason, explanation })
    }

    /// Every member and what is against it.
    pub(super) fn why_not(
        &mut self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Explanation {
        self.ranked.clear();
        self.explain(choice, self.question(choice, request.access, tried, now), None)
    }

    /// Gives a place back, and on to the next.
    pub(super) fn release(&mut self, id: MemberId, now: Instant) {
        if let Some(member) = self.members.get_mut(id.0) {
            member.release();
        }
        self.serve(now);
    }

    pub(super) fn observe_probe(
        &mut self,
        id: MemberId,
        outcome: Result<Probed, ProbeFailure>,
        now: Instant,
    ) -> Observed {
        let rule = self.probe_rule;
        let Some(member) = self.members.get_mut(id.0) else {
            return Observed {
                flip: None,
                readmitted: false,
            };
        };
        if let Ok(probed) = &outcome {
            member.probed(*probed, now);
        }
        let readmitted = member.ejection.probed(outcome.is_ok(), rule.rise, now);
        let flip = member.health.observe(outcome.err(), rule, now);
        member.publish(now);
        if flip.is_some() || readmitted {
            self.changed(now);
        }
        Observed { flip, readmitted }
    }

    pub(super) fn observe_failure(&mut self, id: MemberId, cause: Cause, now: Instant) -> Option<Ejected> {
        let rule = self.ejection_rule;
        let member = self.members.get_mut(id.0)?;
        let ejected = member.ejection.failed(cause, rule, now)?.clone();
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

    pub(super) fn set_state(&mut self, id: MemberId, state: State, now: Instant) {
        let Some(member) = self.members.get_mut(id.0) else {
            return;
        };
        let before = std::mem::replace(&mut member.state, state);
        member.publish(now);
        if before != state {
            self.changed(now);
        }
    }

    /// A storage has become better or worse: who can be served is, and the others look which of their limits
    /// runs now.
    fn changed(&mut self, now: Instant) {
        self.serve(now);
        for line in &self.lines {
            line.wake_all();
        }
    }

    /// Serves the queues if an ejection has ended by itself since they were.
    fn settle(&mut self, now: Instant) {
        if self.next_return.is_some_and(|at| at <= now) {
            self.serve(now);
        }
    }

    /// Gives places to waiting jobs until no more can have one. Groups take turns, then Directors, then age.
    fn serve(&mut self, now: Instant) {
        self.next_return = self
            .members
            .iter()
            .filter_map(|member| member.ejection.active(now).map(|ejected| ejected.until))
            .min();
        if self.lines.iter().all(Line::is_empty) {
            return;
        }
        let mut lines = std::mem::take(&mut self.lines);
        let mut hungry: Vec<&mut Line> = lines.iter_mut().filter(|line| !line.is_empty()).collect();
        while !hungry.is_empty() {
            hungry.sort_by_key(|line| line.served);
            hungry.retain_mut(|line| self.serve_one(line, now));
        }
        self.lines = lines;
    }

    /// Gives a place to the first job in `queue` that can have one; false if there is none.
    fn serve_one(&mut self, queue: &mut Line, now: Instant) -> bool {
        // Jobs that have tried nothing are alike: when one cannot be placed, the next cannot either.
        let mut hopeless: Vec<Access> = Vec::new();
        let mut found = None;
        for (number, waiter) in queue.in_turn() {
            let plain = waiter.tried.is_empty() && matches!(waiter.choice, Choice::Of(_));
            if plain && hopeless.contains(&waiter.request.access) {
                continue;
            }
            found = self
                .take_best(&waiter.choice, &waiter.request, &waiter.tried, now)
                .map(|placed| (number, placed));
            if found.is_some() {
                break;
            }
            if plain {
                hopeless.push(waiter.request.access);
            }
        }
        let Some((number, (live, explanation))) = found else {
            return false;
        };
        self.turns += 1;
        queue.served = self.turns;
        let Some(mut waiter) = queue.serve(number) else {
            return false;
        };
        waiter.clock.turn(waiter.clock.condition(), now);
        waiter.clock.charge(&mut waiter.tried);
        let grant = Grant {
            live,
            explanation,
            tried: waiter.tried,
        };
        self.grants.insert(number, grant);
        waiter.wake.notify_one();
        true
    }

    /// How many jobs wait in this queue.
    pub(super) fn waiting(&self, line: usize) -> usize {
        self.lines.get(line).map_or(0, Line::len)
    }

    /// A job joins the queue and gets its number.
    pub(super) fn join(&mut self, line: usize, waiter: Waiter) -> Option<u64> {
        self.numbers += 1;
        self.lines.get_mut(line)?.join(self.numbers, waiter);
        Some(self.numbers)
    }

    /// A waiting job looks what has become of its wish.
    pub(super) fn look(&mut self, line: usize, number: u64, now: Instant) -> Look {
        self.settle(now);
        self.forgive(line, number, now);
        if let Some(grant) = self.grants.remove(&number) {
            return Look::Granted(Box::new(grant));
        }
        let Some(waiter) = self.lines.get(line).and_then(|line| line.waiter(number)) else {
            return Look::Unknown;
        };
        let question = self.question(&waiter.choice, waiter.request.access, &waiter.tried, now);
        let busy = |live: &Arc<StorageLive>| {
            self.member(live)
                .is_some_and(|member| eligible(member, question).is_err_and(|why| why.is_busy()))
        };
        let busy = waiter.choice.members().iter().any(busy);
        let next_return = waiter
            .choice
            .members()
            .iter()
            .filter_map(|live| self.member(live)?.ejection.active(now).map(|ejected| ejected.until))
            .min();
        let forgiven_at = waiter.tried.can_be_forgiven().then_some(waiter.forgiven_at);
        let Some(waiter) = self.lines.get_mut(line).and_then(|line| line.waiter_mut(number)) else {
            return Look::Unknown;
        };
        let condition = if busy { Condition::Busy } else { Condition::Down };
        waiter.clock.turn(condition, now);
        if waiter.clock.left() == Duration::ZERO {
            return Look::Over(condition);
        }
        let deadline = waiter.clock.deadline();
        let soonest = [next_return, forgiven_at]
            .into_iter()
            .flatten()
            .fold(deadline, Instant::min);
        Look::Until(soonest)
    }

    /// Lets a job that has waited long enough try again what failed for it.
    fn forgive(&mut self, line: usize, number: u64, now: Instant) {
        let waiter = self.lines.get_mut(line).and_then(|line| line.waiter_mut(number));
        if let Some(waiter) = waiter
            && waiter.tried.can_be_forgiven()
            && waiter.forgiven_at <= now
        {
            waiter.tried.forgive();
            self.serve(now);
        }
    }

    /// A job leaves the queue for whatever reason, with what it tried and waited. A place that it was given and
    /// has not collected goes on to the next.
    pub(super) fn leave(&mut self, line: usize, number: u64, now: Instant) -> Option<Waiter> {
        if let Some(grant) = self.grants.remove(&number) {
            self.release(grant.live.id, now);
        }
        let mut waiter = self.lines.get_mut(line)?.leave(number)?;
        waiter.clock.turn(waiter.clock.condition(), now);
        Some(waiter)
    }

    /// From when on a job that begins to wait at `now` may try again what has failed for it.
    pub(super) fn forgiven_at(&self, now: Instant) -> Instant {
        now + self.ejection_rule.time
    }
}

/// What a job that cannot be placed would wait for.
pub(super) fn condition(explanation: &Explanation) -> Condition {
    let busy = explanation
        .members
        .iter()
        .any(|member| member.ineligible.as_ref().is_some_and(Ineligible::is_busy));
    if busy { Condition::Busy } else { Condition::Down }
}

/// Whether no time and no recovery can give the job a place.
pub(super) fn is_hopeless(explanation: &Explanation) -> bool {
    let mut members = explanation.members.iter();
    !explanation.members.is_empty() && members.all(|member| matches!(member.ineligible, Some(Ineligible::Unfit(_))))
}
