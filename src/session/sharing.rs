//! What other sdgroups have told the database that all of them share.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::context::Current;
use super::history;
use crate::store::{News, StoreView};
use crate::telemetry::event::VolumeConflict;

/// Takes it over as it comes, for as long as the store lives.
pub async fn follow(current: Arc<Current>, mut news: mpsc::UnboundedReceiver<News>) {
    while let Some(one) = news.recv().await {
        let context = current.context();
        match one {
            News::Jobs(jobs) => {
                let past: Vec<_> = jobs.iter().map(history::past).collect();
                context.remember(&past);
                // Of the processes that share a state file one has the news of a job.
                for job in &past {
                    context.processes.ended(job);
                }
            }
            News::States => context.states.follow(&context.directory).await,
            News::Conflict { volume, known, storage } => VolumeConflict {
                volume: &volume,
                known: &known,
                storage: &storage,
                job: None,
            }
            .emit(),
        }
    }
}

/// What is to be said of the database, if anything is.
#[must_use]
pub fn remark(view: &StoreView) -> Option<String> {
    let trouble = view.trouble.as_ref()?;
    let unsent = view.unsent;
    Some(format!(
        "the shared store is away since {}, jobs go on, {unsent} records are to be told to it ({trouble})",
        view.since
    ))
}
