//! Events of the process itself.

use std::fmt::Display;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{error, info, warn};

use crate::telemetry::names;

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The process runs.
#[derive(Debug)]
pub struct Started {
    /// Which version it is.
    pub version: &'static str,
    /// How many descriptors it may have open.
    pub open_files: Option<u64>,
}

impl Started {
    /// Tells it.
    pub fn emit(self) {
        names::BUILD_INFO.with([self.version]).set(1.0);
        names::START_TIME.with([]).set(unix_seconds(SystemTime::now()));
        // Counters that alerts watch exist from the start: a series that appears with the value 1 shows no rise.
        for outcome in [
            APPLIED,
            ReloadCause::Refused.as_str(),
            ReloadCause::NeedsHandover.as_str(),
        ] {
            names::RELOADS.with([outcome]).increment(0);
        }
        for outcome in ["done", "failed"] {
            names::HANDOVERS.with([outcome]).increment(0);
        }
        for direction in ["in", "out"] {
            names::CONNECTIONS_PASSED.with([direction]).increment(0);
        }
        for counter in [
            &names::PANICS,
            &names::ACCEPT_FAILURES,
            &names::ROUTES_MISSING,
            &names::ROUTES_TAKEN,
        ] {
            counter.with([]).increment(0);
        }
        info!(
            event = "started",
            version = self.version,
            open_files = self.open_files,
            "sdgroup started"
        );
    }
}

/// A configuration came into force.
#[derive(Debug)]
pub struct ConfigLoaded<'a> {
    /// The file.
    pub file: &'a Path,
}

impl ConfigLoaded<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::CONFIG_LOADED.with([]).set(1.0);
        names::CONFIG_LOAD_TIME.with([]).set(unix_seconds(SystemTime::now()));
        info!(event = "config_loaded", file = %self.file.display(), "configuration loaded");
    }
}

/// Another configuration came into force.
pub struct ConfigReloaded<'a> {
    /// The file.
    pub file: &'a Path,
    /// What it changes.
    pub changes: &'a dyn Display,
}

impl ConfigReloaded<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::CONFIG_LOADED.with([]).set(1.0);
        names::CONFIG_LOAD_TIME.with([]).set(unix_seconds(SystemTime::now()));
        names::RELOADS.with([APPLIED]).increment(1);
        info!(
            event = "config_reloaded",
            file = %self.file.display(),
            changes = %self.changes,
            "configuration reloaded"
        );
    }
}

/// Why a configuration was not reloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadCause {
    /// It has errors.
    Refused,
    /// It changes what only another process can begin with.
    NeedsHandover,
}

const APPLIED: &str = "applied";

impl ReloadCause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NeedsHandover => "needs_handover",
        }
    }
}

/// A configuration was refused; the one in force stays.
pub struct ConfigRefused<'a> {
    /// The file.
    pub file: &'a Path,
    /// In one word.
    pub cause: ReloadCause,
    /// What is wrong with it.
    pub error: &'a dyn Display,
}

impl ConfigRefused<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::CONFIG_LOADED.with([]).set(0.0);
        names::RELOADS.with([self.cause.as_str()]).increment(1);
        error!(
            event = "config_refused",
            file = %self.file.display(),
            cause = self.cause.as_str(),
            error = %self.error,
            "configuration refused, the one in force stays"
        );
    }
}

/// Something in a configuration that came into force is probably not meant.
pub struct ConfigWarning<'a> {
    /// What.
    pub warning: &'a dyn Display,
}

impl ConfigWarning<'_> {
    /// Tells it.
    pub fn emit(self) {
        warn!(event = "config_warning", warning = %self.warning, "the configuration says what is probably not meant");
    }
}

/// A successor was started.
#[derive(Debug)]
pub struct HandoverBegun {
    /// Its number in the system.
    pub successor: u32,
}

impl HandoverBegun {
    /// Tells it.
    pub fn emit(self) {
        info!(
            event = "handover_begun",
            successor = self.successor,
            "a successor was started"
        );
    }
}

/// There was no handover; everything is as it was.
pub struct HandoverFailed<'a> {
    /// Why.
    pub error: &'a dyn Display,
}

impl HandoverFailed<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::HANDOVERS.with(["failed"]).increment(1);
        error!(event = "handover_failed", error = %self.error, "no handover, everything is as it was");
    }
}

/// This process has taken over from another.
#[derive(Debug)]
pub struct HandoverDone {
    /// How many processes have jobs yet that have handed over.
    pub predecessors: usize,
}

impl HandoverDone {
    /// Tells it.
    pub fn emit(self) {
        names::HANDOVERS.with(["done"]).increment(1);
        info!(
            event = "handover_done",
            predecessors = self.predecessors,
            "this process has taken over"
        );
    }
}

/// All phases, in the order in which a process passes through them.
pub const PHASES: [&str; 4] = ["starting", "ready", "draining", "stopped"];

/// The process entered a phase of its life.
#[derive(Debug)]
pub struct ProcessPhase {
    /// Which: one of [`PHASES`].
    pub phase: &'static str,
    /// What made it, for people.
    pub reason: &'static str,
    /// How many sessions live.
    pub sessions: usize,
}

impl ProcessPhase {
    /// Tells it.
    pub fn emit(self) {
        for phase in PHASES {
            names::PHASE.with([phase]).set(f64::from(u8::from(phase == self.phase)));
        }
        info!(
            event = "process_phase",
            phase = self.phase,
            reason = self.reason,
            sessions = self.sessions,
            "process is {}",
            self.phase
        );
    }
}

/// How far a drain has come.
#[derive(Debug)]
pub struct DrainProgress {
    /// Jobs that still run.
    pub jobs: usize,
    /// Sessions that still live.
    pub sessions: usize,
}

impl DrainProgress {
    /// Tells it.
    pub fn emit(self) {
        info!(
            event = "drain_progress",
            jobs = self.jobs,
            sessions = self.sessions,
            "waiting for running jobs; a second signal ends them"
        );
    }
}

/// The system failed to hand over a connection.
pub struct AcceptFailed<'a> {
    /// At which listener.
    pub listener: &'a dyn Display,
    /// The error.
    pub error: &'a dyn Display,
}

impl AcceptFailed<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::ACCEPT_FAILURES.with([]).increment(1);
        warn!(
            event = "accept_failed",
            listener = %self.listener,
            error = %self.error,
            "a connection could not be accepted"
        );
    }
}

/// The state directory failed a read or a write.
pub struct StoreFailed<'a> {
    /// What was to be done: the store's word for it.
    pub operation: &'static str,
    /// The error.
    pub error: &'a dyn Display,
}

impl StoreFailed<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::STORE_FAILURES.with([self.operation]).increment(1);
        error!(
            event = "store_failed",
            operation = self.operation,
            error = %self.error,
            "state directory failed"
        );
    }
}

/// The database that is shared with other sdgroups went away, or came back.
#[derive(Debug)]
pub struct StoreTurned<'a> {
    /// Why it is away, if it is.
    pub trouble: Option<&'a str>,
    /// How many records it is to be told yet.
    pub unsent: u64,
}

impl StoreTurned<'_> {
    /// Tells it.
    pub fn emit(self) {
        let unsent = self.unsent;
        if let Some(trouble) = self.trouble {
            error!(
                event = "store_away",
                error = trouble,
                unsent,
                "the shared store is away; jobs go on"
            );
        } else {
            info!(event = "store_back", unsent, "the shared store answers");
        }
    }
}

/// sdgroup met a fault of its own.
pub struct Panicked<'a> {
    /// What it says.
    pub message: &'a str,
    /// Where in the source.
    pub place: &'a dyn Display,
}

impl Panicked<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::PANICS.with([]).increment(1);
        error!(
            event = "panicked",
            message_text = self.message,
            place = %self.place,
            "a fault of sdgroup ended one session; please report this line"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::Format;
    use crate::telemetry::testing::{LogLines, Scrape};

    #[test]
    fn the_life_of_the_process_is_told() {
        let scrape = Scrape::new();
        let listener = "127.0.0.1:9103";
        let lines = LogLines::of(Format::Json, || {
            scrape.during(|| {
                Started {
                    version: "0.1.0",
                    open_files: Some(1024),
                }
                .emit();
                let file = Path::new("/etc/sdgroup.toml");
                ConfigLoaded { file }.emit();
                ConfigReloaded {
                    file,
                    changes: &"[[Storage]] File5: Weight",
                }
                .emit();
                ConfigRefused {
                    file,
                    cause: ReloadCause::Refused,
                    error: &"line 3: no such key",
                }
                .emit();
                ConfigWarning {
                    warning: &"never matches",
                }
                .emit();
                AcceptFailed {
                    listener: &listener,
                    error: &"too many open files",
                }
                .emit();
                StoreFailed {
                    operation: "assign",
                    error: &"disk full",
                }
                .emit();
                for trouble in [Some("gone"), None] {
                    StoreTurned { trouble, unsent: 3 }.emit();
                }
                Panicked {
                    message: "boom",
                    place: &"src/x.rs:1:1",
                }
                .emit();
                DrainProgress { jobs: 1, sessions: 2 }.emit();
            });
        });
        assert_eq!(lines.len(), 11);
        for series in [
            r#"sdgroup_build_info{version="0.1.0"}"#,
            r#"sdgroup_config_reloads_total{outcome="applied"}"#,
            r#"sdgroup_config_reloads_total{outcome="refused"}"#,
            "sdgroup_accept_failures_total",
            r#"sdgroup_store_failures_total{operation="assign"}"#,
            "sdgroup_panics_total",
        ] {
            assert_eq!(scrape.value(series), "1", "{series}");
        }
        assert_eq!(
            scrape.value(r#"sdgroup_config_reloads_total{outcome="needs_handover"}"#),
            "0"
        );
        assert_eq!(scrape.value("sdgroup_config_last_load_successful"), "0");
        assert_ne!(scrape.value("sdgroup_config_last_load_timestamp_seconds"), "0");
        assert_eq!(scrape.value("sdgroup_routes_missing_total"), "0");
        assert!(
            lines[5].contains("127.0.0.1:9103") && lines[5].contains("too many open files"),
            "{}",
            lines[5]
        );
    }

    #[test]
    fn a_handover_is_told_by_both_sides() {
        let scrape = Scrape::new();
        let lines = LogLines::of(Format::Json, || {
            scrape.during(|| {
                HandoverBegun { successor: 7 }.emit();
                HandoverFailed { error: &"it has ended" }.emit();
                HandoverDone { predecessors: 2 }.emit();
            });
        });
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("it has ended"), "{}", lines[1]);
        for outcome in ["done", "failed"] {
            let series = format!("sdgroup_handovers_total{{outcome=\"{outcome}\"}}");
            assert_eq!(scrape.value(&series), "1");
        }
    }

    #[test]
    fn one_phase_at_a_time() {
        let scrape = Scrape::new();
        scrape.during(|| {
            for phase in ["starting", "ready"] {
                ProcessPhase {
                    phase,
                    reason: "start",
                    sessions: 0,
                }
                .emit();
            }
        });
        assert_eq!(scrape.value(r#"sdgroup_phase{phase="starting"}"#), "0");
        assert_eq!(scrape.value(r#"sdgroup_phase{phase="ready"}"#), "1");
    }
}
