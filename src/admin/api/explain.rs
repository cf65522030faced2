//! What would happen to a job that came now.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::explanation::ExplanationShown;
use super::{ApiError, Desk, ErrorShown};
use crate::config::spelling::did_you_mean;
use crate::group::{Access, Group, Origin, PlacementRequest};
use crate::store::JobRecord;
use crate::types::{
    ClientName, DirectorName, FileSetName, GroupName, JobId, JobLevel, JobName, JobResourceName, JobType, NameError,
};

/// Of how many of the last jobs is taken what the request leaves out.
const RECALLED: u64 = 10_000;

/// The job. What is left out is taken from the last run of a job of this name, if one is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainWanted {
    /// The group; may be left out where there is one, or where the job's last run was in one.
    pub group: Option<String>,
    /// The Job resource.
    pub job: String,
    /// Full, incremental, differential; full when nothing is said.
    pub level: Option<String>,
    /// Backup when nothing is said.
    #[serde(rename = "type")]
    pub job_type: Option<String>,
    /// The Director; may be left out where there is one.
    pub director: Option<String>,
    /// The Client.
    pub client: Option<String>,
    /// The FileSet.
    pub fileset: Option<String>,
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explained {
    /// The group that was asked.
    pub group: String,
    /// The Director that the job is taken to be of.
    pub director: String,
    /// The Job resource.
    pub job: String,
    /// The level.
    pub level: String,
    /// The type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// The Client.
    pub client: String,
    /// The FileSet.
    pub fileset: String,
    /// Whether a run of this job is remembered.
    pub is_known: bool,
    /// Where it would go, and why.
    pub explanation: ExplanationShown,
}

/// What stands for a name that is nowhere to be had.
const UNKNOWN: &str = "unknown";

/// Where a job would go that came now, and why. Nothing happens by asking.
#[utoipa::path(
    post,
    path = "/api/v1/explain",
    request_body = ExplainWanted,
    responses(
        (status = 200, body = Explained),
        (status = 400, body = ErrorShown),
        (status = 404, body = ErrorShown),
    ),
)]
pub(super) async fn explain(
    State(desk): State<Desk>,
    wanted: Result<Json<ExplainWanted>, JsonRejection>,
) -> Result<Json<Explained>, ApiError> {
    let Json(wanted) = wanted.map_err(|rejection| ApiError::wrong(rejection.body_text()))?;
    let last = recall(&desk, &wanted).await?;
    let group = group(&desk, &wanted, last.as_ref())?;
    let request = request(&desk, wanted, last.as_ref())?;
    let explanation = desk.context.directory.explain(&group, &request, Instant::now());
    Ok(Json(Explained {
        group: group.name().to_string(),
        director: request.director.to_string(),
        job: request.job_resource.to_string(),
        level: request.level.to_string(),
        job_type: request.job_type.to_string(),
        client: request.client.to_string(),
        fileset: request.fileset.to_string(),
        is_known: last.is_some(),
        explanation: ExplanationShown::from(&*explanation),
    }))
}

/// The last run of a job of this name.
async fn recall(desk: &Desk, wanted: &ExplainWanted) -> Result<Option<JobRecord>, ApiError> {
    let jobs = desk.store.jobs(0, RECALLED).await;
    let jobs = jobs.map_err(|error| ApiError::fault(error.to_string()))?;
    let same = |record: &JobRecord| {
        let of_director = |name: &String| record.director.as_str().eq_ignore_ascii_case(name);
        record.resource.as_str() == wanted.job && wanted.director.as_ref().is_none_or(of_director)
    };
    Ok(jobs.into_iter().rev().find(same))
}

fn group(desk: &Desk, wanted: &ExplainWanted, last: Option<&JobRecord>) -> Result<Arc<Group>, ApiError> {
    let directory = &desk.context.directory;
    if let Some(name) = &wanted.group {
        let found = GroupName::new(name).ok().and_then(|name| directory.group(&name));
        return found.ok_or_else(|| {
            let all = directory.groups().iter().map(|group| group.name().as_str());
            ApiError::missing(format!("there is no group \"{name}\"; {}", did_you_mean(name, all)))
        });
    }
    let of_last = last.and_then(|last| directory.group(&last.group));
    match (of_last, directory.groups()) {
        (Some(group), _) => Ok(group),
        (None, [only]) => Ok(Arc::clone(only)),
        (None, several) => {
            let all: Vec<&str> = several.iter().map(|group| group.name().as_str()).collect();
            Err(ApiError::wrong(format!("say which group: {}", all.join(", "))))
        }
    }
}

fn request(desk: &Desk, wanted: ExplainWanted, last: Option<&JobRecord>) -> Result<PlacementRequest, ApiError> {
    let director = match (wanted.director, last, desk.context.model.directors.as_slice()) {
        (Some(name), ..) => name,
        (None, Some(last), _) => last.director.to_string(),
        (None, None, [only]) => only.name.to_string(),
        (None, None, several) => {
            let all: Vec<&str> = several.iter().map(|director| director.name.as_str()).collect();
            return Err(ApiError::wrong(format!("say which Director: {}", all.join(", "))));
        }
    };
    let level = wanted.level.as_deref().unwrap_or("full");
    let level = JobLevel::from_word(level).ok_or_else(|| {
        let all = JobLevel::ALL.iter().map(|level| level.as_str());
        ApiError::wrong(format!("\"{level}\" is no level; {}", did_you_mean(level, all)))
    })?;
    let job_type = wanted.job_type.as_deref().unwrap_or("backup");
    let job_type = JobType::from_word(job_type).ok_or_else(|| {
        let all = JobType::ALL.iter().map(|job_type| job_type.as_str());
        ApiError::wrong(format!(
            "\"{job_type}\" is no type of a job; {}",
            did_you_mean(job_type, all)
        ))
    })?;
    if job_type != JobType::Backup || level == JobLevel::VirtualFull {
        return Err(ApiError::wrong(
            "a job that reads goes where its volumes are, whatever the policy says: see sdgroup volumes list",
        ));
    }
    let name = |given: Option<String>, known: Option<String>| given.or(known).unwrap_or_else(|| UNKNOWN.to_owned());
    Ok(PlacementRequest {
        director: named("director", &director, DirectorName::new)?,
        job: named("job", "explained", JobName::new)?,
        job_id: JobId(0),
        job_resource: named("job", &wanted.job, JobResourceName::new)?,
        client: named(
            "client",
            &name(wanted.client, last.map(|last| last.client.to_string())),
            ClientName::new,
        )?,
        job_type,
        level,
        fileset: named(
            "fileset",
            &name(wanted.fileset, last.map(|last| last.fileset.to_string())),
            FileSetName::new,
        )?,
        access: Access::Write,
        origin: Origin::New,
    })
}

fn named<N>(what: &str, text: &str, make: fn(&str) -> Result<N, NameError>) -> Result<N, ApiError> {
    make(text).map_err(|error| ApiError::wrong(format!("{what} \"{text}\": {error}")))
}
