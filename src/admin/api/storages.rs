//! The storages, and what the operator wants of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, Desk, ErrorShown};
use crate::config::spelling::did_you_mean;
use crate::group::{Availability, Group, StorageLive};
use crate::types::{self, Decision, Moment, Release, StorageName};

/// How long a reason may be: it goes into job logs.
const MAX_REASON_CHARS: usize = 200;

/// How long the name of who decides may be.
const MAX_BY_CHARS: usize = 64;

/// A storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageShown {
    /// Its name.
    pub name: String,
    /// The groups that it is a member of.
    pub groups: Vec<String>,
    /// What the operator wants of it: `ready`, `draining`, `sealed` or `maintenance`.
    pub state: String,
    /// Who wants that, unless it is simply ready.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// Until when, if that is settled.
    pub until: Option<String>,
    /// What probes see: `up`, `down` or `unknown`.
    pub availability: String,
    /// For how long traffic keeps away from it yet, in seconds, if it does.
    pub ejected_seconds: Option<u64>,
    /// What is wrong with it.
    pub trouble: Option<String>,
    /// Whether it has reached its high water mark, or will by the jobs that run, and gets no jobs that write.
    pub too_full: bool,
    /// Whether it gets jobs that write, when it has room for them in number.
    pub gets_jobs: bool,
    /// The jobs on it.
    pub jobs: u32,
    /// Those of them that read.
    pub reading_jobs: u32,
    /// How many it may have.
    pub jobs_limit: Option<u32>,
    /// The room left on it at the last probe that was told it.
    pub free_bytes: Option<u64>,
    /// The room on it in all.
    pub total_bytes: Option<u64>,
    /// How old that is, in seconds.
    pub room_age_seconds: Option<u64>,
    /// Its release of Bacula.
    pub release: Option<String>,
    /// What goes to it just now, in bytes per second.
    pub to_storage_bytes_per_second: u64,
    /// What comes from it just now, in bytes per second.
    pub from_storage_bytes_per_second: u64,
}

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StateWanted {
    /// `ready`, `draining`, `sealed` or `maintenance`.
    pub state: String,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// Until when; or
    pub until: Option<String>,
    /// for so many seconds. Until it is changed when both are left out.
    pub seconds: Option<u64>,
}

/// How all storages are.
#[utoipa::path(get, path = "/api/v1/storages", responses((status = 200, body = Vec<StorageShown>)))]
pub(super) async fn all(State(desk): State<Desk>) -> Json<Vec<StorageShown>> {
    Json(all_shown(&desk))
}

/// How one storage is.
#[utoipa::path(
    get,
    path = "/api/v1/storages/{name}",
    params(("name" = String, Path, description = "The storage's name")),
    responses((status = 200, body = StorageShown), (status = 404, body = ErrorShown)),
)]
pub(super) async fn one(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Json<StorageShown>, ApiError> {
    let live = find(&desk, &name)?;
    Ok(Json(shown(&desk, &live)))
}

/// Puts a storage into a state.
#[utoipa::path(
    put,
    path = "/api/v1/storages/{name}/state",
    params(("name" = String, Path, description = "The storage's name")),
    request_body = StateWanted,
    responses(
        (status = 200, description = "It is in force.", body = StorageShown),
        (status = 400, body = ErrorShown),
        (status = 404, body = ErrorShown),
        (status = 500, description = "It is in force, but cannot be kept over a restart.", body = ErrorShown),
    ),
)]
pub(super) async fn decide(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    wanted: Result<Json<StateWanted>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<StorageShown>, ApiError> {
    let Json(wanted) = wanted.map_err(|rejection| ApiError::wrong(rejection.body_text()))?;
    let live = find(&desk, &name)?;
    let decision = decision(wanted, Moment::now())?;
    // Not to be broken off in the middle when the caller goes.
    let (context, decided) = (Arc::clone(&desk.context), Arc::clone(&live));
    let kept = tokio::spawn(async move { context.states.decide(&decided, decision).await });
    match kept.await {
        Ok(Ok(())) => Ok(Json(shown(&desk, &live))),
        Ok(Err(error)) => Err(ApiError::fault(format!(
            "it is in force, but cannot be kept over a restart: {error}"
        ))),
        Err(error) => Err(ApiError::fault(error.to_string())),
    }
}

fn find(desk: &Desk, name: &str) -> Result<Arc<StorageLive>, ApiError> {
    let directory = &desk.context.directory;
    let found = StorageName::new(name).ok().and_then(|name| directory.storage(&name));
    found.ok_or_else(|| {
        let all = directory.storages().iter().map(|live| live.name().as_str());
        ApiError::missing(format!("there is no storage \"{name}\"; {}", did_you_mean(name, all)))
    })
}

fn decision(wanted: StateWanted, now: Moment) -> Result<Decision, ApiError> {
    let StateWanted {
        state,
        by,
        reason,
        until,
        seconds,
    } = wanted;
    let state = types::State::from_word(&state).ok_or_else(|| {
        let all = types::State::ALL.iter().map(|state| state.as_str());
        ApiError::wrong(format!("\"{state}\" is no state; {}", did_you_mean(&state, all)))
    })?;
    let until = match (until, seconds) {
        (Some(_), Some(_)) => return Err(ApiError::wrong("say either until or seconds")),
        (Some(text), None) => Some(
            Moment::parse(&text)
                .ok_or_else(|| ApiError::wrong(format!("\"{text}\" is no time like 2026-11-23T00:20:37Z")))?,
        ),
        (None, seconds) => seconds.map(|seconds| now.plus(Duration::from_secs(seconds))),
    };
    if let Some(until) = until.filter(|until| *until <= now) {
        return Err(ApiError::wrong(format!("{until} is over; it is {now}")));
    }
    if until.is_some() && state == types::State::Ready {
        return Err(ApiError::wrong(
            "ready is what a storage is when nothing else is wanted: it has no end",
        ));
    }
    Ok(Decision {
        state,
        by: line("by", &by, MAX_BY_CHARS)?,
        reason: reason
            .filter(|reason| !reason.trim().is_empty())
            .map(|reason| line("reason", &reason, MAX_REASON_CHARS))
            .transpose()?,
        since: now,
        until,
    })
}

/// One line that goes into job logs.
fn line(what: &str, text: &str, most: usize) -> Result<String, ApiError> {
    if text.trim().is_empty() {
        return Err(ApiError::wrong(format!("{what} is empty")));
    }
    if text.chars().any(char::is_control) {
        return Err(ApiError::wrong(format!("{what} is to be one line of text")));
    }
    if text.chars().count() > most {
        return Err(ApiError::wrong(format!("{what} has more than {most} characters")));
    }
    Ok(text.trim().to_owned())
}

/// All of them, in the order of the configuration.
pub(super) fn all_shown(desk: &Desk) -> Vec<StorageShown> {
    let directory = &desk.context.directory;
    let usable = usable(directory.groups().iter());
    let storages = directory.storages().iter();
    storages.map(|live| one_shown(desk, live, &usable)).collect()
}

fn shown(desk: &Desk, live: &StorageLive) -> StorageShown {
    let groups = desk.context.directory.groups().iter();
    one_shown(desk, live, &usable(groups.filter(|group| has(group, live))))
}

/// The storages to which one of the groups gives jobs. It looks at every member, so all storages are shown by one look.
fn usable<'a>(groups: impl Iterator<Item = &'a Arc<Group>>) -> HashSet<StorageName> {
    let now = Instant::now();
    let usable = groups.flat_map(|group| group.usable(now));
    usable.map(|member| member.name().clone()).collect()
}

fn has(group: &Group, live: &StorageLive) -> bool {
    group.members().iter().any(|member| member.name() == live.name())
}

fn one_shown(desk: &Desk, live: &StorageLive, usable: &HashSet<StorageName>) -> StorageShown {
    let now = Instant::now();
    let view = live.view(now);
    let rate = desk.context.rates.of(live.name(), now);
    let decision = view.decision.as_deref();
    let groups = desk.context.directory.groups().iter();
    StorageShown {
        name: view.storage.to_string(),
        groups: groups
            .filter(|group| has(group, live))
            .map(|group| group.name().to_string())
            .collect(),
        state: view.state().to_string(),
        by: decision.map(|decision| decision.by.clone()),
        reason: decision.and_then(|decision| decision.reason.clone()),
        since: decision.map(|decision| decision.since.rfc3339()),
        until: decision.and_then(|decision| decision.until).map(Moment::rfc3339),
        availability: word(view.availability).to_owned(),
        ejected_seconds: view.ejected_for.map(|left| left.as_secs()),
        trouble: view.trouble.as_ref().map(|trouble| trouble.text.to_string()),
        too_full: view.too_full,
        gets_jobs: usable.contains(live.name()),
        jobs: view.running,
        reading_jobs: view.reading,
        jobs_limit: Some(view.limit).filter(|limit| *limit != u32::MAX),
        free_bytes: view.room.map(|room| room.space.free.0),
        total_bytes: view.room.map(|room| room.space.total.0),
        room_age_seconds: view.room.map(|room| room.age.as_secs()),
        release: view.storage_version.map(|version| {
            Release::from_storage(version).map_or_else(|| version.to_string(), |release| release.to_string())
        }),
        to_storage_bytes_per_second: rate.to_storage,
        from_storage_bytes_per_second: rate.from_storage,
    }
}

fn word(availability: Availability) -> &'static str {
    match availability {
        Availability::Unknown => "unknown",
        Availability::Up => "up",
        Availability::Down => "down",
    }
}
