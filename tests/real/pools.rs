//! Pools that end: what becomes of volumes when a pool has no more of them to give. The cases of
//! `deploy/docs/pools.md` that a real Director can show.

use std::fs;
use std::path::PathBuf;

use crate::SDGROUP;
use crate::lab::catalog::JobReport;
use crate::lab::resources::{COPIES, SCRATCH};
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan};

/// A pool with further directives, and jobs that go to the storage that they are sent to.
fn plan_of(seed: u64, pool: &[(&'static str, &str)]) -> (Plan, PathBuf) {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.vaults = true;
    // A Pool's storages would come before the job's.
    plan.pool = vec![("Storage", String::new()), ("Recycle", "yes".to_owned())];
    let more = pool.iter().map(|(name, value)| (*name, (*value).to_owned()));
    plan.pool.extend(more);
    let source = plan.tree("Docs", seed);
    (plan, source)
}

/// A backup on this storage and no other.
fn back_up_on(lab: &Lab, storage: &str) -> JobReport {
    let more = format!("storage=Only-{storage}");
    let report = lab.wait(lab.run_job_with("Docs", "Full", &more));
    report.must_be_ok();
    for volume in &report.volumes {
        let path = lab.folder().join(storage.to_lowercase()).join("volumes").join(volume);
        assert!(path.exists(), "{volume} is not on {storage}:\n{}", report.log);
    }
    report
}

fn only_volume(report: &JobReport) -> &str {
    assert_eq!(report.volumes.len(), 1, "{:?}\n{}", report.volumes, report.log);
    &report.volumes[0]
}

fn set_status(lab: &Lab, report: &JobReport, status: &str) {
    let volume = only_volume(report);
    lab.console(&[&format!("update volume={volume} volstatus={status}")]);
    assert_eq!(lab.catalog().volume(volume).status, status);
}

fn purge(lab: &Lab, report: &JobReport) {
    let volume = only_volume(report);
    lab.console(&[&format!("purge volume={volume}")]);
    assert_eq!(lab.catalog().volume(volume).status, "Purged");
}

/// The storage that sdgroup's ledger has for the volume.
fn holder(lab: &mut Lab, volume: &str) -> String {
    let (status, printed) = lab.sdgroup().run(&["volumes", "list"]);
    assert!(status.success(), "{printed}");
    let line = printed.lines().find(|line| line.contains(volume));
    let line = line.unwrap_or_else(|| panic!("no {volume} in:\n{printed}"));
    let names = ["File4", "File5", "File6"].into_iter();
    names.filter(|name| line.contains(name)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_volume_that_was_purged_for_a_job_is_the_one_that_it_writes() {
    let pool = [("Maximum Volumes", "2"), ("Purge Oldest Volume", "yes")];
    let (plan, source) = plan_of(170, &pool);
    let mut lab = plan.start(SDGROUP);
    let first = back_up_on(&lab, "File4");
    let second = back_up_on(&lab, "File5");

    // Both can be written, on their own storages; the third has none, and the Director purges the oldest.
    let third = back_up_on(&lab, "File6");
    assert_eq!(only_volume(&third), only_volume(&first));
    third.log_must_say("Purging oldest volume");
    third.log_must_say("moves from File4 to File6");
    assert_eq!(holder(&mut lab, only_volume(&third)), "File6");
    assert!(!lab.catalog().has_data_of(first.id));

    // Full volumes are not offered before they are purged.
    set_status(&lab, &second, "Full");
    set_status(&lab, &third, "Full");
    let fourth = back_up_on(&lab, "File4");
    assert_eq!(only_volume(&fourth), only_volume(&second));
    fourth.log_must_say("moves from File5 to File4");
    assert!(!lab.catalog().has_data_of(second.id));
    for report in [&third, &fourth] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }

    // One that is dead already is taken, and nothing is purged.
    set_status(&lab, &fourth, "Full");
    purge(&lab, &third);
    let fifth = back_up_on(&lab, "File5");
    assert_eq!(only_volume(&fifth), only_volume(&third));
    fifth.log_must_say("has VolStatus \"Recycle\" and cannot be purged");
    for report in [&fourth, &fifth] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }
}

/// Two full volumes on two storages, and then a job on the third.
fn third_finds_two_full(plan: Plan) -> (Lab, [JobReport; 3]) {
    let lab = plan.start(SDGROUP);
    let (first, second) = (back_up_on(&lab, "File4"), back_up_on(&lab, "File5"));
    set_status(&lab, &first, "Full");
    set_status(&lab, &second, "Full");
    let third = back_up_on(&lab, "File6");
    (lab, [first, second, third])
}

#[test]
fn of_volumes_that_may_not_be_recycled_one_is_purged_and_no_other() {
    let pool = [
        ("Maximum Volumes", "2"),
        ("Purge Oldest Volume", "yes"),
        ("Recycle", "no"),
    ];
    let (plan, source) = plan_of(176, &pool);

    let (lab, [first, second, third]) = third_finds_two_full(plan);

    assert_eq!(only_volume(&third), only_volume(&first));
    for report in [&second, &third] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }
}

#[test]
fn of_a_pool_that_gives_up_what_it_purges_one_is_purged_and_no_other() {
    let pool = [
        ("Maximum Volumes", "2"),
        ("Purge Oldest Volume", "yes"),
        ("Recycle Pool", COPIES),
    ];
    let (plan, source) = plan_of(177, &pool);

    let (lab, [first, second, third]) = third_finds_two_full(plan);

    // The job cannot write it any more, as without sdgroup, and there is room for a new one.
    let purged = lab.catalog().volume(only_volume(&first));
    assert_eq!((purged.pool.as_str(), purged.status.as_str()), (COPIES, "Recycle"));
    assert_eq!(lab.catalog().volumes().len(), 3);
    for report in [&second, &third] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }
}

#[test]
fn the_oldest_volume_is_recycled_where_nothing_else_is_looked_for() {
    let pool = [
        ("Maximum Volumes", "2"),
        ("Recycle Oldest Volume", "yes"),
        ("Volume Retention", "1 second"),
    ];
    let (plan, source) = plan_of(178, &pool);

    let (lab, [first, second, third]) = third_finds_two_full(plan);

    third.log_must_say("Pruning oldest volume");
    assert_eq!(only_volume(&third), only_volume(&first));
    for report in [&second, &third] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }
}

#[test]
fn dead_volumes_stay_at_home_unless_there_is_nothing_else() {
    let pool = [("Maximum Volumes", "3"), ("Label Format", "Vol-")];
    let (plan, source) = plan_of(171, &pool);
    let mut lab = plan.start(SDGROUP);
    let first = back_up_on(&lab, "File4");
    let second = back_up_on(&lab, "File5");

    // The pool can make another: a new one is better than a stale file.
    set_status(&lab, &second, "Full");
    purge(&lab, &first);
    let third = back_up_on(&lab, "File6");
    assert!(![only_volume(&first), only_volume(&second)].contains(&only_volume(&third)));
    assert_eq!(lab.catalog().volume(only_volume(&first)).status, "Recycle");

    // The oldest dead one is on File4, the next on File5, which takes its own.
    purge(&lab, &second);
    let fourth = back_up_on(&lab, "File5");
    assert_eq!(only_volume(&fourth), only_volume(&second));
    assert!(!fourth.log.contains(" moves from "), "{}", fourth.log);

    // Nothing else is left for File6.
    set_status(&lab, &third, "Full");
    let fifth = back_up_on(&lab, "File6");
    assert_eq!(only_volume(&fifth), only_volume(&first));
    fifth.log_must_say("moves from File4 to File6");
    assert_eq!(holder(&mut lab, only_volume(&fifth)), "File6");
    assert_eq!(lab.catalog().volumes().len(), 3);
    for report in [&third, &fourth, &fifth] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }
}

#[test]
fn volumes_whose_retention_has_passed_are_written_by_their_own_storages() {
    let pool = [
        ("Maximum Volumes", "3"),
        ("Volume Retention", "1 second"),
        ("Auto Prune", "yes"),
        ("Recycle Oldest Volume", "yes"),
    ];
    let (plan, source) = plan_of(172, &pool);
    let lab = plan.start(SDGROUP);
    let on = ["File4", "File5", "File6"].map(|storage| back_up_on(&lab, storage));
    for report in &on {
        set_status(&lab, report, "Full");
    }
    // It takes longer than the retention.
    lab.wait(lab.run_job_with("Docs", "Full", &format!("pool={COPIES}")))
        .must_be_ok();

    let last = back_up_on(&lab, "File6");

    assert_eq!(only_volume(&last), only_volume(&on[2]));
    assert!(!last.log.contains(" moves from "), "{}", last.log);
    lab.must_restore(&[last.id], &source, &checksum(&source));
}

#[test]
fn a_job_goes_to_the_storage_that_has_the_scratch_volume() {
    let (mut plan, source) = plan_of(173, &[("Label Format", "")]);
    plan.settings.policy = "ListedOrder";
    let lab = plan.start(SDGROUP);
    for (storage, volume) in [("File5", "Scratch-5"), ("File6", "Scratch-6")] {
        let label = format!("label storage=Only-{storage} pool={SCRATCH} volume={volume} slot=0 drive=0");
        let printed = lab.console(&[&label]);
        assert!(printed.contains("3000 OK label"), "{printed}");
    }

    let report = lab.job("Docs", "Full");

    assert_eq!(report.must_be_ok().only_storage(), "File5");
    report.log_must_say("Storage File4 did not take the job: it has no volume of its own");
    // The Director takes one out for each time that it is asked. They stay, for the storages that have them.
    for volume in ["Scratch-5", "Scratch-6"] {
        let volume = lab.catalog().volume(volume);
        assert_eq!((volume.pool.as_str(), volume.status.as_str()), ("Files", "Append"));
    }
    let other = back_up_on(&lab, "File6");
    assert_eq!(only_volume(&other), "Scratch-6");
    lab.must_restore(&[report.id], &source, &checksum(&source));
}

#[test]
fn volumes_that_the_operator_closed_or_lost_are_not_written() {
    let (plan, source) = plan_of(174, &[]);
    let mut lab = plan.start(SDGROUP);
    let first = back_up_on(&lab, "File4");
    let mut before = vec![only_volume(&first).to_owned()];
    let mut latest = first.clone();
    for status in ["Used", "Full", "Read-Only", "Archive", "Error"] {
        set_status(&lab, &latest, status);
        let next = back_up_on(&lab, "File4");
        let volume = only_volume(&next).to_owned();
        assert!(!before.contains(&volume), "{volume} was {status}");
        assert_eq!(lab.catalog().volume(only_volume(&latest)).status, status);
        before.push(volume);
        latest = next;
    }
    lab.console(&[&format!("update volume={} enabled=no", only_volume(&latest))]);
    let lost = back_up_on(&lab, "File4");
    assert!(!before.contains(&only_volume(&lost).to_owned()));

    // A file that is gone is the storage's own discovery, and the job goes on.
    fs::remove_file(lab.folder().join("file4/volumes").join(only_volume(&lost))).unwrap();
    let next = lab.wait(lab.run_job_with("Docs", "Full", "storage=Only-File4"));
    assert_eq!(next.status, 'T', "{}", next.log);
    assert_ne!(only_volume(&next), only_volume(&lost));
    assert_eq!(lab.catalog().volume(only_volume(&lost)).status, "Error");
    assert_eq!(holder(&mut lab, only_volume(&lost)), "File4");
    let restore = lab.start_restore(&[lost.id], &lab.folder().join("restored"));
    lab.wait_for_log(restore, only_volume(&lost), JOB_WITHIN);
    lab.console(&[&format!("cancel jobid={restore} yes")]);
    lab.wait(restore).must_have_failed();
    lab.must_restore(&[first.id], &source, &checksum(&source));
}

#[test]
fn a_volume_that_is_labelled_anew_elsewhere_is_there() {
    let (plan, source) = plan_of(175, &[]);
    let mut lab = plan.start(SDGROUP);
    let first = back_up_on(&lab, "File4");
    let volume = only_volume(&first).to_owned();

    lab.console(&[&format!("delete volume={volume} yes")]);
    let printed = lab.console(&[&format!(
        "label storage=Only-File5 pool=Files volume={volume} slot=0 drive=0"
    )]);
    assert!(printed.contains("3000 OK label"), "{printed}");
    assert_eq!(holder(&mut lab, &volume), "File5");

    let second = back_up_on(&lab, "File5");
    assert_eq!(only_volume(&second), volume);
    let third = back_up_on(&lab, "File4");
    assert_ne!(only_volume(&third), volume);
    for report in [&second, &third] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }
}
