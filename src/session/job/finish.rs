//! The end of a job that a storage had: what the Director is told, and what is learned from it.

use std::sync::Arc;
use std::time::Instant;

use super::Facts;
use super::ending::Ending;
use super::stint::Stint;
use super::traffic::TrafficError;
use crate::channel::{Channel, ChannelError};
use crate::config::model;
use crate::session::couple::Coupled;
use crate::session::error::{Stage, StorageError};
use crate::session::jobs::{Job, Stop};
use crate::session::routes::Announced;
use crate::session::storage::{self, Patience};
use crate::session::{end, health};
use crate::telemetry::codes::{self, Code};
use crate::telemetry::event::StoreFailed;
use crate::types::{Bytes, DirectorName, JobStatus, Release, Severity};
use crate::wire::packet::Signal;
use crate::wire::refusal::Refusal;

/// What is left of a job when its coupling has ended.
pub(super) struct Finish<'a, 't> {
    pub(super) facts: &'a Facts,
    pub(super) live: &'a Job,
    pub(super) stint: Stint<'t>,
    pub(super) ending: &'a mut Ending,
}

/// What is left when nothing more is wanted of a storage: the connection there, and the job's place.
#[derive(Debug)]
pub(super) struct Left {
    at: Arc<model::Storage>,
    _announced: Announced,
    storage: Channel,
    cancel: Option<Cancel>,
}

/// What it takes to tell a storage that it need not go on with a job.
#[derive(Debug)]
struct Cancel {
    director: DirectorName,
    release: Release,
    patience: Patience,
    line: String,
}

impl Left {
    pub(super) fn new(
        facts: &Facts,
        at: Arc<model::Storage>,
        announced: Announced,
        storage: Channel,
        cancels: bool,
    ) -> Self {
        let cancel = cancels.then(|| Cancel {
            director: facts.director.clone(),
            release: facts.release,
            patience: Patience::from(&*facts.group),
            line: format!("cancel Job={}\n", facts.command.job),
        });
        Self {
            at,
            _announced: announced,
            storage,
            cancel,
        }
    }

    /// Parts from the storage. One that waits for its Client, or for a device, does not watch its Director, and would
    /// keep the job for half an hour and turn a later run of it away; so it is told to cancel it.
    pub(super) async fn part(self) {
        if let Some(cancel) = self.cancel {
            let Cancel {
                director,
                release,
                patience,
                line,
            } = cancel;
            let storage = &*self.at;
            let time = patience.login;
            // A storage that cannot be told any more has nobody to tell it.
            let _ = storage::command(storage, &director, release, patience, line.as_bytes(), time).await;
        }
        end::part(self.storage).await;
    }
}

impl Finish<'_, '_> {
    /// Readies the Director's last words, in the form that it expects at this step.
    pub(super) fn run(mut self, director: &mut Channel, coupled: Coupled<TrafficError>) -> Left {
        let end = self.stint.traffic.end.as_ref();
        let reported = end.is_some();
        self.ending.status = end.map(|end| end.status);
        self.ending.figures = end.map_or_else(Default::default, |end| (end.files, Bytes(end.bytes)));
        if let Some(end) = end {
            // A job ends once.
            let _ = self.stint.announced.route().ended.set(end.status);
        }
        let unheard = matches!(
            coupled,
            Coupled::DirectorGone(_) | Coupled::Stopped | Coupled::Failed(_)
        );
        let orphaned = unheard && !reported && self.stint.traffic.stage == Stage::Running;
        match coupled {
            Coupled::Over | Coupled::Caught(_) => self.ending.orderly(if reported { "ended" } else { "terminated" }),
            // All has been said but for the goodbye.
            Coupled::StorageGone(_) if reported => {
                director.outbox().signal(Signal::Terminate);
                self.ending.orderly("ended");
            }
            Coupled::DirectorGone(_) if reported => self.ending.orderly("ended"),
            Coupled::StorageGone(source) => self.storage_lost(director, source),
            // Nobody is silent too long where there is no limit.
            Coupled::Silent(_) => self.storage_lost(director, ChannelError::Closed),
            Coupled::DirectorGone(source) => {
                self.stint.announced.route().stop.cancel();
                self.ending.failed("director_gone", source.to_string());
            }
            Coupled::Stopped => self.stopped(director),
            Coupled::Failed(error) => {
                if let TrafficError::Store(_) | TrafficError::Judge(_) = &error {
                    StoreFailed {
                        operation: "job",
                        error: &error,
                    }
                    .emit();
                }
                let text = error.to_string();
                self.fail(director, codes::JOB_BROKEN, JobStatus::FatalError, &text);
                self.ending.failed(error.label(), text);
            }
        }
        self.stint.leave(self.facts, orphaned)
    }

    /// The storage vanished: the Director is told at once, so that it does not go on for half an hour to dial a
    /// storage that is dead, and no further job goes there.
    fn storage_lost(&mut self, director: &mut Channel, source: ChannelError) {
        let stage = self.stint.traffic.stage;
        let error = StorageError::Lost { stage, source };
        health::failed(&self.facts.context, &self.stint.storage().name, &error, Instant::now());
        let text = format!("Storage {}: {error}", self.stint.storage().name);
        self.fail(director, codes::STORAGE_LOST, JobStatus::FatalError, &text);
        self.ending.failed("storage_lost", text);
    }

    fn stopped(&mut self, director: &mut Channel) {
        let stop = self.live.stopped().unwrap_or(Stop::Shutdown);
        self.fail(director, codes::JOB_STOPPED, stop_status(stop), stop_reason(stop));
        self.ending.orderly(stop_label(stop));
    }

    /// Ends the job in the Director, in the form that it expects at this step, and cuts the data connection.
    fn fail(&mut self, director: &mut Channel, code: Code, status: JobStatus, text: &str) {
        self.stint.announced.route().stop.cancel();
        self.ending.status = Some(status);
        let severity = severity(status);
        self.facts.note(director.outbox(), code, severity, text);
        match self.stint.traffic.stage {
            Stage::Reserve => director.outbox().message(
                Refusal::Failed {
                    reason: text.to_owned(),
                }
                .to_line(),
            ),
            Stage::Bootstrap => director.outbox().message(Refusal::Bootstrap.to_line()),
            Stage::Client => director.outbox().message(Refusal::Client.to_line()),
            Stage::Storage => director.outbox().message(Refusal::Storage.to_line()),
            _ => return self.facts.end_job(director.outbox(), status, text),
        }
        director.outbox().signal(Signal::Terminate);
    }
}

/// How an end is told: one that somebody wanted is no failure.
pub(super) fn severity(status: JobStatus) -> Severity {
    match status {
        JobStatus::Canceled | JobStatus::Incomplete => Severity::Info,
        _ => Severity::Fatal,
    }
}

/// What becomes of a job that was asked to end.
pub(super) fn stop_status(stop: Stop) -> JobStatus {
    match stop {
        Stop::Canceled => JobStatus::Canceled,
        Stop::Stopped => JobStatus::Incomplete,
        Stop::Replaced | Stop::Shutdown | Stop::Operator => JobStatus::FatalError,
    }
}

/// What a Director is told of a job that was asked to end.
pub(super) fn stop_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Canceled => "The job was canceled",
        Stop::Stopped => "The job was stopped",
        Stop::Replaced => "The Director has started the same job again",
        Stop::Shutdown => "sdgroup was told to end at once",
        Stop::Operator => "The operator of sdgroup has ended the job",
    }
}

/// The same in a word, for metrics.
pub(super) fn stop_label(stop: Stop) -> &'static str {
    match stop {
        Stop::Canceled => "canceled",
        Stop::Stopped => "stopped",
        Stop::Replaced => "replaced",
        Stop::Shutdown => "shutdown",
        Stop::Operator => "ended_by_operator",
    }
}
