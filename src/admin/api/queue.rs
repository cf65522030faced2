//! The jobs that wait for a storage.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use super::jobs::{self, JobShown, WaitShown};

/// A job that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueuedShown {
    /// The job, with its group.
    #[serde(flatten)]
    pub job: JobShown,
    /// Its wait.
    #[serde(flatten)]
    pub wait: WaitShown,
    /// What is against each storage, in a line.
    pub reason: Option<String>,
}

/// The queues: the jobs that wait, by group, and in each the one first that has the fewest before it.
#[utoipa::path(get, path = "/api/v1/queue", responses((status = 200, body = Vec<QueuedShown>)))]
pub(super) async fn all(State(desk): State<Desk>) -> Json<Vec<QueuedShown>> {
    let mut queued: Vec<QueuedShown> = Vec::new();
    for job in jobs::live(&desk) {
        let progress = job.progress();
        let Some(wait) = progress.waits else { continue };
        queued.push(QueuedShown {
            job: jobs::shown(&job.facts),
            wait: jobs::wait(wait),
            reason: progress.explanation.map(|explanation| explanation.objections()),
        });
    }
    queued.sort_by(|one, other| (&one.job.group, one.wait.ahead).cmp(&(&other.job.group, other.wait.ahead)));
    Json(queued)
}
