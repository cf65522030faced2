//! Room on storages: what fits, what is expected, water marks.

use super::*;

#[test]
fn a_job_goes_where_it_fits() {
    let roomy = |room| {
        let place = Place::of(&model(PolicyName::ListedOrder, |model| {
            group(model, |group| group.room_for_job = room);
            storages(model, |storage| storage.limits.maximum = Some(20));
        }));
        place.ended("Mail", JobLevel::Full, "File4", 40);
        place.tell_all([30, 50, 90]);
        place
    };
    let mut ignored = roomy(model::RoomForJob::Ignore);
    assert_eq!(storage_of(ignored.run("Mail", JobLevel::Full)), "File4");

    let mut preferred = roomy(model::RoomForJob::Prefer);
    let held: Vec<_> = (0..4)
        .map(|_| preferred.run("Mail", JobLevel::Full).expect("free"))
        .collect();
    let order: Vec<_> = held.iter().map(|it| it.storage.name.to_string()).collect();
    assert_eq!(
        order,
        ["File5", "File6", "File6", "File4"],
        "what is promised counts as written"
    );
    assert!(
        held[0]
            .explanation
            .to_string()
            .contains("File4: 0 of 20, 30 GB free for 40 GB"),
        "{}",
        held[0].explanation
    );
    assert_eq!(
        storage_of(preferred.run("Web", JobLevel::Full)),
        "File4",
        "its size is not known"
    );

    let mut required = roomy(model::RoomForJob::Require);
    let held: Vec<_> = (0..3)
        .map(|_| required.run("Mail", JobLevel::Full).expect("free"))
        .collect();
    let why = required.run("Mail", JobLevel::Full).expect_err("it fits nowhere");
    assert!(
        why.contains("File4 has room for 30 GB, and 40 GB are expected"),
        "{why}"
    );
    // The first wrote 10 of its 40, and ended.
    let mut held = held.into_iter();
    let first = held.next().expect("three");
    first.slot.moved(10 * GB, 0);
    drop(first);
    let again = required.run("Mail", JobLevel::Full).expect("File5 has 40 again");
    assert_eq!(again.storage.name.as_str(), "File5");
}

#[test]
fn a_job_waits_for_room_only_while_what_was_told_of_it_is_believed() {
    let mut place = Place::of(&model(PolicyName::ListedOrder, |model| {
        group(model, |group| group.room_for_job = model::RoomForJob::Require);
    }));
    place.ended("Nightly", JobLevel::Full, "File4", 50);
    place.tell_all([10, 10, 10]);
    let request = rig::request("dir", 1);
    let asked = place.directory.ask(&place.group, &request, &Tried::new(), place.now);
    let Ok(Asked::Waits(queued)) = asked else {
        panic!("it fits nowhere: {asked:?}");
    };
    let Looked::Until(at) = queued.look(place.now) else {
        panic!("nothing has changed");
    };
    assert_eq!(at, place.now + Duration::from_secs(300) + Duration::from_nanos(1));
    place.pass(301);
    assert!(matches!(queued.look(place.now), Looked::Placed(..)));
}

#[test]
fn a_storage_above_its_water_mark_is_seen_to_get_no_jobs() {
    let mut place = Place::of(&model(PolicyName::ListedOrder, |model| {
        model.storages.truncate(1);
        group(model, |group| group.members.truncate(1));
        storages(model, |storage| {
            storage.water_marks = Some(model::WaterMarks { high: 0.9, low: 0.8 });
        });
    }));
    let seen = |place: &Place| {
        let usable = !place.group.usable(place.now).is_empty();
        (usable, place.live("File4").view(place.now).too_full)
    };
    place.ended("Nightly", JobLevel::Full, "File4", 30);
    place.tell("File4", 35);
    assert_eq!(seen(&place), (true, false));
    let job = place.place("dir").expect("free");
    assert_eq!(seen(&place), (false, true), "the job will fill it");
    drop(job);
    assert_eq!(seen(&place), (true, false));
    place.tell("File4", 5);
    assert_eq!(seen(&place), (false, true));
}

#[test]
fn ten_jobs_in_one_second_do_not_fill_the_emptiest() {
    let mut place = Place::of(&model(PolicyName::FreeSpace, |model| {
        storages(model, |storage| {
            storage.limits.maximum = Some(20);
            storage.water_marks = Some(model::WaterMarks { high: 0.9, low: 0.8 });
        });
    }));
    place.tell_all([95, 60, 15]);
    for number in 0..12 {
        place.ended(&format!("Job{number}"), JobLevel::Full, "File4", 20);
    }
    let mut held = Vec::new();
    let why = loop {
        let number = held.len();
        match place.run(&format!("Job{number}"), JobLevel::Full) {
            Ok(placed) => held.push(placed),
            Err(why) => break why,
        }
    };
    let on = |name: &str| held.iter().filter(|it| it.storage.name.as_str() == name).count();
    // Each is closed by the job that takes it to its high mark.
    assert_eq!([on("File4"), on("File5"), on("File6")], [5, 3, 1], "{why}");
    assert!(why.contains("File4 is 100% full, or will be"), "{why}");
    held.truncate(1);
    assert!(
        place.run("Job1", JobLevel::Full).is_ok(),
        "the others have ended without a byte"
    );
    place.tell("File4", 5);
    place.tell("File4", 15);
    let explained = place
        .run("Job2", JobLevel::Full)
        .expect("File5")
        .explanation
        .to_string();
    assert!(
        explained.contains("File4: ") && explained.contains("% full"),
        "not low enough: {explained}"
    );
}
