//! The sessions whose callers are known: who they are, for those who look on, and how one is ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::jobs::{Job, Stop};
use crate::telemetry::event::SessionKind;
use crate::types::{DirectorName, GroupName, JobName, Moment};

/// Who a session is with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// What it is for.
    pub kind: SessionKind,
    /// The other end.
    pub peer: SocketAddr,
    /// The Director: the one that calls, or the one that runs the job.
    pub director: DirectorName,
    /// The group that was called.
    pub group: GroupName,
    /// The job, if it has one.
    pub job: Option<JobName>,
}

/// How a session is ended.
#[derive(Debug)]
pub enum Ends {
    /// By cancelling this, which it watches.
    Token(CancellationToken),
    /// By ending its job.
    Job(Arc<Job>),
}

/// A session that goes on.
#[derive(Debug)]
pub struct ListedSession {
    /// Its number, which no other session of this process had or will have.
    pub number: u64,
    /// Who it is with.
    pub facts: SessionFacts,
    /// Since when it is known with whom it is.
    pub began: Moment,
    ends: Ends,
}

/// A session as others see it, of this process or of one that has handed over to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The number of the process whose it is; None is this one.
    pub process: Option<u32>,
    /// Its number, which no other session of that process had or will have.
    pub number: u64,
    /// Who it is with.
    pub facts: SessionFacts,
    /// Since when it is known with whom it is.
    pub began: Moment,
}

impl ListedSession {
    /// How others see it.
    #[must_use]
    pub fn view(&self) -> SessionView {
        SessionView {
            process: None,
            number: self.number,
            facts: self.facts.clone(),
            began: self.began,
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Sessions {
    live: Mutex<BTreeMap<u64, Arc<ListedSession>>>,
    last: AtomicU64,
}

impl Sessions {
    /// Lists a session until what is returned is dropped.
    pub fn enter(self: &Arc<Self>, facts: SessionFacts, ends: Ends) -> Listed {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let session = ListedSession {
            number,
            facts,
            began: Moment::now(),
            ends,
        };
        self.lock().insert(number, Arc::new(session));
        Listed {
            number,
            sessions: Arc::clone(self),
        }
    }

    /// Every session, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<ListedSession>> {
        self.lock().values().cloned().collect()
    }

    /// Asks a session to end, and its job with it if it is a job's; returns it, or nothing when there is none of this
    /// number.
    #[must_use]
    pub fn end(&self, number: u64) -> Option<Arc<ListedSession>> {
        let session = self.lock().get(&number).cloned()?;
        match &session.ends {
            Ends::Token(token) => token.cancel(),
            Ends::Job(job) => job.stop(Stop::Operator),
        }
        Some(session)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<ListedSession>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session that is listed; dropped, it is no longer.
#[derive(Debug)]
#[must_use = "it is listed for as long as this lives"]
pub struct Listed {
    number: u64,
    sessions: Arc<Sessions>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_listed_for_as_long_as_it_lasts_and_can_be_ended() {
        let sessions = Arc::new(Sessions::default());
        let token = CancellationToken::new();
        let facts = SessionFacts {
            kind: SessionKind::Console,
            peer: "192.0.2.1:4242".parse().unwrap(),
            director: DirectorName::new("dir").unwrap(),
            group: GroupName::new("Files").unwrap(),
            job: None,
        };
        let first = sessions.enter(facts.clone(), Ends::Token(token.clone()));
        let second = sessions.enter(facts.clone(), Ends::Token(CancellationToken::new()));
        let numbers = || -> Vec<u64> { sessions.all().iter().map(|session| session.number).collect() };
        assert_eq!(numbers(), [1, 2]);
        assert!(sessions.end(7).is_none());
        assert!(!token.is_cancelled());
        assert_eq!(sessions.end(1).unwrap().facts, facts);
        assert!(token.is_cancelled());
        drop(first);
        assert_eq!(numbers(), [2]);
        drop(second);
        assert!(sessions.end(2).is_none());
    }
}
