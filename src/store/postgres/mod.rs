//! A database that several sdgroups share: PostgreSQL.
//!
//! A [`PostgresStore`] is one connection. Once it is lost, it fails for good, and a new one is to be made. Writers of
//! volumes take turns over all sdgroups ([`volumes::LOCK`]), and meet what is known by the same rule as in every store.

mod claims;
mod connect;
mod identity;
mod jobs;
mod peers;
mod schema;
mod volumes;

pub(super) use claims::Claims;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use self::connect::Notices;
use super::fact::Fact;
use super::numbers::Lease;
use super::roster::{Beat, Heard, Owner};
use super::{Answer, Entry, JobRecord, Keep, Recorded, StateRecord, Store, StoreError, VolumeRecord, Weight};
use crate::config::model::PostgreSql;
use crate::types::{JobName, Moment, PeerName, StorageName, VolumeName};

/// A store in a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    client: Arc<Mutex<Client>>,
    place: Arc<str>,
    patience: Duration,
    lost: CancellationToken,
    notices: Arc<Notices>,
}

/// Why something could not be done.
enum Trouble {
    Postgres(tokio_postgres::Error),
    Store(StoreError),
    Column(String),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<String> for Trouble {
    fn from(error: String) -> Self {
        Self::Column(error)
    }
}

impl Trouble {
    fn at(self, place: &str) -> StoreError {
        let place = place.to_owned();
        match self {
            Self::Store(error) => error,
            Self::Column(cause) => StoreError::Refused { place, cause },
            // What shuts the connection comes as an answer of the server, too: 57P is its operator's intervention, 25006
            // a server that has become a standby.
            Self::Postgres(error) => {
                let code = error.code().map(|code| code.code().to_owned());
                let goes = |code: &str| code.starts_with("57P") || code == "25006" || code.starts_with("08");
                let cause = connect::told(&error);
                if code.as_deref().is_none_or(goes) {
                    StoreError::Away { place, cause }
                } else {
                    StoreError::Refused { place, cause }
                }
            }
        }
    }
}

impl PostgresStore {
    /// Connects to that host of `options` which takes writes. No answer is waited for longer than `patience`.
    ///
    /// # Errors
    /// When none can be reached, and when its schema is not that of this program.
    pub async fn connect(options: &PostgreSql, patience: Duration) -> Result<Self, StoreError> {
        let store = Self::reach(options, patience).await?;
        let found = {
            let client = store.client.lock().await;
            store.within(schema::version(&client)).await?
        };
        schema::check(found, &store.place)?;
        Ok(store)
    }

    /// Creates the tables or brings them to the newest schema, and returns which schema they had and have now.
    ///
    /// # Errors
    /// When the server cannot be reached, does not allow it, or has the tables of a newer sdgroup.
    pub async fn migrate(options: &PostgreSql, patience: Duration) -> Result<(i64, i64), StoreError> {
        let store = Self::reach(options, patience).await?;
        let mut client = store.client.lock().await;
        let found = store.within(schema::migrate(&mut client, &store.place)).await?;
        Ok((found, schema::newest()))
    }

    async fn reach(options: &PostgreSql, patience: Duration) -> Result<Self, StoreError> {
        let (place, lost, notices) = (connect::place(options), CancellationToken::new(), Arc::default());
        let client = connect::connect(options, &lost, &notices)
            .await
            .map_err(|cause| StoreError::Away {
                place: place.clone(),
                cause,
            })?;
        Ok(Self {
            client: Arc::new(Mutex::new(client)),
            place: place.into(),
            patience,
            lost,
            notices,
        })
    }

    /// Is cancelled once the connection is lost.
    #[must_use]
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// As [`Store::record`], and what is known of each volume now.
    pub(super) fn record_all(&self, entries: Vec<Entry>) -> Answer<Vec<(Recorded, Option<Fact>)>> {
        self.ask(|mut client, place| async move { volumes::record_all(&mut client, &place, &entries).await })
    }

    /// Takes what was learned a while ago, all or none, and returns what is known of those volumes now. Telling the same
    /// again changes nothing.
    #[must_use = "whether it was told is in the answer"]
    pub fn tell(&self, facts: Vec<(Fact, Weight)>) -> Answer<Vec<Fact>> {
        self.ask(|mut client, place| async move { volumes::tell(&mut client, &place, &facts).await })
    }

    /// As [`Store::forget`], at this time in seconds of Unix time.
    pub(super) fn forget_at(&self, volume: VolumeName, at: i64) -> Answer<Option<VolumeRecord>> {
        self.ask(move |mut client, place| async move { volumes::forget(&mut client, &place, &volume, at).await })
    }

    /// What became known of volumes since a number that an earlier answer gave (0 is everything), and the number to ask
    /// with next.
    pub(super) fn facts_since(&self, number: i64) -> Answer<(Vec<Fact>, i64)> {
        self.ask(move |client, place| async move { volumes::since(&client, &place, number).await })
    }

    /// The same of jobs that ended since `ended`.
    pub(super) fn jobs_since(&self, number: i64, ended: i64) -> Answer<(Vec<JobRecord>, i64)> {
        self.ask(move |client, place| async move { jobs::since(&client, &place, number, ended).await })
    }

    /// Claims a volume for a storage, noted in `claims` before; the storage that has it if that is another one.
    pub(super) fn claim(
        &self,
        claims: Claims,
        volume: VolumeName,
        storage: StorageName,
    ) -> Answer<Option<StorageName>> {
        self.ask(|client, _| async move { claims::claim(&client, &claims, &volume, &storage).await })
    }

    /// Renews all of `claims`, and ends those that are not among them any more.
    pub(super) fn renew(&self, claims: Claims) -> Answer<()> {
        self.ask(|client, _| async move { claims::renew(&client, &claims).await })
    }

    /// A range of session numbers that nobody else has.
    pub(super) fn lease(&self) -> Answer<Lease> {
        self.ask(|client, _| async move { identity::lease(&client).await })
    }

    /// Tells the session time, and the number after the last, that are known here; what all share from now on is the answer.
    pub(super) fn hold(&self, known: Option<(u32, u32)>) -> Answer<u32> {
        self.ask(move |client, _| async move { identity::hold(&client, known).await })
    }

    /// Listens from now on for news of other processes.
    pub(super) fn listen(&self) -> Answer<()> {
        let notices = Arc::clone(&self.notices);
        self.ask(|client, _| async move { peers::listen(&client, &notices).await })
    }

    /// Returns when another process has news.
    pub(super) async fn news(&self) {
        self.notices.next().await;
    }

    /// As [`super::Roster::beat`], for `owner`.
    pub(super) fn beat(&self, owner: Arc<str>, beat: Beat, news: bool) -> Answer<Vec<Heard>> {
        self.ask(move |client, _| async move { peers::beat(&client, &owner, &beat, news).await })
    }

    /// As [`super::Roster::leave`].
    pub(super) fn leave(&self, owner: Arc<str>) -> Answer<()> {
        self.ask(|client, _| async move { peers::leave(&client, &owner).await })
    }

    /// As [`super::Roster::announce`].
    pub(super) fn announce(&self, owner: Arc<str>, has: Vec<JobName>, had: Vec<JobName>, all: bool) -> Answer<()> {
        self.ask(move |client, _| async move { peers::announce(&client, &owner, &has, &had, all).await })
    }

    /// As [`super::Roster::owners`].
    pub(super) fn owners(&self, job: JobName, own: PeerName) -> Answer<Vec<Owner>> {
        self.ask(|client, _| async move { peers::owners(&client, &job, &own).await })
    }

    /// Has `work` done, whether somebody waits for the answer or not. What is half done when the connection goes is undone by
    /// the server. Nobody waits longer than he has patience for; but that it was not his turn until then says nothing of the
    /// server.
    fn ask<T, F>(&self, work: impl FnOnce(OwnedMutexGuard<Client>, Arc<str>) -> F + Send + 'static) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Trouble>> + Send + 'static,
    {
        let store = self.clone();
        let task = tokio::spawn(async move {
            let turn = tokio::select! {
                turn = Arc::clone(&store.client).lock_owned() => turn,
                () = store.lost.cancelled() => return Err(store.away("the connection was lost")),
            };
            store.within(work(turn, Arc::clone(&store.place))).await
        });
        let store = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(store.patience, task).await {
                Ok(answer) => answer.unwrap_or(Err(StoreError::Closed)),
                Err(_) => Err(store.silent()),
            }
        })
    }

    fn away(&self, cause: &str) -> StoreError {
        StoreError::Away {
            place: self.place.to_string(),
            cause: cause.to_owned(),
        }
    }

    fn silent(&self) -> StoreError {
        self.away(&format!("no answer within {} s", self.patience.as_secs()))
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, StoreError> {
        let answer = tokio::select! {
            answer = tokio::time::timeout(self.patience, work) => match answer {
                Ok(answer) => answer.map_err(|trouble| trouble.at(&self.place)),
                Err(_) => Err(self.silent()),
            },
            () = self.lost.cancelled() => Err(self.away("the connection was lost")),
        };
        if matches!(answer, Err(StoreError::Away { .. })) {
            self.lost.cancel();
        }
        answer
    }
}

impl Store for PostgresStore {
    fn find(&self, volumes: Vec<VolumeName>) -> Answer<Vec<VolumeRecord>> {
        self.ask(|client, place| async move { volumes::find(&client, &place, &volumes).await })
    }

    fn all(&self, storage: Option<StorageName>) -> Answer<Vec<VolumeRecord>> {
        self.ask(|client, place| async move { volumes::all(&client, &place, storage).await })
    }

    fn record(&self, entries: Vec<Entry>) -> Answer<Vec<Recorded>> {
        let answer = self.record_all(entries);
        Box::pin(async move { Ok(answer.await?.into_iter().map(|(recorded, _)| recorded).collect()) })
    }

    fn forget(&self, volume: VolumeName) -> Answer<Option<VolumeRecord>> {
        self.forget_at(volume, Moment::now().0)
    }

    fn add_jobs(&self, jobs: Vec<JobRecord>, keep: Keep) -> Answer<()> {
        self.ask(move |mut client, _| async move { jobs::add(&mut client, &jobs, keep).await })
    }

    fn jobs(&self, since: i64, most: u64) -> Answer<Vec<JobRecord>> {
        self.ask(move |client, place| async move { jobs::jobs(&client, &place, since, most).await })
    }

    fn states(&self) -> Answer<Vec<StateRecord>> {
        self.ask(|client, place| async move { jobs::states(&client, &place).await })
    }

    fn put_state(&self, record: StateRecord) -> Answer<()> {
        self.ask(|client, _| async move { jobs::put_state(&client, &record).await })
    }
}
