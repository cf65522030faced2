//! Getting a storage to take a job: place, dial, log in, `JobId=`; on to the next when one fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::unseated::Unseated;
use super::{Facts, reasons};
use crate::channel::{Channel, ChannelError};
use crate::config::model;
use crate::group::{Access, Condition, Directory, Group, Placement, PlacementRequest, Slot, Trial, Tried};
use crate::session::error::{Stage, StorageError};
use crate::session::jobs::Job;
use crate::session::storage::{self, Patience, StorageLink, within};
use crate::session::{FailedOver, health};
use crate::telemetry::codes;
use crate::telemetry::event::{JobFailedOver, JobPlaced, JobQueued, QueueCause};
use crate::types::{Moment, SessionIdentity, Severity, StorageName};
use crate::wire::job::{JobAnswer, JobCommand};
use crate::wire::line::shown;
use crate::wire::packet::{Frame, Signal};
use crate::wire::progress::Kind;

/// How often a Director that waits is sent a sign of life: well within what firewalls forget.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Which storage a job may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Any of the group.
    Any,
    /// This one.
    This(StorageName, Bond),
}

/// What binds a job to one storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bond {
    /// It holds the volumes that the job reads.
    Volumes,
    /// The Director names it by its device.
    Device,
}

impl Bond {
    /// The word that stands where a policy's name does.
    fn as_str(self) -> &'static str {
        match self {
            Self::Volumes => "ledger",
            Self::Device => "device",
        }
    }
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

/// Looks for a storage that takes the job, for as long as the job has none that it can stay with.
pub(super) struct Search<'a> {
    facts: &'a Facts,
    live: &'a Job,
    group: Arc<Group>,
    request: PlacementRequest,
    wanted: Wanted,
    identity: Option<SessionIdentity>,
    tried: Tried,
    /// Whether the job may wait for a place. A Director that has other storages to ask does not.
    pub(super) waits: bool,
}

impl<'a> Search<'a> {
    pub(super) fn new(facts: &'a Facts, live: &'a Job, wanted: Wanted) -> Result<Self, Unseated> {
        let unknown = || Unseated::Refused {
            cause: "unknown",
            reason: format!("there is no group {}", facts.group.name),
        };
        let group = facts.context.directory.group(&facts.group.name).ok_or_else(unknown)?;
        let access = if wanted == Wanted::Any {
            Access::Write
        } else {
            Access::Read
        };
        Ok(Self {
            facts,
            live,
            group,
            request: facts.request(access),
            wanted,
            identity: None,
            tried: Tried::among(facts.release.storage_versions()),
            waits: true,
        })
    }

    /// Whatever storage takes the job takes over this session identity.
    pub(super) fn impose(&mut self, identity: SessionIdentity) {
        self.identity = Some(identity);
    }

    /// From now on the job goes to this storage and no other.
    pub(super) fn bind(&mut self, storage: StorageName, bond: Bond) {
        self.wanted = Wanted::This(storage, bond);
    }

    /// Whether the job may go to another storage than the one that it is on.
    pub(super) fn is_free(&self) -> bool {
        self.wanted == Wanted::Any && self.facts.is_movable()
    }

    /// Keeps the job from this storage, as long as there is another.
    pub(super) fn avoid(&mut self, storage: &StorageName, because: &str) {
        self.tried.add(storage.clone(), Trial::Busy, because);
    }

    /// Finds a storage that takes the job, waiting for a place if need be.
    pub(super) async fn next(&mut self, director: &mut Channel) -> Result<Seat, Unseated> {
        let placement = self.place(director).await?;
        self.seat(director, placement).await
    }

    /// A place on another storage, if there is one at once. The job leaves `place` for it, if it has one.
    pub(super) fn another(&self, than: &StorageName, because: &str, place: Option<&Slot>) -> Option<Placement> {
        if self.wanted != Wanted::Any {
            return None;
        }
        let mut tried = self.tried.clone();
        tried.add(than.clone(), Trial::Busy, because);
        let (directory, now) = (&self.facts.context.directory, Instant::now());
        let placed = match place {
            Some(left) => directory.place_instead(left, &self.group, &self.request, &tried, now),
            None => directory.place(&self.group, &self.request, &tried, now),
        };
        placed.ok()
    }

    /// Gives the job to this storage, or finds another when it does not take it.
    pub(super) async fn seat(&mut self, director: &mut Channel, placement: Placement) -> Result<Seat, Unseated> {
        let mut placement = placement;
        loop {
            reasons::explain(self.facts, self.live, &placement.explanation);
            let mut said = Vec::new();
            let begun = tokio::select! {
                begun = self.begin(&placement.storage, &mut said) => begun,
                gone = director.receive() => return Err(Unseated::gone(gone)),
                () = self.live.stop_token().cancelled() => return Err(Unseated::stopped(self.live)),
            };
            for frame in &said {
                director.outbox().frame(frame);
            }
            match begun {
                Ok((link, frame, answer)) => {
                    self.live.placed_on(placement.storage.name.clone());
                    return Ok(self.seated(placement, link, frame, answer));
                }
                Err(error) => {
                    let Placement { storage, slot, .. } = placement;
                    // Blamed first, it gives the place to nobody else.
                    self.fail_over(director, &storage.name, Trial::Failed, &error);
                    drop(slot);
                    placement = self.place(director).await?;
                }
            }
        }
    }

    /// Waits for a place, with an eye on the Director: one that has gone leaves the queue.
    async fn place(&mut self, director: &mut Channel) -> Result<Placement, Unseated> {
        let (facts, live) = (self.facts, self.live);
        let directory = Arc::clone(&facts.context.directory);
        if !self.waits {
            return self.place_now(&directory);
        }
        let (told, mut waits) = mpsc::unbounded_channel();
        let on_wait = |waiting: &crate::group::Waiting| {
            JobQueued {
                job: facts.job_ref(),
                group: &facts.group.name,
                cause: if waiting.condition == Condition::Down {
                    QueueCause::Down
                } else {
                    QueueCause::Busy
                },
                ahead: waiting.ahead,
                waited: waiting.waited,
                limit: waiting.at_most,
            }
            .emit();
            live.waits(waiting.into(), &waiting.explanation);
            // Nobody listens any more when the wait is over already.
            let _ = told.send(waiting.to_string());
        };
        let (group, request, stop) = (&self.group, &self.request, live.stop_token());
        let place = async {
            match &self.wanted {
                Wanted::Any => {
                    directory
                        .wait_for_place(group, request, &mut self.tried, stop, on_wait)
                        .await
                }
                Wanted::This(storage, _) => {
                    directory
                        .wait_for_place_on(group, storage, request, &mut self.tried, stop, on_wait)
                        .await
                }
            }
        };
        let mut place = std::pin::pin!(place);
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.reset();
        loop {
            tokio::select! {
                biased;
                placed = &mut place => {
                    return placed.map_err(|refused| {
                        reasons::explain(facts, live, &refused.explanation);
                        match live.stopped() {
                            Some(stop) => Unseated::Stopped(stop),
                            None => Unseated::Refused { cause: refused.label(), reason: refused.to_string() },
                        }
                    });
                }
                Some(waiting) = waits.recv() => {
                    facts.note(director.outbox(), codes::JOB_QUEUED, Severity::Info, &waiting);
                }
                _ = heartbeat.tick() => director.outbox().signal(Signal::Heartbeat),
                gone = director.receive() => return Err(Unseated::gone(gone)),
            }
            director.flush().await.map_err(Unseated::DirectorGone)?;
        }
    }

    fn place_now(&self, directory: &Directory) -> Result<Placement, Unseated> {
        let now = Instant::now();
        let placed = match &self.wanted {
            Wanted::Any => directory.place(&self.group, &self.request, &self.tried, now),
            Wanted::This(storage, _) => directory.place_on(&self.group, storage, &self.request, &self.tried, now),
        };
        placed.map_err(|unplaced| {
            reasons::explain(self.facts, self.live, &unplaced.explanation);
            Unseated::Refused {
                cause: unplaced.reason.label(),
                reason: unplaced.to_string(),
            }
        })
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
        if facts.wants_progress {
            link.channel.outbox().message("sendprogress\n");
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
            Ok(answer) if self.identity.is_some_and(|it| it != answer.identity()) => Err(StorageError::Identity),
            Ok(answer) => Ok((link, frame, answer)),
            Err(_) => Err(StorageError::Refused {
                stage,
                line: shown(&text).trim_end().to_owned(),
            }),
        }
    }

    fn command_line(&self) -> Vec<u8> {
        let Some(identity) = self.identity else {
            return self.facts.line.clone();
        };
        let command = JobCommand {
            rerunning: true,
            vol_session_id: identity.id,
            vol_session_time: identity.time,
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
            Wanted::Any => explanation.policy().unwrap_or(facts.group.policy).as_str(),
            Wanted::This(_, bond) => bond.as_str(),
        };
        reasons::ask_shadow(facts, &explanation);
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

    /// Remembers that the storage did not take the job, or could not keep it, and tells it.
    pub(super) fn fail_over(
        &mut self,
        director: &mut Channel,
        storage: &StorageName,
        trial: Trial,
        error: &StorageError,
    ) {
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
        facts.context.jobs.failed_over(FailedOver {
            at: Moment::now(),
            job: self.live.facts.clone(),
            from: storage.clone(),
            cause: error.label(),
            error: error.to_string(),
        });
        let text = format!("Storage {storage} did not take the job: {error}");
        facts.note(director.outbox(), codes::JOB_FAILED_OVER, Severity::Warning, &text);
        self.tried.add(storage.clone(), trial, error.to_string());
    }
}
