//! The volume ledger.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, Desk, ErrorShown};
use crate::store::VolumeRecord;
use crate::types::{Moment, StorageName};

/// How many are told at once when nothing is said.
const MOST: usize = 1_000;

/// Which ones.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VolumesWanted {
    /// Only those of this storage.
    storage: Option<String>,
    /// Only those whose names come after this one.
    after: Option<String>,
    /// How many at most; 1000 when left out.
    most: Option<usize>,
}

/// Volumes, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumesShown {
    /// Some of them.
    pub volumes: Vec<VolumeShown>,
    /// How many there are in all, of this storage if one was named.
    pub total: usize,
    /// There are more: ask for those after this one.
    pub next_after: Option<String>,
}

/// A volume, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumeShown {
    /// Its name.
    pub volume: String,
    /// The storage that holds it.
    pub storage: String,
    /// Its media type, if it was told.
    pub media_type: Option<String>,
    /// Its pool, if it was told.
    pub pool: Option<String>,
    /// How its place is known: `learned`, `assigned` or `imported`.
    pub source: String,
    /// When it was first heard of.
    pub first_seen: String,
    /// When that was last changed.
    pub updated: String,
    /// By whom: a job, or an operator.
    pub updated_by: Option<String>,
}

/// Which storage holds which volume.
#[utoipa::path(
    get,
    path = "/api/v1/volumes",
    params(
        ("storage" = Option<String>, Query, description = "Only those of this storage"),
        ("after" = Option<String>, Query, description = "Only those whose names come after this one"),
        ("most" = Option<usize>, Query, description = "How many at most; 1000 when left out"),
    ),
    responses(
        (status = 200, body = VolumesShown),
        (status = 400, body = ErrorShown),
        (status = 500, description = "The ledger cannot be read.", body = ErrorShown),
    ),
)]
pub(super) async fn all(
    State(desk): State<Desk>,
    wanted: Result<Query<VolumesWanted>, QueryRejection>,
) -> Result<Json<VolumesShown>, ApiError> {
    let Query(wanted) = wanted.map_err(|rejection| ApiError::wrong(rejection.body_text()))?;
    let storage = wanted.storage.as_deref().map(StorageName::new).transpose();
    let storage = storage.map_err(|error| ApiError::wrong(format!("that is no storage: {error}")))?;
    let records = desk.context.ledger.list(storage.as_ref()).await;
    let records = records.map_err(|error| ApiError::fault(error.to_string()))?;
    let total = records.len();
    let is_after = |record: &VolumeRecord| {
        wanted
            .after
            .as_deref()
            .is_none_or(|after| record.volume.as_str() > after)
    };
    let mut rest = records.iter().filter(|record| is_after(record));
    let volumes: Vec<VolumeShown> = rest.by_ref().take(wanted.most.unwrap_or(MOST)).map(shown).collect();
    let next_after = rest.next().and(volumes.last()).map(|last| last.volume.clone());
    Ok(Json(VolumesShown {
        volumes,
        total,
        next_after,
    }))
}

fn shown(record: &VolumeRecord) -> VolumeShown {
    VolumeShown {
        volume: record.volume.to_string(),
        storage: record.storage.to_string(),
        media_type: record.media_type.as_ref().map(ToString::to_string),
        pool: record.pool.as_ref().map(ToString::to_string),
        source: record.source.as_str().to_owned(),
        first_seen: Moment(record.first_seen).rfc3339(),
        updated: Moment(record.updated).rfc3339(),
        updated_by: record.updated_by.clone(),
    }
}
