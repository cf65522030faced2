//! Another configuration.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, ErrorShown, Office};
use crate::admin::Reloaded;

/// What a reload has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadShown {
    /// What is different now, by table and key.
    pub changes: Vec<String>,
    /// What is probably not meant as it is written.
    pub warnings: Vec<String>,
}

/// Reads the configuration anew and puts all of it into force, or nothing.
#[utoipa::path(
    post,
    path = "/api/v1/reload",
    responses(
        (status = 200, body = ReloadShown),
        (status = 409, description = "The configuration in force stays.", body = ErrorShown),
    ),
)]
pub(super) async fn reload(State(office): State<Office>) -> Result<Json<ReloadShown>, ApiError> {
    // Not to be broken off in the middle when the caller goes.
    let reloading = tokio::spawn(Arc::clone(&office.steering).reload());
    match reloading.await {
        Ok(Ok(Reloaded { changes, warnings })) => Ok(Json(ReloadShown { changes, warnings })),
        Ok(Err(refused)) => Err(ApiError::conflict(refused.reason, refused.details)),
        Err(error) => Err(ApiError::fault(error.to_string())),
    }
}
