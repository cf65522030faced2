//! `cancel` and `stop`. A Director sends them on connections of their own, and as the first command of one that is about
//! to bring a job anew, in order to end its earlier run.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use tokio::task::JoinSet;

use super::After;
use crate::config::model;
use crate::group::Availability;
use crate::net::deadline;
use crate::session::director::Caller;
use crate::session::error::StorageError;
use crate::session::jobs::{Job, Stop};
use crate::session::storage::{self, Patience};
use crate::types::JobName;
use crate::wire::packet::{Frame, MAX_WIRE_BYTES, Outbox, Signal};
use crate::wire::progress::Kind;
use crate::wire::refusal::Refusal;

/// Passes the command to the storage that runs the job; a job that waits for its place just leaves the queue. The job
/// is the Director's wherever it was given: a Director with a group of its own calls the first storage of its list. It may be
/// another process that has it, while a handover lasts, or another sdgroup.
pub(super) async fn answer(caller: &Caller, to_director: &mut Outbox, name: &JobName, line: &[u8]) -> After {
    let found = match here(caller, name, line).await {
        Some(frames) => Some(frames),
        None => elsewhere(caller, name, line).await,
    };
    match found {
        Some(frames) => pass(&frames, to_director),
        None => to_director.message(Refusal::NotFound { job: name.to_string() }.to_line()),
    }
    to_director.signal(Signal::Eod);
    After::Next
}

/// What is said of a job that this process has; none if it has no such job.
pub(in crate::session) async fn here(caller: &Caller, name: &JobName, line: &[u8]) -> Option<Vec<Frame>> {
    let job = caller.context.jobs.find(&caller.name, name)?;
    let (stop, done) = if line.starts_with(b"stop") {
        (Stop::Stopped, "stopped")
    } else {
        (Stop::Canceled, "canceled")
    };
    let told = tell(caller, &job, line, stop).await;
    if !told.is_empty() {
        return Some(told);
    }
    let (id, job) = (job.facts.id, &job.facts.name);
    let mut marked = Outbox::new();
    marked.message(format!("3000 JobId={id} Job=\"{job}\" marked to be {done}.\n"));
    Some(packets(marked.as_bytes()))
}

/// What is said of a job that this process does not have.
async fn elsewhere(caller: &Caller, name: &JobName, line: &[u8]) -> Option<Vec<Frame>> {
    if let Some(said) = caller.context.processes.cancel(caller, name, line).await {
        return Some(packets(&said.concat()));
    }
    if let Some(fleet) = &caller.context.fleet
        && let Some(said) = fleet.cancel(caller, name, line).await
    {
        return Some(packets(&said.concat()));
    }
    // A storage does not tell two Directors' jobs of one name apart.
    let context = &caller.context;
    let is_anothers = context.jobs.find_any(name).is_some() || context.processes.storage_of(None, name).await.is_some();
    if is_anothers { None } else { search(caller, line).await }
}

/// Whole packets of ours.
fn packets(bytes: &[u8]) -> Vec<Frame> {
    let mut bytes = BytesMut::from(bytes);
    std::iter::from_fn(|| Frame::take(&mut bytes, MAX_WIRE_BYTES).ok().flatten()).collect()
}

/// Tells the storage that has the job, and returns its words; none if the job's session ends the job here instead: no
/// storage has it at the moment, or the one that has it cannot be told.
async fn tell(caller: &Caller, job: &Job, line: &[u8], stop: Stop) -> Vec<Frame> {
    job.note_cancel();
    let storage = job.storage();
    let storage = storage.and_then(|name| caller.context.model.storage(name.as_str()).cloned());
    let told = match storage {
        Some(storage) => ask(caller, &storage, line).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let has_it = is_done(&told);
    // A storage that looks for a device hears of it late, and another would be asked next.
    if !has_it || !job.is_settled() {
        job.stop(stop);
    }
    if has_it { told } else { Vec::new() }
}

/// Whether a storage says that it has done it; it does not know every job by that name.
fn is_done(frames: &[Frame]) -> bool {
    let done = |frame| matches!(Kind::of(frame), Ok(Some(Kind::Reply(3000))));
    frames.iter().any(done)
}

fn pass(frames: &[Frame], to_director: &mut Outbox) {
    for frame in frames {
        to_director.frame(frame);
    }
}

/// Asks all members that may be there, since one of them can have a job that sdgroup has lost: by being started anew,
/// or because the Director's connection broke. One that is silent is not waited for longer than for a login: the
/// Director may be about to run the job anew.
async fn search(caller: &Caller, line: &[u8]) -> Option<Vec<Frame>> {
    let group = caller.context.directory.group(&caller.group.name)?;
    let now = Instant::now();
    let there = group.members().iter();
    let there = there.filter(|live| live.view(now).availability != Availability::Down);
    let mut asked = JoinSet::new();
    for live in there {
        let (caller, storage, line) = (caller.clone(), Arc::clone(live.storage()), line.to_vec());
        asked.spawn(async move { ask(&caller, &storage, &line).await });
    }
    let found = deadline::within(caller.group.login_timeout, async {
        while let Some(answer) = asked.join_next().await {
            if let Ok(Ok(frames)) = answer
                && is_done(&frames)
            {
                return Some(frames);
            }
        }
        None
    });
    found.await.ok().flatten()
}

async fn ask(caller: &Caller, storage: &model::Storage, line: &[u8]) -> Result<Vec<Frame>, StorageError> {
    let patience = Patience::from(&*caller.group);
    storage::command(storage, &caller.name, caller.release, patience, line, patience.login).await
}
