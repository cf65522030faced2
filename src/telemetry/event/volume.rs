//! Events of the Volume ledger and the guard.

use tracing::{error, info};

use crate::telemetry::names;
use crate::types::{JobName, StorageName, VolumeName};

/// A Volume was seen on a storage for the first time.
#[derive(Debug)]
pub struct VolumeLearned<'a> {
    /// The Volume.
    pub volume: &'a VolumeName,
    /// Where it is.
    pub storage: &'a StorageName,
    /// By which job, if it was one.
    pub job: Option<&'a JobName>,
    /// How it became known: `update_media`, `label`, `import`.
    pub source: &'static str,
}

impl VolumeLearned<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::VOLUMES_LEARNED.with([self.storage.as_str()]).increment(1);
        info!(
            event = "volume_learned",
            volume = %self.volume,
            storage = %self.storage,
            job = self.job.map(display),
            source = self.source,
            "volume learned"
        );
    }
}

/// A storage reports a Volume that is known to be on another one.
#[derive(Debug)]
pub struct VolumeConflict<'a> {
    /// The Volume.
    pub volume: &'a VolumeName,
    /// Where the ledger has it.
    pub known: &'a StorageName,
    /// Which storage reports it.
    pub storage: &'a StorageName,
    /// By which job, if it was one.
    pub job: Option<&'a JobName>,
}

impl VolumeConflict<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::VOLUME_CONFLICTS.with([self.storage.as_str()]).increment(1);
        error!(
            event = "volume_conflict",
            volume = %self.volume,
            storage = %self.storage,
            known = %self.known,
            job = self.job.map(display),
            "two storages have a volume of this name; say which is right with: sdgroup volumes assign"
        );
    }
}

/// The Director offered a storage another one's Volume; the offer was swallowed and the next one asked for.
#[derive(Debug)]
pub struct VolumeGuarded<'a> {
    /// The Volume that was offered.
    pub volume: &'a VolumeName,
    /// Where it is, if that is known.
    pub holder: Option<&'a StorageName>,
    /// The storage that asked.
    pub storage: &'a StorageName,
    /// For which job.
    pub job: &'a JobName,
    /// The index with which the Director is asked again; 0 when it is asked about a volume by its name.
    pub index: u32,
}

impl VolumeGuarded<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::VOLUMES_GUARDED.with([self.storage.as_str()]).increment(1);
        info!(
            event = "volume_guarded",
            volume = %self.volume,
            storage = %self.storage,
            holder = self.holder.map(display),
            job = %self.job,
            index = self.index,
            "offer of another storage's volume swallowed, asking for the next"
        );
    }
}

/// A Volume's place in the ledger was changed.
#[derive(Debug)]
pub struct VolumeMoved<'a> {
    /// The Volume.
    pub volume: &'a VolumeName,
    /// Where it was.
    pub from: &'a StorageName,
    /// Where it is now.
    pub to: &'a StorageName,
    /// What changed it: `assign`, `import`, `relabel`.
    pub source: &'static str,
}

impl VolumeMoved<'_> {
    /// Tells it.
    pub fn emit(self) {
        names::VOLUMES_MOVED.with([self.to.as_str()]).increment(1);
        info!(
            event = "volume_moved",
            volume = %self.volume,
            from = %self.from,
            storage = %self.to,
            source = self.source,
            "volume moved"
        );
    }
}

/// A Volume has another name now, and its old one is out of the ledger.
#[derive(Debug)]
pub struct VolumeForgotten<'a> {
    /// The old name.
    pub volume: &'a VolumeName,
    /// The storage that has relabelled it.
    pub storage: &'a StorageName,
}

impl VolumeForgotten<'_> {
    /// Tells it.
    pub fn emit(self) {
        info!(
            event = "volume_forgotten",
            volume = %self.volume,
            storage = %self.storage,
            "volume relabelled, its old name forgotten"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::Format;
    use crate::telemetry::testing::{LogLines, Scrape};

    #[test]
    fn a_volumes_places_are_told_and_counted_by_storage_only() {
        let volume = VolumeName::new("Vol-0007").unwrap();
        let (here, there) = (StorageName::new("File4").unwrap(), StorageName::new("File5").unwrap());
        let job = JobName::new("Tiny.1").unwrap();
        let scrape = Scrape::new();
        let lines = LogLines::of(Format::Json, || {
            scrape.during(|| {
                VolumeLearned {
                    volume: &volume,
                    storage: &here,
                    job: Some(&job),
                    source: "update_media",
                }
                .emit();
                VolumeConflict {
                    volume: &volume,
                    known: &here,
                    storage: &there,
                    job: None,
                }
                .emit();
                VolumeGuarded {
                    volume: &volume,
                    holder: Some(&here),
                    storage: &there,
                    job: &job,
                    index: 2,
                }
                .emit();
                VolumeMoved {
                    volume: &volume,
                    from: &here,
                    to: &there,
                    source: "assign",
                }
                .emit();
            });
        });
        assert_eq!(lines.len(), 4);
        assert!(
            lines.iter().all(|line| line.contains(r#""volume":"Vol-0007""#)),
            "{lines:?}"
        );
        for series in [
            r#"sdgroup_volumes_learned_total{storage="File4"}"#,
            r#"sdgroup_volume_conflicts_total{storage="File5"}"#,
            r#"sdgroup_volumes_guarded_total{storage="File5"}"#,
            r#"sdgroup_volumes_moved_total{storage="File5"}"#,
        ] {
            assert_eq!(scrape.value(series), "1", "{series}");
        }
        assert!(!scrape.text().contains("Vol-0007"), "a volume is no label");
    }
}
