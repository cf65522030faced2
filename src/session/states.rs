//! What the operator wants of storages: in force at once, and kept over restarts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Mutex;

use crate::group::{Directory, Standing, StorageLive};
use crate::store::{StateRecord, Store, StoreError};
use crate::telemetry::event::{StateChanged, StoreFailed};
use crate::types::{Decision, Moment, State, StorageName};

/// Who ends a state whose time is over.
const BY_TIME: &str = "its time";

/// The states of storages, in the directory and in the store.
#[derive(Debug)]
pub struct States {
    store: Arc<dyn Store>,
    /// One change at a time, so that the two never keep the order of two changes differently; and of which storages the
    /// store could not keep the last.
    changing: Mutex<HashSet<StorageName>>,
}

impl States {
    /// Kept in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            changing: Mutex::default(),
        }
    }

    /// Puts `directory` into the states in which an earlier process left it. What has ended in the meantime is tidied
    /// away by [`States::tidy`]. A storage that is not in the configuration keeps its state until it is again.
    pub fn restore(directory: &Directory, records: Vec<StateRecord>) {
        for StateRecord { storage, decision } in records {
            if let Some(live) = directory.storage(&storage) {
                put(&live, decision);
            }
        }
    }

    /// The same for storages that a reload brings.
    #[must_use]
    pub fn standing(records: Vec<StateRecord>) -> Vec<Standing> {
        let now = Instant::now();
        let records = records.into_iter();
        let standing = records.map(|StateRecord { storage, decision }| Standing {
            storage,
            ends: ends(&decision, now),
            decision,
        });
        standing.collect()
    }

    /// The operator wants `decision` for `live`. It is in force whatever becomes of its being kept.
    ///
    /// # Errors
    /// When it cannot be kept, and so will not hold over a restart.
    pub async fn decide(&self, live: &StorageLive, decision: Decision) -> Result<(), StoreError> {
        let mut unkept = self.changing.lock().await;
        let before = live.view(Instant::now()).state();
        tell(live.name(), before, &decision);
        put(live, decision.clone());
        self.keep(live.name(), decision, &mut unkept).await
    }

    /// Tells and keeps what has ended by itself. To be called every second or so.
    pub async fn tidy(&self, directory: &Directory) {
        let mut unkept = self.changing.lock().await;
        for (live, over) in directory.states_over(Instant::now()) {
            let ready = Decision {
                state: State::Ready,
                reason: over.reason.clone(),
                by: BY_TIME.to_owned(),
                since: Moment::now(),
                until: None,
            };
            tell(live.name(), over.state, &ready);
            if let Err(error) = self.keep(live.name(), ready, &mut unkept).await {
                StoreFailed {
                    operation: "states",
                    error: &error,
                }
                .emit();
            }
        }
    }

    /// Puts into force what other sdgroups, or other processes of this one, were told by their operators. What the
    /// store could not keep stays in force.
    pub async fn follow(&self, directory: &Directory) {
        let unkept = self.changing.lock().await;
        let records = match self.store.states().await {
            Ok(records) => records,
            Err(error) => {
                return StoreFailed {
                    operation: "states",
                    error: &error,
                }
                .emit();
            }
        };
        let follows = |live: &&Arc<StorageLive>| !unkept.contains(live.name());
        for live in directory.storages().iter().filter(follows) {
            let current = live.view(Instant::now()).decision;
            let Some(wanted) = records.iter().find(|record| record.storage == *live.name()) else {
                continue;
            };
            let wanted = &wanted.decision;
            let before = current.as_ref().map_or(State::Ready, |decision| decision.state);
            let is_ready = before == State::Ready && wanted.state == State::Ready;
            if is_ready || current.as_deref() == Some(wanted) {
                continue;
            }
            tell(live.name(), before, wanted);
            put(live, wanted.clone());
        }
    }

    async fn keep(
        &self,
        storage: &StorageName,
        decision: Decision,
        unkept: &mut HashSet<StorageName>,
    ) -> Result<(), StoreError> {
        let record = StateRecord {
            storage: storage.clone(),
            decision,
        };
        let kept = self.store.put_state(record).await;
        if kept.is_ok() {
            unkept.remove(storage);
        } else {
            unkept.insert(storage.clone());
        }
        kept
    }
}

/// Puts it into force.
fn put(live: &StorageLive, decision: Decision) {
    let instant = Instant::now();
    let ends = ends(&decision, instant);
    live.decide(decision, ends, instant);
}

/// When it ends by itself, by the clock of this process.
fn ends(decision: &Decision, instant: Instant) -> Option<Instant> {
    let left = decision.until?.since(Moment::now());
    instant.checked_add(left)
}

fn tell(storage: &StorageName, before: State, decision: &Decision) {
    StateChanged {
        storage,
        from: before.as_str(),
        to: decision.state.as_str(),
        by: &decision.by,
        reason: decision.reason.as_deref(),
        until: decision.until.map(|until: Moment| until.to_string()).as_deref(),
    }
    .emit();
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::{self, MachineSecrets};
    use crate::store::{MemoryStore, SqliteStore};

    const CONFIG: &str = r#"
        [[Listen]]
        Group = "Files"
        [[Director]]
        Name = "lab-dir"
        Password = "secret"
        [[Storage]]
        Name = "File4"
        Address = "192.0.2.4"
        Password = "secret"
        [[Storage]]
        Name = "File5"
        Address = "192.0.2.5"
        Password = "secret"
        [[Group]]
        Name = "Files"
        Storages = ["File4", "File5"]
    "#;

    fn directory() -> Arc<Directory> {
        let loaded = config::compile(CONFIG, Path::new("test.toml"), &MachineSecrets::new()).unwrap();
        Directory::new(&loaded.model)
    }

    fn decision(state: State, until: Option<Duration>) -> Decision {
        Decision {
            state,
            reason: Some("new disks".to_owned()),
            by: "ann".to_owned(),
            since: Moment::now(),
            until: until.map(|length| Moment::now().plus(length)),
        }
    }

    fn state_of(directory: &Directory, at: usize) -> State {
        directory.storages()[at].view(Instant::now()).state()
    }

    #[tokio::test]
    async fn a_state_outlives_the_process_until_its_time() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (states, first) = (States::new(Arc::clone(&store)), directory());
        let hour = Some(Duration::from_secs(3_600));
        for (at, decided) in [
            (0, decision(State::Sealed, hour)),
            (1, decision(State::Maintenance, None)),
        ] {
            states.decide(&first.storages()[at], decided).await.unwrap();
        }
        let (states, second) = (States::new(Arc::clone(&store)), directory());
        States::restore(&second, store.states().await.unwrap());
        assert_eq!(state_of(&second, 0), State::Sealed);
        assert_eq!(state_of(&second, 1), State::Maintenance);
        let held = second.storages()[0].view(Instant::now()).decision.unwrap();
        assert_eq!((held.by.as_str(), held.reason.as_deref()), ("ann", Some("new disks")));

        states.tidy(&second).await;
        assert_eq!(store.states().await.unwrap().len(), 2, "nothing has ended");
        // The time of this one is over while no process is there.
        let gone = Decision {
            until: Some(Moment(Moment::now().0 - 1)),
            ..decision(State::Sealed, None)
        };
        states.decide(&second.storages()[0], gone).await.unwrap();
        let (states, third) = (States::new(Arc::clone(&store)), directory());
        States::restore(&third, store.states().await.unwrap());
        states.tidy(&third).await;
        assert_eq!(state_of(&third, 0), State::Ready);
        let kept = async || -> Vec<State> {
            let kept = store.states().await.unwrap();
            kept.iter().map(|record| record.decision.state).collect()
        };
        assert_eq!(kept().await, [State::Ready, State::Maintenance]);
        let ready = decision(State::Ready, None);
        states.decide(&third.storages()[1], ready).await.unwrap();
        assert_eq!(state_of(&third, 1), State::Ready);
        assert_eq!(kept().await, [State::Ready; 2]);
    }

    #[tokio::test]
    async fn what_another_keeps_is_in_force_and_what_could_not_be_kept_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sdgroup.db");
        let [own, other] = [(); 2].map(|()| States::new(Arc::new(SqliteStore::open(&path).unwrap())));
        let (here, there) = (directory(), directory());
        let sealed = decision(State::Sealed, None);
        other.decide(&there.storages()[0], sealed).await.unwrap();
        own.follow(&here).await;
        assert_eq!(state_of(&here, 0), State::Sealed);

        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch("ALTER TABLE states RENAME COLUMN reason TO was")
            .unwrap();
        let drained = decision(State::Draining, None);
        own.decide(&here.storages()[0], drained).await.unwrap_err();
        file.execute_batch("ALTER TABLE states RENAME COLUMN was TO reason")
            .unwrap();
        own.follow(&here).await;
        assert_eq!(state_of(&here, 0), State::Draining);
        let again = decision(State::Draining, None);
        own.decide(&here.storages()[0], again).await.unwrap();
        other
            .decide(&there.storages()[0], decision(State::Ready, None))
            .await
            .unwrap();
        own.follow(&here).await;
        assert_eq!(state_of(&here, 0), State::Ready);
    }
}
