//! The directory as a whole: limits of three kinds, slow start, rules, room, locality.

mod home;
mod limits;
mod order;
mod room;
mod slow_start;

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

fn storage_of(placed: Result<Placement, String>) -> String {
    placed.expect("a place").storage.name.to_string()
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
