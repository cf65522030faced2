//! What the tests of this layer are built on: a configuration without a file, a request, a member.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::model::{self, Model, PolicyName};
use crate::types::{
    ClientName, DirectorName, FileSetName, GroupName, JobId, JobName, JobResourceName, Secret, StorageName,
};

use super::directory::Directory;
use super::ejection::{Cause, EjectionRule};
use super::health::{Layer, ProbeFailure, RiseAndFall};
use super::live::Gauges;
use super::member::{Member, MemberId};
use super::request::PlacementRequest;
use super::state::{Decision, State};

/// Three storages with two places each, in one group.
pub(crate) fn model(policy: PolicyName) -> Model {
    let names = ["File4", "File5", "File6"].map(storage_name);
    let director = DirectorName::new("dir").expect("a name");
    Model {
        name: "sdgroup".to_owned(),
        state_directory: "state".into(),
        metrics_address: None,
        admin_address: None,
        admin_token: None,
        admin_socket: "/nowhere/admin.sock".into(),
        log: model::Log {
            format: model::LogFormat::Text,
            level: model::LogLevel::Info,
        },
        first_packet_timeout: model::DEFAULT_FIRST_PACKET_TIMEOUT,
        login_timeout: model::DEFAULT_LOGIN_TIMEOUT,
        route_wait: model::DEFAULT_ROUTE_WAIT,
        tls: model::Tls::default(),
        listeners: vec![model::Listener {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            group: group_name(),
        }],
        directors: vec![model::Director {
            name: director.clone(),
            password: Secret::new("secret".to_owned()),
            monitor: false,
            tls: model::Tls::default(),
            limits: model::Limits::default(),
        }],
        storages: names.iter().map(|name| Arc::new(storage(name, 2))).collect(),
        groups: vec![Arc::new(model::Group {
            name: group_name(),
            members: names.to_vec(),
            policy,
            shadow_policy: None,
            threshold: model::Threshold::default(),
            locality: model::Locality::Off,
            room_for_job: model::RoomForJob::default(),
            device: None,
            media_type: None,
            limits: model::Limits::default(),
            rules: Vec::new(),
            down_wait: Duration::from_secs(60),
            busy_wait: Duration::from_secs(1800),
            maximum_queued_jobs: 1000,
            connect_timeout: model::DEFAULT_CONNECT_TIMEOUT,
            login_timeout: model::DEFAULT_STORAGE_LOGIN_TIMEOUT,
            reserve_timeout: model::DEFAULT_RESERVE_TIMEOUT,
        })],
        probe: model::Probe {
            director,
            interval: model::DEFAULT_PROBE_INTERVAL,
            timeout: model::DEFAULT_PROBE_TIMEOUT,
            rise: 2,
            fall: 3,
            jitter: model::DEFAULT_JITTER,
        },
        ejection: model::Ejection {
            failures: 1,
            time: Duration::from_secs(10),
            maximum_time: Duration::from_secs(300),
        },
        history: model::History::default(),
        store: None,
        peers: None,
    }
}

pub(crate) fn storage(name: &StorageName, limit: u32) -> model::Storage {
    model::Storage {
        limits: model::Limits {
            maximum: Some(limit),
            ..model::Limits::default()
        },
        ..model::Storage::new(name.clone(), "127.0.0.1".to_owned())
    }
}

/// A rule that fits every job and changes nothing.
pub(crate) fn rule() -> model::Rule {
    model::Rule {
        name: "rule 1".to_owned(),
        directors: Vec::new(),
        jobs: Vec::new(),
        clients: Vec::new(),
        filesets: Vec::new(),
        levels: Vec::new(),
        types: Vec::new(),
        members: None,
        policy: None,
        locality: None,
        room_for_job: None,
        priority: None,
    }
}

pub(crate) fn storage_name(name: &str) -> StorageName {
    StorageName::new(name).expect("a name")
}

pub(crate) fn group_name() -> GroupName {
    GroupName::new("Files").expect("a name")
}

pub(crate) fn directory() -> Arc<Directory> {
    Directory::seeded(&model(PolicyName::LeastUsed), 1)
}

pub(crate) fn request(director: &str, job_id: u32) -> PlacementRequest {
    PlacementRequest {
        job_id: JobId(job_id),
        ..PlacementRequest::new(
            DirectorName::new(director).expect("a name"),
            JobName::new(&format!("Nightly.2026-11-23_00.20.37_{job_id:02}")).expect("a name"),
            JobResourceName::new("Nightly").expect("a name"),
            ClientName::new("client").expect("a name"),
            FileSetName::new("All").expect("a name"),
        )
    }
}

pub(crate) fn member(name: &str, now: Instant) -> Member {
    let storage = storage(&storage_name(name), 2);
    Member::new(MemberId(0), &storage, Arc::new(Gauges::new(now)), now)
}

/// The operator wants `state`.
pub(crate) fn decision(state: State) -> Decision {
    Decision {
        state,
        by: "ann".to_owned(),
        reason: Some("new disks".to_owned()),
        ..Decision::default()
    }
}

pub(crate) fn decide(member: &mut Member, state: State) {
    member.tenure.begin(decision(state), None);
}

/// One probe of `member`, good or refused.
pub(crate) fn probe(member: &mut Member, good: bool, now: Instant) {
    let failure = (!good).then(|| ProbeFailure {
        layer: Layer::Connect,
        text: "connection refused".into(),
    });
    member.health.observe(failure, RiseAndFall { rise: 1, fall: 1 }, now);
}

/// Ejects `member` for 10 s.
pub(crate) fn eject(member: &mut Member, now: Instant) {
    let rule = EjectionRule {
        failures: 1,
        time: Duration::from_secs(10),
        maximum_time: Duration::from_secs(300),
    };
    member
        .ejection
        .failed(Cause::new("reset", "connection reset"), rule, now);
}
