//! Which storage a job's data connection belongs to.
//!
//! A route is announced before the Director is told that the job may start, so a Client that the Director sends
//! finds it. It carries at most one data connection at a time: whoever else comes with the job's name is turned
//! away, since a storage fails the whole job on a second login with a wrong key (Bacula `src/stored/hello.c`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::model;
use crate::group::Slot;
use crate::relay::Tally;
use crate::types::{ClientName, DirectorName, GroupName, JobId, JobName, SessionKey};

/// Where a job's data connection goes and what its two ends have to prove.
#[derive(Debug)]
pub struct Route {
    /// The Director that runs the job.
    pub director: DirectorName,
    /// The job's number there.
    pub job_id: JobId,
    /// The job's unique name.
    pub job: JobName,
    /// The group that the job was given to.
    pub group: GroupName,
    /// Whose files they are.
    pub client: ClientName,
    /// The storage that runs it.
    pub storage: Arc<model::Storage>,
    /// How long dialling the storage may take.
    pub connect_timeout: Duration,
    /// How long the login there may take.
    pub login_timeout: Duration,
    /// The key that the Director gives the Client.
    pub client_key: SessionKey,
    /// The key that the storage gave for the job: the same one, unless sdgroup answered in the storage's place.
    pub storage_key: SessionKey,
    /// The number that the storage announced in its Hello answer.
    pub storage_version: u32,
    /// Counts the data connection's bytes.
    pub tally: Arc<Tally>,
    /// The job's place on the storage, which is taken until both of its connections are over.
    pub slot: Arc<Slot>,
    /// Ends the data connection when the job's control session has ended in disorder.
    pub stop: CancellationToken,
    /// Tells that the storage has reported the job's end: a Client that keeps its connection open has a moment left.
    pub over: CancellationToken,
}

#[derive(Debug)]
struct Entry {
    route: Arc<Route>,
    taken: AtomicBool,
}

/// All announced routes.
#[derive(Debug, Default)]
pub struct Routes {
    entries: Mutex<HashMap<JobName, Arc<Entry>>>,
    announced: Notify,
}

/// Another Director runs a job of the same name just now; a data connection could not be told from that one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another Director is running a job of the same name; run the job again in a minute")]
pub struct NameInUse;

impl Routes {
    /// Announces a route until the returned guard is dropped. An earlier one of the same Director's is replaced.
    ///
    /// # Errors
    /// When another Director's job has the same name.
    pub fn announce(self: &Arc<Self>, route: Route) -> Result<Announced, NameInUse> {
        let mut entries = self.lock();
        if let Some(earlier) = entries.get(&route.job) {
            let same = earlier
                .route
                .director
                .as_str()
                .eq_ignore_ascii_case(route.director.as_str());
            if !same {
                return Err(NameInUse);
            }
        }
        let entry = Arc::new(Entry {
            route: Arc::new(route),
            taken: AtomicBool::new(false),
        });
        entries.insert(entry.route.job.clone(), Arc::clone(&entry));
        drop(entries);
        self.announced.notify_waiters();
        Ok(Announced {
            entry,
            routes: Arc::clone(self),
        })
    }

    /// The route for `job`, waiting up to `wait` for it to be announced: a Client can be quicker than the
    /// bookkeeping.
    pub async fn find(self: &Arc<Self>, job: &JobName, wait: Duration) -> Option<Found> {
        tokio::time::timeout(wait, async {
            loop {
                let mut announced = std::pin::pin!(self.announced.notified());
                announced.as_mut().enable();
                if let Some(entry) = self.lock().get(job).cloned() {
                    return Found { entry };
                }
                announced.await;
            }
        })
        .await
        .ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobName, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A route that can be found; dropped, it cannot any longer.
#[derive(Debug)]
pub struct Announced {
    entry: Arc<Entry>,
    routes: Arc<Routes>,
}

impl Announced {
    /// The route.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.entry.route
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let mut entries = self.routes.lock();
        if entries
            .get(&self.entry.route.job)
            .is_some_and(|entered| Arc::ptr_eq(entered, &self.entry))
        {
            entries.remove(&self.entry.route.job);
        }
    }
}

/// A route that was found; not yet taken.
#[derive(Debug)]
pub struct Found {
    entry: Arc<Entry>,
}

impl Found {
    /// The route.
    #[must_use]
    pub fn route(&self) -> &Arc<Route> {
        &self.entry.route
    }

    /// Whether it has its data connection.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.entry.taken.load(Ordering::Acquire)
    }

    /// Takes the route for one data connection, or `None` when it has one.
    #[must_use]
    pub fn take(&self) -> Option<Taken> {
        let free = self
            .entry
            .taken
            .compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        free.then(|| Taken {
            entry: Arc::clone(&self.entry),
        })
    }
}

/// The one data connection that a route has; dropped, the route can be taken again.
#[derive(Debug)]
pub struct Taken {
    entry: Arc<Entry>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.entry.taken.store(false, Ordering::Release);
    }
}
