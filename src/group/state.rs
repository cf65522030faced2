//! What the operator wants of a storage: the first of the three axes that decide whether it may be chosen.

use std::fmt;

use super::request::Access;

/// What the operator wants of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Takes every job.
    #[default]
    Ready,
    /// Takes no new writing job, because it is to become empty. Reads are served.
    Draining,
    /// Takes no new writing job, for as long as it stays so. Reads are served.
    Sealed,
    /// Takes nothing.
    Maintenance,
}

impl State {
    /// Every state, in the order of its numbers in [`State::code`].
    pub const ALL: [Self; 4] = [Self::Ready, Self::Draining, Self::Sealed, Self::Maintenance];

    /// Whether a storage in this state may get a new job of this access.
    #[must_use]
    pub fn allows(self, access: Access) -> bool {
        match self {
            Self::Ready => true,
            Self::Draining | Self::Sealed => access == Access::Read,
            Self::Maintenance => false,
        }
    }

    /// A word for logs and metrics; one of a fixed set.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Sealed => "sealed",
            Self::Maintenance => "maintenance",
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Ready => 0,
            Self::Draining => 1,
            Self::Sealed => 2,
            Self::Maintenance => 3,
        }
    }

    pub(super) fn from_code(code: u8) -> Self {
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
    fn only_ready_takes_writes_and_only_maintenance_refuses_reads() {
        let table = [
            (State::Ready, true, true),
            (State::Draining, false, true),
            (State::Sealed, false, true),
            (State::Maintenance, false, false),
        ];
        for (state, write, read) in table {
            assert_eq!(state.allows(Access::Write), write, "{state} write");
            assert_eq!(state.allows(Access::Read), read, "{state} read");
        }
    }

    #[test]
    fn codes_are_told_apart() {
        for state in State::ALL {
            assert_eq!(State::from_code(state.code()), state);
        }
    }
}
