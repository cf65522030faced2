//! Which storage a job's data connection belongs to.
//!
//! A route is announced before the Director is told that the job may start, so a Client that the Director sends
//! finds it. It carries at most one data connection at a time: whoever else comes with the job's name is turned
//! away, since a storage fails the whole job on a second login with a wrong key (Bacula `src/stored/hello.c`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::config::model;
use crate::group::Slot;
use crate::relay::Tally;
use crate::types::{ClientName, DirectorName, GroupName, JobId, JobName, JobStatus, SessionKey};

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
    /// How long dialling a storage may take.
    pub connect_timeout: Duration,
    /// How long the login there may take.
    pub login_timeout: Duration,
    /// The key that the Director gives the Client.
    pub client_key: SessionKey,
    /// The storage that runs the job, or those that do.
    pub far: Far,
    /// Counts the data connection's bytes.
    pub tally: Arc<Tally>,
    /// Ends the data connection when the job's control session has ended in disorder.
    pub stop: CancellationToken,
    /// What the storage has reported in the end, once it has.
    pub ended: Arc<OnceLock<JobStatus>>,
    /// Tells that the job's control session is over. What the Client has not read yet is still on its way.
    pub over: CancellationToken,
}

/// The storage's end of a data connection.
#[derive(Debug, Clone)]
pub struct FarEnd {
    /// The storage.
    pub storage: Arc<model::Storage>,
    /// The key that it gave for the job: the Client's, unless sdgroup answered in its place or the job was moved.
    pub key: SessionKey,
    /// The number that it announced in its Hello answer.
    pub version: u32,
}

/// Where a data connection leads.
#[derive(Debug)]
pub enum Far {
    /// To one storage.
    One(FarEnd),
    /// To several, one after the other: a Client reads from them as if they were one.
    InTurn {
        /// The number that the first announced in its Hello answer.
        version: u32,
        /// The storages, as they are ready. The data connection takes it; there is no second one.
        turns: Mutex<Option<mpsc::UnboundedReceiver<Turn>>>,
    },
}

impl Far {
    /// The number that the Client's storage announced in its Hello answer.
    #[must_use]
    pub fn version(&self) -> u32 {
        match self {
            Self::One(far) => far.version,
            Self::InTurn { version, .. } => *version,
        }
    }
}

/// One storage of several, which waits for its Client now.
#[derive(Debug)]
pub struct Turn {
    /// The storage.
    pub far: FarEnd,
    /// Counts what the Client reads from it.
    pub counted: Counted,
    /// There is none after it.
    pub last: bool,
}

#[derive(Debug)]
struct Entry {
    route: Arc<Route>,
    state: AtomicU8,
    /// The job's place, to which its traffic is counted; whoever announced the route holds it.
    slot: Weak<Slot>,
    /// What had passed each way when it was announced: jobs that read from several storages count on.
    before: (u64, u64),
}

/// No data connection.
const FREE: u8 = 0;
/// One data connection.
const TAKEN: u8 = 1;
/// The job is over: a caller that was on its way is too late.
const OVER: u8 = 2;

/// A job's route can be found from now on, or not any longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which job's.
    pub job: JobName,
    /// It can be found.
    pub is_here: bool,
}

/// All announced routes.
#[derive(Debug, Default)]
pub struct Routes {
    entries: Mutex<HashMap<JobName, Arc<Entry>>>,
    announced: Notify,
    /// Who is told of each change, if somebody is.
    follower: OnceLock<mpsc::UnboundedSender<Change>>,
}

/// Another Director runs a job of the same name just now; a data connection could not be told from that one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another Director is running a job of the same name; run the job again in a minute")]
pub struct NameInUse;

impl Routes {
    /// Whether another Director's job has this name.
    #[must_use]
    pub fn is_in_use(&self, director: &DirectorName, job: &JobName) -> bool {
        self.lock().get(job).is_some_and(|entry| !entry.is_of(director))
    }

    /// Announces a route until the returned guard is dropped, and holds the place on the storage until then, if it is
    /// given here. An earlier route of the same Director's is replaced.
    ///
    /// # Errors
    /// When another Director's job has the same name.
    pub fn announce(self: &Arc<Self>, route: Route, slot: Option<Slot>) -> Result<Announced, NameInUse> {
        let announced = self.unlisted(route, slot);
        let entry = &announced.entry;
        let mut entries = self.lock();
        if entries
            .get(&entry.route.job)
            .is_some_and(|earlier| !earlier.is_of(&entry.route.director))
        {
            drop(entries);
            return Err(NameInUse);
        }
        entries.insert(entry.route.job.clone(), Arc::clone(entry));
        self.tell(&entry.route.job, true);
        drop(entries);
        self.announced.notify_waiters();
        Ok(announced)
    }

    /// A route that nobody finds: the storage makes the job's data connection itself, and its key is no secret.
    #[must_use]
    pub fn unlisted(self: &Arc<Self>, route: Route, slot: Option<Slot>) -> Announced {
        let slot = slot.map(Arc::new);
        let before = (route.tally.to_far(), route.tally.to_near());
        let entry = Entry {
            route: Arc::new(route),
            state: AtomicU8::new(FREE),
            slot: slot.as_ref().map_or_else(Weak::new, Arc::downgrade),
            before,
        };
        Announced {
            entry: Arc::new(entry),
            slot,
            routes: Arc::clone(self),
        }
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

    /// What changes from now on, for the first who asks.
    pub fn follow(&self) -> mpsc::UnboundedReceiver<Change> {
        let (follower, changes) = mpsc::unbounded_channel();
        // A second one hears that there is nothing to hear.
        let _ = self.follower.set(follower);
        changes
    }

    /// The jobs whose routes can be found.
    #[must_use]
    pub fn names(&self) -> Vec<JobName> {
        self.lock().keys().cloned().collect()
    }

    /// To be called under the lock, so that changes are told in their order.
    fn tell(&self, job: &JobName, is_here: bool) {
        if let Some(follower) = self.follower.get() {
            let job = job.clone();
            // Nobody follows when the process ends.
            let _ = follower.send(Change { job, is_here });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobName, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_of(&self, director: &DirectorName) -> bool {
        self.route.director.as_str().eq_ignore_ascii_case(director.as_str())
    }

    /// Counts what has passed since it was announced to the job's place, while there is one.
    fn count(&self) {
        if let Some(slot) = self.slot.upgrade() {
            let (tally, (far, near)) = (&self.route.tally, self.before);
            slot.moved(tally.to_far().saturating_sub(far), tally.to_near().saturating_sub(near));
        }
    }
}

/// Counts the bytes of a data connection to the place of the job, or of the part of it, that they belong to.
#[derive(Debug, Clone)]
pub struct Counted(Arc<Entry>);

impl Counted {
    /// Counts what the route's tally has by now. To be called now and then while bytes pass.
    pub fn count(&self) {
        self.0.count();
    }
}

/// A route that can be found; dropped, it cannot any longer.
#[derive(Debug)]
pub struct Announced {
    entry: Arc<Entry>,
    slot: Option<Arc<Slot>>,
    routes: Arc<Routes>,
}

impl Announced {
    /// The route.
    #[must_use]
    pub fn route(&self) -> &Arc<Route> {
        &self.entry.route
    }

    /// For a data connection that is not this route's own.
    #[must_use]
    pub fn counted(&self) -> Counted {
        Counted(Arc::clone(&self.entry))
    }

    /// The job's place on the storage, if it was given here.
    #[must_use]
    pub fn slot(&self) -> Option<&Slot> {
        self.slot.as_deref()
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // The data connection does so once a second, and has no place to count it to from here on.
        self.entry.count();
        self.entry.state.store(OVER, Ordering::Release);
        self.entry.route.over.cancel();
        let mut entries = self.routes.lock();
        if entries
            .get(&self.entry.route.job)
            .is_some_and(|entered| Arc::ptr_eq(entered, &self.entry))
        {
            entries.remove(&self.entry.route.job);
            self.routes.tell(&self.entry.route.job, false);
        }
    }
}

/// A route that was found; not yet taken. It holds no place.
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

    /// Whether it can be taken now.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.entry.state.load(Ordering::Acquire) == FREE
    }

    /// Takes the route for one data connection, or `None` when it has one or its job is over.
    #[must_use]
    pub fn take(&self) -> Option<Taken> {
        let state = &self.entry.state;
        state
            .compare_exchange(FREE, TAKEN, Ordering::AcqRel, Ordering::Acquire)
            .ok()?;
        Some(Taken {
            entry: Arc::clone(&self.entry),
        })
    }
}

impl Taken {
    /// For the route's own data connection.
    #[must_use]
    pub fn counted(&self) -> Counted {
        Counted(Arc::clone(&self.entry))
    }
}

/// The one data connection that a route has; dropped, the route can be taken again.
#[derive(Debug)]
pub struct Taken {
    entry: Arc<Entry>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Not when the job is over.
        let _ = self
            .entry
            .state
            .compare_exchange(TAKEN, FREE, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::*;
    use crate::config::{self, MachineSecrets};
    use crate::group::{Directory, PlacementRequest, Tried};
    use crate::types::{FileSetName, JobResourceName};

    const CONFIG: &str = r#"
        [[Listen]]
        Group = "Files"
        [[Director]]
        Name = "lab-dir"
        Password = "hunter2"
        [[Storage]]
        Name = "File4"
        Address = "192.0.2.4"
        Password = "hunter2"
        [[Group]]
        Name = "Files"
        Storages = ["File4"]
    "#;

    fn request() -> PlacementRequest {
        PlacementRequest {
            job_id: JobId(3),
            ..PlacementRequest::new(
                DirectorName::new("lab-dir").unwrap(),
                JobName::new("Docs.2026-11-24_09.00.00_03").unwrap(),
                JobResourceName::new("Docs").unwrap(),
                ClientName::new("lab-fd").unwrap(),
                FileSetName::new("Docs").unwrap(),
            )
        }
    }

    fn route(storage: &Arc<model::Storage>) -> Route {
        let PlacementRequest {
            director,
            job,
            job_id,
            client,
            ..
        } = request();
        let key = SessionKey::mint([7; 16]);
        Route {
            director,
            job_id,
            job,
            group: GroupName::new("Files").unwrap(),
            client,
            connect_timeout: Duration::ZERO,
            login_timeout: Duration::ZERO,
            client_key: key.clone(),
            far: Far::One(FarEnd {
                storage: Arc::clone(storage),
                key,
                version: 306,
            }),
            tally: Arc::default(),
            stop: CancellationToken::new(),
            ended: Arc::default(),
            over: CancellationToken::new(),
        }
    }

    /// A job on File4 whose data connection is new, and had moved 700 bytes before.
    struct Placed {
        directory: Arc<Directory>,
        announced: Announced,
        began: Instant,
    }

    impl Placed {
        fn new() -> Self {
            let loaded = config::compile(CONFIG, Path::new("test.toml"), &MachineSecrets::new()).unwrap();
            let (directory, began) = (Directory::seeded(&loaded.model, 1), Instant::now());
            directory.look_at_pace(began);
            let group = &directory.groups()[0];
            let placed = directory.place(group, &request(), &Tried::new(), began).unwrap();
            let route = route(&placed.storage);
            route.tally.add_to_near(700);
            let announced = Arc::new(Routes::default()).unlisted(route, Some(placed.slot));
            Self {
                directory,
                announced,
                began,
            }
        }
    }

    /// The pace that is seen at `at`, in bytes per second.
    fn pace(directory: &Directory, at: Instant) -> Option<u64> {
        directory.look_at_pace(at);
        let explained = directory.explain(&directory.groups()[0], &request(), at);
        explained.members[0].pace.map(|pace| pace.total)
    }

    #[test]
    fn what_passes_is_counted_while_it_does() {
        let Placed {
            directory,
            announced,
            began,
        } = Placed::new();
        let counted = announced.counted();
        announced.route().tally.add_to_near(500);
        counted.count();
        assert_eq!(pace(&directory, began + Duration::from_secs(5)), Some(100));

        drop(announced);
        // Its place is free, and another's.
        counted.count();
        assert_eq!(pace(&directory, began + Duration::from_secs(10)), Some(100));
    }

    #[test]
    fn what_passed_last_is_counted_when_the_data_connection_is_late_to_say_it() {
        let Placed {
            directory,
            announced,
            began,
        } = Placed::new();
        announced.route().tally.add_to_near(500);

        drop(announced);

        assert_eq!(pace(&directory, began + Duration::from_secs(5)), Some(100));
    }
}
