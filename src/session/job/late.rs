//! A job that cannot be placed when it is announced: sdgroup answers in the storage's place, and keeps what the
//! Director asks for, until it says the word that decides.

use super::Facts;
use super::reserve::{self, Block};
use super::unseated::{Awaits, Unseated};
use crate::channel::{Channel, ChannelError};
use crate::session::dice;
use crate::session::jobs::Job;
use crate::types::{DeviceName, Release, SessionIdentity, SessionKey};
use crate::wire::job::JobAnswer;
use crate::wire::line::shown;
use crate::wire::packet::Frame;
use crate::wire::reserve::{DeviceAnswer, DeviceFeatures};

/// What the key of a job is that dials its data connection itself: nobody proves it (Bacula `src/stored/job.c`).
const NO_KEY: &str = "xx";

/// What the Director has been answered, and what it has asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) identity: SessionIdentity,
    /// The key that the Director has for the Client.
    pub(super) key: SessionKey,
    pub(super) blocks: Vec<Block>,
    /// What the Director waits for.
    pub(super) awaits: Awaits,
}

impl Asked {
    /// Answers `JobId=`.
    pub(super) fn begin(facts: &Facts, director: &mut Channel) -> Self {
        let asked = Self::new(facts);
        let answer = JobAnswer {
            sd_id: asked.identity.id,
            sd_time: asked.identity.time,
            key: asked.key.clone(),
        };
        director.outbox().message(answer.to_line());
        asked
    }

    /// Nothing has been answered yet.
    pub(super) fn new(facts: &Facts) -> Self {
        let identity = facts.context.mint_session();
        let key = if facts.command.sd_client {
            SessionKey::new(NO_KEY.to_owned())
        } else {
            SessionKey::mint(dice::key_random())
        };
        Self {
            identity,
            key,
            blocks: Vec::new(),
            awaits: Awaits::Device,
        }
    }

    /// Answers until the Director says what `decides`, and returns that.
    pub(super) async fn listen(
        &mut self,
        facts: &Facts,
        director: &mut Channel,
        decides: &[u8],
    ) -> Result<Frame, Unseated> {
        let mut scratch = Vec::new();
        loop {
            director.flush().await.map_err(Unseated::DirectorGone)?;
            let frame = director.receive().await.map_err(Unseated::DirectorGone)?;
            let text = frame
                .text(&mut scratch)
                .map_err(ChannelError::from)
                .map_err(Unseated::DirectorGone)?;
            match text {
                Some(text) if text.starts_with(decides) => return Ok(frame),
                Some(text) if text.starts_with(b"use storage=") => {
                    let block = reserve::read(director, frame.clone()).await.map_err(Unseated::from)?;
                    director.outbox().message(device_answer(facts, &block.device).to_line());
                    self.blocks.push(block);
                }
                Some(text) if text.starts_with(b"sendprogress") => {}
                Some(text) => {
                    let (expected, found) = (shown(decides), shown(text));
                    return Err(Unseated::Refused {
                        cause: "protocol",
                        reason: format!("this job says {expected:?} first, and it said {:?}", found.trim_end()),
                    });
                }
                None => return Err(Unseated::DirectorGone(ChannelError::Closed)),
            }
        }
    }
}

/// Gives up when the job is asked to end.
pub(super) async fn unless_stopped<T>(
    live: &Job,
    heard: impl Future<Output = Result<T, Unseated>>,
) -> Result<T, Unseated> {
    tokio::select! {
        heard = heard => heard,
        () = live.stop_token().cancelled() => Err(Unseated::stopped(live)),
    }
}

/// The answer to a reservation that has not been made yet. The Director prints the device's name, no more; that a
/// device of 15.0 protects its volumes is told in a job's report, and not of this one.
pub(super) fn device_answer(facts: &Facts, device: &DeviceName) -> DeviceAnswer {
    DeviceAnswer {
        device: device.clone(),
        features: (facts.release == Release::V15).then_some(DeviceFeatures {
            protect: false,
            encrypt: false,
        }),
        more: Vec::new(),
    }
}
