//! Serving the queues: after every change, until nobody that waits can have a place.

use std::time::{Duration, Instant};

use super::clock::Condition;
use super::eligible::{Ineligible, eligible};
use super::explain::Explanation;
use super::line::{Line, Waiter};
use super::place::Taken;
use super::rank::Case;
use super::request::{Access, Tried};
use super::table::Table;

/// A place that was given to a waiting job and is not yet collected.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) taken: Taken,
    /// The waiter's, its clock charged to it.
    pub(super) tried: Tried,
}

/// The job of a queue that is served next.
#[derive(Debug, Clone, Copy)]
struct Next {
    /// The place of the queue.
    line: usize,
    number: u64,
    priority: u32,
}

/// What a waiting job finds when it looks.
#[derive(Debug)]
pub(super) enum Look {
    /// It has a place.
    Granted(Box<Grant>),
    /// It is to look again then, or when it is woken.
    Until {
        at: Instant,
        /// What it waits for.
        condition: Condition,
        /// How many are to be served before it.
        ahead: usize,
    },
    /// Its time is over, spent in this condition for the last part.
    Over(Condition),
    /// It does not wait here.
    Unknown,
}

impl Table {
    /// A storage has become better or worse: who can be served is, and the others look which of their limits
    /// runs now.
    pub(super) fn changed(&mut self, now: Instant) {
        self.serve(now);
        for line in &self.lines {
            line.wake_all();
        }
    }

    /// Serves the queues if something has changed by itself since they were.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.next_change.is_some_and(|at| at <= now) {
            self.serve(now);
        }
    }

    /// Gives places to waiting jobs until no more can have one, one after the other. Groups below their target come
    /// before the others, of these the one whose next job is the most urgent, and else they take turns; within a group
    /// it is as its queue has it.
    pub(super) fn serve(&mut self, now: Instant) {
        for member in &mut self.members {
            member.settle(now);
        }
        if !self.lines.iter().all(Line::is_empty) {
            self.serve_all(now);
        }
        let lasts = self.room_lasts;
        let members = self.members.iter();
        self.next_change = members.filter_map(|member| member.next_change(now, lasts)).min();
    }

    fn serve_all(&mut self, now: Instant) {
        let mut lines = std::mem::take(&mut self.lines);
        let mut nexts: Vec<Next> = (0..lines.len())
            .filter_map(|at| self.next_of(at, &lines, now))
            .collect();
        while let Some(first) = self.first_of(&nexts, &lines) {
            let next = nexts.swap_remove(first);
            let granted = self.grant(&mut lines, next, now);
            // Where another group has taken the place meanwhile, the next job of this one is another.
            let again = self.next_of(next.line, &lines, now);
            nexts.extend(again.filter(|again| granted || again.number != next.number));
        }
        self.lines = lines;
    }

    /// Which of `nexts` is served first.
    fn first_of(&self, nexts: &[Next], lines: &[Line]) -> Option<usize> {
        let order = |next: &Next| {
            let served = lines.get(next.line).map_or(0, |line| line.served);
            (self.is_group_at_target(next.line), next.priority, served, next.line)
        };
        let first = nexts.iter().enumerate().min_by_key(|(_, next)| order(next));
        first.map(|(at, _)| at)
    }

    /// The first job of a queue that can have a place.
    fn next_of(&self, line: usize, lines: &[Line], now: Instant) -> Option<Next> {
        // Jobs of one Director and one rule that have tried nothing and may go anywhere are alike: when one cannot be
        // placed, the next cannot either.
        let mut hopeless: Vec<(Access, Option<usize>, Option<usize>)> = Vec::new();
        let mut waiters = lines
            .get(line)?
            .in_turn(&|director| self.is_director_at_target(director));
        let (number, waiter) = waiters.find(|(_, waiter)| {
            let Waiter { choice, request, .. } = waiter;
            let plain = waiter.tried.is_empty() && !choice.is_particular(request);
            let kind = (request.access, self.director(&request.director), waiter.rule);
            if plain && hopeless.contains(&kind) {
                return false;
            }
            let can = self.can_be_placed(&self.case(choice, request, &waiter.tried, now));
            if plain && !can {
                hopeless.push(kind);
            }
            can
        })?;
        Some(Next {
            line,
            number,
            priority: waiter.priority,
        })
    }

    /// Whether some member may take the job.
    fn can_be_placed(&self, case: &Case<'_>) -> bool {
        let mut members = case.choice.members().iter().enumerate();
        case.obstacle.is_none()
            && members.any(|(listed, live)| {
                let member = self.member(live);
                member.is_some_and(|member| eligible(member, listed, case.question).is_ok())
            })
    }

    /// Gives the job a place; false if it cannot have one any more.
    fn grant(&mut self, lines: &mut [Line], next: Next, now: Instant) -> bool {
        let Some(line) = lines.get_mut(next.line) else {
            return false;
        };
        let Some(taken) = line.waiter(next.number).and_then(|waiter| {
            let case = self.case(&waiter.choice, &waiter.request, &waiter.tried, now);
            self.take_best(&case)
        }) else {
            return false;
        };
        self.turns += 1;
        line.served = self.turns;
        let Some(mut waiter) = line.serve(next.number) else {
            return false;
        };
        waiter.clock.turn(waiter.clock.condition(), now);
        waiter.clock.charge(&mut waiter.tried);
        let grant = Grant {
            taken,
            tried: waiter.tried,
        };
        self.grants.insert(next.number, grant);
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
        let case = self.case(&waiter.choice, &waiter.request, &waiter.tried, now);
        let members = || {
            let listed = waiter.choice.members().iter().enumerate();
            listed.filter_map(|(listed, live)| Some((listed, self.member(live)?)))
        };
        let busy = members().any(|(listed, member)| match eligible(member, listed, case.question) {
            Ok(()) => case.obstacle.is_some(),
            Err(why) => why.is_busy(),
        });
        let next_change = members()
            .filter_map(|(_, member)| member.next_change(now, self.room_lasts))
            .min();
        let forgiven_at = waiter.tried.can_be_forgiven().then_some(waiter.forgiven_at);
        let ahead = self.ahead(line, number);
        let Some(waiter) = self.lines.get_mut(line).and_then(|line| line.waiter_mut(number)) else {
            return Look::Unknown;
        };
        let condition = if busy { Condition::Busy } else { Condition::Down };
        waiter.clock.turn(condition, now);
        if waiter.clock.left() == Duration::ZERO {
            return Look::Over(condition);
        }
        let deadline = waiter.clock.deadline();
        let soonest = [next_change, forgiven_at]
            .into_iter()
            .flatten()
            .fold(deadline, Instant::min);
        Look::Until {
            at: soonest,
            condition,
            ahead,
        }
    }

    /// How many jobs of its queue are to be served before this one.
    pub(super) fn ahead(&self, line: usize, number: u64) -> usize {
        self.lines.get(line).map_or(0, |line| line.ahead(number))
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
        if let Some(Grant { taken, .. }) = self.grants.remove(&number) {
            if let Some(member) = self.members.get_mut(taken.live.id.0) {
                member.slow_start.unused(taken.number);
            }
            self.release(taken.live.id, taken.number, now);
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
    let busy = explanation.members.iter().any(|member| match &member.ineligible {
        None => explanation.obstacle.is_some(),
        Some(why) => why.is_busy(),
    });
    if busy { Condition::Busy } else { Condition::Down }
}

/// Whether no time and no recovery can give the job a place: also not at its home, where it waits for that.
pub(super) fn is_hopeless(explanation: &Explanation) -> bool {
    let never = |why: &Ineligible| {
        matches!(
            why,
            Ineligible::Unfit(_) | Ineligible::Rule(_) | Ineligible::Removed | Ineligible::NotHome { .. }
        )
    };
    let mut members = explanation.members.iter();
    !explanation.members.is_empty() && members.all(|member| member.ineligible.as_ref().is_some_and(never))
}
