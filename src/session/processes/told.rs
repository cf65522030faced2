//! What a process tells of its jobs and sessions to the one that has taken over from it, whose operator asks.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::group::Condition;
use crate::session::{JobFacts, JobView, Progress, SessionFacts, SessionView, Wait};
use crate::telemetry::event::SessionKind;
use crate::types::{
    ClientName, DirectorName, GroupName, JobId, JobLevel, JobName, JobResourceName, JobType, Moment, StorageName,
};

/// A job that runs or waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTold {
    director: String,
    job_id: u32,
    job: String,
    group: String,
    resource: String,
    client: String,
    job_type: u8,
    level: u8,
    arrived: i64,
    storage: Option<String>,
    placed: Option<i64>,
    waits: Option<WaitTold>,
    to_storage_bytes: u64,
    from_storage_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WaitTold {
    is_down: bool,
    ahead: usize,
    since: i64,
}

impl JobTold {
    pub(super) fn of(view: &JobView) -> Self {
        let JobView { facts, progress, .. } = view;
        let (to_storage_bytes, from_storage_bytes) = view.moved;
        Self {
            director: facts.director.to_string(),
            job_id: facts.id.0,
            job: facts.name.to_string(),
            group: facts.group.to_string(),
            resource: facts.resource.to_string(),
            client: facts.client.to_string(),
            job_type: facts.job_type.code(),
            level: facts.level.code(),
            arrived: facts.arrived.0,
            storage: progress.storage.as_ref().map(ToString::to_string),
            placed: progress.placed.map(|placed| placed.0),
            waits: progress.waits.map(|wait| WaitTold {
                is_down: wait.condition == Condition::Down,
                ahead: wait.ahead,
                since: wait.since.0,
            }),
            to_storage_bytes,
            from_storage_bytes,
        }
    }

    /// As the process `pid` has told it; None for names that are none.
    pub(super) fn view(self, pid: u32) -> Option<JobView> {
        let facts = JobFacts {
            director: DirectorName::new(&self.director).ok()?,
            id: JobId(self.job_id),
            name: JobName::new(&self.job).ok()?,
            group: GroupName::new(&self.group).ok()?,
            resource: JobResourceName::new(&self.resource).ok()?,
            client: ClientName::new(&self.client).ok()?,
            job_type: JobType::from_code(self.job_type),
            level: JobLevel::from_code(self.level),
            arrived: Moment(self.arrived),
        };
        let progress = Progress {
            storage: self
                .storage
                .map(|storage| StorageName::new(&storage))
                .transpose()
                .ok()?,
            placed: self.placed.map(Moment),
            explanation: None,
            waits: self.waits.map(|wait| Wait {
                condition: if wait.is_down { Condition::Down } else { Condition::Busy },
                ahead: wait.ahead,
                since: Moment(wait.since),
            }),
        };
        Some(JobView {
            process: Some(pid),
            facts,
            progress,
            moved: (self.to_storage_bytes, self.from_storage_bytes),
        })
    }
}

/// A session whose caller is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTold {
    number: u64,
    kind: String,
    peer: SocketAddr,
    director: String,
    group: String,
    job: Option<String>,
    began: i64,
}

impl SessionTold {
    pub(super) fn of(view: &SessionView) -> Self {
        let facts = &view.facts;
        Self {
            number: view.number,
            kind: facts.kind.as_str().to_owned(),
            peer: facts.peer,
            director: facts.director.to_string(),
            group: facts.group.to_string(),
            job: facts.job.as_ref().map(ToString::to_string),
            began: view.began.0,
        }
    }

    /// As the process `pid` has told it; None for names that are none.
    pub(super) fn view(self, pid: u32) -> Option<SessionView> {
        Some(SessionView {
            process: Some(pid),
            number: self.number,
            facts: SessionFacts {
                kind: SessionKind::from_word(&self.kind)?,
                peer: self.peer,
                director: DirectorName::new(&self.director).ok()?,
                group: GroupName::new(&self.group).ok()?,
                job: self.job.map(|job| JobName::new(&job)).transpose().ok()?,
            },
            began: Moment(self.began),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_seen_as_it_was() {
        let told = JobTold {
            director: "lab-dir".to_owned(),
            job_id: 7,
            job: "Nightly.7".to_owned(),
            group: "Files".to_owned(),
            resource: "Nightly".to_owned(),
            client: "server".to_owned(),
            job_type: b'B',
            level: b'I',
            arrived: 1,
            storage: Some("File4".to_owned()),
            placed: Some(2),
            waits: Some(WaitTold {
                is_down: true,
                ahead: 3,
                since: 4,
            }),
            to_storage_bytes: 5,
            from_storage_bytes: 6,
        };
        let view = told.clone().view(4711).unwrap();
        assert_eq!(view.process, Some(4711));
        assert_eq!(JobTold::of(&view), told);
        let nameless = JobTold {
            client: String::new(),
            ..told
        };
        assert!(nameless.view(4711).is_none());
    }

    #[test]
    fn a_session_of_each_kind_is_told() {
        for kind in ["unknown", "director", "console", "client", "storage"] {
            let told = SessionTold {
                number: 7,
                kind: kind.to_owned(),
                peer: "192.0.2.1:4242".parse().unwrap(),
                director: "lab-dir".to_owned(),
                group: "Files".to_owned(),
                job: None,
                began: 1,
            };
            assert_eq!(SessionTold::of(&told.clone().view(4711).unwrap()), told);
        }
    }
}
