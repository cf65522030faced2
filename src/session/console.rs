//! What a Director sends outside jobs: an operator's commands, and the cancelling of jobs.

use std::sync::Arc;
use std::time::Duration;

use super::director::Caller;
use super::error::StorageError;
use super::free_space;
use super::jobs::Stop;
use super::storage::{self, Patience};
use super::table;
use crate::channel::Channel;
use crate::config::model;
use crate::types::JobName;
use crate::wire::command::Command;
use crate::wire::line;
use crate::wire::packet::{Frame, Outbox, Signal};
use crate::wire::refusal::Refusal;

/// How long a storage may take for a command that moves media.
const DEVICE_TIME: Duration = Duration::from_secs(600);

/// What follows a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The next command.
    Next,
    /// The end, told in order.
    Close,
    /// The Director is not there any more.
    Gone,
}

/// Answers one command.
pub(super) async fn answer(caller: &Caller, director: &mut Channel, line: &[u8]) -> After {
    let after = match Command::parse(line) {
        Err(error) => {
            director.outbox().message(
                Refusal::Malformed {
                    reason: error.to_string(),
                }
                .to_line(),
            );
            director.outbox().signal(Signal::Eod);
            After::Close
        }
        Ok(Command::Cancel { job }) => cancel(caller, director.outbox(), &job, line, "canceled").await,
        Ok(Command::Stop { job }) => cancel(caller, director.outbox(), &job, line, "stopped").await,
        Ok(Command::Status | Command::DotStatus { .. }) => {
            status(caller, director.outbox(), line).await;
            After::Next
        }
        Ok(Command::FreeSpace(_)) => free_space::answer(caller, director, line).await,
        Ok(Command::Unknown(text)) => {
            director.outbox().message(
                Refusal::Invalid {
                    command: line::shown(text),
                }
                .to_line(),
            );
            After::Close
        }
        // It has no answer, and a connection that brings it is about to bring a job.
        Ok(Command::SendProgress) => After::Next,
        Ok(
            Command::Device { .. }
            | Command::ReadLabel(_)
            | Command::Autochanger { .. }
            | Command::CloudList { .. }
            | Command::Statistics(_),
        ) if caller.group.members.len() == 1 => only_member(caller, director.outbox(), line).await,
        Ok(_) => {
            let reason = "sdgroup does not pass this command on yet: give it to the storage itself";
            let reason = reason.to_owned();
            director.outbox().message(Refusal::Malformed { reason }.to_line());
            director.outbox().signal(Signal::Eod);
            After::Close
        }
    };
    if director.flush().await.is_err() {
        After::Gone
    } else {
        after
    }
}

/// Passes `cancel` or `stop` to the storage that runs the job; a job that waits for its place just leaves the queue.
async fn cancel(caller: &Caller, to_director: &mut Outbox, name: &JobName, line: &[u8], done: &str) -> After {
    let Some(job) = caller.context.jobs.find(&caller.name, name) else {
        to_director.message(Refusal::NotFound { job: name.to_string() }.to_line());
        to_director.signal(Signal::Eod);
        return After::Next;
    };
    let asked = match job
        .storage()
        .and_then(|name| caller.context.model.storage(name.as_str()).cloned())
    {
        Some(storage) => ask(caller, &storage, line, None).await,
        None => Ok(Vec::new()),
    };
    // A storage that looks for a device hears of it late, and another would be asked next.
    if !job.is_settled() {
        job.stop(Stop::Canceled);
    }
    match asked {
        Ok(frames) if !frames.is_empty() => {
            for frame in &frames {
                to_director.frame(frame);
            }
        }
        // Nobody has the job, or who has it cannot be told: its session ends it here.
        Ok(_) | Err(_) => {
            job.stop(Stop::Canceled);
            to_director.message(format!(
                "3000 JobId={} Job=\"{}\" marked to be {done}.\n",
                job.id, job.name
            ));
        }
    }
    to_director.signal(Signal::Eod);
    After::Next
}

/// The group's table, then each member's own text.
async fn status(caller: &Caller, to_director: &mut Outbox, line: &[u8]) {
    if line.starts_with(b"status") {
        for text in table::lines(caller) {
            to_director.message_with_nul(text);
        }
    }
    let mut asked = Vec::new();
    for name in &caller.group.members {
        let Some(storage) = caller.context.model.storage(name.as_str()) else {
            continue;
        };
        let (caller, storage, line) = (caller.clone(), Arc::clone(storage), line.to_vec());
        let answer = tokio::spawn(async move { ask(&caller, &storage, &line, None).await });
        asked.push((name, answer));
    }
    for (name, answer) in asked {
        match answer.await {
            Ok(Ok(frames)) => {
                for frame in &frames {
                    to_director.frame(frame);
                }
            }
            Ok(Err(error)) => to_director.message_with_nul(format!("\nStorage {name}: {error}\n")),
            Err(_) => to_director.message_with_nul(format!("\nStorage {name}: no answer\n")),
        }
    }
    to_director.signal(Signal::Eod);
}

/// Gives the command to the only member there is.
async fn only_member(caller: &Caller, to_director: &mut Outbox, line: &[u8]) -> After {
    let member = caller
        .group
        .members
        .first()
        .and_then(|name| caller.context.model.storage(name.as_str()));
    let Some(storage) = member else { return After::Close };
    match ask(caller, storage, line, Some(DEVICE_TIME)).await {
        Ok(frames) => {
            for frame in &frames {
                to_director.frame(frame);
            }
        }
        Err(error) => {
            let reason = format!("storage {}: {error}", storage.name);
            to_director.message(Refusal::Malformed { reason }.to_line());
        }
    }
    to_director.signal(Signal::Eod);
    After::Next
}

/// Gives one command to a storage, which has the group's patience or `time` for its answer.
async fn ask(
    caller: &Caller,
    storage: &model::Storage,
    line: &[u8],
    time: Option<Duration>,
) -> Result<Vec<Frame>, StorageError> {
    let patience = Patience::from(&*caller.group);
    let time = time.unwrap_or(patience.login);
    storage::command(storage, &caller.name, caller.release, patience, line, time).await
}
