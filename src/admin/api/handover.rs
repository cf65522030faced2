//! Another process.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, ErrorShown, Office};

/// The process, and those whose jobs it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SuccessionShown {
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PredecessorShown {
    /// Its number in the system.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The jobs that it has yet.
    pub jobs: usize,
}

/// What a handover has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandoverShown {
    /// The number of the process that serves now.
    pub successor: u32,
    /// That of the one that has handed over.
    pub predecessor: u32,
    /// The jobs that it has yet.
    pub jobs: usize,
}

/// Tells how the process is, and of those that have handed over.
#[utoipa::path(get, path = "/api/v1/handover", responses((status = 200, body = SuccessionShown)))]
pub(super) async fn show(State(office): State<Office>) -> Json<SuccessionShown> {
    let predecessors = office.current.context().peers.predecessors().into_iter();
    Json(SuccessionShown {
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

/// Starts the program anew and hands over to it; the answer comes when the new process serves.
#[utoipa::path(
    post,
    path = "/api/v1/handover",
    responses(
        (status = 200, body = HandoverShown),
        (status = 409, description = "Nothing has changed.", body = ErrorShown),
    ),
)]
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
