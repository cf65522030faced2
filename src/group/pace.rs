//! How fast a storage is: bytes per second really seen, of all its jobs and of each, smoothed; and the most of it
//! lately.

use std::time::{Duration, Instant};

/// How long a change takes to count for about two thirds.
const SMOOTHED_OVER: Duration = Duration::from_secs(30);

/// For how long what was seen is how it is now.
const CURRENT_FOR: Duration = Duration::from_secs(60);

/// In what time the most that was seen counts for half: long enough for the night to remember the last one, short
/// enough for a storage that has become slower to be known as slow, and for one that was slow to be tried again.
const HALVES_IN: Duration = Duration::from_secs(86_400);

/// The pace of one storage, in bytes per second.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    total: f64,
    of_one: f64,
    most: f64,
    seen: Option<Instant>,
    /// Bytes of jobs that have ended since the last look, and how many these were.
    ended: u64,
    ended_jobs: u32,
}

/// What was seen of a storage, in bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// The most that all its jobs together have moved lately.
    pub most: u64,
    /// What all its jobs together move now, or moved when it had some.
    pub total: u64,
    /// What one of them moves, on average.
    pub of_one: u64,
    /// Whether the last two are of now.
    pub is_current: bool,
}

impl Pacer {
    /// A job has ended that moved so many bytes since the last look.
    pub(super) fn end(&mut self, bytes: u64) {
        if bytes > 0 {
            self.ended = self.ended.saturating_add(bytes);
            self.ended_jobs = self.ended_jobs.saturating_add(1);
        }
    }

    /// A look after `elapsed`: so many jobs that run have moved so many bytes since the last one.
    // Rates are not exact, and far below what a double holds.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn look(&mut self, bytes: u64, jobs: u32, elapsed: Duration, now: Instant) {
        let bytes = bytes.saturating_add(std::mem::take(&mut self.ended));
        let jobs = jobs.saturating_add(std::mem::take(&mut self.ended_jobs));
        let seconds = elapsed.as_secs_f64();
        if jobs == 0 || seconds <= 0.0 {
            return;
        }
        let total = bytes as f64 / seconds;
        let share = if self.is_current(now) {
            1.0 - (-seconds / SMOOTHED_OVER.as_secs_f64()).exp()
        } else {
            1.0
        };
        self.total += (total - self.total) * share;
        self.of_one += (total / f64::from(jobs) - self.of_one) * share;
        let since = self
            .seen
            .map_or(Duration::ZERO, |seen| now.saturating_duration_since(seen));
        let halvings = since.as_secs_f64() / HALVES_IN.as_secs_f64();
        self.most = (self.most * 0.5_f64.powf(halvings)).max(self.total);
        self.seen = Some(now);
    }

    fn is_current(&self, now: Instant) -> bool {
        self.seen
            .is_some_and(|seen| now.saturating_duration_since(seen) < CURRENT_FOR)
    }

    /// What was seen, if anything was.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn pace(&self, now: Instant) -> Option<Pace> {
        self.seen?;
        Some(Pace {
            most: self.most as u64,
            total: self.total as u64,
            of_one: self.of_one as u64,
            is_current: self.is_current(now),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// Looks every five seconds for so long, at so many jobs of so many MB/s each.
    fn watch(pacer: &mut Pacer, now: &mut Instant, seconds: u64, jobs: u32, mb: u64) {
        for _ in 0..seconds / 5 {
            *now += Duration::from_secs(5);
            pacer.look(5 * mb * MB * u64::from(jobs), jobs, Duration::from_secs(5), *now);
        }
    }

    #[test]
    fn it_follows_what_is_seen_and_remembers_the_most() {
        let mut now = Instant::now();
        let mut pacer = Pacer::default();
        assert_eq!(pacer.pace(now), None);
        watch(&mut pacer, &mut now, 300, 4, 100);
        let pace = pacer.pace(now).expect("seen");
        assert_eq!((pace.most / MB, pace.of_one / MB, pace.is_current), (400, 100, true));
        watch(&mut pacer, &mut now, 300, 4, 10);
        let pace = pacer.pace(now).expect("seen");
        assert_eq!((pace.most / MB, pace.total / MB, pace.of_one / MB), (399, 40, 10));
        let later = now + Duration::from_secs(120);
        assert!(!pacer.pace(later).expect("seen").is_current);
        now += HALVES_IN;
        watch(&mut pacer, &mut now, 5, 1, 10);
        assert_eq!(
            pacer.pace(now).expect("seen").most / MB,
            199,
            "half as much a day later"
        );
    }

    #[test]
    fn a_job_that_ends_between_two_looks_counts() {
        let now = Instant::now();
        let mut pacer = Pacer::default();
        pacer.end(50 * MB);
        pacer.end(0);
        pacer.look(0, 0, Duration::from_secs(5), now);
        assert_eq!(pacer.pace(now).expect("seen").total, 10 * MB);
        pacer.look(0, 0, Duration::from_secs(5), now);
        assert_eq!(
            pacer.pace(now).expect("seen").total,
            10 * MB,
            "a rest says nothing of its pace"
        );
    }
}
