//! One session time for all sdgroups, and numbers that are given once.

use std::collections::HashSet;

use crate::database::{migrated, options};
use crate::sharing::Sharer;
use sdgroup::types::SessionIdentity;

/// By lot: always the lowest.
fn mint(sharer: &Sharer) -> SessionIdentity {
    sharer.store.numbers().mint(|_| 0).expect("the time is known")
}

/// So many, as times and numbers.
fn several(sharer: &Sharer, count: usize) -> Vec<(u32, u32)> {
    let minted = (0..count).map(|_| mint(sharer));
    minted.map(|identity| (identity.time, identity.id)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_sdgroups_have_one_time_and_each_its_own_numbers() {
    let machine = migrated().await;
    let options = options(&[&machine]);
    let (mut a, mut b) = (Sharer::new(&options).await, Sharer::new(&options).await);
    let mut minted = several(&a, 700);
    minted.extend(several(&b, 900));
    let time = minted[0].0;
    assert!(minted.iter().all(|(minted, _)| *minted == time));
    let told = machine.ask("SELECT time FROM sdgroup.identity");
    assert_eq!(told, time.to_string());

    // What is left lasts while the database is away, and lots are drawn after that. Nobody comes back to it before it is
    // as it is to be found.
    machine.ask("ALTER ROLE sdgroup NOLOGIN");
    machine.server.kill();
    a.until(false, 0).await;
    b.until(false, 0).await;
    minted.extend(several(&a, 300));
    assert_eq!((a.store.numbers().left(), a.store.numbers().drawn()), (0, 0));
    minted.extend(several(&a, 1));
    assert_eq!(a.store.numbers().drawn(), 1);
    // One that begins without the database has the time from before.
    let c = Sharer::over(&options, a.end().await).await;
    let drawn = mint(&c);
    assert_eq!((drawn.time, c.store.numbers().drawn()), (time, 1));

    // The server has lost what it was told last: whoever knows of it says so, and nobody gets it again.
    machine.restart();
    machine.ask("UPDATE sdgroup.identity SET next = next - 1000, time = time - 5; ALTER ROLE sdgroup LOGIN");
    b.until(true, 0).await;
    assert_eq!(machine.ask("SELECT time FROM sdgroup.identity"), time.to_string());
    let d = Sharer::new(&options).await;
    minted.extend(several(&b, 100));
    minted.extend(several(&d, 300));
    assert!(minted.iter().all(|(minted, _)| *minted == time));
    let different: HashSet<_> = minted.iter().collect();
    assert_eq!(different.len(), minted.len(), "no number twice");

    // When all numbers are given, they begin anew at a later time.
    machine.ask("UPDATE sdgroup.identity SET next = 1073741824 + 3 * 268435456 - 1");
    minted.extend(several(&d, 700));
    crate::lab::wait::until("new numbers", crate::sharing::WITHIN, || {
        (d.store.numbers().left() == 1000).then_some(())
    });
    let next = mint(&d);
    assert!(next.time > time && next.id < (1 << 30) + 4000, "{next:?}");
}
