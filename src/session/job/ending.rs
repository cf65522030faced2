//! How a job's control session ended: gathered along the way, told once.

use std::sync::Arc;
use std::time::Instant;

use super::Facts;
use crate::relay::Tally;
use crate::session::EndedJob;
use crate::session::history::past;
use crate::session::jobs::Job;
use crate::store::JobRecord;
use crate::telemetry::event::{JobRefused, SessionEnded, SessionKind};
use crate::types::{Bytes, JobStatus, JobType, Moment, StorageName};

/// What is known of the end so far.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Where the job was, and why there.
    pub(super) placed: Option<(StorageName, &'static str, String)>,
    /// When the storage had taken it.
    pub(super) placed_at: Option<Instant>,
    /// Its files and bytes, as the storage reported them.
    pub(super) figures: (u64, Bytes),
    /// Its data connection's bytes.
    pub(super) tally: Option<Arc<Tally>>,
    /// The status that the storage reported, or that was reported in its place.
    pub(super) status: Option<JobStatus>,
    /// It is a copy of a job that stays.
    pub(super) is_copy: bool,
    end: &'static str,
    error: Option<String>,
}

impl Ending {
    /// It ended in order.
    pub(super) fn orderly(&mut self, end: &'static str) {
        self.end = end;
    }

    /// It ended in disorder.
    pub(super) fn failed(&mut self, end: &'static str, error: String) {
        self.end = end;
        self.error = Some(error);
    }

    /// No storage took it.
    pub(super) fn refused(&mut self, cause: &'static str, error: String) {
        self.failed(cause, error);
        self.status = None;
        self.placed = None;
    }

    /// Remembers a job that a storage had to its end, for those that come after it.
    pub(super) fn remember(&self, facts: &Facts) {
        let (Some((storage, ..)), Some(placed), Some(status)) = (&self.placed, self.placed_at, self.status) else {
            return;
        };
        let ended = Moment::now();
        let ago = |then: Instant| ended.minus(then.elapsed()).0;
        let command = &facts.command;
        let record = JobRecord {
            director: facts.director.clone(),
            job: command.job.clone(),
            job_id: command.job_id,
            resource: command.job_name.clone(),
            client: command.client.clone(),
            fileset: command.file_set.clone(),
            job_type: if self.is_copy {
                JobType::JOB_COPY
            } else {
                command.job_type
            },
            level: command.level,
            group: facts.group.name.clone(),
            storage: storage.clone(),
            arrived: ago(facts.arrived),
            placed: ago(placed),
            ended: ended.0,
            status,
            files: self.figures.0,
            bytes: self.figures.1,
        };
        let past = past(&record);
        facts.context.processes.ended(&past);
        facts.context.directory.observe_end(&past, Instant::now());
        facts.context.recorder.leave(record);
    }

    /// It, for those who ask why it was where it was.
    pub(super) fn listed(&self, live: &Job) -> EndedJob {
        let progress = live.progress();
        let ended = Moment::now();
        EndedJob {
            facts: live.facts.clone(),
            storage: self.placed.as_ref().map(|(storage, ..)| storage.clone()),
            explanation: progress.explanation,
            placed: self.placed_at.map(|placed| ended.minus(placed.elapsed())),
            ended,
            end: self.end,
            status: self.status,
            error: self.error.clone(),
            bytes: self.figures.1,
        }
    }

    /// Tells it.
    pub(super) fn emit(self, facts: &Facts) {
        let (to_storage, from_storage) = self
            .tally
            .as_ref()
            .map_or((0, 0), |tally| (tally.to_far(), tally.to_near()));
        let placed = self.placed.as_ref();
        SessionEnded {
            kind: SessionKind::Director,
            peer: facts.peer,
            job: Some(facts.job_ref()),
            group: Some(&facts.group.name),
            storage: placed.map(|(storage, _, _)| storage),
            policy: placed.map(|(_, policy, _)| *policy),
            reason: placed.map(|(_, _, reason)| reason.as_str()),
            to_storage_bytes: to_storage,
            from_storage_bytes: from_storage,
            duration: facts.arrived.elapsed(),
            end: self.end,
            status: self.status,
            error: self.error.as_ref().map(|error| error as &dyn std::fmt::Display),
        }
        .emit();
    }
}

/// A job that nobody could be given is told as such, too.
pub(super) fn tell_refused(facts: &Facts, cause: &'static str, reason: &str) {
    JobRefused {
        job: facts.job_ref(),
        group: &facts.group.name,
        cause,
        reason,
        waited: facts.arrived.elapsed(),
    }
    .emit();
}
