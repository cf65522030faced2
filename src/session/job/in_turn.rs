//! A job that reads from several storages, one after the other, as if they were one.
//!
//! Its bootstrap is cut into stretches, in its own order. Each storage runs the job with its stretch, in a stint of its
//! own; the Director sees one job that starts once and ends once, with the sums of all. The Client's one data
//! connection is fed from each in turn (`session/data/in_turn`).

use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::Facts;
use super::ending::Ending;
use super::finish::{self, Finish, Left};
use super::late::Asked;
use super::read::replay;
use super::seat::{Bond, Search, Seat, Wanted};
use super::stint::{self, Stint};
use super::traffic::{JobTraffic, TrafficError};
use super::unseated::Unseated;
use crate::channel::{Channel, ChannelError};
use crate::config::model;
use crate::group::StorageView;
use crate::session::couple::{Coupled, Flow, Legs, Traffic, Until, couple};
use crate::session::error::{Stage, StorageError};
use crate::session::jobs::{Job, Stop};
use crate::session::routes::{Announced, Far, Turn};
use crate::session::storage::{self, Patience};
use crate::session::{end, health};
use crate::telemetry::codes;
use crate::types::{JobStatus, StorageName};
use crate::volumes::{Segment, segments};
use crate::wire::packet::{Frame, Signal};
use crate::wire::progress::{JobEnd, Kind, StorageMessage};

/// The job, and the storages that it reads from.
pub(super) struct InTurn<'a> {
    pub(super) facts: &'a Facts,
    pub(super) live: &'a Job,
    pub(super) asked: &'a Asked,
    pub(super) segments: Vec<Segment>,
}

impl InTurn<'_> {
    /// Runs the job to its end.
    ///
    /// # Errors
    /// When it cannot begin. Then it does not begin at any storage.
    pub(super) async fn run(&self, director: &mut Channel, ending: &mut Ending) -> Result<Option<Left>, Unseated> {
        let Some((first, _)) = self.segments.split_first() else {
            return Ok(None);
        };
        self.look(&mut *director).await?;
        let seat = self.seat(&first.storage, director).await?;
        let (sender, turns) = mpsc::unbounded_channel();
        let far = Far::InTurn {
            version: seat.link.version,
            turns: Mutex::new(Some(turns)),
        };
        let route = stint::route(self.facts, far, &self.asked.key);
        let listed = self.facts.context.routes.announce(route, None)?;
        ending.tally = Some(Arc::clone(&listed.route().tally));
        let mut running = Running {
            job: self,
            listed,
            sender,
            sum: None,
        };
        Ok(running.turns(seat, director, ending).await)
    }

    /// Looks whether all the storages can be read from, before the first is. One that cannot would break the job off in
    /// its middle.
    async fn look(&self, director: &mut Channel) -> Result<(), Unseated> {
        let now = std::time::Instant::now();
        let mut names: Vec<&StorageName> = Vec::new();
        for segment in &self.segments {
            if !names.contains(&&segment.storage) {
                names.push(&segment.storage);
            }
        }
        for name in &names {
            let view = self.facts.context.directory.storage(name).map(|live| live.view(now));
            if let Some(shut) = view.as_ref().and_then(StorageView::shut) {
                return Err(self.unreadable("storage_shut", name, &format_args!("its state is {shut}")));
            }
        }
        let calls: Vec<_> = names
            .into_iter()
            .map(|name| (name, tokio::spawn(call(self.facts, name))))
            .collect();
        for (name, call) in calls {
            let called = tokio::select! {
                called = call => called,
                gone = director.receive() => return Err(Unseated::gone(gone)),
                () = self.live.stop_token().cancelled() => return Err(Unseated::stopped(self.live)),
            };
            // A call neither panics nor is aborted.
            if let Ok(Err(error)) = called {
                health::failed(&self.facts.context, name, &error, std::time::Instant::now());
                return Err(self.unreadable("storage_down", name, &error));
            }
        }
        Ok(())
    }

    fn unreadable(&self, cause: &'static str, name: &StorageName, why: &dyn Display) -> Unseated {
        let volumes = segments::volumes_on(&self.segments, name);
        Unseated::Refused {
            cause,
            reason: format!("{volumes} on storage {name}, which cannot be read from now: {why}"),
        }
    }

    async fn seat(&self, storage: &StorageName, director: &mut Channel) -> Result<Seat, Unseated> {
        let mut search = Search::new(self.facts, self.live, Wanted::This(storage.clone(), Bond::Volumes))?;
        search.next(director).await
    }
}

/// A login at the storage as the job's Director, and the farewell.
fn call(facts: &Facts, name: &StorageName) -> impl Future<Output = Result<(), StorageError>> + Send + 'static {
    let storage: Option<Arc<model::Storage>> = facts.context.model.storage(name.as_str()).cloned();
    let (director, release, patience) = (facts.director.clone(), facts.release, Patience::from(&*facts.group));
    async move {
        // One that is not configured any more is told when its turn comes to be seated.
        let Some(storage) = storage else { return Ok(()) };
        let mut link = storage::call(&storage, &director, release, patience).await?;
        link.channel.outbox().signal(Signal::Terminate);
        end::part(link.channel).await;
        Ok(())
    }
}

/// The job on its way.
struct Running<'a> {
    job: &'a InTurn<'a>,
    /// The Client's one data connection.
    listed: Announced,
    /// Tells it whose turn it is. Dropped, there are no more.
    sender: mpsc::UnboundedSender<Turn>,
    /// The ends that storages have reported, summed.
    sum: Option<JobEnd>,
}

impl Running<'_> {
    async fn turns(&mut self, first: Seat, director: &mut Channel, ending: &mut Ending) -> Option<Left> {
        let mut seat = Some(first);
        for (at, segment) in self.job.segments.iter().enumerate() {
            let seated = match seat.take() {
                Some(seat) => Ok(seat),
                // Its storage may have been told too late.
                None if self.job.live.is_canceled() => Err(Unseated::Stopped(Stop::Canceled)),
                None => self.job.seat(&segment.storage, director).await,
            };
            let seat = match seated {
                Ok(seat) => seat,
                Err(unseated) => {
                    self.break_off(director, ending, unseated);
                    return None;
                }
            };
            match self.turn(at, segment, seat, director, ending).await {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(left) => return Some(left),
            }
        }
        None
    }

    /// One storage's turn. It breaks when the job ends with it.
    async fn turn(
        &mut self,
        at: usize,
        segment: &Segment,
        seat: Seat,
        director: &mut Channel,
        ending: &mut Ending,
    ) -> ControlFlow<Left> {
        let InTurn { facts, live, asked, .. } = *self.job;
        let last = at + 1 == self.job.segments.len();
        let far = seat.far_end();
        let mut stint = Stint::begin_in_turn(facts, seat, self.listed.route(), director, ending);
        let replayed = match replay(&mut stint, director, live, asked, &segment.text()).await {
            // The Director has its reply, and says `run` itself.
            Ok(()) if at == 0 => Ok(()),
            Ok(()) => run(&mut stint, director, live).await,
            Err(ended) => Err(ended),
        };
        let coupled = match replayed {
            Ok(()) => {
                live.settle();
                // Nobody listens any more when the Client has gone; the storage's own end tells the rest.
                let counted = stint.announced.counted();
                let _ = self.sender.send(Turn { far, counted, last });
                let mut traffic = TurnTraffic {
                    inner: &mut stint.traffic,
                    first: at == 0,
                    last,
                    sum: &mut self.sum,
                    ended: false,
                };
                let until = Until {
                    stop: live.stop_token(),
                    silence: None,
                };
                let coupled = couple(director, &mut stint.channel, &mut traffic, until).await;
                if matches!(coupled, Coupled::Over) && traffic.ended && !traffic.is_final() {
                    facts.context.sessions.spawn(stint.leave(facts, false).part());
                    return ControlFlow::Continue(());
                }
                coupled
            }
            Err(ended) => ended,
        };
        if at > 0 {
            stint.traffic.stage = Stage::Running;
        }
        let finish = Finish {
            facts,
            live,
            stint,
            ending,
        };
        ControlFlow::Break(finish.run(director, coupled))
    }

    /// The job cannot go on: tells the Director, which waits for the end.
    fn break_off(&self, director: &mut Channel, ending: &mut Ending, unseated: Unseated) {
        self.listed.route().stop.cancel();
        let facts = self.job.facts;
        let (code, status, label, reason) = match unseated {
            Unseated::DirectorGone(error) => return ending.failed("director_gone", error.to_string()),
            Unseated::Stopped(stop) => (
                codes::JOB_STOPPED,
                finish::stop_status(stop),
                finish::stop_label(stop),
                finish::stop_reason(stop).to_owned(),
            ),
            Unseated::Refused { cause, reason } => (codes::JOB_REFUSED, JobStatus::FatalError, cause, reason),
        };
        facts.note(director.outbox(), code, finish::severity(status), &reason);
        facts.end_job(director.outbox(), status, &reason);
        ending.status = Some(status);
        ending.failed(label, reason);
    }
}

/// Waits for the storage's reply to its bootstrap, and has it run the job.
async fn run(stint: &mut Stint<'_>, director: &mut Channel, live: &Job) -> Result<(), Coupled<TrafficError>> {
    stint.traffic.catches_reply = true;
    let reply = match stint.couple(director, live, None).await {
        Coupled::Caught(reply) => reply,
        Coupled::Over => return Err(Coupled::StorageGone(ChannelError::Closed)),
        ended => return Err(ended),
    };
    TrafficError::unless_ok(&reply, Stage::Bootstrap).map_err(Coupled::Failed)?;
    stint.traffic.stage = Stage::Running;
    stint.channel.outbox().message(b"run");
    Ok(())
}

/// What one of several storages says, as the Director is to hear it: one job that starts once and ends once.
struct TurnTraffic<'t, 'a> {
    inner: &'t mut JobTraffic<'a>,
    first: bool,
    last: bool,
    sum: &'t mut Option<JobEnd>,
    /// The storage has reported its end.
    ended: bool,
}

impl TurnTraffic<'_, '_> {
    /// Whether the job ends with this storage: it is the last, or it has failed.
    fn is_final(&self) -> bool {
        let failed = self.sum.as_ref().is_some_and(|sum| sum.status != JobStatus::Terminated);
        self.last || failed
    }
}

impl TurnTraffic<'_, '_> {
    /// A storage that begins says that it waits for the Client, and one that is done that the job has terminated; for
    /// the Director the job just goes on.
    fn is_of_an_inner_border(&self, frame: &Frame) -> bool {
        let mut scratch = Vec::new();
        let text = frame.text(&mut scratch).ok().flatten().unwrap_or_default();
        match StorageMessage::parse(text) {
            Ok(StorageMessage::Status { status, .. }) => match status {
                JobStatus::WaitClient => !self.first,
                JobStatus::Terminated => !self.last,
                _ => false,
            },
            _ => false,
        }
    }
}

impl Traffic for TurnTraffic<'_, '_> {
    type Error = TrafficError;

    async fn on_director(&mut self, frame: Frame, legs: Legs<'_>) -> Result<Flow, TrafficError> {
        self.inner.on_director(frame, legs).await
    }

    async fn on_storage(&mut self, frame: Frame, legs: Legs<'_>) -> Result<Flow, TrafficError> {
        match Kind::of(&frame)? {
            Some(Kind::Start) if !self.first => return Ok(Flow::On),
            Some(Kind::Status) if self.is_of_an_inner_border(&frame) => return Ok(Flow::On),
            Some(Kind::End) => {
                let mut scratch = Vec::new();
                let reported = JobEnd::parse(frame.text(&mut scratch)?.unwrap_or_default());
                if let Ok(reported) = reported {
                    self.ended = true;
                    *self.sum = Some(match self.sum.take() {
                        Some(sum) => sum.and(reported),
                        None => reported,
                    });
                    if !self.is_final() {
                        return Ok(Flow::On);
                    }
                    self.inner.end.clone_from(self.sum);
                    if let Some(sum) = self.sum {
                        legs.to_director.message(sum.to_line());
                    }
                    return Ok(Flow::On);
                }
            }
            None if self.ended && !self.is_final() => {
                let over = frame.signal() == Some(Signal::Terminate);
                return Ok(if over { Flow::Over } else { Flow::On });
            }
            _ => {}
        }
        self.inner.on_storage(frame, legs).await
    }
}
