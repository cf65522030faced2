//! Jobs that run again: rescheduled after a failure, and resumed after they were stopped.

use crate::SDGROUP;
use crate::lab::catalog::JobId;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use sdgroup::types::Release;
use std::path::PathBuf;

#[test]
fn a_job_that_failed_is_rescheduled_and_finds_a_storage_that_is_up_by_then() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.settings.down_wait = "1 second";
    let source = plan.tree("Docs", 180);
    let again = [
        ("Reschedule On Error", "yes"),
        ("Reschedule Interval", "1 second"),
        ("Reschedule Times", "20"),
    ];
    plan.job_of
        .insert("Docs", again.map(|(name, value)| (name, value.to_owned())).into());
    let mut lab = plan.start(SDGROUP);
    for storage in ["File4", "File5", "File6"] {
        lab.storage(storage).kill();
    }
    let id = lab.run_job("Docs", "Full");
    lab.wait_for_log(id, "Rescheduled Job", JOB_WITHIN);

    lab.storage("File5").start();

    lab.wait_for_log(id, "Backup OK", JOB_WITHIN);
    let report = lab.wait(id);
    assert_eq!(report.status, 'T', "{}", report.log);
    assert_eq!(report.only_storage(), "File5");
    lab.must_restore(&[id], &source, &checksum(&source));
}

/// A job that is stopped when some of it is on its storage.
fn stopped(policy: &'static str) -> (Lab, PathBuf, JobId) {
    let mut plan = Plan::with_policy(policy);
    plan.storages = 2;
    let source = plan.folder().join("source/Large");
    std::fs::create_dir_all(&source).unwrap();
    for number in 0..40_u64 {
        crate::lab::tree::pour(&source.join(format!("{number}.bin")), number, 400_000);
    }
    plan.folder_of_files("Large", &source);
    plan.job_of
        .insert("Large", vec![("Maximum Bandwidth", "2 mb/s".to_owned())]);
    // A Client of 15 does not limit itself in TLS, of which 9.6 knows nothing yet.
    if crate::RELEASE != Release::V9 {
        plan.tls.client = vec![("TLS PSK Enable", "no".to_owned())];
    }
    let lab = plan.start(SDGROUP);
    let id = lab.run_job("Large", "Full");
    // A storage that loses the Client before it has the stop keeps what it has if that is more than ten files.
    wait::until("fifteen files to be there", JOB_WITHIN, || {
        let volume = lab.storages()[0].volumes().join("Vol-0001");
        (std::fs::metadata(volume).ok()?.len() > 6_000_000).then_some(())
    });
    lab.console(&[&format!("stop jobid={id} yes")]);
    let report = lab.wait(id);
    assert_eq!(report.status, 'I', "{}", report.log);
    (lab, source, id)
}

/// Resumes it, and waits for its second end.
fn resume(lab: &Lab, id: JobId) {
    let printed = lab.console(&[&format!("resume incomplete jobid={id} yes")]);
    wait::until_or(
        "the resumed job",
        JOB_WITHIN,
        || lab.catalog().job(id)?.log.contains("Backup OK").then_some(()),
        || format!("{printed}\n{}", lab.catalog().job(id).unwrap().log),
    );
}

#[test]
fn a_job_that_was_stopped_is_resumed_where_its_first_part_is() {
    let (lab, source, id) = stopped("RoundRobin");

    resume(&lab, id);

    let report = lab.wait(id);
    assert_eq!(report.only_storage(), "File4");
    lab.must_restore(&[id], &source, &checksum(&source));
}

#[test]
fn a_job_whose_first_parts_storage_is_down_is_resumed_elsewhere_and_restored_from_both() {
    let (mut lab, source, id) = stopped("LeastUsed");
    lab.storage("File4").kill();

    resume(&lab, id);

    let report = lab.wait(id);
    assert!(report.log.contains("Placed on File5"), "{}", report.log);
    assert_eq!(report.storages, ["File4", "File5"], "{}", report.log);
    lab.bring_back("File4");
    lab.must_restore(&[id], &source, &checksum(&source));
}
