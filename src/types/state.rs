//! What the operator wants of a storage.

use std::fmt;

use super::Moment;

/// What the operator wants of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Takes every job.
    #[default]
    Ready,
    /// Takes no new writing job, because it is to become empty, and will be back. Reads are served.
    Draining,
    /// Takes no new writing job, for as long as it stays so. Reads are served.
    Sealed,
    /// Takes nothing.
    Maintenance,
}

impl State {
    /// Every state, from the one that allows the most on.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Draining, Self::Sealed, Self::Maintenance];

    /// A word for logs, metrics and the store; one of a fixed set.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Sealed => "sealed",
            Self::Maintenance => "maintenance",
        }
    }

    /// From its word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// What the operator wants of a storage, with who said so, why and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// What.
    pub state: State,
    /// Why.
    pub reason: Option<String>,
    /// Who said so.
    pub by: String,
    /// Since when.
    pub since: Moment,
    /// Until when; until it is changed if there is none.
    pub until: Option<Moment>,
}

/// The state, with who wants it, why and until when.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        if !self.by.is_empty() {
            write!(f, " by {}", self.by)?;
        }
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        match self.until {
            Some(until) => write!(f, " until {until}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_in_a_line() {
        let mut decision = Decision {
            state: State::Sealed,
            ..Decision::default()
        };
        assert_eq!(decision.to_string(), "sealed");
        decision.by = "ann".to_owned();
        decision.reason = Some("new disks".to_owned());
        decision.until = Some(Moment(1_795_393_237));
        assert_eq!(
            decision.to_string(),
            "sealed by ann (new disks) until 2026-11-23 00:20:37 UTC"
        );
    }

    #[test]
    fn words_are_told_apart() {
        for state in State::ALL {
            assert_eq!(State::from_word(state.as_str()), Some(state));
        }
        assert_eq!(State::from_word("Ready"), None);
    }
}
