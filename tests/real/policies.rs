//! Each policy by what it is for, among real jobs: a rule gives each job of this group its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::SDGROUP;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};

/// The rate of a storage is looked at every few seconds.
const SEEN_WITHIN: Duration = Duration::from_secs(120);

const RULES: &str = r#"
StorageGroupPolicyThreshold = "20%"

[[Group.Rule]]
Job = ["Slow*", "On4"]
Storages = ["File4"]

[[Group.Rule]]
Job = "On5"
Storages = ["File5"]

[[Group.Rule]]
Job = "Weighted"
StorageGroupPolicy = "weighted"

[[Group.Rule]]
Job = "Copies"
StorageGroupPolicy = "LastBackedUpTo"

[[Group.Rule]]
Job = "Hashed"
StorageGroupPolicy = "JobHash"

[[Group.Rule]]
Job = "Drawn"
StorageGroupPolicy = "TwoChoices"

[[Group.Rule]]
Job = "Roomy"
StorageGroupPolicy = "FreeSpace"

[[Group.Rule]]
Job = "RoomyIdle"
StorageGroupPolicy = "FreeSpaceLeastUsed"

[[Group.Rule]]
Job = "Fast"
StorageGroupPolicy = "Throughput"
"#;

/// Runs the job so many times at once, and tells on which storages the runs were.
fn places(lab: &Lab, job: &str, count: usize) -> Vec<String> {
    let runs: Vec<_> = (0..count).map(|_| lab.run_job(job, "Full")).collect();
    let mut places: Vec<_> = runs
        .into_iter()
        .map(|id| lab.wait(id).must_be_ok().only_storage().to_owned())
        .collect();
    places.sort();
    places
}

/// What `sdgroup explain` says of the job.
fn explained(lab: &mut Lab, job: &str) -> serde_json::Value {
    let (status, printed) = lab.sdgroup().run(&["explain", "--job", job, "--json"]);
    assert!(status.success(), "{printed}");
    let explained: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    explained["explanation"].clone()
}

/// Where it says that the job would go.
fn foretold(lab: &mut Lab, job: &str) -> String {
    let explained = explained(lab, job);
    explained["storage"].as_str().expect("a storage").to_owned()
}

/// Waits until each storage has told its room.
fn wait_for_room(lab: &mut Lab) {
    wait::until("the room of every storage", JOB_WITHIN, || {
        let members = explained(lab, "Roomy")["members"].clone();
        let mut members = members.as_array().expect("members").iter();
        members.all(|member| member["free_bytes"].is_u64()).then_some(())
    });
}

/// Runs large jobs on this storage until what one moves in a second was seen to be at least so much: the small ones of
/// before count as well.
fn wait_for_pace(lab: &mut Lab, storage: &str, least: u64) {
    wait::until("the pace of a storage", SEEN_WITHIN, || {
        assert_eq!(places(lab, "On5", 1), [storage]);
        let members = explained(lab, "Fast")["members"].clone();
        let mut members = members.as_array().expect("members").iter();
        let member = members.find(|member| member["storage"] == storage)?;
        (member["job_bytes_per_second"].as_u64()? >= least).then_some(())
    });
}

fn free(path: &Path) -> u64 {
    let about = rustix::fs::statvfs(path).expect("a file system");
    about.f_bavail * about.f_frsize
}

#[test]
fn each_policy_places_real_jobs_by_what_it_is_for() {
    let mut plan = Plan::with_policy("LeastUsed");
    plan.settings.group = RULES.to_owned();
    plan.settings.storage_of.insert("File4", "Weight = 2\n".to_owned());
    plan.devices = 4;
    plan.volumes_in_memory("File4");
    let small = plan.large("Weighted", 130, 10_000);
    for name in ["Copies", "Hashed", "Drawn", "Roomy", "RoomyIdle", "Fast"] {
        plan.folder_of_files(name, &small);
    }
    plan.large("On5", 131, 64_000_000);
    let mut gates = ["Slow1", "Slow2"].map(|name| plan.gate(name));
    let mut lab = plan.start(SDGROUP);

    assert_eq!(places(&lab, "Weighted", 4), ["File4", "File4", "File5", "File6"]);

    let home = foretold(&mut lab, "Hashed");
    assert_eq!(places(&lab, "Hashed", 3), vec![home; 3]);
    assert_eq!(places(&lab, "Copies", 3), ["File4", "File5", "File6"]);

    // Two jobs on File4, which last: whichever two are drawn, it is the busier.
    let mut slow = Vec::new();
    for (name, gate) in ["Slow1", "Slow2"].iter().zip(&mut gates) {
        slow.push(lab.run_job(name, "Full"));
        gate.feed(200_000, JOB_WITHIN);
    }
    let drawn = places(&lab, "Drawn", 2);
    assert!(!drawn.contains(&"File4".to_owned()), "{drawn:?}");

    // File4 has a file system of its own, the others share one. Where their room is about the same the jobs on File4
    // count; where it is not, they do not. Near the threshold nothing is claimed, since others write there, too.
    wait_for_room(&mut lab);
    let room = |at: usize| free(&lab.storages()[at].volumes());
    let (own, shared) = (room(0), room(1));
    let (idle, roomy) = (places(&lab, "RoomyIdle", 2), places(&lab, "Roomy", 2));
    let told = format!("{idle:?}, {roomy:?}; {own} and {shared} bytes");
    let percent = own.abs_diff(shared) / (own.max(shared) / 100);
    let is_own = |places: &[String]| places.iter().all(|place| place == "File4");
    let is_shared = |places: &[String]| places.iter().all(|place| place != "File4");
    match (percent, own > shared) {
        (0..10, _) => assert!(is_shared(&idle), "{told}"),
        (10..30, _) => {}
        (_, true) => assert!(is_own(&idle) && is_own(&roomy), "{told}"),
        (_, false) => assert!(is_shared(&idle) && is_shared(&roomy), "{told}"),
    }

    // File5 is seen to be fast, the others have moved next to nothing.
    drop(gates);
    for id in slow {
        assert_eq!(lab.wait(id).must_be_ok().only_storage(), "File4");
    }
    wait_for_pace(&mut lab, "File5", 500_000);
    let seen = explained(&mut lab, "Fast");
    assert_eq!(places(&lab, "Fast", 2), ["File5", "File5"], "{seen}");

    let metrics = lab.sdgroup().metrics();
    let used: BTreeSet<_> = [
        "Weighted",
        "JobHash",
        "LastBackedUpTo",
        "TwoChoices",
        "FreeSpaceLeastUsed",
        "Throughput",
    ]
    .into_iter()
    .filter(|policy| metrics.sum("sdgroup_jobs_placed_total", &[("policy", policy)]) > 0.5)
    .collect();
    assert_eq!(used.len(), 6, "{used:?}");
}
