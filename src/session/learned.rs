//! What became known of a volume's place, told.

use crate::telemetry::event::{VolumeConflict, VolumeLearned, VolumeMoved};
use crate::types::{JobName, StorageName, VolumeName};
use crate::volumes::Learned;

/// Tells what the ledger has learned from a message of `storage`. `by_label`: the message says that it has just
/// labelled the volume.
pub(super) fn tell(
    learned: &Learned,
    volume: &VolumeName,
    storage: &StorageName,
    job: Option<&JobName>,
    by_label: bool,
) {
    match learned {
        Learned::Same => {}
        Learned::New => VolumeLearned {
            volume,
            storage,
            job,
            source: if by_label { "label" } else { "update_media" },
        }
        .emit(),
        Learned::Moved { from } => VolumeMoved {
            volume,
            from,
            to: storage,
            source: "label",
        }
        .emit(),
        Learned::Conflict { known } => VolumeConflict {
            volume,
            known,
            storage,
            job,
        }
        .emit(),
    }
}
