//! How fast data goes to and from each storage just now, and went in the last hour, for those who look at a group's
//! status.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::types::StorageName;

/// Over how many seconds a rate is taken: long enough to be steady, short enough to be "now".
const WINDOW_SECONDS: usize = 10;

/// Seconds of one point of the last hour.
pub const POINT_SECONDS: u64 = 30;

/// Points of the last hour.
pub const POINTS: usize = 120;

/// How often a relay adds what has passed, so that a rate is steady.
pub(super) const ADD_EVERY: Duration = Duration::from_secs(1);

/// The rates of every storage that something passed to or from.
#[derive(Debug)]
pub struct Rates {
    epoch: Instant,
    storages: Mutex<HashMap<StorageName, Passed>>,
}

/// What has passed to and from one storage.
#[derive(Debug, Default)]
struct Passed {
    /// By seconds.
    now: Window<{ WINDOW_SECONDS + 1 }>,
    /// By points.
    hour: Window<{ POINTS + 1 }>,
}

/// Bytes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// To the storage.
    pub to_storage: u64,
    /// From the storage.
    pub from_storage: u64,
}

impl Rate {
    fn over(self, seconds: u64) -> Self {
        Self {
            to_storage: self.to_storage / seconds,
            from_storage: self.from_storage / seconds,
        }
    }
}

impl Rates {
    /// Of what is added from `now` on.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            storages: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StorageName, Passed>> {
        self.storages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that have passed since the last time, at about `now`.
    pub(super) fn add(&self, storage: &StorageName, bytes: Rate, now: Instant) {
        let second = self.second(now);
        let mut storages = self.lock();
        if !storages.contains_key(storage) {
            storages.insert(storage.clone(), Passed::default());
        }
        if let Some(passed) = storages.get_mut(storage) {
            passed.now.add(second, bytes);
            passed.hour.add(second / POINT_SECONDS, bytes);
        }
    }

    /// The rate over the last ten whole seconds before `now`.
    #[must_use]
    pub fn of(&self, storage: &StorageName, now: Instant) -> Rate {
        let second = self.second(now);
        let sum = self.lock().get_mut(storage).map(|passed| {
            let points = passed.now.points(second);
            points.fold(Rate::default(), |sum, point| Rate {
                to_storage: sum.to_storage.saturating_add(point.to_storage),
                from_storage: sum.from_storage.saturating_add(point.from_storage),
            })
        });
        sum.unwrap_or_default().over(WINDOW_SECONDS as u64)
    }

    /// The rates of the last hour in whole points of [`POINT_SECONDS`] each, the oldest first; none from before the
    /// start.
    #[must_use]
    pub fn of_hour(&self, storage: &StorageName, now: Instant) -> Vec<Rate> {
        let point = self.second(now) / POINT_SECONDS;
        let points = self.lock().get_mut(storage).map(|passed| {
            let before = POINTS.saturating_sub(usize::try_from(point).unwrap_or(POINTS));
            let points = passed.hour.points(point).skip(before);
            points.map(|bytes| bytes.over(POINT_SECONDS)).collect()
        });
        points.unwrap_or_default()
    }

    fn second(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_secs()
    }
}

/// The bytes of each of the last `N - 1` whole stretches of time, and of the one that has begun.
#[derive(Debug)]
struct Window<const N: usize> {
    /// The stretch that has begun.
    current: u64,
    /// Of this stretch and those before it, by the stretch's number.
    bytes: [Rate; N],
}

impl<const N: usize> Default for Window<N> {
    fn default() -> Self {
        Self {
            current: 0,
            bytes: [Rate::default(); N],
        }
    }
}

impl<const N: usize> Window<N> {
    fn add(&mut self, stretch: u64, bytes: Rate) {
        self.advance(stretch);
        let at = Self::place(self.current);
        if let Some(sum) = self.bytes.get_mut(at) {
            sum.to_storage = sum.to_storage.saturating_add(bytes.to_storage);
            sum.from_storage = sum.from_storage.saturating_add(bytes.from_storage);
        }
    }

    /// The whole stretches before `stretch`, the oldest first.
    fn points(&mut self, stretch: u64) -> impl Iterator<Item = Rate> + '_ {
        self.advance(stretch);
        let begun = Self::place(self.current);
        let oldest_first = (1..N).map(move |after| (begun + after) % N);
        oldest_first.filter_map(|at| self.bytes.get(at).copied())
    }

    /// Forgets what is too long ago.
    fn advance(&mut self, stretch: u64) {
        let passed = stretch.saturating_sub(self.current);
        for number in (self.current + 1..=stretch).rev().take(N) {
            if let Some(bytes) = self.bytes.get_mut(Self::place(number)) {
                *bytes = Rate::default();
            }
        }
        self.current += passed;
    }

    fn place(stretch: u64) -> usize {
        usize::try_from(stretch % N as u64).unwrap_or_default()
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

    #[test]
    fn the_last_hour_is_there_in_points() {
        let epoch = Instant::now();
        let name = StorageName::new("File4").unwrap();
        let rates = Rates::new(epoch);
        let at = |seconds: u64| epoch + Duration::from_secs(seconds);
        assert_eq!(rates.of_hour(&name, at(29)), []);
        for second in 0..90 {
            rates.add(&name, to(1_000), at(second));
        }
        for second in 100..110 {
            rates.add(&name, to(9_000), at(second));
        }
        let hour = rates.of_hour(&name, at(125));
        assert_eq!(hour, [to(1_000), to(1_000), to(1_000), to(3_000)]);
        let hour = rates.of_hour(&name, at(3_605));
        assert_eq!(hour.len(), POINTS);
        assert_eq!(hour[..4], [to(1_000), to(1_000), to(1_000), to(3_000)]);
        assert_eq!(rates.of_hour(&name, at(10_000)), vec![Rate::default(); POINTS]);
    }
}
