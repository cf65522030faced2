//! What is known of a volume, in the form in which stores tell it to each other: where it is, or that it was forgotten.

use super::{Entry, Recorded, VolumeRecord, Weight, record::meet};
use crate::types::VolumeName;

/// What is known of a volume since some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// It is on a storage.
    Held(VolumeRecord),
    /// The operator had it forgotten.
    Forgotten {
        /// Which.
        volume: VolumeName,
        /// When, in seconds of Unix time.
        at: i64,
    },
}

impl Fact {
    /// Which volume it is about.
    #[must_use]
    pub fn volume(&self) -> &VolumeName {
        match self {
            Self::Held(record) => &record.volume,
            Self::Forgotten { volume, .. } => volume,
        }
    }

    /// Since when, in seconds of Unix time.
    #[must_use]
    pub fn at(&self) -> i64 {
        match self {
            Self::Held(record) => record.updated,
            Self::Forgotten { at, .. } => *at,
        }
    }

    /// The record, if the volume is on a storage.
    #[must_use]
    pub fn held(&self) -> Option<&VolumeRecord> {
        match self {
            Self::Held(record) => Some(record),
            Self::Forgotten { .. } => None,
        }
    }
}

/// What is new, told live: as [`meet`], with what was forgotten as good as unknown.
pub(super) fn meet_fact(known: Option<&Fact>, entry: &Entry) -> (Recorded, Option<Fact>) {
    let (recorded, write) = meet(known.and_then(Fact::held), entry);
    (recorded, write.map(Fact::Held))
}

/// What was learned a while ago and is told only now: the fact to write if one is to be written. Telling the same again
/// changes nothing.
pub(super) fn catch_up(known: Option<&Fact>, told: &Fact, weight: Weight) -> Option<Fact> {
    let Some(known) = known else {
        return Some(told.clone());
    };
    match (known, told) {
        (Fact::Held(known), Fact::Held(told)) if known.storage == told.storage => {
            let merged = VolumeRecord {
                media_type: known.media_type.clone().or_else(|| told.media_type.clone()),
                pool: if told.updated >= known.updated {
                    &told.pool
                } else {
                    &known.pool
                }
                .clone()
                .or_else(|| known.pool.clone())
                .or_else(|| told.pool.clone()),
                first_seen: known.first_seen.min(told.first_seen),
                updated: known.updated.max(told.updated),
                ..known.clone()
            };
            (merged.media_type != known.media_type || merged.pool != known.pool).then_some(Fact::Held(merged))
        }
        (Fact::Held(known), Fact::Held(told)) => {
            let replaces = weight == Weight::ReplaceKnown && told.updated >= known.updated;
            replaces.then(|| {
                Fact::Held(VolumeRecord {
                    first_seen: known.first_seen.min(told.first_seen),
                    ..told.clone()
                })
            })
        }
        (Fact::Forgotten { at, .. }, Fact::Held(told)) => (told.updated > *at).then(|| Fact::Held(told.clone())),
        (Fact::Held(known), Fact::Forgotten { at, .. }) => (*at >= known.updated).then(|| told.clone()),
        (Fact::Forgotten { .. }, Fact::Forgotten { .. }) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Source;
    use crate::types::{PoolName, StorageName};

    fn held(storage: &str, updated: i64) -> Fact {
        Fact::Held(VolumeRecord {
            volume: VolumeName::new("V").unwrap(),
            storage: StorageName::new(storage).unwrap(),
            source: Source::Learned,
            media_type: None,
            pool: None,
            first_seen: updated,
            updated,
            updated_by: None,
        })
    }

    fn forgotten(at: i64) -> Fact {
        let volume = VolumeName::new("V").unwrap();
        Fact::Forgotten { volume, at }
    }

    #[test]
    fn what_is_told_late_never_undoes_what_is_newer() {
        use Weight::{KeepKnown, ReplaceKnown};
        let place = |fact: Option<Fact>| fact.map(|fact| fact.held().map(|record| record.storage.to_string()));
        for (known, told, weight, written) in [
            (None, held("A", 1), KeepKnown, Some(Some("A"))),
            (Some(held("A", 5)), held("B", 9), KeepKnown, None),
            (Some(held("A", 5)), held("B", 9), ReplaceKnown, Some(Some("B"))),
            (Some(held("A", 5)), held("B", 4), ReplaceKnown, None),
            (Some(held("A", 5)), held("A", 9), ReplaceKnown, None),
            (Some(forgotten(5)), held("A", 4), ReplaceKnown, None),
            (Some(forgotten(5)), held("A", 6), KeepKnown, Some(Some("A"))),
            (Some(held("A", 5)), forgotten(4), ReplaceKnown, None),
            (Some(held("A", 5)), forgotten(5), ReplaceKnown, Some(None)),
            (Some(forgotten(5)), forgotten(9), ReplaceKnown, None),
        ] {
            let expected = written.map(|storage| storage.map(str::to_owned));
            let result = catch_up(known.as_ref(), &told, weight);
            assert_eq!(place(result.clone()), expected, "{known:?} {told:?} {weight:?}");
            // Told again, it changes nothing.
            if let Some(now) = result {
                let again = catch_up(Some(&now), &told, weight).unwrap_or_else(|| now.clone());
                assert_eq!(place(Some(again)), place(Some(now)));
            }
        }
    }

    #[test]
    fn a_pool_that_was_learned_meanwhile_is_taken_over() {
        let Fact::Held(mut told) = held("A", 9) else {
            unreachable!()
        };
        told.pool = Some(PoolName::new("P").unwrap());
        let written = catch_up(Some(&held("A", 5)), &Fact::Held(told.clone()), Weight::KeepKnown).unwrap();
        assert_eq!(written.held().unwrap().pool, told.pool);
        assert_eq!(catch_up(Some(&written), &Fact::Held(told), Weight::KeepKnown), None);
    }
}
