//! One command and one storage's reply to it. What the storage says is the Director's, and so is what it asks the
//! catalog meanwhile: a `label` or an `upload` sends `UpdateMedia` on the console's connection.

use std::time::Duration;

use super::merge::Merge;
use crate::channel::{Channel, ChannelError};
use crate::net::deadline;
use crate::session::commands::End;
use crate::session::director::Caller;
use crate::session::error::{Stage, StorageError};
use crate::session::learned;
use crate::session::storage::{StorageLink, within};
use crate::store::StoreError;
use crate::telemetry::event::VolumeForgotten;
use crate::types::{MediaType, PoolName, StorageName, VolumeName};
use crate::volumes::Sighting;
use crate::wire::catalog::{self, CatalogRequest};
use crate::wire::command::Command;
use crate::wire::packet::{Frame, Signal};
use crate::wire::progress::Kind;

/// How long a storage that has replied is told that this was all.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a storage's reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replied {
    /// In order.
    Whole {
        /// It has labelled what the command names.
        labelled: bool,
    },
    /// The storage parted behind it.
    Parted,
}

/// Why there is no whole reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The Director is not there any more.
    #[error("the Director is gone")]
    Gone,
    /// The storage did not do what it was asked.
    #[error(transparent)]
    Storage(StorageError),
    /// What the storage has done could not be made durable, so the Director is not told.
    #[error(
        "the volume ledger cannot be written ({error}); the storage has labelled {volume}, so tell sdgroup where it is \
         when the ledger can be written again: sdgroup volumes assign {volume} {storage}"
    )]
    Ledger {
        volume: VolumeName,
        storage: StorageName,
        error: StoreError,
    },
}

/// What a `label` or `relabel` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    volume: VolumeName,
    old: Option<VolumeName>,
    media_type: MediaType,
    pool: PoolName,
}

impl Label {
    pub(super) fn of(command: &Command<'_>) -> Option<Self> {
        let (volume, old, media_type, pool) = match command {
            Command::Label {
                volume,
                media_type,
                pool,
                ..
            } => (volume, None, media_type, pool),
            Command::Relabel {
                old,
                new,
                media_type,
                pool,
                ..
            } => (new, Some(old).filter(|old| *old != new), media_type, pool),
            _ => return None,
        };
        Some(Self {
            volume: volume.clone(),
            old: old.cloned(),
            media_type: media_type.clone(),
            pool: pool.clone(),
        })
    }
}

/// What is at hand while a storage replies.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) caller: &'a Caller,
    pub(super) storage: &'a StorageName,
    pub(super) ends: End,
    pub(super) label: Option<Label>,
    /// Where a packet waits that the Director sends before it has its reply.
    pub(super) early: &'a mut Option<Frame>,
    pub(super) merge: &'a mut Merge,
}

enum Event {
    Director(Frame),
    Storage(Frame),
}

impl Exchange<'_> {
    /// Gives the storage `command` and passes its reply on; both together have `time`.
    pub(super) async fn run(
        mut self,
        director: &mut Channel,
        mut link: StorageLink,
        command: &[u8],
        time: Duration,
    ) -> Result<Replied, Broken> {
        link.channel.outbox().message(command);
        let passed = self.pass(director, &mut link.channel);
        let stage = Stage::Command;
        let replied = match within(stage, time, async { Ok(passed.await) }).await {
            Ok(replied) => replied,
            Err(silent) => Err(Broken::Storage(silent)),
        };
        // The storage is told that this was all; whether it hears it does not matter.
        link.channel.outbox().signal(Signal::Terminate);
        let _ = deadline::within(FAREWELL, link.channel.flush()).await;
        replied
    }

    async fn pass(&mut self, director: &mut Channel, storage: &mut Channel) -> Result<Replied, Broken> {
        let mut asks = false;
        let mut labelled = false;
        loop {
            director.flush().await.map_err(|_| Broken::Gone)?;
            storage.flush().await.map_err(lost)?;
            let event = tokio::select! {
                frame = storage.receive() => Event::Storage(frame.map_err(lost)?),
                frame = director.receive(), if self.early.is_none() => Event::Director(frame.map_err(|_| Broken::Gone)?),
            };
            let frame = match event {
                Event::Storage(frame) => frame,
                Event::Director(frame) if asks && frame.signal().is_none() => {
                    storage.outbox().frame(&frame);
                    asks = false;
                    continue;
                }
                Event::Director(frame) => {
                    *self.early = Some(frame);
                    continue;
                }
            };
            match frame.signal() {
                // A storage that works shows that it lives; a Director would take it for the end.
                Some(Signal::Heartbeat | Signal::HeartbeatResponse) => continue,
                Some(Signal::Terminate) => return Ok(Replied::Parted),
                Some(_) => return Ok(Replied::Whole { labelled }),
                None => {}
            }
            let damaged = |error| lost(ChannelError::Packet(error));
            let mut scratch = Vec::new();
            let text = frame.text(&mut scratch).map_err(damaged)?.unwrap_or_default();
            let kind = Kind::of_text(text);
            asks = asks || kind == Kind::CatReq;
            labelled |= self.learn(kind, text).await?;
            if kind == Kind::CatReq {
                director.outbox().frame(&frame);
                continue;
            }
            self.merge.message(self.storage, &frame, text, director.outbox());
            let is_reply = !matches!(kind, Kind::Jmsg | Kind::Events);
            if self.ends == End::Message && is_reply {
                return Ok(Replied::Whole { labelled });
            }
        }
    }

    /// Has the ledger know what the storage shows of a volume, before the Director does. Whether the command's own
    /// volume has got its label.
    async fn learn(&self, kind: Kind, text: &[u8]) -> Result<bool, Broken> {
        match (kind, &self.label) {
            (Kind::CatReq, label) => {
                let Ok(CatalogRequest::UpdateMedia(update)) = catalog::parse(text) else {
                    return Ok(false);
                };
                if update.is_evidence() {
                    let label = label.as_ref().filter(|label| label.volume == update.volume);
                    let fresh = update.is_fresh_label();
                    self.note(&update.volume, label, fresh, false).await?;
                }
                Ok(false)
            }
            (Kind::Reply(3000), Some(label)) if text.starts_with(b"3000 OK label") => {
                self.note(&label.volume, Some(label), true, true).await?;
                if let Some(old) = &label.old {
                    self.forget(old).await?;
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn note(
        &self,
        volume: &VolumeName,
        label: Option<&Label>,
        fresh_label: bool,
        by_label: bool,
    ) -> Result<(), Broken> {
        let sighting = Sighting {
            volume: volume.clone(),
            storage: self.storage.clone(),
            fresh_label,
            media_type: label.map(|label| label.media_type.clone()),
            pool: label.map(|label| label.pool.clone()),
            job: None,
        };
        let learned = self.caller.context.ledger.learn(sighting).await;
        let learned = learned.map_err(|error| self.unwritten(volume, error))?;
        learned::tell(&learned, volume, self.storage, None, by_label);
        Ok(())
    }

    /// The volume has another name now.
    async fn forget(&self, volume: &VolumeName) -> Result<(), Broken> {
        let ledger = &self.caller.context.ledger;
        let unwritten = |error| self.unwritten(volume, error);
        // Another storage's of that name is another volume.
        if ledger.holder(volume).await.map_err(unwritten)?.as_ref() == Some(self.storage) {
            ledger.forget(volume).await.map_err(unwritten)?;
            let storage = self.storage;
            VolumeForgotten { volume, storage }.emit();
        }
        Ok(())
    }

    fn unwritten(&self, volume: &VolumeName, error: StoreError) -> Broken {
        Broken::Ledger {
            volume: volume.clone(),
            storage: self.storage.clone(),
            error,
        }
    }
}

fn lost(source: ChannelError) -> Broken {
    let stage = Stage::Command;
    Broken::Storage(StorageError::Lost { stage, source })
}
