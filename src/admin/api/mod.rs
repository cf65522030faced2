//! The operator's interface: JSON over HTTP, below `/api/v1`.
//!
//! What it answers is made of types of its own, so that it stays the same when what they are made from changes; the command
//! line reads the same types. Times are in UTC and as RFC 3339 writes them, sizes are bytes.

mod error;
pub mod explain;
pub mod explanation;
pub mod handover;
pub mod jobs;
pub mod reload;
pub mod storages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post, put};

pub use error::{ApiError, ErrorShown};

use super::Steering;
use crate::session::{Context, Current};
use crate::store::Store;

/// What every request finds, whatever configuration is in force when it comes.
#[derive(Clone)]
pub struct Office {
    /// The configuration in force, with the storages and the jobs.
    pub current: Arc<Current>,
    /// What outlives the process.
    pub store: Arc<dyn Store>,
    /// The process itself.
    pub steering: Arc<dyn Steering>,
}

/// What the answers to one request are made of.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The storages and the jobs.
    pub context: Arc<Context>,
    /// What outlives the process.
    pub store: Arc<dyn Store>,
}

impl FromRef<Office> for Desk {
    fn from_ref(office: &Office) -> Self {
        Self {
            context: office.current.context(),
            store: Arc::clone(&office.store),
        }
    }
}

/// The interface.
pub fn api(office: Office) -> Router {
    Router::new()
        .route("/api/v1/storages", get(storages::all))
        .route("/api/v1/storages/{name}", get(storages::one))
        .route("/api/v1/storages/{name}/state", put(storages::decide))
        .route("/api/v1/jobs", get(jobs::all))
        .route("/api/v1/explain", post(explain::explain))
        .route("/api/v1/reload", post(reload::reload))
        .route("/api/v1/handover", get(handover::show).post(handover::hand_over))
        .with_state(office)
}
