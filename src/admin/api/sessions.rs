//! The sessions: who is connected, and how one is ended.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, Desk, ErrorShown};
use crate::session::ListedSession;

/// A connection whose caller is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionShown {
    /// Its number; no other session of this process has it.
    pub number: u64,
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

/// All sessions, the oldest first.
#[utoipa::path(get, path = "/api/v1/sessions", responses((status = 200, body = Vec<SessionShown>)))]
pub(super) async fn all(State(desk): State<Desk>) -> Json<Vec<SessionShown>> {
    let sessions = desk.context.listed.all();
    Json(sessions.iter().map(|session| shown(session)).collect())
}

/// Ends a session. With that of a Director, or with a data connection, its job ends: the Director is told, and the storage
/// gives it up.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{number}",
    params(("number" = u64, Path, description = "The session's number")),
    responses(
        (status = 200, description = "It was asked to end.", body = SessionShown),
        (status = 400, body = ErrorShown),
        (status = 404, body = ErrorShown),
    ),
)]
pub(super) async fn end(State(desk): State<Desk>, Path(number): Path<String>) -> Result<Json<SessionShown>, ApiError> {
    let wrong = |_| ApiError::wrong(format!("\"{number}\" is no session's number"));
    let parsed: u64 = number.parse().map_err(wrong)?;
    match desk.context.listed.end(parsed) {
        Some(session) => Ok(Json(shown(&session))),
        None => Err(ApiError::missing(format!(
            "there is no session {number}; it may have ended"
        ))),
    }
}

fn shown(session: &ListedSession) -> SessionShown {
    let facts = &session.facts;
    SessionShown {
        number: session.number,
        kind: facts.kind.as_str().to_owned(),
        peer: facts.peer.to_string(),
        director: facts.director.to_string(),
        group: facts.group.to_string(),
        job: facts.job.as_ref().map(ToString::to_string),
        began: session.began.rfc3339(),
    }
}
