//! Another process.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{ApiError, Office};

/// The process, and those whose jobs it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessShown {
    /// Its number in the system.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Whether the program's file has been replaced since it began: a handover starts the new one.
    pub is_replaced: bool,
    /// The processes that have handed over and have jobs yet.
    pub predecessors: Vec<PredecessorShown>,
}

/// A process that has handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredecessorShown {
    /// Its number in the system.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The jobs that it has yet.
    pub jobs: usize,
}

/// What a handover has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoverShown {
    /// The number of the process that serves now.
    pub successor: u32,
    /// That of the one that has handed over.
    pub predecessor: u32,
    /// The jobs that it has yet.
    pub jobs: usize,
}

pub(super) async fn show(State(office): State<Office>) -> Json<ProcessShown> {
    let predecessors = office.current.context().peers.predecessors().into_iter();
    Json(ProcessShown {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        is_replaced: office.steering.is_replaced(),
        predecessors: predecessors
            .map(|one| PredecessorShown {
                pid: one.pid,
                version: one.version,
                jobs: one.jobs,
            })
            .collect(),
    })
}

pub(super) async fn hand_over(State(office): State<Office>) -> Result<Json<HandoverShown>, ApiError> {
    // Not to be broken off in the middle when the caller goes.
    let handing = tokio::spawn(Arc::clone(&office.steering).hand_over());
    match handing.await {
        Ok(Ok(successor)) => Ok(Json(HandoverShown {
            successor,
            predecessor: std::process::id(),
            jobs: *office.current.context().jobs.count().borrow(),
        })),
        Ok(Err(why)) => Err(ApiError::conflict(format!("nothing has changed: {why}"), Vec::new())),
        Err(error) => Err(ApiError::fault(error.to_string())),
    }
}
