//! The directory as a whole: limits of three kinds, slow start, rules, room, locality.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::config::model::{self, Limits, Model, PolicyName};
use crate::types::{Bytes, Glob, GroupName, JobLevel, JobResourceName, JobType, Moment, Space};

const GB: u64 = 1_000_000_000;

/// A directory with the rig's group; time goes on when a test says so.
struct Place {
    directory: Arc<Directory>,
    group: Arc<Group>,
    now: Instant,
    jobs: u32,
}

impl Place {
    fn of(model: &Model) -> Self {
        let directory = Directory::seeded(model, 1);
        Self {
            group: directory.group(&rig::group_name()).expect("the rig's group"),
            directory,
            now: Instant::now(),
            jobs: 0,
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn request(&mut self, director: &str, access: Access) -> PlacementRequest {
        self.jobs += 1;
        let mut request = rig::request(director, self.jobs);
        request.access = access;
        request
    }

    fn place(&mut self, director: &str) -> Result<Placement, String> {
        let request = self.request(director, Access::Write);
        self.place_this(&request)
    }

    /// A job of this name at this level.
    fn run(&mut self, job: &str, level: JobLevel) -> Result<Placement, String> {
        let mut request = self.request("dir", Access::Write);
        request.job_resource = JobResourceName::new(job).expect("a name");
        request.level = level;
        self.place_this(&request)
    }

    fn place_this(&mut self, request: &PlacementRequest) -> Result<Placement, String> {
        let placed = self.directory.place(&self.group, request, &Tried::new(), self.now);
        placed.map_err(|unplaced| unplaced.to_string())
    }

    fn read(&mut self, storage: &str) -> Result<Placement, String> {
        let request = self.request("dir", Access::Read);
        let name = rig::storage_name(storage);
        let placed = self
            .directory
            .place_on(&self.group, &name, &request, &Tried::new(), self.now);
        placed.map_err(|unplaced| unplaced.to_string())
    }

    /// A job that ended well, and wrote so many GB.
    fn past(job: &str, level: JobLevel, storage: &str, written: u64) -> PastJob {
        let request = rig::request("dir", 1);
        PastJob {
            director: request.director,
            job: request.job,
            resource: JobResourceName::new(job).expect("a name"),
            job_type: JobType::Backup,
            level,
            storage: rig::storage_name(storage),
            placed: Moment(0),
            is_ok: true,
            bytes: Bytes(written * GB),
        }
    }

    fn ended(&self, job: &str, level: JobLevel, storage: &str, written: u64) {
        let past = Self::past(job, level, storage, written);
        self.directory.observe_end(&past, self.now);
    }

    /// A probe finds so many GB of a hundred free.
    fn tell(&self, storage: &str, free: u64) {
        let probed = Probed {
            storage_version: 306,
            space: Some(Space {
                free: Bytes(free * GB),
                total: Bytes(100 * GB),
            }),
            took: Duration::ZERO,
        };
        let _ = self.live(storage).observe_probe(Ok(probed), self.now);
    }

    fn tell_all(&self, free: [u64; 3]) {
        for (name, free) in ["File4", "File5", "File6"].into_iter().zip(free) {
            self.tell(name, free);
        }
    }

    fn live(&self, storage: &str) -> Arc<StorageLive> {
        self.directory.storage(&rig::storage_name(storage)).expect("a storage")
    }

    fn probe(&self, storage: &str, good: bool) {
        let outcome = if good {
            Ok(Probed {
                storage_version: 306,
                space: None,
                took: Duration::ZERO,
            })
        } else {
            Err(ProbeFailure {
                layer: Layer::Connect,
                text: "connection refused".into(),
            })
        };
        for _ in 0..3 {
            let _ = self.live(storage).observe_probe(outcome.clone(), self.now);
        }
    }
}

/// The rig's configuration, changed.
fn model(policy: PolicyName, change: impl Fn(&mut Model)) -> Model {
    let mut model = rig::model(policy);
    change(&mut model);
    model
}

fn storages(model: &mut Model, change: impl Fn(&mut model::Storage)) {
    model
        .storages
        .iter_mut()
        .for_each(|storage| change(Arc::make_mut(storage)));
}

fn group(model: &mut Model, change: impl Fn(&mut model::Group)) {
    model.groups.iter_mut().for_each(|group| change(Arc::make_mut(group)));
}

/// How many jobs the group takes, one after the other.
fn fill(place: &mut Place, director: &str) -> Vec<Placement> {
    std::iter::from_fn(|| place.place(director).ok()).collect()
}

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
fn a_rule_gives_its_jobs_other_storages_and_another_policy() {
    let mut place = Place::of(&model(PolicyName::ListedOrder, |model| {
        group(model, |group| {
            let mut rule = rig::rule();
            rule.name = "nightly".to_owned();
            rule.jobs = vec![Glob::new("Night*")];
            rule.directors = vec![Glob::new("prod-*")];
            rule.members = Some(vec![rig::storage_name("File5"), rig::storage_name("File6")]);
            rule.policy = Some(PolicyName::RoundRobin);
            group.rules = vec![rule];
        });
    }));
    let held: Vec<_> = (0..4).map(|_| place.place("prod-dir").expect("free")).collect();
    let order: Vec<_> = held.iter().map(|it| it.storage.name.to_string()).collect();
    assert_eq!(order, ["File5", "File6", "File5", "File6"]);
    assert_eq!(
        held[0].explanation.to_string(),
        "File5 by RoundRobin under nightly (0 of 2 jobs; File4: not for nightly; File6: 0 of 2)"
    );
    let unplaced = place.place("prod-dir").expect_err("File4 is not for it");
    assert!(
        unplaced.contains("File4 is not for jobs of nightly, File5 has 2 of 2 jobs"),
        "{unplaced}"
    );
    assert_eq!(
        place.place("other-dir").expect("File4 is free").storage.name.as_str(),
        "File4"
    );
    let read = place.read("File4").expect("a rule does not move Volumes");
    drop((held, read));
}

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

fn storage_of(placed: Result<Placement, String>) -> String {
    placed.expect("a place").storage.name.to_string()
}

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

#[test]
fn a_storage_that_slows_down_gets_less() {
    let mut place = Place::of(&model(PolicyName::Throughput, |model| {
        storages(model, |storage| storage.limits.maximum = Some(100));
    }));
    let mut held: Vec<_> = (0..6).map(|_| place.place("dir").expect("free")).collect();
    // All are as fast, then the jobs on File5 crawl.
    let mut moved = vec![0; held.len()];
    let mut watch = |place: &mut Place, held: &[Placement], crawls: bool| {
        for _ in 0..24 {
            place.pass(5);
            for (placed, moved) in held.iter().zip(&mut moved) {
                let slow = crawls && placed.storage.name.as_str() == "File5";
                *moved += if slow { GB / 100 } else { GB };
                placed.slot.moved(*moved, 0);
            }
            place.directory.look_at_pace(place.now);
        }
    };
    watch(&mut place, &held, false);
    let on = |held: &[Placement], name: &str| held.iter().filter(|it| it.storage.name.as_str() == name).count();
    held.extend((0..3).map(|_| place.place("dir").expect("free")));
    assert_eq!([on(&held, "File4"), on(&held, "File5"), on(&held, "File6")], [3, 3, 3]);
    watch(&mut place, &held, true);
    held.extend((0..6).map(|_| place.place("dir").expect("free")));
    assert_eq!([on(&held, "File4"), on(&held, "File5"), on(&held, "File6")], [6, 3, 6]);
}

#[test]
fn what_would_happen_is_what_happens_and_nothing_comes_of_asking() {
    for policy in PolicyName::ALL.iter().copied() {
        let mut place = Place::of(&rig::model(policy));
        place.tell_all([10, 50, 30]);
        for _ in 0..6 {
            let request = place.request("dir", Access::Write);
            let asked = place.directory.explain(&place.group, &request, place.now);
            let again = place.directory.explain(&place.group, &request, place.now);
            assert_eq!(asked, again, "{policy}");
            let placement = place.place_this(&request).expect("a free place");
            assert_eq!(placement.explanation, asked, "{policy}");
            assert_eq!(asked.chosen.as_ref(), Some(&placement.storage.name));
            std::mem::forget(placement);
        }
        let request = place.request("dir", Access::Write);
        let full = place.directory.explain(&place.group, &request, place.now);
        assert_eq!(full.chosen, None);
        assert_eq!(place.place_this(&request).unwrap_err(), full.to_string(), "{policy}");
    }
}

#[test]
fn a_shadow_is_asked_and_not_followed() {
    let mut model = rig::model(PolicyName::ListedOrder);
    let copies = model::Rule {
        directors: vec![Glob::new("copies")],
        policy: Some(PolicyName::RoundRobin),
        ..rig::rule()
    };
    group(&mut model, |group| {
        group.shadow_policy = Some(PolicyName::TwoChoices);
        group.rules = vec![copies.clone()];
    });
    let mut place = Place::of(&model);
    let mut plain = Place::of(&rig::model(PolicyName::ListedOrder));
    let mut chosen_otherwise = 0;
    let mut kept = Vec::new();
    for _ in 0..6 {
        let (one, other) = (place.place("dir").expect("free"), plain.place("dir").expect("free"));
        assert_eq!(one.storage.name, other.storage.name, "the shadow changes nothing");
        let (policy, instead) = one.explanation.shadow.clone().expect("the shadow's choice");
        assert_eq!(policy, PolicyName::TwoChoices);
        chosen_otherwise += u32::from(instead != one.storage.name);
        kept.push((one, other));
    }
    assert!(chosen_otherwise > 0);
    drop(kept);
    let copy = place.place("copies").expect("free");
    assert_eq!(copy.explanation.policy(), Some(PolicyName::RoundRobin));
    assert_eq!(copy.explanation.shadow, None, "the rule has a policy of its own");
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

/// Two groups of the same storages, the second without rules: in the first, Urgent goes first and Pinned to File6 only.
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

/// Has these jobs wait, while all is full; `true` for the second group. Returns in which order they get the places of File4,
/// one after the other.
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
