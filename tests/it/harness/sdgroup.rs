//! sdgroup in the test's own process: the library's sessions on a port of the system's choice.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sdgroup::config::{self, MachineSecrets, Model};
use sdgroup::group::{Availability, Decision, Directory, State, StorageLive};
use sdgroup::probe::{Questioner, ask};
use sdgroup::relay::PipePool;
use sdgroup::session::history::Recorder;
use sdgroup::session::{self, Context, Current, States};
use sdgroup::store::Store;
use sdgroup::types::{DirectorName, JobName, VolumeName};
use sdgroup::volumes::Ledger;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::site::DIRECTOR;
use super::wait::until_told;

/// sdgroup, serving one group.
pub(crate) struct Sdgroup {
    pub(crate) address: SocketAddr,
    pub(crate) context: Arc<Context>,
    current: Arc<Current>,
    stop: CancellationToken,
}

impl Sdgroup {
    /// Serves the first group of this configuration.
    pub(crate) async fn start(configuration: &str, store: Arc<dyn Store>) -> Self {
        let file = Path::new("sdgroup.toml");
        let loaded = config::compile(configuration, file, &MachineSecrets::new());
        let model = loaded.unwrap_or_else(|problems| panic!("{problems:#?}")).model;
        let directory = Directory::new(&model);
        let ledger = Ledger::new(Arc::clone(&store));
        let stop = CancellationToken::new();
        let (recorder, records) = Recorder::new();
        let history = model.history;
        tokio::spawn(records.write(Arc::clone(&store), move || history, stop.clone()));
        let current = Current::new(Context::new(
            Arc::new(model),
            directory,
            ledger,
            States::new(Arc::clone(&store)),
            recorder,
            PipePool::default(),
        ));
        let mut sdgroup = Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            context: current.context(),
            current,
            stop,
        };
        sdgroup.address = sdgroup.listen(0).await;
        sdgroup
    }

    /// Serves the group of this number on a port of its own.
    pub(crate) async fn listen(&self, group: usize) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(session::serve(
            Arc::clone(&self.current),
            listener,
            move |model: &Model| model.groups.get(group).cloned(),
            self.stop.clone(),
        ));
        address
    }

    /// Jobs that have a place on the storage.
    pub(crate) fn running(&self, storage: &str) -> u32 {
        self.view(storage).running
    }

    /// How often a job was given a place on the storage.
    pub(crate) fn placed(&self, storage: &str) -> u64 {
        self.view(storage).placed_total
    }

    /// Whether the storage is kept from new jobs for what it did to earlier ones.
    pub(crate) fn ejected(&self, storage: &str) -> bool {
        self.view(storage).ejected_for.is_some()
    }

    /// Asks the storage once how it is, as `sdgroup run` does by the clock, and returns the outcome's word.
    pub(crate) async fn probe(&self, storage: &str) -> &'static str {
        let questioner = Questioner {
            director: DirectorName::new(DIRECTOR).unwrap(),
            timeout: Duration::from_secs(20),
        };
        let live = self.live(storage);
        let outcome = ask(&questioner, live.storage(), None).await;
        let label = outcome.label();
        session::probed(
            &self.context.directory,
            live.name(),
            outcome.result,
            outcome.took,
            Instant::now(),
        );
        label
    }

    /// Whether probes find the storage at work.
    pub(crate) fn availability(&self, storage: &str) -> Availability {
        self.view(storage).availability
    }

    /// Somebody wants it in this state.
    pub(crate) fn decide(&self, storage: &str, state: State, by: &str) {
        let decision = Decision {
            state,
            by: by.to_owned(),
            ..Decision::default()
        };
        self.live(storage).decide(decision, None, Instant::now());
    }

    fn view(&self, storage: &str) -> sdgroup::group::StorageView {
        self.live(storage).view(Instant::now())
    }

    fn live(&self, storage: &str) -> &StorageLive {
        let storages = self.context.directory.storages();
        let live = storages.iter().find(|live| live.name().as_str() == storage);
        live.expect("a storage of the configuration")
    }

    /// Jobs that wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        self.context
            .directory
            .groups()
            .iter()
            .map(|group| group.waiting())
            .sum()
    }

    /// Sessions that live.
    pub(crate) fn sessions(&self) -> usize {
        self.context.sessions.len()
    }

    /// Which storage holds the volume.
    pub(crate) async fn holder(&self, volume: &str) -> Option<String> {
        let volume = VolumeName::new(volume).expect("a name");
        let holder = self.context.ledger.holder(&volume).await.expect("the ledger");
        holder.map(|storage| storage.to_string())
    }

    fn left(&self) -> Left {
        let now = Instant::now();
        let pipes = self.context.pipes.figures();
        Left {
            sessions: self.sessions(),
            jobs: self.context.jobs.all().len(),
            waiting: self.waiting(),
            places: self
                .context
                .directory
                .storages()
                .iter()
                .map(|live| live.view(now).running)
                .sum(),
            pipes: pipes.pipes_open - pipes.pipes_idle,
        }
    }

    /// Waits until nothing is left of any session, and looks everywhere that something could be left.
    pub(crate) async fn until_empty(&self, jobs: &[JobName]) {
        until_told("nothing to be left in sdgroup", || {
            let left = self.left();
            if left == Left::default() {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        })
        .await;
        for job in jobs {
            let route = self.context.routes.find(job, Duration::ZERO).await;
            assert!(route.is_none(), "there is a route for {job} yet");
        }
    }
}

/// What is left of sessions.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    sessions: usize,
    jobs: usize,
    waiting: usize,
    /// Places on storages.
    places: u32,
    /// Pipes that are lent.
    pipes: usize,
}

impl Drop for Sdgroup {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
