//! The volumes of one job on one storage: the guard, the ledger and the job's claims together.

use std::collections::HashMap;

use super::guard::{Guard, Place, Strangers, Verdict};
use super::ledger::{Claim, ClaimError, Learned, Ledger, Sighting};
use crate::store::StoreError;
use crate::types::{JobName, MediaType, PoolName, StorageName, VolumeName};
use crate::wire::catalog::{self, CatalogError, CatalogRequest, MediaAnswer, UpdateMedia};

/// What a storage without room is told while the job may go to another. What the Director would do for it, it has done
/// when its answer arrives: asked for a volume without making one, it gives up the oldest volume of a pool that says so
/// (Bacula `src/dird/next_vol.c`), and the job would then be written elsewhere.
const NO_ROOM: &str = "The storage has no room, and the job may go to another one.";

/// Why an answer could not be judged. The job cannot go on: an answer that is not understood could name any volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// The answer cannot be read.
    #[error("the Director's answer about a volume cannot be read: {0}")]
    Answer(#[from] CatalogError),
    /// The ledger cannot be read or written.
    #[error("the volume ledger failed: {0}")]
    Store(#[from] StoreError),
}

/// What passes between one job's storage and its Director about volumes. Dropping it, when the job ends, lets the
/// volume go that it claimed.
#[derive(Debug)]
pub struct JobVolumes {
    ledger: Ledger,
    guard: Guard,
    job: JobName,
    media_type: Option<MediaType>,
    pool: Option<PoolName>,
    claims: HashMap<VolumeName, Claim>,
    turned: Option<(VolumeName, Place)>,
    lack: Option<Lack>,
    can_leave: bool,
}

/// What to do with a storage's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Send this to the Director in its place.
    Ask(Vec<u8>),
    /// Do not trouble the Director, and send this to the storage as its answer.
    Answer(Vec<u8>),
}

/// Why a storage has no volume that a job can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Its last search found only volumes of others.
    Volumes,
    /// Its file system is full, by its own word.
    Room,
}

impl JobVolumes {
    /// For `job` on `storage`.
    #[must_use]
    pub fn new(ledger: Ledger, storage: StorageName, strangers: Strangers, job: JobName) -> Self {
        let guard = Guard::new(storage, strangers);
        Self {
            ledger,
            guard,
            job,
            media_type: None,
            pool: None,
            claims: HashMap::new(),
            turned: None,
            lack: None,
            can_leave: false,
        }
    }

    /// Whether the job may still go to another storage, as long as this one has not reserved a device for it.
    pub fn set_can_leave(&mut self, can_leave: bool) {
        self.can_leave = can_leave;
    }

    /// The words that the ledger notes beside the volumes of this job, from `use storage`.
    pub fn note_names(&mut self, media_type: Option<MediaType>, pool: Option<PoolName>) {
        self.media_type = media_type;
        self.pool = pool;
    }

    /// Takes a `CatReq` line of the storage: learns from it, and returns what to do with it.
    /// What was learned is on disk when this returns; it also says what became of it, which is worth telling when it
    /// is [`Learned::Moved`] or [`Learned::Conflict`].
    ///
    /// # Errors
    /// When the ledger cannot be written. The line must not go on then.
    pub async fn on_request(&mut self, line: &[u8]) -> Result<(Request, Option<Learned>), StoreError> {
        let learned = match catalog::parse(line) {
            Ok(CatalogRequest::UpdateMedia(update)) => self.learn(&update).await?,
            Ok(CatalogRequest::FindMedia(find)) => {
                // A storage that looks for a volume has none in its hands for the job: it is done with those that it
                // was given before, or did not want them.
                self.claims.clear();
                let is_full = find.creates == Some(false);
                self.lack = is_full.then_some(Lack::Room);
                if is_full && self.can_leave && self.guard.keeps_apart() {
                    return Ok((Request::Answer(catalog::no_media(NO_ROOM)), None));
                }
                None
            }
            _ => None,
        };
        Ok((Request::Ask(self.guard.on_request(line)), learned))
    }

    /// Takes the Director's answer to the last request and says what to do with it.
    ///
    /// # Errors
    /// When the answer or the ledger cannot be read.
    pub async fn on_answer(&mut self, line: &[u8]) -> Result<Verdict, JudgeError> {
        self.turned = None;
        if !self.guard.judges() {
            return Ok(Verdict::Pass { note: None });
        }
        let Some(answer) = MediaAnswer::parse(line)? else {
            let verdict = self.guard.on_refusal(line);
            if matches!(verdict, Verdict::Pass { note: Some(_) } | Verdict::Refuse { .. }) {
                self.lack.get_or_insert(Lack::Volumes);
            }
            return Ok(verdict);
        };
        let (is_offer, moving) = (self.guard.awaits_offer(), self.guard.would_move(&answer));
        let claimed = self.ledger.claim(&answer.volume, self.guard.storage(), moving).await;
        let (place, claim) = match claimed {
            Ok(claimed) => claimed,
            Err(ClaimError::Store(error)) => return Err(error.into()),
            // The storage lacks nothing that another one has.
            Err(ClaimError::Silent(silence)) => return Ok(self.guard.on_silence(&answer, &silence)),
        };
        if is_offer && matches!(place, Place::Elsewhere(_)) && self.was_gathered(&answer).await? {
            self.guard.gather();
        }
        let verdict = self.guard.on_answer(&answer, place.clone());
        match (&verdict, claim) {
            (Verdict::Pass { .. }, Some(claim)) => {
                self.claims.insert(answer.volume, claim);
            }
            (Verdict::AskAgain { .. }, _) if is_offer => self.turned = Some((answer.volume, place)),
            (Verdict::Refuse { .. }, _) => {
                self.lack.get_or_insert(Lack::Volumes);
            }
            _ => {}
        }
        Ok(verdict)
    }

    /// What the storage lacks after its last search, if it lacks anything that another storage may have.
    #[must_use]
    pub fn lack(&self) -> Option<Lack> {
        self.lack
    }

    /// The volume that the Director offered last and that was swallowed, and where it is.
    #[must_use]
    pub fn turned(&self) -> Option<&(VolumeName, Place)> {
        self.turned.as_ref()
    }

    /// Whether the volume holds nothing and came into the job's pool from another one, which only the Director does.
    async fn was_gathered(&self, answer: &MediaAnswer) -> Result<bool, StoreError> {
        let Some(pool) = self.pool.as_ref().filter(|_| answer.is_idle()) else {
            return Ok(false);
        };
        let known = self.ledger.pool(&answer.volume).await?;
        Ok(known.is_some_and(|known| known != *pool))
    }

    async fn learn(&self, update: &UpdateMedia) -> Result<Option<Learned>, StoreError> {
        let Some(mut sighting) = Sighting::of(update, self.guard.storage(), &self.job) else {
            return Ok(None);
        };
        sighting.media_type.clone_from(&self.media_type);
        sighting.pool.clone_from(&self.pool);
        self.ledger.learn(sighting).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::MemoryStore;
    use crate::volumes::{RivalAnswer, Rivals, Silence};

    const FIND: &[u8] = b"CatReq JobId=1 FindMedia=1 pool_name=P media_type=File vol_type=1\n";
    const NEW: &[u8] = b"1000 OK VolName=V VolJobs=0 VolBytes=0 VolStatus=Append EndFile=0 MediaId=1\n";
    const LABELLED: &[u8] = b"CatReq JobId=1 UpdateMedia VolName=V VolJobs=0 VolBlocks=0 VolBytes=214 VolWrites=1 \
        VolStatus=Append relabel=1\n";

    fn storage(name: &str) -> StorageName {
        StorageName::new(name).unwrap()
    }

    fn job(ledger: &Ledger, name: &str) -> JobVolumes {
        let job = JobName::new("Nightly.2026-11-23_00.20.37_03").unwrap();
        JobVolumes::new(ledger.clone(), storage(name), Strangers::TurnAway, job)
    }

    #[tokio::test]
    async fn a_new_volume_is_the_jobs_until_it_ends_and_the_storages_once_it_is_labelled() {
        let ledger = Ledger::new(Arc::new(MemoryStore::new()));
        let volume = VolumeName::new("V").unwrap();
        let mut first = job(&ledger, "File4");
        first.note_names(None, Some(PoolName::new("P").unwrap()));
        first.on_request(FIND).await.unwrap();
        assert_eq!(first.on_answer(NEW).await.unwrap(), Verdict::Pass { note: None });
        assert_eq!(ledger.claimed_by(&volume), Some(storage("File4")));

        let mut second = job(&ledger, "File5");
        second.on_request(FIND).await.unwrap();
        assert!(matches!(second.on_answer(NEW).await.unwrap(), Verdict::AskAgain { .. }));

        let (line, learned) = first.on_request(LABELLED).await.unwrap();
        assert_eq!((line, learned), (Request::Ask(LABELLED.to_vec()), Some(Learned::New)));
        drop(first);
        assert_eq!(ledger.claimed_by(&volume), None);
        let listed = ledger.list(Some(&storage("File4"))).await.unwrap();
        assert_eq!(listed[0].pool.as_ref().map(PoolName::as_str), Some("P"));
        assert_eq!(listed[0].updated_by.as_deref(), Some("Nightly.2026-11-23_00.20.37_03"));
        second.on_request(FIND).await.unwrap();
        assert!(matches!(second.on_answer(NEW).await.unwrap(), Verdict::AskAgain { .. }));
    }

    #[tokio::test]
    async fn a_volume_that_the_storage_did_not_want_is_not_kept_from_others() {
        let ledger = Ledger::new(Arc::new(MemoryStore::new()));
        let volume = VolumeName::new("V").unwrap();
        let mut first = job(&ledger, "File4");
        first.on_request(FIND).await.unwrap();
        first.on_answer(NEW).await.unwrap();
        assert_eq!(ledger.claimed_by(&volume), Some(storage("File4")));
        let next = catalog::find_media_with_index(FIND, 2).unwrap();
        first.on_request(&next).await.unwrap();
        assert_eq!(ledger.claimed_by(&volume), None);
    }

    #[tokio::test]
    async fn a_storage_without_room_is_given_nothing_while_its_job_can_go_elsewhere() {
        let full = b"CatReq JobId=1 FindMedia=1 pool_name=P media_type=File vol_type=1 create=0\n";
        let mut volumes = job(&Ledger::new(Arc::new(MemoryStore::new())), "File4");
        volumes.set_can_leave(true);
        let (request, _) = volumes.on_request(full).await.unwrap();
        assert!(matches!(request, Request::Answer(line) if line.starts_with(b"1901 No Media. ")));
        assert_eq!(volumes.lack(), Some(Lack::Room));
        // With room, or once the job stays here, the Director is asked.
        assert_eq!(volumes.on_request(FIND).await.unwrap().0, Request::Ask(FIND.to_vec()));
        volumes.set_can_leave(false);
        assert_eq!(volumes.on_request(full).await.unwrap().0, Request::Ask(full.to_vec()));
    }

    /// Another process, which hangs.
    #[derive(Debug)]
    struct Hangs;

    impl Rivals for Hangs {
        fn claimed_by(&self, _: &VolumeName, _: &StorageName) -> RivalAnswer {
            let cause = "timed out".to_owned();
            Box::pin(async { Err(Silence { pid: 7, cause }) })
        }
    }

    #[tokio::test]
    async fn a_storage_waits_for_a_volume_while_another_process_does_not_say_whose_it_is() {
        let ledger = Ledger::new(Arc::new(MemoryStore::new()));
        ledger.beside(Arc::new(Hangs));
        let mut volumes = job(&ledger, "File4");
        let refusal = |verdict| match verdict {
            Verdict::Refuse { reason, line } => (reason, String::from_utf8(line).unwrap()),
            verdict => panic!("{verdict:?}"),
        };
        volumes.on_request(FIND).await.unwrap();
        let (reason, line) = refusal(volumes.on_answer(NEW).await.unwrap());
        assert!(
            line.starts_with("1901 No Media. File4 is not given volume \"V\" now: process 7 "),
            "{line}"
        );
        assert!(
            reason.ends_with("does not answer (timed out); end it if it hangs"),
            "{reason}"
        );
        let write = b"CatReq JobId=1 GetVolInfo VolName=V write=1\n";
        volumes.on_request(write).await.unwrap();
        let (_, line) = refusal(volumes.on_answer(NEW).await.unwrap());
        assert!(
            line.starts_with("1998 Volume \"V\" catalog status is Append, "),
            "{line}"
        );
        assert_eq!(ledger.claimed_by(&VolumeName::new("V").unwrap()), None);
        assert_eq!(volumes.lack(), None);
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_does_not_pass() {
        let ledger = Ledger::new(Arc::new(MemoryStore::new()));
        let mut volumes = job(&ledger, "File4");
        volumes.on_request(FIND).await.unwrap();
        let error = volumes.on_answer(b"1000 OK VolName=V VolJobs=0\n").await.unwrap_err();
        assert_eq!(error, JudgeError::Answer(CatalogError::Missing("VolBytes")));
        // Nor does it matter where the answer decides nothing.
        volumes.on_request(LABELLED).await.unwrap();
        assert_eq!(
            volumes.on_answer(b"1000 OK VolName=V\n").await.unwrap(),
            Verdict::Pass { note: None }
        );
    }
}
