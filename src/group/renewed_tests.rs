//! What becomes of jobs, queues and all that is known when another configuration comes into force.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::clock::now;
use super::*;
use crate::config::model::{self, Limits, Model, PolicyName};
use crate::types::{Bytes, Space};

fn site(model: &Model) -> (Arc<Directory>, Arc<Group>) {
    let directory = Directory::seeded(model, 1);
    let group = directory.group(&rig::group_name()).unwrap();
    (directory, group)
}

fn place(directory: &Directory, group: &Arc<Group>, job_id: u32) -> Option<Placement> {
    let request = rig::request("dir", job_id);
    directory.place(group, &request, &Tried::new(), now()).ok()
}

fn running(directory: &Directory) -> Vec<(String, u32)> {
    let views = directory.storages().iter().map(|live| live.view(now()));
    views.map(|view| (view.storage.to_string(), view.running)).collect()
}

fn change_group(model: &mut Model, change: impl FnOnce(&mut model::Group)) {
    let mut group = (*model.groups[0]).clone();
    change(&mut group);
    model.groups = vec![Arc::new(group)];
}

fn change_storage(model: &mut Model, at: usize, change: impl FnOnce(&mut model::Storage)) {
    let mut storage = (*model.storages[at]).clone();
    change(&mut storage);
    model.storages[at] = Arc::new(storage);
}

/// Without the first storage.
fn without_first(model: &mut Model) {
    let gone = model.storages.remove(0);
    change_group(model, |group| group.members.retain(|name| *name != gone.name));
}

/// Polls once, which must not end it.
async fn begins_to_wait<F: Future>(future: &mut std::pin::Pin<&mut F>) {
    tokio::select! {
        biased;
        _ = future => panic!("it was to wait"),
        () = std::future::ready(()) => {}
    }
}

#[test]
fn jobs_are_counted_on_and_new_limits_hold_for_them() {
    let mut model = rig::model(PolicyName::ListedOrder);
    let (before, group) = site(&model);
    let held: Vec<_> = (1..=3).map(|id| place(&before, &group, id).unwrap()).collect();
    change_storage(&mut model, 0, |storage| storage.limits.maximum = Some(5));
    model.directors[0].limits = Limits {
        maximum: Some(4),
        ..Limits::default()
    };
    let after = before.renewed(&model, Vec::new());
    assert_eq!(running(&after)[..2], [("File4".to_owned(), 2), ("File5".to_owned(), 1)]);
    assert_eq!(after.storages()[0].view(now()).limit, 5);
    let group = after.group(&rig::group_name()).unwrap();
    let next = place(&after, &group, 4).unwrap();
    assert_eq!(next.storage.name.as_str(), "File4");
    // The Director had no limit when its first three jobs began, and they count.
    assert!(place(&after, &group, 5).is_none());
    drop(held);
    assert_eq!(running(&after)[..2], [("File4".to_owned(), 1), ("File5".to_owned(), 0)]);
    assert_eq!(running(&before), running(&after), "there is one account");
}

#[test]
fn a_storage_that_is_gone_keeps_its_jobs_gets_no_others_and_is_what_it_was_when_it_is_back() {
    let full = rig::model(PolicyName::ListedOrder);
    let (first, old_group) = site(&full);
    let job = place(&first, &old_group, 1).unwrap();
    first.storages()[0].decide(rig::decision(State::Draining), None, now());
    let mut less = full.clone();
    without_first(&mut less);
    let second = first.renewed(&less, Vec::new());
    assert_eq!(second.storages().len(), 2);
    // A session that began before places its job by what is in force, too.
    let other = place(&first, &old_group, 2).unwrap();
    assert_eq!(other.storage.name.as_str(), "File5");
    // But one whose volumes are on the storage that is gone goes there yet.
    let mut read = rig::request("dir", 3);
    read.access = Access::Read;
    let name = rig::storage_name("File4");
    let bound = first.place_on(&old_group, &name, &read, &Tried::new(), now()).unwrap();
    assert_eq!(bound.storage.name, name);
    assert!(second.place_on(&old_group, &name, &read, &Tried::new(), now()).is_err());
    drop(bound);

    let third = second.renewed(&full, Vec::new());
    let back = third.storages()[0].view(now());
    assert_eq!((back.running, back.state()), (1, State::Draining));
    drop((job, other));
    assert_eq!(third.storages()[0].view(now()).running, 0);
}

#[test]
fn what_was_seen_of_a_storage_stays_until_it_is_called_in_another_way() {
    let mut model = rig::model(PolicyName::ListedOrder);
    let (first, _) = site(&model);
    let failure = ProbeFailure {
        layer: Layer::Connect,
        text: "connection refused".into(),
    };
    let _ = first.storages()[0].observe_probe(Err(failure), now());
    let _ = first.storages()[1].observe_failure(Cause::new("dial", "refused"), now());
    let full = Probed {
        storage_version: 306,
        space: Some(Space {
            free: Bytes(1),
            total: Bytes(100),
        }),
        took: Duration::ZERO,
    };
    change_storage(&mut model, 2, |storage| {
        storage.water_marks = Some(model::WaterMarks { high: 0.9, low: 0.8 });
    });
    let first = first.renewed(&model, Vec::new());
    let _ = first.storages()[2].observe_probe(Ok(full), now());
    let file6 = |directory: &Directory| {
        let group = directory.group(&rig::group_name()).unwrap();
        let explained = directory.explain(&group, &rig::request("dir", 1), now());
        (explained.members[2].ineligible.is_none(), explained.members[2].free)
    };
    assert_eq!(file6(&first), (false, Some(Bytes(1))));
    change_storage(&mut model, 0, |storage| storage.weight = 7);
    let second = first.renewed(&model, Vec::new());
    assert_eq!(second.storages()[0].view(now()).availability, Availability::Down);
    assert!(second.storages()[1].view(now()).ejected_for.is_some());
    assert_eq!(file6(&second), (false, Some(Bytes(1))));
    change_storage(&mut model, 0, |storage| storage.port += 1);
    change_storage(&mut model, 1, |storage| "other".clone_into(&mut storage.address));
    change_storage(&mut model, 2, |storage| storage.port += 1);
    let third = second.renewed(&model, Vec::new());
    assert_eq!(file6(&third), (true, None), "those were other disks");
    assert!(third.storages()[2].view(now()).room.is_none());
    assert_eq!(third.storages()[0].view(now()).availability, Availability::Unknown);
    assert!(third.storages()[1].view(now()).ejected_for.is_none());
    assert_eq!(third.storages()[1].storage().address, "other");
}

#[test]
fn a_storage_that_is_new_begins_in_the_state_that_the_operator_wants() {
    let mut model = rig::model(PolicyName::ListedOrder);
    let all = model.clone();
    without_first(&mut model);
    let (first, _) = site(&model);
    let standing = Standing {
        storage: rig::storage_name("File4"),
        decision: rig::decision(State::Sealed),
        ends: None,
    };
    let second = first.renewed(&all, vec![standing]);
    assert_eq!(second.storages()[0].view(now()).state(), State::Sealed);
    let group = second.group(&rig::group_name()).unwrap();
    assert_eq!(place(&second, &group, 1).unwrap().storage.name.as_str(), "File5");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_wait_keep_their_order_and_are_served_by_the_new_configuration() {
    let mut model = rig::model(PolicyName::ListedOrder);
    let all = model.clone();
    without_first(&mut model);
    let (first, group) = site(&model);
    let held: Vec<_> = (1..=4).map(|id| place(&first, &group, id).unwrap()).collect();
    let wait = async |director: &str, job_id: u32| {
        let request = rig::request(director, job_id);
        let (mut tried, cancel) = (Tried::new(), CancellationToken::new());
        let placed = first.wait_for_place(&group, &request, &mut tried, &cancel, |_| {});
        placed.await.map(|placement| placement.storage.name.to_string())
    };
    let (mut one, mut two, mut three) = (pin!(wait("a", 5)), pin!(wait("a", 6)), pin!(wait("b", 7)));
    begins_to_wait(&mut one).await;
    begins_to_wait(&mut two).await;
    begins_to_wait(&mut three).await;
    // File4 is new, and the jobs of b are more urgent now.
    let mut next = all.clone();
    change_storage(&mut next, 0, |storage| storage.limits.maximum = Some(1));
    change_group(&mut next, |group| {
        let rule = model::Rule {
            directors: vec![crate::types::Glob::new("b")],
            priority: Some(1),
            ..rig::rule()
        };
        group.rules = vec![rule];
    });
    let second = first.renewed(&next, Vec::new());
    assert_eq!(group.waiting(), 2);
    assert_eq!(three.await.unwrap(), "File4");
    // Three has given its place back: it is the next one's.
    assert_eq!(one.await.unwrap(), "File4");
    let newest = second.group(&rig::group_name()).unwrap();
    assert_eq!(two.await.unwrap(), "File4");
    assert_eq!(newest.waiting(), 0);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_by_the_new_limit_less_what_was_waited() {
    let mut model = rig::model(PolicyName::ListedOrder);
    let (first, group) = site(&model);
    let _held: Vec<_> = (1..=6).map(|id| place(&first, &group, id).unwrap()).collect();
    let begun = now();
    let request = rig::request("dir", 7);
    let (mut tried, cancel) = (Tried::new(), CancellationToken::new());
    let mut wait = pin!(first.wait_for_place(&group, &request, &mut tried, &cancel, |_| {}));
    begins_to_wait(&mut wait).await;
    tokio::time::advance(Duration::from_secs(40)).await;
    change_group(&mut model, |group| group.busy_wait = Duration::from_secs(100));
    let _second = first.renewed(&model, Vec::new());
    let refused = wait.await.unwrap_err();
    assert_eq!(refused.reason, RefusedReason::Busy);
    assert_eq!((now() - begun).as_secs(), 100);
}

#[test]
fn a_group_that_is_gone_serves_what_began_with_it_and_a_renewed_one_has_its_jobs() {
    let mut model = rig::model(PolicyName::ListedOrder);
    change_group(&mut model, |group| group.limits.maximum = Some(2));
    let (first, group) = site(&model);
    let one = place(&first, &group, 1).unwrap();
    let mut other = model.clone();
    change_group(&mut other, |group| {
        group.name = crate::types::GroupName::new("Other").unwrap();
    });
    let second = first.renewed(&other, Vec::new());
    let two = place(&first, &group, 2).unwrap();
    assert!(place(&first, &group, 3).is_none(), "its limit holds");
    let others = second.groups()[0].clone();
    assert!(place(&second, &others, 4).is_some());
    let third = second.renewed(&model, Vec::new());
    let again = third.group(&rig::group_name()).unwrap();
    assert!(place(&third, &again, 5).is_none(), "it has its jobs again");
    drop((one, two));
    assert!(place(&third, &again, 6).is_some());
}
