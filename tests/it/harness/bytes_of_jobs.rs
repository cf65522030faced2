//! The files of simulated Clients: made from a seed, so that a restore can be compared with what was backed up.

use bytes::Bytes;
use md5::{Digest as _, Md5};

/// One record of a stream, as a Client sends it and a storage gives it back.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) file_index: u32,
    pub(crate) stream: u32,
    pub(crate) bytes: Bytes,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}: {} bytes", self.file_index, self.stream, self.bytes.len())
    }
}

/// The stream of a file's attributes.
pub(crate) const ATTRIBUTES: u32 = 1;
/// The stream of its data.
pub(crate) const DATA: u32 = 2;
/// The stream of its digest.
pub(crate) const DIGEST: u32 = 3;

/// How much a job has to back up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) files: u32,
    /// Of each file.
    pub(crate) bytes: usize,
    /// Data records are as large as this, but for the last of each file.
    pub(crate) record: usize,
}

impl Amount {
    /// A few files, quickly done.
    pub(crate) const SMALL: Self = Self {
        files: 3,
        bytes: 5_000,
        record: 2_000,
    };
}

/// The files of a job. The same seed gives the same files.
pub(crate) fn files(seed: u64, amount: Amount) -> Vec<Record> {
    let mut bits = Bits(seed);
    let mut records = Vec::new();
    for file_index in 1..=amount.files {
        let content = bits.bytes(amount.bytes);
        let attributes = format!(
            "{file_index} {ATTRIBUTES} /data/{seed}/{file_index}\0P4A A IGk B A A A {}\0\0\0",
            content.len()
        );
        let mut add = |stream, bytes| {
            records.push(Record {
                file_index,
                stream,
                bytes,
            });
        };
        add(ATTRIBUTES, attributes.into_bytes().into());
        for part in content.chunks(amount.record) {
            add(DATA, Bytes::copy_from_slice(part));
        }
        add(DIGEST, Bytes::copy_from_slice(&Md5::digest(&content)));
    }
    records
}

/// Bytes of all records.
pub(crate) fn total(records: &[Record]) -> u64 {
    records.iter().map(|record| record.bytes.len() as u64).sum()
}

/// The files among records.
pub(crate) fn count(records: &[Record]) -> u64 {
    records.last().map_or(0, |record| u64::from(record.file_index))
}

/// Reproducible bits (SplitMix64).
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Half of them compress well, half of them do not.
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count / 2 {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        let word = self.next().to_le_bytes();
        while bytes.len() < count {
            bytes.extend_from_slice(&word);
        }
        bytes.truncate(count);
        bytes
    }
}
