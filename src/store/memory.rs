//! A store that forgets when the process ends: for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::meet;
use super::{Answer, Entry, JobRecord, Keep, Recorded, StateRecord, Store, VolumeRecord};
use crate::types::{StorageName, VolumeName};

/// A store that forgets when the process ends: for tests.
#[derive(Debug, Default)]
pub struct MemoryStore {
    volumes: Mutex<BTreeMap<VolumeName, VolumeRecord>>,
    jobs: Mutex<Vec<JobRecord>>,
    states: Mutex<BTreeMap<StorageName, StateRecord>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut BTreeMap<VolumeName, VolumeRecord>) -> T) -> Answer<T> {
        answer(work(&mut lock(&self.volumes)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer<T: Send + 'static>(done: T) -> Answer<T> {
    Box::pin(std::future::ready(Ok(done)))
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

    fn add_jobs(&self, mut added: Vec<JobRecord>, keep: Keep) -> Answer<()> {
        let mut jobs = lock(&self.jobs);
        jobs.append(&mut added);
        jobs.retain(|job| job.ended >= keep.since);
        let most = usize::try_from(keep.most).unwrap_or(usize::MAX);
        let surplus = jobs.len().saturating_sub(most);
        jobs.drain(..surplus);
        answer(())
    }

    fn jobs(&self, since: i64, most: u64) -> Answer<Vec<JobRecord>> {
        let jobs = lock(&self.jobs);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let young = jobs.iter().rev().filter(|job| job.ended >= since).take(most);
        let mut young: Vec<_> = young.cloned().collect();
        young.reverse();
        young.sort_by_key(|job| job.placed);
        answer(young)
    }

    fn states(&self) -> Answer<Vec<StateRecord>> {
        answer(lock(&self.states).values().cloned().collect())
    }

    fn put_state(&self, record: StateRecord) -> Answer<()> {
        lock(&self.states).insert(record.storage.clone(), record);
        answer(())
    }
}
