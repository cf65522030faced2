//! The process itself.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use crate::types::Moment;

/// The process that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcessShown {
    /// What sdgroup calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its number in the system.
    pub pid: u32,
    /// `starting`, `ready`, `draining` or `stopped`.
    pub phase: String,
    /// When it started.
    pub started: String,
    /// Its clock when it answered.
    pub now: String,
    /// Why it cannot take every job, one line each; empty when it can. What `/readyz` says.
    pub obstacles: Vec<String>,
    /// What the operator should look at although every job is taken, one line each.
    pub remarks: Vec<String>,
    /// The jobs that run or wait.
    pub jobs: usize,
    /// Sessions whose callers are known.
    pub sessions: usize,
}

/// How the process is.
#[utoipa::path(get, path = "/api/v1/process", responses((status = 200, body = ProcessShown)))]
pub(super) async fn process(State(desk): State<Desk>) -> Json<ProcessShown> {
    Json(shown(&desk))
}

pub(super) fn shown(desk: &Desk) -> ProcessShown {
    let context = &desk.context;
    ProcessShown {
        name: context.model.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        phase: desk.vitals.phase().to_owned(),
        started: desk.started.rfc3339(),
        now: Moment::of(SystemTime::now()).rfc3339(),
        obstacles: desk.vitals.obstacles(),
        remarks: desk.vitals.remarks(),
        jobs: context.jobs.all().len(),
        sessions: context.listed.all().len(),
    }
}
