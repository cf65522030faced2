//! The room on a storage: what its last probe told, less what running jobs are still expected to write, and the water
//! marks that close it to jobs which write.

use std::time::{Duration, Instant};

use crate::config::model;
use crate::types::{Bytes, Space};

/// Shares of a storage's room that is written, from 0.0 to 1.0: it is closed at the high one and opened at the low one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Marks {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Marks {
    /// Those that the configuration has for `storage`.
    pub(super) fn of(storage: &model::Storage) -> Option<Self> {
        let marks = storage.water_marks?;
        Some(Self {
            high: marks.high,
            low: marks.low,
        })
    }
}

/// The room on one storage.
#[derive(Debug)]
pub(super) struct Room {
    marks: Option<Marks>,
    told: Option<(Space, Instant)>,
    /// What running jobs are expected to write after that.
    expected: Bytes,
    /// What jobs wrote after it that have ended since.
    unseen: Bytes,
    /// It reached the high mark and has not been at the low one since.
    is_above: bool,
}

impl Room {
    pub(super) fn new(marks: Option<Marks>) -> Self {
        Self {
            marks,
            told: None,
            expected: Bytes(0),
            unseen: Bytes(0),
            is_above: false,
        }
    }

    /// Other marks from now on.
    pub(super) fn set_marks(&mut self, marks: Option<Marks>) {
        self.marks = marks;
        self.is_above &= marks.is_some();
        self.look();
    }

    /// A probe was told at `now`, when running jobs were expected to write so much yet.
    pub(super) fn tell(&mut self, space: Space, expected: Bytes, now: Instant) {
        self.told = Some((space, now));
        self.expected = expected;
        self.unseen = Bytes(0);
        self.look();
    }

    /// What was told is of another storage. Jobs that run are expected to write as before.
    pub(super) fn forget(&mut self) {
        self.told = None;
        self.unseen = Bytes(0);
        self.is_above = false;
    }

    /// A job begins that is expected to write so much.
    pub(super) fn begin(&mut self, expected: Bytes) {
        self.expected = self.expected.saturating_add(expected);
        self.look();
    }

    /// A job ends that was expected to write so much after the last probe, and has written that.
    pub(super) fn end(&mut self, expected: Bytes, written: Bytes) {
        self.expected = self.expected.saturating_sub(expected);
        self.unseen = self.unseen.saturating_add(written);
        self.look();
    }

    /// What will be there when the running jobs have ended, if it was told since then.
    pub(super) fn left(&self, since: Option<Instant>) -> Option<Space> {
        let (space, at) = self.told?;
        since.is_none_or(|since| at >= since).then(|| Space {
            free: space.free.saturating_sub(self.expected).saturating_sub(self.unseen),
            total: space.total,
        })
    }

    /// From when on what was told is not believed any more, if it is believed for so long.
    pub(super) fn stale_at(&self, lasts: Duration) -> Option<Instant> {
        let (_, at) = self.told?;
        at.checked_add(lasts)?.checked_add(Duration::from_nanos(1))
    }

    /// How much more may be written before it is closed: up to the high mark, or all of it.
    // A share of a number of bytes; its rounding is of no consequence.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    pub(super) fn takes(&self, since: Option<Instant>) -> Option<Bytes> {
        let left = self.left(since)?;
        let kept = self.marks.map_or(0.0, |marks| left.total.0 as f64 * (1.0 - marks.high));
        Some(left.free.saturating_sub(Bytes(kept as u64)))
    }

    /// The share of its room that is written, or will be, if that keeps it closed to jobs that write.
    pub(super) fn closed(&self) -> Option<f64> {
        self.is_above.then(|| self.left(None).map_or(1.0, Space::fill))
    }

    fn look(&mut self) {
        if let (Some(marks), Some(left)) = (self.marks, self.left(None)) {
            let fill = left.fill();
            self.is_above = fill >= marks.high || (self.is_above && fill > marks.low);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn space(free: u64) -> Space {
        Space {
            free: Bytes(free * GB),
            total: Bytes(100 * GB),
        }
    }

    fn room(high: f64, low: f64) -> Room {
        Room::new(Some(Marks { high, low }))
    }

    fn left(room: &Room) -> u64 {
        room.left(None).expect("told").free.0 / GB
    }

    #[test]
    fn what_is_expected_is_taken_off_until_a_probe_has_seen_it() {
        let now = Instant::now();
        let mut room = Room::new(None);
        room.begin(Bytes(5 * GB));
        assert_eq!(room.left(None), None, "it was never told");
        room.tell(space(50), Bytes(5 * GB), now);
        assert_eq!(left(&room), 45);
        room.begin(Bytes(20 * GB));
        assert_eq!(left(&room), 25);
        // The job wrote 3 of its 20 before the next probe, and that saw it.
        room.tell(space(47), Bytes(5 * GB + 17 * GB), now);
        assert_eq!(left(&room), 25);
        // It ends with 10 in all: 7 since the probe.
        room.end(Bytes(17 * GB), Bytes(7 * GB));
        assert_eq!(left(&room), 35);
        room.tell(space(40), Bytes(5 * GB), now);
        assert_eq!(left(&room), 35);
        room.begin(Bytes(900 * GB));
        assert_eq!(left(&room), 0);
    }

    #[test]
    fn a_water_mark_has_two_sides() {
        let now = Instant::now();
        let mut room = room(0.90, 0.80);
        let fills = [11, 10, 15, 20, 19, 15, 10, 5];
        let closed: Vec<_> = fills
            .into_iter()
            .map(|free| {
                room.tell(space(free), Bytes(0), now);
                room.closed().is_some()
            })
            .collect();
        assert_eq!(closed, [false, true, true, false, false, false, true, true]);
        assert!((room.closed().expect("closed") - 0.95).abs() < 1e-9);
    }

    #[test]
    fn jobs_that_start_together_close_it_before_they_have_written() {
        let mut room = room(0.90, 0.80);
        room.tell(space(50), Bytes(0), Instant::now());
        let most = room.takes(None).expect("told").0;
        assert!(most.abs_diff(40 * GB) < GB / 1000, "{most}");
        let mut taken = 0;
        while room.closed().is_none() && taken < 100 {
            room.begin(Bytes(15 * GB));
            taken += 1;
        }
        assert_eq!(taken, 3);
        room.end(Bytes(15 * GB), Bytes(GB));
        assert!(
            room.closed().is_some(),
            "80 are expected to be written in all: not low enough"
        );
        room.end(Bytes(15 * GB), Bytes(GB));
        assert!(room.closed().is_none());
    }

    #[test]
    fn what_was_told_too_long_ago_is_not_believed() {
        let now = Instant::now();
        let mut room = room(0.90, 0.80);
        room.tell(space(5), Bytes(0), now);
        let later = now + Duration::from_secs(1);
        assert_eq!((room.left(Some(later)), room.takes(Some(later))), (None, None));
        assert!(room.left(Some(now)).is_some());
        assert!(room.closed().is_some(), "what closed it is not forgotten");
    }
}
