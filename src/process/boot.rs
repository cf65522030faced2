//! The start of the process. [`open`] does all that can fail, and touches nobody; [`start`] begins to serve.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::ProcessError;
use super::phase::Phases;
use super::probes::Probes;
use super::reload::Reloader;
use super::tasks::{self, PipeReading};
use super::vitals::Signs;
use crate::admin::metrics::Exposition;
use crate::admin::socket::AdminSocket;
use crate::admin::{self, Steering};
use crate::config::model::Model;
use crate::group::{Directory, PastJob};
use crate::net::listen;
use crate::relay::{PipePool, PoolOptions};
use crate::session::history::{self, Recorder};
use crate::session::{self, Context, Current, States};
use crate::store::{Follower, News, SharedStore, SqliteStore, StateRecord, Store};
use crate::telemetry::event::StoreFailed;
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
    listeners: Vec<(TcpListener, SocketAddr)>,
    pages: Vec<TcpListener>,
    socket: AdminSocket,
}

/// What a database that is shared with other sdgroups has to do with.
#[derive(Debug)]
struct Shared {
    follower: Follower,
    news: mpsc::UnboundedReceiver<News>,
}

/// Opens the state and every listener. Must be called within a tokio runtime.
///
/// # Errors
/// When one of them cannot be opened. The others are closed again.
pub(super) async fn open(model: &Model) -> Result<Opened, ProcessError> {
    let (store, shared) = open_store(model).await?;
    let history = remember(&*store, model).await;
    let states = decided(&*store).await;
    let mut listeners = Vec::with_capacity(model.listeners.len());
    for listener in &model.listeners {
        let address = listener.address;
        listeners.push((bind(address, "[[Listen]]")?, address));
    }
    let mut pages = Vec::new();
    if let Some(address) = model.metrics_address {
        pages.push(bind(address, "MetricsAddress")?);
    }
    if let Some(address) = model
        .admin_address
        .filter(|address| Some(*address) != model.metrics_address)
    {
        pages.push(bind(address, "AdminAddress")?);
    }
    let path = &model.admin_socket;
    let socket = AdminSocket::bind(path).map_err(|source| ProcessError::Socket {
        path: path.clone(),
        source,
    })?;
    Ok(Opened {
        store,
        shared,
        history,
        states,
        listeners,
        pages,
        socket,
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
    Ok((Arc::new(store), Some(Shared { follower, news })))
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

fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, ProcessError> {
    listen::bind(address).map_err(|source: io::Error| ProcessError::Listen { address, key, source })
}

/// A process that serves.
#[derive(Debug)]
pub(super) struct Serving {
    /// The configuration in force, and what sessions use.
    pub(super) current: Arc<Current>,
    pub(super) reloader: Arc<Reloader>,
    /// Writes the last of it to the store once it is told to stop.
    pub(super) writing: JoinHandle<()>,
}

/// Begins to serve on what was opened, until `stop`; `lost` is cancelled when a listener ends before it was told to.
pub(super) fn start(
    (model, file): (&Arc<Model>, &Path),
    opened: Opened,
    exposition: Exposition,
    phases: &Phases,
    stop: &CancellationToken,
    lost: &CancellationToken,
) -> Serving {
    let directory = Directory::new(model);
    directory.remember(&opened.history);
    States::restore(&directory, opened.states);
    let store = opened.store;
    let (recorder, records) = Recorder::new();
    let store_view = opened.shared.as_ref().map(|shared| shared.follower.view());
    let context = Context::new(
        Arc::clone(model),
        directory,
        Ledger::new(Arc::clone(&store)),
        States::new(Arc::clone(&store)),
        recorder,
        PipePool::new(PoolOptions::default()),
    )
    .sharing(store_view);
    let current = Current::new(context);
    let history = {
        let current = Arc::clone(&current);
        move || current.context().model.history
    };
    let writing = records.write(Arc::clone(&store), history, stop.clone());
    let writing = match opened.shared {
        Some(Shared { follower, news }) => {
            tokio::spawn(session::follow(Arc::clone(&current), news));
            tokio::spawn(tasks::watch_store(follower.view()));
            tokio::spawn(tasks::one_after_the_other(writing, |stop| follower.run(stop)))
        }
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

    let office = admin::api::Office {
        current: Arc::clone(&current),
        store,
        steering: Arc::clone(&reloader) as Arc<dyn Steering>,
    };
    let signs = Arc::new(Signs::new(phases.watch(), Arc::clone(&current)));
    let pages = admin::pages(exposition.clone(), signs);
    let own = pages.clone().merge(admin::api::api(office));
    let bounds = admin::server::Bounds::default();
    tokio::spawn(admin::server::serve(opened.socket, own, bounds, stop.clone()));
    for listener in opened.pages {
        tokio::spawn(admin::server::serve(listener, pages.clone(), bounds, stop.clone()));
    }
    watch(&current, exposition, stop);
    for (listener, address) in opened.listeners {
        let served = move |model: &Model| model.group_at(address).cloned();
        let serving = session::serve(Arc::clone(&current), listener, served, stop.clone());
        tokio::spawn(tasks::guard(serving, stop.clone(), lost.clone()));
    }
    Serving {
        current,
        reloader,
        writing,
    }
}

/// Starts what is done again and again.
fn watch(current: &Arc<Current>, exposition: Exposition, stop: &CancellationToken) {
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
    tokio::spawn(tasks::watch_states(Arc::clone(current), stop.clone()));
    // However often it is renewed, it shows the same storages.
    let directory = Arc::clone(&current.context().directory);
    tokio::spawn(tasks::watch_pace(directory, stop.clone()));
}
