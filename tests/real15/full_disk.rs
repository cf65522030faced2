//! A storage whose file system is full says so before a job has begun, since 15.0.

use crate::SDGROUP;
use crate::lab::Plan;
use crate::lab::tree::checksum;
use std::path::PathBuf;

/// File4 is the first that the policy chooses, and has no room.
fn plan(seed: u64) -> (Plan, PathBuf) {
    let mut plan = Plan::with_policy("ListedOrder");
    // Bacula's own spelling of the directive: how much room there has to be.
    let room = ("Minimum Fee Space", "1000000 GB".to_owned());
    plan.device_of.insert("File4", vec![room]);
    let source = plan.tree("Docs", seed);
    (plan, source)
}

#[test]
fn a_job_leaves_a_storage_whose_file_system_is_full() {
    let (plan, source) = plan(110);
    let lab = plan.start(SDGROUP);

    let report = lab.job("Docs", "Full");

    assert_eq!(report.must_be_ok().only_storage(), "File5");
    report.log_must_say("Storage File4 did not take the job: its file system is full");
    let volumes = lab.catalog().volumes();
    assert!(volumes.iter().all(|volume| volume.status == "Append"), "{volumes:?}");
    lab.must_restore(&[report.id], &source, &checksum(&source));
}

#[test]
fn a_storage_whose_file_system_is_full_does_not_cost_a_volume() {
    let (mut plan, source) = plan(111);
    plan.vaults = true;
    plan.pool = vec![("Purge Oldest Volume", "yes".to_owned()), ("Storage", String::new())];
    let lab = plan.start(SDGROUP);
    let first = lab.job("Docs", "Full");
    let volume = first.must_be_ok().volumes[0].clone();
    lab.console(&[&format!("update volume={volume} volstatus=Full")]);

    let second = lab.job("Docs", "Full");

    assert_eq!(second.must_be_ok().only_storage(), "File5");
    assert_eq!(lab.catalog().volume(&volume).status, "Full");
    for report in [&first, &second] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }

    // This is what it would cost, and does cost a job that can go nowhere else: asked not to make a volume, the Director
    // has the oldest written over, and goes on to believe in what was on it.
    lab.console(&[&format!("update volume={} volstatus=Full", second.volumes[0])]);
    let third = lab.wait(lab.run_job_with("Docs", "Full", "storage=Only-File4"));
    assert_eq!(third.must_be_ok().volumes, [volume]);
    assert!(!third.log.contains("Purging oldest volume"), "{}", third.log);
    assert!(lab.catalog().has_data_of(first.id));
    lab.must_restore(&[second.id], &source, &checksum(&source));
}
