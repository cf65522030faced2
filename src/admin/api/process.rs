//! The process itself.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use crate::session::Context;
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
    /// Whether the program's file has been replaced since it began: a handover starts the new one.
    pub is_replaced: bool,
    /// The processes that have handed over and have jobs yet.
    pub predecessors: Vec<PredecessorShown>,
    /// The jobs that run or wait.
    pub jobs: usize,
    /// Sessions whose callers are known.
    pub sessions: usize,
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

/// How the process is, and of those that have handed over to it.
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
        now: Moment::now().rfc3339(),
        obstacles: desk.vitals.obstacles(),
        remarks: desk.vitals.remarks(),
        is_replaced: desk.steering.is_replaced(),
        predecessors: predecessors(context),
        jobs: context.jobs.all().len(),
        sessions: context.listed.all().len(),
    }
}

fn predecessors(context: &Context) -> Vec<PredecessorShown> {
    let predecessors = context.processes.predecessors().into_iter();
    predecessors
        .map(|one| PredecessorShown {
            pid: one.pid,
            version: one.version,
            jobs: one.jobs,
        })
        .collect()
}
