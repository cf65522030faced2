//! The checked model: what the rest of the program uses. Nothing in it refers to something that is not in it.
//!
//! The defaults of the optional keys are constants here, so that the example configuration and the documentation
//! have one place to agree with.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::net::tls::{CertificateContext, CertificateFiles};
use crate::types::{
    Bytes, DeviceName, DirectorName, Glob, GroupName, JobLevel, JobType, MediaType, Need, Needs, Secret, StorageName,
};

mod sharing;

pub use super::policies::{PolicyName, UnknownPolicy};
pub use sharing::{DbHost, Peers, PostgreSql, SslMode};

/// `Sdgroup.Name`: what sdgroup calls itself in challenges.
pub const DEFAULT_NAME: &str = "sdgroup";
/// `Sdgroup.StateDirectory`.
pub const DEFAULT_STATE_DIRECTORY: &str = "/var/lib/sdgroup";
/// The file of the state directory that holds the volume ledger.
pub const STATE_FILE: &str = "sdgroup.db";
/// The operator's socket below the state directory, unless it is elsewhere.
pub const ADMIN_SOCKET: &str = "admin.sock";
/// How long the path of a socket may be (`sun_path` of unix(7), less the byte that ends it).
pub const MAX_SOCKET_BYTES: usize = 107;
/// How short `Sdgroup.AdminToken` and `Peers.Password` may be, in characters: shorter ones can be guessed.
pub const MIN_TOKEN_CHARS: usize = 16;
/// `Sdgroup.FirstPacketTimeout`: how long a stranger may hold a socket without saying anything.
pub const DEFAULT_FIRST_PACKET_TIMEOUT: Duration = Duration::from_secs(10);
/// `Sdgroup.LoginTimeout`: a Director's or a Client's login at sdgroup.
pub const DEFAULT_LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
/// `Sdgroup.RouteWait`: how long a Client that is quicker than its job's route is kept.
pub const DEFAULT_ROUTE_WAIT: Duration = Duration::from_secs(5);
/// `Listen.Address`: all of IPv4.
pub const DEFAULT_LISTEN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// `Listen.SDPort` and `Storage.SDPort`: Bacula's port for a Storage Daemon.
pub const DEFAULT_SD_PORT: u16 = 9103;
/// `Store.DbPort`: PostgreSQL's own.
pub const DEFAULT_DB_PORT: u16 = 5432;
/// `Store.DbName`.
pub const DEFAULT_DB_NAME: &str = "sdgroup";
/// `Store.DbUser`.
pub const DEFAULT_DB_USER: &str = "sdgroup";
/// `Storage.Weight`.
pub const DEFAULT_WEIGHT: u32 = 1;
/// `Storage.MaximumConcurrentJobs`: Bacula's own default for a Storage Daemon.
pub const DEFAULT_MAXIMUM_CONCURRENT_JOBS: u32 = 20;
/// `History.Retention`: a year of jobs and a month, so that yearly ones are foretold as well.
pub const DEFAULT_HISTORY_RETENTION: Duration = Duration::from_secs(400 * 86_400);
/// `History.MaximumJobs`.
pub const DEFAULT_HISTORY_JOBS: u64 = 100_000;
/// How far below `Storage.HighWaterMark` the low one is when it is left out.
pub const WATER_MARK_DISTANCE: f64 = 0.05;
/// `Group.Rule.Priority`, and the place in the queue of every job that fits no rule: Bacula's own default for a Job.
pub const DEFAULT_PRIORITY: u32 = 10;
/// `Storage.SlowStartJobs`: none.
pub const DEFAULT_SLOW_START_JOBS: u32 = 0;
/// `Group.DownWait`: how long a job waits while every member is down.
pub const DEFAULT_DOWN_WAIT: Duration = Duration::from_secs(60);
/// `Group.BusyWait`: how long a job waits while members are up, but full.
pub const DEFAULT_BUSY_WAIT: Duration = Duration::from_secs(30 * 60);
/// `Group.MaximumQueuedJobs`.
pub const DEFAULT_MAXIMUM_QUEUED_JOBS: usize = 1000;
/// `Group.ConnectTimeout`: one attempt to reach one member.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// `Group.LoginTimeout`: sdgroup's login at one member.
pub const DEFAULT_STORAGE_LOGIN_TIMEOUT: Duration = Duration::from_secs(5);
/// `Group.ReserveTimeout`: a member's silence when it is asked for a device. One of 9.6 is silent while it is busy.
pub const DEFAULT_RESERVE_TIMEOUT: Duration = Duration::from_secs(15);
/// `Probe.Interval`.
pub const DEFAULT_PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// `Probe.Timeout`.
pub const DEFAULT_PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// `Probe.Rise`: good probes in a row that make a storage up.
pub const DEFAULT_RISE: u32 = 2;
/// `Probe.Fall`: bad probes in a row that make a storage down.
pub const DEFAULT_FALL: u32 = 3;
/// `Probe.Jitter`, as a share of the interval.
pub const DEFAULT_JITTER: f64 = 0.10;
/// `Ejection.Failures`: failures of real traffic in a row that eject a storage.
pub const DEFAULT_EJECTION_FAILURES: u32 = 1;
/// `Ejection.Time`: the first ejection; each further one doubles it.
pub const DEFAULT_EJECTION_TIME: Duration = Duration::from_secs(10);
/// `Ejection.MaximumTime`: where the doubling ends.
pub const DEFAULT_EJECTION_MAXIMUM_TIME: Duration = Duration::from_secs(5 * 60);

/// A whole configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What sdgroup calls itself in challenges.
    pub name: String,
    /// Where state that outlives the process is kept.
    pub state_directory: PathBuf,
    /// Where `/metrics`, `/livez` and `/readyz` are served, if at all.
    pub metrics_address: Option<SocketAddr>,
    /// Where the operator's interface and the dashboard are served, if at all; there is a token then.
    pub admin_address: Option<SocketAddr>,
    /// What a caller at that address has to know.
    pub admin_token: Option<Secret>,
    /// The socket in the file system where the operator's interface is served.
    pub admin_socket: PathBuf,
    /// TLS on data connections that sdgroup is one end of, with their callers and with storages.
    pub tls: Tls,
    /// How the log is written.
    pub log: Log,
    /// How long a new connection may take to send its first packet.
    pub first_packet_timeout: Duration,
    /// How long a Director's or a Client's login at sdgroup may take.
    pub login_timeout: Duration,
    /// How long a Client that is quicker than its job's route is kept waiting.
    pub route_wait: Duration,
    /// Where Directors and Clients are listened for; at least one, no address twice.
    pub listeners: Vec<Listener>,
    /// Who may log in as a Director; at least one, no name twice (compared without case).
    pub directors: Vec<Director>,
    /// Every storage, in the order of the file.
    pub storages: Vec<Arc<Storage>>,
    /// Every group, in the order of the file.
    pub groups: Vec<Arc<Group>>,
    /// How storages are probed.
    pub probe: Probe,
    /// How storages are ejected by what traffic sees.
    pub ejection: Ejection,
    /// How much is remembered of jobs that have ended.
    pub history: History,
    /// The database that it shares with other sdgroups, if it does.
    pub store: Option<PostgreSql>,
    /// How those others are called and call this one, if they do; there is a store then.
    pub peers: Option<Peers>,
}

impl Model {
    /// The file that holds the volume ledger.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.state_directory.join(STATE_FILE)
    }

    /// The Director of this name. Names are compared without case, as storages compare them.
    #[must_use]
    pub fn director(&self, name: &str) -> Option<&Director> {
        self.directors
            .iter()
            .find(|director| director.name.as_str().eq_ignore_ascii_case(name))
    }

    /// The storage of this name.
    #[must_use]
    pub fn storage(&self, name: &str) -> Option<&Arc<Storage>> {
        self.storages.iter().find(|storage| storage.name.as_str() == name)
    }

    /// What `storage` calls the Device that jobs get there: its own word, or that of its groups if they have one and
    /// the same. `None` when that is known from jobs alone.
    #[must_use]
    pub fn device_at<'a>(&'a self, storage: &'a Storage) -> Option<&'a DeviceName> {
        let with_it = self.groups.iter().filter(|group| group.members.contains(&storage.name));
        let mut words = with_it.map(|group| storage.device.as_ref().or(group.device.as_ref()));
        let first = words.next()??;
        words.all(|word| word == Some(first)).then_some(first)
    }

    /// The group that is served at this address.
    #[must_use]
    pub fn group_at(&self, address: SocketAddr) -> Option<&Arc<Group>> {
        let listener = self.listeners.iter().find(|listener| listener.address == address)?;
        self.group(listener.group.as_str())
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.iter().find(|group| group.name.as_str() == name)
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Lines for people or for programs.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
}

/// How much is remembered of jobs that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// For how long.
    pub retention: Duration,
    /// Of how many at most, the youngest.
    pub maximum_jobs: u64,
}

impl Default for History {
    fn default() -> Self {
        Self {
            retention: DEFAULT_HISTORY_RETENTION,
            maximum_jobs: DEFAULT_HISTORY_JOBS,
        }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people and the journal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Its word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// The least severe level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And warnings.
    Warn,
    /// And what an operator wants to know on a normal day.
    #[default]
    Info,
    /// And decisions, in detail.
    Debug,
    /// And packets' kinds and sizes.
    Trace,
}

impl LogLevel {
    /// The level's name, as filters of `tracing` spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// One address that Directors and Clients call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address and port.
    pub address: SocketAddr,
    /// The group whose members serve what comes in here.
    pub group: GroupName,
}

/// How many jobs there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// In all; at least 1.
    pub maximum: Option<u32>,
    /// That write; 0 is none.
    pub maximum_write: Option<u32>,
    /// That read; 0 is none.
    pub maximum_read: Option<u32>,
    /// More only where there is no other way: no storage below its own target, no job that waits for somebody else.
    pub target: Option<u32>,
}

/// A Director that may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Director {
    /// Its name, as in its Hello.
    pub name: DirectorName,
    /// The password of its Storage resource that points here.
    pub password: Secret,
    /// Whether it may only ask for the status, as with Bacula's `Monitor`.
    pub monitor: bool,
    /// TLS on its connections.
    pub tls: Tls,
    /// How many jobs it may have, over all groups.
    pub limits: Limits,
}

/// TLS on connections with one kind of peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// What is allowed and demanded.
    pub needs: Needs,
    /// Whether it ends with the login.
    pub only_login: bool,
    /// The certificates, where they are allowed.
    pub certificates: Option<Arc<Certificates>>,
}

impl Default for Tls {
    /// The key that both sides share, if the other side can, as in Bacula since 11.
    fn default() -> Self {
        Self {
            needs: Needs {
                certificate: Need::None,
                psk: Need::Possible,
            },
            only_login: false,
            certificates: None,
        }
    }
}

/// Certificates that have been read.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// From where, and what is expected of others.
    pub files: CertificateFiles,
    /// What was there.
    pub context: CertificateContext,
}

impl PartialEq for Certificates {
    /// By what is written, not by what was read.
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Eq for Certificates {}

/// Shares of a storage's room that is written, 0.0 to 1.0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WaterMarks {
    /// From here on it gets no job that writes.
    pub high: f64,
    /// From here on it does again; not above `high`.
    pub low: f64,
}

/// A real Storage Daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Its name here, in logs, metrics and the ledger.
    pub name: StorageName,
    /// Host name or address; resolved whenever it is dialled.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The password for every Director that has none of its own in `director_passwords`.
    pub password: Option<Secret>,
    /// Passwords for single Directors, by the Director's name in lower case.
    pub director_passwords: BTreeMap<String, Secret>,
    /// TLS on connections to it.
    pub tls: Tls,
    /// The Device to ask for, if it differs from the one the Director names.
    pub device: Option<DeviceName>,
    /// The MediaType to ask for, if it differs from the one the Director names.
    pub media_type: Option<MediaType>,
    /// Its share where a policy weighs; at least 1.
    pub weight: u32,
    /// How many jobs it runs, over all groups and Directors.
    pub limits: Limits,
    /// How many jobs have to prove it, one after the other, once it came back; 0 is no slow start.
    pub slow_start_jobs: u32,
    /// When it is too full for jobs that write, if there is such a point.
    pub water_marks: Option<WaterMarks>,
}

impl Storage {
    /// A storage with every default, and no password.
    #[must_use]
    pub fn new(name: StorageName, address: String) -> Self {
        Self {
            name,
            address,
            port: DEFAULT_SD_PORT,
            password: None,
            director_passwords: BTreeMap::new(),
            tls: Tls::default(),
            device: None,
            media_type: None,
            weight: DEFAULT_WEIGHT,
            limits: Limits {
                maximum: Some(DEFAULT_MAXIMUM_CONCURRENT_JOBS),
                ..Limits::default()
            },
            slow_start_jobs: DEFAULT_SLOW_START_JOBS,
            water_marks: None,
        }
    }

    /// Whether `other`, of the same name, is called in another way, so that what is known of how this one answers says
    /// nothing of it.
    #[must_use]
    pub fn is_elsewhere(&self, other: &Self) -> bool {
        let way = |storage: &Self| (storage.address.clone(), storage.port, storage.tls.clone());
        let passwords = |storage: &Self| (storage.password.clone(), storage.director_passwords.clone());
        way(self) != way(other) || passwords(self) != passwords(other)
    }

    /// The password to prove when logging in as `director`.
    #[must_use]
    pub fn password_for(&self, director: &DirectorName) -> Option<&Secret> {
        self.director_passwords
            .get(&director.as_str().to_ascii_lowercase())
            .or(self.password.as_ref())
    }
}

/// Several storages that look like one.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Its storages in the order of the file; at least one, none twice, each in [`Model::storages`].
    pub members: Vec<StorageName>,
    /// How members are ranked.
    pub policy: PolicyName,
    /// A policy that is asked where it would place each job, and not followed.
    pub shadow_policy: Option<PolicyName>,
    /// For a policy that has a use for it.
    pub threshold: Threshold,
    /// Whether a job's later runs go where its last full is.
    pub locality: Locality,
    /// Whether a job has to fit.
    pub room_for_job: RoomForJob,
    /// The Director's word for the Device, used in answers that are mapped back.
    pub device: Option<DeviceName>,
    /// The Director's word for the MediaType, used in answers that are mapped back.
    pub media_type: Option<MediaType>,
    /// How many jobs it may have on its members together.
    pub limits: Limits,
    /// Which of its jobs are placed otherwise; the first that fits a job counts.
    pub rules: Vec<Rule>,
    /// How long a job waits while every member is down, before it is refused.
    pub down_wait: Duration,
    /// How long a job waits while members are up but full, before it is refused.
    pub busy_wait: Duration,
    /// How many jobs may wait at once.
    pub maximum_queued_jobs: usize,
    /// How long one attempt to reach one member may take.
    pub connect_timeout: Duration,
    /// How long sdgroup's login at one member may take.
    pub login_timeout: Duration,
    /// How long a member that is asked for a device may be silent before a writing job goes on to the next one.
    pub reserve_timeout: Duration,
}

/// Whether a job's incrementals and differentials go to the storage that has its last full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locality {
    /// They are placed like any job.
    #[default]
    Off,
    /// They do while that storage may be chosen, and else are placed like any job.
    Prefer,
    /// They do, and wait for that storage while it may not be chosen.
    Require,
}

impl Locality {
    /// Its word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }
}

/// What becomes of a job that is expected to write more than there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoomForJob {
    /// Nobody looks.
    Ignore,
    /// A storage where it fits is chosen before one where it does not.
    #[default]
    Prefer,
    /// A storage where it does not fit is not chosen.
    Require,
}

impl RoomForJob {
    /// Its word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }
}

/// Which jobs of a group are placed otherwise than the others, and how. A list that is empty fits every job.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it is called in explanations.
    pub name: String,
    /// Directors, by patterns that have no regard to case.
    pub directors: Vec<Glob>,
    /// Job resources.
    pub jobs: Vec<Glob>,
    /// Clients.
    pub clients: Vec<Glob>,
    /// FileSets.
    pub filesets: Vec<Glob>,
    /// Levels.
    pub levels: Vec<JobLevel>,
    /// Types.
    pub types: Vec<JobType>,
    /// The members that its jobs may be placed on, if not all: at least one, each of the group.
    pub members: Option<Vec<StorageName>>,
    /// The policy by which they are ranked, if not the group's.
    pub policy: Option<PolicyName>,
    /// Whether their later runs go where the last full is, if not as in the group.
    pub locality: Option<Locality>,
    /// Whether they have to fit, if not as in the group.
    pub room_for_job: Option<RoomForJob>,
    /// Their place in the queue, if not the usual one: a lower number is served first.
    pub priority: Option<u32>,
}

impl Rule {
    /// Whether it fits the jobs of this Director, as far as that decides.
    #[must_use]
    pub fn fits_director(&self, director: &DirectorName) -> bool {
        let fits = |glob: &Glob| glob.matches_in_any_case(director.as_str());
        self.directors.is_empty() || self.directors.iter().any(fits)
    }
}

/// How much less room than the roomiest member others may have and still count as alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// So many bytes.
    Bytes(Bytes),
    /// This share of the roomiest one's room, 0.0 to 1.0.
    Share(f64),
}

impl Default for Threshold {
    /// As in Bacula.
    fn default() -> Self {
        Self::NONE
    }
}

impl Threshold {
    /// None: no two members are alike.
    pub const NONE: Self = Self::Bytes(Bytes(0));
}

/// How storages are asked whether they are well.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// As whom probes log in; one of [`Model::directors`], or a name that only the storages know, for which each
    /// storage has a password.
    pub director: DirectorName,
    /// From the start of one probe of a storage to the start of the next.
    pub interval: Duration,
    /// How long one probe may take in all.
    pub timeout: Duration,
    /// Good probes in a row that make a storage up; at least 1.
    pub rise: u32,
    /// Bad probes in a row that make a storage down; at least 1.
    pub fall: u32,
    /// By which share of itself the interval varies, 0.0 to 0.5: 0.1 is ten percent, either way.
    pub jitter: f64,
}

/// How storages are closed to new jobs by what traffic sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row that eject; at least 1.
    pub failures: u32,
    /// How long the first ejection lasts; each further one doubles it.
    pub time: Duration,
    /// Where the doubling ends.
    pub maximum_time: Duration,
}
