//! All rules of the guard against a Director, its storages and what is on their disks, which behave as the real ones
//! do.

use std::sync::Arc;

use proptest::prelude::*;

use super::tests::{NO_MEDIA, PASS, find};
use super::*;
use crate::store::MemoryStore;
use crate::types::JobName;
use crate::volumes::{JobVolumes, Ledger, Request};

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
