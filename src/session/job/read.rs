//! A job that reads: placed when its bootstrap says which volumes it needs.
//!
//! Until then sdgroup answers in the storage's place and keeps what the Director asked for. When the volumes are
//! known it is asked again, of the storage that holds them, and from then on the job is coupled like any other. The
//! Client's key is ours, the storage has its own, so the data connection is a bridge.

use std::sync::Arc;

use super::ending::{Ending, tell_refused};
use super::finish::{self, Finish, Left};
use super::reserve::{self, Block};
use super::seat::{self, Seat, Unseated, Wanted};
use super::traffic::{JobTraffic, TrafficError};
use super::{Facts, write};
use crate::channel::{Channel, ChannelError};
use crate::session::couple::{Coupled, couple};
use crate::session::dice;
use crate::session::error::Stage;
use crate::session::jobs::Job;
use crate::session::routes::NameInUse;
use crate::types::{JobLevel, Release, SessionKey, Severity};
use crate::volumes::segments;
use crate::wire::bootstrap::{Bootstrap, BootstrapReader};
use crate::wire::job::JobAnswer;
use crate::wire::line::shown;
use crate::wire::packet::{Frame, Signal};
use crate::wire::refusal::Refusal;
use crate::wire::reserve::{DeviceAnswer, DeviceFeatures};

/// The longest piece of a bootstrap line that goes into one message (9.6 and 13 read no more at once).
const MAX_PIECE_BYTES: usize = 900;

/// What the Director asked for before its volumes were known.
#[derive(Debug)]
struct Asked {
    answer: JobAnswer,
    blocks: Vec<Block>,
}

/// Runs the job to its end.
pub(super) async fn run(facts: &Facts, director: &mut Channel, live: &Job, ending: &mut Ending) -> Option<Left> {
    let (sd_id, sd_time) = facts.context.mint_session();
    let answer = JobAnswer {
        sd_id,
        sd_time,
        key: SessionKey::mint(dice::key_random()),
    };
    director.outbox().message(answer.to_line());
    let mut asked = Asked {
        answer,
        blocks: Vec::new(),
    };
    let mut awaits = Awaits::Reply;
    let heard = tokio::select! {
        heard = listen(facts, director, &mut asked, &mut awaits) => heard,
        () = live.stop_token().cancelled() => Err(Unseated::stopped(live)),
    };
    let seated = match heard {
        Ok(bootstrap) => place(facts, director, live, &bootstrap, &asked)
            .await
            .map(|seat| (bootstrap, seat)),
        Err(unseated) => Err(unseated),
    };
    let unseated = match seated {
        Ok((bootstrap, seat)) => {
            ending.placed = Some((seat.storage.name.clone(), seat.policy, seat.reason.clone()));
            match (Replay {
                facts,
                live,
                asked,
                bootstrap,
            })
            .run(director, seat, ending)
            .await
            {
                Ok(left) => return Some(left),
                Err(error) => error.into(),
            }
        }
        Err(unseated) => unseated,
    };
    tell(facts, director, ending, unseated, awaits);
    None
}

/// What the Director waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// Nothing, or the reply to a command.
    Reply,
    /// The reply to its bootstrap.
    Bootstrap,
}

/// Tells the Director, in the form that it waits for, why nobody will serve the job, and notes the end.
fn tell(facts: &Facts, director: &mut Channel, ending: &mut Ending, unseated: Unseated, awaits: Awaits) {
    let reason = match unseated {
        Unseated::DirectorGone(error) => return ending.failed("director_gone", error.to_string()),
        Unseated::Stopped(stop) => {
            ending.orderly(finish::stop_label(stop));
            finish::stop_reason(stop).to_owned()
        }
        Unseated::Refused { cause, reason } => {
            tell_refused(facts, cause, &reason);
            ending.refused(cause, reason.clone());
            reason
        }
    };
    facts.note(director.outbox(), Severity::Fatal, &reason);
    let refusal = match awaits {
        Awaits::Reply => Refusal::Failed { reason },
        Awaits::Bootstrap => Refusal::Bootstrap,
    };
    director.outbox().message(refusal.to_line());
    director.outbox().signal(Signal::Terminate);
}

/// Answers in the storage's place until the bootstrap has been read.
async fn listen(
    facts: &Facts,
    director: &mut Channel,
    asked: &mut Asked,
    awaits: &mut Awaits,
) -> Result<Bootstrap, Unseated> {
    let mut scratch = Vec::new();
    loop {
        director.flush().await.map_err(Unseated::DirectorGone)?;
        let frame = director.receive().await.map_err(Unseated::DirectorGone)?;
        let text = frame
            .text(&mut scratch)
            .map_err(ChannelError::from)
            .map_err(Unseated::DirectorGone)?;
        match text {
            Some(text) if text.starts_with(b"use storage=") => {
                let block = reserve::read(director, frame.clone()).await.map_err(Unseated::from)?;
                director.outbox().message(device_answer(facts, &block).to_line());
                asked.blocks.push(block);
            }
            Some(text) if text.starts_with(b"bootstrap") => {
                *awaits = Awaits::Bootstrap;
                return read_bootstrap(director).await;
            }
            Some(text) if text.starts_with(b"sendprogress") => {}
            Some(text) => {
                let reason = format!(
                    "a job that reads sends its bootstrap first, this one sent: {}",
                    shown(text).trim_end()
                );
                return Err(Unseated::Refused {
                    cause: "protocol",
                    reason,
                });
            }
            None => return Err(Unseated::DirectorGone(ChannelError::Closed)),
        }
    }
}

/// The answer to a reservation that has not been made yet. The Director prints the device's name, no more.
fn device_answer(facts: &Facts, block: &Block) -> DeviceAnswer {
    DeviceAnswer {
        device: block.device.clone(),
        features: (facts.release == Release::V15).then_some(DeviceFeatures {
            protect: false,
            encrypt: false,
        }),
        more: Vec::new(),
    }
}

async fn read_bootstrap(director: &mut Channel) -> Result<Bootstrap, Unseated> {
    let mut reader = BootstrapReader::new();
    let mut scratch = Vec::new();
    let refused = |error: &dyn std::fmt::Display| Unseated::Refused {
        cause: "bootstrap",
        reason: error.to_string(),
    };
    loop {
        let frame = director.receive().await.map_err(Unseated::DirectorGone)?;
        match frame.text(&mut scratch).map_err(|error| refused(&error))? {
            Some(text) => reader.push(text).map_err(|error| refused(&error))?,
            None => return reader.finish().map_err(|error| refused(&error)),
        }
    }
}

/// Finds the storage that holds what the bootstrap names, and gives it the job.
async fn place(
    facts: &Facts,
    director: &mut Channel,
    live: &Job,
    bootstrap: &Bootstrap,
    asked: &Asked,
) -> Result<Seat, Unseated> {
    let refused = |cause, reason: String| Unseated::Refused { cause, reason };
    let holders = facts.context.ledger.holders(&bootstrap.volumes()).await;
    let holders = holders.map_err(|error| refused("ledger", format!("the volume ledger cannot be read: {error}")))?;
    let plan = segments::plan(bootstrap, &holders).map_err(|error| refused("volume", error.to_string()))?;
    let storage = match plan.as_slice() {
        [] => return Err(refused("volume", "the bootstrap names no volume".to_owned())),
        [one] => one.storage.clone(),
        several => {
            let places: Vec<_> = several.iter().map(|segment| segment.storage.as_str()).collect();
            let reason = format!(
                "the volumes are on several storages ({}); restore from one of them at a time",
                places.join(", ")
            );
            return Err(refused("several_storages", reason));
        }
    };
    let wanted = Wanted::This {
        storage: &storage,
        identity: facts.imposes_identity().then_some(&asked.answer),
    };
    seat::find(facts, director, live, wanted).await
}

impl Facts {
    /// Whether the job writes volumes under the identity that sdgroup gave it.
    fn imposes_identity(&self) -> bool {
        self.command.level == JobLevel::VirtualFull
    }
}

/// Asks the storage what the Director asked us.
struct Replay<'a> {
    facts: &'a Facts,
    live: &'a Job,
    asked: Asked,
    bootstrap: Bootstrap,
}

impl Replay<'_> {
    async fn run(&self, director: &mut Channel, seat: Seat, ending: &mut Ending) -> Result<Left, NameInUse> {
        let Self { facts, live, .. } = self;
        let Seat {
            storage,
            mut link,
            slot,
            answer,
            reason,
            ..
        } = seat;
        let route = write::route(facts, &storage, link.version, &self.asked.answer.key, &answer.key);
        let announced = facts.context.routes.announce(route, slot)?;
        ending.tally = Some(Arc::clone(&announced.route().tally));
        facts.note(director.outbox(), Severity::Info, &format!("Placed on {reason}"));
        let mut traffic = JobTraffic::new(facts, &storage);
        let coupled = match self.replay(director, &mut link.channel, &mut traffic).await {
            Ok(()) => couple(director, &mut link.channel, &mut traffic, live.stop_token()).await,
            Err(ended) => ended,
        };
        let finish = Finish {
            facts,
            live,
            announced,
            storage: link.channel,
            traffic,
            ending,
        };
        Ok(finish.run(director, coupled))
    }

    /// Reservations, then the bootstrap; the storage's answer to the last is the Director's.
    async fn replay(
        &self,
        director: &mut Channel,
        storage: &mut Channel,
        traffic: &mut JobTraffic<'_>,
    ) -> Result<(), Coupled<TrafficError>> {
        // Whatever the storage is asked first, this is what the Director waits for.
        traffic.stage = Stage::Bootstrap;
        for block in &self.asked.blocks {
            for frame in &block.frames {
                pass(frame, storage, traffic).map_err(Coupled::Failed)?;
            }
            let reply = self.reply(director, storage, traffic).await?;
            if !reply.starts_with(b"3000 ") {
                let line = shown(&reply).trim_end().to_owned();
                return Err(Coupled::Failed(TrafficError::Refused {
                    stage: Stage::Reserve,
                    line,
                }));
            }
        }
        storage.outbox().message(b"bootstrap\n");
        for line in traffic
            .translation()
            .bootstrap(self.bootstrap.text())
            .split_inclusive(|&byte| byte == b'\n')
        {
            for piece in line.chunks(MAX_PIECE_BYTES) {
                storage.outbox().message(piece);
            }
        }
        storage.outbox().signal(Signal::Eod);
        self.send(storage).await
    }

    /// Sends what the storage is asked; one that does not read it keeps nobody from stopping the job.
    async fn send(&self, storage: &mut Channel) -> Result<(), Coupled<TrafficError>> {
        tokio::select! {
            sent = storage.flush() => sent.map_err(Coupled::StorageGone),
            () = self.live.stop_token().cancelled() => Err(Coupled::Stopped),
        }
    }

    /// Waits for the storage's reply; whatever else it says or asks meanwhile goes between it and the Director.
    async fn reply(
        &self,
        director: &mut Channel,
        storage: &mut Channel,
        traffic: &mut JobTraffic<'_>,
    ) -> Result<Vec<u8>, Coupled<TrafficError>> {
        self.send(storage).await?;
        traffic.catches_reply = true;
        match couple(director, storage, traffic, self.live.stop_token()).await {
            Coupled::Caught(frame) => {
                let mut scratch = Vec::new();
                let text = frame
                    .text(&mut scratch)
                    .map_err(|error| Coupled::Failed(error.into()))?;
                Ok(text.unwrap_or_default().to_vec())
            }
            other => Err(other),
        }
    }
}

/// Sends one frame of a reservation in the member's words.
fn pass(frame: &Frame, storage: &mut Channel, traffic: &JobTraffic<'_>) -> Result<(), TrafficError> {
    let mut scratch = Vec::new();
    let line = match frame.text(&mut scratch)? {
        Some(text) => traffic.translation().to_storage(Stage::Reserve, text),
        None => None,
    };
    match line {
        Some(line) => storage.outbox().message(line),
        None => storage.outbox().frame(frame),
    }
    Ok(())
}
