//! What a storage and its caller of 12 and later tell each other between Hello and login (Bacula
//! `src/stored/hello.c`, `src/filed/hello.c`). In the community's releases all of it is about a deduplication that
//! they do not have; the lines have to be there all the same.

use super::line::{LineError, LineWriter, Scanner};

/// The called storage's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageCapabilities {
    /// Whether it deduplicates.
    pub dedup: i64,
    /// Which hash it takes.
    pub hash: i64,
    /// Its block, in bytes.
    pub dedup_block: u64,
    /// The least that a block may have, in bytes.
    pub min_dedup_block: u64,
    /// The most that a block may have, in bytes.
    pub max_dedup_block: u64,
}

impl StorageCapabilities {
    /// What a storage of the community's says: no deduplication. The other numbers are then not used by anybody; they
    /// are those which 15.0.3 sends.
    pub const COMMUNITY: Self = Self {
        dedup: 0,
        hash: 1,
        dedup_block: 65_536,
        min_dedup_block: 1_024,
        max_dedup_block: 66_556,
    };

    /// Reads the line.
    ///
    /// # Errors
    /// When it is another one, or a field is missing: a caller needs all five.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut scanner = Scanner::new(line);
        Ok(Self {
            dedup: scanner.literal("sdcaps: dedup=")?.number()?,
            hash: scanner.literal(" hash=")?.number()?,
            dedup_block: scanner.literal(" dedup_block=")?.number()?,
            min_dedup_block: scanner.literal(" min_dedup_block=")?.number()?,
            max_dedup_block: scanner.literal(" max_dedup_block=")?.number()?,
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(self) -> Vec<u8> {
        LineWriter::new()
            .raw("sdcaps: dedup=")
            .number(self.dedup)
            .raw(" hash=")
            .number(self.hash)
            .raw(" dedup_block=")
            .number(self.dedup_block)
            .raw(" min_dedup_block=")
            .number(self.min_dedup_block)
            .raw(" max_dedup_block=")
            .number(self.max_dedup_block)
            .raw("\n")
            .finish()
    }
}

/// The caller's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// Whether it deduplicates.
    pub dedup: i64,
    /// Whether it takes back what was deduplicated.
    pub rehydration: i64,
    /// Whether it is a proxy; a calling storage does not say.
    pub proxy: Option<i64>,
}

impl ClientCapabilities {
    /// A Client without any of them.
    pub const COMMUNITY: Self = Self {
        dedup: 0,
        rehydration: 0,
        proxy: Some(0),
    };

    /// Reads the line.
    ///
    /// # Errors
    /// When it is another one, or one of the first two fields, which a storage needs, is missing.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut scanner = Scanner::new(line);
        Ok(Self {
            dedup: scanner.literal("fdcaps: dedup=")?.number()?,
            rehydration: scanner.literal(" rehydration=")?.number()?,
            proxy: scanner.accepts(" proxy=").then(|| scanner.number()).transpose()?,
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(self) -> Vec<u8> {
        let line = LineWriter::new()
            .raw("fdcaps: dedup=")
            .number(self.dedup)
            .raw(" rehydration=")
            .number(self.rehydration);
        let line = match self.proxy {
            Some(proxy) => line.raw(" proxy=").number(proxy),
            None => line,
        };
        line.raw("\n").finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lines_of_real_daemons() {
        let line = b"sdcaps: dedup=0 hash=1 dedup_block=65536 min_dedup_block=1024 max_dedup_block=66556\n";
        assert_eq!(StorageCapabilities::parse(line), Ok(StorageCapabilities::COMMUNITY));
        assert_eq!(StorageCapabilities::COMMUNITY.to_line(), line);
        let line = b"fdcaps: dedup=0 rehydration=0 proxy=0\n";
        assert_eq!(ClientCapabilities::parse(line), Ok(ClientCapabilities::COMMUNITY));
        assert_eq!(ClientCapabilities::COMMUNITY.to_line(), line);
        let storage = ClientCapabilities::parse(b"fdcaps: dedup=0 rehydration=0\n").unwrap();
        assert_eq!(storage.proxy, None);
        assert_eq!(storage.to_line(), b"fdcaps: dedup=0 rehydration=0\n");
    }

    #[test]
    fn what_is_no_line_of_theirs() {
        for line in [
            "sdcaps: dedup=0\n",
            "fdcaps: dedup=0 rehydration=0 proxy=0\n",
            "auth cram-md5 <1.2@x> ssl=0\n",
        ] {
            assert!(StorageCapabilities::parse(line.as_bytes()).is_err(), "{line}");
        }
        for line in [
            "fdcaps: dedup=0\n",
            "sdcaps: dedup=0 hash=1\n",
            "fdcaps: dedup=0 rehydration=0 proxy=x\n",
        ] {
            assert!(ClientCapabilities::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn both_read_back(dedup: i64, hash: i64, block: u64, least: u64, most: u64, proxy: Option<i64>) {
            let storage = StorageCapabilities {
                dedup,
                hash,
                dedup_block: block,
                min_dedup_block: least,
                max_dedup_block: most,
            };
            prop_assert_eq!(StorageCapabilities::parse(&storage.to_line()), Ok(storage));
            let client = ClientCapabilities { dedup, rehydration: hash, proxy };
            prop_assert_eq!(ClientCapabilities::parse(&client.to_line()), Ok(client));
        }
    }
}
