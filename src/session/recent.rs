//! The last jobs that have ended, with all that was weighed when they were placed; and the last failovers. Kept in
//! memory, and bounded.

use std::collections::VecDeque;
use std::sync::Arc;

use super::jobs::JobFacts;
use crate::group::Explanation;
use crate::types::{Bytes, JobStatus, Moment, StorageName};

/// How many are kept at most.
const MOST_JOBS: usize = 500;

/// How many storages' numbers may be kept in all of them together: groups can be large.
const MOST_JUDGED: usize = 20_000;

/// How many failovers are kept.
const MOST_FAILOVERS: usize = 100;

/// A job that has ended.
#[derive(Debug)]
pub struct EndedJob {
    /// What is known of it from the start.
    pub facts: JobFacts,
    /// Where it was, if it was anywhere.
    pub storage: Option<StorageName>,
    /// What was weighed when it was placed, or could not be.
    pub explanation: Option<Arc<Explanation>>,
    /// When it had its storage.
    pub placed: Option<Moment>,
    /// When it ended.
    pub ended: Moment,
    /// How its session ended, in a word.
    pub end: &'static str,
    /// The status that was reported, if one was.
    pub status: Option<JobStatus>,
    /// What went wrong with its session.
    pub error: Option<String>,
    /// What it wrote or read, as its storage reported it.
    pub bytes: Bytes,
}

impl EndedJob {
    fn judged(&self) -> usize {
        self.explanation
            .as_ref()
            .map_or(0, |explanation| explanation.members.len())
    }
}

/// The last of them.
#[derive(Debug, Default)]
pub(super) struct Recent {
    jobs: VecDeque<Arc<EndedJob>>,
    judged: usize,
}

impl Recent {
    pub(super) fn add(&mut self, job: EndedJob) {
        self.judged += job.judged();
        self.jobs.push_back(Arc::new(job));
        while self.jobs.len() > MOST_JOBS || (self.judged > MOST_JUDGED && self.jobs.len() > 1) {
            let Some(oldest) = self.jobs.pop_front() else { return };
            self.judged -= oldest.judged();
        }
    }

    pub(super) fn youngest_first(&self) -> impl Iterator<Item = &Arc<EndedJob>> {
        self.jobs.iter().rev()
    }
}

/// A storage did not take a job, or lost it before it ran, and the job went on to another.
#[derive(Debug, Clone)]
pub struct FailedOver {
    /// When.
    pub at: Moment,
    /// What is known of the job from its start.
    pub job: JobFacts,
    /// The storage that it left.
    pub from: StorageName,
    /// Why, in a word; one of a fixed set.
    pub cause: &'static str,
    /// The same for people.
    pub error: String,
}

/// The last of them.
#[derive(Debug, Default)]
pub(super) struct Failovers(VecDeque<FailedOver>);

impl Failovers {
    pub(super) fn add(&mut self, failover: FailedOver) {
        self.0.push_back(failover);
        if self.0.len() > MOST_FAILOVERS {
            self.0.pop_front();
        }
    }

    pub(super) fn youngest_first(&self) -> impl Iterator<Item = &FailedOver> {
        self.0.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Judged;
    use crate::types::{ClientName, DirectorName, GroupName, JobId, JobLevel, JobName, JobResourceName, JobType};

    fn facts(number: u32) -> JobFacts {
        JobFacts {
            director: DirectorName::new("dir").unwrap(),
            id: JobId(number),
            name: JobName::new("J.1").unwrap(),
            group: GroupName::new("G").unwrap(),
            resource: JobResourceName::new("J").unwrap(),
            client: ClientName::new("client").unwrap(),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            arrived: Moment(0),
        }
    }

    #[test]
    fn the_last_failovers_are_kept() {
        let mut failovers = Failovers::default();
        for number in 0..250 {
            failovers.add(FailedOver {
                at: Moment(0),
                job: facts(number),
                from: StorageName::new("File4").unwrap(),
                cause: "dial",
                error: String::new(),
            });
        }
        let numbers: Vec<u32> = failovers.youngest_first().map(|failover| failover.job.id.0).collect();
        assert_eq!(numbers.len(), MOST_FAILOVERS);
        assert_eq!(numbers[..2], [249, 248]);
    }

    fn job(number: u32, members: usize) -> EndedJob {
        let judged = Judged {
            storage: StorageName::new("File4").unwrap(),
            running: 0,
            reading: 0,
            limit: 1,
            is_at_target: false,
            is_home: false,
            has_part: false,
            lacks_room: false,
            free: None,
            pace: None,
            weight: 1,
            placed_ago: None,
            had_it_ago: None,
            rank: None,
            ineligible: None,
        };
        EndedJob {
            facts: facts(number),
            storage: None,
            explanation: Some(Arc::new(Explanation {
                members: vec![judged; members],
                ..Explanation::default()
            })),
            placed: None,
            ended: Moment(0),
            end: "ended",
            status: None,
            error: None,
            bytes: Bytes(0),
        }
    }

    #[test]
    fn the_youngest_are_kept_and_memory_is_bounded() {
        let mut recent = Recent::default();
        for number in 0..700 {
            recent.add(job(number, 3));
        }
        let numbers: Vec<u32> = recent.youngest_first().map(|job| job.facts.id.0).collect();
        assert_eq!(numbers.len(), MOST_JOBS);
        assert_eq!(numbers[..2], [699, 698]);
        for number in 0..100 {
            recent.add(job(number, 1_000));
        }
        assert_eq!(recent.youngest_first().count(), 20);
        recent.add(job(7, 1_000_000));
        assert_eq!(
            recent.youngest_first().count(),
            1,
            "the last one stays however large it is"
        );
    }
}
