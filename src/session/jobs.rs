//! The jobs whose control connections are open: who runs them, where, and how to end them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::types::{DirectorName, GroupName, JobId, JobName, StorageName};

/// Why a job's control session is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The Director canceled the job, and its storage could not be told.
    Canceled,
    /// The Director stopped the job, which it may restart later, and its storage could not be told.
    Stopped,
    /// The Director started the same job anew: this is its earlier instance.
    Replaced,
    /// The process ends at once.
    Shutdown,
}

/// One job on a control connection.
#[derive(Debug)]
pub struct Job {
    /// The Director that runs it.
    pub director: DirectorName,
    /// Its number in that Director's catalog.
    pub id: JobId,
    /// Its unique name.
    pub name: JobName,
    /// The group that it was given to.
    pub group: GroupName,
    stop: CancellationToken,
    why: Mutex<Option<Stop>>,
    storage: Mutex<Option<StorageName>>,
    settled: AtomicBool,
    canceled: AtomicBool,
}

impl Job {
    /// Where it was placed; `None` while it waits for its place.
    #[must_use]
    pub fn storage(&self) -> Option<StorageName> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes where it was placed.
    pub fn placed_on(&self, storage: StorageName) {
        *self.storage.lock().unwrap_or_else(PoisonError::into_inner) = Some(storage);
    }

    /// It stays where it is from now on: whoever wants it to end tells its storage.
    pub fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// Whether it stays where it is. Until then its session may take it elsewhere.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Its Director wants it canceled; its storage has been told, if it has one now.
    pub fn note_cancel(&self) {
        self.canceled.store(true, Ordering::Release);
    }

    /// Whether its Director wants it canceled: it is not taken to another storage any more.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Acquire)
    }

    /// Asks its session to end.
    pub fn stop(&self, why: Stop) {
        self.why
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(why);
        self.stop.cancel();
    }

    /// Is cancelled when the session has to end; [`Self::stopped`] tells why.
    #[must_use]
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Why the session was asked to end, if it was.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All jobs on control connections.
#[derive(Debug, Default)]
pub struct Jobs {
    live: Mutex<HashMap<(DirectorKey, JobName), Arc<Job>>>,
    count: watch::Sender<usize>,
}

/// A Director's name as storages compare it: without case.
type DirectorKey = String;

fn key(director: &DirectorName) -> DirectorKey {
    director.as_str().to_ascii_lowercase()
}

impl Jobs {
    /// Enters a job. An earlier instance with the same name from the same Director is asked to end.
    pub fn enter(self: &Arc<Self>, director: DirectorName, id: JobId, name: JobName, group: GroupName) -> LiveJob {
        let job = Arc::new(Job {
            director,
            id,
            name,
            group,
            stop: CancellationToken::new(),
            why: Mutex::new(None),
            storage: Mutex::new(None),
            settled: AtomicBool::new(false),
            canceled: AtomicBool::new(false),
        });
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = live.insert((key(&job.director), job.name.clone()), Arc::clone(&job)) {
            earlier.stop(Stop::Replaced);
        }
        self.count.send_modify(|count| *count += 1);
        LiveJob {
            job,
            jobs: Arc::clone(self),
        }
    }

    /// The job of that name which this Director runs.
    #[must_use]
    pub fn find(&self, director: &DirectorName, name: &JobName) -> Option<Arc<Job>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(&(key(director), name.clone())).cloned()
    }

    /// Whether any Director runs a job of that name: unlike storages, Directors give names without asking each other.
    #[must_use]
    pub fn is_in_use(&self, name: &JobName) -> bool {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.keys().any(|(_, entered)| entered == name)
    }

    /// Every live job, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Job>> {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Counts a data connection whose job is over, and whose Client still reads.
    #[must_use]
    pub fn draining(self: &Arc<Self>) -> Draining {
        self.count.send_modify(|count| *count += 1);
        Draining(Arc::clone(self))
    }

    /// The number of jobs whose control sessions or data connections go on, as it changes.
    #[must_use]
    pub fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }
}

/// A data connection that goes on although its job is over; dropped, it does not any longer.
#[derive(Debug)]
pub struct Draining(Arc<Jobs>);

impl Drop for Draining {
    fn drop(&mut self) {
        self.0.count.send_modify(|count| *count -= 1);
    }
}

/// A job that is entered; dropped, it is entered no longer.
#[derive(Debug)]
pub struct LiveJob {
    job: Arc<Job>,
    jobs: Arc<Jobs>,
}

impl std::ops::Deref for LiveJob {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.job
    }
}

impl Drop for LiveJob {
    fn drop(&mut self) {
        let mut live = self.jobs.live.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (key(&self.job.director), self.job.name.clone());
        // A later instance may have taken the place.
        if live.get(&place).is_some_and(|entered| Arc::ptr_eq(entered, &self.job)) {
            live.remove(&place);
        }
        drop(live);
        self.jobs.count.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(jobs: &Arc<Jobs>, director: &str) -> LiveJob {
        jobs.enter(
            DirectorName::new(director).unwrap(),
            JobId(1),
            JobName::new("J.1").unwrap(),
            GroupName::new("G").unwrap(),
        )
    }

    #[test]
    fn a_later_instance_takes_the_earlier_ones_place_and_keeps_it() {
        let jobs = Arc::new(Jobs::default());
        let earlier = enter(&jobs, "Dir");
        let later = enter(&jobs, "dir");
        assert_eq!(earlier.stopped(), Some(Stop::Replaced));
        drop(earlier);
        let found = jobs
            .find(&DirectorName::new("DIR").unwrap(), &JobName::new("J.1").unwrap())
            .unwrap();
        assert!(Arc::ptr_eq(&found, &later.job));
        assert_eq!(*jobs.count().borrow(), 1);
        drop(later);
        assert_eq!(*jobs.count().borrow(), 0);
        assert!(jobs.all().is_empty());
    }

    #[test]
    fn two_directors_may_use_the_same_job_name() {
        let jobs = Arc::new(Jobs::default());
        let one = enter(&jobs, "one");
        let two = enter(&jobs, "two");
        assert_eq!(one.stopped(), None);
        assert_eq!(two.stopped(), None);
        assert!(jobs.is_in_use(&one.name));
        drop((one, two));
        assert!(!jobs.is_in_use(&JobName::new("J.1").unwrap()));
    }
}
