//! All metrics: name, labels, help, in one list.
//!
//! The rules: `sdgroup_<noun>_<unit>`, counters end in `_total`, base units. Label values come from closed sets:
//! groups and storages of the configuration, and words of enums; never a job, a Volume, a Client or an address,
//! whose number has no bound. The tests below hold every entry to this.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, SharedString, with_recorder};

static METADATA: Metadata<'static> = Metadata::new("sdgroup", Level::INFO, None);

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in seconds, with these upper bounds.
    Histogram(&'static [f64]),
}

/// One metric as the list has it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name on the wire.
    pub name: &'static str,
    /// What it tells, for the reader of `/metrics`.
    pub help: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

fn key<const N: usize>(name: &'static str, labels: [&'static str; N], values: [&str; N]) -> Key {
    let labels: Vec<Label> = labels
        .into_iter()
        .zip(values)
        .map(|(label, value)| Label::new(label, SharedString::from_owned(value.to_owned())))
        .collect();
    Key::from_parts(name, labels)
}

/// A counter with `N` labels.
#[derive(Debug, Clone, Copy)]
pub struct Counters<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
}

impl<const N: usize> Counters<N> {
    /// The counter for these label values, in the order in which the list names the labels. To be kept where it is
    /// used often: moving a resolved counter costs 4 ns, resolving it 120 ns and five allocations.
    pub fn with(&self, values: [&str; N]) -> Counter {
        let key = key(self.name, self.labels, values);
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
    }
}

/// A gauge with `N` labels.
#[derive(Debug, Clone, Copy)]
pub struct Gauges<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
}

impl<const N: usize> Gauges<N> {
    /// The gauge for these label values, in the order in which the list names the labels.
    pub fn with(&self, values: [&str; N]) -> Gauge {
        let key = key(self.name, self.labels, values);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
    }
}

/// A histogram with `N` labels.
#[derive(Debug, Clone, Copy)]
pub struct Histograms<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
}

impl<const N: usize> Histograms<N> {
    /// The histogram for these label values, in the order in which the list names the labels.
    pub fn with(&self, values: [&str; N]) -> Histogram {
        let key = key(self.name, self.labels, values);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
    }
}

/// Bounds for what lasts as long as a job: up to 24 hours.
const JOB_SECONDS: &[f64] = &[
    0.01, 0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0,
];

/// Bounds for what a healthy network answers in milliseconds and a sick one in the configured deadline.
const ANSWER_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Bounds for a wait in a group's queue.
const WAIT_SECONDS: &[f64] = &[0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0];

macro_rules! list {
    (@counter) => { Kind::Counter };
    (@gauge) => { Kind::Gauge };
    (@histogram $buckets:ident) => { Kind::Histogram($buckets) };
    (@type counter) => { Counters };
    ($($kind:ident $name:ident = $text:literal [$($label:ident)*] $(in $buckets:ident)?: $help:literal;)*) => {
        $(list!(@declare $kind $name, $text, [$($label)*], $help);)*

        /// Every metric there is.
        pub const ALL: &[Entry] = &[
            $(Entry {
                name: $text,
                help: $help,
                kind: list!(@$kind $($buckets)?),
                labels: &[$(stringify!($label)),*],
            },)*
        ];
    };
    (@declare counter $name:ident, $text:literal, [$($label:ident)*], $help:literal) => {
        #[doc = $help]
        pub const $name: Counters<{ <[&str]>::len(&[$(stringify!($label)),*]) }> =
            Counters { name: $text, labels: [$(stringify!($label)),*] };
    };
    (@declare gauge $name:ident, $text:literal, [$($label:ident)*], $help:literal) => {
        #[doc = $help]
        pub const $name: Gauges<{ <[&str]>::len(&[$(stringify!($label)),*]) }> =
            Gauges { name: $text, labels: [$(stringify!($label)),*] };
    };
    (@declare histogram $name:ident, $text:literal, [$($label:ident)*], $help:literal) => {
        #[doc = $help]
        pub const $name: Histograms<{ <[&str]>::len(&[$(stringify!($label)),*]) }> =
            Histograms { name: $text, labels: [$(stringify!($label)),*] };
    };
}

list! {
    // The process.
    gauge BUILD_INFO = "sdgroup_build_info" [version]:
        "Always 1; the label tells the version that runs.";
    gauge START_TIME = "sdgroup_start_time_seconds" []:
        "When the process started, in seconds since 1970.";
    gauge PHASE = "sdgroup_phase" [phase]:
        "1 for the phase of life in which the process is, 0 for the others.";
    gauge CONFIG_LOADED = "sdgroup_config_last_load_successful" []:
        "1 when the last attempt to load the configuration succeeded, 0 when it failed.";
    gauge CONFIG_LOAD_TIME = "sdgroup_config_last_load_timestamp_seconds" []:
        "When the configuration in force was loaded, in seconds since 1970.";
    counter RELOADS = "sdgroup_config_reloads_total" [outcome]:
        "Attempts to reload the configuration: applied, refused because of errors in it, or needs_handover, which changes nothing.";
    counter HANDOVERS = "sdgroup_handovers_total" [outcome]:
        "Handovers between processes, by outcome: done, as the successor counts them, or failed, which changes nothing.";
    gauge PREDECESSORS = "sdgroup_predecessors" []:
        "Processes that have handed over and have jobs yet.";
    gauge PREDECESSOR_JOBS = "sdgroup_predecessor_jobs" []:
        "The jobs that these have yet; what they move is in no metric.";
    counter ACCEPT_FAILURES = "sdgroup_accept_failures_total" []:
        "Connections that the system failed to hand over, for example for want of descriptors.";
    counter PANICS = "sdgroup_panics_total" []:
        "Faults of sdgroup itself. Each ended one session; please report the log line.";
    counter STORE_FAILURES = "sdgroup_store_failures_total" [operation]:
        "Failed reads and writes of the state directory.";
    gauge STORE_UP = "sdgroup_store_up" []:
        "1 while the database that is shared with other sdgroups answers, 0 while it is away; not there when none is shared.";
    gauge STORE_UNSENT = "sdgroup_store_unsent_records" []:
        "What was learned and the shared database has not been told yet.";

    // Sessions: one per accepted connection.
    counter SESSIONS_STARTED = "sdgroup_sessions_started_total" [kind]:
        "Sessions begun, by the kind of peer.";
    counter SESSIONS_ENDED = "sdgroup_sessions_ended_total" [kind end]:
        "Sessions ended, by the kind of peer and by how they ended.";
    gauge SESSIONS = "sdgroup_sessions" [kind]:
        "Sessions that live now.";
    histogram SESSION_SECONDS = "sdgroup_session_duration_seconds" [kind] in JOB_SECONDS:
        "How long sessions lasted.";
    counter LOGINS_REFUSED = "sdgroup_logins_refused_total" [peer cause]:
        "Logins at sdgroup that failed, requests at AdminAddress without the token (peer operator) included.";
    counter PACKETS_REFUSED = "sdgroup_packets_refused_total" [cause]:
        "Connections closed because of what they sent, or did not send.";
    counter ROUTES_MISSING = "sdgroup_routes_missing_total" []:
        "Data connections that named a job which nobody announced.";
    counter ROUTES_TAKEN = "sdgroup_routes_taken_total" []:
        "Data connections for a job which had one already.";
    gauge PEERS = "sdgroup_peers" []:
        "Other sdgroups on the shared store that were heard of within ten seconds.";
    counter CONNECTIONS_PASSED = "sdgroup_connections_passed_total" [direction]:
        "Data connections passed on to the sdgroup that has their job (out), and taken from another one (in).";
    counter RELAY_BYTES = "sdgroup_relay_bytes_total" [storage direction]:
        "Bytes of job data moved, while the jobs run.";
    counter RELAY_FALLBACKS = "sdgroup_relay_fallbacks_total" []:
        "Times data was copied through memory because no pipe was to be had.";
    gauge RELAY_PIPES = "sdgroup_relay_pipes" []:
        "Pipes open for moving job data.";

    // Jobs and groups.
    counter JOBS_PLACED = "sdgroup_jobs_placed_total" [group storage policy]:
        "Jobs placed on a storage, by the policy that ranked it.";
    counter JOB_FAILOVERS = "sdgroup_job_failovers_total" [storage cause]:
        "Times a job was moved on to the next storage because this one failed it.";
    counter JOBS_QUEUED = "sdgroup_jobs_queued_total" [group cause]:
        "Jobs that had to wait for a storage.";
    counter JOBS_REFUSED = "sdgroup_jobs_refused_total" [group cause]:
        "Jobs refused; the Director's job log has the reason.";
    counter JOBS_ENDED = "sdgroup_jobs_ended_total" [storage status]:
        "Jobs ended on a storage, by the status that the storage reported.";
    histogram JOB_WAIT_SECONDS = "sdgroup_job_wait_seconds" [group] in WAIT_SECONDS:
        "How long placed jobs had waited for their storage, failovers included.";
    gauge GROUP_QUEUE = "sdgroup_group_queued_jobs" [group]:
        "Jobs that wait for a storage of the group now.";
    gauge GROUP_USABLE = "sdgroup_group_usable_storages" [group]:
        "Storages of the group that may get new jobs now.";
    gauge GROUP_RELEASES = "sdgroup_group_releases" [group]:
        "Releases of Bacula among the group's storages, as far as probes have seen; should be 1.";

    counter SHADOW_CHOICES = "sdgroup_shadow_choices_total" [group policy agrees]:
        "Jobs placed in the group, by whether its shadow policy would have chosen the same storage.";

    // Storages.
    gauge STORAGE_JOBS = "sdgroup_storage_jobs" [storage]:
        "Jobs on the storage now, of all Directors and groups, counted from their placement.";
    gauge STORAGE_READING_JOBS = "sdgroup_storage_reading_jobs" [storage]:
        "Those of the jobs on the storage now that read: restores, verifies, the reading halves of copies.";
    gauge STORAGE_JOBS_LIMIT = "sdgroup_storage_jobs_limit" [storage]:
        "How many jobs the storage may have at once (MaximumConcurrentJobs).";
    gauge STORAGE_FREE = "sdgroup_storage_free_bytes" [storage]:
        "Room left on the storage's file systems as it told the last probe, each counted once; NaN while it is not known.";
    gauge STORAGE_TOTAL = "sdgroup_storage_total_bytes" [storage]:
        "Size of the storage's file systems as it told the last probe, each counted once; NaN while it is not known.";
    gauge STORAGE_UP = "sdgroup_storage_up" [storage]:
        "1 when the probes find the storage up, 0 when they find it down or have not yet found out.";
    gauge STORAGE_STATE = "sdgroup_storage_state" [storage state]:
        "1 for the state that the operator has put the storage in (ready, draining, sealed, maintenance), 0 for the others.";
    gauge STORAGE_EJECTED = "sdgroup_storage_ejected" [storage]:
        "1 while the storage gets no new jobs because it failed jobs, else 0.";
    counter STORAGE_EJECTIONS = "sdgroup_storage_ejections_total" [storage cause]:
        "Times the storage was ejected for failing jobs.";
    counter STORAGE_READMISSIONS = "sdgroup_storage_readmissions_total" [storage]:
        "Times an ejected storage was let in again.";
    counter STORAGE_FLIPS = "sdgroup_storage_flips_total" [storage to]:
        "Times the probes changed their mind about the storage.";
    histogram STORAGE_LOGIN_SECONDS = "sdgroup_storage_login_duration_seconds" [storage] in ANSWER_SECONDS:
        "How long dialling the storage and logging in took, for jobs.";
    counter PROBES = "sdgroup_probes_total" [storage outcome]:
        "Probes of the storage, by outcome.";
    histogram PROBE_SECONDS = "sdgroup_probe_duration_seconds" [storage] in ANSWER_SECONDS:
        "How long probes of the storage took.";

    // Volumes.
    counter VOLUMES_LEARNED = "sdgroup_volumes_learned_total" [storage]:
        "Volumes seen on the storage for the first time.";
    counter VOLUMES_MOVED = "sdgroup_volumes_moved_total" [storage]:
        "Volumes whose place was changed to this storage.";
    counter VOLUME_CONFLICTS = "sdgroup_volume_conflicts_total" [storage]:
        "Times this storage reported a Volume that is known to be on another: two Volumes have one name.";
    counter VOLUMES_GUARDED = "sdgroup_volumes_guarded_total" [storage]:
        "Times the Director offered this storage a Volume of another one, and sdgroup asked for the next.";
}

/// Gives every metric its help text. To be called once, after the recorder is in place.
pub fn describe() {
    with_recorder(|recorder| {
        for entry in ALL {
            let (name, help) = (entry.name.into(), entry.help.into());
            match entry.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The only labels there may be. Each has a bounded set of values.
    const LABELS: &[&str] = &[
        "version",
        "phase",
        "operation",
        "kind",
        "end",
        "peer",
        "cause",
        "storage",
        "state",
        "direction",
        "group",
        "policy",
        "agrees",
        "status",
        "to",
        "outcome",
    ];

    #[test]
    fn names_follow_the_rules() {
        let mut seen = BTreeSet::new();
        for entry in ALL {
            let name = entry.name;
            assert!(seen.insert(name), "{name} is listed twice");
            assert!(name.starts_with("sdgroup_"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), entry.kind == Kind::Counter, "{name}");
            if let Kind::Histogram(bounds) = entry.kind {
                assert!(name.ends_with("_seconds"), "{name}");
                assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
            }
            assert!(entry.help.ends_with('.'), "{name} wants a sentence for help");
        }
    }

    #[test]
    fn labels_come_from_closed_sets() {
        for entry in ALL {
            for label in entry.labels {
                assert!(LABELS.contains(label), "{}: label {label}", entry.name);
            }
        }
    }

    #[test]
    fn sessions_may_last_a_day() {
        assert_eq!(JOB_SECONDS.last(), Some(&86_400.0));
    }
}
