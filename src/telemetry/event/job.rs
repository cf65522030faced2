//! Events of one job's placement.

use std::fmt::Display;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::JobRef;
use crate::telemetry::names;
use crate::types::{GroupName, StorageName};

/// A job was placed on a storage, which has taken it.
#[derive(Debug)]
pub struct JobPlaced<'a> {
    /// The job.
    pub job: JobRef<'a>,
    /// The group it came to.
    pub group: &'a GroupName,
    /// The storage it is on.
    pub storage: &'a StorageName,
    /// The policy that ranked it, or what took its place (a pin, the ledger).
    pub policy: &'static str,
    /// Why that storage, for people.
    pub reason: &'a str,
    /// From the job's arrival until the storage had taken it: waits and failovers included.
    pub waited: Duration,
}

impl JobPlaced<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::JOBS_PLACED
            .with([self.group.as_str(), self.storage.as_str(), self.policy])
            .increment(1);
        names::JOB_WAIT_SECONDS.with([self.group.as_str()]).record(self.waited);
        info!(
            event = "job_placed",
            director = %self.job.director,
            job = %self.job.job,
            job_id = self.job.job_id.0,
            client = self.job.client.map(display),
            group = %self.group,
            storage = %self.storage,
            policy = self.policy,
            reason = self.reason,
            waited_seconds = self.waited.as_secs_f64(),
            "job placed"
        );
    }
}

/// Everything that was weighed when a job was placed, or could not be.
pub struct JobExplained<'a> {
    /// The job.
    pub job: JobRef<'a>,
    /// The group it came to.
    pub group: &'a GroupName,
    /// The storage that was chosen, if one was.
    pub storage: Option<&'a StorageName>,
    /// Every member with its numbers. Only made when somebody reads it.
    pub reasoning: &'a dyn Fn() -> String,
}

impl JobExplained<'_> {
    /// Tells it. At level debug: it is a line for each member.
    pub fn emit(self) {
        debug!(
            event = "job_explained",
            director = %self.job.director,
            job = %self.job.job,
            job_id = self.job.job_id.0,
            client = self.job.client.map(display),
            group = %self.group,
            storage = self.storage.map(display),
            reasoning = (self.reasoning)(),
            "job explained"
        );
    }
}

/// The group's shadow policy was asked about a job that was placed.
pub struct ShadowAsked<'a> {
    /// The job.
    pub job: JobRef<'a>,
    /// The group.
    pub group: &'a GroupName,
    /// The shadow policy.
    pub policy: &'static str,
    /// The storage that the job is on.
    pub storage: &'a StorageName,
    /// The one where it would be.
    pub instead: &'a StorageName,
}

impl ShadowAsked<'_> {
    /// Tells it. At level debug: it is counted.
    pub fn emit(self) {
        let agrees = self.storage == self.instead;
        let label = if agrees { "yes" } else { "no" };
        names::SHADOW_CHOICES
            .with([self.group.as_str(), self.policy, label])
            .increment(1);
        debug!(
            event = "shadow_asked",
            director = %self.job.director,
            job = %self.job.job,
            job_id = self.job.job_id.0,
            group = %self.group,
            storage = %self.storage,
            policy = self.policy,
            instead = %self.instead,
            agrees,
            "shadow policy asked"
        );
    }
}

/// A storage failed a job before its first data byte; the next one gets it, if there is one.
pub struct JobFailedOver<'a> {
    /// The job.
    pub job: JobRef<'a>,
    /// The group it came to.
    pub group: &'a GroupName,
    /// The storage that failed it.
    pub from: &'a StorageName,
    /// The error's label.
    pub cause: &'static str,
    /// The error.
    pub error: &'a dyn Display,
}

impl JobFailedOver<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::JOB_FAILOVERS.with([self.from.as_str(), self.cause]).increment(1);
        warn!(
            event = "job_failed_over",
            director = %self.job.director,
            job = %self.job.job,
            job_id = self.job.job_id.0,
            client = self.job.client.map(display),
            group = %self.group,
            storage = %self.from,
            cause = self.cause,
            error = %self.error,
            "storage failed the job, trying the next"
        );
    }
}

/// Why a job has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueCause {
    /// No storage of the group is up.
    Down,
    /// All that are up have as many jobs as they may.
    Busy,
}

impl QueueCause {
    /// A word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Busy => "busy",
        }
    }
}

/// A job waits for a storage, or its wait has become another.
#[derive(Debug)]
pub struct JobQueued<'a> {
    /// The job.
    pub job: JobRef<'a>,
    /// The group in whose queue it is.
    pub group: &'a GroupName,
    /// Why it waits.
    pub cause: QueueCause,
    /// How many jobs are to be served before it.
    pub ahead: usize,
    /// How long it has waited; nothing when it begins to.
    pub waited: Duration,
    /// How long it may wait yet.
    pub limit: Duration,
}

impl JobQueued<'_> {
    /// Tells it.
    pub fn emit(self) {
        let cause = self.cause.as_str();
        if self.waited == Duration::ZERO {
            names::JOBS_QUEUED.with([self.group.as_str(), cause]).increment(1);
        }
        info!(
            event = "job_queued",
            director = %self.job.director,
            job = %self.job.job,
            job_id = self.job.job_id.0,
            client = self.job.client.map(display),
            group = %self.group,
            cause,
            ahead = self.ahead,
            waited_seconds = self.waited.as_secs_f64(),
            limit_seconds = self.limit.as_secs_f64(),
            "job waits for a storage"
        );
    }
}

/// A job was refused.
#[derive(Debug)]
pub struct JobRefused<'a> {
    /// The job.
    pub job: JobRef<'a>,
    /// The group it came to.
    pub group: &'a GroupName,
    /// The error's label.
    pub cause: &'static str,
    /// What the Director was told.
    pub reason: &'a str,
    /// From the job's arrival until it was refused.
    pub waited: Duration,
}

impl JobRefused<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::JOBS_REFUSED.with([self.group.as_str(), self.cause]).increment(1);
        warn!(
            event = "job_refused",
            director = %self.job.director,
            job = %self.job.job,
            job_id = self.job.job_id.0,
            client = self.job.client.map(display),
            group = %self.group,
            cause = self.cause,
            reason = self.reason,
            waited_seconds = self.waited.as_secs_f64(),
            "job refused"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::Format;
    use crate::telemetry::testing::{LogLines, Scrape};
    use crate::types::{DirectorName, JobId, JobName};

    #[test]
    #[allow(clippy::too_many_lines, reason = "one job's life, told in order")]
    fn a_jobs_way_to_its_storage_is_told_and_counted() {
        let (director, name) = (DirectorName::new("lab-dir").unwrap(), JobName::new("Tiny.1").unwrap());
        let (group, first) = (GroupName::new("Files").unwrap(), StorageName::new("File4").unwrap());
        let second = StorageName::new("File5").unwrap();
        let job = JobRef {
            director: &director,
            job: &name,
            job_id: JobId(3),
            client: None,
        };
        let scrape = Scrape::new();
        let lines = LogLines::of(Format::Json, || {
            scrape.during(|| {
                for (ahead, waited) in [(4, 0), (2, 70)] {
                    JobQueued {
                        job,
                        group: &group,
                        cause: QueueCause::Busy,
                        ahead,
                        waited: Duration::from_secs(waited),
                        limit: Duration::from_secs(60),
                    }
                    .emit();
                }
                JobFailedOver {
                    job,
                    group: &group,
                    from: &first,
                    cause: "dial_refused",
                    error: &"connection refused",
                }
                .emit();
                JobPlaced {
                    job,
                    group: &group,
                    storage: &second,
                    policy: "ListedOrder",
                    reason: "next in the list",
                    waited: Duration::from_millis(20),
                }
                .emit();
                JobExplained {
                    job,
                    group: &group,
                    storage: Some(&second),
                    reasoning: &|| "File5: rank 1".to_owned(),
                }
                .emit();
                for instead in [&first, &second] {
                    ShadowAsked {
                        job,
                        group: &group,
                        policy: "LeastUsed",
                        storage: &second,
                        instead,
                    }
                    .emit();
                }
                JobRefused {
                    job,
                    group: &group,
                    cause: "draining",
                    reason: "sdgroup is about to stop",
                    waited: Duration::ZERO,
                }
                .emit();
            });
        });
        let events: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = events.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(
            told,
            [
                "job_queued",
                "job_queued",
                "job_failed_over",
                "job_placed",
                "job_explained",
                "shadow_asked",
                "shadow_asked",
                "job_refused"
            ]
        );
        assert!(
            events.iter().all(|line| line["job"] == "Tiny.1" && line["job_id"] == 3),
            "{events:?}"
        );
        assert_eq!(events[1]["ahead"], 2);
        assert_eq!(events[2]["storage"], "File4");
        assert_eq!(events[3]["waited_seconds"], 0.02);
        assert_eq!(events[4]["reasoning"], "File5: rank 1");
        assert_eq!(
            (&events[5]["agrees"], &events[6]["agrees"]),
            (&false.into(), &true.into())
        );
        for series in [
            r#"sdgroup_jobs_queued_total{group="Files",cause="busy"}"#,
            r#"sdgroup_job_failovers_total{storage="File4",cause="dial_refused"}"#,
            r#"sdgroup_jobs_placed_total{group="Files",storage="File5",policy="ListedOrder"}"#,
            r#"sdgroup_shadow_choices_total{group="Files",policy="LeastUsed",agrees="no"}"#,
            r#"sdgroup_shadow_choices_total{group="Files",policy="LeastUsed",agrees="yes"}"#,
            r#"sdgroup_jobs_refused_total{group="Files",cause="draining"}"#,
        ] {
            assert_eq!(scrape.value(series), "1", "{series}");
        }
    }
}
