//! What earlier runs of a job say of where the next goes.

use super::*;

#[test]
fn a_job_is_spread_over_the_storages_that_had_it_the_longest_ago() {
    let mut place = Place::of(&rig::model(PolicyName::LastBackedUpTo));
    // What earlier processes did, the last of it last; one storage is gone.
    let history = ["File5", "File9", "File4", "File5"].map(|storage| Place::past("Mail", JobLevel::Full, storage, 1));
    place.directory.remember(&history);
    let order: Vec<_> = (0..4).map(|_| storage_of(place.run("Mail", JobLevel::Full))).collect();
    assert_eq!(order, ["File6", "File4", "File5", "File6"]);
    // Another level and another job have orders of their own.
    assert_eq!(storage_of(place.run("Mail", JobLevel::Incremental)), "File4");
    assert_eq!(storage_of(place.run("Web", JobLevel::Full)), "File5");
    // Those that start together are spread as well.
    let together: Vec<_> = (0..3).map(|_| place.run("Db", JobLevel::Full).expect("free")).collect();
    let mut names: Vec<_> = together.iter().map(|it| it.storage.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["File4", "File5", "File6"]);
}

#[test]
fn a_run_that_waits_for_its_full_goes_where_another_full_has_ended() {
    let place = Place::of(&model(PolicyName::ListedOrder, |model| {
        group(model, |group| group.locality = model::Locality::Require);
    }));
    place.ended("Nightly", JobLevel::Full, "File6", 1);
    place.probe("File6", false);
    let mut request = rig::request("dir", 1);
    (request.job_resource, request.level) = (JobResourceName::new("Nightly").expect("a name"), JobLevel::Incremental);
    let asked = place.directory.ask(&place.group, &request, &Tried::new(), place.now);
    let Ok(Asked::Waits(queued)) = asked else {
        panic!("its home is down: {asked:?}");
    };

    place.ended("Nightly", JobLevel::Full, "File5", 1);

    assert_eq!(place.directory.granted(), [queued.number()]);
    match queued.look(place.now) {
        Looked::Placed(placement, _) => assert_eq!(placement.storage.name.as_str(), "File5"),
        still => panic!("{still:?}"),
    }
}

#[test]
fn runs_based_on_a_full_go_where_it_is_while_they_may() {
    let local = |locality| {
        let place = Place::of(&model(PolicyName::ListedOrder, |model| {
            group(model, |group| group.locality = locality);
        }));
        place.ended("Mail", JobLevel::Full, "File6", 1);
        place
    };
    let incremental = JobLevel::Incremental;
    assert_eq!(
        storage_of(local(model::Locality::Off).run("Mail", incremental)),
        "File4"
    );
    for locality in [model::Locality::Prefer, model::Locality::Require] {
        let mut place = local(locality);
        let placed = place.run("Mail", incremental).expect("free");
        assert!(
            placed
                .explanation
                .to_string()
                .starts_with("File6 by ListedOrder (0 of 2 jobs, has its last full;"),
            "{}",
            placed.explanation
        );
        assert_eq!(storage_of(place.run("Mail", JobLevel::Differential)), "File6");
        assert_eq!(
            storage_of(place.run("Mail", JobLevel::Full)),
            "File4",
            "a full is free to go"
        );
        assert_eq!(storage_of(place.run("Web", incremental)), "File4", "it has no full yet");

        place.probe("File6", false);
        let elsewhere = place.run("Mail", incremental).map(|it| it.storage.name.to_string());
        match locality {
            model::Locality::Require => {
                let why = elsewhere.expect_err("its home is down");
                assert!(
                    why.contains("File4 is not File6, which has the last full") && why.contains("File6 is down"),
                    "{why}"
                );
            }
            _ => assert_eq!(elsewhere.as_deref(), Ok("File4")),
        }
        place.probe("File6", true);
        place
            .live("File6")
            .decide(rig::decision(State::Draining), None, place.now);
        assert_eq!(
            place.run("Mail", incremental).is_ok(),
            locality == model::Locality::Prefer
        );
        place
            .live("File6")
            .decide(rig::decision(State::Sealed), None, place.now);
        assert_eq!(
            storage_of(place.run("Mail", incremental)),
            "File4",
            "a sealed storage is no home"
        );
        place.live("File6").decide(rig::decision(State::Ready), None, place.now);
        place.ended("Mail", JobLevel::Full, "File5", 1);
        assert_eq!(
            storage_of(place.run("Mail", incremental)),
            "File5",
            "the full has moved"
        );
    }
}

#[test]
fn a_job_whose_home_cannot_run_it_does_not_wait_for_it() {
    let place = Place::of(&model(PolicyName::ListedOrder, |model| {
        group(model, |group| group.locality = model::Locality::Require);
    }));
    place.ended("Nightly", JobLevel::Full, "File6", 1);
    place.probe("File4", false);
    let mut request = rig::request("dir", 1);
    (request.job_resource, request.level) = (JobResourceName::new("Nightly").expect("a name"), JobLevel::Incremental);
    let mut tried = Tried::new();
    tried.add(rig::storage_name("File6"), Trial::Unfit, "no such device");
    let refused = place.directory.ask(&place.group, &request, &tried, place.now);
    let refused = refused.expect_err("no time helps");
    assert_eq!(refused.reason, RefusedReason::Unfit);
    assert!(refused.to_string().contains("File6 cannot run this job"), "{refused}");
}

#[test]
fn a_storage_that_was_taken_out_is_no_home() {
    let locality = |model: &mut Model| group(model, |group| group.locality = model::Locality::Require);
    let mut place = Place::of(&model(PolicyName::ListedOrder, locality));
    place.ended("Mail", JobLevel::Full, "File6", 1);
    // A session that began before it keeps its group, which is there no more.
    let _renewed = place.directory.renewed(
        &model(PolicyName::ListedOrder, |model| {
            locality(model);
            model.storages.truncate(2);
            group(model, |group| {
                group.members.truncate(2);
                group.name = GroupName::new("Other").expect("a name");
            });
        }),
        Vec::new(),
    );
    assert_eq!(storage_of(place.run("Mail", JobLevel::Incremental)), "File4");
}

#[test]
fn a_run_that_is_resumed_belongs_where_its_first_part_is() {
    let mut place = Place::of(&model(PolicyName::ListedOrder, |model| {
        group(model, |group| group.locality = model::Locality::Require);
    }));
    place.ended("Nightly", JobLevel::Full, "File6", 1);
    let mut request = rig::request("dir", 1);
    (request.level, request.origin) = (JobLevel::Incremental, Origin::Resumed);
    let part = PastJob {
        is_ok: false,
        ..Place::past("Nightly", request.level, "File5", 1)
    };
    place.directory.observe_end(&part, place.now);
    let placed = place.place_this(&request).expect("free");
    assert!(
        placed
            .explanation
            .to_string()
            .starts_with("File5 by ListedOrder (0 of 2 jobs, has its first part;"),
        "{}",
        placed.explanation
    );
    place.probe("File5", false);
    let why = place.place_this(&request).expect_err("it waits for the first part");
    assert!(why.contains("File6 is not File5, which has the first part"), "{why}");
}

#[test]
fn who_waits_is_served_when_history_is_remembered() {
    let place = Place::of(&model(PolicyName::ListedOrder, |model| {
        group(model, |group| group.locality = model::Locality::Require);
    }));
    place.ended("Nightly", JobLevel::Full, "File6", 1);
    place.probe("File6", false);
    let mut request = rig::request("dir", 1);
    request.level = JobLevel::Incremental;
    let asked = place.directory.ask(&place.group, &request, &Tried::new(), place.now);
    let Ok(Asked::Waits(queued)) = asked else {
        panic!("its home is down: {asked:?}");
    };
    let full = Place::past("Nightly", JobLevel::Full, "File5", 1);
    place.directory.remember(&[full]);
    assert_eq!(place.directory.granted(), [queued.number()]);
}

#[test]
fn a_restore_is_no_run_of_the_job() {
    let mut place = Place::of(&rig::model(PolicyName::LastBackedUpTo));
    let mut restore = Place::past("Mail", JobLevel::Full, "File4", 1);
    restore.job_type = JobType::Restore;
    let others = ["File5", "File6"].map(|storage| Place::past("Web", JobLevel::Full, storage, 1));
    place.directory.remember([&restore].into_iter().chain(&others));
    assert_eq!(storage_of(place.run("Mail", JobLevel::Full)), "File4");
}
