//! Waiting for a place: bounded in number and in time, fair, and left without a trace by whoever goes away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::clock::{Clock, now};
use super::explain::Explanation;
use super::line::Waiter;
use super::place::{Choice, Placement};
use super::request::{PlacementRequest, Tried};
use super::serve::{Grant, Look, condition, is_hopeless};
use super::table::Board;
use super::waiting::{Refused, RefusedReason, Told, Waiting};

/// A place in the queue. Dropped, it is free, and so is a place on a storage that was given and not collected.
#[derive(Debug)]
struct Ticket {
    board: Arc<Board>,
    line: usize,
    number: u64,
}

impl Ticket {
    fn look(&self, now: Instant) -> Look {
        self.board.lock().look(self.line, self.number, now)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.board.lock().leave(self.line, self.number, now());
    }
}

/// What became of a job that asked for a place, for a caller who has a clock of his own.
#[derive(Debug)]
pub enum Asked {
    /// It has one.
    Placed(Placement),
    /// It waits.
    Waits(Queued),
}

/// A job that waits, looked after by a caller who has a clock of his own.
#[derive(Debug)]
pub struct Queued(Ticket);

/// What such a job finds when it looks.
#[derive(Debug)]
pub enum Looked {
    /// It has a place; what it has tried before is with it.
    Placed(Placement, Tried),
    /// It is to look again then, or when it is among [`Directory::granted`](super::Directory::granted).
    Until(Instant),
    /// Its time is over, for this reason.
    Over(RefusedReason),
}

impl Queued {
    /// Its number, by which it is granted a place.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Looks at `now` what has become of it.
    #[must_use]
    pub fn look(&self, now: Instant) -> Looked {
        let Ticket { board, line, number } = &self.0;
        match self.0.look(now) {
            Look::Granted(grant) => {
                let mut tried = Tried::new();
                let placement = collect(*grant, &mut tried);
                Looked::Placed(placement, tried)
            }
            Look::Until { at, .. } => Looked::Until(at),
            Look::Over(condition) => {
                board.lock().leave(*line, *number, now);
                Looked::Over(condition.into())
            }
            Look::Unknown => Looked::Over(RefusedReason::Unknown),
        }
    }
}

/// What a job waits for, and by whose rules.
pub(super) struct Wish<'a> {
    pub(super) board: &'a Arc<Board>,
    /// Whose group says whose queue and waits.
    pub(super) choice: Choice,
    pub(super) request: &'a PlacementRequest,
}

enum Entry {
    Placed(Placement),
    Joined(Ticket, Arc<Notify>, Waiting),
}

impl Wish<'_> {
    /// Gives a place at `now`, or one in the queue.
    pub(super) fn ask(&self, tried: &Tried, now: Instant) -> Result<Asked, Refused> {
        Ok(match self.enter(tried, now)? {
            Entry::Placed(placement) => Asked::Placed(placement),
            Entry::Joined(ticket, ..) => Asked::Waits(Queued(ticket)),
        })
    }

    /// Gives a place as soon as there is one. `on_wait` is called when the job begins to wait, if it does, and again
    /// when its wait has changed a good deal.
    pub(super) async fn fulfil(
        &self,
        tried: &mut Tried,
        cancel: &CancellationToken,
        mut on_wait: impl FnMut(&Waiting),
    ) -> Result<Placement, Refused> {
        let (ticket, wake, waiting) = match self.enter(tried, now())? {
            Entry::Placed(placement) => return Ok(placement),
            Entry::Joined(ticket, wake, waiting) => (ticket, wake, waiting),
        };
        let mut told = Told {
            condition: waiting.condition,
            ahead: waiting.ahead,
            at: now(),
        };
        on_wait(&waiting);
        drop(waiting);
        loop {
            let at = match ticket.look(now()) {
                Look::Granted(grant) => return Ok(collect(*grant, tried)),
                Look::Until { at, condition, ahead } => {
                    let now = now();
                    if told.is_news(condition, ahead, now)
                        && let Some(waiting) = self.still_waiting(&ticket, ahead, now)
                    {
                        told = Told {
                            condition,
                            ahead,
                            at: now,
                        };
                        on_wait(&waiting);
                    }
                    at
                }
                Look::Over(condition) => return Err(self.give_up(&ticket, condition.into(), tried)),
                Look::Unknown => return Err(self.give_up(&ticket, RefusedReason::Unknown, tried)),
            };
            let next_look = told.next_look(now()).min(at);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(self.give_up(&ticket, RefusedReason::Cancelled, tried)),
                () = wake.notified() => {}
                () = tokio::time::sleep_until(next_look.into()) => {}
            }
        }
    }

    /// How the wait is by now.
    fn still_waiting(&self, ticket: &Ticket, ahead: usize, now: Instant) -> Option<Waiting> {
        let mut table = self.board.lock();
        let waiter = table.lines.get(ticket.line)?.waiter(ticket.number)?;
        let (clock, tried, choice) = (waiter.clock.clone(), waiter.tried.clone(), waiter.choice.clone());
        Some(Waiting {
            subject: choice.to_string(),
            condition: clock.condition(),
            waited: clock.waited(),
            at_most: clock.left(),
            ahead,
            explanation: table.why_not(&choice, self.request, &tried, now),
        })
    }

    fn enter(&self, tried: &Tried, now: Instant) -> Result<Entry, Refused> {
        let mut table = self.board.lock();
        let choice = table.in_force(&self.choice);
        let group = choice.group();
        let explanation = match table.place(&choice, self.request, tried, now) {
            Ok(taken) => {
                drop(table);
                return Ok(Entry::Placed(Placement::new(taken)));
            }
            Err(unplaced) => unplaced.explanation,
        };
        if is_hopeless(&explanation) {
            let waited = tried.waited_down + tried.waited_busy;
            return Err(refused(&choice, RefusedReason::Unfit, waited, 0, explanation));
        }
        let condition = condition(&explanation);
        let clock = Clock::start(group, tried, condition, now);
        let queued = table.waiting(group.line);
        if clock.left() == Duration::ZERO {
            return Err(refused(&choice, condition.into(), clock.waited(), queued, explanation));
        }
        if queued >= group.config().maximum_queued_jobs {
            return Err(refused(
                &choice,
                RefusedReason::QueueFull,
                clock.waited(),
                queued,
                explanation,
            ));
        }
        let at_most = clock.left();
        let wake = Arc::new(Notify::new());
        let waiter = Waiter {
            choice: choice.clone().into_owned(),
            request: Arc::new(self.request.clone()),
            tried: tried.clone(),
            forgiven_at: table.forgiven_at(now),
            clock,
            priority: group.priority(self.request),
            rule: group.rule_at(self.request),
            wake: Arc::clone(&wake),
        };
        let Some(number) = table.join(group.line, waiter) else {
            return Err(Refused::unknown(group.name()));
        };
        let waiting = Waiting {
            subject: choice.to_string(),
            condition,
            waited: Duration::ZERO,
            at_most,
            ahead: table.ahead(group.line, number),
            explanation,
        };
        let ticket = Ticket {
            board: Arc::clone(self.board),
            line: group.line,
            number,
        };
        Ok(Entry::Joined(ticket, wake, waiting))
    }

    fn give_up(&self, ticket: &Ticket, reason: RefusedReason, tried: &mut Tried) -> Refused {
        let now = now();
        let mut table = self.board.lock();
        let left = table.leave(ticket.line, ticket.number, now);
        let (waited, choice) = left.map_or_else(
            || (Duration::ZERO, self.choice.clone()),
            |waiter| {
                *tried = waiter.tried;
                waiter.clock.charge(tried);
                (waiter.clock.waited(), waiter.choice)
            },
        );
        let queued = table.waiting(ticket.line);
        let explanation = table.why_not(&choice, self.request, tried, now);
        refused(&choice, reason, waited, queued, explanation)
    }
}

fn refused(
    choice: &Choice,
    reason: RefusedReason,
    waited: Duration,
    queued: usize,
    explanation: Arc<Explanation>,
) -> Refused {
    Refused {
        reason,
        subject: choice.to_string(),
        waited,
        queued,
        explanation,
    }
}

fn collect(grant: Grant, tried: &mut Tried) -> Placement {
    *tried = grant.tried;
    Placement::new(grant.taken)
}
