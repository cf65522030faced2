//! Volumes: blocks in memory, each at its address.

use crate::harness::bytes_of_jobs::Record;

/// Bytes of a label.
pub(super) const LABEL_BYTES: u64 = 217;
/// What a record costs beside its bytes.
const HEADER_BYTES: u64 = 24;

/// A record where it lies.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) address: u64,
    /// Over all volumes of a storage, in the order of writing.
    pub(super) sequence: u64,
    pub(super) sd_id: u32,
    pub(super) sd_time: u32,
    pub(super) record: Record,
}

/// A volume, labelled.
#[derive(Debug, Clone, Default)]
pub(super) struct Volume {
    blocks: Vec<Block>,
    bytes: u64,
    pub(super) figures: Figures,
}

/// What a storage counts of a volume.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) jobs: u64,
    pub(super) mounts: u64,
    pub(super) writes: u64,
    pub(super) media_id: u64,
    /// It has reached its device's limit.
    pub(super) full: bool,
}

impl Volume {
    /// A fresh label.
    pub(super) fn labelled(figures: Figures) -> Self {
        Self {
            blocks: Vec::new(),
            bytes: LABEL_BYTES,
            figures,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter()
    }

    pub(super) fn block_count(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// Adds a record; returns the first and the last address of it.
    pub(super) fn append(&mut self, sequence: u64, sd_id: u32, sd_time: u32, record: Record) -> (u64, u64) {
        let address = self.bytes;
        self.bytes += HEADER_BYTES + record.bytes.len() as u64;
        self.figures.writes += 1;
        self.blocks.push(Block {
            address,
            sequence,
            sd_id,
            sd_time,
            record,
        });
        (address, self.bytes - 1)
    }
}
