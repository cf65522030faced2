//! A job that no storage has: why not, and how its Director is told.

use super::Facts;
use super::ending::{Ending, tell_refused};
use super::finish;
use super::reserve::BlockError;
use crate::channel::{Channel, ChannelError};
use crate::session::jobs::{Job, Stop};
use crate::session::routes::NameInUse;
use crate::telemetry::codes;
use crate::types::Severity;
use crate::wire::packet::{Frame, Signal};
use crate::wire::refusal::Refusal;

/// Why no storage has the job.
#[derive(Debug)]
pub(super) enum Unseated {
    /// The Director went away in the meantime.
    DirectorGone(ChannelError),
    /// The job's session was asked to end.
    Stopped(Stop),
    /// Nobody could take it.
    Refused {
        /// One of a fixed set of words.
        cause: &'static str,
        /// What the Director is told.
        reason: String,
    },
}

/// What the Director waits for, and so in which form it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaits {
    /// The answer to `JobId=`.
    Job,
    /// The reply to `use storage`, or nothing yet.
    Device,
    /// The reply to its bootstrap.
    Bootstrap,
    /// The reply to `storage address`.
    Storage,
}

impl Unseated {
    /// A Director says nothing while it waits for an answer, so anything that comes then is its end.
    pub(super) fn gone(received: Result<Frame, ChannelError>) -> Self {
        Self::DirectorGone(received.err().unwrap_or(ChannelError::Closed))
    }

    pub(super) fn stopped(live: &Job) -> Self {
        Self::Stopped(live.stopped().unwrap_or(Stop::Shutdown))
    }

    /// Tells the Director that there is no storage, and notes the end.
    pub(super) fn tell(self, facts: &Facts, director: &mut Channel, ending: &mut Ending, awaits: Awaits) {
        let (code, reason) = match self {
            Self::DirectorGone(error) => return ending.failed("director_gone", error.to_string()),
            Self::Stopped(stop) => {
                ending.orderly(finish::stop_label(stop));
                (codes::JOB_STOPPED, finish::stop_reason(stop).to_owned())
            }
            Self::Refused { cause, reason } => {
                tell_refused(facts, cause, &reason);
                ending.refused(cause, reason.clone());
                (codes::JOB_REFUSED, reason)
            }
        };
        facts.note(director.outbox(), code, Severity::Fatal, &reason);
        let refusal = match awaits {
            Awaits::Job => Refusal::Job { reason },
            Awaits::Device => Refusal::Failed { reason },
            Awaits::Bootstrap => Refusal::Bootstrap,
            Awaits::Storage => Refusal::Storage,
        };
        director.outbox().message(refusal.to_line());
        director.outbox().signal(Signal::Terminate);
    }
}

impl From<NameInUse> for Unseated {
    fn from(error: NameInUse) -> Self {
        Self::Refused {
            cause: "name_in_use",
            reason: error.to_string(),
        }
    }
}

impl From<BlockError> for Unseated {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Channel(error) => Self::DirectorGone(error),
            other => Self::Refused {
                cause: "protocol",
                reason: other.to_string(),
            },
        }
    }
}
