//! What is said of a wait: that it begins or has become another, and why it was of no use.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::Condition;
use super::explain::{Explanation, Spoken};

/// The least time between two lines about one wait. A place that has not halved by then is told later.
const NEWS_AFTER: Duration = Duration::from_secs(60);

/// Why a job was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    /// As many jobs wait as may.
    QueueFull,
    /// Nothing was well for as long as the group's `DownWait`.
    Down,
    /// Everything was full for as long as the group's `BusyWait`.
    Busy,
    /// No storage can ever run the job: each has said that it will not, or is none of those that are left to it.
    Unfit,
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
            Self::Unfit => "unfit",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

impl From<Condition> for RefusedReason {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Down => Self::Down,
            Condition::Busy => Self::Busy,
        }
    }
}

/// A job did not get a place. `Display` gives the reason for the job's log.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct Refused {
    /// In one word.
    pub reason: RefusedReason,
    /// Who was asked, as the beginning of a sentence.
    pub(super) subject: String,
    /// How long the job has waited in all.
    pub waited: Duration,
    /// How many others waited when it was refused.
    pub queued: usize,
    /// Every member and what was against it.
    pub explanation: Arc<Explanation>,
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
            explanation: Arc::default(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        match self.reason {
            RefusedReason::Unknown => return Ok(()),
            RefusedReason::Unfit => {}
            RefusedReason::QueueFull => write!(f, " and its queue is full ({} wait)", self.queued)?,
            RefusedReason::Cancelled => write!(f, " and its wait was cancelled after {}", Spoken(self.waited))?,
            RefusedReason::Down | RefusedReason::Busy => write!(f, " after {}", Spoken(self.waited))?,
        }
        write!(f, ": {}", self.explanation.objections())
    }
}

/// A job begins to wait, or its wait has become another. `Display` gives a line for the job's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub(super) subject: String,
    /// What it waits for.
    pub condition: Condition,
    /// How long it has waited in all, earlier rounds with it; nothing in what is told first.
    pub waited: Duration,
    /// For how long at most yet, unless that changes.
    pub at_most: Duration,
    /// How many jobs are to be served before it.
    pub ahead: usize,
    /// Every member and what is against it.
    pub explanation: Arc<Explanation>,
}

impl Waiting {
    /// Whether it is the first that is told of this wait.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.waited == Duration::ZERO
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            waited,
            at_most,
            ahead,
            ..
        } = self;
        write!(f, "{subject} now, it waits up to {}", Spoken(*at_most))?;
        if *waited > Duration::ZERO {
            write!(f, " more (it has for {})", Spoken(*waited))?;
        }
        match ahead {
            0 => {}
            1 => f.write_str(" behind another")?,
            _ => write!(f, " behind {ahead} others")?,
        }
        write!(f, ": {}", self.explanation.objections())
    }
}

/// What was last told of a wait, so that only what has changed a good deal is told again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) condition: Condition,
    pub(super) ahead: usize,
    pub(super) at: Instant,
}

impl Told {
    /// When to look whether there is news, if nothing happens before: nobody is woken when others are served.
    pub(super) fn next_look(self, now: Instant) -> Instant {
        let due = self.at + NEWS_AFTER;
        if due > now { due } else { now + NEWS_AFTER }
    }

    /// Whether it is worth a line that the job waits for `condition` now, behind `ahead` others.
    pub(super) fn is_news(self, condition: Condition, ahead: usize, now: Instant) -> bool {
        let moved = self.ahead > 0 && ahead <= self.ahead / 2;
        now >= self.at + NEWS_AFTER && (moved || condition != self.condition)
    }
}
