//! `use storage` and its devices, as far as sdgroup has to understand them when it answers in the storage's place.

use crate::channel::{Channel, ChannelError};
use crate::types::DeviceName;
use crate::wire::line::LineError;
use crate::wire::packet::{Frame, Signal};
use crate::wire::reserve::UseDevice;

/// The most frames of one block: a Director sends one per storage of its list and one per device of each.
const MAX_FRAMES: usize = 1000;

/// One `use storage` block: everything from the first line to the EOD behind the last storage's EOD.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) frames: Vec<Frame>,
    /// The last device that it names, in the Director's words.
    pub(super) device: DeviceName,
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
    let mut frames = vec![first];
    let mut device = None;
    let mut scratch = Vec::new();
    let mut closed_storage = false;
    loop {
        let frame = director.receive().await?;
        match frame.signal() {
            Some(Signal::Eod) => {
                frames.push(frame);
                if closed_storage {
                    let device = device.ok_or(BlockError::NoDevice)?;
                    return Ok(Block { frames, device });
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
                    device = Some(UseDevice::parse(text)?.device);
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
