//! The page `deploy/docs/configuration.md`, made of a table that is held to the schemas and to the defaults of the model: a key
//! that is new, or a default that has changed, fails the test until the table says so, and the page is written anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::diff::differences;
use super::file::SCHEMAS;
use super::{MachineSecrets, Model, compile};

/// A key: its name, what may stand there, its default as TOML (or in words, in brackets), what it means.
type Key = (&'static str, &'static str, &'static str, &'static str);

/// A table: its header, what it is, how often it may stand there, its keys.
struct Table {
    header: &'static str,
    title: &'static str,
    keys: &'static [&'static [Key]],
}

const TIME: &str = "time";
const WHOLE: &str = "number";
const FLAG: &str = "true, false";
const NONE: &str = "";
const NEEDED: &str = "(must be there)";

const PASSWORD: &[Key] = &[
    (
        "Password",
        "text",
        NONE,
        "The password itself. One of these three keys must be there.",
    ),
    (
        "PasswordFile",
        "path",
        NONE,
        "A file that holds the password and nothing else; a relative path begins at the configuration's directory.",
    ),
    (
        "PasswordCredential",
        "name",
        NONE,
        "A credential that systemd hands to the unit (`LoadCredential=`).",
    ),
];

const LIMITS: &[Key] = &[
    (
        "MaximumConcurrentWriteJobs",
        WHOLE,
        NONE,
        "How many of its jobs may write. Any number when left out.",
    ),
    (
        "MaximumConcurrentReadJobs",
        WHOLE,
        NONE,
        "How many of its jobs may read.",
    ),
    (
        "TargetConcurrentJobs",
        WHOLE,
        NONE,
        "A soft limit: above it only where there is no other way.",
    ),
];

const NO_MAXIMUM: &[Key] = &[(
    "MaximumConcurrentJobs",
    WHOLE,
    NONE,
    "How many jobs it may have at once. Any number when left out.",
)];

const TLS: &[Key] = &[
    (
        "TlsPskEnable",
        FLAG,
        "true",
        "TLS with the password as the shared key, where the other side can (Bacula since 11).",
    ),
    ("TlsEnable", FLAG, "false", "TLS with certificates."),
    ("TlsRequire", FLAG, "false", "Refuses whoever has neither."),
    (
        "TlsVerifyPeer",
        FLAG,
        "true",
        "With TlsEnable: the other side must show a certificate of an authority that is trusted.",
    ),
    ("TlsCaCertificateFile", "path", NONE, "The authorities, in one file."),
    (
        "TlsCaCertificateDir",
        "path",
        NONE,
        "The authorities, in a directory made by `openssl rehash`.",
    ),
    ("TlsCertificate", "path", NONE, "What sdgroup shows of itself."),
    ("TlsKey", "path", NONE, "Its key."),
    (
        "TlsAllowedCn",
        "list of names",
        "[]",
        "Whose certificates are taken: any when left out.",
    ),
    (
        "TlsAuthenticate",
        FLAG,
        "false",
        "TLS for the login only; both sides must say so.",
    ),
];

const TABLES: &[Table] = &[
    Table {
        header: "[Sdgroup]",
        title: "The process itself. Its TLS keys are for both ends of data connections that do not pass through.",
        keys: &[
            &[
                (
                    "Name",
                    "name",
                    "\"sdgroup\"",
                    "What it calls itself in challenges and in jobs' messages.",
                ),
                (
                    "StateDirectory",
                    "path",
                    "\"/var/lib/sdgroup\"",
                    "Where the volume ledger, the history and the states are kept.",
                ),
                (
                    "MetricsAddress",
                    "address:port",
                    NONE,
                    "Where `/metrics`, `/livez` and `/readyz` are served. Nowhere when left out.",
                ),
                (
                    "AdminAddress",
                    "address:port",
                    NONE,
                    "Where the dashboard and the operator's interface are served over TCP. Nowhere when left out.",
                ),
                (
                    "AdminToken",
                    "text",
                    NONE,
                    "What a caller at AdminAddress has to show; 16 characters or more, without spaces. AdminAddress needs it.",
                ),
                (
                    "AdminTokenFile",
                    "path",
                    NONE,
                    "The same in a file that holds the token and nothing else.",
                ),
                (
                    "AdminTokenCredential",
                    "name",
                    NONE,
                    "The same as a credential of systemd's.",
                ),
                (
                    "AdminSocket",
                    "path",
                    "\"/var/lib/sdgroup/admin.sock\"",
                    "The socket for sdgroup's own commands; `admin.sock` in StateDirectory when left out.",
                ),
                (
                    "LogFormat",
                    "text, json",
                    "\"text\"",
                    "Lines for people and the journal, or one JSON object a line.",
                ),
                (
                    "LogLevel",
                    "error, warn, info, debug, trace",
                    "\"info\"",
                    "The least severe level that is written.",
                ),
                (
                    "FirstPacketTimeout",
                    TIME,
                    "\"10 seconds\"",
                    "How long a new connection may say nothing at all.",
                ),
                (
                    "LoginTimeout",
                    TIME,
                    "\"10 seconds\"",
                    "How long a Director's or a Client's login here may take.",
                ),
                (
                    "RouteWait",
                    TIME,
                    "\"5 seconds\"",
                    "How long a Client that is quicker than its job is kept waiting for it.",
                ),
            ],
            TLS,
        ],
    },
    Table {
        header: "[Store]",
        title: "A PostgreSQL database that several sdgroups share, as libpq's words have it. Left out, all is in the StateDirectory.",
        keys: &[&[
            (
                "DbAddress",
                "list of hosts, each with a port or not, or a socket's folder",
                "",
                "Where it may be; the one that takes writes is used.",
            ),
            ("DbPort", "port", "5432", "Where an address has none."),
            ("DbName", "name", "\"sdgroup\"", "The database."),
            ("DbUser", "name", "\"sdgroup\"", "The role."),
            ("Password", "text", "", "The role's password."),
            ("PasswordFile", "path", "", "A file with it."),
            ("PasswordCredential", "name", "", "A systemd credential with it."),
            (
                "DbSslMode",
                "`disable`, `prefer`, `require`, `verify-ca` or `verify-full`",
                "\"prefer\"",
                "TLS.",
            ),
            (
                "DbSslCa",
                "path",
                NONE,
                "The authority's certificate, for the last two.",
            ),
        ]],
    },
    Table {
        header: "[Peers]",
        title: "What sdgroups that share a store have to know to call each other. Left out, this one shares what is known of volumes, jobs and storages, and neither its load nor the data connections of its jobs.",
        keys: &[&[
            (
                "Name",
                "name",
                "(the machine's)",
                "What this one is called; each has a name of its own.",
            ),
            (
                "Address",
                "host",
                "(the machine's name)",
                "Where the others reach this one.",
            ),
            ("SDPort", "port", "(that of the first `[[Listen]]`)", "The port there."),
            (
                "Password",
                "text of 16 characters or more",
                "",
                "The same for all of them.",
            ),
            ("PasswordFile", "path", "", "A file with it."),
            ("PasswordCredential", "name", "", "A systemd credential with it."),
        ]],
    },
    Table {
        header: "[[Listen]]",
        title: "Where Directors and Clients call: one for each group or more.",
        keys: &[&[
            (
                "Address",
                "IP address",
                "\"0.0.0.0\"",
                "An address of this machine; `0.0.0.0` is all of IPv4, `::` all of IPv6.",
            ),
            ("SDPort", "port", "9103", "The port."),
            ("Group", "name", NEEDED, "The group that serves what comes in here."),
        ]],
    },
    Table {
        header: "[[Director]]",
        title: "Who may log in as a Director.",
        keys: &[
            &[(
                "Name",
                "name",
                NEEDED,
                "The Name in the Director resource of bacula-dir.conf.",
            )],
            PASSWORD,
            &[("Monitor", FLAG, "false", "Whether it may only ask for the status.")],
            NO_MAXIMUM,
            LIMITS,
            TLS,
        ],
    },
    Table {
        header: "[[Storage]]",
        title: "A real Storage Daemon.",
        keys: &[
            &[
                (
                    "Name",
                    "name",
                    NEEDED,
                    "Its name here: in logs, metrics and the ledger. Not to be changed while it holds volumes.",
                ),
                ("Address", "host", NEEDED, "Host name or IP address."),
                ("SDPort", "port", "9103", "Its port."),
            ],
            PASSWORD,
            &[
                ("Director", "tables", NONE, "`[[Storage.Director]]`, see below."),
                (
                    "Device",
                    "name",
                    NONE,
                    "Its own word for the Device; the Director's when left out.",
                ),
                (
                    "MediaType",
                    "name",
                    NONE,
                    "Its own word for the MediaType; the Director's when left out.",
                ),
                ("Weight", WHOLE, "1", "Its share, for Weighted and JobHash."),
                (
                    "MaximumConcurrentJobs",
                    WHOLE,
                    "20",
                    "How many jobs it may run at once, over all groups and Directors.",
                ),
            ],
            LIMITS,
            &[
                (
                    "SlowStartJobs",
                    WHOLE,
                    "0",
                    "Once it was down: so many jobs have to prove it, one after the other, before it gets all.",
                ),
                (
                    "HighWaterMark",
                    "percent",
                    NONE,
                    "From this share of its room on it gets no job that writes. No mark when left out.",
                ),
                (
                    "LowWaterMark",
                    "percent",
                    "(5% below the high one)",
                    "Down to this one it gets none again.",
                ),
            ],
            TLS,
        ],
    },
    Table {
        header: "[[Storage.Director]]",
        title: "Another password of the storage above it, for one Director, or for the one as which probes log in.",
        keys: &[&[("Name", "name", NEEDED, "The Director's name.")], PASSWORD],
    },
    Table {
        header: "[[Group]]",
        title: "Storages that look like one.",
        keys: &[
            &[
                ("Name", "name", NEEDED, "Its name."),
                (
                    "Storages",
                    "list of names",
                    NEEDED,
                    "Its members; the order counts for ListedOrder.",
                ),
                (
                    "StorageGroupPolicy",
                    "policy",
                    "\"ListedOrder\"",
                    "How the storage of a job is chosen: [choosing-a-policy.md](choosing-a-policy.md).",
                ),
                (
                    "ShadowPolicy",
                    "policy",
                    NONE,
                    "A second policy that is asked and not followed.",
                ),
                (
                    "StorageGroupPolicyThreshold",
                    "size or percent",
                    "0",
                    "For FreeSpaceLeastUsed: how much less room than the roomiest counts as alike.",
                ),
                (
                    "Locality",
                    "off, prefer, require",
                    "\"off\"",
                    "Whether a job's incrementals go where its last full is.",
                ),
                (
                    "RoomForJob",
                    "ignore, prefer, require",
                    "\"prefer\"",
                    "What becomes of a job that is expected to write more than there is room for.",
                ),
                (
                    "Device",
                    "name",
                    NONE,
                    "The Device of the Director's Storage resource; needed when a member has its own.",
                ),
                ("MediaType", "name", NONE, "The same of the MediaType."),
            ],
            NO_MAXIMUM,
            LIMITS,
            &[
                (
                    "DownWait",
                    TIME,
                    "\"1 minute\"",
                    "How long a job waits while every member is down.",
                ),
                (
                    "BusyWait",
                    TIME,
                    "\"30 minutes\"",
                    "How long it waits while members are up but full.",
                ),
                ("MaximumQueuedJobs", WHOLE, "1000", "How many jobs may wait at once."),
                (
                    "ConnectTimeout",
                    TIME,
                    "\"5 seconds\"",
                    "How long an attempt to reach one member may take.",
                ),
                (
                    "LoginTimeout",
                    TIME,
                    "\"5 seconds\"",
                    "How long the login there may take.",
                ),
                (
                    "ReserveTimeout",
                    TIME,
                    "\"15 seconds\"",
                    "How long a member that is asked for a device may be silent.",
                ),
                ("Rule", "tables", NONE, "`[[Group.Rule]]`, see below."),
            ],
        ],
    },
    Table {
        header: "[[Group.Rule]]",
        title: "Jobs of the group above it that are placed otherwise; the first rule that fits a job counts. The first seven keys say which jobs, the others how.",
        keys: &[&[
            (
                "Name",
                "text",
                "(`rule` and its number)",
                "What it is called in explanations.",
            ),
            (
                "Director",
                "pattern or list",
                NONE,
                "Directors, with `*` and `?`. Every one when left out, as in the next six.",
            ),
            ("Job", "pattern or list", NONE, "Job resources."),
            ("Client", "pattern or list", NONE, "Clients."),
            ("FileSet", "pattern or list", NONE, "FileSets."),
            (
                "Level",
                "level or list",
                NONE,
                "Full, Incremental, Differential, VirtualFull ...",
            ),
            (
                "Type",
                "type or list",
                NONE,
                "Backup, Restore, Verify, Copy, Migrate ...",
            ),
            (
                "Storages",
                "list of names",
                "(the group's)",
                "On which of the group's storages.",
            ),
            ("StorageGroupPolicy", "policy", "(the group's)", "By which policy."),
            ("Locality", "off, prefer, require", "(the group's)", "As in the group."),
            (
                "RoomForJob",
                "ignore, prefer, require",
                "(the group's)",
                "As in the group.",
            ),
            (
                "Priority",
                WHOLE,
                "(10)",
                "Its place in the queue: a lower number is served first.",
            ),
        ]],
    },
    Table {
        header: "[Probe]",
        title: "How storages are asked whether they are well.",
        keys: &[&[
            (
                "Director",
                "name",
                "(the first `[[Director]]`)",
                "As whom: a Director that only the storages know is better.",
            ),
            (
                "Interval",
                TIME,
                "\"10 seconds\"",
                "From one probe of a storage to the next.",
            ),
            ("Timeout", TIME, "\"5 seconds\"", "How long one may take."),
            ("Rise", WHOLE, "2", "Good ones in a row that make a storage up."),
            ("Fall", WHOLE, "3", "Bad ones in a row that make it down."),
            ("Jitter", "percent", "\"10%\"", "By how much the interval varies."),
        ]],
    },
    Table {
        header: "[Ejection]",
        title: "When a storage that fails jobs gets no new ones for a while.",
        keys: &[&[
            ("Failures", WHOLE, "1", "After so many in a row."),
            (
                "Time",
                TIME,
                "\"10 seconds\"",
                "For how long at first; each time twice as long.",
            ),
            ("MaximumTime", TIME, "\"5 minutes\"", "Where the doubling ends."),
        ]],
    },
    Table {
        header: "[History]",
        title: "What is remembered of jobs that have ended.",
        keys: &[&[
            ("Retention", TIME, "\"400 days\"", "For how long."),
            ("MaximumJobs", WHOLE, "100000", "Of how many at most."),
        ]],
    },
];

/// What a reload cannot put into force: the sockets and files that are open, and the log.
const HANDOVER: &[(&str, &str)] = &[
    ("[Sdgroup]", "StateDirectory"),
    ("[Sdgroup]", "MetricsAddress"),
    ("[Sdgroup]", "AdminAddress"),
    ("[Sdgroup]", "AdminSocket"),
    ("[Sdgroup]", "LogFormat"),
    ("[Sdgroup]", "LogLevel"),
    ("[[Listen]]", "Address"),
    ("[[Listen]]", "SDPort"),
];

/// A configuration in which every table stands, with as few keys as may be.
const SMALL: &str = "[Sdgroup]\n[[Listen]]\nGroup = \"G\"\n[[Director]]\nName = \"d\"\nPassword = \"p\"\n\
    [[Storage]]\nName = \"S\"\nAddress = \"192.0.2.1\"\nPassword = \"p\"\n[[Storage.Director]]\nName = \"d\"\nPassword = \"p\"\n\
    [[Group]]\nName = \"G\"\nStorages = [\"S\"]\nDevice = \"D\"\nMediaType = \"M\"\n[[Group.Rule]]\n[Probe]\n[Ejection]\n[History]\n[Store]\nDbAddress = [\"db\"]\n\
    [Peers]\nPassword = \"0123456789abcdef\"\n";

/// What a user calls to have the page written.
const REWRITE: &str = "SDGROUP_WRITE_DOCS";
const BEGIN: &str = "<!-- made of the table: begin -->\n";
const END: &str = "<!-- made of the table: end -->\n";

/// Whether a change of this key is for another process.
fn needs_handover(header: &str, key: &str) -> bool {
    matches!(header, "[Store]" | "[Peers]") || HANDOVER.contains(&(header, key))
}

impl Table {
    fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().copied().flatten()
    }
}

fn compiled(text: &str) -> Model {
    let loaded = compile(text, Path::new("x.toml"), &MachineSecrets::only_checking());
    loaded
        .unwrap_or_else(|problems| panic!("{text}\n{}", problems[0]))
        .model
}

#[test]
fn the_table_has_every_key_and_no_other() {
    let of_schemas: BTreeSet<_> = SCHEMAS
        .iter()
        .filter(|schema| schema.header != "the file")
        .flat_map(|schema| schema.keys.iter().map(|key| (schema.header, *key)))
        .collect();
    let mut listed = BTreeSet::new();
    for table in TABLES {
        for (key, ..) in table.keys() {
            assert!(
                listed.insert((table.header, *key)),
                "{key} is twice in {}",
                table.header
            );
        }
    }
    let missing: Vec<_> = of_schemas.difference(&listed).collect();
    let too_many: Vec<_> = listed.difference(&of_schemas).collect();
    assert!(
        missing.is_empty() && too_many.is_empty(),
        "missing: {missing:?}, too many: {too_many:?}"
    );
    assert!(HANDOVER.iter().all(|key| listed.contains(key)));
}

/// A value that is not the default, for every key. An empty header stands for each table that has the key and no line of its
/// own here.
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

/// Keys without one: they name a file or a table that would have to be there, are another way to write a key of the table above,
/// or are what a table is known by.
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

#[test]
fn the_defaults_are_those_that_hold() {
    let without = compiled(SMALL);
    let mut compared = 0;
    for table in TABLES {
        for (key, _, default, _) in table.keys() {
            if default.is_empty() || default.starts_with('(') {
                continue;
            }
            let header = format!("{}\n", table.header);
            let with = SMALL.replacen(&header, &format!("{header}{key} = {default}\n"), 1);
            assert!(compiled(&with) == without, "{key} of {} is not {default}", table.header);
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared} defaults were compared");
}

fn tables() -> String {
    let mut text = String::new();
    for table in TABLES {
        writeln!(text, "\n## `{}`\n\n{}\n", table.header, table.title).unwrap();
        writeln!(
            text,
            "| key | value | default | reload | meaning |\n|---|---|---|---|---|"
        )
        .unwrap();
        for (key, value, default, meaning) in table.keys() {
            let default = match *default {
                "" => String::new(),
                words if words.starts_with('(') => words.trim_matches(['(', ')']).to_owned(),
                toml => format!("`{toml}`"),
            };
            let reload = if needs_handover(table.header, key) {
                "handover"
            } else {
                "yes"
            };
            writeln!(text, "| `{key}` | {value} | {default} | {reload} | {meaning} |").unwrap();
        }
    }
    text
}

#[test]
fn the_page_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("where the tables begin");
    let (written, after) = rest.split_once(END).expect("where the tables end");
    if std::env::var_os(REWRITE).is_some() {
        return std::fs::write(&path, [before, BEGIN, &tables(), END, after].concat()).unwrap();
    }
    assert!(
        written == tables(),
        "it is to be written anew: {REWRITE}=1 cargo test --lib reference"
    );
}
