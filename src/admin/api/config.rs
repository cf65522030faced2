//! The configuration that is in force, without its secrets. What was left out of the file is there with its default.

mod shown;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Desk;

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
    /// `text` or `json`: how the log is written.
    pub log_format: String,
    /// The least severe level that is logged.
    pub log_level: String,
    /// How long a new connection may take to send its first packet.
    pub first_packet_timeout_seconds: f64,
    /// How long a Director's or a Client's login may take.
    pub login_timeout_seconds: f64,
    /// How long a Client that is quicker than its job is kept waiting.
    pub route_wait_seconds: f64,
    /// TLS on data connections that sdgroup is one end of.
    pub tls: TlsShown,
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
    /// How much is remembered of jobs that have ended.
    pub history: HistoryShown,
    /// The database that is shared with other sdgroups, if there is one.
    pub store: Option<DatabaseShown>,
    /// What this sdgroup says of itself to those, if they pass on each other's data connections.
    pub peers: Option<PeersConfigShown>,
}

/// TLS with one kind of peer, in Bacula's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TlsShown {
    /// With certificates: `none`, `possible` or `required`.
    pub certificates: String,
    /// With the shared key: `none`, `possible` or `required`.
    pub psk: String,
    /// It ends with the login.
    pub only_login: bool,
    /// The file of the authorities that are trusted.
    pub ca_certificate_file: Option<String>,
    /// The directory of the authorities that are trusted.
    pub ca_certificate_directory: Option<String>,
    /// The file of sdgroup's certificate.
    pub certificate_file: Option<String>,
    /// The file of its key.
    pub key_file: Option<String>,
    /// The peer has to show a certificate of a trusted authority.
    pub verify_peer: bool,
    /// The common names that are let in; any if there is none.
    pub allowed_common_names: Vec<String>,
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
    /// TLS on its connections.
    pub tls: TlsShown,
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
    /// TLS on connections to it.
    pub tls: TlsShown,
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
    /// Which of its jobs are placed otherwise; the first that fits a job counts.
    pub rules: Vec<RuleShown>,
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

/// Which jobs of a group are placed otherwise, and how. A list that is empty fits every job; `*` and `?` stand for
/// anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleShown {
    /// Its name.
    pub name: String,
    /// The Directors' names.
    pub directors: Vec<String>,
    /// The Job resources.
    pub jobs: Vec<String>,
    /// The Clients.
    pub clients: Vec<String>,
    /// The FileSets.
    pub filesets: Vec<String>,
    /// The levels.
    pub levels: Vec<String>,
    /// The types.
    pub types: Vec<String>,
    /// The storages that its jobs may be placed on, if not all of the group.
    pub storages: Option<Vec<String>>,
    /// How they are ranked, if not as in the group.
    pub policy: Option<String>,
    /// `off`, `prefer` or `require`, if not as in the group.
    pub locality: Option<String>,
    /// `ignore`, `prefer` or `require`, if not as in the group.
    pub room_for_job: Option<String>,
    /// Its jobs' place in the queue, if not the usual one: a lower number is served first.
    pub priority: Option<u32>,
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
    /// By which share of itself the interval varies, either way.
    pub jitter: f64,
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

/// How much is remembered of jobs that have ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryShown {
    /// For how long.
    pub retention_seconds: f64,
    /// Of how many at most.
    pub maximum_jobs: u64,
}

/// A PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatabaseShown {
    /// The machines that it may be on.
    pub hosts: Vec<DatabaseHostShown>,
    /// Its name.
    pub name: String,
    /// As whom sdgroup logs in.
    pub user: String,
    /// `disable`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub ssl_mode: String,
    /// The file of the authorities that are trusted.
    pub ssl_ca: Option<String>,
}

/// A machine that a database may be on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatabaseHostShown {
    /// Host name, address, or the folder of a socket.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What an sdgroup says of itself to the others of its store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeersConfigShown {
    /// Its name among them.
    pub name: String,
    /// Where they reach it.
    pub address: String,
    /// The port there.
    pub port: u16,
}

/// The configuration that is in force, without its secrets.
#[utoipa::path(get, path = "/api/v1/config", responses((status = 200, body = ConfigShown)))]
pub(super) async fn config(State(desk): State<Desk>) -> Json<ConfigShown> {
    Json(shown::config(&desk.context.model))
}
