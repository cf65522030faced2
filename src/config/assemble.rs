//! The model of what is written, with the defaults of what is not. Values that contradict each other within one table
//! are told here, where the defaults are known.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::check::socket;
use super::diagnostics::Problems;
use super::file::{EjectionTable, File, GroupTable, HistoryTable, ListenTable, ProbeTable, SdgroupTable, StorageTable};
use super::limits;
use super::model::{
    self, Director, Ejection, Group, History, Listener, Locality, Log, Model, PolicyName, Probe, RoomForJob, Storage,
    Threshold, Tls, WaterMarks,
};
use super::peers;
use super::reader::At;
use super::rules;
use super::secret_source::Resolver;
use super::store;
use super::tls;
use super::units::in_words;
use crate::types::{DirectorName, Secret};

/// The model; `None` when nobody is left for probes to log in as. What could not be read is left out: there is a
/// problem for it, and nobody gets to see the model then.
pub(super) fn model(
    file: &File,
    probe_director: Option<DirectorName>,
    resolver: &mut Resolver<'_>,
    problems: &mut Problems<'_>,
) -> Option<Model> {
    let directors = directors(file, resolver, problems);
    let storages = file
        .storages
        .iter()
        .filter_map(|table| storage(table, resolver, problems))
        .map(Arc::new)
        .collect();
    let probe = probe(file.probe.as_ref(), probe_director, problems);
    let ejection = ejection(file.ejection.as_ref(), problems);
    let listeners: Vec<_> = file.listen.iter().filter_map(listener).collect();
    let groups = file
        .groups
        .iter()
        .filter_map(|table| group(table, problems))
        .map(Arc::new)
        .collect();
    let store = store::compile(file.store.as_ref(), resolver, problems);
    let peers = peers::compile(
        file.peers.as_ref(),
        file.store.is_some(),
        &listeners,
        resolver,
        problems,
    );
    let tls = sdgroup_tls(file.sdgroup.as_ref(), resolver, problems);
    Some(Model {
        listeners,
        directors,
        storages,
        groups,
        history: history(file.history.as_ref()),
        store,
        peers,
        admin_token: admin_token(file.sdgroup.as_ref(), resolver, problems),
        ..process(file.sdgroup.as_ref(), tls, probe?, ejection)
    })
}

/// What is written, or the default.
pub(super) fn written<T: Clone>(at: Option<&At<T>>, default: T) -> T {
    at.map_or(default, |at| at.value.clone())
}

fn directors(file: &File, resolver: &mut Resolver<'_>, problems: &mut Problems<'_>) -> Vec<Director> {
    let mut directors = Vec::new();
    for table in &file.directors {
        let password = table
            .password
            .as_ref()
            .and_then(|source| resolver.resolve(source, problems));
        if let (Some(name), Some(password)) = (&table.name, password) {
            directors.push(Director {
                name: name.value.clone(),
                password,
                monitor: written(table.monitor.as_ref(), false),
                tls: tls::compile(&table.tls, tls::Peer::Caller, resolver.file, problems),
                limits: limits::compile(&table.limits, None, problems),
            });
        }
    }
    directors
}

fn storage(table: &StorageTable, resolver: &mut Resolver<'_>, problems: &mut Problems<'_>) -> Option<Storage> {
    let password = table
        .password
        .as_ref()
        .and_then(|source| resolver.resolve(source, problems));
    let mut director_passwords: BTreeMap<String, Secret> = BTreeMap::new();
    for director in &table.directors {
        let password = director
            .password
            .as_ref()
            .and_then(|source| resolver.resolve(source, problems));
        if let (Some(name), Some(password)) = (&director.name, password) {
            director_passwords.insert(name.value.as_str().to_ascii_lowercase(), password);
        }
    }
    Some(Storage {
        name: table.name.as_ref()?.value.clone(),
        address: table.address.as_ref()?.value.clone(),
        port: written(table.port.as_ref(), model::DEFAULT_SD_PORT),
        password,
        director_passwords,
        tls: tls::compile(&table.tls, tls::Peer::Called, resolver.file, problems),
        device: table.device.as_ref().map(|at| at.value.clone()),
        media_type: table.media_type.as_ref().map(|at| at.value.clone()),
        weight: written(table.weight.as_ref(), model::DEFAULT_WEIGHT),
        limits: limits::compile(&table.limits, Some(model::DEFAULT_MAXIMUM_CONCURRENT_JOBS), problems),
        slow_start_jobs: written(table.slow_start_jobs.as_ref(), model::DEFAULT_SLOW_START_JOBS),
        water_marks: water_marks(table, problems),
    })
}

fn water_marks(table: &StorageTable, problems: &mut Problems<'_>) -> Option<WaterMarks> {
    match (&table.high_water_mark, &table.low_water_mark) {
        (Some(high), Some(low)) if low.value > high.value => {
            let text = "LowWaterMark is above HighWaterMark";
            problems.error(
                &low.span,
                text,
                "a storage is closed at the high one and opened again at the low one",
            );
            None
        }
        (Some(high), low) => Some(WaterMarks {
            high: high.value,
            low: written(low.as_ref(), (high.value - model::WATER_MARK_DISTANCE).max(0.0)),
        }),
        (None, Some(low)) => {
            let text = "LowWaterMark has no effect without HighWaterMark";
            problems.warning(
                &low.span,
                text,
                "add HighWaterMark: at which share of its room the storage is closed",
            );
            None
        }
        (None, None) => None,
    }
}

fn sdgroup_tls(table: Option<&SdgroupTable>, resolver: &Resolver<'_>, problems: &mut Problems<'_>) -> Tls {
    table.map_or_else(Tls::default, |table| {
        tls::compile(&table.tls, tls::Peer::Caller, resolver.file, problems)
    })
}

fn listener(table: &ListenTable) -> Option<Listener> {
    let (address, _) = socket(table)?;
    Some(Listener {
        address,
        group: table.group.as_ref()?.value.clone(),
    })
}

fn group(table: &GroupTable, problems: &mut Problems<'_>) -> Option<Group> {
    threshold(table, problems);
    shadow(table, problems);
    Some(Group {
        name: table.name.as_ref()?.value.clone(),
        members: table
            .members
            .as_ref()?
            .value
            .iter()
            .map(|member| member.value.clone())
            .collect(),
        policy: table.policy.as_ref().map(|at| at.value).unwrap_or_default(),
        shadow_policy: table.shadow_policy.as_ref().map(|at| at.value),
        threshold: written(table.threshold.as_ref(), Threshold::default()),
        locality: written(table.locality.as_ref(), Locality::default()),
        room_for_job: written(table.room_for_job.as_ref(), RoomForJob::default()),
        device: table.device.as_ref().map(|at| at.value.clone()),
        media_type: table.media_type.as_ref().map(|at| at.value.clone()),
        limits: limits::compile(&table.limits, None, problems),
        rules: rules::compile(&table.rules),
        down_wait: written(table.down_wait.as_ref(), model::DEFAULT_DOWN_WAIT),
        busy_wait: written(table.busy_wait.as_ref(), model::DEFAULT_BUSY_WAIT),
        maximum_queued_jobs: written(table.maximum_queued_jobs.as_ref(), model::DEFAULT_MAXIMUM_QUEUED_JOBS),
        connect_timeout: written(table.connect_timeout.as_ref(), model::DEFAULT_CONNECT_TIMEOUT),
        login_timeout: written(table.login_timeout.as_ref(), model::DEFAULT_STORAGE_LOGIN_TIMEOUT),
        reserve_timeout: written(table.reserve_timeout.as_ref(), model::DEFAULT_RESERVE_TIMEOUT),
    })
}

/// A shadow that is the policy itself shows nothing.
fn shadow(table: &GroupTable, problems: &mut Problems<'_>) {
    let policy = table.policy.as_ref().map(|at| at.value).unwrap_or_default();
    if let Some(at) = table.shadow_policy.as_ref().filter(|at| at.value == policy) {
        let text = format!("ShadowPolicy is {policy}, which is the group's policy");
        problems.warning(&at.span, text, "name the policy that you want to compare it with");
    }
}

/// The threshold and the one policy that has a use for it go together.
fn threshold(table: &GroupTable, problems: &mut Problems<'_>) {
    let (policy, shadow) = (table.policy.as_ref(), table.shadow_policy.as_ref());
    let needs_it = |at: &At<PolicyName>| at.value == PolicyName::FreeSpaceLeastUsed;
    match (
        &table.threshold,
        policy.into_iter().chain(shadow).find(|at| needs_it(at)),
    ) {
        (Some(at), None) => {
            let text = "StorageGroupPolicyThreshold has no effect on this group's policy";
            problems.warning(&at.span, text, "it is for FreeSpaceLeastUsed");
        }
        (None, Some(at)) => {
            let text = "FreeSpaceLeastUsed without a threshold is the same as FreeSpace";
            let advice =
                "add StorageGroupPolicyThreshold: how much less room than the roomiest storage counts as alike";
            problems.warning(&at.span, text, advice);
        }
        _ => {}
    }
}

fn probe(table: Option<&ProbeTable>, director: Option<DirectorName>, problems: &mut Problems<'_>) -> Option<Probe> {
    let interval = written(table.and_then(|t| t.interval.as_ref()), model::DEFAULT_PROBE_INTERVAL);
    let timeout = written(table.and_then(|t| t.timeout.as_ref()), model::DEFAULT_PROBE_TIMEOUT);
    if let Some(table) = table.filter(|_| timeout >= interval) {
        let span = table
            .timeout
            .as_ref()
            .or(table.interval.as_ref())
            .map_or(&table.span, |at| &at.span);
        let text = format!(
            "a probe may take {}, but the next begins after {}",
            in_words(timeout),
            in_words(interval)
        );
        problems.warning(
            span,
            text,
            "make Timeout shorter than Interval, or a silent storage is noticed late",
        );
    }
    Some(Probe {
        director: director?,
        interval,
        timeout,
        rise: written(table.and_then(|t| t.rise.as_ref()), model::DEFAULT_RISE),
        fall: written(table.and_then(|t| t.fall.as_ref()), model::DEFAULT_FALL),
        jitter: written(table.and_then(|t| t.jitter.as_ref()), model::DEFAULT_JITTER),
    })
}

fn ejection(table: Option<&EjectionTable>, problems: &mut Problems<'_>) -> Ejection {
    let time = written(table.and_then(|t| t.time.as_ref()), model::DEFAULT_EJECTION_TIME);
    let maximum_time = written(
        table.and_then(|t| t.maximum_time.as_ref()),
        model::DEFAULT_EJECTION_MAXIMUM_TIME,
    );
    if let Some(table) = table.filter(|_| time > maximum_time) {
        let span = table
            .time
            .as_ref()
            .or(table.maximum_time.as_ref())
            .map_or(&table.span, |at| &at.span);
        let text = format!(
            "the first ejection lasts {}, the longest {}",
            in_words(time),
            in_words(maximum_time)
        );
        problems.error(span, text, "make Time no longer than MaximumTime");
    }
    Ejection {
        failures: written(
            table.and_then(|t| t.failures.as_ref()),
            model::DEFAULT_EJECTION_FAILURES,
        ),
        time,
        maximum_time,
    }
}

fn history(table: Option<&HistoryTable>) -> History {
    let default = History::default();
    let most = table.and_then(|t| t.maximum_jobs.as_ref());
    History {
        retention: written(table.and_then(|t| t.retention.as_ref()), default.retention),
        maximum_jobs: most.map_or(default.maximum_jobs, |at| u64::from(at.value)),
    }
}

/// Where state is kept.
fn state_directory(table: Option<&SdgroupTable>) -> PathBuf {
    written(
        table.and_then(|t| t.state_directory.as_ref()),
        model::DEFAULT_STATE_DIRECTORY.into(),
    )
}

/// What a caller of the operator's interface has to know, where it is served to the network.
fn admin_token(
    table: Option<&SdgroupTable>,
    resolver: &mut Resolver<'_>,
    problems: &mut Problems<'_>,
) -> Option<Secret> {
    let table = table?;
    let Some(source) = &table.admin_token else {
        if let Some(address) = &table.admin_address {
            let advice = "write 32 random characters (openssl rand -hex 16) into a file and name it with AdminTokenFile, \
                          or leave AdminAddress out: AdminSocket is there in any case";
            problems.error(
                &address.span,
                "AdminAddress without a token would let everybody command",
                advice,
            );
        }
        return None;
    };
    if let Some(address) = table.admin_address.as_ref().filter(|at| !at.value.ip().is_loopback()) {
        let text = "the token crosses the network unencrypted to AdminAddress";
        let advice = "listen at 127.0.0.1, and put a web server with TLS in front of it or come by ssh -L";
        problems.warning(&address.span, text, advice);
    }
    let token = resolver.resolve_as("AdminToken", source, problems)?;
    if token.is_stand_in() {
        return Some(token);
    }
    let plain = token.reveal().bytes().all(|byte| byte.is_ascii_graphic());
    if token.reveal().len() < model::MIN_TOKEN_CHARS || !plain {
        let least = model::MIN_TOKEN_CHARS;
        let text = format!("the token is not {least} plain characters or more, without spaces");
        problems.error(
            &source.span,
            text,
            "make one that cannot be guessed: openssl rand -hex 16",
        );
    }
    Some(token)
}

/// Where the operator's socket is.
pub(super) fn admin_socket(table: Option<&SdgroupTable>) -> PathBuf {
    written(
        table.and_then(|t| t.admin_socket.as_ref()),
        state_directory(table).join(model::ADMIN_SOCKET),
    )
}

/// A socket's name has a bound that files have not.
pub(super) fn check_socket(table: Option<&SdgroupTable>, problems: &mut Problems<'_>) {
    let socket = admin_socket(table);
    let length = socket.as_os_str().len();
    let at = table.and_then(|t| t.admin_socket.as_ref().or(t.state_directory.as_ref()));
    if let Some(at) = at.filter(|_| length > model::MAX_SOCKET_BYTES) {
        let most = model::MAX_SOCKET_BYTES;
        let socket = socket.display();
        let text = format!("AdminSocket = \"{socket}\" has {length} bytes; the system allows {most} for a socket");
        problems.error(
            &at.span,
            text,
            "name a shorter one with AdminSocket, for example in /run/sdgroup",
        );
    }
}

/// A model with what concerns the process. Its lists are empty yet.
fn process(table: Option<&SdgroupTable>, tls: Tls, probe: Probe, ejection: Ejection) -> Model {
    let time = |at: Option<&Option<At<Duration>>>, default| written(at.and_then(Option::as_ref), default);
    let state_directory = state_directory(table);
    Model {
        name: written(table.and_then(|t| t.name.as_ref()), model::DEFAULT_NAME.to_owned()),
        admin_socket: admin_socket(table),
        state_directory,
        metrics_address: table.and_then(|t| t.metrics_address.as_ref()).map(|at| at.value),
        admin_address: table.and_then(|t| t.admin_address.as_ref()).map(|at| at.value),
        admin_token: None,
        log: Log {
            format: table
                .and_then(|t| t.log_format.as_ref())
                .map(|at| at.value)
                .unwrap_or_default(),
            level: table
                .and_then(|t| t.log_level.as_ref())
                .map(|at| at.value)
                .unwrap_or_default(),
        },
        first_packet_timeout: time(
            table.map(|t| &t.first_packet_timeout),
            model::DEFAULT_FIRST_PACKET_TIMEOUT,
        ),
        login_timeout: time(table.map(|t| &t.login_timeout), model::DEFAULT_LOGIN_TIMEOUT),
        route_wait: time(table.map(|t| &t.route_wait), model::DEFAULT_ROUTE_WAIT),
        tls,
        listeners: Vec::new(),
        directors: Vec::new(),
        storages: Vec::new(),
        groups: Vec::new(),
        probe,
        ejection,
        history: History::default(),
        store: None,
        peers: None,
    }
}
