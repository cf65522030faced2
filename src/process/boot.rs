//! The start of the process. [`open`] does all that can fail, and touches nobody; [`start`] begins to serve.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::ProcessError;
use super::phase::Phases;
use super::probes;
use super::tasks::{self, PipeReading};
use super::vitals::Signs;
use crate::admin;
use crate::admin::metrics::Exposition;
use crate::admin::socket::AdminSocket;
use crate::config::model::{self, Model};
use crate::group::{Directory, PastJob};
use crate::net::listen;
use crate::relay::{PipePool, PoolOptions};
use crate::session::history::{self, Recorder};
use crate::session::{self, Context, States};
use crate::store::{SqliteStore, StateRecord, Store};
use crate::telemetry::event::StoreFailed;
use crate::volumes::Ledger;

/// All that the process needs from the machine.
#[derive(Debug)]
pub(super) struct Opened {
    store: SqliteStore,
    history: Vec<PastJob>,
    states: Vec<StateRecord>,
    listeners: Vec<(TcpListener, Arc<model::Group>)>,
    pages: Vec<TcpListener>,
    socket: AdminSocket,
}

/// Opens the state and every listener. Must be called within a tokio runtime.
///
/// # Errors
/// When one of them cannot be opened. The others are closed again.
pub(super) async fn open(model: &Model) -> Result<Opened, ProcessError> {
    let store = open_store(model)?;
    let history = remember(&store, model).await;
    let states = decided(&store).await;
    let mut listeners = Vec::with_capacity(model.listeners.len());
    for listener in &model.listeners {
        let address = listener.address;
        let group = model
            .group(listener.group.as_str())
            .ok_or_else(|| ProcessError::Group {
                address,
                group: listener.group.to_string(),
            })?;
        listeners.push((bind(address, "[[Listen]]")?, Arc::clone(group)));
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
        history,
        states,
        listeners,
        pages,
        socket,
    })
}

fn open_store(model: &Model) -> Result<SqliteStore, ProcessError> {
    let directory = &model.state_directory;
    std::fs::create_dir_all(directory).map_err(|source| ProcessError::StateDirectory {
        path: directory.clone(),
        source,
    })?;
    Ok(SqliteStore::open(&model.state_file())?)
}

/// What earlier processes noted of their jobs. Placement can do without.
async fn remember(store: &SqliteStore, model: &Model) -> Vec<PastJob> {
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
async fn decided(store: &SqliteStore) -> Vec<StateRecord> {
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

/// Begins to serve on what was opened, until `stop`; `lost` is cancelled when a listener ends before it was told to.
/// Returns what sessions use, and the task that writes the last of it to the store after `stop`.
pub(super) fn start(
    model: &Arc<Model>,
    opened: Opened,
    exposition: Exposition,
    phases: &Phases,
    stop: &CancellationToken,
    lost: &CancellationToken,
) -> (Arc<Context>, JoinHandle<()>) {
    let directory = Directory::new(model);
    directory.remember(&opened.history);
    States::restore(&directory, opened.states);
    probes::start(model, &directory, stop);
    let signs = Arc::new(Signs::new(phases.watch(), &directory));
    let store: Arc<dyn Store> = Arc::new(opened.store);
    let ledger = Ledger::new(Arc::clone(&store));
    let states = States::new(Arc::clone(&store));
    let (recorder, records) = Recorder::new();
    let writing = tokio::spawn(records.write(Arc::clone(&store), model.history, stop.clone()));
    let pipes = PipePool::new(PoolOptions::default());
    let context = Arc::new(Context::new(
        Arc::clone(model),
        directory,
        ledger,
        states,
        recorder,
        pipes,
    ));

    let desk = admin::api::Desk {
        context: Arc::clone(&context),
        store,
    };
    let pages = admin::pages(exposition.clone(), signs);
    let own = pages.clone().merge(admin::api::api(desk));
    let bounds = admin::server::Bounds::default();
    tokio::spawn(admin::server::serve(opened.socket, own, bounds, stop.clone()));
    for listener in opened.pages {
        tokio::spawn(admin::server::serve(listener, pages.clone(), bounds, stop.clone()));
    }
    tokio::spawn(tasks::tidy_metrics(exposition, stop.clone()));
    let pool = Arc::clone(&context);
    let read = move || {
        let figures = pool.pipes.figures();
        PipeReading {
            open: figures.pipes_open,
            shortages: figures.shortages,
        }
    };
    tokio::spawn(tasks::watch_pipes(read, stop.clone()));
    tokio::spawn(tasks::watch_states(Arc::clone(&context), stop.clone()));
    tokio::spawn(tasks::watch_pace(Arc::clone(&context.directory), stop.clone()));
    for (listener, group) in opened.listeners {
        let serving = session::serve(Arc::clone(&context), listener, group, stop.clone());
        tokio::spawn(tasks::guard(serving, stop.clone(), lost.clone()));
    }
    (context, writing)
}
