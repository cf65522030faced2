//! What differs between the configuration in force and the next one, by table and key, and what of it a reload cannot
//! apply.
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

/// Adds `what: key` for every key that is different.
fn tell(what: &str, keys: &[(&str, bool)], to: &mut Vec<String>) {
    let different = keys.iter().filter(|(_, is_different)| *is_different);
    to.extend(different.map(|(key, _)| format!("{what}: {key}")));
}

/// What is different in `after`.
#[must_use]
pub fn differences(before: &Model, after: &Model) -> Differences {
    let Model {
        name,
        state_directory,
        metrics_address,
        admin_address,
        admin_socket,
        admin_token,
        tls,
        log: Log { format, level },
        first_packet_timeout,
        login_timeout,
        route_wait,
        listeners: _,
        directors,
        storages,
        groups,
        probe: old_probe,
        ejection: old_ejection,
        history: old_history,
        store,
        peers,
    } = before;
    let mut found = Differences::default();
    let keys = [
        ("StateDirectory", *state_directory != after.state_directory),
        ("MetricsAddress", *metrics_address != after.metrics_address),
        ("AdminAddress", *admin_address != after.admin_address),
        ("AdminSocket", *admin_socket != after.admin_socket),
        ("LogFormat", *format != after.log.format),
        ("LogLevel", *level != after.log.level),
    ];
    tell("[Sdgroup]", &keys, &mut found.need_handover);
    if *store != after.store {
        found.need_handover.push("[Store]".to_owned());
    }
    if *peers != after.peers {
        found.need_handover.push("[Peers]".to_owned());
    }
    listeners(before, after, &mut found);
    let applied = &mut found.applied;
    let keys = [
        ("Name", *name != after.name),
        ("AdminToken", *admin_token != after.admin_token),
        ("TLS", *tls != after.tls),
        (
            "FirstPacketTimeout",
            *first_packet_timeout != after.first_packet_timeout,
        ),
        ("LoginTimeout", *login_timeout != after.login_timeout),
        ("RouteWait", *route_wait != after.route_wait),
    ];
    tell("[Sdgroup]", &keys, applied);
    let directors = (&**directors, &*after.directors);
    tables("Director", directors, |it| it.name.as_str(), director, applied);
    let storages = (&**storages, &*after.storages);
    tables("Storage", storages, |it| it.name.as_str(), storage, applied);
    let groups = (&**groups, &*after.groups);
    tables("Group", groups, |it| it.name.as_str(), group, applied);
    probe(old_probe, &after.probe, applied);
    ejection(old_ejection, &after.ejection, applied);
    history(old_history, &after.history, applied);
    found
}

#[allow(clippy::float_cmp, reason = "another figure is another configuration")]
fn probe(before: &Probe, after: &Probe, to: &mut Vec<String>) {
    let Probe {
        director,
        interval,
        timeout,
        rise,
        fall,
        jitter,
    } = before;
    let keys = [
        ("Director", *director != after.director),
        ("Interval", *interval != after.interval),
        ("Timeout", *timeout != after.timeout),
        ("Rise", *rise != after.rise),
        ("Fall", *fall != after.fall),
        ("Jitter", *jitter != after.jitter),
    ];
    tell("[Probe]", &keys, to);
}

fn ejection(before: &Ejection, after: &Ejection, to: &mut Vec<String>) {
    let Ejection {
        failures,
        time,
        maximum_time,
    } = before;
    let keys = [
        ("Failures", *failures != after.failures),
        ("Time", *time != after.time),
        ("MaximumTime", *maximum_time != after.maximum_time),
    ];
    tell("[Ejection]", &keys, to);
}

fn history(before: &History, after: &History, to: &mut Vec<String>) {
    let History {
        retention,
        maximum_jobs,
    } = before;
    let keys = [
        ("Retention", *retention != after.retention),
        ("MaximumJobs", *maximum_jobs != after.maximum_jobs),
    ];
    tell("[History]", &keys, to);
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
    let Director {
        name,
        password,
        monitor,
        tls,
        limits: old_limits,
    } = before;
    let keys = [
        ("Name", *name != after.name),
        ("Password", *password != after.password),
        ("Monitor", *monitor != after.monitor),
        ("TLS", *tls != after.tls),
    ];
    tell(what, &keys, to);
    limits(old_limits, &after.limits, what, to);
}

fn storage(before: &Arc<Storage>, after: &Arc<Storage>, what: &str, to: &mut Vec<String>) {
    let Storage {
        name,
        address,
        port,
        password,
        director_passwords,
        tls,
        device,
        media_type,
        weight,
        slow_start_jobs,
        water_marks,
        limits: old_limits,
    } = &**before;
    let keys = [
        ("Name", *name != after.name),
        ("Address", *address != after.address),
        ("SDPort", *port != after.port),
        ("Password", *password != after.password),
        (
            "the passwords of [[Storage.Director]]",
            *director_passwords != after.director_passwords,
        ),
        ("TLS", *tls != after.tls),
        ("Device", *device != after.device),
        ("MediaType", *media_type != after.media_type),
        ("Weight", *weight != after.weight),
        ("SlowStartJobs", *slow_start_jobs != after.slow_start_jobs),
        ("HighWaterMark, LowWaterMark", *water_marks != after.water_marks),
    ];
    tell(what, &keys, to);
    limits(old_limits, &after.limits, what, to);
}

fn group(before: &Arc<Group>, after: &Arc<Group>, what: &str, to: &mut Vec<String>) {
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
        rules,
        down_wait,
        busy_wait,
        maximum_queued_jobs,
        connect_timeout,
        login_timeout,
        reserve_timeout,
        limits: old_limits,
    } = &**before;
    let keys = [
        ("Name", *name != after.name),
        ("Storages", *members != after.members),
        ("StorageGroupPolicy", *policy != after.policy),
        ("ShadowPolicy", *shadow_policy != after.shadow_policy),
        ("StorageGroupPolicyThreshold", *threshold != after.threshold),
        ("Locality", *locality != after.locality),
        ("RoomForJob", *room_for_job != after.room_for_job),
        ("Device", *device != after.device),
        ("MediaType", *media_type != after.media_type),
        ("[[Group.Rule]]", *rules != after.rules),
        ("DownWait", *down_wait != after.down_wait),
        ("BusyWait", *busy_wait != after.busy_wait),
        ("MaximumQueuedJobs", *maximum_queued_jobs != after.maximum_queued_jobs),
        ("ConnectTimeout", *connect_timeout != after.connect_timeout),
        ("LoginTimeout", *login_timeout != after.login_timeout),
        ("ReserveTimeout", *reserve_timeout != after.reserve_timeout),
    ];
    tell(what, &keys, to);
    limits(old_limits, &after.limits, what, to);
}

fn limits(before: &Limits, after: &Limits, what: &str, to: &mut Vec<String>) {
    let Limits {
        maximum,
        maximum_write,
        maximum_read,
        target,
    } = before;
    let keys = [
        ("MaximumConcurrentJobs", *maximum != after.maximum),
        ("MaximumConcurrentWriteJobs", *maximum_write != after.maximum_write),
        ("MaximumConcurrentReadJobs", *maximum_read != after.maximum_read),
        ("TargetConcurrentJobs", *target != after.target),
    ];
    tell(what, &keys, to);
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
