//! What traffic sees of a storage: the third axis. A storage that fails real jobs is left alone for a while,
//! longer each time, whatever probes say of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// What real traffic met at a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// A word for metrics; one of a fixed set.
    pub label: &'static str,
    /// What happened, for an operator: "connection refused".
    pub text: Arc<str>,
}

impl Cause {
    /// A cause with its word for metrics and its text for people.
    #[must_use]
    pub fn new(label: &'static str, text: impl Into<Arc<str>>) -> Self {
        Self {
            label,
            text: text.into(),
        }
    }
}

/// A storage was ejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejected {
    /// For how long.
    pub length: Duration,
    /// When it ends by itself.
    pub until: Instant,
    /// How many ejections in a row this is, the first being 1.
    pub count: u32,
    /// What the last failure was.
    pub cause: Cause,
}

/// When a storage is ejected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EjectionRule {
    /// Failures in a row that eject.
    pub(super) failures: u32,
    /// The first ejection.
    pub(super) time: Duration,
    /// Where the doubling ends.
    pub(super) maximum_time: Duration,
}

impl EjectionRule {
    /// How long the ejection is that follows `before` others.
    fn length(&self, before: u32) -> Duration {
        self.time
            .saturating_mul(2_u32.saturating_pow(before))
            .min(self.maximum_time.max(self.time))
    }
}

/// What traffic has seen of one storage.
#[derive(Debug, Default)]
pub(super) struct Ejection {
    // Failures in a row.
    failures: u32,
    // Ejections in a row.
    count: u32,
    last: Option<Ejected>,
    // Good probes in a row since the last ejection began.
    good_probes: u32,
}

impl Ejection {
    /// The ejection that holds at `now`, if one does.
    pub(super) fn active(&self, now: Instant) -> Option<&Ejected> {
        self.last.as_ref().filter(|last| now < last.until)
    }

    /// Traffic failed. Failures of what was under way when an ejection began neither lengthen nor repeat it.
    pub(super) fn failed(&mut self, cause: Cause, rule: EjectionRule, now: Instant) -> Option<&Ejected> {
        if self.active(now).is_some() {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < rule.failures {
            return None;
        }
        let length = rule.length(self.count);
        self.count = self.count.saturating_add(1);
        // Once back, it is on trial: the first failure ejects again, until a success.
        self.failures = rule.failures.saturating_sub(1);
        self.good_probes = 0;
        Some(self.last.insert(Ejected {
            length,
            until: now + length,
            count: self.count,
            cause,
        }))
    }

    /// Traffic succeeded. The back-off starts anew when the storage has been back for as long as it was away.
    pub(super) fn succeeded(&mut self, now: Instant) {
        if self.active(now).is_some() {
            return;
        }
        self.failures = 0;
        if self.last.as_ref().is_some_and(|last| now >= last.until + last.length) {
            self.last = None;
            self.count = 0;
        }
    }

    /// A probe ended. True when it ends an ejection before its time, which `rise` good ones in a row do.
    pub(super) fn probed(&mut self, good: bool, rise: u32, now: Instant) -> bool {
        if !good {
            self.good_probes = 0;
            return false;
        }
        self.good_probes = self.good_probes.saturating_add(1);
        let risen = self.good_probes >= rise;
        match &mut self.last {
            Some(last) if now < last.until && risen => {
                last.until = now;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: EjectionRule = EjectionRule {
        failures: 2,
        time: Duration::from_secs(10),
        maximum_time: Duration::from_secs(60),
    };

    fn cause() -> Cause {
        Cause::new("connect", "connection refused")
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_starts_the_count_again() {
        let now = Instant::now();
        let mut ejection = Ejection::default();
        assert!(ejection.failed(cause(), RULE, now).is_none());
        ejection.succeeded(now);
        assert!(ejection.failed(cause(), RULE, now).is_none());
        let ejected = ejection.failed(cause(), RULE, now).expect("the second in a row");
        assert_eq!((ejected.length, ejected.count), (seconds(10), 1));
        assert!(ejection.active(now + seconds(9)).is_some());
        assert!(ejection.active(now + seconds(10)).is_none());
    }

    #[test]
    fn each_ejection_doubles_the_last_up_to_the_maximum() {
        let mut now = Instant::now();
        let mut ejection = Ejection::default();
        ejection.failed(cause(), RULE, now);
        for expected in [10, 20, 40, 60, 60] {
            let ejected = ejection
                .failed(cause(), RULE, now)
                .expect("on trial, one failure ejects");
            assert_eq!(ejected.length, seconds(expected));
            now = ejected.until;
        }
    }

    #[test]
    fn failures_while_ejected_change_nothing() {
        let now = Instant::now();
        let mut ejection = Ejection::default();
        ejection.failed(cause(), RULE, now);
        let until = ejection.failed(cause(), RULE, now).expect("ejected").until;
        assert!(ejection.failed(cause(), RULE, now + seconds(5)).is_none());
        assert_eq!(ejection.active(now + seconds(5)).expect("still").until, until);
    }

    #[test]
    fn the_back_off_is_forgotten_only_after_it_has_stood_for_a_while() {
        let now = Instant::now();
        let mut ejection = Ejection::default();
        ejection.failed(cause(), RULE, now);
        let first = ejection.failed(cause(), RULE, now).expect("ejected").until;
        ejection.succeeded(first + seconds(9));
        ejection.failed(cause(), RULE, first + seconds(9));
        let second = ejection.failed(cause(), RULE, first + seconds(9)).expect("ejected");
        assert_eq!(second.count, 2, "nine seconds are not a while");
        let until = second.until;
        ejection.succeeded(until + seconds(20));
        ejection.failed(cause(), RULE, until + seconds(20));
        let third = ejection.failed(cause(), RULE, until + seconds(20)).expect("ejected");
        assert_eq!(third.count, 1);
    }

    #[test]
    fn good_probes_in_a_row_since_the_ejection_readmit() {
        let now = Instant::now();
        let mut ejection = Ejection::default();
        assert!(!ejection.probed(true, 2, now), "nothing to end");
        ejection.probed(true, 2, now);
        ejection.failed(cause(), RULE, now);
        ejection.failed(cause(), RULE, now);
        assert!(!ejection.probed(true, 2, now), "those before the ejection do not count");
        assert!(!ejection.probed(false, 2, now));
        assert!(!ejection.probed(true, 2, now), "in a row");
        assert!(ejection.probed(true, 2, now + seconds(1)));
        assert!(ejection.active(now + seconds(1)).is_none());
    }
}
