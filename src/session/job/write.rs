//! A job that writes: placed when `JobId=` arrives, moved on while no storage has reserved a device for it, and coupled
//! from then until it ends.
//!
//! The Director holds the first storage's answer: a session identity and a key. A storage that the job is moved to
//! takes over the identity, so that what it writes on its volumes agrees with the catalog; so the identity is ours from
//! the start, since two storages that were started in the same second count alike. The key is each storage's own, so
//! that the data connection of a job that was moved is a bridge.

use std::collections::HashSet;

use super::Facts;
use super::ending::Ending;
use super::finish::{Finish, Left};
use super::reserve::{self, Block};
use super::seat::{Bond, Search, Wanted};
use super::stint::Stint;
use super::stopped;
use super::traffic::TrafficError;
use super::unseated::{Awaits, Unseated};
use crate::channel::{Channel, ChannelError};
use crate::group::{Placement, Trial};
use crate::session::couple::Coupled;
use crate::session::error::{Stage, StorageError};
use crate::session::jobs::{Job, Stop};
use crate::telemetry::codes;
use crate::types::{SessionKey, Severity, StorageName};
use crate::wire::line::shown;
use crate::wire::packet::Frame;

/// Runs the job to its end.
pub(super) async fn run(facts: &Facts, director: &mut Channel, live: &Job, ending: &mut Ending) -> Option<Left> {
    let (writing, stint) = match Writing::begin(facts, director, live, ending).await {
        Ok(begun) => begun,
        Err(unseated) => {
            stopped::tell(unseated, facts, director, ending, Awaits::Job).await;
            return None;
        }
    };
    match writing.follow(stint, director, ending).await {
        Ok((stint, coupled)) => {
            let finish = Finish {
                facts,
                live,
                stint,
                ending,
            };
            Some(finish.run(director, coupled))
        }
        Err(unseated) => {
            stopped::tell(unseated, facts, director, ending, Awaits::Device).await;
            None
        }
    }
}

/// A job that looks for a storage with a device and a volume for it.
pub(super) struct Writing<'a> {
    facts: &'a Facts,
    live: &'a Job,
    pub(super) search: Search<'a>,
    /// The key that the Director has for the Client.
    client_key: SessionKey,
    /// Storages that had no free device when they were asked not to wait for one.
    busy: HashSet<StorageName>,
    /// Storages that were passed over once for what they lack. When all lack it, they are not a second time.
    lacking: HashSet<StorageName>,
}

/// What came of looking for a device.
pub(super) enum Reserved<'a> {
    /// The job stays here; this is the storage's reply.
    Stays(Stint<'a>, Frame),
    /// The job is over.
    Ended(Stint<'a>, Coupled<TrafficError>),
}

/// What came of asking one storage for a device.
enum Asked {
    /// The job may stay; this is the reply.
    Stays(Frame),
    /// The job goes on to the next storage: the one that has a place for it already, or whichever is found.
    Turned(StorageError, Trial, Option<Placement>),
    /// The job is over.
    Ended(Coupled<TrafficError>),
}

impl<'a> Writing<'a> {
    pub(super) fn new(facts: &'a Facts, live: &'a Job, search: Search<'a>, client_key: SessionKey) -> Self {
        Self {
            facts,
            live,
            search,
            client_key,
            busy: HashSet::new(),
            lacking: HashSet::new(),
        }
    }

    /// Places the job and answers `JobId=`.
    async fn begin(
        facts: &'a Facts,
        director: &mut Channel,
        live: &'a Job,
        ending: &mut Ending,
    ) -> Result<(Self, Stint<'a>), Unseated> {
        let mut search = Search::new(facts, live, Wanted::Any)?;
        // A job that is run again has its identity already. All others have ours, also where there is nowhere to move
        // to: jobs on one volume must have the same session time (see `session::identity`).
        if !facts.command.rerunning {
            search.impose(facts.context.mint_session());
        }
        let seat = search.next(director).await?;
        let (client_key, answer) = (seat.answer.key.clone(), seat.frame.clone());
        let stint = Stint::begin(facts, seat, &client_key, director, ending)?;
        director.outbox().frame(&answer);
        Ok((Self::new(facts, live, search, client_key), stint))
    }

    /// Follows the job to its end, wherever it goes.
    async fn follow(
        mut self,
        mut stint: Stint<'a>,
        director: &mut Channel,
        ending: &mut Ending,
    ) -> Result<(Stint<'a>, Coupled<TrafficError>), Unseated> {
        stint.traffic.catches_block = true;
        let (first, lost) = match stint.couple(director, self.live, None).await {
            Coupled::Caught(first) => (first, None),
            // The Director does not wait for an answer now, so what it says next is waited for.
            Coupled::StorageGone(source) => match self.next_word(director).await? {
                Some(first) => (first, Some(source)),
                None => return Ok((stint, Coupled::StorageGone(source))),
            },
            ended => return Ok((stint, ended)),
        };
        let block = reserve::read(director, first).await?;
        let (mut stint, reply) = match self.reserve(stint, lost, &block, director, ending).await? {
            Reserved::Stays(stint, reply) => (stint, reply),
            Reserved::Ended(stint, Coupled::Stopped) if self.live.stopped() == Some(Stop::Stopped) => {
                self.facts.context.sessions.spawn(stint.leave(self.facts, true).part());
                return Err(Unseated::stopped(self.live));
            }
            Reserved::Ended(stint, ended) => return Ok((stint, ended)),
        };
        if let Err(error) = stint.traffic.reserved(Some(&reply), director.outbox()) {
            return Ok((stint, Coupled::Failed(error)));
        }
        self.live.settle();
        let ended = stint.couple(director, self.live, None).await;
        Ok((stint, ended))
    }

    /// The Director's `use storage`, which the storage did not live to hear; `None` if the job cannot go on.
    async fn next_word(&self, director: &mut Channel) -> Result<Option<Frame>, Unseated> {
        if !self.search.is_free() {
            return Ok(None);
        }
        let frame = tokio::select! {
            received = director.receive() => received.map_err(Unseated::DirectorGone)?,
            () = self.live.stop_token().cancelled() => return Err(Unseated::stopped(self.live)),
        };
        let mut scratch = Vec::new();
        let text = frame.text(&mut scratch).ok().flatten().unwrap_or_default();
        Ok(text.starts_with(b"use storage=").then_some(frame))
    }

    /// Finds a device for the job: at this storage, if it has not been `lost` meanwhile, or at the first of the others
    /// that has one.
    pub(super) async fn reserve(
        &mut self,
        mut stint: Stint<'a>,
        lost: Option<ChannelError>,
        block: &Block,
        director: &mut Channel,
        ending: &mut Ending,
    ) -> Result<Reserved<'a>, Unseated> {
        self.search.waits = block.wait != Some(false);
        let mut turned = lost.map(|source| {
            let stage = Stage::Between;
            Asked::Turned(StorageError::Lost { stage, source }, Trial::Failed, None)
        });
        if let Some(member) = block.addressed(&self.facts.group.members) {
            self.search.bind(member.clone(), Bond::Device);
            if stint.storage().name != *member {
                let text = format!(
                    "Storage {member} is meant: the Director names it by the device {}",
                    block.device
                );
                self.facts
                    .note(director.outbox(), codes::DEVICE_ADDRESSED, Severity::Info, &text);
                stint = self.go_on(stint, None, false, director, ending).await?;
                turned = None;
            }
        }
        loop {
            let asked = match turned.take() {
                Some(turned) => turned,
                None => self.ask(&mut stint, block, director).await,
            };
            match asked {
                Asked::Stays(reply) => return Ok(Reserved::Stays(stint, reply)),
                Asked::Ended(ended) => return Ok(Reserved::Ended(stint, ended)),
                Asked::Turned(error, trial, next) => {
                    let name = &stint.storage().name;
                    self.search.fail_over(director, name, trial, &error);
                    stint.traffic.lower_held(self.facts, director.outbox());
                    // One that is busy goes on looking for a device unless it is told.
                    let cancels = matches!(error, StorageError::Busy { .. });
                    stint = self.go_on(stint, next, cancels, director, ending).await?;
                }
            }
        }
    }

    /// Takes the job from this storage to the next.
    async fn go_on(
        &mut self,
        stint: Stint<'a>,
        next: Option<Placement>,
        cancels: bool,
        director: &mut Channel,
        ending: &mut Ending,
    ) -> Result<Stint<'a>, Unseated> {
        // Its group and its Director may have no other place.
        stint.announced.slot().inspect(|slot| slot.leave());
        let left = stint.leave(self.facts, cancels);
        self.facts.context.sessions.spawn(left.part());
        let seat = match next {
            Some(placement) => self.search.seat(director, placement).await?,
            None => self.search.next(director).await?,
        };
        Ok(Stint::begin(self.facts, seat, &self.client_key, director, ending)?)
    }

    /// Has one storage reserve a device.
    async fn ask(&mut self, stint: &mut Stint<'a>, block: &Block, director: &mut Channel) -> Asked {
        let free = self.search.is_free();
        let name = stint.storage().name.clone();
        // A storage that waits for a device would keep the job from those that have one free.
        let quick = free && block.wait == Some(true) && !self.busy.contains(&name);
        let silence = free.then_some(self.facts.group.reserve_timeout);
        let wait = quick.then_some(false);
        if let Err(error) = stint.traffic.ask_for_device(block, wait, free, stint.channel.outbox()) {
            return Asked::Ended(Coupled::Failed(error));
        }
        let lost = |source| {
            let stage = Stage::Reserve;
            Asked::Turned(StorageError::Lost { stage, source }, Trial::Failed, None)
        };
        match stint.couple(director, self.live, silence).await {
            Coupled::Caught(reply) => self.judge(stint, block, reply, quick),
            Coupled::Silent(within) => Asked::Turned(StorageError::Busy { within }, Trial::Busy, None),
            Coupled::Over if free => lost(ChannelError::Closed),
            Coupled::StorageGone(source) if free => lost(source),
            Coupled::Over => Asked::Ended(Coupled::StorageGone(ChannelError::Closed)),
            ended => Asked::Ended(ended),
        }
    }

    /// What a reply to `use storage` means.
    fn judge(&mut self, stint: &mut Stint<'a>, block: &Block, reply: Frame, quick: bool) -> Asked {
        let mut scratch = Vec::new();
        let line = match reply.text(&mut scratch) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => return Asked::Ended(Coupled::Failed(error.into())),
        };
        if !self.search.is_free() {
            return Asked::Stays(reply);
        }
        let name = stint.storage().name.clone();
        if line.starts_with(b"3000 ") {
            if let Some(lack) = stint.traffic.lack().map(StorageError::Lacks)
                && self.lacking.insert(name.clone())
                && let Some(next) = self.search.another(&name, &lack.to_string(), stint.announced.slot())
            {
                return Asked::Turned(lack, Trial::Busy, Some(next));
            }
            return Asked::Stays(reply);
        }
        let error = StorageError::Refused {
            stage: Stage::Reserve,
            line: shown(line).trim_end().to_owned(),
        };
        // Asked not to wait, a storage says of a busy device what it says of one that it does not have.
        if quick {
            self.busy.insert(name);
        }
        let trial = if quick || block.wait == Some(false) {
            Trial::Busy
        } else {
            Trial::Unfit
        };
        Asked::Turned(error, trial, None)
    }
}
