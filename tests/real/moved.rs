//! Jobs that a storage has taken, and that go to another because it has no device or no volume for them.

use crate::SDGROUP;
use crate::lab::catalog::JobReport;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use std::path::{Path, PathBuf};

/// The storages are taken in their order, so every job goes to File4 first.
fn plan(seed: u64) -> (Plan, PathBuf) {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.settings.reserve_timeout = "3 seconds";
    let source = plan.tree("Docs", seed);
    (plan, source)
}

/// A backup leaves File4, for the reason that its log tells, ends well on File5, and is restored byte for byte.
fn goes_on_to_file5(lab: &Lab, source: &Path, reason: &str) -> JobReport {
    let report = lab.job("Docs", "Full");
    assert_eq!(report.must_be_ok().only_storage(), "File5");
    report.log_must_say("Storage File4 did not take the job");
    report.log_must_say(reason);
    lab.must_restore(&[report.id], source, &checksum(source));
    report
}

/// Why a storage does not give a device, as its Director's release lets it tell.
fn no_device() -> &'static str {
    match crate::RELEASE {
        sdgroup::types::Release::V9 => "no device within 3 s",
        _ => "3924 Device",
    }
}

#[test]
fn a_job_leaves_a_storage_that_does_not_have_the_device() {
    let (mut plan, source) = plan(100);
    plan.changer_of = Some(("File4", "Elsewhere"));
    let mut lab = plan.start(SDGROUP);

    goes_on_to_file5(&lab, &source, no_device());

    let metrics = lab.sdgroup().metrics();
    assert!(metrics.sum("sdgroup_job_failovers_total", &[("storage", "File4")]) > 0.5);
    assert!(
        metrics.sum("sdgroup_storage_ejections_total", &[]) < 0.5,
        "nobody is at fault"
    );
}

#[test]
fn a_job_leaves_a_storage_whose_devices_are_disabled() {
    let (mut plan, source) = plan(101);
    plan.device_of.insert("File4", vec![("Enabled", "no".to_owned())]);
    goes_on_to_file5(&plan.start(SDGROUP), &source, no_device());
}

#[test]
fn jobs_that_find_a_storages_only_drive_in_use_go_to_the_others_and_the_last_waits() {
    let (mut plan, source) = plan(102);
    (plan.devices, plan.jobs_per_device) = (1, 1);
    let gates = ["Slow4", "Slow5", "Slow6"].map(|name| (name, plan.gate(name)));
    let lab = plan.start(SDGROUP);
    let mut slow = Vec::new();
    for (name, mut gate) in gates {
        let id = lab.run_job(name, "Full");
        gate.feed(200_000, JOB_WITHIN);
        slow.push((id, gate));
    }

    let last = lab.run_job("Docs", "Full");
    wait::until("the last job to wait", JOB_WITHIN, || {
        let waits = lab.catalog().job(last)?.log.contains("it waits up to");
        waits.then_some(())
    });
    let (id, gate) = slow.remove(1);
    gate.open();
    assert_eq!(lab.wait(id).must_be_ok().only_storage(), "File5");

    let report = lab.wait(last);
    assert_eq!(report.must_be_ok().only_storage(), "File5");
    lab.must_restore(&[report.id], &source, &checksum(&source));
    for ((id, gate), storage) in slow.into_iter().zip(["File4", "File6"]) {
        gate.open();
        assert_eq!(lab.wait(id).must_be_ok().only_storage(), storage);
    }
}

#[test]
fn a_job_leaves_a_storage_that_is_killed_while_it_has_no_device_free() {
    let (mut plan, source) = plan(103);
    plan.settings.reserve_timeout = "1 minute";
    (plan.devices, plan.jobs_per_device) = (1, 1);
    let mut gate = plan.gate("Slow");
    let mut lab = plan.start(SDGROUP);
    let slow = lab.run_job("Slow", "Full");
    gate.feed(200_000, JOB_WITHIN);
    let id = lab.run_job("Docs", "Full");
    // A storage of 13.0 and later says at once that it is busy; one of 9.6 keeps a job that waits for a drive (3609).
    let waits = format!("3609 JobId={id} ");
    let left = "Storage File4 did not take the job";
    wait::until("File4 to have had the job", JOB_WITHIN, || {
        let has_left = lab.catalog().job(id)?.log.contains(left);
        (has_left || lab.console(&["status storage=File4"]).contains(&waits)).then_some(())
    });

    lab.storage("File4").kill();

    let report = lab.wait(id);
    assert_eq!(report.must_be_ok().only_storage(), "File5");
    report.log_must_say(left);
    lab.must_restore(&[report.id], &source, &checksum(&source));
    gate.open();
    lab.wait(slow).must_have_failed();
}

#[test]
fn a_job_leaves_a_storage_that_has_no_volume_of_its_own_for_the_one_that_has() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.pool.push(("Maximum Volumes", "1".to_owned()));
    let source = plan.tree("Docs", 104);
    let lab = plan.start(SDGROUP);
    let first = lab.job("Docs", "Full");
    assert_eq!(first.must_be_ok().only_storage(), "File4");

    let second = lab.job("Docs", "Full");

    assert_eq!(second.must_be_ok().only_storage(), "File4");
    second.log_must_say("Storage File5 did not take the job: it has no volume of its own");
    second.log_must_say("Storage File6 did not take the job: it has no volume of its own");
    assert_eq!(lab.catalog().volumes().len(), 1);
    for report in [&first, &second] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }
}
