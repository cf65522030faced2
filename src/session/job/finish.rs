//! The end of a job that a storage had: what the Director is told, and what is learned from it.

use std::time::Instant;

use tokio::net::TcpStream;

use super::Facts;
use super::ending::Ending;
use super::traffic::{JobTraffic, TrafficError};
use crate::channel::{Channel, ChannelError};
use crate::session::couple::Coupled;
use crate::session::error::{Stage, StorageError};
use crate::session::jobs::{Job, Stop};
use crate::session::routes::Route;
use crate::session::{end, health};
use crate::telemetry::event::StoreFailed;
use crate::types::JobStatus;
use crate::wire::packet::Signal;
use crate::wire::refusal::Refusal;
use crate::wire::release::Severity;

/// What is left of a job when its coupling has ended.
pub(super) struct Finish<'a, 't> {
    pub(super) facts: &'a Facts,
    pub(super) live: &'a Job,
    pub(super) route: &'a Route,
    pub(super) traffic: &'a JobTraffic<'t>,
    pub(super) ending: &'a mut Ending,
}

impl Finish<'_, '_> {
    /// Ends both control connections, each as its peer expects it.
    pub(super) async fn run(
        mut self,
        director: &mut Channel<TcpStream>,
        mut storage: Channel<TcpStream>,
        coupled: Coupled<TrafficError>,
    ) {
        self.ending.status = self.traffic.end.as_ref().map(|end| end.status);
        let reported = self.traffic.end.is_some();
        if reported {
            self.route.over.cancel();
        }
        match coupled {
            Coupled::Over | Coupled::Caught(_) => self.ending.orderly(if reported { "ended" } else { "terminated" }),
            // The storage has said all that it had to say, but for its goodbye.
            Coupled::StorageGone(_) if reported => {
                director.outbox().signal(Signal::Terminate);
                self.ending.orderly("ended");
            }
            Coupled::StorageGone(source) => self.storage_lost(director, source),
            Coupled::DirectorGone(source) => {
                // The storage notices when it next needs the Director, as it would without us.
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
                self.fail(director, JobStatus::FatalError, &text);
                self.ending.failed(error.label(), text);
            }
        }
        let _ = storage.flush().await;
        end::linger(storage).await;
    }

    /// The storage vanished: the Director is told at once, so that it does not go on for half an hour to dial a
    /// storage that is dead, and no further job goes there.
    fn storage_lost(&mut self, director: &mut Channel<TcpStream>, source: ChannelError) {
        let stage = self.traffic.stage;
        let error = StorageError::Lost { stage, source };
        health::failed(&self.facts.context, &self.route.storage.name, &error, Instant::now());
        let text = format!("Storage {}: {error}", self.route.storage.name);
        self.fail(director, JobStatus::FatalError, &text);
        self.ending.failed("storage_lost", text);
    }

    fn stopped(&mut self, director: &mut Channel<TcpStream>) {
        let stop = self.live.stopped().unwrap_or(Stop::Shutdown);
        let status = if stop == Stop::Canceled {
            JobStatus::Canceled
        } else {
            JobStatus::FatalError
        };
        self.fail(director, status, stop_reason(stop));
        self.ending.orderly(stop_label(stop));
    }

    /// Ends the job in the Director, in the form that it expects at this step, and cuts the data connection.
    fn fail(&mut self, director: &mut Channel<TcpStream>, status: JobStatus, text: &str) {
        self.route.stop.cancel();
        self.ending.status = Some(status);
        let severity = if status == JobStatus::Canceled {
            Severity::Info
        } else {
            Severity::Fatal
        };
        self.facts.note(director.outbox(), severity, text);
        match self.traffic.stage {
            Stage::Reserve => director.outbox().message(
                Refusal::Failed {
                    reason: text.to_owned(),
                }
                .to_line(),
            ),
            Stage::Bootstrap => director.outbox().message(Refusal::Bootstrap.to_line()),
            _ => return self.facts.end_job(director.outbox(), status, text),
        }
        director.outbox().signal(Signal::Terminate);
    }
}

/// What a Director is told of a job that was asked to end.
pub(super) fn stop_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Canceled => "The job was canceled",
        Stop::Replaced => "The Director has started the same job again",
        Stop::Shutdown => "sdgroup was told to end at once",
    }
}

/// The same in a word, for metrics.
pub(super) fn stop_label(stop: Stop) -> &'static str {
    match stop {
        Stop::Canceled => "canceled",
        Stop::Replaced => "replaced",
        Stop::Shutdown => "shutdown",
    }
}
