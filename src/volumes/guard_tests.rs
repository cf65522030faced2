//! Tests of the guard: each rule by hand, and all of them against a Director and several storages that behave as
//! the real ones do.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::store::MemoryStore;
use crate::types::JobName;
use crate::volumes::{JobVolumes, Ledger, Request};

const FIND: &[u8] = b"CatReq JobId=1 FindMedia=1 pool_name=P media_type=File vol_type=1\n";
const NO_MEDIA: &[u8] = b"1901 No Media. \n";

fn storage(name: &str) -> StorageName {
    StorageName::new(name).unwrap()
}

fn elsewhere() -> Place {
    Place::Elsewhere(storage("File4"))
}

fn answer(name: &str, bytes: u64, status: &str) -> MediaAnswer {
    let jobs = u64::from(bytes > 1);
    let line =
        format!("1000 OK VolName={name} VolJobs={jobs} VolBytes={bytes} VolStatus={status} EndFile=0 MediaId=1\n");
    MediaAnswer::parse(line.as_bytes()).unwrap().unwrap()
}

fn find(index: u32) -> Vec<u8> {
    catalog::find_media_with_index(FIND, index).unwrap()
}

fn guard() -> Guard {
    let mut guard = Guard::new(storage("File5"), Strangers::TurnAway);
    assert_eq!(guard.on_request(FIND), FIND);
    guard
}

const PASS: Verdict = Verdict::Pass { note: None };

fn asks(index: u32) -> Verdict {
    Verdict::AskAgain { request: find(index) }
}

/// A question about one volume.
fn named(volume: &str) -> Verdict {
    Verdict::AskAgain {
        request: format!("CatReq JobId=1 GetVolInfo VolName={volume} write=1\n").into_bytes(),
    }
}

fn moved(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass {
            note: Some(note @ Note::Moved { .. }),
        } => note.to_string(),
        other => panic!("{other:?}"),
    }
}

fn refusal(verdict: Verdict) -> (String, String) {
    match verdict {
        Verdict::Refuse { reason, line } => (reason, String::from_utf8(line).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn its_own_volume_and_a_new_one_pass() {
    assert_eq!(guard().on_answer(&answer("V", 900, "Append"), Place::Here), PASS);
    assert_eq!(guard().on_answer(&answer("V", 0, "Append"), Place::Nowhere), PASS);
    assert_eq!(guard().on_answer(&answer("V", 1, "Recycle"), Place::Nowhere), PASS);
}

#[test]
fn another_storages_volume_is_swallowed_and_the_index_runs_on() {
    let mut guard = guard();
    assert_eq!(guard.on_answer(&answer("A", 900, "Append"), elsewhere()), asks(2));
    assert_eq!(
        guard.on_answer(&answer("B", 0, "Append"), Place::Claimed(storage("File6"))),
        asks(3)
    );
    assert_eq!(guard.on_answer(&answer("C", 900, "Append"), Place::Here), PASS);
    // The storage's second request is the Director's fourth.
    assert_eq!(guard.on_request(&find(2)), find(4));
    assert_eq!(guard.on_answer(&answer("D", 900, "Append"), elsewhere()), asks(5));
    // A new search starts from 1.
    assert_eq!(guard.on_request(FIND), FIND);
    assert_eq!(guard.on_answer(&answer("A", 900, "Append"), elsewhere()), asks(2));
}

#[test]
fn a_refusal_after_swallowing_says_why() {
    let mut guard = guard();
    guard.on_answer(&answer("Vol-0001", 900, "Append"), elsewhere());
    guard.on_answer(&answer("Vol-0002", 0, "Append"), Place::Claimed(storage("File6")));
    guard.on_answer(&answer("Vol-0003", 900, "Append"), Place::Nowhere);
    let Verdict::Pass { note: Some(note) } = guard.on_refusal(NO_MEDIA) else {
        panic!()
    };
    insta::assert_snapshot!(note.to_string(), @r#"no volume of File5's own: Vol-0001 is on File4, Vol-0002 is being written by File6, Vol-0003 is on a storage unknown to sdgroup; tell it with "sdgroup volumes assign VOLUME STORAGE"; let the pool make volumes (LabelFormat, a higher MaximumVolumes) or label more for File5"#);
}

#[test]
fn a_refusal_without_swallowing_is_the_directors_own() {
    assert_eq!(guard().on_refusal(NO_MEDIA), PASS);
}

#[test]
fn a_volume_that_comes_back_is_refused_if_it_lives_and_moves_if_it_was_purged() {
    let mut guard = guard();
    assert_eq!(guard.on_answer(&answer("V", 900, "Append"), elsewhere()), asks(2));
    let (reason, line) = refusal(guard.on_answer(&answer("V", 900, "Append"), elsewhere()));
    assert!(
        reason.contains("V is on File4") && line.starts_with("1901 No Media. "),
        "{reason} {line}"
    );

    guard.on_request(FIND);
    assert_eq!(guard.on_answer(&answer("V", 900, "Append"), elsewhere()), asks(2));
    let purged = answer("V", 1, "Recycle");
    assert!(guard.would_move(&purged));
    insta::assert_snapshot!(moved(guard.on_answer(&purged, elsewhere())), @r#"recycled volume "V" moves from File4 to File5; a stale file of that name stays on File4 and can be removed there"#);
}

#[test]
fn a_purged_volume_in_another_jobs_hands_does_not_move() {
    let mut guard = guard();
    let busy = || Place::Claimed(storage("File4"));
    assert_eq!(guard.on_answer(&answer("V", 900, "Append"), busy()), asks(2));
    refusal(guard.on_answer(&answer("V", 1, "Recycle"), busy()));
}

#[test]
fn a_dead_volume_stays_at_home_unless_nothing_else_is_left() {
    let mut guard = guard();
    let (first, last) = (answer("R1", 1, "Recycle"), answer("R2", 1, "Recycle"));
    assert!(!guard.would_move(&first));
    assert_eq!(guard.on_answer(&first, elsewhere()), named("R1"));
    assert_eq!(guard.on_answer(&first, elsewhere()), asks(2));
    assert_eq!(guard.on_answer(&last, elsewhere()), named("R2"));
    assert_eq!(guard.on_answer(&last, elsewhere()), asks(3));
    // Nothing else. The Director may have purged the last one for this search.
    assert_eq!(guard.on_refusal(NO_MEDIA), named("R2"));
    assert!(guard.would_move(&last) && !guard.would_move(&first));
    moved(guard.on_answer(&last, elsewhere()));
    // The storage has no use for it: the other one may go.
    assert_eq!(guard.on_request(&find(2)), find(4));
    assert_eq!(guard.on_refusal(NO_MEDIA), named("R1"));
    moved(guard.on_answer(&first, elsewhere()));
    assert_eq!(guard.on_request(&find(3)), find(5));
    assert!(matches!(
        guard.on_refusal(NO_MEDIA),
        Verdict::Pass {
            note: Some(Note::NoneOfItsOwn { .. })
        }
    ));
}

#[test]
fn its_own_volume_is_taken_before_a_dead_one_of_another_storage() {
    for own in [answer("Own", 1, "Recycle"), answer("New", 0, "Append")] {
        let mut guard = guard();
        let dead = answer("R", 1, "Recycle");
        guard.on_answer(&dead, elsewhere());
        assert_eq!(guard.on_answer(&dead, elsewhere()), asks(2));
        let place = if own.is_recycled() { Place::Here } else { Place::Nowhere };
        assert_eq!(guard.on_answer(&own, place), PASS);
    }
}

#[test]
fn a_dead_volume_that_its_storage_writes_again_does_not_move() {
    let mut guard = guard();
    let (first, last) = (answer("R1", 1, "Recycle"), answer("R2", 1, "Recycle"));
    for dead in [&first, &last] {
        guard.on_answer(dead, elsewhere());
        guard.on_answer(dead, elsewhere());
    }
    assert_eq!(guard.on_refusal(NO_MEDIA), named("R2"));
    assert_eq!(guard.on_answer(&last, Place::Claimed(storage("File4"))), named("R1"));
    let (reason, line) = refusal(guard.on_answer(&answer("R1", 900, "Append"), elsewhere()));
    assert!(reason.contains("R1 is on File4"), "{reason}");
    assert!(reason.contains("R2 is being written by File4"), "{reason}");
    assert!(line.starts_with("1901 No Media. "), "{line}");
}

#[test]
fn a_volume_that_may_not_be_recycled_was_purged_for_this_search_and_moves_at_once() {
    let line = b"1000 OK VolName=V VolJobs=0 VolBytes=1 VolStatus=Recycle EndFile=0 MediaId=1 Recycle=0\n";
    let purged = MediaAnswer::parse(line).unwrap().unwrap();
    let mut guard = guard();
    assert!(guard.would_move(&purged));
    moved(guard.on_answer(&purged, elsewhere()));
}

#[test]
fn of_a_pool_that_gives_up_what_it_purges_no_second_volume_is_purged_in_vain() {
    let mut guard = guard();
    assert_eq!(guard.on_answer(&answer("V9", 1, "Recycle"), elsewhere()), named("V9"));
    let gone = b"1998 Volume \"V9\" catalog status is Recycle, not in Pool.\n";
    assert_eq!(guard.on_refusal(gone), asks(2));
    moved(guard.on_answer(&answer("V8", 1, "Recycle"), elsewhere()));
    // Nor in the job's next search.
    guard.on_request(FIND);
    moved(guard.on_answer(&answer("V7", 1, "Recycle"), elsewhere()));
}

#[test]
fn the_page_about_pools_says_how_many_volumes_a_pool_can_gather() {
    let page = include_str!("../../deploy/docs/pools.md");
    assert!(page.contains(&format!("a pool gathers {MAX_GATHERED} of them at most")));
}

#[test]
fn volumes_of_another_pool_are_not_gathered_without_end() {
    let mut guard = guard();
    for n in 1..MAX_GATHERED {
        guard.gather();
        assert_eq!(
            guard.on_answer(&answer(&format!("V{n}"), 200, "Append"), elsewhere()),
            asks(n + 1)
        );
    }
    let dead = answer("Dead", 1, "Recycle");
    guard.gather();
    assert_eq!(guard.on_answer(&dead, elsewhere()), named("Dead"));
    assert_eq!(guard.on_answer(&dead, elsewhere()), named("Dead"));
    moved(guard.on_answer(&dead, elsewhere()));
    // The next search begins anew.
    guard.on_request(FIND);
    guard.gather();
    assert_eq!(guard.on_answer(&answer("V1", 200, "Append"), elsewhere()), asks(2));
}

#[test]
fn a_stranger_is_turned_away_or_passed_as_told() {
    let stranger = answer("S", 900, "Append");
    assert_eq!(guard().on_answer(&stranger, Place::Nowhere), asks(2));
    let mut alone = Guard::new(storage("File5"), Strangers::Pass);
    alone.on_request(FIND);
    assert!(matches!(
        alone.on_answer(&stranger, Place::Nowhere),
        Verdict::Pass {
            note: Some(Note::Stranger { .. })
        }
    ));
}

#[test]
fn repeats_are_bounded_over_a_search() {
    let mut guard = guard();
    for n in 0..MAX_REPEATS {
        let verdict = guard.on_answer(&answer(&format!("V{n}"), 900, "Append"), elsewhere());
        assert_eq!(verdict, asks(n + 2));
    }
    let (reason, _) = refusal(guard.on_answer(&answer("Last", 900, "Append"), elsewhere()));
    assert!(reason.contains("V4 is on File4 and 496 more"), "{reason}");
}

#[test]
fn a_write_to_a_volume_of_another_storage_is_refused_and_a_read_is_not() {
    let mut guard = Guard::new(storage("File5"), Strangers::TurnAway);
    let write = b"CatReq JobId=1 GetVolInfo VolName=V write=1\n";
    assert_eq!(guard.on_request(write), write);
    assert!(guard.judges());
    let held = answer("V", 900, "Append");
    assert_eq!(guard.on_answer(&held, Place::Here), PASS);
    assert_eq!(guard.on_answer(&held, Place::Nowhere), PASS);
    let (reason, line) = refusal(guard.on_answer(&held, elsewhere()));
    assert!(reason.contains("sdgroup volumes assign V File5"), "{reason}");
    assert_eq!(
        line,
        "1998 Volume \"V\" catalog status is Append, is on storage File4.\n"
    );
    guard.on_request(b"CatReq JobId=1 GetVolInfo VolName=V write=0\n");
    assert_eq!((guard.judges(), guard.on_answer(&held, elsewhere())), (false, PASS));
    assert_eq!(guard.on_refusal(b"1997 Volume \"V\" not in catalog.\n"), PASS);
}

#[test]
fn a_request_that_cannot_be_read_does_not_slip_by() {
    let mut guard = Guard::new(storage("File5"), Strangers::TurnAway);
    guard.on_request(b"CatReq JobId=1 FindMedia= pool_name=P media_type=F vol_type=1\n");
    refusal(guard.on_answer(&answer("V", 900, "Append"), elsewhere()));
}

// A Director, its storages and what is on their disks.

/// The pool in which a volume is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// That of the jobs.
    Pool,
    Scratch,
    /// One to which nobody writes.
    Attic,
}

#[derive(Debug, Clone)]
struct Volume {
    home: Home,
    status: &'static str,
    bytes: u64,
    jobs: u64,
    /// 0: never.
    last_written: u64,
    recycle: bool,
    /// Its retention has passed.
    expired: bool,
    /// The storage whose file holds content that the catalog believes in.
    live_on: Option<usize>,
}

impl Volume {
    fn new(home: Home, recycle: bool) -> Self {
        Self {
            home,
            status: "Append",
            bytes: 0,
            jobs: 0,
            last_written: 0,
            recycle,
            expired: false,
            live_on: None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Pool {
    label_format: bool,
    maximum_volumes: usize,
    recycle: bool,
    /// Where a volume goes when it is purged.
    purged_to: Home,
    oldest: Oldest,
}

/// What becomes of the oldest volume when there is no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oldest {
    Stays,
    /// PurgeOldestVolume.
    Purged,
    /// RecycleOldestVolume.
    Recycled,
}

struct Director {
    pool: Pool,
    volumes: Vec<Volume>,
    time: u64,
    created: usize,
    /// What jobs have in their hands.
    held: Vec<usize>,
    /// What of it they have begun to write.
    written: Vec<usize>,
    /// What steps 7 and 8 have purged in this search.
    purged: Vec<usize>,
}

impl Director {
    fn name(id: usize) -> String {
        format!("Vol-{id:04}")
    }

    /// The order of search of the real one; `offered` is the job's exclude list.
    fn find(&mut self, index: usize, offered: &mut Vec<usize>) -> Option<usize> {
        if index == 1 {
            offered.clear();
        }
        let row = if offered.is_empty() { index - 1 } else { 0 };
        let found = self
            .appendable(row, offered)
            .or_else(|| self.oldest(Home::Pool, "Recycle", offered))
            .or_else(|| self.take_purged(Home::Pool, offered))
            .or_else(|| {
                self.prune();
                self.take_purged(Home::Pool, offered)
            })
            .or_else(|| self.take_from_scratch())
            .or_else(|| self.create())
            .or_else(|| self.drastic());
        offered.extend(found);
        found
    }

    fn with_status<'a>(
        &'a self,
        home: Home,
        status: &'a str,
        offered: &'a [usize],
    ) -> impl Iterator<Item = usize> + 'a {
        let ids = 0..self.volumes.len();
        ids.filter(move |id| {
            let volume = &self.volumes[*id];
            volume.home == home && volume.status == status && !offered.contains(id)
        })
    }

    fn appendable(&self, row: usize, offered: &[usize]) -> Option<usize> {
        let mut found: Vec<_> = self.with_status(Home::Pool, "Append", offered).collect();
        found.sort_by_key(|id| (std::cmp::Reverse(self.volumes[*id].last_written), *id));
        found.get(row).copied()
    }

    fn oldest(&self, home: Home, status: &str, offered: &[usize]) -> Option<usize> {
        self.with_status(home, status, offered)
            .filter(|id| self.volumes[*id].recycle)
            .min_by_key(|id| (self.volumes[*id].last_written, *id))
    }

    fn take_purged(&mut self, home: Home, offered: &[usize]) -> Option<usize> {
        let id = self.oldest(home, "Purged", offered)?;
        self.recycle(id);
        Some(id)
    }

    /// What has expired, up to the first that stays in the pool and may be written again.
    fn prune(&mut self) {
        let mut expired: Vec<_> = self.with_status(Home::Pool, "Full", &[]).collect();
        expired.retain(|id| self.volumes[*id].expired && !self.held.contains(id));
        expired.sort_by_key(|id| (self.volumes[*id].last_written, *id));
        for id in expired {
            self.purge(id);
            if self.volumes[id].home == Home::Pool && self.volumes[id].recycle {
                return;
            }
        }
    }

    fn purge(&mut self, id: usize) {
        let volume = &mut self.volumes[id];
        (volume.status, volume.live_on, volume.home) = ("Purged", None, self.pool.purged_to);
    }

    fn recycle(&mut self, id: usize) {
        let volume = &mut self.volumes[id];
        (volume.status, volume.bytes, volume.jobs, volume.expired) = ("Recycle", 1, 0, false);
        volume.live_on = None;
    }

    fn has_room(&self) -> bool {
        let in_pool = self.volumes.iter().filter(|volume| volume.home == Home::Pool);
        in_pool.count() < self.pool.maximum_volumes
    }

    fn take_from_scratch(&mut self) -> Option<usize> {
        if !self.has_room() {
            return None;
        }
        let append = self.with_status(Home::Scratch, "Append", &[]).next();
        let found = append
            .or_else(|| self.oldest(Home::Scratch, "Recycle", &[]))
            .or_else(|| self.take_purged(Home::Scratch, &[]))?;
        self.volumes[found].home = Home::Pool;
        Some(found)
    }

    fn create(&mut self) -> Option<usize> {
        if !self.pool.label_format || !self.has_room() {
            return None;
        }
        self.created += 1;
        self.volumes.push(Volume::new(Home::Pool, self.pool.recycle));
        Some(self.volumes.len() - 1)
    }

    /// The oldest volume, whatever was offered; in vain if it is dead already, was never written or is being written.
    fn drastic(&mut self) -> Option<usize> {
        let counts = |volume: &Volume| ["Append", "Full"].contains(&volume.status) || volume.recycle;
        let id = (0..self.volumes.len())
            .filter(|id| self.volumes[*id].home == Home::Pool && counts(&self.volumes[*id]))
            .min_by_key(|id| (self.volumes[*id].last_written, *id))?;
        let volume = &self.volumes[id];
        let goes = match self.pool.oldest {
            Oldest::Stays => false,
            Oldest::Purged => {
                let is_live = ["Append", "Full"].contains(&volume.status);
                is_live && volume.last_written > 0 && !self.written.contains(&id)
            }
            Oldest::Recycled => volume.status == "Full" && volume.expired,
        };
        if !goes {
            return None;
        }
        self.purge(id);
        self.recycle(id);
        self.purged.push(id);
        Some(id)
    }

    fn line(&self, found: Option<usize>) -> Vec<u8> {
        let Some(id) = found else {
            return NO_MEDIA.to_vec();
        };
        let volume = &self.volumes[id];
        format!(
            "1000 OK VolName={} VolJobs={} VolBytes={} VolStatus={} EndFile=0 MediaId={id} Recycle={}\n",
            Self::name(id),
            volume.jobs,
            volume.bytes,
            volume.status,
            u8::from(volume.recycle)
        )
        .into_bytes()
    }

    /// The answer to GetVolInfo for writing.
    fn by_name(&self, id: usize) -> Vec<u8> {
        let volume = &self.volumes[id];
        if volume.home == Home::Pool && ["Append", "Recycle"].contains(&volume.status) {
            return self.line(Some(id));
        }
        format!(
            "1998 Volume \"{}\" catalog status is {}, not in Pool.\n",
            Self::name(id),
            volume.status
        )
        .into_bytes()
    }

    /// What a request of the guard's is answered with, and the volume in it.
    fn answer(&mut self, request: &[u8], offered: &mut Vec<usize>) -> (Option<usize>, Vec<u8>) {
        if let Some(index) = catalog::find_media_index(request) {
            let found = self.find(index as usize, offered);
            return (found, self.line(found));
        }
        let CatalogRequest::GetVolInfo(asked) = catalog::parse(request).unwrap() else {
            panic!("{request:?}");
        };
        let id = number(asked.volume.as_str().as_bytes());
        (Some(id), self.by_name(id))
    }
}

/// A job that was given a volume.
struct Job {
    storage: usize,
    volume: usize,
    labelled: bool,
    volumes: JobVolumes,
}

struct World {
    runtime: tokio::runtime::Runtime,
    store: Arc<MemoryStore>,
    ledger: Ledger,
    director: Director,
    jobs: Vec<Job>,
}

#[derive(Debug, Clone)]
enum Act {
    /// A storage looks for a volume; `shares` says whether it takes one that another of its jobs has.
    Search {
        storage: usize,
        shares: bool,
    },
    Label {
        job: usize,
    },
    End {
        job: usize,
        full: bool,
    },
    Expire {
        volume: usize,
    },
    /// The operator purges a volume by hand.
    Purge {
        volume: usize,
    },
    /// sdgroup is killed and started again: its jobs are gone, and so are its claims.
    Restart,
}

fn number(volume: &[u8]) -> usize {
    std::str::from_utf8(volume)
        .unwrap()
        .strip_prefix("Vol-")
        .unwrap()
        .parse()
        .unwrap()
}

impl World {
    fn new(pool: Pool) -> Self {
        let store = Arc::new(MemoryStore::new());
        let ledger = Ledger::new(Arc::clone(&store) as Arc<dyn crate::store::Store>);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let director = Director {
            pool,
            volumes: Vec::new(),
            time: 0,
            created: 0,
            held: Vec::new(),
            written: Vec::new(),
            purged: Vec::new(),
        };
        Self {
            runtime,
            store,
            ledger,
            director,
            jobs: Vec::new(),
        }
    }

    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match *act {
            Act::Search { storage, shares } => self.search(storage, shares)?,
            Act::Label { job } if !self.jobs.is_empty() => self.write(job % self.jobs.len(), false)?,
            Act::End { job, full } if !self.jobs.is_empty() => {
                let job = job % self.jobs.len();
                self.write(job, full)?;
                self.jobs.swap_remove(job);
            }
            Act::Expire { volume } if !self.director.volumes.is_empty() => {
                let volume = volume % self.director.volumes.len();
                self.director.volumes[volume].expired = true;
            }
            Act::Purge { volume } if !self.director.volumes.is_empty() => {
                let volume = volume % self.director.volumes.len();
                let is_free = self.jobs.iter().all(|job| job.volume != volume);
                if is_free && self.director.volumes[volume].last_written > 0 {
                    self.director.purge(volume);
                }
            }
            Act::Restart => {
                self.jobs.clear();
                self.ledger = Ledger::new(Arc::clone(&self.store) as Arc<dyn crate::store::Store>);
            }
            Act::Label { .. } | Act::End { .. } | Act::Expire { .. } | Act::Purge { .. } => {}
        }
        Ok(())
    }

    /// The storage's search loop.
    fn search(&mut self, storage: usize, shares: bool) -> Result<(), TestCaseError> {
        let name = StorageName::new(&format!("File{storage}")).unwrap();
        let job = JobName::new("Job.1").unwrap();
        let mut volumes = JobVolumes::new(self.ledger.clone(), name, Strangers::TurnAway, job);
        let created = self.director.created;
        self.director.purged.clear();
        let taken = self.look(&mut volumes, storage, shares)?;
        prop_assert!(self.director.created <= created + 1, "one search made several volumes");
        self.check_purged(taken)?;
        match taken {
            Some(volume) => self.jobs.push(Job {
                storage,
                volume,
                labelled: false,
                volumes,
            }),
            // Where a pool gives up what it purges, a storage has to search again, with sdgroup or without.
            None if self.director.pool.purged_to == Home::Pool => self.check_nothing_left()?,
            None => {}
        }
        Ok(())
    }

    fn look(&mut self, volumes: &mut JobVolumes, storage: usize, shares: bool) -> Result<Option<usize>, TestCaseError> {
        let (mut offered, mut last) = (Vec::new(), None);
        for index in 1..32 {
            let Some(id) = self.ask(volumes, index, &mut offered)? else {
                break;
            };
            if last == Some(id) {
                break;
            }
            last = Some(id);
            self.check_offer(storage, id)?;
            if self.jobs.iter().any(|job| job.volume == id && job.storage == storage) && !shares {
                continue;
            }
            // The storage asks for the volume by name before it writes.
            let line = format!("CatReq JobId=1 GetVolInfo VolName={} write=1\n", Director::name(id));
            let reply = self.director.by_name(id);
            let verdict = self.runtime.block_on(async {
                volumes.on_request(line.as_bytes()).await.unwrap();
                volumes.on_answer(&reply).await.unwrap()
            });
            prop_assert_eq!(verdict, PASS);
            if reply.starts_with(b"1998") {
                // What the Director takes out of the pool when it purges it cannot be had, with sdgroup or without.
                prop_assert!(self.director.pool.purged_to != Home::Pool);
                break;
            }
            return Ok(Some(id));
        }
        Ok(None)
    }

    /// What was purged for this search is what the job writes to, or what another one writes to already.
    fn check_purged(&self, taken: Option<usize>) -> Result<(), TestCaseError> {
        let is_used = |id: &usize| taken == Some(*id) || self.jobs.iter().any(|job| job.volume == *id);
        let in_vain: Vec<_> = self.director.purged.iter().filter(|id| !is_used(id)).collect();
        // The first that is taken out of the pool is lost: nobody can know before.
        let most = usize::from(self.director.pool.purged_to != Home::Pool) * 2;
        prop_assert!(
            in_vain.len() <= most,
            "purged and not written: {in_vain:?}, taken {taken:?}"
        );
        Ok(())
    }

    fn check_nothing_left(&self) -> Result<(), TestCaseError> {
        prop_assert!(
            !self.director.pool.label_format || !self.director.has_room(),
            "a volume could be made"
        );
        // With volumes in other jobs' hands a purge may give one of those, which ends a real search as well.
        let dead = self.director.oldest(Home::Pool, "Recycle", &[]);
        let dead = dead.or_else(|| self.director.oldest(Home::Pool, "Purged", &[]));
        prop_assert!(dead.is_none() || !self.jobs.is_empty(), "a dead volume could be used");
        Ok(())
    }

    /// One FindMedia of the storage, with all that happens until it has its answer.
    fn ask(
        &mut self,
        volumes: &mut JobVolumes,
        index: u32,
        offered: &mut Vec<usize>,
    ) -> Result<Option<usize>, TestCaseError> {
        self.director.held = self.jobs.iter().map(|job| job.volume).collect();
        let written = self.jobs.iter().filter(|job| job.labelled);
        self.director.written = written.map(|job| job.volume).collect();
        let (request, _) = self.runtime.block_on(volumes.on_request(&find(index))).unwrap();
        let Request::Ask(mut request) = request else {
            return Err(TestCaseError::fail("the Director is not asked"));
        };
        // Each volume may be offered once, looked after once and asked for once.
        for _ in 0..3 * self.director.volumes.len() + 4 {
            let (found, reply) = self.director.answer(&request, offered);
            match self.runtime.block_on(volumes.on_answer(&reply)).unwrap() {
                Verdict::Pass { .. } => return Ok(found.filter(|_| reply.starts_with(b"1000"))),
                Verdict::Refuse { .. } => return Ok(None),
                Verdict::AskAgain { request: again } => request = again,
            }
        }
        Err(TestCaseError::fail("the guard asks for ever"))
    }

    /// The point of it all.
    fn check_offer(&self, storage: usize, id: usize) -> Result<(), TestCaseError> {
        let volume = &self.director.volumes[id];
        prop_assert!(
            volume.live_on.is_none_or(|holder| holder == storage),
            "File{} was offered {} with live content: {:?}",
            storage,
            Director::name(id),
            volume
        );
        let other = self.jobs.iter().find(|job| job.volume == id && job.storage != storage);
        prop_assert!(
            other.is_none(),
            "{} is in the hands of another storage",
            Director::name(id)
        );
        Ok(())
    }

    /// The job's storage writes: a label first, if the volume has none or is recycled.
    fn write(&mut self, job: usize, full: bool) -> Result<(), TestCaseError> {
        let job = &mut self.jobs[job];
        self.director.time += 1;
        let volume = &mut self.director.volumes[job.volume];
        let label = !job.labelled && (volume.bytes == 0 || volume.status == "Recycle");
        if label {
            (volume.bytes, volume.jobs) = (200, 0);
        } else {
            let live_here = volume.live_on == Some(job.storage) || (volume.live_on.is_none() && job.labelled);
            prop_assert!(
                live_here || volume.status == "Recycle",
                "File{} appends to {:?}",
                job.storage,
                volume
            );
            (volume.bytes, volume.jobs) = (volume.bytes + 100, volume.jobs + 1);
        }
        job.labelled = true;
        (volume.status, volume.last_written) = (if full { "Full" } else { "Append" }, self.director.time);
        volume.live_on = Some(job.storage);
        let line = format!(
            "CatReq JobId=1 UpdateMedia VolName={} VolJobs={} VolBlocks={} VolBytes={} VolWrites=1 VolStatus={} relabel={}\n",
            Director::name(job.volume),
            volume.jobs,
            volume.jobs,
            volume.bytes,
            volume.status,
            u8::from(label)
        );
        let (_, learned) = self.runtime.block_on(job.volumes.on_request(line.as_bytes())).unwrap();
        let conflict = matches!(learned, Some(crate::volumes::Learned::Conflict { .. }));
        prop_assert!(!conflict, "the ledger holds another storage to be right");
        let answer = self.director.line(Some(job.volume));
        prop_assert_eq!(number(&answer[16..24]), job.volume);
        prop_assert_eq!(self.runtime.block_on(job.volumes.on_answer(&answer)).unwrap(), PASS);
        Ok(())
    }
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..3_usize, any::<bool>()).prop_map(|(storage, shares)| Act::Search { storage, shares }),
        4 => any::<usize>().prop_map(|job| Act::Label { job }),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(job, full)| Act::End { job, full }),
        1 => any::<usize>().prop_map(|volume| Act::Expire { volume }),
        1 => any::<usize>().prop_map(|volume| Act::Purge { volume }),
        1 => Just(Act::Restart),
    ]
}

fn pools() -> impl Strategy<Value = Pool> {
    let homes = prop_oneof![4 => Just(Home::Pool), 1 => Just(Home::Scratch), 1 => Just(Home::Attic)];
    let oldest = prop_oneof![Just(Oldest::Stays), Just(Oldest::Purged), Just(Oldest::Recycled)];
    let most = prop_oneof![0..6_usize, Just(10_000)];
    (any::<bool>(), most, any::<bool>(), homes, oldest).prop_map(
        |(label_format, maximum_volumes, recycle, purged_to, oldest)| Pool {
            label_format,
            maximum_volumes,
            recycle,
            purged_to,
            oldest,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_storage_is_ever_handed_anothers_volume(
        pool in pools(), labelled in 0..4_usize, scratch in 0..4_usize, acts in prop::collection::vec(acts(), 1..60)
    ) {
        let mut world = World::new(pool);
        // Records that the operator added, without a file anywhere.
        for (home, count) in [(Home::Pool, labelled), (Home::Scratch, scratch)] {
            world.director.volumes.extend((0..count).map(|_| Volume::new(home, pool.recycle)));
        }
        for act in &acts {
            world.act(act)?;
        }
    }
}
