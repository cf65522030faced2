//! What the operator wants of a storage: the first of the three axes that decide whether it may be chosen.

use super::request::Access;

pub use crate::types::State;

/// Whether a storage in this state may get a new job of this access.
#[must_use]
pub(super) fn allows(state: State, access: Access) -> bool {
    match state {
        State::Ready => true,
        State::Draining | State::Sealed => access == Access::Read,
        State::Maintenance => false,
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
            assert_eq!(allows(state, Access::Write), write, "{state} write");
            assert_eq!(allows(state, Access::Read), read, "{state} read");
        }
    }
}
