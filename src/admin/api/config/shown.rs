//! The configuration as it is shown, out of the model. Every field of the model is named here, so that a new one cannot
//! be forgotten; the secrets are those that are bound to nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    ConfigShown, DatabaseHostShown, DatabaseShown, DirectorShown, EjectionShown, GroupConfigShown, HistoryShown,
    LimitsShown, ListenerShown, PeersConfigShown, ProbeShown, RuleShown, StorageConfigShown, TlsShown,
};
use crate::config::Model;
use crate::config::model::{
    Certificates, DbHost, Director, Ejection, Group, History, Limits, Listener, Log, Peers, PostgreSql, Probe, Rule,
    Storage, Threshold, Tls, WaterMarks,
};
use crate::net::tls::CertificateFiles;
use crate::types::{Need, Needs};

pub(super) fn config(model: &Model) -> ConfigShown {
    let Model {
        name,
        state_directory,
        metrics_address,
        admin_address,
        admin_token: _,
        admin_socket,
        tls,
        log: Log { format, level },
        first_packet_timeout,
        login_timeout,
        route_wait,
        listeners,
        directors,
        storages,
        groups,
        probe,
        ejection,
        history,
        store,
        peers,
    } = model;
    ConfigShown {
        name: name.clone(),
        state_directory: path(state_directory),
        metrics_address: word(metrics_address.as_ref()),
        admin_address: word(admin_address.as_ref()),
        admin_socket: path(admin_socket),
        log_format: format.as_str().to_owned(),
        log_level: level.as_str().to_owned(),
        first_packet_timeout_seconds: seconds(*first_packet_timeout),
        login_timeout_seconds: seconds(*login_timeout),
        route_wait_seconds: seconds(*route_wait),
        tls: self::tls(tls),
        listeners: listeners.iter().map(listener).collect(),
        directors: directors.iter().map(director).collect(),
        storages: storages.iter().map(|config| storage(config)).collect(),
        groups: groups.iter().map(|config| group(config)).collect(),
        probe: self::probe(probe),
        ejection: self::ejection(*ejection),
        history: self::history(*history),
        store: store.as_ref().map(database),
        peers: peers.as_ref().map(self::peers),
    }
}

fn seconds(length: Duration) -> f64 {
    length.as_secs_f64()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn file(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| self::path(path))
}

fn word(value: Option<&impl ToString>) -> Option<String> {
    value.map(ToString::to_string)
}

fn words<'w, T: ToString + 'w>(values: impl IntoIterator<Item = &'w T>) -> Vec<String> {
    values.into_iter().map(ToString::to_string).collect()
}

fn tls(config: &Tls) -> TlsShown {
    let Tls {
        needs: Needs { certificate, psk },
        only_login,
        certificates,
    } = config;
    let files = match certificates.as_deref() {
        Some(Certificates { files, context: _ }) => files.clone(),
        None => CertificateFiles::default(),
    };
    let CertificateFiles {
        ca_file,
        ca_directory,
        certificate: own,
        key,
        verify_peer,
        allowed_common_names,
        only_login: _,
    } = files;
    TlsShown {
        certificates: need(*certificate),
        psk: need(*psk),
        only_login: *only_login,
        ca_certificate_file: file(ca_file.as_ref()),
        ca_certificate_directory: file(ca_directory.as_ref()),
        certificate_file: file(own.as_ref()),
        key_file: file(key.as_ref()),
        verify_peer,
        allowed_common_names,
    }
}

fn need(need: Need) -> String {
    match need {
        Need::None => "none",
        Need::Possible => "possible",
        Need::Required => "required",
    }
    .to_owned()
}

fn listener(config: &Listener) -> ListenerShown {
    let Listener { address, group } = config;
    ListenerShown {
        address: address.to_string(),
        group: group.to_string(),
    }
}

fn director(config: &Director) -> DirectorShown {
    let Director {
        name,
        password: _,
        monitor,
        tls,
        limits,
    } = config;
    DirectorShown {
        name: name.to_string(),
        monitor: *monitor,
        tls: self::tls(tls),
        limits: self::limits(*limits),
    }
}

fn limits(limits: Limits) -> LimitsShown {
    let Limits {
        maximum,
        maximum_write,
        maximum_read,
        target,
    } = limits;
    LimitsShown {
        jobs: maximum,
        writing_jobs: maximum_write,
        reading_jobs: maximum_read,
        target_jobs: target,
    }
}

fn storage(config: &Storage) -> StorageConfigShown {
    let Storage {
        name,
        address,
        port,
        password: _,
        director_passwords: _,
        tls,
        device,
        media_type,
        weight,
        limits,
        slow_start_jobs,
        water_marks,
    } = config;
    let marks = water_marks.map(|WaterMarks { high, low }| (high, low)).unzip();
    StorageConfigShown {
        name: name.to_string(),
        address: address.clone(),
        port: *port,
        tls: self::tls(tls),
        device: word(device.as_ref()),
        media_type: word(media_type.as_ref()),
        weight: *weight,
        limits: self::limits(*limits),
        slow_start_jobs: *slow_start_jobs,
        high_water_mark: marks.0,
        low_water_mark: marks.1,
    }
}

fn group(config: &Group) -> GroupConfigShown {
    let Group {
        name,
        members,
        policy,
        shadow_policy,
        threshold,
        locality,
        room_for_job,
        device,
        media_type,
        limits,
        rules,
        down_wait,
        busy_wait,
        maximum_queued_jobs,
        connect_timeout,
        login_timeout,
        reserve_timeout,
    } = config;
    let (threshold_bytes, threshold_share) = match threshold {
        Threshold::Bytes(bytes) => (Some(bytes.0), None),
        Threshold::Share(share) => (None, Some(*share)),
    };
    GroupConfigShown {
        name: name.to_string(),
        storages: words(members),
        policy: policy.to_string(),
        shadow_policy: word(shadow_policy.as_ref()),
        threshold_bytes,
        threshold_share,
        locality: locality.as_str().to_owned(),
        room_for_job: room_for_job.as_str().to_owned(),
        device: word(device.as_ref()),
        media_type: word(media_type.as_ref()),
        limits: self::limits(*limits),
        rules: rules.iter().map(rule).collect(),
        down_wait_seconds: seconds(*down_wait),
        busy_wait_seconds: seconds(*busy_wait),
        maximum_queued_jobs: *maximum_queued_jobs,
        connect_timeout_seconds: seconds(*connect_timeout),
        login_timeout_seconds: seconds(*login_timeout),
        reserve_timeout_seconds: seconds(*reserve_timeout),
    }
}

fn rule(config: &Rule) -> RuleShown {
    let Rule {
        name,
        directors,
        jobs,
        clients,
        filesets,
        levels,
        types,
        members,
        policy,
        locality,
        room_for_job,
        priority,
    } = config;
    RuleShown {
        name: name.clone(),
        directors: words(directors),
        jobs: words(jobs),
        clients: words(clients),
        filesets: words(filesets),
        levels: words(levels),
        types: words(types),
        storages: members.as_ref().map(words),
        policy: word(policy.as_ref()),
        locality: locality.map(|locality| locality.as_str().to_owned()),
        room_for_job: room_for_job.map(|room| room.as_str().to_owned()),
        priority: *priority,
    }
}

fn probe(config: &Probe) -> ProbeShown {
    let Probe {
        director,
        interval,
        timeout,
        rise,
        fall,
        jitter,
    } = config;
    ProbeShown {
        director: director.to_string(),
        interval_seconds: seconds(*interval),
        timeout_seconds: seconds(*timeout),
        rise: *rise,
        fall: *fall,
        jitter: *jitter,
    }
}

fn ejection(config: Ejection) -> EjectionShown {
    let Ejection {
        failures,
        time,
        maximum_time,
    } = config;
    EjectionShown {
        failures,
        time_seconds: seconds(time),
        maximum_time_seconds: seconds(maximum_time),
    }
}

fn history(config: History) -> HistoryShown {
    let History {
        retention,
        maximum_jobs,
    } = config;
    HistoryShown {
        retention_seconds: seconds(retention),
        maximum_jobs,
    }
}

fn database(config: &PostgreSql) -> DatabaseShown {
    let PostgreSql {
        hosts,
        name,
        user,
        password: _,
        ssl_mode,
        ssl_ca,
    } = config;
    let host = |DbHost { host, port }: &DbHost| DatabaseHostShown {
        host: host.clone(),
        port: *port,
    };
    DatabaseShown {
        hosts: hosts.iter().map(host).collect(),
        name: name.clone(),
        user: user.clone(),
        ssl_mode: ssl_mode.as_str().to_owned(),
        ssl_ca: file(ssl_ca.as_ref()),
    }
}

fn peers(config: &Peers) -> PeersConfigShown {
    let Peers {
        name,
        address,
        port,
        password: _,
    } = config;
    PeersConfigShown {
        name: name.to_string(),
        address: address.clone(),
        port: *port,
    }
}
