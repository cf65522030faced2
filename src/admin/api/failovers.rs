//! The last failovers.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use super::jobs::{self, JobShown};

/// A storage did not take a job, or lost it before it ran, and the job went on to another if there was one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailoverShown {
    /// The job.
    #[serde(flatten)]
    pub job: JobShown,
    /// When.
    pub at: String,
    /// The storage that the job left.
    pub from: String,
    /// Why, in a word; one of a fixed set.
    pub cause: String,
    /// The same for people.
    pub error: String,
}

/// The last hundred, the youngest first.
#[utoipa::path(get, path = "/api/v1/failovers", responses((status = 200, body = Vec<FailoverShown>)))]
pub(super) async fn all(State(desk): State<Desk>) -> Json<Vec<FailoverShown>> {
    Json(shown(&desk, usize::MAX))
}

/// The last `most`.
pub(super) fn shown(desk: &Desk, most: usize) -> Vec<FailoverShown> {
    let failovers = desk.context.jobs.failovers().into_iter().take(most);
    let shown = failovers.map(|failover| FailoverShown {
        job: jobs::shown(&failover.job),
        at: failover.at.rfc3339(),
        from: failover.from.to_string(),
        cause: failover.cause.to_owned(),
        error: failover.error,
    });
    shown.collect()
}
