//! Whose job is served first.

use super::*;

/// Two groups of the same storages with a place each. In the first, Urgent and Pinned go first, Pinned to File6 only;
/// all jobs of the second come after those, and before the others of the first.
fn two_groups() -> Model {
    model(PolicyName::ListedOrder, |model| {
        let mut second = (*model.groups[0]).clone();
        second.name = GroupName::new("Second").expect("a name");
        second.rules = vec![model::Rule {
            priority: Some(5),
            ..rig::rule()
        }];
        group(model, |group| {
            group.rules = vec![
                model::Rule {
                    jobs: vec![Glob::new("Urgent")],
                    priority: Some(1),
                    ..rig::rule()
                },
                model::Rule {
                    jobs: vec![Glob::new("Pinned")],
                    priority: Some(1),
                    members: Some(vec![rig::storage_name("File6")]),
                    ..rig::rule()
                },
            ];
        });
        model.groups.push(Arc::new(second));
        storages(model, |storage| storage.limits.maximum = Some(1));
    })
}

/// Has these jobs wait, while all is full; `true` for the second group. Returns in which order they get the places of
/// File4, one after the other.
fn order_of(jobs: &[(&str, bool)]) -> Vec<usize> {
    let mut place = Place::of(&two_groups());
    let second = GroupName::new("Second").expect("a name");
    let second = place.directory.group(&second).expect("the second");
    let mut held = fill(&mut place, "filler");
    let mut waiting = Vec::new();
    for (job, is_second) in jobs {
        let mut request = place.request("dir", Access::Write);
        request.job_resource = JobResourceName::new(job).expect("a name");
        let group = if *is_second { &second } else { &place.group };
        match place.directory.ask(group, &request, &Tried::new(), place.now) {
            Ok(Asked::Waits(queued)) => waiting.push(queued),
            other => panic!("all is full: {other:?}"),
        }
    }
    let mut order = Vec::new();
    drop(held.remove(0));
    while let [number] = place.directory.granted()[..] {
        let at = waiting.iter().position(|queued| queued.number() == number);
        let at = at.expect("one of them");
        order.push(at);
        let Looked::Placed(placement, _) = waiting[at].look(place.now) else {
            panic!("it was granted a place");
        };
        placement.slot.end(place.now);
    }
    order
}

#[test]
fn the_most_urgent_job_of_all_groups_goes_first_and_not_one_of_each_in_turn() {
    let jobs = [
        ("Nightly", true),
        ("Nightly", true),
        ("Urgent", false),
        ("Urgent", false),
    ];
    assert_eq!(order_of(&jobs), [2, 3, 0, 1]);
}

#[test]
fn an_urgent_job_that_cannot_go_anywhere_lifts_no_other_of_its_group() {
    // The first waits for File6, which stays full.
    let jobs = [
        ("Pinned", false),
        ("Nightly", false),
        ("Nightly", true),
        ("Nightly", true),
    ];
    assert_eq!(order_of(&jobs), [2, 3, 1]);
}

#[test]
fn several_places_that_come_free_at_once_go_to_the_most_urgent() {
    let mut place = Place::of(&two_groups());
    let second = GroupName::new("Second").expect("a name");
    let second = place.directory.group(&second).expect("the second");
    for name in ["File4", "File5", "File6"] {
        place.live(name).decide(rig::decision(State::Draining), None, place.now);
    }
    let mut waits = |job: &str, is_second: bool| {
        let mut request = place.request("dir", Access::Write);
        request.job_resource = JobResourceName::new(job).expect("a name");
        let group = if is_second { &second } else { &place.group };
        match place.directory.ask(group, &request, &Tried::new(), place.now) {
            Ok(Asked::Waits(queued)) => queued,
            other => panic!("nothing is open: {other:?}"),
        }
    };
    let (one, _usual, two) = (waits("Urgent", false), waits("Nightly", true), waits("Urgent", false));
    let mut roomier = two_groups();
    storages(&mut roomier, |storage| storage.limits.maximum = Some(2));
    let renewed = place.directory.renewed(&roomier, Vec::new());
    let file5 = renewed.storage(&rig::storage_name("File5")).expect("a storage");
    file5.decide(rig::decision(State::Ready), None, place.now);
    assert_eq!(place.directory.granted(), [one.number(), two.number()]);
}
