//! What every session has at hand: what lasts as long as the process, and a configuration. A reload makes another
//! context with the next configuration; sessions keep the one that they began with.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use super::fleet::Fleet;
use super::history::Recorder;
use super::identity::{Identities, Lineage};
use super::jobs::{Jobs, Stop};
use super::listed::Sessions;
use super::processes::Processes;
use super::rates::Rates;
use super::routes::Routes;
use super::sharing::remark;
use super::states::States;
use super::told::Told;
use crate::config::Model;
use crate::group::{Directory, PastJob, Standing};
use crate::relay::PipePool;
use crate::store::{Numbers, StoreView};
use crate::types::SessionIdentity;
use crate::volumes::{Ledger, Rivals};

/// How many callers that have not logged in may be connected at once. Further ones wait to be accepted, for as long
/// as these take to log in or to be turned away.
const MAX_STRANGERS: usize = 1024;

/// What every session has at hand.
#[derive(Debug, Clone)]
pub struct Context {
    /// The configuration that sessions begin with.
    pub model: Arc<Model>,
    /// The storages, with all that is known of them.
    pub directory: Arc<Directory>,
    /// Where volumes are.
    pub ledger: Ledger,
    /// What the operator wants of the storages.
    pub states: Arc<States>,
    /// Where jobs that have ended are noted.
    pub recorder: Recorder,
    /// The jobs of others that placement has been told of.
    told: Arc<Told>,
    /// The jobs on control connections.
    pub jobs: Arc<Jobs>,
    /// The sessions whose callers are known.
    pub listed: Arc<Sessions>,
    /// Where the jobs' data connections go.
    pub routes: Arc<Routes>,
    /// The other processes, while a handover lasts.
    pub processes: Arc<Processes>,
    /// The other sdgroups, if there may be some.
    pub fleet: Option<Arc<Fleet>>,
    /// Pipes for relays.
    pub pipes: Arc<PipePool>,
    /// Places for callers that have not logged in yet, so that strangers cannot use up the descriptors of jobs.
    pub(super) strangers: Arc<Semaphore>,
    /// Every session is one of these tasks, and so is what a session leaves to be done.
    pub sessions: TaskTracker,
    /// Whether new jobs are taken.
    pub admission: Arc<Admission>,
    /// How the database is that is shared with other sdgroups, if one is.
    pub store_view: Option<watch::Receiver<StoreView>>,
    /// How fast data goes to and from storages.
    pub rates: Arc<Rates>,
    /// Where identities of our own come from.
    pub identities: Arc<Identities>,
}

impl Context {
    /// Sessions that use all of these.
    #[must_use]
    pub fn new(
        model: Arc<Model>,
        directory: Arc<Directory>,
        ledger: Ledger,
        states: States,
        recorder: Recorder,
        pipes: PipePool,
    ) -> Self {
        let processes = Arc::<Processes>::default();
        ledger.beside(Arc::clone(&processes) as Arc<dyn Rivals>);
        Self {
            processes,
            rates: Arc::new(Rates::new(Instant::now())),
            model,
            directory,
            ledger,
            states: Arc::new(states),
            recorder,
            told: Arc::default(),
            jobs: Arc::default(),
            listed: Arc::default(),
            routes: Arc::default(),
            fleet: None,
            pipes: Arc::new(pipes),
            strangers: Arc::new(Semaphore::new(MAX_STRANGERS)),
            sessions: TaskTracker::new(),
            admission: Arc::default(),
            store_view: None,
            identities: Arc::default(),
        }
    }

    /// With a database that is shared with other sdgroups, and gives the numbers of sessions.
    #[must_use]
    pub fn sharing(self, store_view: watch::Receiver<StoreView>, numbers: Numbers) -> Self {
        Self {
            store_view: Some(store_view),
            identities: Arc::new(self.identities.shared(numbers)),
            ..self
        }
    }

    /// In a process that has a predecessor.
    #[must_use]
    pub fn after(self, predecessor: Option<Lineage>) -> Self {
        let identities = Arc::new(Identities::after(predecessor));
        Self { identities, ..self }
    }

    /// One of several sdgroups that call each other.
    #[must_use]
    pub fn among(self, fleet: Arc<Fleet>) -> Self {
        Self {
            fleet: Some(fleet),
            ..self
        }
    }

    /// What is to be said of that database, if anything is.
    #[must_use]
    pub fn store_remark(&self) -> Option<String> {
        remark(&self.store_view.as_ref()?.borrow())
    }

    /// Tells placement of jobs that have ended in other processes, in the order in which they were placed.
    pub fn remember(&self, jobs: &[PastJob]) {
        self.directory.remember(self.told.news(jobs));
    }

    /// A session identity of our own.
    pub(super) fn mint_session(&self) -> SessionIdentity {
        self.identities.mint()
    }

    /// The same with the configuration `model`, from now on in force in the directory, and what the operator wants of
    /// the storages that are new.
    #[must_use]
    pub fn renewed(&self, model: Arc<Model>, standing: Vec<Standing>) -> Self {
        Self {
            directory: self.directory.renewed(&model, standing),
            model,
            ..self.clone()
        }
    }

    /// Ends every job at once, each with a word in its messages.
    pub fn stop_jobs(&self) {
        for job in self.jobs.all() {
            job.stop(Stop::Shutdown);
        }
    }
}

/// The context in force.
#[derive(Debug)]
pub struct Current(ArcSwap<Context>);

impl Current {
    /// This one.
    #[must_use]
    pub fn new(context: Context) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(context)))
    }

    /// The one that a session begins with now.
    #[must_use]
    pub fn context(&self) -> Arc<Context> {
        self.0.load_full()
    }

    /// Puts `context` in its place: one of its [`Context::renewed`].
    pub fn replace(&self, context: Context) {
        self.0.store(Arc::new(context));
    }
}

/// Whether new jobs are taken.
#[derive(Debug, Default)]
pub struct Admission {
    refusal: OnceLock<&'static str>,
    most: OnceLock<usize>,
}

impl Admission {
    /// Takes no new jobs from now on; those that run go on.
    pub fn close(&self, reason: &'static str) {
        let _ = self.refusal.set(reason);
    }

    /// Takes no more jobs than so many at once: for more the system grants no descriptors, and one too many would cost
    /// others theirs. To be said once, at the start.
    pub fn limit(&self, most: usize) {
        let _ = self.most.set(most);
    }

    /// The most jobs at once, if there are so many.
    #[must_use]
    pub fn full(&self, running: usize) -> Option<usize> {
        self.most.get().copied().filter(|most| running >= *most)
    }

    /// Why no new jobs are taken, if none are.
    #[must_use]
    pub fn refusal(&self) -> Option<&'static str> {
        self.refusal.get().copied()
    }
}
