//! Another process.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, ErrorShown, Office};

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
