//! What is done again and again while the process lives.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::systemd::{self, Notifier};
use crate::admin::metrics::Exposition;
use crate::group::Directory;
use crate::session::Current;
use crate::store::StoreView;
use crate::telemetry::event::{RelayFellBackToCopy, StoreTurned};
use crate::telemetry::meters::{PipeMeters, StoreMeters};

/// How often histograms are tidied.
const TIDY: Duration = Duration::from_secs(5);

/// How often the storages' pace is looked at: as often as relays say how far they are.
const PACE: Duration = Duration::from_secs(5);

/// How exactly a state ends at its time.
const STATES: Duration = Duration::from_secs(1);

/// How often the relays' pipes are looked at.
const PIPES: Duration = Duration::from_secs(10);

/// Does `work` now and after every `period`, until `stop`.
async fn every(period: Duration, stop: CancellationToken, mut work: impl FnMut()) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => work(),
            () = stop.cancelled() => return,
        }
    }
}

/// Keeps histograms small.
pub(super) async fn tidy_metrics(exposition: Exposition, stop: CancellationToken) {
    every(TIDY, stop, || exposition.tidy()).await;
}

/// Ends states whose time is over, until the process has `departed`: from then on its successor does. While others have
/// the same state file, what they have kept there is put into force.
pub(super) async fn watch_states(current: Arc<Current>, departed: CancellationToken, stop: CancellationToken) {
    let mut ticks = interval(STATES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let context = current.context();
                let departed = departed.is_cancelled();
                if !departed {
                    context.states.tidy(&context.directory).await;
                }
                if departed || !context.processes.is_alone() {
                    context.states.follow(&context.directory).await;
                }
            }
            () = stop.cancelled() => return,
        }
    }
}

/// Shows and tells how the database is that is shared with other sdgroups, until the store is closed.
pub(super) async fn watch_store(mut view: watch::Receiver<StoreView>) {
    let meters = StoreMeters::new();
    // That it is there from the start is told as well.
    let mut told = None;
    loop {
        let now = view.borrow_and_update().clone();
        meters.show(now.trouble.is_none(), now.unsent);
        if told.replace(now.trouble.is_some()) != Some(now.trouble.is_some()) {
            StoreTurned {
                trouble: now.trouble.as_deref(),
                unsent: now.unsent,
            }
            .emit();
        }
        if view.changed().await.is_err() {
            return;
        }
    }
}

/// Looks how fast the storages are.
pub(super) async fn watch_pace(directory: Arc<Directory>, stop: CancellationToken) {
    every(PACE, stop, || directory.look_at_pace(Instant::now())).await;
}

/// Lets systemd's watchdog, if there is one, know that tasks of this process still get their turn.
pub(super) async fn pet_watchdog(notifier: &Notifier) -> Infallible {
    let Some(period) = systemd::watchdog_period() else {
        return std::future::pending().await;
    };
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        notifier.pet_watchdog();
    }
}

/// What a pool of pipes has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PipeReading {
    pub(super) open: usize,
    /// How often there was none to be had, since the start.
    pub(super) shortages: u64,
}

/// Shows how many pipes there are, and tells when relays had to do without: here and not where it happens, since a
/// site with too few of them would read of nothing else.
pub(super) async fn watch_pipes(read: impl Fn() -> PipeReading, stop: CancellationToken) {
    let meters = PipeMeters::new();
    let mut told = 0;
    every(PIPES, stop, || {
        let reading = read();
        meters.show(reading.open);
        let times = reading.shortages.saturating_sub(told);
        if times > 0 {
            RelayFellBackToCopy { times }.emit();
        }
        told = reading.shortages;
    })
    .await;
}

/// Runs both at once, and stops the second when the first has ended: it has the last of what the first leaves to it.
pub(super) async fn one_after_the_other<F: Future<Output = ()>>(
    first: impl Future<Output = ()>,
    second: impl FnOnce(CancellationToken) -> F,
) {
    let stop = CancellationToken::new();
    let first = async {
        first.await;
        stop.cancel();
    };
    tokio::join!(first, second(stop.clone()));
}

/// Runs `task` until it ends; tells `lost` when it does so before `stop`.
pub(super) async fn guard(task: impl Future<Output = ()>, stop: CancellationToken, lost: CancellationToken) {
    // Dropped on every way out, a panic's included.
    let _told = Lost { stop, lost };
    task.await;
}

struct Lost {
    stop: CancellationToken,
    lost: CancellationToken,
}

impl Drop for Lost {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            self.lost.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_is_done_at_once_and_again_and_stops() {
        let stop = CancellationToken::new();
        let began = Instant::now();
        let mut times = 0;
        every(Duration::from_secs(5), stop.clone(), || {
            times += 1;
            if times == 4 {
                stop.cancel();
            }
        })
        .await;
        assert_eq!(times, 4);
        assert_eq!(began.elapsed(), Duration::from_secs(15));
    }

    #[tokio::test(start_paused = true)]
    async fn each_shortage_of_pipes_is_told_once() {
        let scrape = crate::telemetry::testing::Scrape::new();
        let (stop, looks) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let read = {
            let (stop, looks) = (stop.clone(), Arc::clone(&looks));
            move || {
                let look = looks.fetch_add(1, Ordering::Relaxed);
                if look == 3 {
                    stop.cancel();
                }
                PipeReading {
                    open: 7,
                    shortages: [0, 5, 5, 6][usize::try_from(look).unwrap()],
                }
            }
        };
        scrape.beside(watch_pipes(read, stop)).await;
        assert_eq!(scrape.value("sdgroup_relay_fallbacks_total"), "6");
        assert_eq!(scrape.value("sdgroup_relay_pipes"), "7");
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_is_noticed() {
        let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
        guard(async {}, stop.clone(), lost.clone()).await;
        assert!(lost.is_cancelled());

        let lost = CancellationToken::new();
        let panicked = tokio::spawn(guard(async { panic!("a fault") }, stop.clone(), lost.clone()));
        assert!(panicked.await.unwrap_err().is_panic());
        assert!(lost.is_cancelled());

        let lost = CancellationToken::new();
        stop.cancel();
        guard(async {}, stop, lost.clone()).await;
        assert!(!lost.is_cancelled(), "it was told to end");
    }
}
