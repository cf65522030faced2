//! Session identities of our own: the numbers by which storages tell the jobs on a volume apart. Sdgroups that share a store
//! have them from there; one that is alone counts for itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::dice;
use crate::store::Numbers;
use crate::types::SessionIdentity;

/// Our own session numbers begin somewhere between this and its double less a quarter, far from those that storages
/// count from 1: both end up in catalogs, whose columns have 31 bits. Where exactly is left to chance, so that two
/// sdgroups that start in the same second do not count alike.
const FIRST: u32 = 1 << 30;

/// The last number that fits.
const LAST: u32 = (1 << 31) - 1;

/// So many numbers are left to a process that has handed over.
const LEFT: u32 = 1 << 20;

/// Where identities come from.
#[derive(Debug)]
pub struct Identities {
    time: u32,
    next: AtomicU32,
    shared: Option<Numbers>,
}

/// What a successor goes on with.
///
/// Jobs of both write on the same volumes at the same time, so their identities have the same time: a storage that
/// reads a volume takes a session for ended as soon as it meets one with a later time (Bacula
/// `src/stored/match_bsr.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The time of all identities, in seconds of Unix time.
    pub time: u32,
    /// The first number.
    pub next: u32,
}

impl Default for Identities {
    fn default() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            time: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
            next: AtomicU32::new(FIRST + dice::below(FIRST / 4 * 3)),
            shared: None,
        }
    }
}

impl Identities {
    /// Those that go on where a predecessor was; without one, a line of their own.
    #[must_use]
    pub fn after(predecessor: Option<Lineage>) -> Self {
        predecessor.map_or_else(Self::default, |Lineage { time, next }| Self {
            time,
            next: AtomicU32::new(next),
            shared: None,
        })
    }

    /// From the store that several sdgroups share, as soon as it has been there once; until then as before.
    #[must_use]
    pub fn shared(&self, numbers: Numbers) -> Self {
        Self {
            time: self.time,
            next: AtomicU32::new(self.next.load(Ordering::Relaxed)),
            shared: Some(numbers),
        }
    }

    /// A new one.
    pub(super) fn mint(&self) -> SessionIdentity {
        let shared = self.shared.as_ref().and_then(|numbers| numbers.mint(dice::below));
        shared.unwrap_or_else(|| self.mint_own())
    }

    fn mint_own(&self) -> SessionIdentity {
        SessionIdentity {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            time: self.time,
        }
    }

    /// What a successor goes on with. None when the numbers are used up, which takes hundreds of handovers.
    #[must_use]
    pub fn lineage(&self) -> Option<Lineage> {
        let next = self.next.load(Ordering::Relaxed).checked_add(LEFT)?;
        (next < LAST - LEFT).then_some(Lineage { time: self.time, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_has_the_same_time_and_other_numbers() {
        let first = Identities::default();
        let before = first.mint();
        let heir = Identities::after(first.lineage());
        let after = heir.mint();
        assert_eq!(after.time, before.time);
        assert!(after.id > before.id + LEFT / 2, "{} and {}", before.id, after.id);
        let mut generations = 0;
        let mut last = heir;
        while let Some(lineage) = last.lineage() {
            last = Identities::after(Some(lineage));
            generations += 1;
        }
        assert!(generations > 200 && last.mint().id <= LAST, "{generations}");
    }
}
