//! All that a dashboard shows, at once and as it changes.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRef as _, State};
use axum::response::Sse;
use axum::response::sse::Event;
use axum::{Extension, Json};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::ToSchema;

use super::failovers::{self, FailoverShown};
use super::groups::{self, GroupShown};
use super::jobs::{self, JobShown, RunningShown};
use super::peers::{self, PeerShown};
use super::process::{self, ProcessShown};
use super::storages::{self, StorageShown};
use super::{Desk, Office, traffic};
use crate::admin::server::Closing;
use crate::group::Explanation;
use crate::session::{JobFacts, JobView};
use crate::types::{Moment, StorageName};

/// How many jobs that run or wait are told, those that came last.
const MOST_JOBS: usize = 100;

/// How many placements and failovers are told.
const MOST_NEWS: usize = 20;

/// How often is looked whether something has changed.
const LOOK: Duration = Duration::from_secs(1);

/// After how many looks the last hour is told again.
const TRAFFIC_EVERY: u64 = 10;

/// All that a dashboard shows but the last hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OverviewShown {
    /// The process.
    pub process: ProcessShown,
    /// The sdgroups that share the store, this one first; none without [Peers].
    #[serde(default)]
    pub peers: Vec<PeerShown>,
    /// Every group.
    pub groups: Vec<GroupShown>,
    /// Every storage.
    pub storages: Vec<StorageShown>,
    /// The jobs that run or wait, with those of processes that have handed over, the oldest first, without what was
    /// weighed; the last hundred that came.
    pub jobs: Vec<RunningShown>,
    /// The last placements, the youngest first.
    pub placements: Vec<PlacementShown>,
    /// The last failovers, the youngest first.
    pub failovers: Vec<FailoverShown>,
}

/// A job that got a storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlacementShown {
    /// The job.
    #[serde(flatten)]
    pub job: JobShown,
    /// When it was placed.
    pub at: String,
    /// Where.
    pub storage: String,
    /// Why there.
    pub reason: Option<String>,
    /// The status that was reported in the end, or how its session ended; none while it runs.
    pub ended: Option<String>,
}

/// All that a dashboard shows but the last hour.
#[utoipa::path(get, path = "/api/v1/overview", responses((status = 200, body = OverviewShown)))]
pub(super) async fn overview(State(desk): State<Desk>) -> Json<OverviewShown> {
    Json(shown(&desk).await)
}

/// The overview as server-sent events, at once and whenever it has changed: `overview` at most once a second, and with
/// `traffic` every ten seconds, which tells that the connection lives. The connection ends now and then, and when the
/// process hands over or ends; call again.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    responses((status = 200, content_type = "text/event-stream", body = OverviewShown)),
)]
pub(super) async fn events(
    State(office): State<Office>,
    Extension(Closing(closing)): Extension<Closing>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let news = unfold(News::new(office), |mut news| async move {
        let event = news.next().await;
        Some((Ok(event), news))
    });
    Sse::new(news.take_until(closing.cancelled_owned()))
}

/// What one listener has been told.
struct News {
    office: Office,
    ticks: Interval,
    looks: u64,
    /// Without its clock, which alone is no change.
    told: Option<OverviewShown>,
    due: Vec<Event>,
}

impl News {
    fn new(office: Office) -> Self {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            office,
            ticks,
            looks: 0,
            told: None,
            due: Vec::new(),
        }
    }

    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.due.pop() {
                return event;
            }
            self.ticks.tick().await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        // Another configuration may have come into force.
        let desk = Desk::from_ref(&self.office);
        let is_due = self.looks.is_multiple_of(TRAFFIC_EVERY);
        if is_due {
            let traffic = serde_json::to_string(&traffic::shown(&desk)).unwrap_or_default();
            self.due.push(Event::default().event("traffic").data(traffic));
        }
        self.looks += 1;
        let mut overview = shown(&desk).await;
        let now = std::mem::take(&mut overview.process.now);
        if is_due || self.told.as_ref() != Some(&overview) {
            self.told = Some(overview.clone());
            overview.process.now = now;
            let overview = serde_json::to_string(&overview).unwrap_or_default();
            self.due.push(Event::default().event("overview").data(overview));
        }
    }
}

async fn shown(desk: &Desk) -> OverviewShown {
    let views = jobs::views(desk).await;
    let youngest = views.iter().skip(views.len().saturating_sub(MOST_JOBS));
    OverviewShown {
        process: process::shown(desk),
        peers: peers::shown(desk),
        groups: groups::shown(desk),
        storages: storages::all_shown(desk),
        jobs: youngest.map(jobs::brief).collect(),
        placements: placements(desk, &views),
        failovers: failovers::shown(desk, MOST_NEWS),
    }
}

/// The last placements, of jobs that run and of those that have ended.
fn placements(desk: &Desk, views: &[JobView]) -> Vec<PlacementShown> {
    let mut placements: Vec<(Moment, PlacementShown)> = Vec::new();
    for JobView { facts, progress, .. } in views {
        if let (Some(at), Some(storage)) = (progress.placed, &progress.storage) {
            placements.push(placement(facts, at, storage, progress.explanation.as_deref(), None));
        }
    }
    for job in desk.context.jobs.recent() {
        if let (Some(at), Some(storage)) = (job.placed, &job.storage) {
            let ended = job
                .status
                .map_or_else(|| job.end.to_owned(), |status| status.to_string());
            placements.push(placement(
                &job.facts,
                at,
                storage,
                job.explanation.as_deref(),
                Some(ended),
            ));
        }
    }
    placements.sort_by_key(|(at, shown)| std::cmp::Reverse((*at, shown.job.job_id)));
    placements.truncate(MOST_NEWS);
    placements.into_iter().map(|(_, shown)| shown).collect()
}

fn placement(
    facts: &JobFacts,
    at: Moment,
    storage: &StorageName,
    explanation: Option<&Explanation>,
    ended: Option<String>,
) -> (Moment, PlacementShown) {
    let shown = PlacementShown {
        job: jobs::shown(facts),
        at: at.rfc3339(),
        storage: storage.to_string(),
        reason: explanation.map(ToString::to_string),
        ended,
    };
    (at, shown)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Site, facts};
    use super::*;

    #[tokio::test]
    async fn what_has_changed_is_told_and_its_clock_is_no_change() {
        let site = Site::new();
        let mut news = News::new(site.office.clone());
        let mut told = async || {
            news.look().await;
            // As after a second in which nothing was done.
            if let Some(told) = &news.told {
                assert_eq!(told.process.now, "");
            }
            news.due.drain(..).count()
        };
        assert_eq!(told().await, 2, "the overview and the last hour");
        assert_eq!(told().await, 0, "nothing has changed");
        let job = site.desk.context.jobs.enter(facts(17));
        assert_eq!(told().await, 1, "a job has come");
        job.placed_on(StorageName::new("File4").unwrap());
        assert_eq!(told().await, 1, "it has a storage");
        drop(job);
        assert_eq!(told().await, 1, "it has gone");
        for _ in 5..TRAFFIC_EVERY {
            assert_eq!(told().await, 0);
        }
        assert_eq!(told().await, 2, "ten looks later");
    }
}
