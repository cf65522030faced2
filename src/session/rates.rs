//! How fast data goes to and from each storage just now, for those who look at a group's status.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::types::StorageName;

/// Over how many seconds a rate is taken: long enough to be steady, short enough to be "now".
const WINDOW_SECONDS: usize = 10;

/// How often a relay adds what has passed, so that a rate is steady.
pub(super) const ADD_EVERY: Duration = Duration::from_secs(1);

/// The rates of every storage that something passed to or from.
#[derive(Debug)]
pub(super) struct Rates {
    epoch: Instant,
    storages: Mutex<HashMap<StorageName, Window>>,
}

/// Bytes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rate {
    /// To the storage.
    pub(super) to_storage: u64,
    /// From the storage.
    pub(super) from_storage: u64,
}

impl Rates {
    /// Of what is added from `now` on.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            storages: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StorageName, Window>> {
        self.storages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that have passed since the last time, at about `now`.
    pub(super) fn add(&self, storage: &StorageName, bytes: Rate, now: Instant) {
        let second = self.second(now);
        let mut storages = self.lock();
        match storages.get_mut(storage) {
            Some(window) => window.add(second, bytes),
            None => storages.entry(storage.clone()).or_default().add(second, bytes),
        }
    }

    /// The rate over the last ten whole seconds before `now`.
    pub(super) fn of(&self, storage: &StorageName, now: Instant) -> Rate {
        let second = self.second(now);
        let mut storages = self.lock();
        storages
            .get_mut(storage)
            .map_or_else(Rate::default, |window| window.rate(second))
    }

    fn second(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_secs()
    }
}

/// The bytes of each of the last whole seconds, and of the one that has begun.
#[derive(Debug, Default)]
struct Window {
    /// The second that has begun.
    current: u64,
    /// Of this second and those before it, by the second's number.
    bytes: [Rate; WINDOW_SECONDS + 1],
}

impl Window {
    fn add(&mut self, second: u64, bytes: Rate) {
        self.advance(second);
        let at = Self::place(self.current);
        if let Some(sum) = self.bytes.get_mut(at) {
            sum.to_storage = sum.to_storage.saturating_add(bytes.to_storage);
            sum.from_storage = sum.from_storage.saturating_add(bytes.from_storage);
        }
    }

    fn rate(&mut self, second: u64) -> Rate {
        self.advance(second);
        let begun = Self::place(self.current);
        let whole = self.bytes.iter().enumerate().filter(|(at, _)| *at != begun);
        let (mut to_storage, mut from_storage) = (0_u64, 0_u64);
        for (_, bytes) in whole {
            to_storage = to_storage.saturating_add(bytes.to_storage);
            from_storage = from_storage.saturating_add(bytes.from_storage);
        }
        let seconds = WINDOW_SECONDS as u64;
        Rate {
            to_storage: to_storage / seconds,
            from_storage: from_storage / seconds,
        }
    }

    /// Forgets what is too long ago.
    fn advance(&mut self, second: u64) {
        let passed = second.saturating_sub(self.current);
        for number in (self.current + 1..=second).rev().take(self.bytes.len()) {
            if let Some(bytes) = self.bytes.get_mut(Self::place(number)) {
                *bytes = Rate::default();
            }
        }
        self.current += passed;
    }

    fn place(second: u64) -> usize {
        usize::try_from(second % (WINDOW_SECONDS as u64 + 1)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(bytes: u64) -> Rate {
        Rate {
            to_storage: bytes,
            from_storage: bytes / 10,
        }
    }

    #[test]
    fn a_steady_stream_has_its_rate_and_one_that_has_ended_none() {
        let epoch = Instant::now();
        let name = StorageName::new("File4").unwrap();
        let rates = Rates::new(epoch);
        let at = |seconds: u64| epoch + Duration::from_secs(seconds);
        for second in 0..40 {
            rates.add(&name, to(1_000), at(second));
            rates.add(&name, to(2_000), at(second) + Duration::from_millis(700));
        }
        assert_eq!(rates.of(&name, at(40)), to(3_000));
        assert_eq!(rates.of(&name, at(45)), to(1_500));
        assert_eq!(rates.of(&name, at(50)), Rate::default());
        rates.add(&name, to(10_000), at(1_000_000));
        assert_eq!(
            rates.of(&name, at(1_000_000)),
            Rate::default(),
            "the second is not over"
        );
        assert_eq!(rates.of(&name, at(1_000_001)), to(1_000));
        let unknown = StorageName::new("File9").unwrap();
        assert_eq!(rates.of(&unknown, at(1_000_002)), Rate::default());
    }
}
