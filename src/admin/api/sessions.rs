//! The sessions: who is connected, and how one is ended.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, Desk, ErrorShown};
use crate::session::SessionView;

/// A connection whose caller is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionShown {
    /// Its number; no other session of the same process has it.
    pub number: u64,
    /// The number of the process whose it is, if that has handed over; absent for sessions of the process that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<u32>,
    /// `director` with a job, `console` with an operator's commands, `client` or `storage` with a job's data.
    pub kind: String,
    /// The other end.
    pub peer: String,
    /// The Director that calls, or that runs the job.
    pub director: String,
    /// The group that was called.
    pub group: String,
    /// The unique name of its job, if it has one.
    pub job: Option<String>,
    /// Since when it is known who it is with.
    pub began: String,
}

/// Whose session is to end.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndWanted {
    /// The process that has handed over; none is the one that answers.
    process: Option<u32>,
}

/// All sessions, the oldest first; after them those of processes that have handed over.
#[utoipa::path(get, path = "/api/v1/sessions", responses((status = 200, body = Vec<SessionShown>)))]
pub(super) async fn all(State(desk): State<Desk>) -> Json<Vec<SessionShown>> {
    let mut views: Vec<_> = desk.context.listed.all().iter().map(|session| session.view()).collect();
    views.extend(desk.context.processes.sessions().await);
    Json(views.iter().map(shown).collect())
}

/// Ends a session. With that of a Director, or with a data connection, its job ends: the Director is told, and the
/// storage gives it up.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{number}",
    params(
        ("number" = u64, Path, description = "The session's number"),
        ("process" = Option<u32>, Query, description = "The process whose session it is, if that has handed over"),
    ),
    responses(
        (status = 200, description = "It was asked to end.", body = SessionShown),
        (status = 400, body = ErrorShown),
        (status = 404, body = ErrorShown),
    ),
)]
pub(super) async fn end(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    wanted: Result<Query<EndWanted>, QueryRejection>,
) -> Result<Json<SessionShown>, ApiError> {
    let Query(EndWanted { process }) = wanted.map_err(|error| ApiError::wrong(error.body_text()))?;
    let wrong = |_| ApiError::wrong(format!("\"{number}\" is no session's number"));
    let parsed: u64 = number.parse().map_err(wrong)?;
    let (ended, whose) = match process.filter(|pid| *pid != std::process::id()) {
        Some(pid) => {
            let ended = desk.context.processes.end_session(pid, parsed).await;
            (ended, format!(" of a process {pid} that has handed over"))
        }
        None => (
            desk.context.listed.end(parsed).map(|session| session.view()),
            String::new(),
        ),
    };
    let missing = || ApiError::missing(format!("there is no session {number}{whose}; it may have ended"));
    ended.as_ref().map(shown).map(Json).ok_or_else(missing)
}

fn shown(session: &SessionView) -> SessionShown {
    let facts = &session.facts;
    SessionShown {
        number: session.number,
        process: session.process,
        kind: facts.kind.as_str().to_owned(),
        peer: facts.peer.to_string(),
        director: facts.director.to_string(),
        group: facts.group.to_string(),
        job: facts.job.as_ref().map(ToString::to_string),
        began: session.began.rfc3339(),
    }
}
