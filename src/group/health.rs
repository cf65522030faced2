//! What probes see of a storage: the second axis. A storage's door is closed after some bad probes in a row and
//! opened after some good ones, so that a single lost packet moves nothing.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::types::Space;

/// Whether probes find a storage at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Availability {
    /// No probe has ended yet. Jobs may be placed: at start it is better to try than to refuse.
    #[default]
    Unknown,
    /// Probes succeed.
    Up,
    /// Probes fail.
    Down,
}

impl Availability {
    /// A word for logs and metrics; one of a fixed set.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Up => 1,
            Self::Down => 2,
        }
    }

    pub(super) fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Up,
            2 => Self::Down,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a probe came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// This machine lacked what a call needs: a port, a descriptor, memory. That tells nothing of the storage.
    Exhausted,
    /// The storage's name has no address.
    Resolve,
    /// No connection could be made.
    Connect,
    /// The login failed: another password, an unknown Director, another protocol.
    Login,
    /// The login succeeded, the answer to the question was missing or no answer.
    Answer,
    /// The time was over before the end.
    Timeout,
}

impl Layer {
    /// A word for logs and metrics; one of a fixed set.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Login => "login",
            Self::Answer => "answer",
            Self::Timeout => "timeout",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a probe failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ProbeFailure {
    /// How far it came.
    pub layer: Layer,
    /// What happened, for an operator: "connection refused".
    pub text: Arc<str>,
}

/// What a good probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// The version number in the storage's `3000 OK Hello`.
    pub storage_version: u32,
    /// The room on its devices, if it tells.
    pub space: Option<Space>,
    /// From the start of dialling to the end of the answer.
    pub took: Duration,
}

/// A change of [`Availability`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flip {
    /// What it was.
    pub from: Availability,
    /// What it is now.
    pub to: Availability,
    /// The last failure, when it is [`Availability::Down`] now.
    pub failure: Option<ProbeFailure>,
}

/// How many probes in a row move a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RiseAndFall {
    pub(super) rise: u32,
    pub(super) fall: u32,
}

/// What probes have seen of one storage.
#[derive(Debug)]
pub(super) struct Health {
    availability: Availability,
    since: Instant,
    // Probes in a row that contradict `availability`.
    contrary: u32,
    failure: Option<ProbeFailure>,
}

impl Health {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            availability: Availability::Unknown,
            since: now,
            contrary: 0,
            failure: None,
        }
    }

    pub(super) fn availability(&self) -> Availability {
        self.availability
    }

    /// Since when it has been what it is.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// The last failure; none after a good probe.
    pub(super) fn failure(&self) -> Option<&ProbeFailure> {
        self.failure.as_ref()
    }

    /// Takes the result of one probe. The first result decides at once.
    pub(super) fn observe(&mut self, failure: Option<ProbeFailure>, rule: RiseAndFall, now: Instant) -> Option<Flip> {
        let seen = if failure.is_some() {
            Availability::Down
        } else {
            Availability::Up
        };
        self.failure = failure;
        if seen == self.availability {
            self.contrary = 0;
            return None;
        }
        self.contrary = self.contrary.saturating_add(1);
        let needed = match (self.availability, seen) {
            (Availability::Unknown, _) => 1,
            (_, Availability::Up) => rule.rise,
            _ => rule.fall,
        };
        if self.contrary < needed {
            return None;
        }
        let flip = Flip {
            from: self.availability,
            to: seen,
            failure: self.failure.clone(),
        };
        self.availability = seen;
        self.since = now;
        self.contrary = 0;
        Some(flip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: RiseAndFall = RiseAndFall { rise: 2, fall: 3 };

    fn bad() -> ProbeFailure {
        ProbeFailure {
            layer: Layer::Connect,
            text: "connection refused".into(),
        }
    }

    fn play(script: &str) -> String {
        let now = Instant::now();
        let mut health = Health::new(now);
        script
            .chars()
            .map(|probe| {
                health.observe((probe == '-').then(bad), RULE, now);
                match health.availability() {
                    Availability::Unknown => '?',
                    Availability::Up => 'U',
                    Availability::Down => 'd',
                }
            })
            .collect()
    }

    #[test]
    fn rise_and_fall() {
        let table = [
            ("the first result decides: good", "+", "U"),
            ("the first result decides: bad", "-", "d"),
            ("three bad in a row close", "+---", "UUUd"),
            ("a good one between starts the count again", "+--+---", "UUUUUUd"),
            ("two good in a row open", "-++", "ddU"),
            ("a bad one between starts the count again", "-+-++", "ddddU"),
        ];
        for (rule, script, expected) in table {
            assert_eq!(play(script), expected, "{rule}");
        }
    }

    #[test]
    fn a_flip_tells_from_to_and_why() {
        let now = Instant::now();
        let mut health = Health::new(now);
        let flip = health
            .observe(Some(bad()), RULE, now)
            .expect("the first result decides");
        assert_eq!((flip.from, flip.to), (Availability::Unknown, Availability::Down));
        assert_eq!(flip.failure.expect("a cause").to_string(), "connection refused");
        assert!(health.observe(None, RULE, now).is_none());
        let later = now + Duration::from_secs(7);
        let flip = health.observe(None, RULE, later).expect("the second good one opens");
        assert_eq!((flip.to, flip.failure), (Availability::Up, None));
        assert_eq!(health.since(), later);
    }

    #[test]
    fn codes_are_told_apart() {
        for availability in [Availability::Unknown, Availability::Up, Availability::Down] {
            assert_eq!(Availability::from_code(availability.code()), availability);
        }
    }
}
