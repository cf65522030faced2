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
    pages: Vec<(Arc<TcpListener>, SocketAddr)>,
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
        let mut pages = Vec::new();
        if let Some(address) = model.metrics_address {
            pages.push((inherited.listener(address, "MetricsAddress")?, address));
        }
        let other = model.admin_address;
        if let Some(address) = other.filter(|address| Some(*address) != model.metrics_address) {
            pages.push((inherited.listener(address, "AdminAddress")?, address));
        }
        let socket = inherited.admin_socket(&model.admin_socket)?;
        Ok(Self {
            listeners,
            pages,
            socket,
        })
    }

    /// All of them, and what they are.
    pub(super) fn passed(&self) -> (Passed, Vec<BorrowedFd<'_>>) {
        let tcp = self.listeners.iter().chain(&self.pages);
        let (mut sockets, addresses): (Vec<_>, _) = tcp.map(|(listener, address)| (listener.as_fd(), *address)).unzip();
        sockets.push(self.socket.as_fd());
        let passed = Passed {
            addresses,
            admin_socket: self.socket.path().to_owned(),
        };
        (passed, sockets)
    }

    /// Another process has them now: nothing of theirs is taken away when they are closed here.
    pub(super) fn leave(self) {
        self.socket.leave();
    }

    /// Attends to callers until `stop`, or until [`Attended::end`]. `lost` is cancelled when a listener ends before.
    pub(super) fn attend(&self, house: &House, stop: &CancellationToken, lost: &CancellationToken) -> Attended {
        let (stop, tasks) = (stop.child_token(), TaskTracker::new());
        let bounds = admin::server::Bounds::default();
        let own = house.own.clone();
        tasks.spawn(admin::server::serve(
            Arc::clone(&self.socket),
            own,
            bounds,
            stop.clone(),
        ));
        for (listener, _) in &self.pages {
            let pages = house.pages.clone();
            tasks.spawn(admin::server::serve(Arc::clone(listener), pages, bounds, stop.clone()));
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
    pub(super) current: Arc<Current>,
    /// On the operator's socket.
    pub(super) own: Router,
    /// At the addresses of pages.
    pub(super) pages: Router,
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
