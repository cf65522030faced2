//! The jobs on control connections, and the last ones that were, each with why it is where it is.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use super::explanation::ExplanationShown;
use crate::group::Condition;
use crate::session::{EndedJob, JobFacts, JobView, Wait};
use crate::types::Moment;

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobsShown {
    /// Those that have a storage, or look for one, the oldest first; with those of processes that have handed over.
    pub running: Vec<RunningShown>,
    /// Those of the process that answers that have ended, the youngest first. Not all: the last five hundred, or fewer
    /// in groups of many storages.
    pub recent: Vec<EndedShown>,
}

/// What is known of a job from its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobShown {
    /// The Director that runs it.
    pub director: String,
    /// Its number there.
    pub job_id: u32,
    /// Its unique name.
    pub job: String,
    /// The Job resource.
    pub name: String,
    /// Whose files they are.
    pub client: String,
    /// Backup, restore and so on.
    #[serde(rename = "type")]
    pub job_type: String,
    /// Full, incremental and so on.
    pub level: String,
    /// The group that it came to.
    pub group: String,
    /// When it came.
    pub arrived: String,
}

/// A job that runs or waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunningShown {
    /// The job.
    #[serde(flatten)]
    pub job: JobShown,
    /// The number of the process that runs it, if that has handed over; absent for jobs of the process that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<u32>,
    /// Where it is; none while it waits for a place.
    pub storage: Option<String>,
    /// When it was placed there.
    pub placed: Option<String>,
    /// What its data connection has sent to the storage so far, in bytes.
    pub to_storage_bytes: u64,
    /// What its data connection has got from the storage so far, in bytes.
    pub from_storage_bytes: u64,
    /// What it waits for, if it waits.
    pub waits: Option<WaitShown>,
    /// Why it is there, or nowhere yet; a process that has handed over does not tell.
    pub explanation: Option<ExplanationShown>,
}

/// A wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitShown {
    /// Since when.
    pub since: String,
    /// `busy`: storages are well and have enough to do. `down`: none is well.
    pub cause: String,
    /// How many jobs were to be served before it when that was last told.
    pub ahead: usize,
}

/// A job that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndedShown {
    /// The job.
    #[serde(flatten)]
    pub job: JobShown,
    /// Where it was, if it was anywhere.
    pub storage: Option<String>,
    /// When it was placed there.
    pub placed: Option<String>,
    /// When it ended.
    pub ended: String,
    /// How its session ended, in a word.
    pub end: String,
    /// The status that its storage reported.
    pub status: Option<String>,
    /// What went wrong with its session.
    pub error: Option<String>,
    /// What it wrote or read, as its storage reported it.
    pub bytes: u64,
    /// Why it was there, or nowhere.
    pub explanation: Option<ExplanationShown>,
}

/// The jobs that run or wait, and the last that have ended.
#[utoipa::path(get, path = "/api/v1/jobs", responses((status = 200, body = JobsShown)))]
pub(super) async fn all(State(desk): State<Desk>) -> Json<JobsShown> {
    let jobs = &desk.context.jobs;
    Json(JobsShown {
        running: views(&desk).await.iter().map(running).collect(),
        recent: jobs.recent().iter().map(|job| ended(job)).collect(),
    })
}

/// The jobs that run or wait as they are at this moment, the oldest first, with those of processes that have handed
/// over.
pub(super) async fn views(desk: &Desk) -> Vec<JobView> {
    let mut views = desk.context.processes.jobs().await;
    views.extend(desk.context.jobs.all().iter().map(|job| job.view()));
    views.sort_by_key(|view| (view.facts.arrived, view.facts.id));
    views
}

pub(super) fn shown(facts: &JobFacts) -> JobShown {
    JobShown {
        director: facts.director.to_string(),
        job_id: facts.id.0,
        job: facts.name.to_string(),
        name: facts.resource.to_string(),
        client: facts.client.to_string(),
        job_type: facts.job_type.to_string(),
        level: facts.level.to_string(),
        group: facts.group.to_string(),
        arrived: facts.arrived.rfc3339(),
    }
}

fn running(view: &JobView) -> RunningShown {
    RunningShown {
        explanation: view.progress.explanation.as_deref().map(ExplanationShown::from),
        ..brief(view)
    }
}

/// A job without what was weighed.
pub(super) fn brief(view: &JobView) -> RunningShown {
    let JobView { facts, progress, .. } = view;
    let (to_storage_bytes, from_storage_bytes) = view.moved;
    RunningShown {
        job: shown(facts),
        process: view.process,
        storage: progress.storage.as_ref().map(ToString::to_string),
        placed: progress.placed.map(Moment::rfc3339),
        to_storage_bytes,
        from_storage_bytes,
        waits: progress.waits.map(wait),
        explanation: None,
    }
}

pub(super) fn wait(wait: Wait) -> WaitShown {
    WaitShown {
        since: wait.since.rfc3339(),
        cause: match wait.condition {
            Condition::Busy => "busy",
            Condition::Down => "down",
        }
        .to_owned(),
        ahead: wait.ahead,
    }
}

fn ended(job: &EndedJob) -> EndedShown {
    EndedShown {
        job: shown(&job.facts),
        storage: job.storage.as_ref().map(ToString::to_string),
        placed: job.placed.map(Moment::rfc3339),
        ended: job.ended.rfc3339(),
        end: job.end.to_owned(),
        status: job.status.map(|status| status.to_string()),
        error: job.error.clone(),
        bytes: job.bytes.0,
        explanation: job.explanation.as_deref().map(ExplanationShown::from),
    }
}
