//! A store that forgets when the process ends: for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::record::meet;
use super::{Answer, Entry, Recorded, Store, VolumeRecord};
use crate::types::{StorageName, VolumeName};

/// A store that forgets when the process ends: for tests.
#[derive(Debug, Default)]
pub struct MemoryStore {
    volumes: Mutex<BTreeMap<VolumeName, VolumeRecord>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut BTreeMap<VolumeName, VolumeRecord>) -> T) -> Answer<T> {
        let done = work(&mut self.volumes.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(std::future::ready(Ok(done)))
    }
}

impl Store for MemoryStore {
    fn find(&self, names: Vec<VolumeName>) -> Answer<Vec<VolumeRecord>> {
        self.with(|volumes| names.iter().filter_map(|name| volumes.get(name).cloned()).collect())
    }

    fn all(&self, storage: Option<StorageName>) -> Answer<Vec<VolumeRecord>> {
        self.with(|volumes| {
            let wanted = |record: &&VolumeRecord| storage.as_ref().is_none_or(|storage| record.storage == *storage);
            volumes.values().filter(wanted).cloned().collect()
        })
    }

    fn record(&self, entries: Vec<Entry>) -> Answer<Vec<Recorded>> {
        self.with(|volumes| {
            let one = |entry: &Entry| {
                let (recorded, write) = meet(volumes.get(&entry.volume), entry);
                if let Some(record) = write {
                    volumes.insert(record.volume.clone(), record);
                }
                recorded
            };
            entries.iter().map(one).collect()
        })
    }

    fn forget(&self, volume: VolumeName) -> Answer<Option<VolumeRecord>> {
        self.with(|volumes| volumes.remove(&volume))
    }
}
