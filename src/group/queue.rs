//! Waiting for a place: bounded in number and in time, fair, and left without a trace by whoever goes away. This
//! is the only file here that looks at a clock.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::explain::{Explanation, Spoken};
use super::group::Group;
use super::line::{Clock, Condition, Waiter};
use super::place::{Choice, Placement};
use super::request::{PlacementRequest, Tried};
use super::table::{Board, Grant, Look, condition};

/// The present, by the clock that tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Why a job was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    /// As many jobs wait as may.
    QueueFull,
    /// Nothing was well for as long as the group's `DownWait`.
    Down,
    /// Everything was full for as long as the group's `BusyWait`.
    Busy,
    /// The wait was cancelled.
    Cancelled,
    /// There is no such storage or group.
    Unknown,
}

impl RefusedReason {
    /// A word for logs and metrics; one of a fixed set.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Down => "down",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

/// A job did not get a place. `Display` gives the reason for the job's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    /// In one word.
    pub reason: RefusedReason,
    /// Who was asked, as the beginning of a sentence.
    subject: String,
    /// How long the job has waited in all.
    pub waited: Duration,
    /// How many jobs were waiting when it came, it not among them.
    pub queued: usize,
    /// Every member and what was against it.
    pub explanation: Box<Explanation>,
}

impl Refused {
    /// A word for logs and metrics; one of a fixed set.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.reason.label()
    }

    pub(super) fn unknown(name: &impl fmt::Display) -> Self {
        Self {
            reason: RefusedReason::Unknown,
            subject: format!("there is no storage or group {name} in the configuration of sdgroup"),
            waited: Duration::ZERO,
            queued: 0,
            explanation: Box::default(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        match self.reason {
            RefusedReason::Unknown => return Ok(()),
            RefusedReason::QueueFull => write!(f, " and {} jobs wait already", self.queued)?,
            RefusedReason::Cancelled => write!(f, " and its wait was cancelled after {}", Spoken(self.waited))?,
            RefusedReason::Down | RefusedReason::Busy => write!(f, " after {}", Spoken(self.waited))?,
        }
        write!(f, ": {}", self.explanation.objections())
    }
}

/// A job begins to wait. `Display` gives a line for the job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    subject: String,
    /// What it waits for.
    pub condition: Condition,
    /// For how long at most, unless that changes.
    pub at_most: Duration,
    /// How many jobs wait before it.
    pub queued: usize,
    /// Every member and what is against it.
    pub explanation: Explanation,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            at_most,
            queued,
            ..
        } = self;
        write!(f, "{subject} now, it waits up to {}", Spoken(*at_most))?;
        if *queued > 0 {
            write!(f, " behind {queued} others")?;
        }
        write!(f, ": {}", self.explanation.objections())
    }
}

/// A place in the queue. Dropped, it is free, and so is a place on a storage that was given and not collected.
struct Ticket<'a> {
    board: &'a Board,
    line: usize,
    number: u64,
}

impl Ticket<'_> {
    fn look(&self) -> Look {
        self.board.lock().look(self.line, self.number, now())
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.board.lock().leave(self.line, self.number, now());
    }
}

/// What a job waits for, and by whose rules.
pub(super) struct Wish<'a> {
    pub(super) board: &'a Board,
    pub(super) choice: Choice,
    /// Whose queue and waits.
    pub(super) group: &'a Arc<Group>,
    pub(super) request: &'a PlacementRequest,
}

enum Entry<'a> {
    Placed(Placement),
    Joined(Ticket<'a>, Arc<Notify>, Waiting),
}

impl<'a> Wish<'a> {
    /// Gives a place as soon as there is one. `on_wait` is called once, if and when the job begins to wait.
    pub(super) async fn fulfil(
        &self,
        tried: &mut Tried,
        cancel: &CancellationToken,
        on_wait: impl FnOnce(&Waiting),
    ) -> Result<Placement, Refused> {
        let (ticket, wake) = match self.enter(tried)? {
            Entry::Placed(placement) => return Ok(placement),
            Entry::Joined(ticket, wake, waiting) => {
                on_wait(&waiting);
                (ticket, wake)
            }
        };
        loop {
            let until = match ticket.look() {
                Look::Granted(grant) => return Ok(collect(*grant, tried)),
                Look::Until(until) => until,
                Look::Over(Condition::Down) => return Err(self.give_up(&ticket, RefusedReason::Down, tried)),
                Look::Over(Condition::Busy) => return Err(self.give_up(&ticket, RefusedReason::Busy, tried)),
                Look::Unknown => return Err(self.give_up(&ticket, RefusedReason::Unknown, tried)),
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(self.give_up(&ticket, RefusedReason::Cancelled, tried)),
                () = wake.notified() => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }

    fn enter(&self, tried: &Tried) -> Result<Entry<'a>, Refused> {
        let now = now();
        let mut table = self.board.lock();
        let explanation = match table.place(&self.choice, self.request, tried, now) {
            Ok((live, explanation)) => {
                drop(table);
                return Ok(Entry::Placed(Placement::new(live, explanation)));
            }
            Err(unplaced) => unplaced.explanation,
        };
        let condition = condition(&explanation);
        let clock = Clock::start(self.group, tried, condition, now);
        let queued = table.waiting(self.group.line);
        if queued >= self.group.config().maximum_queued_jobs {
            return Err(self.refused(RefusedReason::QueueFull, clock.waited(), queued, explanation));
        }
        let waiting = Waiting {
            subject: self.choice.to_string(),
            condition,
            at_most: clock.left(),
            queued,
            explanation,
        };
        let wake = Arc::new(Notify::new());
        let waiter = Waiter {
            choice: self.choice.clone(),
            request: Arc::new(self.request.clone()),
            tried: tried.clone(),
            forgiven_at: table.forgiven_at(now),
            clock,
            wake: Arc::clone(&wake),
        };
        let Some(number) = table.join(self.group.line, waiter) else {
            return Err(Refused::unknown(self.group.name()));
        };
        let ticket = Ticket {
            board: self.board,
            line: self.group.line,
            number,
        };
        Ok(Entry::Joined(ticket, wake, waiting))
    }

    fn give_up(&self, ticket: &Ticket<'_>, reason: RefusedReason, tried: &mut Tried) -> Refused {
        let now = now();
        let mut table = self.board.lock();
        let waited = table
            .leave(ticket.line, ticket.number, now)
            .map_or(Duration::ZERO, |waiter| {
                *tried = waiter.tried;
                waiter.clock.charge(tried);
                waiter.clock.waited()
            });
        let queued = table.waiting(ticket.line);
        let explanation = table.why_not(&self.choice, self.request, tried, now);
        self.refused(reason, waited, queued, explanation)
    }

    fn refused(&self, reason: RefusedReason, waited: Duration, queued: usize, explanation: Explanation) -> Refused {
        Refused {
            reason,
            subject: self.choice.to_string(),
            waited,
            queued,
            explanation: Box::new(explanation),
        }
    }
}

fn collect(grant: Grant, tried: &mut Tried) -> Placement {
    *tried = grant.tried;
    Placement::new(grant.live, grant.explanation)
}
