//! The sockets at which callers come in: they can be taken over from a predecessor, attended, and left for a successor.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ProcessError;
use super::tasks;
use crate::admin;
use crate::admin::socket::AdminSocket;
use crate::config::model::Model;
use crate::net::listen;
use crate::session::{self, Current};

/// Every socket that callers use.
#[derive(Debug)]
pub(super) struct Doors {
    listeners: Vec<(Arc<TcpListener>, SocketAddr)>,
    metrics: Option<(Arc<TcpListener>, SocketAddr)>,
    admin: Option<(Arc<TcpListener>, SocketAddr)>,
    socket: Arc<AdminSocket>,
}

/// What the sockets are that go with this message, in their order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Passed {
    addresses: Vec<SocketAddr>,
    admin_socket: PathBuf,
}

/// The sockets of a predecessor.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    by_address: HashMap<SocketAddr, OwnedFd>,
    socket: Option<(PathBuf, OwnedFd)>,
}

impl Inherited {
    /// Those that came with `passed`.
    pub(super) fn new(passed: &Passed, sockets: Vec<OwnedFd>) -> Self {
        let mut sockets = sockets.into_iter();
        let by_address = passed.addresses.iter().copied().zip(sockets.by_ref()).collect();
        let socket = sockets.next().map(|socket| (passed.admin_socket.clone(), socket));
        Self { by_address, socket }
    }

    fn listener(&mut self, address: SocketAddr, key: &'static str) -> Result<Arc<TcpListener>, ProcessError> {
        let listener = match self.by_address.remove(&address) {
            Some(socket) => adopt(socket),
            None => listen::bind(address),
        };
        let told = |source| ProcessError::Listen { address, key, source };
        listener.map(Arc::new).map_err(told)
    }

    fn admin_socket(&mut self, path: &PathBuf) -> Result<Arc<AdminSocket>, ProcessError> {
        let socket = match self.socket.take_if(|(known, _)| known == path) {
            Some((_, socket)) => AdminSocket::adopt(socket.into(), path),
            None => AdminSocket::bind(path),
        };
        let told = |source| ProcessError::Socket {
            path: path.clone(),
            source,
        };
        socket.map(Arc::new).map_err(told)
    }
}

fn adopt(socket: OwnedFd) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

impl Doors {
    /// Takes over what is there and opens the rest. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When one of them cannot be opened. The others are closed again.
    pub(super) fn open(model: &Model, inherited: &mut Inherited) -> Result<Self, ProcessError> {
        let mut listeners = Vec::with_capacity(model.listeners.len());
        for listener in &model.listeners {
            let address = listener.address;
            listeners.push((inherited.listener(address, "[[Listen]]")?, address));
        }
        let mut page = |address: Option<SocketAddr>, key| {
            let open = |address| inherited.listener(address, key).map(|listener| (listener, address));
            address.map(open).transpose()
        };
        let metrics = page(model.metrics_address, "MetricsAddress")?;
        let admin = page(model.admin_address, "AdminAddress")?;
        let socket = inherited.admin_socket(&model.admin_socket)?;
        Ok(Self {
            listeners,
            metrics,
            admin,
            socket,
        })
    }

    /// All of them, and what they are.
    pub(super) fn passed(&self) -> (Passed, Vec<BorrowedFd<'_>>) {
        let tcp = self.listeners.iter().chain(&self.metrics).chain(&self.admin);
        let (mut sockets, addresses): (Vec<_>, _) = tcp.map(|(listener, address)| (listener.as_fd(), *address)).unzip();
        sockets.push(self.socket.as_fd());
        let passed = Passed {
            addresses,
            admin_socket: self.socket.path().to_owned(),
        };
        (passed, sockets)
    }

    /// The predecessor, if there was one, has them no longer.
    pub(super) fn keep(&self) {
        self.socket.keep();
    }

    /// Another process has them now: nothing of theirs is taken away when they are closed here.
    pub(super) fn leave(self) {
        self.socket.leave();
    }

    /// Attends to callers until `stop`, or until [`Attended::end`]. `lost` is cancelled when a listener ends before.
    pub(super) fn attend(&self, house: &House, stop: &CancellationToken, lost: &CancellationToken) -> Attended {
        let (stop, tasks) = (stop.child_token(), TaskTracker::new());
        let bounds = admin::server::Bounds::default();
        let (own, callers) = (house.own.clone(), &house.callers);
        tasks.spawn(admin::server::serve(
            Arc::clone(&self.socket),
            own,
            bounds,
            callers.clone(),
            stop.clone(),
        ));
        for (listener, found) in [(&self.metrics, &house.pages), (&self.admin, &house.guarded)] {
            if let Some((listener, _)) = listener {
                let (listener, found) = (Arc::clone(listener), found.clone());
                let serving = admin::server::serve(listener, found, bounds, callers.clone(), stop.clone());
                tasks.spawn(serving);
            }
        }
        for (listener, address) in &self.listeners {
            let address = *address;
            let served = move |model: &Model| model.group_at(address).cloned();
            let serving = session::serve(Arc::clone(&house.current), Arc::clone(listener), served, stop.clone());
            tasks.spawn(tasks::guard(serving, stop.clone(), lost.clone()));
        }
        Attended { stop, tasks }
    }
}

/// What callers find.
#[derive(Debug)]
pub(super) struct House {
    current: Arc<Current>,
    /// On the operator's socket.
    own: Router,
    /// At `MetricsAddress`.
    pages: Router,
    /// At `AdminAddress`.
    guarded: Router,
    /// The operator's connections, whichever doors they came in by.
    callers: TaskTracker,
}

impl House {
    /// With the interface `api` where the operator is, and where somebody shows the token of the configuration in
    /// force: there nobody else sees anything but the dashboard's empty page.
    pub(super) fn new(current: &Arc<Current>, pages: Router, api: Router) -> Self {
        let token = {
            let current = Arc::clone(current);
            move || current.context().model.admin_token.clone()
        };
        Self {
            current: Arc::clone(current),
            own: pages.clone().merge(api.clone()),
            guarded: admin::token::guarded(pages.clone().merge(api), Arc::new(token))
                .merge(admin::dashboard::dashboard()),
            pages,
            callers: TaskTracker::new(),
        }
    }

    /// Returns when everybody has been answered who had asked when the doors were closed.
    pub(super) async fn answered(&self) {
        self.callers.close();
        self.callers.wait().await;
    }
}

/// Doors that are attended.
#[derive(Debug)]
pub(super) struct Attended {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Attended {
    /// Accepts nobody from now on. Those who have been accepted go on.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
