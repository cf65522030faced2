//! What the operator wants of a storage.

use std::fmt;

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
    /// Every state, in the order of its numbers in [`State::code`].
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

    /// A small number for it.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ready => 0,
            Self::Draining => 1,
            Self::Sealed => 2,
            Self::Maintenance => 3,
        }
    }

    /// From that number.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Draining,
            2 => Self::Sealed,
            3 => Self::Maintenance,
            _ => Self::Ready,
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
    fn codes_and_words_are_told_apart() {
        for state in State::ALL {
            assert_eq!(State::from_code(state.code()), state);
            assert_eq!(State::from_word(state.as_str()), Some(state));
        }
        assert_eq!(State::from_word("Ready"), None);
    }
}
