//! The jobs that wait for a storage.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use super::jobs::{self, JobShown, WaitShown};
use crate::session::JobView;

/// A job that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueuedShown {
    /// The job, with its group.
    #[serde(flatten)]
    pub job: JobShown,
    /// The process in which it waits, when that has handed over to the one that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<u32>,
    /// Its wait.
    #[serde(flatten)]
    pub wait: WaitShown,
    /// What is against each storage, in a line; a process that has handed over does not tell.
    pub reason: Option<String>,
}

/// The queues: the jobs that wait, by group, and in each the one first that has the fewest before it.
#[utoipa::path(get, path = "/api/v1/queue", responses((status = 200, body = Vec<QueuedShown>)))]
pub(super) async fn all(State(desk): State<Desk>) -> Json<Vec<QueuedShown>> {
    let mut queued: Vec<QueuedShown> = Vec::new();
    for JobView {
        process,
        facts,
        progress,
        ..
    } in jobs::views(&desk).await
    {
        let Some(wait) = progress.waits else { continue };
        queued.push(QueuedShown {
            job: jobs::shown(&facts),
            process,
            wait: jobs::wait(wait),
            reason: progress.explanation.map(|explanation| explanation.objections()),
        });
    }
    queued.sort_by(|one, other| (&one.job.group, one.wait.ahead).cmp(&(&other.job.group, other.wait.ahead)));
    Json(queued)
}
