//! What is known of earlier runs of a job: how large they were, where its last full is, where it has been. Kept in
//! memory as long as the process lives; it is filled from the store at start, and no placement waits for a disk.

use std::collections::HashMap;

use crate::types::{Bytes, DirectorName, JobLevel, JobName, JobResourceName, JobType, Moment, StorageName};

use super::member::MemberId;
use super::request::{Origin, PlacementRequest};

/// How many Job resources are remembered. Beyond it the tenth that ran the longest ago is forgotten.
const MOST_JOBS: usize = 50_000;

/// How many runs of one level foretell the next.
const RUNS: usize = 5;

/// How many runs of one job that did not end well are remembered: each of them may be resumed.
const PARTS: usize = 8;

/// What a job is taken to write of which nothing at all is known, so that several of them that start together are not
/// all sent to the one storage with the most room.
const UNKNOWN_SIZE: u64 = 1_000_000_000;

/// A job that has ended on a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastJob {
    /// Whose it was, spelled as in the configuration.
    pub director: DirectorName,
    /// The name of this run.
    pub job: JobName,
    /// The Job resource.
    pub resource: JobResourceName,
    /// Backup, restore and so on; [`JobType::JOB_COPY`] for a copy, which leaves what is known of the original as it
    /// is.
    pub job_type: JobType,
    /// Full, incremental and so on.
    pub level: JobLevel,
    /// Where it was.
    pub storage: StorageName,
    /// When it was placed there.
    pub placed: Moment,
    /// Whether it ended well, with or without warnings.
    pub is_ok: bool,
    /// What it wrote.
    pub bytes: Bytes,
}

impl PastJob {
    /// Whether it put data on its storage.
    pub(super) fn wrote(&self) -> bool {
        matches!(self.job_type, JobType::Backup | JobType::JOB_COPY)
    }
}

/// The runs of one job at one level.
#[derive(Debug)]
pub(super) struct LevelPast {
    level: JobLevel,
    /// The sizes of the last runs that ended well, in a ring.
    sizes: [u64; RUNS],
    known: usize,
    /// The last placement of it on each storage, in the order of these.
    placed: Vec<(MemberId, u64)>,
}

/// The runs of one Job resource of one Director.
#[derive(Debug, Default)]
struct JobPast {
    levels: Vec<LevelPast>,
    /// Where its last good full is, and when that was placed.
    home: Option<(MemberId, Moment)>,
    /// Where the runs were that did not end well, the oldest first.
    parts: Vec<(JobName, MemberId)>,
    /// The number of its last placement.
    touched: u64,
}

impl LevelPast {
    /// The number of the last placement on `member`; 0 is never.
    pub(super) fn last_placed(&self, member: MemberId) -> u64 {
        let at = self.placed.binary_search_by_key(&member, |(known, _)| *known);
        at.ok()
            .and_then(|at| self.placed.get(at))
            .map_or(0, |(_, number)| *number)
    }
}

impl JobPast {
    /// Where the run of this name was, if it did not end well.
    fn part(&self, job: &JobName) -> Option<MemberId> {
        self.parts
            .iter()
            .find_map(|(name, member)| (name == job).then_some(*member))
    }

    fn level(&self, level: JobLevel) -> Option<&LevelPast> {
        self.levels.iter().find(|past| past.level == level)
    }

    fn level_mut(&mut self, level: JobLevel) -> &mut LevelPast {
        let at = self.levels.iter().position(|past| past.level == level);
        let at = at.unwrap_or_else(|| {
            self.levels.push(LevelPast {
                level,
                sizes: [0; RUNS],
                known: 0,
                placed: Vec::new(),
            });
            self.levels.len() - 1
        });
        // It was found or pushed a moment ago.
        #[allow(clippy::indexing_slicing)]
        &mut self.levels[at]
    }
}

/// The mean size of all jobs of a level.
#[derive(Debug)]
struct Typical {
    level: JobLevel,
    sum: u128,
    count: u64,
}

/// What is known of earlier runs.
#[derive(Debug, Default)]
pub(super) struct History {
    jobs: HashMap<DirectorName, HashMap<JobResourceName, JobPast>>,
    count: usize,
    typical: Vec<Typical>,
}

/// What makes a job belong to a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keeps {
    /// The job is resumed, and its first part is there.
    FirstPart,
    /// The last full of it is there.
    LastFull,
}

/// What history says of a job that is to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Foretold {
    /// What it will write, from its own runs of this level.
    pub(super) size: Option<Bytes>,
    /// What is set aside for it: its size, or that of others like it.
    pub(super) set_aside: Bytes,
    /// Where its last good full is.
    pub(super) home: Option<MemberId>,
    /// Where the first part of it is, if it is resumed.
    pub(super) first_part: Option<MemberId>,
}

/// Whether a run of this level is what incrementals are later based on.
fn is_full(level: JobLevel) -> bool {
    matches!(level, JobLevel::Full | JobLevel::VirtualFull)
}

impl History {
    fn find(&self, request: &PlacementRequest) -> Option<&JobPast> {
        self.jobs.get(&request.director)?.get(&request.job_resource)
    }

    fn entry(&mut self, director: &DirectorName, resource: &JobResourceName, number: u64) -> &mut JobPast {
        let known = self.jobs.get(director).is_some_and(|jobs| jobs.contains_key(resource));
        if !known {
            self.count += 1;
            self.forget_surplus();
        }
        let jobs = self.jobs.entry(director.clone()).or_default();
        let past = jobs.entry(resource.clone()).or_default();
        past.touched = past.touched.max(number);
        past
    }

    fn forget_surplus(&mut self) {
        if self.count <= MOST_JOBS {
            return;
        }
        let mut touched: Vec<u64> = self
            .jobs
            .values()
            .flat_map(HashMap::values)
            .map(|past| past.touched)
            .collect();
        let (_, until, _) = touched.select_nth_unstable(MOST_JOBS / 10);
        let until = *until;
        for jobs in self.jobs.values_mut() {
            jobs.retain(|_, past| past.touched > until);
        }
        self.jobs.retain(|_, jobs| !jobs.is_empty());
        // The one that is about to come counts already.
        self.count = self.jobs.values().map(HashMap::len).sum::<usize>() + 1;
    }

    /// What is known for this job.
    pub(super) fn foretell(&self, request: &PlacementRequest) -> Foretold {
        let past = self.find(request);
        let level = past.and_then(|past| past.level(request.level));
        let size = level.and_then(|past| past.sizes.iter().take(past.known).max().copied());
        let typical = || {
            let typical = self.typical.iter().find(|typical| typical.level == request.level)?;
            u64::try_from(typical.sum / u128::from(typical.count.max(1))).ok()
        };
        Foretold {
            size: size.map(Bytes),
            set_aside: Bytes(size.or_else(typical).unwrap_or(UNKNOWN_SIZE)),
            home: past
                .filter(|_| request.origin != Origin::Copy)
                .and_then(|past| past.home)
                .map(|(home, _)| home),
            first_part: past
                .filter(|_| request.origin == Origin::Resumed)
                .and_then(|past| past.part(&request.job)),
        }
    }

    /// The runs of this job at this level.
    pub(super) fn runs(&self, request: &PlacementRequest) -> Option<&LevelPast> {
        self.find(request)?.level(request.level)
    }

    /// A job was placed on `member` as the `number`th.
    pub(super) fn placed(
        &mut self,
        director: &DirectorName,
        resource: &JobResourceName,
        level: JobLevel,
        member: MemberId,
        number: u64,
    ) {
        let past = self.entry(director, resource, number).level_mut(level);
        match past.placed.binary_search_by_key(&member, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, last)) = past.placed.get_mut(at) {
                    *last = number;
                }
            }
            Err(at) => past.placed.insert(at, (member, number)),
        }
    }

    /// A job has ended on `member`.
    pub(super) fn ended(&mut self, job: &PastJob, member: MemberId) {
        if job.job_type != JobType::Backup {
            return;
        }
        let past = self.entry(&job.director, &job.resource, 0);
        past.parts.retain(|(name, _)| *name != job.job);
        if !job.is_ok {
            past.parts.push((job.job.clone(), member));
            let surplus = past.parts.len().saturating_sub(PARTS);
            past.parts.drain(..surplus);
            return;
        }
        // One that began before the last full and ended after it is not the last.
        if is_full(job.level) && past.home.is_none_or(|(_, placed)| placed <= job.placed) {
            past.home = Some((member, job.placed));
        }
        let level = past.level_mut(job.level);
        level.sizes.rotate_right(1);
        if let Some(newest) = level.sizes.first_mut() {
            *newest = job.bytes.0;
        }
        level.known = (level.known + 1).min(RUNS);
        let typical = self.typical.iter_mut().find(|typical| typical.level == job.level);
        match typical {
            Some(typical) => {
                typical.sum += u128::from(job.bytes.0);
                typical.count += 1;
            }
            None => self.typical.push(Typical {
                level: job.level,
                sum: u128::from(job.bytes.0),
                count: 1,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::rig;

    const FIRST: MemberId = MemberId(0);
    const SECOND: MemberId = MemberId(1);

    fn past(level: JobLevel, bytes: u64, is_ok: bool) -> PastJob {
        let request = rig::request("dir", 1);
        PastJob {
            director: request.director,
            job: request.job,
            resource: request.job_resource,
            job_type: JobType::Backup,
            level,
            storage: rig::storage_name("File4"),
            placed: Moment(0),
            is_ok,
            bytes: Bytes(bytes),
        }
    }

    #[test]
    fn a_size_is_foretold_by_the_largest_of_the_last_runs_of_the_level() {
        let mut history = History::default();
        let mut request = rig::request("dir", 1);
        let nothing = history.foretell(&request);
        assert_eq!((nothing.size, nothing.set_aside), (None, Bytes(UNKNOWN_SIZE)));
        for bytes in [90, 10, 20, 30, 20] {
            history.ended(&past(JobLevel::Full, bytes, true), FIRST);
        }
        history.ended(&past(JobLevel::Full, 5000, false), FIRST);
        assert_eq!(history.foretell(&request).size, Some(Bytes(90)));
        history.ended(&past(JobLevel::Full, 25, true), FIRST);
        assert_eq!(
            history.foretell(&request).size,
            Some(Bytes(30)),
            "the largest is six runs old"
        );
        request.level = JobLevel::Incremental;
        assert_eq!(history.foretell(&request).size, None, "another level");
        // Another job of the level: what is typical is set aside, and promises nothing.
        let mut other = rig::request("dir", 1);
        other.job_resource = JobResourceName::new("Other").unwrap();
        let foretold = history.foretell(&other);
        assert_eq!(
            (foretold.size, foretold.set_aside),
            (None, Bytes((90 + 10 + 20 + 30 + 20 + 25) / 6))
        );
        assert_eq!(
            history.foretell(&rig::request("other", 1)).size,
            None,
            "another Director's"
        );
    }

    #[test]
    fn home_is_where_the_last_good_full_is() {
        let mut history = History::default();
        let request = rig::request("dir", 1);
        let home = |history: &History| history.foretell(&request).home;
        history.ended(&past(JobLevel::Incremental, 1, true), FIRST);
        assert_eq!(home(&history), None);
        history.ended(&past(JobLevel::Full, 1, true), FIRST);
        history.ended(&past(JobLevel::Incremental, 1, true), SECOND);
        history.ended(&past(JobLevel::Full, 1, false), SECOND);
        assert_eq!(home(&history), Some(FIRST));
        history.ended(&past(JobLevel::VirtualFull, 1, true), SECOND);
        assert_eq!(home(&history), Some(SECOND));
        for (placed, at) in [(7, FIRST), (5, SECOND)] {
            let full = PastJob {
                placed: Moment(placed),
                ..past(JobLevel::Full, 1, true)
            };
            history.ended(&full, at);
        }
        assert_eq!(home(&history), Some(FIRST), "the second began before it");
        let mut copy = past(JobLevel::Full, 1, true);
        (copy.job_type, copy.placed) = (JobType::JOB_COPY, Moment(9));
        history.ended(&copy, SECOND);
        assert_eq!(home(&history), Some(FIRST), "the original stays where it is");
        let mut of_copy = rig::request("dir", 1);
        of_copy.origin = Origin::Copy;
        assert_eq!(history.foretell(&of_copy).home, None, "a copy is to be elsewhere");
        let mut restore = past(JobLevel::Full, 1, true);
        restore.job_type = JobType::Restore;
        history.ended(&restore, SECOND);
        assert_eq!(home(&history), Some(FIRST));
    }

    #[test]
    fn a_run_that_is_resumed_has_its_first_part_where_it_was() {
        let mut history = History::default();
        let run = |number: usize, is_ok| PastJob {
            job: JobName::new(&format!("Nightly.{number}")).unwrap(),
            ..past(JobLevel::Full, 1, is_ok)
        };
        let part = |history: &History, number, origin| {
            let mut request = rig::request("dir", 1);
            request.job = run(number, false).job;
            request.origin = origin;
            history.foretell(&request).first_part
        };
        history.ended(&run(1, false), FIRST);
        history.ended(&run(2, false), SECOND);
        assert_eq!(part(&history, 1, Origin::Resumed), Some(FIRST));
        assert_eq!(part(&history, 2, Origin::Resumed), Some(SECOND));
        assert_eq!(part(&history, 1, Origin::New), None, "another job of the same name");
        history.ended(&run(1, false), SECOND);
        assert_eq!(part(&history, 1, Origin::Resumed), Some(SECOND), "the last part counts");
        history.ended(&run(2, true), FIRST);
        assert_eq!(part(&history, 2, Origin::Resumed), None, "it is whole");
        for number in 3..3 + PARTS {
            history.ended(&run(number, false), FIRST);
        }
        assert_eq!(part(&history, 1, Origin::Resumed), None, "too long ago");
        assert_eq!(part(&history, 3, Origin::Resumed), Some(FIRST));
    }

    #[test]
    fn placements_are_remembered_by_level_and_storage() {
        let mut history = History::default();
        let request = rig::request("dir", 1);
        let mut place = |level, member, number| {
            history.placed(&request.director, &request.job_resource, level, member, number);
        };
        place(JobLevel::Full, FIRST, 3);
        place(JobLevel::Full, SECOND, 5);
        place(JobLevel::Full, FIRST, 7);
        place(JobLevel::Incremental, SECOND, 9);
        let runs = history.runs(&request).expect("known");
        assert_eq!(
            [FIRST, SECOND, MemberId(2)].map(|member| runs.last_placed(member)),
            [7, 5, 0]
        );
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut history = History::default();
        let director = DirectorName::new("dir").unwrap();
        let name = |number: usize| JobResourceName::new(&format!("Job{number}")).unwrap();
        for number in 1..=MOST_JOBS + 10 {
            let at = u64::try_from(number).unwrap();
            history.placed(&director, &name(number), JobLevel::Full, FIRST, at);
        }
        let left = history.jobs[&director].len();
        assert_eq!(left, history.count);
        assert!((MOST_JOBS * 8 / 10..=MOST_JOBS).contains(&left), "{left} are left");
        let mut request = rig::request("dir", 1);
        for (number, known) in [(1, false), (MOST_JOBS / 2, true), (MOST_JOBS + 10, true)] {
            request.job_resource = name(number);
            assert_eq!(history.runs(&request).is_some(), known, "job {number}");
        }
    }
}
