//! The sdgroups that share the store, this one among them.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use crate::net::dial::target;
use crate::session::fleet::Fleet;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerShown {
    /// What it is called.
    pub name: String,
    /// Where the others reach it.
    pub address: String,
    /// Its version.
    pub version: String,
    /// How many jobs it has, those that wait among them.
    pub jobs: u64,
    /// How many of them wait.
    pub waiting_jobs: u64,
    /// How many seconds ago it was heard of last; 0 for the one that answers.
    pub silent_seconds: u64,
    /// Its jobs count here, and it is called.
    pub is_alive: bool,
    /// It is the one that answers.
    pub is_this: bool,
}

/// All that were heard of within an hour, the one that answers first. None without [Peers].
#[utoipa::path(get, path = "/api/v1/peers", responses((status = 200, body = Vec<PeerShown>)))]
pub(super) async fn all(State(desk): State<Desk>) -> Json<Vec<PeerShown>> {
    Json(shown(&desk))
}

pub(super) fn shown(desk: &Desk) -> Vec<PeerShown> {
    let Some(fleet) = &desk.context.fleet else {
        return Vec::new();
    };
    let peers = fleet.peers().into_iter().map(|peer| PeerShown {
        address: target(&peer.address, peer.port),
        jobs: peer.jobs,
        waiting_jobs: peer.queued,
        silent_seconds: peer.silent().as_secs(),
        is_alive: peer.is_alive(),
        is_this: false,
        name: peer.name.to_string(),
        version: peer.version,
    });
    std::iter::once(this(desk, fleet)).chain(peers).collect()
}

fn this(desk: &Desk, fleet: &Fleet) -> PeerShown {
    let own = fleet.own();
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    PeerShown {
        name: own.name.to_string(),
        address: target(&own.address, own.port),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        jobs: number(desk.context.jobs.all().len()),
        waiting_jobs: number(desk.context.directory.waiting()),
        silent_seconds: 0,
        is_alive: true,
        is_this: true,
    }
}
