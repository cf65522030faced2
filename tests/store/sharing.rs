//! Several stores in one database, which goes away and comes back.

use crate::database::{Machine, PATIENCE, migrated, options};
use crate::same::{entry, job, state, volume};
use sdgroup::config::model::PostgreSql;
use sdgroup::store::{Keep, News, Recorded, SharedStore, SqliteStore, Store, Weight};
use sdgroup::types::{Moment, State, StorageName};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(crate) const WITHIN: Duration = Duration::from_secs(60);
const ALL: Keep = Keep { since: 0, most: 1000 };

/// What one sdgroup has of a shared database.
pub(crate) struct Sharer {
    pub(crate) store: SharedStore,
    view: tokio::sync::watch::Receiver<sdgroup::store::StoreView>,
    news: UnboundedReceiver<News>,
    stop: CancellationToken,
    following: AbortOnDropHandle<()>,
    folder: TempDir,
}

impl Sharer {
    pub(crate) async fn new(options: &PostgreSql) -> Self {
        Self::over(options, tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn over(options: &PostgreSql, folder: TempDir) -> Self {
        let file = SqliteStore::open(&folder.path().join("sdgroup.db")).unwrap();
        let (store, mut follower, news) = SharedStore::new(file, options.clone(), PATIENCE);
        follower.begin().await;
        let (view, stop) = (follower.view(), CancellationToken::new());
        let following = AbortOnDropHandle::new(tokio::spawn(follower.run(stop.clone())));
        Self {
            store,
            view,
            news,
            stop,
            following,
            folder,
        }
    }

    pub(crate) async fn until(&mut self, is_up: bool, unsent: u64) {
        let stands = |view: &sdgroup::store::StoreView| view.trouble.is_none() == is_up && view.unsent == unsent;
        let waited = tokio::time::timeout(WITHIN, self.view.wait_for(stands)).await.map(drop);
        assert!(waited.is_ok(), "{:?}", self.view.borrow());
    }

    async fn learn(&self, name: &str, storage: &str, weight: Weight) -> Recorded {
        let entry = entry(name, storage, weight, now());
        self.store.record(vec![entry]).await.unwrap().remove(0)
    }

    async fn holder(&self, name: &str) -> Option<String> {
        let found = self.store.find(vec![volume(name)]).await.unwrap();
        found.first().map(|record| record.storage.to_string())
    }

    async fn news(&mut self) -> News {
        tokio::time::timeout(WITHIN, self.news.recv())
            .await
            .expect("news")
            .expect("news")
    }

    pub(crate) async fn end(self) -> TempDir {
        self.stop.cancel();
        self.following.await.unwrap();
        self.folder
    }
}

fn now() -> i64 {
    Moment::of(SystemTime::now()).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_learns_all_know_at_once() {
    let machine = migrated().await;
    let options = options(&[&machine]);
    let (mut a, mut b) = (Sharer::new(&options).await, Sharer::new(&options).await);

    assert_eq!(a.learn("V", "File4", Weight::KeepKnown).await, Recorded::New);
    assert_eq!(b.holder("V").await.as_deref(), Some("File4"));
    let known = StorageName::new("File4").unwrap();
    assert_eq!(
        b.learn("V", "File5", Weight::KeepKnown).await,
        Recorded::Conflict { known: known.clone() }
    );
    assert_eq!(
        b.learn("V", "File5", Weight::ReplaceKnown).await,
        Recorded::Moved { from: known }
    );
    assert_eq!(a.holder("V").await.as_deref(), Some("File5"));

    a.store.add_jobs(vec![job(1, now())], ALL).await.unwrap();
    let News::Jobs(jobs) = b.news().await else {
        panic!("jobs")
    };
    assert_eq!(jobs.len(), 1);
    a.store.put_state(state("File5", State::Sealed, now())).await.unwrap();
    assert_eq!(b.news().await, News::States);
    assert_eq!(b.store.states().await.unwrap().len(), 1);
    a.until(true, 0).await;
    b.until(true, 0).await;

    // One that was away for all of this has it when it comes, and needs nobody for it from then on.
    let folder = Sharer::new(&options).await.end().await;
    machine.server.kill();
    let alone = Sharer::over(&options, folder).await;
    assert_eq!(alone.holder("V").await.as_deref(), Some("File5"));
    assert_eq!(alone.store.jobs(0, 10).await.unwrap().len(), 1);
    assert_eq!(alone.store.states().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_sdgroups_one_storage_gets_a_new_volume() {
    use sdgroup::volumes::{Ledger, Place};
    let machine = migrated().await;
    let options = options(&[&machine]);
    let (a, b) = (Sharer::new(&options).await, Sharer::new(&options).await);
    let [a, b] = [a, b].map(|sharer| (Ledger::new(Arc::new(sharer.store)), sharer.following, sharer.stop));
    let [file4, file5] = ["File4", "File5"].map(|name| StorageName::new(name).unwrap());

    for round in 0..20 {
        let name = volume(&format!("V{round}"));
        let (one, other) = tokio::join!(a.0.claim(&name, &file4, false), b.0.claim(&name, &file5, false));
        let (one, other) = (one.unwrap(), other.unwrap());
        let places = [&one.0, &other.0];
        assert_eq!(
            places.iter().filter(|place| ***place == Place::Nowhere).count(),
            1,
            "{places:?}"
        );
        let same =
            b.0.claim(&name, if one.1.is_some() { &file4 } else { &file5 }, false)
                .await
                .unwrap();
        assert_eq!(same.0, Place::Nowhere, "the same storage, through another sdgroup");
    }
    // One that is let go is free for all; one whose sdgroup is gone as well, after a while.
    let (_, claim) = a.0.claim(&volume("W"), &file4, false).await.unwrap();
    assert_eq!(
        b.0.claim(&volume("W"), &file5, false).await.unwrap().0,
        Place::Claimed(file4.clone())
    );
    drop(claim);
    crate::lab::wait::until("the claim to go", WITHIN, || {
        (machine.ask("SELECT count(*) FROM sdgroup.claims WHERE volume = 'W'") == "0").then_some(())
    });
    let (_, kept) = a.0.claim(&volume("X"), &file4, false).await.unwrap();
    drop(a.1);
    machine.ask("UPDATE sdgroup.claims SET until = now() WHERE volume = 'X'");
    assert_eq!(b.0.claim(&volume("X"), &file5, false).await.unwrap().0, Place::Nowhere);
    drop((kept, a.2, b.1, b.2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_waits_for_what_is_followed() {
    let machine = migrated().await;
    let options = options(&[&machine]);
    let mut a = Sharer::new(&options).await;
    std::thread::scope(|scope| {
        // Somebody keeps the table of jobs to himself, which no session needs.
        let lock = "BEGIN; LOCK TABLE sdgroup.jobs; SELECT pg_sleep(600)";
        scope.spawn(|| assert_eq!(machine.server.ask("sdgroup", lock), None));
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        crate::lab::wait::until("the follower to wait", WITHIN, || {
            (machine.ask(waits) == "1").then_some(())
        });
        let learned = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(a.learn("V", "File4", Weight::KeepKnown))
        });
        assert_eq!(learned, Recorded::New);
        assert_eq!(machine.ask("SELECT storage FROM sdgroup.volumes"), "File4");
        machine.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'");
    });
    a.until(true, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_learned_while_the_database_is_away_is_told_once_it_is_back() {
    let machine = migrated().await;
    let options = options(&[&machine]);
    let (mut a, mut b) = (Sharer::new(&options).await, Sharer::new(&options).await);
    a.learn("Old", "File4", Weight::KeepKnown).await;
    machine.server.kill();
    // The server's children serve on for a moment.
    a.until(false, 0).await;
    b.until(false, 0).await;

    assert_eq!(a.learn("New", "File4", Weight::KeepKnown).await, Recorded::New);
    assert_eq!(
        a.learn("Old", "File6", Weight::ReplaceKnown).await,
        Recorded::Moved {
            from: StorageName::new("File4").unwrap()
        }
    );
    // Both believe that they are the first to see this one.
    assert_eq!(a.learn("Both", "File4", Weight::KeepKnown).await, Recorded::New);
    let later = entry("Both", "File5", Weight::KeepKnown, now() + 5);
    assert_eq!(b.store.record(vec![later]).await.unwrap(), [Recorded::New]);
    a.store.add_jobs(vec![job(1, now()), job(2, now())], ALL).await.unwrap();
    a.store.put_state(state("File4", State::Draining, now())).await.unwrap();
    a.until(false, 6).await;
    b.until(false, 1).await;
    // Nor is it lost when the process ends meanwhile.
    let folder = a.end().await;

    machine.restart();
    let mut a = Sharer::over(&options, folder).await;
    a.until(true, 0).await;
    b.until(true, 0).await;
    assert_eq!(
        machine.ask("SELECT name, storage FROM sdgroup.volumes WHERE name <> 'Both' ORDER BY name"),
        "New|File4\nOld|File6"
    );
    assert_eq!(
        machine.ask("SELECT count(*) FROM sdgroup.jobs"),
        "2",
        "no more and no less"
    );
    assert_eq!(
        machine.ask("SELECT storage, state FROM sdgroup.states"),
        "File4|draining"
    );
    let held = machine.ask("SELECT storage FROM sdgroup.volumes WHERE name = 'Both'");
    let (winner, loser) = if held == "File4" {
        (&mut a, &mut b)
    } else {
        (&mut b, &mut a)
    };
    let conflict = loop {
        if let News::Conflict { volume, known, .. } = loser.news().await {
            break (volume.to_string(), known.to_string());
        }
    };
    assert_eq!(conflict, ("Both".to_owned(), held.clone()));
    assert_eq!(loser.holder("Both").await, Some(held.clone()));
    assert_eq!(winner.holder("Both").await, Some(held));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_lacks_the_last_transactions_is_told_them_again() {
    let primary = migrated().await;
    let standby = Machine::standby(&primary);
    let options = options(&[&primary, &standby]);
    let mut a = Sharer::new(&options).await;
    let a_while_ago = ["Kept", "Gone"].map(|name| entry(name, "File4", Weight::KeepKnown, now() - 60));
    a.store.record(a_while_ago.to_vec()).await.unwrap();
    // The standby hears nothing from here on.
    standby
        .server
        .ask("postgres", "ALTER SYSTEM SET primary_conninfo = ''")
        .expect("cut off");
    standby
        .server
        .ask("postgres", "SELECT pg_reload_conf()")
        .expect("cut off");
    crate::lab::wait::until("the standby to be alone", WITHIN, || {
        let walks = primary.ask("SELECT count(*) FROM pg_stat_replication");
        (walks == "0").then_some(())
    });
    a.learn("Lost", "File5", Weight::KeepKnown).await;
    a.learn("Kept", "File6", Weight::ReplaceKnown).await;
    a.store.forget(volume("Gone")).await.unwrap();
    a.store.add_jobs(vec![job(1, now())], ALL).await.unwrap();
    crate::lab::wait::until("the primary to have it all", WITHIN, || {
        (primary.ask("SELECT count(*) FROM sdgroup.jobs") == "1").then_some(())
    });
    a.until(true, 0).await;

    primary.server.kill();
    a.until(false, 0).await;
    standby.promote();
    a.until(true, 0).await;

    assert_eq!(
        standby.ask("SELECT name, storage FROM sdgroup.volumes ORDER BY name"),
        "Kept|File6\nLost|File5"
    );
    assert_eq!(standby.ask("SELECT count(*) FROM sdgroup.jobs"), "1");
}
