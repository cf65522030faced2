//! `use storage` and its devices, as far as sdgroup has to understand them when it answers in the storage's place.

use super::translate::Translation;
use crate::channel::{Channel, ChannelError};
use crate::session::device::Address;
use crate::session::error::Stage;
use crate::types::{DeviceName, MediaType, PoolName, StorageName};
use crate::wire::line::{self, LineError};
use crate::wire::packet::{Frame, Outbox, PacketError, Signal};
use crate::wire::reserve::{UseDevice, UseStorage};

/// The most frames of one block: a Director sends one per storage of its list and one per device of each.
const MAX_FRAMES: usize = 1000;

/// One `use storage` block: everything from the first line to the EOD behind the last storage's EOD.
#[derive(Debug)]
pub(super) struct Block {
    frames: Vec<Frame>,
    /// The last device that it names, in the Director's words.
    pub(super) device: DeviceName,
    /// All of them.
    devices: Vec<DeviceName>,
    /// The MediaType and the Pool that it writes to, if it writes.
    pub(super) written: Option<(MediaType, PoolName)>,
    /// Whether the storage is to wait for a busy device. 9.6 does not say.
    pub(super) wait: Option<bool>,
}

impl Block {
    /// The member that all its devices address, if they do.
    pub(super) fn addressed<'a>(&self, members: &'a [StorageName]) -> Option<&'a StorageName> {
        let mut named = self.devices.iter().map(|device| Address::read(members, device).member);
        let first = named.next()??;
        named.all(|member| member == Some(first)).then_some(first)
    }

    /// Asks a storage for what the block says, in its own words, and with another wish about waiting if one is given.
    pub(super) fn send(
        &self,
        storage: &mut Outbox,
        translation: &Translation,
        wait: Option<bool>,
    ) -> Result<(), PacketError> {
        let mut scratch = Vec::new();
        for frame in &self.frames {
            let Some(text) = frame.text(&mut scratch)? else {
                storage.frame(frame);
                continue;
            };
            let translated = translation.to_storage(Stage::Reserve, text);
            let line = translated.as_deref().unwrap_or(text);
            let waits = wait.and_then(|wait| line::with_field(line, "wait", if wait { b"1" } else { b"0" }));
            match (waits, &translated) {
                (Some(line), _) => storage.message(line),
                (None, Some(line)) => storage.message(line),
                (None, None) => storage.frame(frame),
            }
        }
        Ok(())
    }
}

/// Why a block could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlockError {
    /// The connection ended, or what came was not a packet.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The Director asked for more devices than anybody has.
    #[error("the Director named more than {MAX_FRAMES} storages and devices")]
    TooLong,
    /// A line did not read as one.
    #[error(transparent)]
    Line(#[from] LineError),
    /// It named no device at all.
    #[error("the Director named no device")]
    NoDevice,
    /// Something else came in between.
    #[error("the Director sent something else among its devices")]
    Foreign,
}

/// Reads the rest of the block that `first` begins.
pub(super) async fn read(director: &mut Channel, first: Frame) -> Result<Block, BlockError> {
    let mut scratch = Vec::new();
    let text = first.text(&mut scratch).map_err(ChannelError::from)?;
    let used = UseStorage::parse(text.unwrap_or_default())?;
    let wait = used.wait;
    let written = used.append.then_some((used.media_type, used.pool));
    let mut frames = vec![first];
    let mut devices = Vec::new();
    let mut closed_storage = false;
    loop {
        let frame = director.receive().await?;
        match frame.signal() {
            Some(Signal::Eod) => {
                frames.push(frame);
                if closed_storage {
                    let device = devices.last().cloned().ok_or(BlockError::NoDevice)?;
                    return Ok(Block {
                        frames,
                        device,
                        devices,
                        written,
                        wait,
                    });
                }
                closed_storage = true;
            }
            Some(_) => return Err(BlockError::Foreign),
            None => {
                let text = frame
                    .text(&mut scratch)
                    .map_err(ChannelError::from)?
                    .unwrap_or_default();
                if text.starts_with(b"use device=") {
                    devices.push(UseDevice::parse(text)?.device);
                } else if !text.starts_with(b"use storage=") {
                    return Err(BlockError::Foreign);
                }
                closed_storage = false;
                frames.push(frame);
            }
        }
        if frames.len() > MAX_FRAMES {
            return Err(BlockError::TooLong);
        }
    }
}
