//! Storages that came back.

use super::*;

#[test]
fn a_storage_that_came_back_gets_one_job_at_first() {
    let mut place = Place::of(&model(PolicyName::LeastUsed, |model| {
        storages(model, |storage| {
            storage.limits.maximum = Some(20);
            storage.slow_start_jobs = 3;
        });
    }));
    place.probe("File4", true);
    let at_start: Vec<_> = (0..9).map(|_| place.place("dir").expect("free")).collect();
    assert_eq!(place.live("File4").view(place.now).running, 3, "a start is no return");

    place.probe("File4", false);
    drop(at_start);
    place.probe("File4", true);
    let mut held: Vec<_> = (0..7).map(|_| place.place("dir").expect("free")).collect();
    assert_eq!(place.live("File4").view(place.now).running, 1);
    let last = held.last().expect("seven").explanation.to_string();
    assert!(last.contains("File4: slow start, 1 on trial"), "{last}");

    // One that ended well makes it two, one that has lasted for a minute makes it all.
    held.retain(|it| it.storage.name.as_str() != "File4");
    let mut on_file4 = |count| {
        let placed: Vec<_> = (0..count).map(|_| place.place("dir").expect("free")).collect();
        let now = place.live("File4").view(place.now).running;
        place.pass(61);
        held.extend(placed);
        now
    };
    assert_eq!(on_file4(4), 2);
    assert_eq!(on_file4(8), 6, "as many as the others");
}

#[test]
fn with_no_slow_start_a_returned_storage_gets_all_that_come() {
    let mut place = Place::of(&rig::model(PolicyName::LeastUsed));
    place.probe("File4", false);
    let held: Vec<_> = (0..4).map(|_| place.place("dir").expect("free")).collect();
    place.probe("File4", true);
    let back: Vec<_> = (0..2).map(|_| place.place("dir").expect("free")).collect();
    assert!(back.iter().all(|it| it.storage.name.as_str() == "File4"));
    drop(held);
}

#[test]
fn a_trial_that_failed_leaves_its_place_to_the_next() {
    let mut model = model(PolicyName::ListedOrder, |model| {
        storages(model, |storage| storage.slow_start_jobs = 3);
        group(model, |group| group.members.truncate(1));
    });
    model.ejection.failures = 2;
    let mut place = Place::of(&model);
    place.probe("File4", false);
    place.probe("File4", true);
    let _trial = place.place("dir").expect("the first job");
    let request = place.request("dir", Access::Write);
    let asked = place.directory.ask(&place.group, &request, &Tried::new(), place.now);
    let Ok(Asked::Waits(queued)) = asked else {
        panic!("one is on trial: {asked:?}");
    };
    let ejected = place
        .live("File4")
        .observe_failure(Cause::new("reset", "connection reset"), place.now);
    assert!(ejected.is_none());
    assert_eq!(place.directory.granted(), [queued.number()]);
}
