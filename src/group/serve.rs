//! Serving the queues: after every change, until nobody that waits can have a place.

use std::time::{Duration, Instant};

use super::eligible::{Ineligible, eligible};
use super::explain::Explanation;
use super::line::{Condition, Line, Waiter};
use super::place::Taken;
use super::request::{Access, Tried};
use super::table::Table;

/// A place that was given to a waiting job and is not yet collected.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) taken: Taken,
    /// The waiter's, its clock charged to it.
    pub(super) tried: Tried,
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

    /// Gives places to waiting jobs until no more can have one. Groups take turns, those below their target before
    /// the others, and those with the most urgent jobs before others; then Directors, then age.
    pub(super) fn serve(&mut self, now: Instant) {
        for member in &mut self.members {
            member.settle(now);
        }
        if !self.lines.iter().all(Line::is_empty) {
            self.serve_all(now);
        }
        self.next_change = self
            .members
            .iter()
            .filter_map(|member| member.next_change(now, self.room_lasts))
            .min();
    }

    fn serve_all(&mut self, now: Instant) {
        let mut lines = std::mem::take(&mut self.lines);
        let mut hungry: Vec<(usize, &mut Line)> = lines
            .iter_mut()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
            .collect();
        while !hungry.is_empty() {
            hungry.sort_by_key(|(at, line)| (self.is_group_at_target(*at), line.priority(), line.served));
            hungry.retain_mut(|(_, line)| self.serve_one(line, now));
        }
        self.lines = lines;
    }

    /// Gives a place to the first job in `queue` that can have one; false if there is none.
    fn serve_one(&mut self, queue: &mut Line, now: Instant) -> bool {
        // Jobs of one Director and one rule that have tried nothing and may go anywhere are alike: when one cannot be
        // placed, the next cannot either.
        let mut hopeless: Vec<(Access, Option<usize>, Option<usize>)> = Vec::new();
        let mut found = None;
        for (number, waiter) in queue.in_turn(&|director| self.is_director_at_target(director)) {
            let plain = waiter.tried.is_empty() && !waiter.choice.is_particular(&waiter.request);
            let director = self.director(&waiter.request.director);
            let kind = (waiter.request.access, director, waiter.rule);
            if plain && hopeless.contains(&kind) {
                continue;
            }
            let case = self.case(&waiter.choice, &waiter.request, &waiter.tried, now);
            found = self.take_best(&case).map(|taken| (number, taken));
            if found.is_some() {
                break;
            }
            if plain {
                hopeless.push(kind);
            }
        }
        let Some((number, taken)) = found else {
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
            taken,
            tried: waiter.tried,
        };
        self.grants.insert(number, grant);
        waiter.wake.notify_one();
        !queue.is_empty()
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
