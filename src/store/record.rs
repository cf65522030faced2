//! What is kept of a volume, and how a new entry meets what is known.

use std::fmt;

use crate::types::{MediaType, PoolName, StorageName, VolumeName};

/// How a record came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// From what passed between a storage and a Director.
    Learned,
    /// The operator said so.
    Assigned,
    /// From a table that the operator gave.
    Imported,
}

impl Source {
    /// Its word in the store and in lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Assigned => "assigned",
            Self::Imported => "imported",
        }
    }

    /// From its word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Learned, Self::Assigned, Self::Imported]
            .into_iter()
            .find(|source| source.as_str() == word)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is kept of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRecord {
    /// The volume.
    pub volume: VolumeName,
    /// The storage that holds it.
    pub storage: StorageName,
    /// How that is known.
    pub source: Source,
    /// Its media type, if it was told.
    pub media_type: Option<MediaType>,
    /// Its pool, if it was told.
    pub pool: Option<PoolName>,
    /// When it was first heard of, in seconds of Unix time.
    pub first_seen: i64,
    /// When the record last changed, in seconds of Unix time.
    pub updated: i64,
    /// By whom: a job's name, or an operator's word.
    pub updated_by: Option<String>,
}

/// How much an entry weighs against a record that names another storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The record stays, and the difference is told.
    KeepKnown,
    /// The entry is newer truth: a label written just now, or the operator's word.
    ReplaceKnown,
}

/// Something new about a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The volume.
    pub volume: VolumeName,
    /// The storage that holds it.
    pub storage: StorageName,
    /// How that is known.
    pub source: Source,
    /// What happens if another storage is known.
    pub weight: Weight,
    /// Its media type, if it is told.
    pub media_type: Option<MediaType>,
    /// Its pool, if it is told.
    pub pool: Option<PoolName>,
    /// Now, in seconds of Unix time.
    pub at: i64,
    /// By whom: a job's name, or an operator's word.
    pub by: Option<String>,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The volume was not known before.
    New,
    /// The storage was known already.
    Same,
    /// The volume was known to be elsewhere, and is now here.
    Moved {
        /// Where it was.
        from: StorageName,
    },
    /// The volume is known to be elsewhere, and the record stays.
    Conflict {
        /// Where it is.
        known: StorageName,
    },
}

/// How an entry meets what is known: what to tell, and the record to write if one is to be written. The one rule
/// for every store.
pub(super) fn meet(known: Option<&VolumeRecord>, entry: &Entry) -> (Recorded, Option<VolumeRecord>) {
    let Some(known) = known else {
        let record = VolumeRecord {
            volume: entry.volume.clone(),
            storage: entry.storage.clone(),
            source: entry.source,
            media_type: entry.media_type.clone(),
            pool: entry.pool.clone(),
            first_seen: entry.at,
            updated: entry.at,
            updated_by: entry.by.clone(),
        };
        return (Recorded::New, Some(record));
    };
    let here = known.storage == entry.storage;
    if !here && entry.weight == Weight::KeepKnown {
        return (
            Recorded::Conflict {
                known: known.storage.clone(),
            },
            None,
        );
    }
    let media_type = entry.media_type.clone().or_else(|| known.media_type.clone());
    let pool = entry.pool.clone().or_else(|| known.pool.clone());
    if here && media_type == known.media_type && pool == known.pool {
        return (Recorded::Same, None);
    }
    let record = VolumeRecord {
        volume: known.volume.clone(),
        storage: entry.storage.clone(),
        // A pool that becomes known does not make an operator's word a guess.
        source: if here { known.source } else { entry.source },
        media_type,
        pool,
        first_seen: known.first_seen,
        updated: entry.at,
        updated_by: entry.by.clone(),
    };
    let recorded = if here {
        Recorded::Same
    } else {
        Recorded::Moved {
            from: known.storage.clone(),
        }
    };
    (recorded, Some(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(storage: &str, weight: Weight) -> Entry {
        Entry {
            volume: VolumeName::new("V").unwrap(),
            storage: StorageName::new(storage).unwrap(),
            source: Source::Learned,
            weight,
            media_type: None,
            pool: None,
            at: 100,
            by: Some("Job.1".into()),
        }
    }

    #[test]
    fn an_entry_meets_what_is_known() {
        let (recorded, first) = meet(None, &entry("A", Weight::KeepKnown));
        assert_eq!(recorded, Recorded::New);
        let first = first.unwrap();
        assert_eq!(
            meet(Some(&first), &entry("A", Weight::ReplaceKnown)),
            (Recorded::Same, None)
        );
        let known = first.storage.clone();
        assert_eq!(
            meet(Some(&first), &entry("B", Weight::KeepKnown)),
            (Recorded::Conflict { known: known.clone() }, None)
        );
        let (recorded, moved) = meet(
            Some(&first),
            &Entry {
                at: 200,
                ..entry("B", Weight::ReplaceKnown)
            },
        );
        let moved = moved.unwrap();
        assert_eq!(recorded, Recorded::Moved { from: known });
        assert_eq!(
            (moved.storage.as_str(), moved.first_seen, moved.updated),
            ("B", 100, 200)
        );
    }

    #[test]
    fn a_pool_that_becomes_known_is_kept_and_does_not_change_the_source() {
        let (_, first) = meet(
            None,
            &Entry {
                source: Source::Assigned,
                ..entry("A", Weight::KeepKnown)
            },
        );
        let pool = PoolName::new("P").unwrap();
        let told = Entry {
            pool: Some(pool.clone()),
            ..entry("A", Weight::KeepKnown)
        };
        let (recorded, changed) = meet(first.as_ref(), &told);
        let changed = changed.unwrap();
        assert_eq!(
            (recorded, changed.source, changed.pool.clone()),
            (Recorded::Same, Source::Assigned, Some(pool))
        );
        assert_eq!(meet(Some(&changed), &told), (Recorded::Same, None));
    }

    #[test]
    fn a_source_comes_back_from_its_word() {
        for source in [Source::Learned, Source::Assigned, Source::Imported] {
            assert_eq!(Source::from_word(source.as_str()), Some(source));
        }
        assert_eq!(Source::from_word("guessed"), None);
    }
}
