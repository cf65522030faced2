//! The groups.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use crate::group::Group;

/// Several storages that look like one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupShown {
    /// Its name.
    pub name: String,
    /// How its storages are ranked.
    pub policy: String,
    /// A policy that is asked, too, and not followed.
    pub shadow_policy: Option<String>,
    /// Where Directors and Clients call it.
    pub addresses: Vec<String>,
    /// Its storages, in the order of the configuration.
    pub storages: Vec<String>,
    /// How many of them get jobs that write.
    pub usable_storages: usize,
    /// Its jobs that have a storage.
    pub jobs: usize,
    /// Its jobs that wait for one.
    pub waiting_jobs: usize,
    /// What is wrong with the releases of its storages.
    pub warning: Option<String>,
}

/// How all groups are.
#[utoipa::path(get, path = "/api/v1/groups", responses((status = 200, body = Vec<GroupShown>)))]
pub(super) async fn all(State(desk): State<Desk>) -> Json<Vec<GroupShown>> {
    Json(shown(&desk))
}

pub(super) fn shown(desk: &Desk) -> Vec<GroupShown> {
    let groups = desk.context.directory.groups().iter();
    groups.map(|group| one(desk, group)).collect()
}

fn one(desk: &Desk, group: &Group) -> GroupShown {
    let (context, now) = (&desk.context, Instant::now());
    let listeners = context.model.listeners.iter();
    let listeners = listeners.filter(|listener| listener.group == *group.name());
    let jobs = context.jobs.all();
    let placed = jobs
        .iter()
        .filter(|job| job.facts.group == *group.name() && job.storage().is_some());
    let members = group.members();
    GroupShown {
        name: group.name().to_string(),
        policy: group.config().policy.to_string(),
        shadow_policy: group.config().shadow_policy.map(|policy| policy.to_string()),
        addresses: listeners.map(|listener| listener.address.to_string()).collect(),
        storages: members.iter().map(|member| member.name().to_string()).collect(),
        usable_storages: group.usable(now).len(),
        jobs: placed.count(),
        waiting_jobs: group.waiting(),
        warning: group.releases().warning(),
    }
}
