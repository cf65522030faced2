//! One storage, asked again and again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::model;
use crate::group::policy::Dice;

/// How fine the share of the interval is cut that it may vary by.
const STEPS: u64 = 10_000;

/// How often a storage is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rhythm {
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
    /// By which share of itself the interval varies, either way, so that many storages (and many sdgroups) are not
    /// asked in step.
    pub jitter: f64,
}

impl Rhythm {
    /// As configured.
    #[must_use]
    pub fn of(probe: &model::Probe) -> Self {
        Self {
            interval: probe.interval,
            jitter: probe.jitter,
        }
    }

    /// From the start of this probe to that of the next.
    fn pause(self, dice: &mut Dice) -> Duration {
        let roll = u32::try_from(dice.below(STEPS + 1)).unwrap_or(0);
        let half = u32::try_from(STEPS / 2).unwrap_or(1);
        // From -1 to 1.
        let swing = f64::from(roll) / f64::from(half) - 1.0;
        self.interval
            .mul_f64((1.0 + self.jitter.clamp(0.0, 0.5) * swing).max(0.0))
    }
}

/// Asks now and then by `rhythm`, one question at a time, and hands each answer to `tell`, until `stop`. A question
/// that is under way then is dropped.
pub async fn keep_asking<T, F>(
    rhythm: Rhythm,
    mut dice: Dice,
    stop: CancellationToken,
    mut ask: impl FnMut() -> F,
    mut tell: impl FnMut(T),
) where
    F: Future<Output = T>,
{
    loop {
        let next = Instant::now() + rhythm.pause(&mut dice);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            answer = ask() => tell(answer),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep_until(next) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const RHYTHM: Rhythm = Rhythm {
        interval: Duration::from_secs(10),
        jitter: 0.1,
    };

    async fn starts(rhythm: Rhythm, seed: u64, length: Duration, count: usize) -> Vec<Duration> {
        let begun = Instant::now();
        let starts = RefCell::new(Vec::new());
        let stop = CancellationToken::new();
        let asking = || {
            starts.borrow_mut().push(begun.elapsed());
            tokio::time::sleep(length)
        };
        let telling = |()| {
            if starts.borrow().len() == count {
                stop.cancel();
            }
        };
        keep_asking(rhythm, Dice::from_seed(seed), stop.clone(), asking, telling).await;
        starts.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_asked_at_once_and_the_others_by_the_interval() {
        let starts = starts(RHYTHM, 1, Duration::from_secs(2), 50).await;
        assert_eq!(starts.len(), 50);
        assert_eq!(starts[0], Duration::ZERO);
        let pauses: Vec<_> = starts.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        // Timers are exact to the millisecond.
        assert!(*shortest >= Duration::from_secs(9), "{shortest:?}");
        assert!(*longest <= Duration::from_millis(11_001), "{longest:?}");
        assert!(
            longest.saturating_sub(*shortest) > Duration::from_millis(500),
            "no two alike: {pauses:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn two_seeds_march_out_of_step_and_one_seed_repeats() {
        let one = starts(RHYTHM, 1, Duration::ZERO, 20).await;
        assert_eq!(one, starts(RHYTHM, 1, Duration::ZERO, 20).await);
        assert_ne!(one, starts(RHYTHM, 2, Duration::ZERO, 20).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_delays_the_next_question_but_is_not_overlapped() {
        let rhythm = Rhythm { jitter: 0.0, ..RHYTHM };
        let starts = starts(rhythm, 1, Duration::from_secs(25), 3).await;
        assert_eq!(starts, [0, 25, 50].map(Duration::from_secs));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_under_way_is_dropped_at_the_stop() {
        let stop = CancellationToken::new();
        let told = RefCell::new(0);
        let begun = Instant::now();
        let asking = keep_asking(
            RHYTHM,
            Dice::from_seed(1),
            stop.clone(),
            std::future::pending::<()>,
            |()| *told.borrow_mut() += 1,
        );
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            stop.cancel();
        };
        tokio::join!(asking, stopping);
        assert_eq!((begun.elapsed(), *told.borrow()), (Duration::from_secs(3), 0));
    }
}
