//! The configuration that is in force, without its secrets. What was left out of the file is there with its default.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;
use crate::config::Model;
use crate::config::model::{self, Locality, RoomForJob, Threshold};

/// The configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigShown {
    /// What sdgroup calls itself.
    pub name: String,
    /// Where state is kept.
    pub state_directory: String,
    /// Where metrics are served.
    pub metrics_address: Option<String>,
    /// Where the dashboard and this interface are served.
    pub admin_address: Option<String>,
    /// The socket where this interface is served.
    pub admin_socket: String,
    /// The least severe level that is logged.
    pub log_level: String,
    /// Where Directors and Clients call.
    pub listeners: Vec<ListenerShown>,
    /// Who may log in as a Director.
    pub directors: Vec<DirectorShown>,
    /// The storages.
    pub storages: Vec<StorageConfigShown>,
    /// The groups.
    pub groups: Vec<GroupConfigShown>,
    /// How storages are probed.
    pub probe: ProbeShown,
    /// How storages are ejected by what traffic sees.
    pub ejection: EjectionShown,
}

/// An address that is listened at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerShown {
    /// Address and port.
    pub address: String,
    /// The group that is served there.
    pub group: String,
}

/// A Director.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DirectorShown {
    /// Its name.
    pub name: String,
    /// It may ask for the status, no more.
    pub monitor: bool,
    /// How many jobs it may have.
    pub limits: LimitsShown,
}

/// How many jobs there may be at once; any number where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsShown {
    /// In all.
    pub jobs: Option<u32>,
    /// That write.
    pub writing_jobs: Option<u32>,
    /// That read.
    pub reading_jobs: Option<u32>,
    /// More only where there is no other way.
    pub target_jobs: Option<u32>,
}

/// A storage, as it is configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StorageConfigShown {
    /// Its name.
    pub name: String,
    /// Its host name or address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its own word for the Device.
    pub device: Option<String>,
    /// Its own word for the MediaType.
    pub media_type: Option<String>,
    /// Its share where a policy weighs.
    pub weight: u32,
    /// How many jobs it may have.
    pub limits: LimitsShown,
    /// How many jobs have to prove it once it came back.
    pub slow_start_jobs: u32,
    /// The share of its room from which on it gets no job that writes, 0 to 1.
    pub high_water_mark: Option<f64>,
    /// The share below which it does again.
    pub low_water_mark: Option<f64>,
}

/// A group, as it is configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupConfigShown {
    /// Its name.
    pub name: String,
    /// Its storages.
    pub storages: Vec<String>,
    /// How they are ranked.
    pub policy: String,
    /// A policy that is asked, too, and not followed.
    pub shadow_policy: Option<String>,
    /// How much less room others may have and still count as alike, in bytes, if that is told in bytes.
    pub threshold_bytes: Option<u64>,
    /// The same as a share of the room of the roomiest.
    pub threshold_share: Option<f64>,
    /// `off`, `prefer` or `require`: whether later runs go where the last full is.
    pub locality: String,
    /// `ignore`, `prefer` or `require`: whether a job has to fit.
    pub room_for_job: String,
    /// The Director's word for the Device.
    pub device: Option<String>,
    /// The Director's word for the MediaType.
    pub media_type: Option<String>,
    /// How many jobs it may have.
    pub limits: LimitsShown,
    /// Its rules' names, in their order.
    pub rules: Vec<String>,
    /// How long a job waits while all storages are down.
    pub down_wait_seconds: f64,
    /// How long a job waits while storages are busy.
    pub busy_wait_seconds: f64,
    /// How many jobs may wait.
    pub maximum_queued_jobs: usize,
    /// How long an attempt to reach a storage may take.
    pub connect_timeout_seconds: f64,
    /// How long the login at a storage may take.
    pub login_timeout_seconds: f64,
    /// How long a storage that is asked for a device may be silent.
    pub reserve_timeout_seconds: f64,
}

/// How storages are probed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeShown {
    /// As whom.
    pub director: String,
    /// How often.
    pub interval_seconds: f64,
    /// How long one may take.
    pub timeout_seconds: f64,
    /// Good ones in a row that make a storage up.
    pub rise: u32,
    /// Bad ones in a row that make it down.
    pub fall: u32,
}

/// How storages are ejected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EjectionShown {
    /// Failures in a row that eject.
    pub failures: u32,
    /// How long the first ejection lasts.
    pub time_seconds: f64,
    /// Where the doubling ends.
    pub maximum_time_seconds: f64,
}

/// The configuration that is in force, without its secrets.
#[utoipa::path(get, path = "/api/v1/config", responses((status = 200, body = ConfigShown)))]
pub(super) async fn config(State(desk): State<Desk>) -> Json<ConfigShown> {
    Json(shown(&desk.context.model))
}

fn shown(model: &Model) -> ConfigShown {
    let Model { probe, ejection, .. } = model;
    ConfigShown {
        name: model.name.clone(),
        state_directory: model.state_directory.display().to_string(),
        metrics_address: model.metrics_address.map(|address| address.to_string()),
        admin_address: model.admin_address.map(|address| address.to_string()),
        admin_socket: model.admin_socket.display().to_string(),
        log_level: model.log.level.as_str().to_owned(),
        listeners: model.listeners.iter().map(listener).collect(),
        directors: model.directors.iter().map(director).collect(),
        storages: model.storages.iter().map(|config| storage(config)).collect(),
        groups: model.groups.iter().map(|config| group(config)).collect(),
        probe: ProbeShown {
            director: probe.director.to_string(),
            interval_seconds: probe.interval.as_secs_f64(),
            timeout_seconds: probe.timeout.as_secs_f64(),
            rise: probe.rise,
            fall: probe.fall,
        },
        ejection: EjectionShown {
            failures: ejection.failures,
            time_seconds: ejection.time.as_secs_f64(),
            maximum_time_seconds: ejection.maximum_time.as_secs_f64(),
        },
    }
}

fn listener(config: &model::Listener) -> ListenerShown {
    ListenerShown {
        address: config.address.to_string(),
        group: config.group.to_string(),
    }
}

fn director(config: &model::Director) -> DirectorShown {
    DirectorShown {
        name: config.name.to_string(),
        monitor: config.monitor,
        limits: limits(config.limits),
    }
}

fn limits(limits: model::Limits) -> LimitsShown {
    LimitsShown {
        jobs: limits.maximum,
        writing_jobs: limits.maximum_write,
        reading_jobs: limits.maximum_read,
        target_jobs: limits.target,
    }
}

fn storage(config: &model::Storage) -> StorageConfigShown {
    StorageConfigShown {
        name: config.name.to_string(),
        address: config.address.clone(),
        port: config.port,
        device: config.device.as_ref().map(ToString::to_string),
        media_type: config.media_type.as_ref().map(ToString::to_string),
        weight: config.weight,
        limits: limits(config.limits),
        slow_start_jobs: config.slow_start_jobs,
        high_water_mark: config.water_marks.map(|marks| marks.high),
        low_water_mark: config.water_marks.map(|marks| marks.low),
    }
}

fn group(config: &model::Group) -> GroupConfigShown {
    let seconds = |length: Duration| length.as_secs_f64();
    GroupConfigShown {
        name: config.name.to_string(),
        storages: config.members.iter().map(ToString::to_string).collect(),
        policy: config.policy.to_string(),
        shadow_policy: config.shadow_policy.map(|policy| policy.to_string()),
        threshold_bytes: match config.threshold {
            Threshold::Bytes(bytes) => Some(bytes.0),
            Threshold::Share(_) => None,
        },
        threshold_share: match config.threshold {
            Threshold::Bytes(_) => None,
            Threshold::Share(share) => Some(share),
        },
        locality: match config.locality {
            Locality::Off => "off",
            Locality::Prefer => "prefer",
            Locality::Require => "require",
        }
        .to_owned(),
        room_for_job: match config.room_for_job {
            RoomForJob::Ignore => "ignore",
            RoomForJob::Prefer => "prefer",
            RoomForJob::Require => "require",
        }
        .to_owned(),
        device: config.device.as_ref().map(ToString::to_string),
        media_type: config.media_type.as_ref().map(ToString::to_string),
        limits: limits(config.limits),
        rules: config.rules.iter().map(|rule| rule.name.clone()).collect(),
        down_wait_seconds: seconds(config.down_wait),
        busy_wait_seconds: seconds(config.busy_wait),
        maximum_queued_jobs: config.maximum_queued_jobs,
        connect_timeout_seconds: seconds(config.connect_timeout),
        login_timeout_seconds: seconds(config.login_timeout),
        reserve_timeout_seconds: seconds(config.reserve_timeout),
    }
}
