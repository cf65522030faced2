//! What the operator wants of a storage: the first of the three axes that decide whether it may be chosen.

use std::sync::Arc;
use std::time::Instant;

use super::request::Access;
use crate::types::StorageName;

pub use crate::types::{Decision, State};

/// Whether a storage in this state may get a new job of this access.
#[must_use]
pub(super) fn allows(state: State, access: Access) -> bool {
    match state {
        State::Ready => true,
        State::Draining | State::Sealed => access == Access::Read,
        State::Maintenance => false,
    }
}

/// What the operator wants of a storage, and until when if that has an end.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The storage.
    pub storage: StorageName,
    /// What he wants.
    pub decision: Decision,
    /// When it ends by itself.
    pub ends: Option<Instant>,
}

/// The state that a storage is in, until another is wanted or its time is over.
#[derive(Debug, Default)]
pub(super) struct Tenure {
    decision: Option<Arc<Decision>>,
    ends: Option<Instant>,
    /// One whose time was over, and of which nobody has heard yet.
    over: Option<Arc<Decision>>,
}

impl Tenure {
    pub(super) fn state(&self) -> State {
        self.decision.as_ref().map_or(State::Ready, |decision| decision.state)
    }

    /// What the operator wants, unless that is nothing.
    pub(super) fn decision(&self) -> Option<&Arc<Decision>> {
        self.decision.as_ref()
    }

    /// The operator wants `decision`, until `ends` if that has an end.
    pub(super) fn begin(&mut self, decision: Decision, ends: Option<Instant>) {
        let is_ready = decision.state == State::Ready;
        *self = Self {
            ends: ends.filter(|_| !is_ready),
            decision: (!is_ready).then(|| Arc::new(decision)),
            over: None,
        };
    }

    /// What ends by itself has by `now`; true if it just did.
    pub(super) fn settle(&mut self, now: Instant) -> bool {
        let is_over = self.ends.is_some_and(|ends| ends <= now);
        if is_over {
            self.ends = None;
            self.over = self.decision.take();
        }
        is_over
    }

    /// When it ends by itself, if it does.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.ends
    }

    /// What has ended by itself, once.
    pub(super) fn take_over(&mut self) -> Option<Arc<Decision>> {
        self.over.take()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_state_ends_at_its_time_and_is_told_once() {
        let now = Instant::now();
        let ends = now + Duration::from_secs(60);
        let sealed = Decision {
            state: State::Sealed,
            by: "root".to_owned(),
            ..Decision::default()
        };
        let mut tenure = Tenure::default();
        assert_eq!(tenure.state(), State::Ready);
        tenure.begin(sealed.clone(), Some(ends));
        assert!(!tenure.settle(now));
        assert_eq!((tenure.state(), tenure.ends()), (State::Sealed, Some(ends)));
        assert!(tenure.settle(ends));
        assert_eq!((tenure.state(), tenure.ends()), (State::Ready, None));
        assert_eq!(tenure.take_over().as_deref(), Some(&sealed));
        assert_eq!(tenure.take_over(), None);
        tenure.begin(sealed.clone(), None);
        assert!(!tenure.settle(ends + Duration::from_secs(1_000_000)));
        tenure.begin(sealed, Some(ends));
        tenure.begin(Decision::default(), Some(ends));
        assert!(!tenure.settle(ends), "somebody was quicker");
        assert_eq!(tenure.take_over(), None);
    }

    #[test]
    fn only_ready_takes_writes_and_only_maintenance_refuses_reads() {
        let table = [
            (State::Ready, true, true),
            (State::Draining, false, true),
            (State::Sealed, false, true),
            (State::Maintenance, false, false),
        ];
        for (state, write, read) in table {
            assert_eq!(allows(state, Access::Write), write, "{state} write");
            assert_eq!(allows(state, Access::Read), read, "{state} read");
        }
    }
}
