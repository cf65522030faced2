//! Limits of storages, groups and Directors, and targets.

use super::*;

#[test]
fn writers_and_readers_are_limited_apart() {
    let mut place = Place::of(&model(PolicyName::ListedOrder, |model| {
        storages(model, |storage| {
            storage.limits = Limits {
                maximum: Some(3),
                maximum_write: Some(2),
                maximum_read: Some(2),
                target: None,
            };
        });
    }));
    let writers = fill(&mut place, "dir");
    assert_eq!(writers.len(), 6, "two on each of three");
    let unplaced = place.place("dir").expect_err("all write as many as they may");
    assert!(unplaced.contains("File4 has 2 of 2 writing jobs"), "{unplaced}");
    let reader = place.read("File4").expect("a place for a reader");
    let unplaced = place.read("File4").expect_err("three in all");
    assert_eq!(unplaced, "File4 has 3 of 3 jobs");
    let view = place.live("File4").view(place.now);
    assert_eq!((view.running, view.reading, view.limit), (3, 1, 3));
    drop((writers, reader));
    let readers: Vec<_> = (0..2).map(|_| place.read("File5").expect("free")).collect();
    let unplaced = place.read("File5").expect_err("two readers");
    assert_eq!(unplaced, "File5 has 2 of 2 reading jobs");
    drop(readers);
}

#[test]
fn a_group_and_a_director_have_limits_of_their_own() {
    let mut place = Place::of(&model(PolicyName::LeastUsed, |model| {
        let limit = |maximum| Limits {
            maximum: Some(maximum),
            ..Limits::default()
        };
        group(model, |group| group.limits = limit(4));
        model.directors[0].limits = limit(3);
    }));
    let held = fill(&mut place, "dir");
    assert_eq!(held.len(), 3);
    let unplaced = place.place("dir").expect_err("the Director has three");
    assert_eq!(unplaced, "no storage of group Files: Director dir has 3 of 3 jobs");
    let other = place.place("other").expect("another Director has no limit");
    let unplaced = place.place("other").expect_err("the group has four");
    assert!(
        unplaced.starts_with("no storage of group Files: group Files has 4 of 4 jobs"),
        "{unplaced}"
    );
    let read = place.read("File4").expect_err("a reader counts as well");
    assert!(read.contains("group Files has 4 of 4 jobs"), "{read}");
    drop(other);
    assert!(place.place("other").is_ok());
    drop(held);
    assert_eq!(fill(&mut place, "dir").len(), 3);
}

#[test]
fn above_its_target_a_storage_is_chosen_only_when_all_are() {
    let mut place = Place::of(&model(PolicyName::ListedOrder, |model| {
        storages(model, |storage| {
            storage.limits.maximum = Some(4);
            storage.limits.target = Some(2);
        });
    }));
    let held: Vec<_> = (0..8).map(|_| place.place("dir").expect("free")).collect();
    let order: Vec<_> = held.iter().map(|it| it.storage.name.to_string()).collect();
    assert_eq!(
        order,
        ["File4", "File4", "File5", "File5", "File6", "File6", "File4", "File4"]
    );
    assert!(
        held[7]
            .explanation
            .to_string()
            .starts_with("File4 by ListedOrder (3 of 4 jobs, at its target; File5: 2 of 4,"),
        "{}",
        held[7].explanation
    );
}

#[tokio::test(start_paused = true)]
async fn a_director_above_its_target_is_served_after_the_others() {
    let mut place = Place::of(&model(PolicyName::ListedOrder, |model| {
        storages(model, |storage| storage.limits.maximum = Some(1));
        model.directors[0].limits.target = Some(1);
    }));
    let mut held = fill(&mut place, "dir");
    let cancel = tokio_util::sync::CancellationToken::new();
    let requests = ["dir", "other"].map(|director| place.request(director, Access::Write));
    let mut tried = [Tried::new(), Tried::new()];
    let [first, second] = &mut tried;
    let wait = |request, tried| {
        place
            .directory
            .wait_for_place(&place.group, request, tried, &cancel, |_| {})
    };
    let (mut greedy, mut modest) = (
        Box::pin(wait(&requests[0], first)),
        Box::pin(wait(&requests[1], second)),
    );
    tokio::select! {
        biased;
        _ = &mut greedy => panic!("all is full"),
        _ = &mut modest => panic!("all is full"),
        () = std::future::ready(()) => {}
    }
    held.pop();
    let placed = tokio::select! {
        biased;
        _ = &mut greedy => panic!("it has two already, and another waits"),
        placed = &mut modest => placed.expect("the free place"),
    };
    held.pop();
    assert!(greedy.await.is_ok(), "nobody else waits");
    drop(placed);
}

#[test]
fn a_job_that_leaves_its_place_for_another_is_not_in_its_own_way() {
    let limit = |maximum| Limits {
        maximum: Some(maximum),
        ..Limits::default()
    };
    let mut place = Place::of(&model(PolicyName::ListedOrder, |model| {
        group(model, |group| group.limits = limit(2));
        model.directors[0].limits = limit(1);
    }));
    let request = place.request("dir", Access::Write);
    let first = place.place_this(&request).expect("a free place");
    let other = place.place("other").expect("the group may have two");
    let waiting = place.request("other", Access::Write);
    let Ok(Asked::Waits(queued)) = place.directory.ask(&place.group, &waiting, &Tried::new(), place.now) else {
        panic!("the group has two");
    };
    let running = |place: &Place| ["File4", "File5"].map(|name| place.live(name).view(place.now).running);
    let mut tried = Tried::new();
    for name in ["File4", "File5", "File6"] {
        tried.add(rig::storage_name(name), Trial::Busy, "no volume");
    }
    let instead = |place: &Place, tried| {
        place
            .directory
            .place_instead(&first.slot, &place.group, &request, tried, place.now)
    };
    instead(&place, &tried).expect_err("there is no other");
    assert_eq!(running(&place), [2, 0]);
    assert_eq!(place.directory.granted(), [0; 0], "it has its place as before");
    assert!(
        place
            .place("dir")
            .expect_err("one")
            .contains("group Files has 2 of 2 jobs")
    );

    let mut tried = Tried::new();
    tried.add(rig::storage_name("File4"), Trial::Busy, "no volume");
    let second = instead(&place, &tried).expect("nothing is in the way");
    assert_eq!(running(&place), [2, 1], "File4 is not rid of it yet");
    assert_eq!(place.directory.granted(), [0; 0], "the group has two");
    first.slot.leave();
    drop(first);
    assert_eq!(place.directory.granted(), [0; 0], "it was counted once");
    second.slot.leave();
    assert_eq!(place.directory.granted(), [queued.number()]);
    drop((second, other));
    assert_eq!(running(&place), [1, 0]);
}
