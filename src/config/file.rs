//! What is written: the tables and keys of the file, each value of its own type and with its place. What the values
//! mean together is the business of `check`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{Problems, Span};
use super::limits::{self, LimitTable};
use super::model::{Locality, LogFormat, LogLevel, PolicyName, RoomForJob, Threshold};
use super::peers::{self, PEERS, PeersTable};
use super::reader::{At, Fault, Reader, Schema, Table};
use super::rules::{self, RULE, RuleTable};
use super::secret_source::SecretSource;
use super::spelling::folded;
use super::store::{self, STORE, StoreTable};
use super::tls::{self, TlsTable, with_tls_keys};
use super::value;
use crate::types::{DeviceName, DirectorName, GroupName, MediaType, Secret, StorageName};

const ROOT: Schema = Schema {
    header: "the file",
    keys: &[
        "Sdgroup", "Store", "Peers", "Listen", "Director", "Storage", "Group", "Probe", "Ejection", "History",
    ],
};
const SDGROUP: Schema = Schema {
    header: "[Sdgroup]",
    keys: with_tls_keys![
        "Name",
        "StateDirectory",
        "MetricsAddress",
        "AdminAddress",
        "AdminToken",
        "AdminTokenFile",
        "AdminTokenCredential",
        "AdminSocket",
        "LogFormat",
        "LogLevel",
        "FirstPacketTimeout",
        "LoginTimeout",
        "RouteWait",
    ],
};
const LISTEN: Schema = Schema {
    header: "[[Listen]]",
    keys: &["Address", "SDPort", "Group"],
};
const DIRECTOR: Schema = Schema {
    header: "[[Director]]",
    keys: with_tls_keys![
        "Name",
        "Password",
        "PasswordFile",
        "PasswordCredential",
        "Monitor",
        "MaximumConcurrentJobs",
        "MaximumConcurrentWriteJobs",
        "MaximumConcurrentReadJobs",
        "TargetConcurrentJobs",
    ],
};
const STORAGE: Schema = Schema {
    header: "[[Storage]]",
    keys: with_tls_keys![
        "Name",
        "Address",
        "SDPort",
        "Password",
        "PasswordFile",
        "PasswordCredential",
        "Director",
        "Device",
        "MediaType",
        "Weight",
        "SlowStartJobs",
        "HighWaterMark",
        "LowWaterMark",
        "MaximumConcurrentJobs",
        "MaximumConcurrentWriteJobs",
        "MaximumConcurrentReadJobs",
        "TargetConcurrentJobs",
    ],
};
const STORAGE_DIRECTOR: Schema = Schema {
    header: "[[Storage.Director]]",
    keys: &["Name", "Password", "PasswordFile", "PasswordCredential"],
};
const GROUP: Schema = Schema {
    header: "[[Group]]",
    keys: &[
        "Rule",
        "Name",
        "Storages",
        "StorageGroupPolicy",
        "ShadowPolicy",
        "StorageGroupPolicyThreshold",
        "Locality",
        "RoomForJob",
        "Device",
        "MediaType",
        "MaximumConcurrentJobs",
        "MaximumConcurrentWriteJobs",
        "MaximumConcurrentReadJobs",
        "TargetConcurrentJobs",
        "DownWait",
        "BusyWait",
        "MaximumQueuedJobs",
        "ConnectTimeout",
        "LoginTimeout",
        "ReserveTimeout",
    ],
};
const PROBE: Schema = Schema {
    header: "[Probe]",
    keys: &["Director", "Interval", "Timeout", "Rise", "Fall", "Jitter"],
};
const EJECTION: Schema = Schema {
    header: "[Ejection]",
    keys: &["Failures", "Time", "MaximumTime"],
};

const HISTORY: Schema = Schema {
    header: "[History]",
    keys: &["Retention", "MaximumJobs"],
};

/// Every table there is.
pub(super) const SCHEMAS: &[&Schema] = &[
    &ROOT,
    &SDGROUP,
    &STORE,
    &PEERS,
    &LISTEN,
    &DIRECTOR,
    &STORAGE,
    &STORAGE_DIRECTOR,
    &GROUP,
    &RULE,
    &PROBE,
    &EJECTION,
    &HISTORY,
];

/// Words that operators know from Bacula's files or from other proxies, folded, and the key that is meant.
const ALIASES: &[(&str, &str)] = &[
    ("sdaddress", "Address"),
    ("sdaddresses", "Address"),
    ("host", "Address"),
    ("bind", "Address"),
    ("port", "SDPort"),
    ("sdports", "SDPort"),
    ("maxconcurrentjobs", "MaximumConcurrentJobs"),
    ("targetsessions", "TargetConcurrentJobs"),
    ("maxsessions", "MaximumConcurrentJobs"),
    ("slowstart", "SlowStartJobs"),
    ("archivedevice", "Device"),
    ("policy", "StorageGroupPolicy"),
    ("threshold", "StorageGroupPolicyThreshold"),
    ("storage", "Storages"),
    ("members", "Storages"),
    ("sdconnecttimeout", "ConnectTimeout"),
    ("workingdirectory", "StateDirectory"),
    ("dbaddresses", "DbAddress"),
    ("user", "DbUser"),
    ("dbpassword", "Password"),
    ("maximumqueue", "MaximumQueuedJobs"),
    ("tlsallowedcns", "TlsAllowedCn"),
    ("tlscacertificate", "TlsCaCertificateFile"),
    ("tlscertificatefile", "TlsCertificate"),
    ("tlskeyfile", "TlsKey"),
];

/// Keys whose values are secrets. What an unknown key holds is taken for one too.
const SECRET_KEYS: [&str; 2] = ["Password", "AdminToken"];
/// The keys that a password is written under.
const PASSWORD_KEYS: [&str; 3] = ["Password", "PasswordFile", "PasswordCredential"];
/// The keys that the token of the operator's interface is written under.
const TOKEN_KEYS: [&str; 3] = ["AdminToken", "AdminTokenFile", "AdminTokenCredential"];

/// The shortest time that is taken where zero would mean never or at once.
const MOMENT: Duration = Duration::from_millis(50);
const TEN_MINUTES: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
const DECADES: Duration = Duration::from_secs(50 * 365 * 86_400);

#[derive(Debug)]
pub(super) struct File {
    /// Tables that are written, well or badly, by their name.
    pub(super) tables: Vec<&'static str>,
    pub(super) sdgroup: Option<SdgroupTable>,
    pub(super) store: Option<StoreTable>,
    pub(super) peers: Option<PeersTable>,
    pub(super) listen: Vec<ListenTable>,
    pub(super) directors: Vec<DirectorTable>,
    pub(super) storages: Vec<StorageTable>,
    pub(super) groups: Vec<GroupTable>,
    pub(super) probe: Option<ProbeTable>,
    pub(super) ejection: Option<EjectionTable>,
    pub(super) history: Option<HistoryTable>,
}

#[derive(Debug)]
pub(super) struct SdgroupTable {
    pub(super) name: Option<At<String>>,
    pub(super) state_directory: Option<At<PathBuf>>,
    pub(super) metrics_address: Option<At<SocketAddr>>,
    pub(super) admin_address: Option<At<SocketAddr>>,
    pub(super) admin_token: Option<At<SecretSource>>,
    pub(super) admin_socket: Option<At<PathBuf>>,
    pub(super) log_format: Option<At<LogFormat>>,
    pub(super) log_level: Option<At<LogLevel>>,
    pub(super) first_packet_timeout: Option<At<Duration>>,
    pub(super) login_timeout: Option<At<Duration>>,
    pub(super) route_wait: Option<At<Duration>>,
    pub(super) tls: TlsTable,
}

#[derive(Debug)]
pub(super) struct ListenTable {
    pub(super) span: Span,
    pub(super) address: Option<At<IpAddr>>,
    pub(super) port: Option<At<u16>>,
    pub(super) group: Option<At<GroupName>>,
    /// Whether address or port were refused, so that defaults would be wrong.
    pub(super) spoiled: bool,
}

#[derive(Debug)]
pub(super) struct DirectorTable {
    pub(super) name: Option<At<DirectorName>>,
    pub(super) password: Option<At<SecretSource>>,
    /// Nothing in a `[[Storage.Director]]`, as the next.
    pub(super) monitor: Option<At<bool>>,
    pub(super) tls: TlsTable,
    /// None in a `[[Storage.Director]]`.
    pub(super) limits: LimitTable,
}

#[derive(Debug)]
pub(super) struct StorageTable {
    pub(super) span: Span,
    pub(super) name: Option<At<StorageName>>,
    pub(super) address: Option<At<String>>,
    pub(super) port: Option<At<u16>>,
    pub(super) password: Option<At<SecretSource>>,
    /// Whether a password is written, well or badly.
    pub(super) has_password: bool,
    pub(super) directors: Vec<DirectorTable>,
    pub(super) tls: TlsTable,
    pub(super) device: Option<At<DeviceName>>,
    pub(super) media_type: Option<At<MediaType>>,
    pub(super) weight: Option<At<u32>>,
    pub(super) slow_start_jobs: Option<At<u32>>,
    pub(super) high_water_mark: Option<At<f64>>,
    pub(super) low_water_mark: Option<At<f64>>,
    pub(super) limits: LimitTable,
}

#[derive(Debug)]
pub(super) struct GroupTable {
    pub(super) name: Option<At<GroupName>>,
    pub(super) members: Option<At<Vec<At<StorageName>>>>,
    pub(super) policy: Option<At<PolicyName>>,
    pub(super) shadow_policy: Option<At<PolicyName>>,
    pub(super) threshold: Option<At<Threshold>>,
    pub(super) locality: Option<At<Locality>>,
    pub(super) room_for_job: Option<At<RoomForJob>>,
    pub(super) device: Option<At<DeviceName>>,
    pub(super) media_type: Option<At<MediaType>>,
    pub(super) limits: LimitTable,
    pub(super) rules: Vec<RuleTable>,
    pub(super) down_wait: Option<At<Duration>>,
    pub(super) busy_wait: Option<At<Duration>>,
    pub(super) maximum_queued_jobs: Option<At<usize>>,
    pub(super) connect_timeout: Option<At<Duration>>,
    pub(super) login_timeout: Option<At<Duration>>,
    pub(super) reserve_timeout: Option<At<Duration>>,
    /// Whether its own Device or MediaType is written, well or badly.
    pub(super) has_device: bool,
    pub(super) has_media_type: bool,
}

#[derive(Debug)]
pub(super) struct ProbeTable {
    pub(super) span: Span,
    pub(super) director: Option<At<DirectorName>>,
    pub(super) interval: Option<At<Duration>>,
    pub(super) timeout: Option<At<Duration>>,
    pub(super) rise: Option<At<u32>>,
    pub(super) fall: Option<At<u32>>,
    pub(super) jitter: Option<At<f64>>,
}

#[derive(Debug)]
pub(super) struct EjectionTable {
    pub(super) span: Span,
    pub(super) failures: Option<At<u32>>,
    pub(super) time: Option<At<Duration>>,
    pub(super) maximum_time: Option<At<Duration>>,
}

#[derive(Debug)]
pub(super) struct HistoryTable {
    pub(super) retention: Option<At<Duration>>,
    pub(super) maximum_jobs: Option<At<u32>>,
}

/// Reads a whole document; `partial` when it has errors of syntax.
pub(super) fn read(document: &Spanned<DeTable<'_>>, partial: bool, problems: &mut Problems<'_>) -> File {
    let reader = &mut Reader {
        problems,
        schemas: SCHEMAS,
        aliases: ALIASES,
        partial,
    };
    let root = Table::open(&ROOT, document.span(), document.get_ref(), reader);
    File {
        tables: ROOT.keys.iter().copied().filter(|key| root.has(key)).collect(),
        sdgroup: root
            .table("Sdgroup", &SDGROUP, reader)
            .map(|table| sdgroup(&table, reader)),
        store: root
            .table("Store", &STORE, reader)
            .map(|table| store::read(&table, reader)),
        peers: root
            .table("Peers", &PEERS, reader)
            .map(|table| peers::read(&table, reader)),
        listen: root
            .tables("Listen", &LISTEN, reader)
            .iter()
            .map(|table| listen(table, reader))
            .collect(),
        directors: root
            .tables("Director", &DIRECTOR, reader)
            .iter()
            .map(|table| DirectorTable {
                monitor: table.optional("Monitor", value::flag, reader),
                tls: tls::read(table, reader),
                limits: limits::read(table, reader),
                ..director(table, reader)
            })
            .collect(),
        storages: root
            .tables("Storage", &STORAGE, reader)
            .iter()
            .map(|table| storage(table, reader))
            .collect(),
        groups: root
            .tables("Group", &GROUP, reader)
            .iter()
            .map(|table| group(table, reader))
            .collect(),
        probe: root.table("Probe", &PROBE, reader).map(|table| probe(&table, reader)),
        ejection: root
            .table("Ejection", &EJECTION, reader)
            .map(|table| ejection(&table, reader)),
        history: root.table("History", &HISTORY, reader).map(|table| HistoryTable {
            retention: table.optional("Retention", value::time(DAY..=DECADES), reader),
            maximum_jobs: table.optional("MaximumJobs", value::whole(0..=10_000_000), reader),
        }),
    }
}

fn sdgroup(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> SdgroupTable {
    const FORMATS: &[(&str, LogFormat)] = &[
        (LogFormat::Text.as_str(), LogFormat::Text),
        (LogFormat::Json.as_str(), LogFormat::Json),
    ];
    const LEVELS: &[(&str, LogLevel)] = &[
        (LogLevel::Error.as_str(), LogLevel::Error),
        (LogLevel::Warn.as_str(), LogLevel::Warn),
        (LogLevel::Info.as_str(), LogLevel::Info),
        (LogLevel::Debug.as_str(), LogLevel::Debug),
        (LogLevel::Trace.as_str(), LogLevel::Trace),
    ];
    SdgroupTable {
        name: table.optional("Name", value::challenge_name, reader),
        state_directory: table.optional("StateDirectory", value::absolute_path, reader),
        metrics_address: table.optional("MetricsAddress", value::socket_address, reader),
        admin_address: table.optional("AdminAddress", value::socket_address, reader),
        admin_token: secret(table, TOKEN_KEYS, reader),
        admin_socket: table.optional("AdminSocket", value::absolute_path, reader),
        log_format: table.optional("LogFormat", value::one_of(FORMATS), reader),
        log_level: table.optional("LogLevel", value::one_of(LEVELS), reader),
        first_packet_timeout: table.optional("FirstPacketTimeout", value::time(MOMENT..=TEN_MINUTES), reader),
        login_timeout: table.optional("LoginTimeout", value::time(MOMENT..=TEN_MINUTES), reader),
        route_wait: table.optional("RouteWait", value::time(Duration::ZERO..=TEN_MINUTES), reader),
        tls: tls::read(table, reader),
    }
}

fn listen(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> ListenTable {
    let address = table.optional("Address", value::ip, reader);
    let port = table.optional("SDPort", value::port, reader);
    ListenTable {
        span: table.span().clone(),
        spoiled: (table.has("Address") && address.is_none()) || (table.has("SDPort") && port.is_none()),
        address,
        port,
        group: table.required("Group", value::name(GroupName::new), reader),
    }
}

fn director(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> DirectorTable {
    let password = password(table, reader);
    if !has_password(table) && !reader.partial {
        let advice = "add Password, PasswordFile or PasswordCredential";
        reader.error(table.span(), "a Director here has no password", advice);
    }
    DirectorTable {
        name: table.required("Name", value::name(DirectorName::new), reader),
        password,
        monitor: None,
        tls: TlsTable::default(),
        limits: LimitTable::default(),
    }
}

fn storage(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> StorageTable {
    StorageTable {
        span: table.span().clone(),
        name: table.required("Name", value::storage_name, reader),
        address: table.required("Address", value::host, reader),
        port: table.optional("SDPort", value::port, reader),
        password: password(table, reader),
        has_password: has_password(table),
        directors: table
            .tables("Director", &STORAGE_DIRECTOR, reader)
            .iter()
            .map(|table| director(table, reader))
            .collect(),
        tls: tls::read(table, reader),
        device: table.optional("Device", value::name(DeviceName::new), reader),
        media_type: table.optional("MediaType", value::name(MediaType::new), reader),
        weight: table.optional("Weight", value::whole(1..=1_000_000), reader),
        slow_start_jobs: table.optional("SlowStartJobs", value::whole(0..=1_000), reader),
        high_water_mark: table.optional("HighWaterMark", value::share(1.0), reader),
        low_water_mark: table.optional("LowWaterMark", value::share(1.0), reader),
        limits: limits::read(table, reader),
    }
}

fn group(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> GroupTable {
    GroupTable {
        name: table.required("Name", value::name(GroupName::new), reader),
        members: table.required_list("Storages", value::storage_name, reader),
        policy: table.optional("StorageGroupPolicy", value::policy, reader),
        shadow_policy: table.optional("ShadowPolicy", value::policy, reader),
        threshold: table.optional("StorageGroupPolicyThreshold", value::threshold, reader),
        locality: table.optional("Locality", value::one_of(rules::LOCALITIES), reader),
        room_for_job: table.optional("RoomForJob", value::one_of(rules::ROOMS), reader),
        device: table.optional("Device", value::name(DeviceName::new), reader),
        media_type: table.optional("MediaType", value::name(MediaType::new), reader),
        limits: limits::read(table, reader),
        rules: table
            .tables("Rule", &RULE, reader)
            .iter()
            .map(|table| rules::read(table, reader))
            .collect(),
        down_wait: table.optional("DownWait", value::time(Duration::ZERO..=WEEK), reader),
        busy_wait: table.optional("BusyWait", value::time(Duration::ZERO..=WEEK), reader),
        maximum_queued_jobs: table.optional("MaximumQueuedJobs", value::whole(0..=1_000_000), reader),
        connect_timeout: table.optional("ConnectTimeout", value::time(MOMENT..=TEN_MINUTES), reader),
        login_timeout: table.optional("LoginTimeout", value::time(MOMENT..=TEN_MINUTES), reader),
        reserve_timeout: table.optional("ReserveTimeout", value::time(MOMENT..=TEN_MINUTES), reader),
        has_device: table.has("Device"),
        has_media_type: table.has("MediaType"),
    }
}

fn probe(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> ProbeTable {
    ProbeTable {
        span: table.span().clone(),
        director: table.optional("Director", value::name(DirectorName::new), reader),
        interval: table.optional("Interval", value::time(MOMENT..=DAY), reader),
        timeout: table.optional("Timeout", value::time(MOMENT..=TEN_MINUTES), reader),
        rise: table.optional("Rise", value::whole(1..=1_000), reader),
        fall: table.optional("Fall", value::whole(1..=1_000), reader),
        jitter: table.optional("Jitter", value::share(0.5), reader),
    }
}

fn ejection(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> EjectionTable {
    EjectionTable {
        span: table.span().clone(),
        failures: table.optional("Failures", value::whole(1..=1_000), reader),
        time: table.optional("Time", value::time(MOMENT..=DAY), reader),
        maximum_time: table.optional("MaximumTime", value::time(MOMENT..=WEEK), reader),
    }
}

pub(super) fn has_password(table: &Table<'_, '_>) -> bool {
    PASSWORD_KEYS.into_iter().any(|key| table.has(key))
}

/// The password of a table.
pub(super) fn password(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> Option<At<SecretSource>> {
    secret(table, PASSWORD_KEYS, reader)
}

/// A secret of a table, which is written in one of three ways.
fn secret(table: &Table<'_, '_>, keys: [&'static str; 3], reader: &mut Reader<'_, '_>) -> Option<At<SecretSource>> {
    let [inline_key, file_key, credential_key] = keys;
    let inline = table.optional(inline_key, inline_secret, reader);
    let file = table.optional(file_key, value::path, reader);
    let credential = table.optional(credential_key, value::text, reader);
    let mut written = [
        inline.map(|at| at.map(|text| SecretSource::Inline(Secret::new(text)))),
        file.map(|at| at.map(SecretSource::File)),
        credential.map(|at| at.map(SecretSource::Credential)),
    ]
    .into_iter()
    .flatten();
    let first = written.next();
    for further in written {
        let advice = format!("keep one of {inline_key}, {file_key} and {credential_key}");
        reader.error(&further.span, "the same secret is written more than once", advice);
    }
    first
}

fn inline_secret(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = value::text(value)?;
    if text.contains(char::is_control) {
        return Err(Fault::new(
            "holds a control character",
            "Bacula cannot read such a password from its own files",
        ));
    }
    Ok(text)
}

/// Stretches of the text that no diagnostic may show: every value, except those of keys that are known to be
/// harmless. A password under a misspelled key is a password still.
pub(super) fn secrets_of(document: &DeTable<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut tables = vec![document];
    while let Some(table) = tables.pop() {
        for (key, value) in table {
            match value.get_ref() {
                DeValue::Table(inner) => tables.push(inner),
                DeValue::Array(elements) if elements.iter().any(|element| element.get_ref().is_table()) => {
                    for element in elements {
                        match element.get_ref() {
                            DeValue::Table(inner) => tables.push(inner),
                            _ => spans.push(element.span()),
                        }
                    }
                }
                _ if is_harmless(key.get_ref()) => {}
                _ => spans.push(value.span()),
            }
        }
    }
    spans
}

/// The stretch to hide of a line that could not be parsed: all of it behind the key, unless the key is harmless.
pub(super) fn secret_of_broken_line(line: &str, start: usize) -> Option<Span> {
    let text = line.trim_start();
    if text.starts_with('[') && !text.contains('=') {
        return None;
    }
    let key = text.split(['=', '"', '\'', '{', '[']).next().unwrap_or_default().trim();
    let rest = folded(text.strip_prefix(key).unwrap_or(text));
    let other_keys = rest.contains("pass") || rest.contains("token") || rest.matches('=').count() > 1;
    if is_harmless(key) && !other_keys {
        return None;
    }
    let known = SCHEMAS
        .iter()
        .any(|schema| schema.keys.iter().any(|known| folded(known) == folded(key)));
    let hidden_from = match line.find('=') {
        Some(equals) => line.len() - line.get(equals + 1..).unwrap_or_default().trim_start().len(),
        None if known => line.len() - text.len() + key.len(),
        None => 0,
    };
    Some(start + hidden_from..start + line.len())
}

fn is_harmless(key: &str) -> bool {
    let plain = folded(key);
    let is_table = |known: &str| ROOT.keys.contains(&known);
    SECRET_KEYS.iter().all(|secret| plain != folded(secret))
        && SCHEMAS
            .iter()
            .flat_map(|schema| schema.keys)
            .any(|known| (!is_table(known) || matches!(*known, "Group" | "Director")) && folded(known) == plain)
}
