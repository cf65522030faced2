//! The jobs whose control connections are open: who runs them, where and why there, and how to end them. And the last
//! ones that were.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::recent::{EndedJob, FailedOver, Failovers, Recent};
use crate::group::{Condition, Explanation, Waiting};
use crate::relay::Tally;
use crate::types::{
    ClientName, DirectorName, GroupName, JobId, JobLevel, JobName, JobResourceName, JobType, Moment, StorageName,
};

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
    /// The operator of sdgroup ended its session.
    Operator,
}

/// What is known of a job from the start.
#[derive(Debug, Clone)]
pub struct JobFacts {
    /// The Director that runs it.
    pub director: DirectorName,
    /// Its number in that Director's catalog.
    pub id: JobId,
    /// Its unique name.
    pub name: JobName,
    /// The group that it was given to.
    pub group: GroupName,
    /// The Job resource.
    pub resource: JobResourceName,
    /// Whose files they are.
    pub client: ClientName,
    /// Backup, restore and so on.
    pub job_type: JobType,
    /// Full, incremental and so on.
    pub level: JobLevel,
    /// When it came.
    pub arrived: Moment,
}

/// How far a job is on its way to a storage.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Where it was placed; `None` while it waits for its place.
    pub storage: Option<StorageName>,
    /// When it was placed there.
    pub placed: Option<Moment>,
    /// What was weighed when it was placed, or when it could not be.
    pub explanation: Option<Arc<Explanation>>,
    /// What it waits for, and behind how many others, as it was last told. None when it does not wait.
    pub waits: Option<Wait>,
}

/// A wait for a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// What is waited for.
    pub condition: Condition,
    /// How many jobs are to be served before it.
    pub ahead: usize,
    /// Since when.
    pub since: Moment,
}

impl From<&Waiting> for Wait {
    fn from(waiting: &Waiting) -> Self {
        Self {
            condition: waiting.condition,
            ahead: waiting.ahead,
            since: Moment::now().minus(waiting.waited),
        }
    }
}

/// A job as it is at one moment, in this process or in one that has handed over to it.
#[derive(Debug, Clone)]
pub struct JobView {
    /// The number of the process that runs it; None is this one.
    pub process: Option<u32>,
    /// What is known of it from the start.
    pub facts: JobFacts,
    /// How far it is; another process does not tell what was weighed.
    pub progress: Progress,
    /// The bytes that its data connection has moved so far, to the storage and from it.
    pub moved: (u64, u64),
}

/// One job on a control connection.
#[derive(Debug)]
pub struct Job {
    /// What is known of it from the start.
    pub facts: JobFacts,
    stop: CancellationToken,
    why: Mutex<Option<Stop>>,
    progress: Mutex<Progress>,
    /// Of its data connection at the storage that has it.
    tally: Mutex<Option<Arc<Tally>>>,
    settled: AtomicBool,
    canceled: AtomicBool,
}

impl Job {
    /// Where it was placed; `None` while it waits for its place.
    #[must_use]
    pub fn storage(&self) -> Option<StorageName> {
        self.lock().storage.clone()
    }

    /// How far it is on its way to a storage.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Notes where it was placed.
    pub fn placed_on(&self, storage: StorageName) {
        let mut progress = self.lock();
        progress.storage = Some(storage);
        progress.placed = Some(Moment::now());
    }

    /// Notes where the bytes of its data connection are counted.
    pub(super) fn counts_at(&self, tally: &Arc<Tally>) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(tally));
    }

    /// The bytes that its data connection has moved so far, to the storage and from it.
    #[must_use]
    pub fn moved(&self) -> (u64, u64) {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.as_ref().map_or((0, 0), |tally| (tally.to_far(), tally.to_near()))
    }

    /// How it is at this moment.
    #[must_use]
    pub fn view(&self) -> JobView {
        JobView {
            process: None,
            facts: self.facts.clone(),
            progress: self.progress(),
            moved: self.moved(),
        }
    }

    /// Notes why it has a place, or none.
    pub(super) fn explained(&self, explanation: &Arc<Explanation>) {
        let mut progress = self.lock();
        progress.explanation = Some(Arc::clone(explanation));
        progress.waits = None;
    }

    /// Notes that it waits.
    pub fn waits(&self, wait: Wait, explanation: &Arc<Explanation>) {
        let mut progress = self.lock();
        progress.explanation = Some(Arc::clone(explanation));
        progress.waits = Some(wait);
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
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
    recent: Mutex<Recent>,
    failovers: Mutex<Failovers>,
    count: watch::Sender<usize>,
}

/// A Director's name as storages compare it: without case.
type DirectorKey = String;

fn key(director: &DirectorName) -> DirectorKey {
    director.as_str().to_ascii_lowercase()
}

fn place(facts: &JobFacts) -> (DirectorKey, JobName) {
    (key(&facts.director), facts.name.clone())
}

impl Jobs {
    /// Enters a job. An earlier instance with the same name from the same Director is asked to end.
    pub fn enter(self: &Arc<Self>, facts: JobFacts) -> LiveJob {
        let job = Arc::new(Job {
            facts,
            stop: CancellationToken::new(),
            why: Mutex::new(None),
            progress: Mutex::default(),
            tally: Mutex::default(),
            settled: AtomicBool::new(false),
            canceled: AtomicBool::new(false),
        });
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = live.insert(place(&job.facts), Arc::clone(&job)) {
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

    /// The job of that name which any Director runs: unlike storages, Directors give names without asking each other.
    #[must_use]
    pub fn find_any(&self, name: &JobName) -> Option<Arc<Job>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let found = live.iter().find(|((_, entered), _)| entered == name);
        found.map(|(_, job)| Arc::clone(job))
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

    /// Notes a job that has ended, for those who ask why it was where it was.
    pub(super) fn ended(&self, job: EndedJob) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.add(job);
    }

    /// The last jobs that have ended, the youngest first.
    #[must_use]
    pub fn recent(&self) -> Vec<Arc<EndedJob>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.youngest_first().cloned().collect()
    }

    /// Notes that a job went on from a storage that did not take it.
    pub(super) fn failed_over(&self, failover: FailedOver) {
        let mut failovers = self.failovers.lock().unwrap_or_else(PoisonError::into_inner);
        failovers.add(failover);
    }

    /// The last failovers, the youngest first.
    #[must_use]
    pub fn failovers(&self) -> Vec<FailedOver> {
        let failovers = self.failovers.lock().unwrap_or_else(PoisonError::into_inner);
        failovers.youngest_first().cloned().collect()
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

impl LiveJob {
    /// The job, for whoever looks on.
    #[must_use]
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }
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
        let place = place(&self.job.facts);
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

    fn facts(director: &str) -> JobFacts {
        JobFacts {
            director: DirectorName::new(director).unwrap(),
            id: JobId(1),
            name: JobName::new("J.1").unwrap(),
            group: GroupName::new("G").unwrap(),
            resource: JobResourceName::new("J").unwrap(),
            client: ClientName::new("client").unwrap(),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            arrived: Moment(0),
        }
    }

    fn enter(jobs: &Arc<Jobs>, director: &str) -> LiveJob {
        jobs.enter(facts(director))
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
        assert!(jobs.find_any(&one.facts.name).is_some());
        drop((one, two));
        assert!(jobs.find_any(&JobName::new("J.1").unwrap()).is_none());
    }
}
