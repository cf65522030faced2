//! A database that several sdgroups share, and the state file beside it.
//!
//! What is learned is in the state file first, and in the database before the answer, as long as that answers. While
//! the database is away, the state file alone is asked, which has a copy of all that the database had, and remembers
//! what is to be told. The [`Follower`] keeps the copy, tells what was not told, and connects again.

mod follower;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use super::fact::Fact;
use super::postgres::Claims;
use super::{Answer, Entry, JobRecord, Keep, Recorded, SqliteStore, StateRecord, Store, VolumeRecord};
use super::{Numbers, PostgresStore, Roster, Weight};
use crate::config::model::PostgreSql;
use crate::types::{Moment, StorageName, VolumeName};

pub use follower::Follower;

/// How the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreView {
    /// Why it is away, if it is.
    pub trouble: Option<String>,
    /// Since when it is as it is.
    pub since: Moment,
    /// How many records it is to be told yet.
    pub unsent: u64,
}

/// What others have told the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Jobs that have ended.
    Jobs(Vec<JobRecord>),
    /// The states of storages are others now.
    States,
    /// A volume that was learned here while the database was away is known to be elsewhere, and stays so.
    Conflict {
        /// The volume.
        volume: VolumeName,
        /// Where it is.
        known: StorageName,
        /// Where it was seen here.
        storage: StorageName,
    },
}

/// A store in a database that is shared, and in a file of one's own.
#[derive(Debug)]
pub struct SharedStore {
    local: Arc<SqliteStore>,
    link: watch::Receiver<Option<PostgresStore>>,
    behind: Arc<Notify>,
    keep: Arc<Mutex<Keep>>,
    claims: Claims,
    numbers: Numbers,
}

impl SharedStore {
    /// A store over `local` and the database of `options`, which is away until the follower has been there, and what
    /// others tell it. No answer of the database is waited for longer than `patience`.
    #[must_use]
    pub fn new(
        local: SqliteStore,
        options: PostgreSql,
        patience: Duration,
    ) -> (Self, Follower, mpsc::UnboundedReceiver<News>) {
        let local = Arc::new(local);
        let (news, told) = mpsc::unbounded_channel();
        let (link, behind) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let keep = Arc::new(Mutex::new(Keep {
            since: i64::MIN,
            most: u64::MAX,
        }));
        let store = Self {
            local: Arc::clone(&local),
            link: link.subscribe(),
            behind: Arc::clone(&behind),
            keep: Arc::clone(&keep),
            claims: Claims::new(),
            numbers: Numbers::default(),
        };
        let (claims, numbers) = (store.claims.clone(), store.numbers.clone());
        let follower = Follower::new(local, options, patience, link, behind, keep, claims, numbers, news);
        (store, follower, told)
    }

    /// The session numbers that the database gives.
    #[must_use]
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// All who share the database.
    #[must_use]
    pub fn roster(&self) -> Roster {
        Roster::new(self.link.clone(), self.claims.owner())
    }

    fn database(&self) -> Option<PostgresStore> {
        self.link.borrow().clone()
    }

    /// Has the follower look, now.
    fn behind(&self) {
        self.behind.notify_one();
    }
}

/// Of two records of one volume the newer one; the database's of two that are as old.
fn newer(database: VolumeRecord, local: Option<VolumeRecord>) -> VolumeRecord {
    match local {
        Some(local) if local.updated > database.updated => local,
        _ => database,
    }
}

impl Store for SharedStore {
    fn find(&self, volumes: Vec<VolumeName>) -> Answer<Vec<VolumeRecord>> {
        let known = self.local.find(volumes.clone());
        let Some(database) = self.database() else { return known };
        let asked = database.find(volumes);
        Box::pin(async move {
            let known = known.await?;
            let Ok(records) = asked.await else { return Ok(known) };
            let mut known: HashMap<_, _> = known
                .into_iter()
                .map(|record| (record.volume.clone(), record))
                .collect();
            let mut found: Vec<_> = records
                .into_iter()
                .map(|record| {
                    let local = known.remove(&record.volume);
                    newer(record, local)
                })
                .collect();
            found.extend(known.into_values());
            Ok(found)
        })
    }

    fn all(&self, storage: Option<StorageName>) -> Answer<Vec<VolumeRecord>> {
        self.local.all(storage)
    }

    fn record(&self, entries: Vec<Entry>) -> Answer<Vec<Recorded>> {
        let recorded = self.local.record_unsent(entries.clone());
        let (local, database, behind) = (Arc::clone(&self.local), self.database(), Arc::clone(&self.behind));
        Box::pin(async move {
            let recorded = recorded.await?;
            if recorded.iter().all(|one| *one == Recorded::Same) {
                return Ok(recorded);
            }
            let Some(database) = database else { return Ok(recorded) };
            // One that has gone away meanwhile is told later.
            let times: Vec<_> = entries.iter().map(|entry| entry.at).collect();
            let Ok(told) = database.record_all(entries).await else {
                behind.notify_one();
                return Ok(recorded);
            };
            let (recorded, facts): (Vec<_>, Vec<_>) = told.into_iter().unzip();
            let settled = facts.into_iter().zip(times);
            let settled = settled.filter_map(|(fact, at)| Some((fact?, at)));
            local.settle(settled.collect()).await?;
            Ok(recorded)
        })
    }

    fn forget(&self, volume: VolumeName) -> Answer<Option<VolumeRecord>> {
        let forgotten = self.local.forget_unsent(volume.clone());
        let (local, database, behind) = (Arc::clone(&self.local), self.database(), Arc::clone(&self.behind));
        Box::pin(async move {
            let forgotten = forgotten.await?;
            let Some(database) = database else { return Ok(forgotten) };
            let at = Moment::now().0;
            let Ok(known) = database.forget_at(volume.clone(), at).await else {
                behind.notify_one();
                return Ok(forgotten);
            };
            local.settle(vec![(Fact::Forgotten { volume, at }, at)]).await?;
            Ok(known.or(forgotten))
        })
    }

    fn claim(&self, volume: VolumeName, storage: StorageName) -> Answer<Option<StorageName>> {
        if !self.claims.ask(volume.clone(), storage.clone()) {
            return Box::pin(std::future::ready(Ok(None)));
        }
        let Some(database) = self.database() else {
            self.claims.assume(&volume);
            return Box::pin(std::future::ready(Ok(None)));
        };
        let (claims, behind) = (self.claims.clone(), Arc::clone(&self.behind));
        let asked = database.claim(claims.clone(), volume.clone(), storage);
        Box::pin(async move {
            match asked.await {
                Ok(Some(other)) => {
                    claims.deny(&volume);
                    Ok(Some(other))
                }
                Ok(None) => {
                    claims.grant(&volume);
                    Ok(None)
                }
                // One that has gone away meanwhile is told of the claim when it is back.
                Err(_) => {
                    claims.assume(&volume);
                    behind.notify_one();
                    Ok(None)
                }
            }
        })
    }

    fn release(&self, volume: &VolumeName) {
        self.claims.release(volume);
        self.behind();
    }

    fn add_jobs(&self, jobs: Vec<JobRecord>, keep: Keep) -> Answer<()> {
        *self.keep.lock().unwrap_or_else(PoisonError::into_inner) = keep;
        let added = self.local.add_jobs_unsent(jobs, keep);
        let behind = Arc::clone(&self.behind);
        Box::pin(async move {
            added.await?;
            behind.notify_one();
            Ok(())
        })
    }

    fn jobs(&self, since: i64, most: u64) -> Answer<Vec<JobRecord>> {
        self.local.jobs(since, most)
    }

    fn states(&self) -> Answer<Vec<StateRecord>> {
        self.local.states()
    }

    fn put_state(&self, record: StateRecord) -> Answer<()> {
        let put = self.local.put_state_unsent(record);
        let behind = Arc::clone(&self.behind);
        Box::pin(async move {
            put.await?;
            behind.notify_one();
            Ok(())
        })
    }
}

impl Drop for SharedStore {
    fn drop(&mut self) {
        self.behind();
    }
}

/// What two stores have of volumes: what the database has and the file has not so, and what the database lacks.
fn compared(database: Vec<Fact>, local: Vec<Fact>) -> (Vec<Fact>, Vec<Fact>) {
    let mut local: HashMap<VolumeName, Fact> = local.into_iter().map(|fact| (fact.volume().clone(), fact)).collect();
    let (mut news, mut lacks) = (Vec::new(), Vec::new());
    for fact in database {
        match local.remove(fact.volume()) {
            Some(known) if known == fact => {}
            Some(known) if known.at() > fact.at() => lacks.push(known),
            _ => news.push(fact),
        }
    }
    lacks.extend(local.into_values());
    (news, lacks)
}

/// Those of what was told that the database knows to be elsewhere, and keeps there.
fn conflicts(told: &[(Fact, Weight)], truth: &[Fact]) -> Vec<News> {
    let places: HashMap<_, _> = truth
        .iter()
        .filter_map(Fact::held)
        .map(|record| (&record.volume, record))
        .collect();
    let one = |(fact, _): &(Fact, Weight)| {
        let seen = fact.held()?;
        let known = places.get(&seen.volume).filter(|known| known.storage != seen.storage)?;
        Some(News::Conflict {
            volume: seen.volume.clone(),
            known: known.storage.clone(),
            storage: seen.storage.clone(),
        })
    };
    told.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Source;
    use crate::types::PoolName;

    fn held(pool: &str, updated: i64) -> Fact {
        Fact::Held(VolumeRecord {
            volume: VolumeName::new("V").unwrap(),
            storage: StorageName::new("File4").unwrap(),
            source: Source::Learned,
            media_type: None,
            pool: Some(PoolName::new(pool).unwrap()),
            first_seen: 1,
            updated,
            updated_by: None,
        })
    }

    #[test]
    fn of_two_that_differ_the_newer_is_told_whatever_differs() {
        let (older, newer) = (held("Scratch", 5), held("Full", 9));
        let told = |database: &Fact, local: &Fact| compared(vec![database.clone()], vec![local.clone()]);
        assert_eq!(told(&older, &newer), (vec![], vec![newer.clone()]));
        assert_eq!(told(&newer, &older), (vec![newer.clone()], vec![]));
        assert_eq!(told(&newer, &newer), (vec![], vec![]));
    }
}
