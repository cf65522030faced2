//! How long a job waits, and for what. This is the only file here that looks at a clock.

use std::time::{Duration, Instant};

use super::group::Group;
use super::request::Tried;

/// The present, by the clock that tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Why a job waits. Each has its own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Nothing that could serve it is well.
    Down,
    /// Something is well, but full.
    Busy,
}

/// How long a job has waited in either condition, and how long it may.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    condition: Condition,
    since: Instant,
    left_down: Duration,
    left_busy: Duration,
    waited_down: Duration,
    waited_busy: Duration,
}

impl Clock {
    /// Starts at `now`. What `tried` has already waited is taken off the group's limits.
    pub(super) fn start(group: &Group, tried: &Tried, condition: Condition, now: Instant) -> Self {
        Self {
            condition,
            since: now,
            left_down: group.config().down_wait.saturating_sub(tried.waited_down),
            left_busy: group.config().busy_wait.saturating_sub(tried.waited_busy),
            waited_down: tried.waited_down,
            waited_busy: tried.waited_busy,
        }
    }

    /// The limits are those of `group` from `now` on, less what was waited.
    pub(super) fn limit(&mut self, group: &Group, now: Instant) {
        self.turn(self.condition, now);
        self.left_down = group.config().down_wait.saturating_sub(self.waited_down);
        self.left_busy = group.config().busy_wait.saturating_sub(self.waited_busy);
    }

    /// From `now` on the job waits for `condition`; the time until now is charged to the one before.
    pub(super) fn turn(&mut self, condition: Condition, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        let (left, waited) = match self.condition {
            Condition::Down => (&mut self.left_down, &mut self.waited_down),
            Condition::Busy => (&mut self.left_busy, &mut self.waited_busy),
        };
        *left = left.saturating_sub(elapsed);
        *waited = waited.saturating_add(elapsed);
        self.since = now;
        self.condition = condition;
    }

    pub(super) fn condition(&self) -> Condition {
        self.condition
    }

    /// How much of the limit for the present condition was left when it was last turned.
    pub(super) fn left(&self) -> Duration {
        match self.condition {
            Condition::Down => self.left_down,
            Condition::Busy => self.left_busy,
        }
    }

    /// When the wait is over if nothing changes.
    pub(super) fn deadline(&self) -> Instant {
        self.since + self.left()
    }

    /// What was waited in all, when it was last turned.
    pub(super) fn waited(&self) -> Duration {
        self.waited_down.saturating_add(self.waited_busy)
    }

    /// Notes what was waited for the next round.
    pub(super) fn charge(&self, tried: &mut Tried) {
        tried.waited_down = self.waited_down;
        tried.waited_busy = self.waited_busy;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::rig;

    #[test]
    fn the_clock_keeps_two_accounts() {
        let directory = rig::directory();
        let group = directory.group(&rig::group_name()).expect("the rig's group");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tried = Tried::new();
        tried.waited_down = Duration::from_secs(15);
        let mut clock = Clock::start(&group, &tried, Condition::Down, start);
        assert_eq!(
            clock.deadline(),
            at(45),
            "60 s less what was waited in an earlier round"
        );
        clock.turn(Condition::Busy, at(20));
        assert_eq!(clock.deadline(), at(20 + 1800));
        clock.turn(Condition::Down, at(100));
        assert_eq!(clock.deadline(), at(125));
        assert_eq!(clock.waited(), Duration::from_secs(15 + 20 + 80));
        clock.charge(&mut tried);
        assert_eq!(tried.waited_busy, Duration::from_secs(80));
    }
}
