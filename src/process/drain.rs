//! The end of the process: no new jobs, the running ones go on, and when the last has ended, so has the process.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::systemd::Notifier;
use crate::telemetry::event::DrainProgress;

/// What a Director is told that brings a job while the process drains.
pub(super) const REFUSAL: &str = "sdgroup is about to stop and takes no new jobs; the running ones go on";

/// What is drained: the sessions, as the process sees them.
pub(super) trait Service {
    /// Refuses new jobs from now on, with `reason`.
    fn refuse_new_jobs(&self, reason: &'static str);

    /// How many jobs there are, as it changes.
    fn jobs(&self) -> watch::Receiver<usize>;

    /// How many other processes end before this one may, as it changes.
    fn predecessors(&self) -> watch::Receiver<usize>;

    /// Ends every job at once, those of other processes that end before this one too. Returns when they have been told.
    fn stop_jobs(&self) -> impl Future<Output = ()> + Send;
}

/// How a drain has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The last job has.
    JobsDone,
    /// A second signal came: jobs were cut.
    AtOnce,
}

/// What a drain still waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remaining {
    pub(super) jobs: usize,
    pub(super) sessions: usize,
}

/// How patient a drain is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How long sessions without a job may take for their last bytes once the last job has ended.
    pub(super) farewell: Duration,
    /// The same for one that has handed over: its Directors may be about to bring a job.
    pub(super) departure: Duration,
    /// How long jobs that are cut may take to say so to their Directors.
    pub(super) last_words: Duration,
    /// How often the log says what is waited for.
    pub(super) progress: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            farewell: Duration::from_secs(5),
            departure: Duration::from_secs(60),
            last_words: Duration::from_secs(3),
            progress: Duration::from_secs(60),
        }
    }
}

/// Drains `service`: returns when its last job has ended and `sessions` are over, or on the next stop signal.
///
/// Connections are accepted meanwhile, since a running job's data connection and its cancel come on new ones.
pub(super) async fn drain(
    service: &impl Service,
    sessions: &TaskTracker,
    signals: &mut mpsc::Receiver<&'static str>,
    notifier: &Notifier,
    patience: Patience,
) -> Ended {
    service.refuse_new_jobs(REFUSAL);
    sessions.close();
    let last = last_ends(service, sessions, patience.farewell);
    let ended = tokio::select! {
        biased;
        () = next_signal(signals) => Ended::AtOnce,
        () = last => Ended::JobsDone,
        never = tell_progress(service.jobs(), sessions, notifier, patience.progress) => match never {},
    };
    if ended == Ended::AtOnce {
        cut(service, signals, patience).await;
    }
    ended
}

/// The same for a process that has handed over: nobody comes any more, and nobody is refused. It ends at once when it
/// is `told` to, or on the second signal.
pub(super) async fn depart(
    service: &impl Service,
    sessions: &TaskTracker,
    signals: &mut mpsc::Receiver<&'static str>,
    told: &CancellationToken,
    notifier: &Notifier,
    patience: Patience,
) -> Ended {
    sessions.close();
    let ended = tokio::select! {
        biased;
        () = told.cancelled() => Ended::AtOnce,
        () = second_signal(service, signals) => Ended::AtOnce,
        () = jobs_end(service.jobs(), sessions, patience.departure) => Ended::JobsDone,
        never = tell_progress(service.jobs(), sessions, notifier, patience.progress) => match never {},
    };
    if ended == Ended::AtOnce {
        cut(service, signals, patience).await;
    }
    ended
}

/// Ends every job, with a word to its Director.
async fn cut(service: &impl Service, signals: &mut mpsc::Receiver<&'static str>, patience: Patience) {
    let mut jobs = service.jobs();
    let words = async {
        service.stop_jobs().await;
        let _ = jobs.wait_for(|count| *count == 0).await;
    };
    // A third signal does not even wait for that.
    tokio::select! {
        _ = timeout(patience.last_words, words) => {}
        () = next_signal(signals) => {}
    }
}

/// The first says no more than that nothing new is to be begun.
async fn second_signal(service: &impl Service, signals: &mut mpsc::Receiver<&'static str>) {
    next_signal(signals).await;
    service.refuse_new_jobs(REFUSAL);
    next_signal(signals).await;
}

/// Returns when no job is left here nor in a process that has handed over to this one.
async fn last_ends(service: &impl Service, sessions: &TaskTracker, farewell: Duration) {
    // An error means that nobody counts them any more, so that there are none.
    let _ = service.predecessors().wait_for(|count| *count == 0).await;
    jobs_end(service.jobs(), sessions, farewell).await;
}

/// A signal; never, once there are no more to come.
async fn next_signal(signals: &mut mpsc::Receiver<&'static str>) {
    if signals.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Returns when no job is left, and the sessions that are left have had their time for last bytes. A job that was let
/// in just before the door closed may enter late: then its end is waited for, too.
async fn jobs_end(mut jobs: watch::Receiver<usize>, sessions: &TaskTracker, farewell: Duration) {
    loop {
        // An error means that nobody counts jobs any more, so that there are none.
        let _ = jobs.wait_for(|count| *count == 0).await;
        let late = async {
            if jobs.wait_for(|count| *count > 0).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = timeout(farewell, sessions.wait()) => return,
            () = late => {}
        }
    }
}

async fn tell_progress(
    jobs: watch::Receiver<usize>,
    sessions: &TaskTracker,
    notifier: &Notifier,
    period: Duration,
) -> Infallible {
    let mut ticks = interval_at(Instant::now(), period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let remaining = Remaining {
            jobs: *jobs.borrow(),
            sessions: sessions.len(),
        };
        DrainProgress {
            jobs: remaining.jobs,
            sessions: remaining.sessions,
        }
        .emit();
        notifier.draining(remaining);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::oneshot;

    use super::*;

    /// Sessions that end when they are told to.
    struct Fake {
        jobs: watch::Sender<usize>,
        refusal: Mutex<Option<&'static str>>,
        stopped: watch::Sender<bool>,
        predecessors: watch::Sender<usize>,
    }

    impl Service for Fake {
        fn refuse_new_jobs(&self, reason: &'static str) {
            *self.refusal.lock().unwrap() = Some(reason);
        }

        fn jobs(&self) -> watch::Receiver<usize> {
            self.jobs.subscribe()
        }

        fn predecessors(&self) -> watch::Receiver<usize> {
            self.predecessors.subscribe()
        }

        async fn stop_jobs(&self) {
            self.stopped.send_replace(true);
        }
    }

    struct Rig {
        fake: Fake,
        sessions: TaskTracker,
        signal: mpsc::Sender<&'static str>,
        signals: mpsc::Receiver<&'static str>,
    }

    fn rig(jobs: usize) -> Rig {
        let (signal, signals) = mpsc::channel(4);
        Rig {
            fake: Fake {
                jobs: watch::Sender::new(jobs),
                refusal: Mutex::default(),
                stopped: watch::Sender::new(false),
                predecessors: watch::Sender::new(0),
            },
            sessions: TaskTracker::new(),
            signal,
            signals,
        }
    }

    impl Rig {
        async fn drain(&mut self) -> Ended {
            let patience = Patience::default();
            drain(
                &self.fake,
                &self.sessions,
                &mut self.signals,
                &Notifier::silent(),
                patience,
            )
            .await
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_process_without_jobs_ends_at_once() {
        let mut rig = rig(0);
        let began = Instant::now();
        let ended = rig.drain().await;
        assert_eq!(ended, Ended::JobsDone);
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(*rig.fake.refusal.lock().unwrap(), Some(REFUSAL));
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_the_last_job_however_long_that_takes() {
        let mut rig = rig(2);
        let jobs = rig.fake.jobs.clone();
        tokio::spawn(async move {
            for left in [1, 0] {
                tokio::time::sleep(10 * HOUR).await;
                jobs.send_replace(left);
            }
        });
        let began = Instant::now();
        let ended = rig.drain().await;
        assert_eq!(ended, Ended::JobsDone);
        assert_eq!(began.elapsed(), 20 * HOUR);
        assert!(!*rig.fake.stopped.borrow());
    }

    #[tokio::test(start_paused = true)]
    async fn it_outlives_those_who_handed_over_to_it() {
        let mut rig = rig(0);
        rig.fake.predecessors.send_replace(2);
        let left = rig.fake.predecessors.clone();
        tokio::spawn(async move {
            for count in [1, 0] {
                tokio::time::sleep(HOUR).await;
                left.send_replace(count);
            }
        });
        let began = Instant::now();
        assert_eq!(rig.drain().await, Ended::JobsDone);
        assert_eq!(began.elapsed(), 2 * HOUR);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_handed_over_ends_by_itself_or_when_it_is_told_or_at_the_second_signal() {
        let depart = async |rig: &mut Rig, told: &CancellationToken| {
            let (patience, silent) = (Patience::default(), Notifier::silent());
            let Rig {
                fake,
                sessions,
                signals,
                ..
            } = rig;
            depart(&*fake, sessions, signals, told, &silent, patience).await
        };
        let (began, told) = (Instant::now(), CancellationToken::new());
        let mut quiet = rig(0);
        // Another may have none left long before.
        quiet.fake.predecessors.send_replace(1);
        assert_eq!(depart(&mut quiet, &told).await, Ended::JobsDone);
        assert_eq!(*quiet.fake.refusal.lock().unwrap(), None);

        let mut busy = rig(1);
        busy.signal.send("SIGTERM").await.unwrap();
        let signal = busy.signal.clone();
        tokio::spawn(async move {
            tokio::time::sleep(HOUR).await;
            signal.send("SIGTERM").await.unwrap();
        });
        assert_eq!(depart(&mut busy, &told).await, Ended::AtOnce);
        assert_eq!(began.elapsed(), HOUR + Patience::default().last_words);
        assert_eq!(*busy.fake.refusal.lock().unwrap(), Some(REFUSAL));

        told.cancel();
        let mut busy = rig(1);
        assert_eq!(depart(&mut busy, &told).await, Ended::AtOnce);
        assert!(*busy.fake.stopped.borrow());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_bytes_of_a_data_connection_are_waited_for() {
        let mut rig = rig(0);
        let second = Duration::from_secs(1);
        rig.sessions.spawn(tokio::time::sleep(second));
        let began = Instant::now();
        rig.drain().await;
        assert_eq!(began.elapsed(), second);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_console_does_not_keep_the_process_alive() {
        let mut rig = rig(0);
        rig.sessions.spawn(std::future::pending::<()>());
        let began = Instant::now();
        rig.drain().await;
        assert_eq!(began.elapsed(), Patience::default().farewell);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_was_let_in_just_before_is_waited_for() {
        let mut rig = rig(0);
        // The session that was greeted before the drain, and becomes a job during it.
        let jobs = rig.fake.jobs.clone();
        rig.sessions.spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            jobs.send_replace(1);
            tokio::time::sleep(HOUR).await;
            jobs.send_replace(0);
        });
        let began = Instant::now();
        let ended = rig.drain().await;
        assert_eq!(ended, Ended::JobsDone);
        assert_eq!(began.elapsed(), HOUR + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_cuts_the_jobs_which_may_still_say_so() {
        let mut rig = rig(1);
        let (said, heard) = oneshot::channel();
        let (mut stopped, jobs) = (rig.fake.stopped.subscribe(), rig.fake.jobs.clone());
        rig.sessions.spawn(std::future::pending::<()>());
        rig.sessions.spawn(async move {
            stopped.wait_for(|stopped| *stopped).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            said.send("the process ends").unwrap();
            jobs.send_replace(0);
        });
        let signal = rig.signal.clone();
        tokio::spawn(async move {
            tokio::time::sleep(HOUR).await;
            signal.send("SIGTERM").await.unwrap();
        });
        let began = Instant::now();
        let ended = rig.drain().await;
        assert_eq!(ended, Ended::AtOnce);
        assert_eq!(began.elapsed(), HOUR + Duration::from_secs(1));
        assert_eq!(heard.await.unwrap(), "the process ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_does_not_listen_is_not_waited_for() {
        let mut rig = rig(1);
        rig.sessions.spawn(std::future::pending::<()>());
        rig.signal.send("SIGINT").await.unwrap();
        let began = Instant::now();
        let ended = rig.drain().await;
        assert_eq!(ended, Ended::AtOnce);
        assert_eq!(began.elapsed(), Patience::default().last_words);
    }
}
