//! What passes between sdgroups that share a store.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::telemetry::names;
use crate::types::{JobName, PeerName};

/// A peer was heard of, or is not heard of any more.
#[derive(Debug)]
pub struct PeerTurned<'a> {
    /// Which.
    pub peer: &'a PeerName,
    /// It was heard of.
    pub is_alive: bool,
}

impl PeerTurned<'_> {
    /// Tells it.
    pub fn emit(self) {
        if self.is_alive {
            info!(event = "peer_heard", sdgroup = %self.peer, "another sdgroup shares the store");
        } else {
            warn!(
                event = "peer_silent",
                sdgroup = %self.peer,
                "another sdgroup is not heard of any more: its jobs count no longer"
            );
        }
    }
}

/// Another sdgroup on the store has the same name.
#[derive(Debug)]
pub struct PeerNamesake<'a> {
    /// The name.
    pub peer: &'a PeerName,
    /// Where the other one says that it can be reached.
    pub address: &'a str,
    /// The number of its process.
    pub pid: u32,
}

impl PeerNamesake<'_> {
    /// Tells it.
    pub fn emit(self) {
        error!(
            event = "peer_namesake",
            sdgroup = %self.peer,
            address = self.address,
            pid = self.pid,
            "another sdgroup has the same name, so neither counts the other's jobs: give each a Name of its own in [Peers]"
        );
    }
}

/// A peer that may have a job could not be asked for it.
#[derive(Debug)]
pub struct PeerFailed<'a, E> {
    /// Which.
    pub peer: &'a PeerName,
    /// The job.
    pub job: &'a JobName,
    /// Why.
    pub error: &'a E,
}

impl<E: Display> PeerFailed<'_, E> {
    /// Tells it.
    pub fn emit(self) {
        warn!(
            event = "peer_failed",
            sdgroup = %self.peer,
            job = %self.job,
            error = %self.error,
            "a data connection cannot be passed on to the sdgroup that has its job"
        );
    }
}

/// A data connection was passed on, and is over.
#[derive(Debug)]
pub struct ConnectionPassed<'a> {
    /// Whose it was.
    pub job: &'a JobName,
    /// The peer that has the job.
    pub peer: &'a PeerName,
    /// Who called.
    pub caller: SocketAddr,
    /// How much went to the peer.
    pub to_peer_bytes: u64,
    /// How much came from it.
    pub from_peer_bytes: u64,
    /// How long it lasted.
    pub duration: Duration,
    /// How it ended.
    pub end: &'static str,
}

impl ConnectionPassed<'_> {
    /// Counts one that begins: a backup of hours is to be seen before it is over.
    pub fn begins() {
        names::CONNECTIONS_PASSED.with(["out"]).increment(1);
    }

    /// Tells it.
    pub fn emit(self) {
        info!(
            event = "connection_passed",
            job = %self.job,
            sdgroup = %self.peer,
            caller = %self.caller,
            to_peer_bytes = self.to_peer_bytes,
            from_peer_bytes = self.from_peer_bytes,
            duration_seconds = self.duration.as_secs_f64(),
            end = self.end,
            "data connection passed on to the sdgroup that has its job"
        );
    }
}

/// A data connection came by way of a peer.
#[derive(Debug)]
pub struct ConnectionReceived<'a> {
    /// Whose it is.
    pub job: &'a JobName,
    /// The peer where it arrived.
    pub peer: &'a PeerName,
    /// Who called there.
    pub caller: SocketAddr,
}

impl ConnectionReceived<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::CONNECTIONS_PASSED.with(["in"]).increment(1);
        info!(
            event = "connection_received",
            job = %self.job,
            sdgroup = %self.peer,
            caller = %self.caller,
            "data connection that arrived at another sdgroup"
        );
    }
}
