//! Events of one storage's health.

use std::time::Duration;

use tracing::{debug, info, warn};

use crate::telemetry::names;
use crate::types::StorageName;

/// A storage was dialled and logged in to, for a job.
#[derive(Debug)]
pub struct StorageLoggedIn<'a> {
    /// The storage.
    pub storage: &'a StorageName,
    /// How long it took.
    pub duration: Duration,
}

impl StorageLoggedIn<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::STORAGE_LOGIN_SECONDS
            .with([self.storage.as_str()])
            .record(self.duration);
        debug!(
            event = "storage_logged_in",
            storage = %self.storage,
            duration_seconds = self.duration.as_secs_f64(),
            "logged in to the storage"
        );
    }
}

/// A storage failed jobs and gets no new ones for a while.
#[derive(Debug)]
pub struct StorageEjected<'a> {
    /// The storage.
    pub storage: &'a StorageName,
    /// The last error's label.
    pub cause: &'static str,
    /// How many failures in a row it was.
    pub failures: u32,
    /// For how long.
    pub duration: Duration,
}

impl StorageEjected<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::STORAGE_EJECTIONS
            .with([self.storage.as_str(), self.cause])
            .increment(1);
        warn!(
            event = "storage_ejected",
            storage = %self.storage,
            cause = self.cause,
            failures = self.failures,
            duration_seconds = self.duration.as_secs_f64(),
            "storage failed jobs and gets no new ones for a while"
        );
    }
}

/// An ejected storage may get jobs again.
#[derive(Debug)]
pub struct StorageReadmitted<'a> {
    /// The storage.
    pub storage: &'a StorageName,
}

impl StorageReadmitted<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::STORAGE_READMISSIONS.with([self.storage.as_str()]).increment(1);
        info!(event = "storage_readmitted", storage = %self.storage, "storage may get jobs again");
    }
}

/// The probes changed their mind about a storage.
#[derive(Debug)]
pub struct StorageFlipped<'a> {
    /// The storage.
    pub storage: &'a StorageName,
    /// What they think now.
    pub up: bool,
    /// Why, for people.
    pub reason: &'a str,
}

impl StorageFlipped<'_> {
    /// Tells it.
    pub fn emit(self) {
        let to = if self.up { "up" } else { "down" };
        names::STORAGE_FLIPS.with([self.storage.as_str(), to]).increment(1);
        if self.up {
            info!(event = "storage_flipped", storage = %self.storage, to, reason = self.reason, "storage is up");
        } else {
            warn!(event = "storage_flipped", storage = %self.storage, to, reason = self.reason, "storage is down");
        }
    }
}

/// The operator wants something else of a storage, or what he wanted has ended by itself.
#[derive(Debug)]
pub struct StateChanged<'a> {
    /// The storage.
    pub storage: &'a StorageName,
    /// The state it was in.
    pub from: &'static str,
    /// The state it is in.
    pub to: &'static str,
    /// Who says so.
    pub by: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
    /// Until when, if that is settled.
    pub until: Option<&'a str>,
}

impl StateChanged<'_> {
    /// Tells it.
    pub fn emit(self) {
        info!(
            event = "state_changed",
            storage = %self.storage,
            from = self.from,
            to = self.to,
            by = self.by,
            reason = self.reason,
            until = self.until,
            "storage is in another state"
        );
    }
}

/// A probe has its outcome.
#[derive(Debug)]
pub struct ProbeDone<'a> {
    /// The storage.
    pub storage: &'a StorageName,
    /// The outcome's label.
    pub outcome: &'static str,
    /// The outcome, for people.
    pub detail: &'a str,
    /// How long it took.
    pub duration: Duration,
}

impl ProbeDone<'_> {
    /// Tells it. At level debug: a probe that changes nothing is no news.
    pub fn emit(self) {
        names::PROBES.with([self.storage.as_str(), self.outcome]).increment(1);
        names::PROBE_SECONDS.with([self.storage.as_str()]).record(self.duration);
        debug!(
            event = "probe_done",
            storage = %self.storage,
            outcome = self.outcome,
            detail = self.detail,
            duration_seconds = self.duration.as_secs_f64(),
            "probe done"
        );
    }
}

/// A probe could not be made for want of something here.
#[derive(Debug)]
pub struct ProbeNotMade<'a> {
    /// The storage that was to be asked.
    pub storage: &'a StorageName,
    /// What is lacking, and what to do.
    pub reason: &'a str,
}

impl ProbeNotMade<'_> {
    /// Tells it.
    pub fn emit(self) {
        warn!(
            event = "probe_not_made",
            storage = %self.storage,
            reason = self.reason,
            "storage is not asked how it is, for want of something here; it keeps the state that it has"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::Format;
    use crate::telemetry::testing::{LogLines, Scrape};

    #[test]
    fn a_storages_health_is_told_and_counted() {
        let storage = StorageName::new("File4").unwrap();
        let duration = Duration::from_millis(3);
        let scrape = Scrape::new();
        let lines = LogLines::of(Format::Json, || {
            scrape.during(|| {
                StorageLoggedIn {
                    storage: &storage,
                    duration,
                }
                .emit();
                StorageEjected {
                    storage: &storage,
                    cause: "login_timeout",
                    failures: 2,
                    duration,
                }
                .emit();
                StorageReadmitted { storage: &storage }.emit();
                for up in [false, true] {
                    StorageFlipped {
                        storage: &storage,
                        up,
                        reason: "3 probes in a row failed",
                    }
                    .emit();
                }
                StateChanged {
                    storage: &storage,
                    from: "ready",
                    to: "sealed",
                    by: "ann",
                    reason: Some("new disks"),
                    until: None,
                }
                .emit();
                ProbeDone {
                    storage: &storage,
                    outcome: "refused",
                    detail: "connection refused",
                    duration,
                }
                .emit();
            });
        });
        let levels: Vec<String> = lines
            .iter()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["storage"], "File4", "{line}");
                line["level"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(levels, ["DEBUG", "WARN", "INFO", "WARN", "INFO", "INFO", "DEBUG"]);
        for series in [
            r#"sdgroup_storage_ejections_total{storage="File4",cause="login_timeout"}"#,
            r#"sdgroup_storage_readmissions_total{storage="File4"}"#,
            r#"sdgroup_storage_flips_total{storage="File4",to="down"}"#,
            r#"sdgroup_storage_flips_total{storage="File4",to="up"}"#,
            r#"sdgroup_probes_total{storage="File4",outcome="refused"}"#,
            r#"sdgroup_probe_duration_seconds_count{storage="File4"}"#,
            r#"sdgroup_storage_login_duration_seconds_count{storage="File4"}"#,
        ] {
            assert_eq!(scrape.value(series), "1", "{series}");
        }
    }
    #[test]
    fn a_probe_that_is_not_made_is_a_warning_with_advice() {
        let storage = StorageName::new("File4").unwrap();
        let reason = "raise LimitNOFILE";
        let storage = &storage;
        let lines = LogLines::of(Format::Json, || ProbeNotMade { storage, reason }.emit());
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((&line["level"], &line["reason"]), (&"WARN".into(), &reason.into()));
    }
}
