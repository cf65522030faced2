//! What passed in the last hour.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use crate::session::rates::POINT_SECONDS;

/// The last hour, in points of equal length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrafficShown {
    /// Seconds of one point.
    pub point_seconds: u64,
    /// Each storage.
    pub storages: Vec<StorageTraffic>,
}

/// What passed to and from one storage: in bytes per second, the oldest point first. The point that has begun is
/// not there, nor are those from before the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageTraffic {
    /// Which.
    pub storage: String,
    /// To it.
    pub to_storage: Vec<u64>,
    /// From it.
    pub from_storage: Vec<u64>,
}

/// How much passed to and from each storage in the last hour.
#[utoipa::path(get, path = "/api/v1/traffic", responses((status = 200, body = TrafficShown)))]
pub(super) async fn traffic(State(desk): State<Desk>) -> Json<TrafficShown> {
    Json(shown(&desk))
}

pub(super) fn shown(desk: &Desk) -> TrafficShown {
    let now = Instant::now();
    let storages = desk.context.directory.storages().iter().map(|live| {
        let hour = desk.context.rates.of_hour(live.name(), now);
        StorageTraffic {
            storage: live.name().to_string(),
            to_storage: hour.iter().map(|rate| rate.to_storage).collect(),
            from_storage: hour.iter().map(|rate| rate.from_storage).collect(),
        }
    });
    TrafficShown {
        point_seconds: POINT_SECONDS,
        storages: storages.collect(),
    }
}
