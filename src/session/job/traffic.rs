//! Reads along on a job's control connection once a storage has the job.

use std::sync::Arc;

use super::Facts;
use super::catalog::{CatalogDialogue, Reply};
use super::reserve::Block;
use super::translate::Translation;
use crate::config::model;
use crate::session::couple::{Flow, Legs, Traffic};
use crate::session::data::called::{self, CallError};
use crate::session::error::Stage;
use crate::session::routes::Route;
use crate::store::StoreError;
use crate::volumes::{JudgeError, Lack, Request};
use crate::wire::line::shown;
use crate::wire::packet::{Frame, Outbox, PacketError, Signal};
use crate::wire::progress::{self, JobEnd, Kind};
use crate::wire::reserve::UseStorage;

/// How many lines for the job's messages are kept; a storage that looks for a device says a handful.
const MAX_HELD: usize = 100;

/// Why reading along failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrafficError {
    /// What came is not a packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The storage refused what it was asked in the Director's place.
    #[error("refused ({}): {line}", .stage.as_str())]
    Refused {
        /// What it refused.
        stage: Stage,
        /// In its words.
        line: String,
    },
    /// The Client, which the storage was to call, could not be called.
    #[error(transparent)]
    Client(#[from] CallError),
    /// A volume's place could not be made durable.
    #[error("the volume ledger cannot be written: {0}")]
    Store(#[from] StoreError),
    /// The Director's word about a volume could not be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

impl TrafficError {
    /// Whether the storage's reply to what it was asked in the Director's place is a refusal.
    pub(super) fn unless_ok(reply: &Frame, stage: Stage) -> Result<(), Self> {
        let mut scratch = Vec::new();
        let text = reply.text(&mut scratch)?.unwrap_or_default();
        if text.starts_with(b"3000 ") {
            return Ok(());
        }
        let line = shown(text).trim_end().to_owned();
        Err(Self::Refused { stage, line })
    }

    /// One of a fixed set of words, for metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Packet(_) => "packet",
            Self::Refused { .. } => "refused",
            Self::Client(_) => "client_unreached",
            Self::Store(_) | Self::Judge(_) => "ledger",
        }
    }
}

/// A job's messages, with the little that has to be known of their state.
#[derive(Debug)]
pub(super) struct JobTraffic<'a> {
    facts: &'a Facts,
    route: Arc<Route>,
    translation: Translation,
    catalog: CatalogDialogue<'a>,
    scratch: Vec<u8>,
    /// The next `use storage` of the Director is the caller's, not the storage's.
    pub(super) catches_block: bool,
    /// Lines for the job's messages are kept until it is known whether the job stays here.
    holds: bool,
    held: Vec<Frame>,
    /// The next reply of the storage is the caller's, not the Director's.
    pub(super) catches_reply: bool,
    /// What the Director waits for from the storage.
    pub(super) stage: Stage,
    /// The storage has reported the job's end.
    pub(super) end: Option<JobEnd>,
}

impl<'a> JobTraffic<'a> {
    pub(super) fn new(facts: &'a Facts, storage: &model::Storage, route: Arc<Route>) -> Self {
        Self {
            facts,
            route,
            translation: Translation::new(&facts.group, storage),
            catalog: CatalogDialogue::new(facts, storage.name.clone()),
            scratch: Vec::new(),
            catches_block: false,
            holds: false,
            held: Vec::new(),
            catches_reply: false,
            stage: Stage::Between,
            end: None,
        }
    }

    pub(super) fn translation(&self) -> &Translation {
        &self.translation
    }

    /// Asks the storage for a device; its reply is the caller's. `movable` is a job that may leave for another storage
    /// when it does not like the reply.
    pub(super) fn ask_for_device(
        &mut self,
        block: &Block,
        wait: Option<bool>,
        movable: bool,
        storage: &mut Outbox,
    ) -> Result<(), TrafficError> {
        self.catches_block = false;
        self.stage = Stage::Reserve;
        self.catches_reply = true;
        self.holds = movable;
        self.catalog.set_can_leave(movable);
        if let Some((media_type, pool)) = &block.written {
            self.catalog.note_names(media_type.clone(), pool.clone());
        }
        Ok(block.send(storage, &self.translation, wait)?)
    }

    /// What the storage lacks after its last search for a volume, if another storage may have it.
    pub(super) fn lack(&self) -> Option<Lack> {
        self.catalog.lack()
    }

    /// The storage has reserved a device and keeps the job: passes on what it said before, and its reply if that is for
    /// the Director.
    pub(super) fn reserved(&mut self, reply: Option<&Frame>, to_director: &mut Outbox) -> Result<(), TrafficError> {
        self.holds = false;
        self.catalog.set_can_leave(false);
        for frame in self.held.drain(..) {
            to_director.frame(&frame);
        }
        match reply {
            Some(reply) => self.on_reply(reply, to_director),
            None => Ok(()),
        }
    }

    /// The storage does not keep the job: what it said is passed on as what it is now, a warning.
    pub(super) fn lower_held(&mut self, facts: &Facts, to_director: &mut Outbox) {
        self.holds = false;
        for frame in self.held.drain(..) {
            let text = frame.text(&mut self.scratch).ok().flatten().unwrap_or_default();
            match progress::as_warning(text, facts.release) {
                Some(line) => to_director.message(line),
                None => to_director.frame(&frame),
            }
        }
    }
}

impl Traffic for JobTraffic<'_> {
    type Error = TrafficError;

    async fn on_director(&mut self, frame: Frame, legs: Legs<'_>) -> Result<Flow, TrafficError> {
        let Some(text) = frame.text(&mut self.scratch)? else {
            // The storage would end the connection at any signal that does not belong to a list it reads.
            match frame.signal() {
                Some(Signal::Terminate) => {
                    legs.to_storage.frame(&frame);
                    return Ok(Flow::Over);
                }
                Some(Signal::Eod) if matches!(self.stage, Stage::Reserve | Stage::Bootstrap) => {
                    legs.to_storage.frame(&frame);
                }
                _ => {}
            }
            return Ok(Flow::On);
        };
        if self.catalog.awaits_answer() {
            let reply = self.catalog.on_answer(text, legs.to_director).await?;
            match reply {
                Reply::PassOn => legs.to_storage.frame(&frame),
                Reply::AskAgain(line) => legs.to_director.message(line),
                Reply::Instead(line) => legs.to_storage.message(line),
            }
            return Ok(Flow::On);
        }
        if text.starts_with(b"use storage=") && self.catches_block {
            return Ok(Flow::Caught(frame));
        }
        if text.starts_with(b"client address=") {
            self.stage = Stage::Client;
            called::call(&self.facts.context, &self.route, text).await?;
            self.stage = Stage::Between;
            legs.to_director.message(called::OK);
            return Ok(Flow::On);
        }
        if text.starts_with(b"use storage=") {
            self.stage = Stage::Reserve;
            if let Ok(UseStorage {
                media_type,
                pool,
                append: true,
                ..
            }) = UseStorage::parse(text)
            {
                self.catalog.note_names(media_type, pool);
            }
        } else if text.starts_with(b"bootstrap") {
            self.stage = Stage::Bootstrap;
        } else if text.starts_with(b"run") {
            self.stage = Stage::Running;
        }
        match self.translation.to_storage(self.stage, text) {
            Some(line) => legs.to_storage.message(line),
            None => legs.to_storage.frame(&frame),
        }
        Ok(Flow::On)
    }

    async fn on_storage(&mut self, frame: Frame, legs: Legs<'_>) -> Result<Flow, TrafficError> {
        let Some(kind) = Kind::of(&frame)? else {
            // Heartbeats, and the end, which is the caller's where the reply is.
            let over = frame.signal() == Some(Signal::Terminate);
            if !(over && self.catches_reply) {
                legs.to_director.frame(&frame);
            }
            return Ok(if over { Flow::Over } else { Flow::On });
        };
        match kind {
            Kind::CatReq => {
                let text = frame.text(&mut self.scratch)?.unwrap_or_default();
                match self.catalog.on_request(text).await? {
                    Request::Ask(line) => legs.to_director.message(line),
                    Request::Answer(line) => legs.to_storage.message(line),
                }
            }
            Kind::End => {
                self.end = JobEnd::parse(frame.text(&mut self.scratch)?.unwrap_or_default()).ok();
                legs.to_director.frame(&frame);
            }
            Kind::Reply(_) if self.catches_reply => {
                self.catches_reply = false;
                return Ok(Flow::Caught(frame));
            }
            Kind::Reply(_) if self.stage != Stage::Running => self.on_reply(&frame, legs.to_director)?,
            Kind::Jmsg if self.holds && self.held.len() < MAX_HELD => self.held.push(frame),
            _ => legs.to_director.frame(&frame),
        }
        Ok(Flow::On)
    }
}

impl JobTraffic<'_> {
    /// A reply to a command; there are none once the job runs.
    fn on_reply(&mut self, frame: &Frame, to_director: &mut Outbox) -> Result<(), TrafficError> {
        self.stage = Stage::Between;
        let text = frame.text(&mut self.scratch)?.unwrap_or_default();
        match self.translation.to_director(text) {
            Some(line) => to_director.message(line),
            None => to_director.frame(frame),
        }
        Ok(())
    }
}
