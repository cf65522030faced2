//! Getting a storage to take a job: place, dial, log in, `JobId=`; on to the next when one fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::ending::{Ending, tell_refused};
use super::reserve::BlockError;
use super::{Facts, finish, refuse};
use crate::channel::{Channel, ChannelError};
use crate::config::model;
use crate::group::{Access, Condition, Group, Placement, PlacementRequest, Slot, Trial, Tried};
use crate::session::error::{Stage, StorageError};
use crate::session::health;
use crate::session::jobs::{Job, Stop};
use crate::session::routes::NameInUse;
use crate::session::storage::{self, Patience, StorageLink, within};
use crate::telemetry::event::{JobFailedOver, JobPlaced, JobQueued, QueueCause};
use crate::types::{Severity, StorageName};
use crate::wire::job::{JobAnswer, JobCommand};
use crate::wire::line::shown;
use crate::wire::packet::{Frame, Signal};
use crate::wire::progress::Kind;

/// How often a Director that waits is sent a sign of life: well within what firewalls forget.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Which storage a job may go to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Any of the group.
    Any,
    /// This one, which has what the job reads.
    This {
        /// The storage.
        storage: &'a StorageName,
        /// The session identity that the storage has to take over, if it does.
        identity: Option<&'a JobAnswer>,
    },
}

/// A storage that has taken the job.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) storage: Arc<model::Storage>,
    pub(super) link: StorageLink,
    pub(super) slot: Slot,
    pub(super) answer: JobAnswer,
    /// The answer as it came.
    pub(super) frame: Frame,
    pub(super) policy: &'static str,
    pub(super) reason: String,
}

/// Why no storage took it.
#[derive(Debug)]
pub(super) enum Unseated {
    /// The Director went away in the meantime.
    DirectorGone(ChannelError),
    /// The job's session was asked to end.
    Stopped(Stop),
    /// Nobody could take it.
    Refused {
        /// One of a fixed set of words.
        cause: &'static str,
        /// What the Director is told.
        reason: String,
    },
}

impl Unseated {
    /// A Director says nothing while it waits for an answer, so anything that comes then is its end.
    fn gone(received: Result<Frame, ChannelError>) -> Self {
        Self::DirectorGone(received.err().unwrap_or(ChannelError::Closed))
    }

    pub(super) fn stopped(live: &Job) -> Self {
        Self::Stopped(live.stopped().unwrap_or(Stop::Shutdown))
    }
}

impl From<NameInUse> for Unseated {
    fn from(error: NameInUse) -> Self {
        Self::Refused {
            cause: "name_in_use",
            reason: error.to_string(),
        }
    }
}

impl From<BlockError> for Unseated {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Channel(error) => Self::DirectorGone(error),
            other => Self::Refused {
                cause: "protocol",
                reason: other.to_string(),
            },
        }
    }
}

/// Tells a Director that waits for the answer to `JobId=` that there is no storage, and notes the end.
pub(super) fn tell(facts: &Facts, director: &mut Channel, ending: &mut Ending, unseated: Unseated) {
    match unseated {
        Unseated::DirectorGone(error) => ending.failed("director_gone", error.to_string()),
        Unseated::Stopped(stop) => {
            refuse(facts, director, finish::stop_reason(stop));
            ending.orderly(finish::stop_label(stop));
        }
        Unseated::Refused { cause, reason } => {
            refuse(facts, director, &reason);
            tell_refused(facts, cause, &reason);
            ending.refused(cause, reason);
        }
    }
}

/// Finds a storage that takes the job.
pub(super) async fn find(
    facts: &Facts,
    director: &mut Channel,
    live: &Job,
    wanted: Wanted<'_>,
) -> Result<Seat, Unseated> {
    let unknown = || Unseated::Refused {
        cause: "unknown",
        reason: format!("there is no group {}", facts.group.name),
    };
    let group = facts.context.directory.group(&facts.group.name).ok_or_else(unknown)?;
    let access = if matches!(wanted, Wanted::Any) {
        Access::Write
    } else {
        Access::Read
    };
    let mut search = Search {
        facts,
        live,
        group,
        request: facts.request(access),
        wanted,
        tried: Tried::among(facts.release.storage_versions()),
    };
    loop {
        let placement = search.place(director).await?;
        let mut said = Vec::new();
        let begun = tokio::select! {
            begun = search.begin(&placement.storage, &mut said) => begun,
            gone = director.receive() => return Err(Unseated::gone(gone)),
            () = live.stop_token().cancelled() => return Err(Unseated::stopped(live)),
        };
        for frame in &said {
            director.outbox().frame(frame);
        }
        match begun {
            Ok((link, frame, answer)) => {
                live.placed_on(placement.storage.name.clone());
                return Ok(search.seated(placement, link, frame, answer));
            }
            Err(error) => {
                search.fail_over(director, &placement.storage.name, &error);
            }
        }
    }
}

struct Search<'a> {
    facts: &'a Facts,
    live: &'a Job,
    group: Arc<Group>,
    request: PlacementRequest,
    wanted: Wanted<'a>,
    tried: Tried,
}

impl Search<'_> {
    /// Waits for a place, with an eye on the Director: one that has gone leaves the queue.
    async fn place(&mut self, director: &mut Channel) -> Result<Placement, Unseated> {
        let (facts, live) = (self.facts, self.live);
        let directory = Arc::clone(&facts.context.directory);
        let (told, mut waits) = oneshot::channel();
        let on_wait = |waiting: &crate::group::Waiting| {
            JobQueued {
                job: facts.job_ref(),
                group: &facts.group.name,
                cause: if waiting.condition == Condition::Down {
                    QueueCause::Down
                } else {
                    QueueCause::Busy
                },
                limit: waiting.at_most,
            }
            .emit();
            // Nobody listens any more when the wait is over already.
            let _ = told.send(waiting.to_string());
        };
        let (group, request, stop) = (&self.group, &self.request, live.stop_token());
        let place = async {
            match self.wanted {
                Wanted::Any => {
                    directory
                        .wait_for_place(group, request, &mut self.tried, stop, on_wait)
                        .await
                }
                Wanted::This { storage, .. } => {
                    directory
                        .wait_for_place_on(group, storage, request, &mut self.tried, stop, on_wait)
                        .await
                }
            }
        };
        let mut place = std::pin::pin!(place);
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.reset();
        let mut announced = false;
        loop {
            tokio::select! {
                biased;
                placed = &mut place => {
                    return placed.map_err(|refused| match live.stopped() {
                        Some(stop) => Unseated::Stopped(stop),
                        None => Unseated::Refused { cause: refused.label(), reason: refused.to_string() },
                    });
                }
                waiting = &mut waits, if !announced => {
                    announced = true;
                    if let Ok(waiting) = waiting {
                        facts.note(director.outbox(), Severity::Info, &waiting);
                    }
                }
                _ = heartbeat.tick() => director.outbox().signal(Signal::Heartbeat),
                gone = director.receive() => return Err(Unseated::gone(gone)),
            }
            director.flush().await.map_err(Unseated::DirectorGone)?;
        }
    }

    /// Dials, logs in and gives the storage the job. What else the storage says is for the Director.
    async fn begin(
        &self,
        storage: &model::Storage,
        said: &mut Vec<Frame>,
    ) -> Result<(StorageLink, Frame, JobAnswer), StorageError> {
        let facts = self.facts;
        let patience = Patience::from(&*facts.group);
        let mut link = storage::call(storage, &facts.director, facts.release, patience).await?;
        if !facts.release.agrees_with(link.version) {
            return Err(StorageError::Release { version: link.version });
        }
        link.channel.outbox().message(self.command_line());
        let channel = &mut link.channel;
        let stage = Stage::Job;
        let (frame, text) = within(stage, patience.login, async {
            let lost = |source| StorageError::Lost { stage, source };
            channel.flush().await.map_err(lost)?;
            let mut scratch = Vec::new();
            loop {
                let frame = channel.receive().await.map_err(lost)?;
                let kind = Kind::of(&frame).map_err(ChannelError::from).map_err(lost)?;
                match kind {
                    Some(Kind::Reply(_)) => {
                        let text = frame.text(&mut scratch).map_err(ChannelError::from).map_err(lost)?;
                        return Ok((frame.clone(), text.unwrap_or_default().to_vec()));
                    }
                    Some(_) => said.push(frame),
                    None if frame.signal() == Some(Signal::Terminate) => return Err(lost(ChannelError::Closed)),
                    None => {}
                }
            }
        })
        .await?;
        match JobAnswer::parse(&text) {
            Ok(answer) => Ok((link, frame, answer)),
            Err(_) => Err(StorageError::Refused {
                stage,
                line: shown(&text).trim_end().to_owned(),
            }),
        }
    }

    fn command_line(&self) -> Vec<u8> {
        let Wanted::This {
            identity: Some(identity),
            ..
        } = self.wanted
        else {
            return self.facts.line.clone();
        };
        let command = JobCommand {
            rerunning: true,
            vol_session_id: identity.sd_id,
            vol_session_time: identity.sd_time,
            ..self.facts.command.clone()
        };
        command.to_line()
    }

    fn seated(&self, placement: Placement, link: StorageLink, frame: Frame, answer: JobAnswer) -> Seat {
        let facts = self.facts;
        let Placement {
            storage,
            slot,
            explanation,
        } = placement;
        let reason = explanation.to_string();
        let policy = match self.wanted {
            Wanted::Any => facts.group.policy.as_str(),
            Wanted::This { .. } => "ledger",
        };
        health::succeeded(&facts.context, &storage.name, Instant::now());
        JobPlaced {
            job: facts.job_ref(),
            group: &facts.group.name,
            storage: &storage.name,
            policy,
            reason: &reason,
            waited: facts.arrived.elapsed(),
        }
        .emit();
        Seat {
            storage,
            link,
            slot,
            answer,
            frame,
            policy,
            reason,
        }
    }

    /// Remembers the failure and tells it.
    fn fail_over(&mut self, director: &mut Channel, storage: &StorageName, error: &StorageError) {
        let facts = self.facts;
        health::failed(&facts.context, storage, error, Instant::now());
        JobFailedOver {
            job: facts.job_ref(),
            group: &facts.group.name,
            from: storage,
            cause: error.label(),
            error,
        }
        .emit();
        let text = format!("Storage {storage} did not take the job: {error}");
        facts.note(director.outbox(), Severity::Warning, &text);
        self.tried.add(storage.clone(), Trial::Failed, error.to_string());
    }
}
