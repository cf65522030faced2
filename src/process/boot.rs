//! The start of the process. [`open`] does all that can fail, and touches nobody; [`start`] gets ready to serve.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::doors::{Doors, House, Inherited};
use super::error::ProcessError;
use super::handover::{Program, Wanted};
use super::helm::Helm;
use super::own_socket::OwnSocket;
use super::phase::Phases;
use super::probes::Probes;
use super::reload::Reloader;
use super::tasks::{self, PipeReading};
use super::vitals::Signs;
use crate::admin;
use crate::admin::metrics::Exposition;
use crate::config::model::Model;
use crate::group::{Directory, PastJob};
use crate::relay::{PipePool, PoolOptions};
use crate::session::fleet::{self, Fleet};
use crate::session::history::{self, Recorder};
use crate::session::processes::{self, Introduction};
use crate::session::{self, Context, Current, Lineage, States};
use crate::store::{Follower, News, Numbers, Roster, SharedStore, SqliteStore, StateRecord, Store};
use crate::telemetry::event::{HandoverFailed, StoreFailed};
use crate::types::Moment;
use crate::volumes::Ledger;

/// How long a session waits for an answer of the shared database before that counts as away.
const DATABASE_PATIENCE: Duration = Duration::from_secs(3);

/// All that the process needs from the machine.
#[derive(Debug)]
pub(super) struct Opened {
    store: Arc<dyn Store>,
    shared: Option<Shared>,
    history: Vec<PastJob>,
    states: Vec<StateRecord>,
    doors: Doors,
}

/// What a database that is shared with other sdgroups has to do with.
#[derive(Debug)]
struct Shared {
    follower: Follower,
    numbers: Numbers,
    roster: Roster,
    news: mpsc::UnboundedReceiver<News>,
}

/// Opens the state and every listener that is not `inherited`. Must be called within a tokio runtime.
///
/// # Errors
/// When one of them cannot be opened. The others are closed again.
pub(super) async fn open(model: &Model, inherited: &mut Inherited) -> Result<Opened, ProcessError> {
    let (store, shared) = open_store(model).await?;
    let history = remember(&*store, model).await;
    let states = decided(&*store).await;
    let doors = Doors::open(model, inherited)?;
    Ok(Opened {
        store,
        shared,
        history,
        states,
        doors,
    })
}

/// The file, and the database if one is shared. That this is away keeps nobody from starting.
async fn open_store(model: &Model) -> Result<(Arc<dyn Store>, Option<Shared>), ProcessError> {
    let directory = &model.state_directory;
    std::fs::create_dir_all(directory).map_err(|source| ProcessError::StateDirectory {
        path: directory.clone(),
        source,
    })?;
    let file = SqliteStore::open(&model.state_file())?;
    let Some(options) = &model.store else {
        return Ok((Arc::new(file), None));
    };
    let (store, mut follower, news) = SharedStore::new(file, options.clone(), DATABASE_PATIENCE);
    follower.begin().await;
    let (numbers, roster) = (store.numbers().clone(), store.roster());
    Ok((
        Arc::new(store),
        Some(Shared {
            follower,
            numbers,
            roster,
            news,
        }),
    ))
}

/// What earlier processes noted of their jobs. Placement can do without.
async fn remember(store: &dyn Store, model: &Model) -> Vec<PastJob> {
    history::load(store, model.history).await.unwrap_or_else(|error| {
        StoreFailed {
            operation: "history",
            error: &error,
        }
        .emit();
        Vec::new()
    })
}

/// What the operator wants of storages. Without it all are ready, which is better than to serve nobody.
async fn decided(store: &dyn Store) -> Vec<StateRecord> {
    store.states().await.unwrap_or_else(|error| {
        StoreFailed {
            operation: "states",
            error: &error,
        }
        .emit();
        Vec::new()
    })
}

/// A process that can serve.
#[derive(Debug)]
pub(super) struct Serving {
    /// The configuration in force, and what sessions use.
    pub(super) current: Arc<Current>,
    pub(super) reloader: Arc<Reloader>,
    /// Where callers come in, and what they find.
    pub(super) doors: Doors,
    pub(super) house: House,
    /// Cancelled when a successor serves: from then on it ends the states whose time is over.
    pub(super) departed: CancellationToken,
    /// What the successor's requests come out of.
    pub(super) handovers: mpsc::Receiver<Wanted>,
    /// Where other processes call, if they can.
    _own_socket: Option<OwnSocket>,
    /// Writes the last of it to the store once it is told to stop.
    pub(super) writing: JoinHandle<()>,
}

/// Gets everything ready to serve with what was opened, until `stop`. Nobody is let in yet.
pub(super) fn start(
    (model, file): (&Arc<Model>, &Path),
    opened: Opened,
    lineage: Option<Lineage>,
    exposition: Exposition,
    phases: &Phases,
    program: Program,
    stop: &CancellationToken,
) -> Serving {
    let directory = Directory::new(model);
    States::restore(&directory, opened.states);
    let store = opened.store;
    let (recorder, records) = Recorder::new();
    let mut context = Context::new(
        Arc::clone(model),
        directory,
        Ledger::new(Arc::clone(&store)),
        States::new(Arc::clone(&store)),
        recorder,
        PipePool::new(PoolOptions::default()),
    )
    .after(lineage);
    if let Some(shared) = &opened.shared {
        context = context.sharing(shared.follower.view(), shared.numbers.clone());
        if let Some(own) = &model.peers {
            context = context.among(Arc::new(Fleet::new(own.clone(), shared.roster.clone())));
        }
    }
    context.remember(&opened.history);
    let current = Current::new(context);
    let history = {
        let current = Arc::clone(&current);
        move || current.context().model.history
    };
    let writing = records.write(Arc::clone(&store), history, stop.clone());
    let writing = match opened.shared {
        Some(shared) => share(shared, writing, &current, stop),
        None => tokio::spawn(writing),
    };
    let mut probes = Probes::default();
    probes.follow(model, &current.context().directory, stop);
    let reloader = Arc::new(Reloader {
        file: file.to_owned(),
        current: Arc::clone(&current),
        store: Arc::clone(&store),
        probes: std::sync::Mutex::new(probes),
        phase: phases.watch(),
        stop: stop.clone(),
        turn: tokio::sync::Mutex::default(),
    });

    let (wanted, handovers) = mpsc::channel(1);
    let departed = CancellationToken::new();
    let signs = Arc::new(Signs::new(phases.watch(), departed.clone(), Arc::clone(&current)));
    let office = admin::api::Office {
        current: Arc::clone(&current),
        store,
        steering: Arc::new(Helm {
            reloader: Arc::clone(&reloader),
            program,
            wanted,
        }),
        vitals: Arc::clone(&signs) as Arc<dyn admin::Vitals>,
        started: Moment::now(),
    };
    let pages = admin::pages(exposition.clone(), signs);
    let house = House::new(&current, pages, admin::api::api(office));
    watch(&current, exposition, &departed, stop);
    Serving {
        _own_socket: be_reachable(&current, &model.state_directory, stop),
        current,
        reloader,
        doors: opened.doors,
        house,
        departed,
        handovers,
        writing,
    }
}

/// Keeps the file and the shared database in step for as long as `writing` lasts, and tells the peers of this process until
/// `stop`.
fn share(
    shared: Shared,
    writing: impl Future<Output = ()> + Send + 'static,
    current: &Arc<Current>,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let Shared { follower, news, .. } = shared;
    tokio::spawn(session::follow(Arc::clone(current), news));
    tokio::spawn(tasks::watch_store(follower.view()));
    let attending = attend_peers(current, stop);
    let writing = async {
        // The peers are told of the end over the follower's connection.
        tokio::join!(writing, attending);
    };
    tokio::spawn(tasks::one_after_the_other(writing, |stop| follower.run(stop)))
}

/// Tells the peers of this sdgroup, if it has any, until `stop`; and hears of them.
fn attend_peers(current: &Arc<Current>, stop: &CancellationToken) -> impl Future<Output = ()> + use<> {
    let context = current.context();
    let told = context.fleet.clone().map(|fleet| {
        let announcing = fleet::announce(Arc::clone(&fleet), Arc::clone(&context.routes), stop.clone());
        tokio::spawn(announcing);
        fleet::pulse(fleet, Arc::clone(current), stop.clone())
    });
    async move {
        if let Some(told) = told {
            told.await;
        }
    }
}

/// Lets other processes call this one. Without it there can be no handover, and jobs do without.
fn be_reachable(current: &Arc<Current>, directory: &Path, stop: &CancellationToken) -> Option<OwnSocket> {
    match OwnSocket::bind(directory) {
        Ok((socket, listener)) => {
            current.context().processes.introduce(Introduction {
                socket: socket.path().to_owned(),
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            });
            tokio::spawn(processes::serve(Arc::clone(current), listener, stop.clone()));
            Some(socket)
        }
        Err(error) => {
            let error = format!("no other process can call this one, so it cannot hand over: {error}");
            HandoverFailed { error: &error }.emit();
            None
        }
    }
}

/// Starts what is done again and again.
fn watch(current: &Arc<Current>, exposition: Exposition, departed: &CancellationToken, stop: &CancellationToken) {
    tokio::spawn(tasks::tidy_metrics(exposition, stop.clone()));
    let pipes = Arc::clone(&current.context().pipes);
    let read = move || {
        let figures = pipes.figures();
        PipeReading {
            open: figures.pipes_open,
            shortages: figures.shortages,
        }
    };
    tokio::spawn(tasks::watch_pipes(read, stop.clone()));
    let states = tasks::watch_states(Arc::clone(current), departed.clone(), stop.clone());
    tokio::spawn(states);
    // However often it is renewed, it shows the same storages.
    let directory = Arc::clone(&current.context().directory);
    tokio::spawn(tasks::watch_pace(directory, stop.clone()));
}
