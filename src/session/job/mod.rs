//! One job on a control connection, from `JobId=` to its end.
//!
//! A job that writes is placed at once, since the storage's own answer to `JobId=` goes back unchanged ([`write`]). A
//! job that reads is placed when it says what it reads ([`read`]), and one that writes a copy when it says of what
//! ([`copy`]); until then sdgroup answers in the storage's place ([`late`]).

mod catalog;
mod copy;
mod ending;
mod finish;
mod in_turn;
mod late;
mod notes;
mod read;
mod reasons;
mod reserve;
mod seat;
mod stint;
mod stopped;
mod traffic;
mod translate;
mod unseated;
mod write;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use self::ending::Ending;
use self::unseated::{Awaits, Unseated};
use super::context::Context;
use super::end;
use super::jobs::JobFacts;
use super::listed::{Ends, SessionFacts};
use super::routes::NameInUse;
use crate::channel::Channel;
use crate::config::model;
use crate::group::{Access, Origin, PlacementRequest};
use crate::telemetry::event::{JobRef, LiveSession, SessionKind};
use crate::types::{DirectorName, JobLevel, JobType, Moment, Release};
use crate::wire::job::JobCommand;

/// What is known of a job from the start.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) context: Arc<Context>,
    pub(super) group: Arc<model::Group>,
    pub(super) director: DirectorName,
    pub(super) release: Release,
    pub(super) peer: SocketAddr,
    pub(super) arrived: Instant,
    pub(super) command: JobCommand,
    /// The command as it came, to be passed on byte for byte.
    pub(super) line: Vec<u8>,
    /// The Director has asked, with `sendprogress` (15.0), to be told how far the job is.
    pub(super) wants_progress: bool,
}

impl Facts {
    fn job_ref(&self) -> JobRef<'_> {
        JobRef {
            director: &self.director,
            job: &self.command.job,
            job_id: self.command.job_id,
            client: Some(&self.command.client),
        }
    }

    /// What others see of it.
    fn listed(&self) -> JobFacts {
        let JobCommand {
            job,
            job_id,
            job_name,
            client,
            job_type,
            level,
            ..
        } = &self.command;
        JobFacts {
            director: self.director.clone(),
            id: *job_id,
            name: job.clone(),
            group: self.group.name.clone(),
            resource: job_name.clone(),
            client: client.clone(),
            job_type: *job_type,
            level: *level,
            arrived: Moment::now(),
        }
    }

    /// Its control connection, as it is listed.
    fn session(&self) -> SessionFacts {
        SessionFacts {
            kind: SessionKind::Director,
            peer: self.peer,
            director: self.director.clone(),
            group: self.group.name.clone(),
            job: Some(self.command.job.clone()),
        }
    }

    fn request(&self, access: Access) -> PlacementRequest {
        PlacementRequest {
            director: self.director.clone(),
            job: self.command.job.clone(),
            job_id: self.command.job_id,
            job_resource: self.command.job_name.clone(),
            client: self.command.client.clone(),
            job_type: self.command.job_type,
            level: self.command.level,
            fileset: self.command.file_set.clone(),
            access,
            origin: self.origin(),
        }
    }

    fn origin(&self) -> Origin {
        match &self.command {
            command if command.sd_client => Origin::Copy,
            command if command.rerunning => Origin::Resumed,
            _ => Origin::New,
        }
    }

    /// What keeps the job from being begun at all. A run that is going on may go on: its next section, or its next
    /// attempt, has the same name.
    async fn obstacle(&self) -> Option<Unseated> {
        let (context, job) = (&self.context, &self.command.job);
        let refused = |cause, reason: String| Some(Unseated::Refused { cause, reason });
        let is_new = || context.jobs.find(&self.director, job).is_none();
        let running = *context.jobs.count().borrow();
        match (context.admission.refusal(), context.admission.full(running)) {
            (Some(reason), _) if is_new() => refused("shutting_down", reason.to_owned()),
            (None, Some(most)) if is_new() => refused(
                "descriptors",
                format!(
                    "{running} jobs run, and sdgroup may have descriptors for {most}: raise LimitNOFILE (ulimit -n) of \
                     sdgroup, or lower Maximum Concurrent Jobs in the Director"
                ),
            ),
            _ if context.routes.is_in_use(&self.director, job)
                || context.processes.begins(&self.director, job).await =>
            {
                refused("name_in_use", NameInUse.to_string())
            }
            _ => None,
        }
    }

    /// Whether another storage than the first could run the job, if it writes.
    fn is_movable(&self) -> bool {
        self.group.members.len() > 1
    }

    /// Whether the job is placed by what it reads. A VirtualFull reads and writes in one storage: the one that has
    /// what it reads.
    fn reads(&self) -> bool {
        match self.command.job_type {
            JobType::Restore | JobType::Verify | JobType::Copy | JobType::Migrate => true,
            JobType::Backup => self.command.level == JobLevel::VirtualFull,
            _ => false,
        }
    }
}

/// Runs a job to its end. The connection ends with it, as it does at a storage.
pub(super) async fn run(facts: Facts, mut director: Channel, session: LiveSession) {
    let context = &facts.context;
    let mut ending = Ending::default();
    if let Some(unseated) = facts.obstacle().await {
        unseated.tell(&facts, &mut director, &mut ending, Awaits::Job);
        end::part(director).await;
    } else {
        let live = context.jobs.enter(facts.listed());
        let _listed = context.listed.enter(facts.session(), Ends::Job(Arc::clone(live.job())));
        let left = if facts.reads() {
            read::run(&facts, &mut director, &live, &mut ending).await
        } else if facts.command.sd_client {
            copy::run(&facts, &mut director, &live, &mut ending).await
        } else {
            write::run(&facts, &mut director, &live, &mut ending).await
        };
        let part = async {
            if let Some(left) = left {
                left.part().await;
            }
        };
        // The Director may send its next job while these part, and that one is placed by what is known.
        ending.remember(&facts);
        // The Director does not wait for a storage that is slow to part.
        tokio::join!(end::part(director), part);
        context.jobs.ended(ending.listed(&live));
    }
    ending.emit(&facts);
    drop(session);
}
