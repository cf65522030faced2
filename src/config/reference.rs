//! What `deploy/docs/configuration.md` is made of: every key of the configuration with its default and its meaning. The
//! tests hold it to the schemas and to the model: a key that is new, or a default that has changed, fails them until it
//! is said here, and the page is written anew.

mod tests;

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

/// Whether a change of this key is for another process.
fn needs_handover(header: &str, key: &str) -> bool {
    matches!(header, "[Store]" | "[Peers]") || HANDOVER.contains(&(header, key))
}

impl Table {
    fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().copied().flatten()
    }
}
