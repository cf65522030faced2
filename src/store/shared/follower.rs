//! Keeps the state file a copy of the database, tells the database what it has not been told, and connects again when
//! it was away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{News, StoreView, compared, conflicts};
use crate::config::model::PostgreSql;
use crate::store::numbers::AT_ONCE;
use crate::store::postgres::Claims;
use crate::store::{Keep, Numbers, PostgresStore, SqliteStore, StateRecord, Store as _, StoreError};
use crate::types::Moment;

/// How often is looked for what others have told.
const LOOK: Duration = Duration::from_secs(1);

/// How long after a failure the database is tried again, at first; each further failure doubles it.
const SOON: Duration = Duration::from_secs(1);

/// The longest that this becomes.
const LATER: Duration = Duration::from_secs(5);

/// Whatever became of a database's last transactions when another machine took over: jobs of this time are told again.
const TOLD_AGAIN: i64 = 86_400;

/// How long after a connection was made everybody has told what he holds of a database that another machine has taken over.
const SETTLED: Duration = Duration::from_secs(15);

/// How many records are taken over in one transaction of the file.
const BATCH: usize = 1000;

/// What keeps a file and a database in step.
#[derive(Debug)]
pub struct Follower {
    local: Arc<SqliteStore>,
    options: PostgreSql,
    patience: Duration,
    /// What it asks itself: an answer may be long, and no session waits for it.
    own: Option<PostgresStore>,
    /// What sessions ask.
    link: watch::Sender<Option<PostgresStore>>,
    view: watch::Sender<StoreView>,
    behind: Arc<Notify>,
    keep: Arc<Mutex<Keep>>,
    claims: Claims,
    numbers: Numbers,
    news: mpsc::UnboundedSender<News>,
    /// When the connection was made.
    met: Instant,
    /// From where on the database is asked next.
    facts_from: i64,
    jobs_from: i64,
}

impl Follower {
    #[allow(clippy::too_many_arguments, reason = "what it shares with its store")]
    pub(super) fn new(
        local: Arc<SqliteStore>,
        options: PostgreSql,
        patience: Duration,
        link: watch::Sender<Option<PostgresStore>>,
        behind: Arc<Notify>,
        keep: Arc<Mutex<Keep>>,
        claims: Claims,
        numbers: Numbers,
        news: mpsc::UnboundedSender<News>,
    ) -> Self {
        let view = watch::Sender::new(StoreView {
            trouble: Some("nobody has been there yet".to_owned()),
            since: Moment::now(),
            unsent: 0,
        });
        Self {
            local,
            options,
            patience,
            own: None,
            link,
            view,
            behind,
            keep,
            claims,
            numbers,
            news,
            met: Instant::now(),
            facts_from: 0,
            jobs_from: 0,
        }
    }

    /// How the database is, as it changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<StoreView> {
        self.view.subscribe()
    }

    /// Connects, and brings both in step; whether that worked shows in the view.
    pub async fn begin(&mut self) {
        // A file that cannot be read is told of by whoever needs more of it.
        if self.numbers.known().is_none()
            && let Ok(Some(time)) = self.local.session_time().await
        {
            self.numbers.know(time);
        }
        let begun = async {
            let database = PostgresStore::connect(&self.options, self.patience).await?;
            self.meet(&database).await?;
            let link = PostgresStore::connect(&self.options, self.patience).await?;
            link.renew(self.claims.clone()).await?;
            link.listen().await?;
            Ok((database, link))
        };
        match begun.await {
            Ok((database, link)) => {
                self.own = Some(database);
                self.link.send_replace(Some(link));
                self.show(None).await;
            }
            Err(error) => self.part(&error).await,
        }
    }

    /// Follows until `stop`, and tells then what is left to tell.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = SOON;
        loop {
            let link = self.link.borrow().clone();
            let (Some(database), Some(link)) = (self.own.clone(), link) else {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => return,
                }
                self.begin().await;
                pause = if self.link.borrow().is_some() {
                    SOON
                } else {
                    (pause * 2).min(LATER)
                };
                continue;
            };
            let stopped = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = self.behind.notified() => false,
                () = database.lost().cancelled() => false,
                () = link.lost().cancelled() => false,
                () = stop.cancelled() => true,
            };
            match self.exchange(&database, &link).await {
                Ok(()) => self.show(None).await,
                Err(error) => self.part(&error).await,
            }
            if stopped {
                return;
            }
        }
    }

    /// Tells and asks, over connections that are there.
    ///
    /// # Errors
    /// When the database or the file fails. What was told stays told.
    async fn exchange(&mut self, database: &PostgresStore, link: &PostgresStore) -> Result<(), StoreError> {
        // Where claims are asked for, so that what is asked for meanwhile is not ended.
        match link.renew(self.claims.clone()).await {
            // Sessions have kept it busy.
            Err(StoreError::Away { .. }) if !link.lost().is_cancelled() => {}
            renewed => renewed?,
        }
        self.tell(database).await?;
        self.take_numbers(database).await?;
        let (facts, next) = database.facts_since(self.facts_from).await?;
        for batch in facts.chunks(BATCH) {
            self.local.adopt(batch.to_vec()).await?;
        }
        self.facts_from = next;
        self.take_jobs(database, 0).await?;
        self.take_states(database).await
    }

    /// Brings both in step over a new connection. Another machine may have taken over without the last that the old one
    /// was told; the file has it.
    async fn meet(&mut self, database: &PostgresStore) -> Result<(), StoreError> {
        let (facts, next) = database.facts_since(0).await?;
        let (news, lacks) = compared(facts, self.local.facts().await?);
        for batch in lacks.chunks(BATCH) {
            self.local.mark(batch.to_vec()).await?;
        }
        for batch in news.chunks(BATCH) {
            self.local.adopt(batch.to_vec()).await?;
        }
        self.facts_from = next;
        self.local.mark_jobs(Moment::now().0.saturating_sub(TOLD_AGAIN)).await?;
        let last = self.local.last_end().await?;
        self.jobs_from = 0;
        self.take_jobs(database, last.unwrap_or_default().saturating_sub(TOLD_AGAIN))
            .await?;
        self.take_states(database).await?;
        self.tell(database).await?;
        self.met = Instant::now();
        let time = database.hold(self.numbers.known()).await?;
        self.numbers.know(time);
        self.local.put_session_time(time).await?;
        self.take_numbers(database).await
    }

    /// Sees to it that there are session numbers. What others hold may be unknown to a machine that has just taken over.
    async fn take_numbers(&self, database: &PostgresStore) -> Result<(), StoreError> {
        let (left, few) = (self.numbers.left(), AT_ONCE / 2);
        if left == 0 || (left < few && self.met.elapsed() > SETTLED) {
            let lease = database.lease().await?;
            self.numbers.give(lease);
            self.local.put_session_time(lease.time).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, database: &PostgresStore) -> Result<(), StoreError> {
        loop {
            let unsent = self.local.unsent().await?;
            if unsent.is_empty() {
                return Ok(());
            }
            if !unsent.facts.is_empty() {
                let truth = database.tell(unsent.facts.clone()).await?;
                for news in conflicts(&unsent.facts, &truth) {
                    let _ = self.news.send(news);
                }
                let told: HashMap<_, _> = unsent
                    .facts
                    .iter()
                    .map(|(fact, _)| (fact.volume(), fact.at()))
                    .collect();
                let settled = truth.into_iter().filter_map(|fact| {
                    let at = *told.get(fact.volume())?;
                    Some((fact, at))
                });
                self.local.settle(settled.collect()).await?;
            }
            if !unsent.jobs.is_empty() {
                let keep = *self.keep.lock().unwrap_or_else(PoisonError::into_inner);
                let (rows, jobs) = unsent.jobs.into_iter().unzip();
                database.add_jobs(jobs, keep).await?;
                self.local.settle_jobs(rows).await?;
            }
            for state in &unsent.states {
                database.put_state(state.clone()).await?;
            }
            if !unsent.states.is_empty() {
                let told = |state: &StateRecord| unsent.states.iter().any(|told| told.storage == state.storage);
                let mut truth = database.states().await?;
                truth.retain(told);
                self.local.adopt_states(truth).await?;
            }
        }
    }

    async fn take_jobs(&mut self, database: &PostgresStore, ended: i64) -> Result<(), StoreError> {
        let (jobs, next) = database.jobs_since(self.jobs_from, ended).await?;
        for batch in jobs.chunks(BATCH) {
            let new = self.local.adopt_jobs(batch.to_vec()).await?;
            if !new.is_empty() {
                let _ = self.news.send(News::Jobs(new));
            }
        }
        self.jobs_from = next;
        Ok(())
    }

    async fn take_states(&mut self, database: &PostgresStore) -> Result<(), StoreError> {
        let mut states = database.states().await?;
        let unsent = self.local.unsent().await?.states;
        let known = self.local.states().await?;
        states.retain(|state| {
            let waits = unsent.iter().any(|waiting| waiting.storage == state.storage);
            !waits && !known.contains(state)
        });
        if !states.is_empty() {
            self.local.adopt_states(states).await?;
            let _ = self.news.send(News::States);
        }
        Ok(())
    }

    /// The database is away.
    async fn part(&mut self, error: &StoreError) {
        for database in [self.own.take(), self.link.send_replace(None)].into_iter().flatten() {
            database.lost().cancel();
        }
        self.claims.doubt();
        self.show(Some(error.to_string())).await;
    }

    async fn show(&self, trouble: Option<String>) {
        let unsent = self.local.unsent_count().await.unwrap_or_default();
        self.view.send_if_modified(|view| {
            let turned = view.trouble.is_some() != trouble.is_some();
            let changed = turned || view.trouble != trouble || view.unsent != unsent;
            if turned {
                view.since = Moment::now();
            }
            (view.trouble, view.unsent) = (trouble, unsent);
            changed
        });
    }
}
