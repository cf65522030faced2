//! Session numbers that sdgroups share: the store gives each of them ranges, all of one time.
//!
//! A number is never given twice. Where the store is away for so long that a range is used up, or when a process starts, the
//! time is known from before, and the number is drawn by lot out of a part that the store never gives.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::types::SessionIdentity;

/// What the store gives: far from the numbers that storages count from 1. Both end up in catalogs, whose columns have 31
/// bits.
pub(super) const GIVEN: RangeInclusive<u32> = 1 << 30..=(1 << 30) + (3 << 28) - 1;

/// What is drawn by lot.
const DRAWN: u32 = 1 << 28;

/// So many are asked for at once.
pub(super) const AT_ONCE: u32 = 1000;

/// A range of session numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The time of their identities, in seconds of Unix time.
    pub time: u32,
    /// The first number that is left.
    pub next: u32,
    /// The number after the last.
    pub end: u32,
}

impl Lease {
    fn left(self) -> u32 {
        self.end.saturating_sub(self.next)
    }
}

/// The numbers of one process, whatever connection they came by.
#[derive(Debug, Clone, Default)]
pub struct Numbers(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// Nothing where the store has never been asked.
    time: Option<u32>,
    now: Option<Lease>,
    /// What follows when that is used up.
    next: Option<Lease>,
    drawn: u64,
}

impl Numbers {
    /// An identity, which is the store's gift; or one drawn by lot, as `lot` is a number below its argument. None while the
    /// time is not known that all share.
    #[must_use]
    pub fn mint(&self, lot: impl FnOnce(u32) -> u32) -> Option<SessionIdentity> {
        let mut held = self.lock();
        if held.now.is_none_or(|lease| lease.left() == 0) {
            held.now = held.next.take();
        }
        if let Some(lease) = &mut held.now {
            let id = lease.next;
            lease.next += 1;
            return Some(SessionIdentity { id, time: lease.time });
        }
        let time = held.time?;
        held.drawn += 1;
        let id = (GIVEN.end() + 1).saturating_add(lot(DRAWN - 1));
        Some(SessionIdentity { id, time })
    }

    /// How many are left of what the store has given.
    #[must_use]
    pub fn left(&self) -> u32 {
        let held = self.lock();
        held.now.into_iter().chain(held.next).map(Lease::left).sum()
    }

    /// How many were drawn by lot.
    #[must_use]
    pub fn drawn(&self) -> u64 {
        self.lock().drawn
    }

    /// The time that all share, as far as it is known, and the number after the last that is held of it.
    pub(super) fn known(&self) -> Option<(u32, u32)> {
        let held = self.lock();
        let last = held.next.or(held.now);
        Some((held.time?, last.map_or(*GIVEN.start(), |lease| lease.end)))
    }

    /// This is the time that all share. Ranges of another one are of no use any more.
    pub(super) fn know(&self, time: u32) {
        let mut held = self.lock();
        held.time = Some(time);
        held.now = held.now.filter(|lease| lease.time == time);
        held.next = held.next.filter(|lease| lease.time == time);
    }

    /// The store has given these.
    pub(super) fn give(&self, lease: Lease) {
        self.know(lease.time);
        let mut held = self.lock();
        if held.now.is_some_and(|now| now.left() > 0) {
            held.next = Some(lease);
        } else {
            held.now = Some(lease);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(time: u32, next: u32, end: u32) -> Lease {
        Lease { time, next, end }
    }

    #[test]
    fn ranges_follow_each_other_and_then_numbers_are_drawn() {
        let numbers = Numbers::default();
        let mint = || {
            numbers
                .mint(|below| below - 1)
                .map(|identity| (identity.time, identity.id))
        };
        assert_eq!(mint(), None, "nobody has told the time");
        numbers.know(7);
        let highest = GIVEN.end() + DRAWN - 1;
        assert_eq!(mint(), Some((7, highest)));
        assert!(highest < 1 << 31);
        numbers.give(lease(7, 10, 12));
        numbers.give(lease(7, 50, 51));
        assert_eq!((numbers.left(), numbers.drawn()), (3, 1));
        assert_eq!([mint(), mint(), mint()].map(|minted| minted.unwrap().1), [10, 11, 50]);
        assert_eq!(mint(), Some((7, highest)));
        numbers.give(lease(7, 60, 70));
        numbers.give(lease(8, 20, 30));
        assert_eq!(mint(), Some((8, 20)), "a new time");
    }
}
