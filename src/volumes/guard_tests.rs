//! Tests of the guard: each rule by hand, and all of them against a Director and several storages that behave as
//! the real ones do.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::store::MemoryStore;
use crate::types::JobName;
use crate::volumes::{JobVolumes, Ledger};

const FIND: &[u8] = b"CatReq JobId=1 FindMedia=1 pool_name=P media_type=File vol_type=1\n";

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
    let Verdict::Pass { note: Some(note) } = guard.on_refusal(b"1901 No Media. \n") else {
        panic!()
    };
    insta::assert_snapshot!(note.to_string(), @r#"no volume of File5's own: Vol-0001 is on File4, Vol-0002 is being written by File6, Vol-0003 is on a storage unknown to sdgroup; tell it with "sdgroup volumes assign VOLUME STORAGE"; let the pool make volumes (LabelFormat, a higher MaximumVolumes) or label more for File5"#);
}

#[test]
fn a_refusal_without_swallowing_is_the_directors_own() {
    assert_eq!(guard().on_refusal(b"1901 No Media. \n"), PASS);
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
    let Verdict::Pass { note: Some(note) } = guard.on_answer(&purged, elsewhere()) else {
        panic!()
    };
    insta::assert_snapshot!(note.to_string(), @r#"recycled volume "V" moves from File4 to File5; a stale file of that name stays on File4 and can be removed there"#);
}

#[test]
fn a_purged_volume_in_another_jobs_hands_does_not_move() {
    let mut guard = guard();
    let busy = || Place::Claimed(storage("File4"));
    assert_eq!(guard.on_answer(&answer("V", 900, "Append"), busy()), asks(2));
    refusal(guard.on_answer(&answer("V", 1, "Recycle"), busy()));
}

#[test]
fn a_recycled_volume_stays_at_home_unless_nothing_else_is_left() {
    let mut guard = guard();
    let recycled = answer("R", 1, "Recycle");
    assert!(!guard.would_move(&recycled));
    assert_eq!(guard.on_answer(&recycled, elsewhere()), asks(2));
    // Nothing else: the Director forgets its list, and the same volume may go now.
    assert_eq!(guard.on_refusal(b"1901 No Media. \n"), asks(1));
    assert!(guard.would_move(&recycled));
    assert!(matches!(
        guard.on_answer(&recycled, elsewhere()),
        Verdict::Pass {
            note: Some(Note::Moved { .. })
        }
    ));
    // It was given once in this search, and is not given again.
    assert_eq!(guard.on_request(&find(2)), find(2));
    assert_eq!(guard.on_answer(&recycled, Place::Here), asks(3));
    assert!(matches!(
        guard.on_refusal(b"1901 No Media. \n"),
        Verdict::Pass {
            note: Some(Note::NoneOfItsOwn { .. })
        }
    ));
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

#[derive(Debug, Clone)]
struct Volume {
    status: &'static str,
    bytes: u64,
    jobs: u64,
    last_written: u64,
    /// Its retention has passed.
    expired: bool,
    /// The storage whose file holds content that the catalog believes in.
    live_on: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Pool {
    label_format: bool,
    maximum_volumes: usize,
    purge_oldest: bool,
    recycle_oldest: bool,
}

struct Director {
    pool: Pool,
    volumes: Vec<Volume>,
    time: u64,
    created: usize,
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
        let free = |volumes: &[Volume], status: &str| -> Vec<usize> {
            (0..volumes.len())
                .filter(|id| volumes[*id].status == status && !offered.contains(id))
                .collect()
        };
        let mut append = free(&self.volumes, "Append");
        append.sort_by_key(|id| (std::cmp::Reverse(self.volumes[*id].last_written), *id));
        let mut found = append.get(row).copied();
        let oldest = |volumes: &[Volume], mut ids: Vec<usize>| {
            ids.sort_by_key(|id| (volumes[*id].last_written, *id));
            ids.first().copied()
        };
        found = found.or_else(|| oldest(&self.volumes, free(&self.volumes, "Recycle")));
        if found.is_none() {
            found = oldest(&self.volumes, free(&self.volumes, "Purged"));
            if found.is_none() {
                for volume in self
                    .volumes
                    .iter_mut()
                    .filter(|volume| volume.expired && volume.status == "Full")
                {
                    volume.status = "Purged";
                }
                found = oldest(&self.volumes, free(&self.volumes, "Purged"));
            }
            if let Some(id) = found {
                self.recycle(id);
            }
        }
        if found.is_none() && self.pool.label_format && self.volumes.len() < self.pool.maximum_volumes {
            self.created += 1;
            self.volumes.push(Volume {
                status: "Append",
                bytes: 0,
                jobs: 0,
                last_written: 0,
                expired: false,
                live_on: None,
            });
            found = Some(self.volumes.len() - 1);
        }
        if found.is_none() && (self.pool.purge_oldest || self.pool.recycle_oldest) {
            found = oldest(&self.volumes, (0..self.volumes.len()).collect());
            found = found.filter(|id| self.pool.purge_oldest || self.volumes[*id].expired);
            if let Some(id) = found {
                self.recycle(id);
            }
        }
        offered.extend(found);
        found
    }

    fn recycle(&mut self, id: usize) {
        let volume = &mut self.volumes[id];
        (volume.status, volume.bytes, volume.jobs, volume.expired) = ("Recycle", 1, 0, false);
        volume.live_on = None;
    }

    fn line(&self, found: Option<usize>) -> Vec<u8> {
        let Some(id) = found else {
            return b"1901 No Media. \n".to_vec();
        };
        let volume = &self.volumes[id];
        format!(
            "1000 OK VolName={} VolJobs={} VolBytes={} VolStatus={} EndFile=0 MediaId={id}\n",
            Self::name(id),
            volume.jobs,
            volume.bytes,
            volume.status
        )
        .into_bytes()
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
            Act::Restart => {
                self.jobs.clear();
                self.ledger = Ledger::new(Arc::clone(&self.store) as Arc<dyn crate::store::Store>);
            }
            Act::Label { .. } | Act::End { .. } | Act::Expire { .. } => {}
        }
        Ok(())
    }

    /// The storage's search loop.
    fn search(&mut self, storage: usize, shares: bool) -> Result<(), TestCaseError> {
        let name = StorageName::new(&format!("File{storage}")).unwrap();
        let job = JobName::new("Job.1").unwrap();
        let mut volumes = JobVolumes::new(self.ledger.clone(), name, Strangers::TurnAway, job);
        let (mut offered, mut last, created) = (Vec::new(), None, self.director.created);
        for index in 1..32 {
            let Some(id) = self.ask(&mut volumes, index, &mut offered)? else {
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
            let reply = self.director.line(Some(id));
            let verdict = self.runtime.block_on(async {
                volumes.on_request(line.as_bytes()).await.unwrap();
                volumes.on_answer(&reply).await.unwrap()
            });
            prop_assert_eq!(verdict, PASS);
            self.jobs.push(Job {
                storage,
                volume: id,
                labelled: false,
                volumes,
            });
            prop_assert!(self.director.created <= created + 1, "one search made several volumes");
            return Ok(());
        }
        prop_assert!(self.director.created <= created + 1, "one search made several volumes");
        let pool = self.director.pool;
        prop_assert!(
            !pool.label_format || self.director.volumes.len() >= pool.maximum_volumes,
            "a volume could be made"
        );
        // With volumes in other jobs' hands a purge may give one of those, which ends a real search as well.
        let dead = self
            .director
            .volumes
            .iter()
            .any(|volume| ["Recycle", "Purged"].contains(&volume.status));
        prop_assert!(!dead || !self.jobs.is_empty(), "a recycled volume could be used");
        Ok(())
    }

    /// One FindMedia of the storage, with all that happens until it has its answer.
    fn ask(
        &mut self,
        volumes: &mut JobVolumes,
        index: u32,
        offered: &mut Vec<usize>,
    ) -> Result<Option<usize>, TestCaseError> {
        let mut request = self.runtime.block_on(volumes.on_request(&find(index))).unwrap().0;
        // Each volume may be offered twice: while recycled ones stay at home, and when they may move.
        for _ in 0..2 * self.director.volumes.len() + 4 {
            let index = catalog::find_media_index(&request).unwrap() as usize;
            let found = self.director.find(index, offered);
            let reply = self.director.line(found);
            match self.runtime.block_on(volumes.on_answer(&reply)).unwrap() {
                Verdict::Pass { .. } => return Ok(found),
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
        1 => Just(Act::Restart),
    ]
}

fn pools() -> impl Strategy<Value = Pool> {
    (
        any::<bool>(),
        prop_oneof![0..6_usize, Just(10_000)],
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(label_format, maximum_volumes, purge_oldest, recycle_oldest)| Pool {
            label_format,
            maximum_volumes,
            purge_oldest,
            recycle_oldest,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_storage_is_ever_handed_anothers_volume(
        pool in pools(), labelled in 0..4_usize, acts in prop::collection::vec(acts(), 1..60)
    ) {
        let mut world = World::new(pool);
        // Records that the operator added, without a file anywhere.
        for _ in 0..labelled {
            world.director.volumes.push(Volume {
                status: "Append", bytes: 0, jobs: 0, last_written: 0, expired: false, live_on: None,
            });
        }
        for act in &acts {
            world.act(act)?;
        }
    }
}
