//! Tells the store which jobs are here, as they come and go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Fleet;
use crate::session::routes::{Change, Routes};
use crate::types::JobName;

/// How many changes are told at once, at most.
const AT_ONCE: usize = 1000;

/// How long after a failure everything is told anew, unless there is another connection before.
const AGAIN: Duration = Duration::from_secs(1);

/// Tells it until `stop`. To be called before there are routes.
pub async fn announce(fleet: Arc<Fleet>, routes: Arc<Routes>, stop: CancellationToken) {
    let mut roster = fleet.roster.clone();
    let mut changes = routes.follow();
    let mut told = Vec::new();
    // Whatever an earlier connection was told may be lost with its machine.
    let mut all = true;
    loop {
        let (has, had) = if all {
            told.clear();
            (routes.names(), Vec::new())
        } else {
            sorted(std::mem::take(&mut told))
        };
        let failed = (all || !has.is_empty() || !had.is_empty()) && roster.announce(has, had, all).await.is_err();
        all = failed;
        tokio::select! {
            count = changes.recv_many(&mut told, AT_ONCE), if !failed => if count == 0 {
                return;
            },
            () = tokio::time::sleep(AGAIN), if failed => {}
            () = roster.reconnected() => all = true,
            () = stop.cancelled() => return,
        }
    }
}

/// Jobs that are here now, and jobs that are not: the last word counts.
fn sorted(told: Vec<Change>) -> (Vec<JobName>, Vec<JobName>) {
    let last: HashMap<JobName, bool> = told.into_iter().map(|change| (change.job, change.is_here)).collect();
    let (has, had): (Vec<_>, Vec<_>) = last.into_iter().partition(|(_, is_here)| *is_here);
    let names = |jobs: Vec<(JobName, bool)>| jobs.into_iter().map(|(job, _)| job).collect();
    (names(has), names(had))
}
