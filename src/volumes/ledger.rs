//! The volume ledger: which storage holds a volume, and which storage was just allowed to make one.
//!
//! What is known is in the [`Store`]. What is only about to be true is a *claim*: a storage's job was given a volume
//! to write, and until the job ends (or the claim is dropped otherwise) no other storage's job is given it. Claims
//! live in this process, and in a store that others share as well, where they end with the process; while a handover
//! lasts, [`Rivals`] are asked whether another process has one.

use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::guard::Place;
use crate::store::{Entry, Recorded, Source, Store, StoreError, VolumeRecord, Weight};
use crate::types::{JobName, MediaType, Moment, PoolName, StorageName, VolumeName};
use crate::wire::catalog::UpdateMedia;

/// Which storage holds a volume. Cheap to clone; all clones share the claims.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    claims: Arc<Claims>,
    rivals: Arc<OnceLock<Arc<dyn Rivals>>>,
}

/// Other processes that give volumes to jobs at the same time.
pub trait Rivals: Debug + Send + Sync {
    /// The storage, other than `here`, whose job may write `volume` as one of them has it.
    fn claimed_by(&self, volume: &VolumeName, here: &StorageName) -> RivalAnswer;
}

/// What rivals say, as soon as they have.
pub type RivalAnswer = Pin<Box<dyn Future<Output = Result<Option<StorageName>, Silence>> + Send>>;

/// A rival does not say which volumes its jobs may write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "process {pid} of sdgroup, which may have given it to another storage, does not answer ({cause}); end it if it hangs"
)]
pub struct Silence {
    /// Its number in the system.
    pub pid: u32,
    /// What came instead.
    pub cause: String,
}

/// Why it is not known whose a volume is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The store cannot be read.
    #[error("the volume ledger cannot be read: {0}")]
    Store(#[from] StoreError),
    /// Nobody may write the volume before that is over.
    #[error(transparent)]
    Silent(#[from] Silence),
}

/// What became of a sighting.
pub type Learned = Recorded;

/// A storage was seen with a volume in its hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The volume.
    pub volume: VolumeName,
    /// The storage.
    pub storage: StorageName,
    /// The storage has just written the volume's label: whatever another one has of that name is dead.
    pub fresh_label: bool,
    /// The volume's media type in the Director's words, if it is known.
    pub media_type: Option<MediaType>,
    /// The volume's pool, if it is known.
    pub pool: Option<PoolName>,
    /// The job that it was seen in; none for a console's command.
    pub job: Option<JobName>,
}

impl Sighting {
    /// What an UpdateMedia message shows, if it shows anything: a storage that was sent to a volume which it does
    /// not have sends such a message too.
    #[must_use]
    pub fn of(update: &UpdateMedia, storage: &StorageName, job: &JobName) -> Option<Self> {
        update.is_evidence().then(|| Self {
            volume: update.volume.clone(),
            storage: storage.clone(),
            fresh_label: update.is_fresh_label(),
            media_type: None,
            pool: None,
            job: Some(job.clone()),
        })
    }
}

/// A volume's place as the operator gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The volume.
    pub volume: VolumeName,
    /// The storage.
    pub storage: StorageName,
    /// The volume's media type, if it was given.
    pub media_type: Option<MediaType>,
    /// The volume's pool, if it was given.
    pub pool: Option<PoolName>,
}

impl Ledger {
    /// A ledger over `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            claims: Arc::default(),
            rivals: Arc::default(),
        }
    }

    /// From now on these are asked as well. Only the first are.
    pub fn beside(&self, rivals: Arc<dyn Rivals>) {
        let _ = self.rivals.set(rivals);
    }

    /// The storage that holds `volume`, if one is known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn holder(&self, volume: &VolumeName) -> Result<Option<StorageName>, StoreError> {
        let found = self.store.find(vec![volume.clone()]).await?;
        Ok(found.into_iter().next().map(|record| record.storage))
    }

    /// The pool in which `volume` was labelled or written last, as far as that is known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn pool(&self, volume: &VolumeName) -> Result<Option<PoolName>, StoreError> {
        let found = self.store.find(vec![volume.clone()]).await?;
        Ok(found.into_iter().next().and_then(|record| record.pool))
    }

    /// The storages that hold `volumes`; a volume that nobody is known to hold is left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn holders(&self, volumes: &[VolumeName]) -> Result<HashMap<VolumeName, StorageName>, StoreError> {
        let found = self.store.find(volumes.to_vec()).await?;
        Ok(found
            .into_iter()
            .map(|record| (record.volume, record.storage))
            .collect())
    }

    /// Where `volume` is as seen from `here`, whose job asks to write it, and the claim that keeps it from everybody
    /// else. Keep the claim if the volume is given to the storage; drop it if not.
    ///
    /// There is a claim when the volume is here or nowhere, and with `moving` also when it is elsewhere: that is for
    /// a recycled volume which may go to another storage.
    ///
    /// # Errors
    /// When the store cannot be read, or another process does not answer; nothing is claimed then.
    pub async fn claim(
        &self,
        volume: &VolumeName,
        here: &StorageName,
        moving: bool,
    ) -> Result<(Place, Option<Claim>), ClaimError> {
        // Looked at before the claim, so that a storage which asks in vain does not keep the volume, for this
        // moment, from the one that holds it.
        let before = Place::of(self.holder(volume).await?, here);
        let moves_here = self.claimed_by(volume).is_some_and(|storage| storage == *here);
        if matches!(before, Place::Elsewhere(_)) && !moving && !moves_here {
            return Ok((before, None));
        }
        let (claim, shared) = match Claims::take(&self.claims, &self.store, volume, here) {
            Ok(taken) => taken,
            Err(other) => return Ok((Place::Claimed(other), None)),
        };
        if let Some(other) = self.store.claim(volume.clone(), here.clone()).await? {
            return Ok((Place::Claimed(other), None));
        }
        // Another process enters its claim before it asks, too: of two at the same moment at least one sees the other.
        if let Some(rivals) = self.rivals.get()
            && let Some(other) = rivals.claimed_by(volume, here).await?
        {
            return Ok((Place::Claimed(other), None));
        }
        // And after it: another storage gives its claim up only when what it learned is in the store, so that what
        // is seen now stays true for as long as the claim is held.
        let place = match Place::of(self.holder(volume).await?, here) {
            // Let go to this storage, which has not written its label yet.
            Place::Elsewhere(_) if shared => Place::Here,
            place => place,
        };
        let kept = moving || !matches!(place, Place::Elsewhere(_));
        Ok((place, kept.then_some(claim)))
    }

    /// Takes note of a sighting. When it returns, what it says is on disk; nothing is written when it is known.
    ///
    /// # Errors
    /// When the store cannot be written. The sighting is then not known to anybody, and the message that showed it
    /// should not go on.
    pub async fn learn(&self, sighting: Sighting) -> Result<Learned, StoreError> {
        let entry = Entry {
            volume: sighting.volume,
            storage: sighting.storage,
            source: Source::Learned,
            weight: if sighting.fresh_label {
                Weight::ReplaceKnown
            } else {
                Weight::KeepKnown
            },
            media_type: sighting.media_type,
            pool: sighting.pool,
            at: Moment::now().0,
            by: sighting.job.map(|job| job.as_str().to_owned()),
        };
        // One entry, one answer; a store that gave none has not recorded it.
        self.store.record(vec![entry]).await?.pop().ok_or(StoreError::Closed)
    }

    /// The operator says where a volume is. His word replaces what is known.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn assign(&self, assignment: Assignment, by: &str) -> Result<Recorded, StoreError> {
        let entry = entry(assignment, Source::Assigned, Weight::ReplaceKnown, by);
        self.store.record(vec![entry]).await?.pop().ok_or(StoreError::Closed)
    }

    /// Takes many places at once, all or none, and says of each what became of it. Where another storage is known,
    /// the record stays unless `replace` is set.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn import(
        &self,
        assignments: Vec<Assignment>,
        replace: bool,
        by: &str,
    ) -> Result<Vec<Recorded>, StoreError> {
        let weight = if replace {
            Weight::ReplaceKnown
        } else {
            Weight::KeepKnown
        };
        let entries = assignments
            .into_iter()
            .map(|one| entry(one, Source::Imported, weight, by))
            .collect();
        self.store.record(entries).await
    }

    /// Every record, or those of one storage, by the volumes' names.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self, storage: Option<&StorageName>) -> Result<Vec<VolumeRecord>, StoreError> {
        self.store.all(storage.cloned()).await
    }

    /// Removes a volume from the ledger and returns what was known of it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn forget(&self, volume: &VolumeName) -> Result<Option<VolumeRecord>, StoreError> {
        self.store.forget(volume.clone()).await
    }

    /// The storage whose job may write `volume` at the moment, if there is one.
    #[must_use]
    pub fn claimed_by(&self, volume: &VolumeName) -> Option<StorageName> {
        self.claims.lock().get(volume).map(|held| held.storage.clone())
    }
}

fn entry(assignment: Assignment, source: Source, weight: Weight, by: &str) -> Entry {
    Entry {
        volume: assignment.volume,
        storage: assignment.storage,
        source,
        weight,
        media_type: assignment.media_type,
        pool: assignment.pool,
        at: Moment::now().0,
        by: Some(by.to_owned()),
    }
}

#[derive(Debug, Default)]
struct Claims(Mutex<HashMap<VolumeName, Held>>);

#[derive(Debug)]
struct Held {
    storage: StorageName,
    /// How many claims there are: several jobs of one storage may write one volume.
    claims: usize,
}

impl Claims {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<VolumeName, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a claim and says whether it is shared with another job of the storage, or says who else has one.
    fn take(
        claims: &Arc<Self>,
        store: &Arc<dyn Store>,
        volume: &VolumeName,
        storage: &StorageName,
    ) -> Result<(Claim, bool), StorageName> {
        let mut all = claims.lock();
        let held = all.entry(volume.clone()).or_insert_with(|| Held {
            storage: storage.clone(),
            claims: 0,
        });
        if held.storage != *storage {
            return Err(held.storage.clone());
        }
        let shared = held.claims > 0;
        held.claims = held.claims.saturating_add(1);
        drop(all);
        Ok((
            Claim {
                claims: Arc::clone(claims),
                store: Arc::clone(store),
                volume: volume.clone(),
            },
            shared,
        ))
    }
}

/// A volume is in one storage's hands. Dropping it lets the volume go.
#[derive(Debug)]
#[must_use = "the claim ends when it is dropped"]
pub struct Claim {
    claims: Arc<Claims>,
    store: Arc<dyn Store>,
    volume: VolumeName,
}

impl Claim {
    /// The volume.
    #[must_use]
    pub fn volume(&self) -> &VolumeName {
        &self.volume
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut all = self.claims.lock();
        if let Some(held) = all.get_mut(&self.volume) {
            held.claims = held.claims.saturating_sub(1);
            if held.claims == 0 {
                all.remove(&self.volume);
                // Within the lock: who claims it next does so afterwards.
                self.store.release(&self.volume);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, SqliteStore};

    fn volume(name: &str) -> VolumeName {
        VolumeName::new(name).unwrap()
    }

    fn storage(name: &str) -> StorageName {
        StorageName::new(name).unwrap()
    }

    fn sighting(name: &str, by: &str, fresh_label: bool) -> Sighting {
        Sighting {
            volume: volume(name),
            storage: storage(by),
            fresh_label,
            media_type: None,
            pool: None,
            job: Some(JobName::new("Nightly.2026-11-23_00.20.37_03").unwrap()),
        }
    }

    fn assignment(name: &str, to: &str) -> Assignment {
        Assignment {
            volume: volume(name),
            storage: storage(to),
            media_type: None,
            pool: None,
        }
    }

    fn ledger() -> Ledger {
        Ledger::new(Arc::new(MemoryStore::new()))
    }

    #[tokio::test]
    async fn what_was_learned_is_there_for_another_ledger_on_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sdgroup.db");
        let ledger = Ledger::new(Arc::new(SqliteStore::open(&path).unwrap()));
        let successor = Ledger::new(Arc::new(SqliteStore::open(&path).unwrap()));
        assert_eq!(ledger.learn(sighting("V", "File4", true)).await.unwrap(), Learned::New);
        assert_eq!(successor.holder(&volume("V")).await.unwrap(), Some(storage("File4")));
        assert_eq!(
            successor.assign(assignment("V", "File5"), "operator").await.unwrap(),
            Learned::Moved { from: storage("File4") }
        );
        assert_eq!(ledger.holder(&volume("V")).await.unwrap(), Some(storage("File5")));
        let listed = ledger.list(None).await.unwrap();
        assert_eq!(
            (listed[0].source, listed[0].updated_by.as_deref()),
            (Source::Assigned, Some("operator"))
        );
    }

    /// Another process, whose ledger this is.
    #[derive(Debug)]
    struct Other(Ledger);

    impl Rivals for Other {
        fn claimed_by(&self, volume: &VolumeName, here: &StorageName) -> RivalAnswer {
            let claimed = self.0.claimed_by(volume).filter(|storage| storage != here);
            Box::pin(async { Ok(claimed) })
        }
    }

    #[tokio::test]
    async fn two_processes_do_not_give_one_volume_to_two_storages() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let [one, other] = [(); 2].map(|()| Ledger::new(Arc::clone(&store)));
        one.beside(Arc::new(Other(other.clone())));
        other.beside(Arc::new(Other(one.clone())));
        let (file4, file5) = (storage("File4"), storage("File5"));
        let (place, claim) = one.claim(&volume("V"), &file4, false).await.unwrap();
        assert!(place == Place::Nowhere && claim.is_some());
        let (place, none) = other.claim(&volume("V"), &file5, false).await.unwrap();
        assert!(place == Place::Claimed(file4.clone()) && none.is_none());
        assert_eq!(other.claimed_by(&volume("V")), None, "its own claim is given up");
        let (place, shared) = other.claim(&volume("V"), &file4, false).await.unwrap();
        assert!(place == Place::Nowhere && shared.is_some(), "the same storage may");
        drop((claim, shared));
        let (place, claim) = other.claim(&volume("V"), &file5, false).await.unwrap();
        assert!(place == Place::Nowhere && claim.is_some());
    }

    #[tokio::test]
    async fn a_contradiction_is_told_and_not_kept_unless_the_label_is_fresh() {
        let ledger = ledger();
        ledger.learn(sighting("V", "File4", true)).await.unwrap();
        let known = storage("File4");
        assert_eq!(
            ledger.learn(sighting("V", "File4", false)).await.unwrap(),
            Learned::Same
        );
        assert_eq!(
            ledger.learn(sighting("V", "File5", false)).await.unwrap(),
            Learned::Conflict { known: known.clone() }
        );
        assert_eq!(ledger.holder(&volume("V")).await.unwrap(), Some(known.clone()));
        assert_eq!(
            ledger.learn(sighting("V", "File5", true)).await.unwrap(),
            Learned::Moved { from: known }
        );
        assert_eq!(ledger.holder(&volume("V")).await.unwrap(), Some(storage("File5")));
    }

    #[tokio::test]
    async fn an_import_keeps_what_is_known_unless_told_otherwise() {
        let ledger = ledger();
        ledger.learn(sighting("V", "File4", true)).await.unwrap();
        let rows = vec![assignment("V", "File5"), assignment("W", "File5")];
        let kept = ledger.import(rows.clone(), false, "import").await.unwrap();
        assert_eq!(
            kept,
            [
                Learned::Conflict {
                    known: storage("File4")
                },
                Learned::New
            ]
        );
        let replaced = ledger.import(rows, true, "import").await.unwrap();
        assert_eq!(replaced, [Learned::Moved { from: storage("File4") }, Learned::Same]);
        let wanted = [volume("V"), volume("W"), volume("X")];
        assert_eq!(ledger.holders(&wanted).await.unwrap().len(), 2);
        assert!(ledger.forget(&volume("V")).await.unwrap().is_some());
        assert_eq!(ledger.holder(&volume("V")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_new_volume_goes_to_one_storage_only() {
        let ledger = ledger();
        let (file4, file5) = (storage("File4"), storage("File5"));
        let (place, first) = ledger.claim(&volume("V"), &file4, false).await.unwrap();
        assert_eq!(place, Place::Nowhere);
        // A second job of the same storage shares it; another storage does not get it until both are gone.
        let (place, second) = ledger.claim(&volume("V"), &file4, false).await.unwrap();
        assert_eq!(place, Place::Nowhere);
        drop(first);
        let (place, none) = ledger.claim(&volume("V"), &file5, false).await.unwrap();
        assert_eq!((place, none.is_none()), (Place::Claimed(file4.clone()), true));
        assert_eq!(ledger.claimed_by(&volume("V")), Some(file4.clone()));
        drop(second);
        assert_eq!(ledger.claimed_by(&volume("V")), None);
        let (place, claim) = ledger.claim(&volume("V"), &file5, false).await.unwrap();
        assert_eq!((place, claim.is_some()), (Place::Nowhere, true));
    }

    #[tokio::test]
    async fn a_learned_volume_is_here_or_elsewhere() {
        let ledger = ledger();
        ledger.learn(sighting("V", "File4", true)).await.unwrap();
        let (place, claim) = ledger.claim(&volume("V"), &storage("File4"), false).await.unwrap();
        assert_eq!(place, Place::Here);
        // To its own storage it is claimed, and to another one too if that may only have it moved.
        let (place, none) = ledger.claim(&volume("V"), &storage("File5"), false).await.unwrap();
        assert_eq!((place, none.is_none()), (Place::Elsewhere(storage("File4")), true));
        let (place, none) = ledger.claim(&volume("V"), &storage("File5"), true).await.unwrap();
        assert_eq!((place, none.is_none()), (Place::Claimed(storage("File4")), true));
        drop(claim);
        let (place, moving) = ledger.claim(&volume("V"), &storage("File5"), true).await.unwrap();
        assert_eq!((place, moving.is_some()), (Place::Elsewhere(storage("File4")), true));
        let (place, second) = ledger.claim(&volume("V"), &storage("File5"), false).await.unwrap();
        assert_eq!((place, second.is_some()), (Place::Here, true));
        drop(second);
        let (place, none) = ledger.claim(&volume("V"), &storage("File4"), false).await.unwrap();
        assert_eq!((place, none.is_none()), (Place::Claimed(storage("File5")), true));
        drop(moving);
        assert_eq!(ledger.claimed_by(&volume("V")), None);
    }

    #[test]
    fn of_two_storages_that_ask_at_once_one_gets_the_volume() {
        for _ in 0..50 {
            let ledger = ledger();
            let start = std::sync::Barrier::new(2);
            let given: Vec<_> = std::thread::scope(|scope| {
                let ask = |name: &'static str| {
                    let (ledger, start) = (&ledger, &start);
                    scope.spawn(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                        start.wait();
                        let (place, claim) = runtime
                            .block_on(ledger.claim(&volume("V"), &storage(name), false))
                            .unwrap();
                        if place == Place::Nowhere {
                            runtime.block_on(ledger.learn(sighting("V", name, true))).unwrap();
                        }
                        drop(claim);
                        place
                    })
                };
                let both = [ask("File4"), ask("File5")];
                both.map(|thread| thread.join().unwrap()).to_vec()
            });
            assert_eq!(
                given.iter().filter(|place| **place == Place::Nowhere).count(),
                1,
                "{given:?}"
            );
        }
    }

    #[test]
    fn an_update_shows_what_a_storage_holds() {
        let line = b"CatReq JobId=1 UpdateMedia VolName=V VolJobs=3 VolBlocks=9 VolBytes=900 VolWrites=9 \
            VolStatus=Error relabel=0\n";
        let crate::wire::catalog::CatalogRequest::UpdateMedia(absent) = crate::wire::catalog::parse(line).unwrap()
        else {
            panic!("no UpdateMedia");
        };
        let job = JobName::new("J.1").unwrap();
        assert_eq!(Sighting::of(&absent, &storage("File4"), &job), None);
        let written = UpdateMedia {
            status: crate::wire::catalog::VolumeStatus::Full,
            ..absent
        };
        assert!(!Sighting::of(&written, &storage("File4"), &job).unwrap().fresh_label);
    }
}
