//! What differs between the configuration in force and the next one, by table and key, and what of it a reload cannot apply.
//!
//! Every field of the model is named here, so that a new one cannot be forgotten.

use std::fmt;
use std::sync::Arc;

use super::model::{Director, Ejection, Group, History, Limits, Log, Model, Probe, Storage};

/// The differences. `Display` gives them in one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Differences {
    /// What a reload applies: "`[[Storage]]` File5: MaximumConcurrentJobs".
    pub applied: Vec<String>,
    /// What only another process can begin with.
    pub need_handover: Vec<String>,
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = self
            .applied
            .iter()
            .chain(&self.need_handover)
            .map(String::as_str)
            .collect();
        f.write_str(if all.is_empty() { "nothing" } else { "" })?;
        f.write_str(&all.join("; "))
    }
}

/// Adds `what: key` for every field that differs, however little. The pattern is exhaustive.
macro_rules! compare {
    ($kind:ident, $before:expr, $after:expr, $what:expr, $to:expr,
     { $($field:ident: $key:literal),* $(,)? } $(apart from $($apart:ident),+)?) => {{
        let $kind { $($field,)* $($($apart: _,)+)? } = $before;
        let (what, to): (&str, &mut Vec<String>) = (&$what, $to);
        $(if *$field != $after.$field {
            to.push(format!("{what}: {}", $key));
        })*
    }};
}

/// What is different in `after`.
#[must_use]
#[allow(clippy::float_cmp, reason = "another figure is another configuration")]
pub fn differences(before: &Model, after: &Model) -> Differences {
    let mut found = Differences::default();
    compare!(Model, before, after, "[Sdgroup]", &mut found.need_handover, {
        state_directory: "StateDirectory",
        metrics_address: "MetricsAddress",
        admin_address: "AdminAddress",
        admin_socket: "AdminSocket",
    } apart from name, tls, log, admin_token, first_packet_timeout, login_timeout, route_wait, listeners, directors, storages,
        groups, probe, ejection, history, store, peers);
    compare!(Log, &before.log, after.log, "[Sdgroup]", &mut found.need_handover, {
        format: "LogFormat",
        level: "LogLevel",
    });
    if before.store != after.store {
        found.need_handover.push("[Store]".to_owned());
    }
    if before.peers != after.peers {
        found.need_handover.push("[Peers]".to_owned());
    }
    listeners(before, after, &mut found);
    let applied = &mut found.applied;
    let changed = |is_other: bool, key: &str| is_other.then(|| format!("[Sdgroup]: {key}"));
    applied.extend(changed(before.name != after.name, "Name"));
    applied.extend(changed(before.admin_token != after.admin_token, "AdminToken"));
    applied.extend(changed(before.tls != after.tls, "TLS"));
    applied.extend(changed(
        before.first_packet_timeout != after.first_packet_timeout,
        "FirstPacketTimeout",
    ));
    applied.extend(changed(before.login_timeout != after.login_timeout, "LoginTimeout"));
    applied.extend(changed(before.route_wait != after.route_wait, "RouteWait"));
    let directors = (&*before.directors, &*after.directors);
    tables("Director", directors, |it| it.name.as_str(), director, applied);
    let storages = (&*before.storages, &*after.storages);
    tables("Storage", storages, |it| it.name.as_str(), storage, applied);
    let groups = (&*before.groups, &*after.groups);
    tables("Group", groups, |it| it.name.as_str(), group, applied);
    compare!(Probe, &before.probe, after.probe, "[Probe]", applied, {
        director: "Director",
        interval: "Interval",
        timeout: "Timeout",
        rise: "Rise",
        fall: "Fall",
        jitter: "Jitter",
    });
    compare!(Ejection, &before.ejection, after.ejection, "[Ejection]", applied, {
        failures: "Failures",
        time: "Time",
        maximum_time: "MaximumTime",
    });
    compare!(History, &before.history, after.history, "[History]", applied, {
        retention: "Retention",
        maximum_jobs: "MaximumJobs",
    });
    found
}

/// A listener may serve another group. An address that is new has no socket yet, and one that goes is where Clients of
/// running jobs call.
fn listeners(before: &Model, after: &Model, found: &mut Differences) {
    let group_of = |model: &Model, address| model.group_at(address).map(|group| group.name.clone());
    for listener in &before.listeners {
        let address = listener.address;
        match group_of(after, address) {
            None => found.need_handover.push(format!("[[Listen]] {address} is gone")),
            Some(group) if group != listener.group => found.applied.push(format!("[[Listen]] {address}: Group")),
            Some(_) => {}
        }
    }
    let is_new = |address| group_of(before, address).is_none();
    let new = after.listeners.iter().filter(|listener| is_new(listener.address));
    found
        .need_handover
        .extend(new.map(|listener| format!("[[Listen]] {} is new", listener.address)));
}

/// The differences of tables that have names.
fn tables<T>(
    kind: &str,
    (before, after): (&[T], &[T]),
    name: impl Fn(&T) -> &str,
    one: impl Fn(&T, &T, &str, &mut Vec<String>),
    to: &mut Vec<String>,
) {
    let find = |all: &'_ [T], wanted: &str| all.iter().position(|it| name(it) == wanted);
    for old in before {
        let what = format!("[[{kind}]] {}", name(old));
        match find(after, name(old)).and_then(|at| after.get(at)) {
            Some(new) => one(old, new, &what, to),
            None => to.push(format!("{what} is gone")),
        }
    }
    let new = after.iter().filter(|new| find(before, name(new)).is_none());
    to.extend(new.map(|new| format!("[[{kind}]] {} is new", name(new))));
}

fn director(before: &Director, after: &Director, what: &str, to: &mut Vec<String>) {
    compare!(Director, before, after, what, to, {
        name: "Name",
        password: "Password",
        monitor: "Monitor",
        tls: "TLS",
    } apart from limits);
    limits(&before.limits, &after.limits, what, to);
}

fn storage(before: &Arc<Storage>, after: &Arc<Storage>, what: &str, to: &mut Vec<String>) {
    compare!(Storage, &**before, after, what, to, {
        name: "Name",
        address: "Address",
        port: "SDPort",
        password: "Password",
        director_passwords: "the passwords of [[Storage.Director]]",
        tls: "TLS",
        device: "Device",
        media_type: "MediaType",
        weight: "Weight",
        slow_start_jobs: "SlowStartJobs",
        water_marks: "HighWaterMark, LowWaterMark",
    } apart from limits);
    limits(&before.limits, &after.limits, what, to);
}

fn group(before: &Arc<Group>, after: &Arc<Group>, what: &str, to: &mut Vec<String>) {
    compare!(Group, &**before, after, what, to, {
        name: "Name",
        members: "Storages",
        policy: "StorageGroupPolicy",
        shadow_policy: "ShadowPolicy",
        threshold: "StorageGroupPolicyThreshold",
        locality: "Locality",
        room_for_job: "RoomForJob",
        device: "Device",
        media_type: "MediaType",
        rules: "[[Group.Rule]]",
        down_wait: "DownWait",
        busy_wait: "BusyWait",
        maximum_queued_jobs: "MaximumQueuedJobs",
        connect_timeout: "ConnectTimeout",
        login_timeout: "LoginTimeout",
        reserve_timeout: "ReserveTimeout",
    } apart from limits);
    limits(&before.limits, &after.limits, what, to);
}

fn limits(before: &Limits, after: &Limits, what: &str, to: &mut Vec<String>) {
    compare!(Limits, before, after, what, to, {
        maximum: "MaximumConcurrentJobs",
        maximum_write: "MaximumConcurrentWriteJobs",
        maximum_read: "MaximumConcurrentReadJobs",
        target: "TargetConcurrentJobs",
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{MachineSecrets, compile};

    const BEFORE: &str = r#"
        [Sdgroup]
        MetricsAddress = "127.0.0.1:9105"
        [[Listen]]
        Group = "Files"
        [[Director]]
        Name = "lab-dir"
        Password = "secret"
        [[Storage]]
        Name = "File4"
        Address = "192.0.2.4"
        Password = "secret"
        [[Storage]]
        Name = "File5"
        Address = "192.0.2.5"
        Password = "secret"
        [[Group]]
        Name = "Files"
        Storages = ["File4", "File5"]
    "#;

    fn told(change: impl Fn(&str) -> String) -> (Vec<String>, Vec<String>) {
        let model = |text: &str| {
            let loaded = compile(text, Path::new("test.toml"), &MachineSecrets::new());
            loaded.unwrap_or_else(|problems| panic!("{problems:#?}")).model
        };
        let Differences { applied, need_handover } = differences(&model(BEFORE), &model(&change(BEFORE)));
        (applied, need_handover)
    }

    #[test]
    fn what_is_the_same_is_not_told() {
        let commented = |text: &str| format!("# a comment\n{text}");
        assert_eq!(told(commented), (vec![], vec![]));
        assert_eq!(Differences::default().to_string(), "nothing");
    }

    #[test]
    fn each_difference_is_told_by_its_table_and_key() {
        let (applied, need_handover) = told(|text| {
            text.replace("192.0.2.4\"", "192.0.2.44\"\nMaximumConcurrentJobs = 7")
                .replace(
                    "secret\"\n        [[Storage]]\n        Name = \"File4",
                    "other\"\n[[Storage]]\nName = \"File4",
                )
                .replace("\"File5\"", "\"File6\"")
                + "DownWait = \"5 seconds\"\n[Probe]\nRise = 9\n"
        });
        assert_eq!(need_handover, Vec::<String>::new());
        assert_eq!(
            applied,
            [
                "[[Director]] lab-dir: Password",
                "[[Storage]] File4: Address",
                "[[Storage]] File4: MaximumConcurrentJobs",
                "[[Storage]] File5 is gone",
                "[[Storage]] File6 is new",
                "[[Group]] Files: Storages",
                "[[Group]] Files: DownWait",
                "[Probe]: Rise",
            ]
        );
    }

    #[test]
    fn what_needs_a_handover_is_told_apart() {
        let (applied, need_handover) = told(|text| {
            text.replace(
                "9105\"",
                "9106\"\nStateDirectory = \"/srv/sdgroup\"\nLogLevel = \"debug\"\nName = \"x\"",
            )
            .replace("Group = \"Files\"", "SDPort = 9104\nGroup = \"Files\"")
        });
        assert_eq!(applied, ["[Sdgroup]: Name"]);
        assert_eq!(
            need_handover,
            [
                "[Sdgroup]: StateDirectory",
                "[Sdgroup]: MetricsAddress",
                "[Sdgroup]: AdminSocket",
                "[Sdgroup]: LogLevel",
                "[[Listen]] 0.0.0.0:9103 is gone",
                "[[Listen]] 0.0.0.0:9104 is new",
            ]
        );
    }
}
