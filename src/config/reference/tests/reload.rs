//! What a reload makes of every key.

use super::super::{TABLES, needs_handover};
use super::{SMALL, compiled};
use crate::config::diff::differences;

/// A value that is not the default, for every key. An empty header stands for each table that has the key and no line
/// of its own here.
const OTHER: &[(&str, &str, &str)] = &[
    ("[Sdgroup]", "Name", "\"other\""),
    ("[Sdgroup]", "StateDirectory", "\"/elsewhere\""),
    ("[Sdgroup]", "MetricsAddress", "\"127.0.0.1:1\""),
    (
        "[Sdgroup]",
        "AdminAddress",
        "\"127.0.0.1:2\"\nAdminToken = \"0123456789abcdef\"",
    ),
    ("[Sdgroup]", "AdminToken", "\"0123456789abcdef\""),
    ("[Sdgroup]", "AdminTokenCredential", "\"token\""),
    ("[Sdgroup]", "AdminSocket", "\"/elsewhere.sock\""),
    ("[Sdgroup]", "LogFormat", "\"json\""),
    ("[Sdgroup]", "LogLevel", "\"debug\""),
    ("[Sdgroup]", "FirstPacketTimeout", "\"7 seconds\""),
    ("", "LoginTimeout", "\"7 seconds\""),
    ("[Sdgroup]", "RouteWait", "\"7 seconds\""),
    ("", "TlsPskEnable", "false"),
    ("", "TlsRequire", "true"),
    ("", "TlsAuthenticate", "true"),
    ("[Store]", "DbAddress", "[\"other\"]"),
    ("[Store]", "DbPort", "5433"),
    ("[Store]", "DbName", "\"other\""),
    ("[Store]", "DbUser", "\"other\""),
    ("[Store]", "DbSslMode", "\"require\""),
    ("[[Listen]]", "Address", "\"127.0.0.1\""),
    ("", "SDPort", "9104"),
    ("", "Password", "\"other\""),
    ("[[Director]]", "Monitor", "true"),
    ("", "MaximumConcurrentJobs", "7"),
    ("", "MaximumConcurrentWriteJobs", "7"),
    ("", "MaximumConcurrentReadJobs", "7"),
    ("", "TargetConcurrentJobs", "7"),
    ("[[Storage]]", "Address", "\"192.0.2.2\""),
    ("", "Device", "\"other\""),
    ("", "MediaType", "\"other\""),
    ("[[Storage]]", "Weight", "2"),
    ("[[Storage]]", "SlowStartJobs", "7"),
    ("[[Storage]]", "HighWaterMark", "\"90%\""),
    ("[[Storage]]", "LowWaterMark", "\"80%\"\nHighWaterMark = \"90%\""),
    ("[[Group]]", "StorageGroupPolicy", "\"LeastUsed\""),
    ("[[Group]]", "ShadowPolicy", "\"LeastUsed\""),
    ("[[Group]]", "StorageGroupPolicyThreshold", "\"7 GB\""),
    ("[[Group]]", "Locality", "\"prefer\""),
    ("[[Group]]", "RoomForJob", "\"require\""),
    ("[[Group]]", "DownWait", "\"7 seconds\""),
    ("[[Group]]", "BusyWait", "\"7 seconds\""),
    ("[[Group]]", "MaximumQueuedJobs", "7"),
    ("[[Group]]", "ConnectTimeout", "\"7 seconds\""),
    ("[[Group]]", "ReserveTimeout", "\"7 seconds\""),
    ("[[Group.Rule]]", "Name", "\"other\""),
    ("[[Group.Rule]]", "Director", "\"d\""),
    ("[[Group.Rule]]", "Job", "\"other\""),
    ("[[Group.Rule]]", "Client", "\"other\""),
    ("[[Group.Rule]]", "FileSet", "\"other\""),
    ("[[Group.Rule]]", "Level", "\"Full\""),
    ("[[Group.Rule]]", "Type", "\"Backup\""),
    ("[[Group.Rule]]", "Storages", "[\"S\"]"),
    ("[[Group.Rule]]", "StorageGroupPolicy", "\"LeastUsed\""),
    ("[[Group.Rule]]", "Locality", "\"prefer\""),
    ("[[Group.Rule]]", "RoomForJob", "\"require\""),
    ("[[Group.Rule]]", "Priority", "3"),
    ("[Probe]", "Interval", "\"7 seconds\""),
    ("[Probe]", "Timeout", "\"7 seconds\""),
    ("[Probe]", "Rise", "7"),
    ("[Probe]", "Fall", "7"),
    ("[Probe]", "Jitter", "\"30%\""),
    ("[Ejection]", "Failures", "7"),
    ("[Ejection]", "Time", "\"7 seconds\""),
    ("[Ejection]", "MaximumTime", "\"7 minutes\""),
    ("[History]", "Retention", "\"7 days\""),
    ("[History]", "MaximumJobs", "7"),
    ("[Peers]", "Name", "\"other\""),
    ("[Peers]", "Address", "\"other\""),
    ("[Peers]", "Password", "\"another-password\""),
    ("[Peers]", "SDPort", "9104"),
];

/// Keys without one: they name a file or a table that would have to be there, are another way to write a key of the
/// table above, or are what a table is known by.
const WITHOUT_OTHER: &[&str] = &[
    "PasswordFile",
    "PasswordCredential",
    "AdminTokenFile",
    "DbSslCa",
    "TlsEnable",
    "TlsVerifyPeer",
    "TlsCaCertificateFile",
    "TlsCaCertificateDir",
    "TlsCertificate",
    "TlsKey",
    "TlsAllowedCn",
    "Name",
    "Group",
    "Storages",
    "Director",
    "Rule",
];

/// The configuration with `key` of the table at `value`, whether it stood there or not.
fn with(header: &str, key: &str, value: &str) -> String {
    let (before, rest) = SMALL.split_once(&format!("{header}\n")).unwrap();
    let end = rest.find("\n[").map_or(rest.len(), |at| at + 1);
    let end = if rest.starts_with('[') { 0 } else { end };
    let (own, after) = rest.split_at(end);
    let others: Vec<&str> = own
        .lines()
        .filter(|line| !line.starts_with(&format!("{key} = ")))
        .collect();
    format!("{before}{header}\n{key} = {value}\n{}\n{after}", others.join("\n"))
}

#[test]
fn what_a_reload_applies_is_what_the_page_says() {
    let before = compiled(SMALL);
    let mut left = Vec::new();
    for table in TABLES {
        for (key, ..) in table.keys() {
            let here = |wanted: &str| {
                OTHER
                    .iter()
                    .find(|(header, other, _)| *header == wanted && other == key)
            };
            let Some((.., value)) = here(table.header).or_else(|| here("")) else {
                left.push(*key);
                continue;
            };
            let found = differences(&before, &compiled(&with(table.header, key, value)));
            let needs = !found.need_handover.is_empty();
            assert!(
                needs || !found.applied.is_empty(),
                "{key} of {} makes no difference",
                table.header
            );
            assert_eq!(
                needs,
                needs_handover(table.header, key),
                "{key} of {}: {found}",
                table.header
            );
        }
    }
    left.retain(|key| !WITHOUT_OTHER.contains(key));
    assert!(
        left.is_empty(),
        "what another value of them does is not looked at: {left:?}"
    );
}
