//! A storage whose file system is full says so before a job has begun, since 15.0.

use crate::SDGROUP;
use crate::lab::Plan;
use crate::lab::tree::checksum;

#[test]
fn a_job_leaves_a_storage_whose_file_system_is_full() {
    let mut plan = Plan::with_policy("ListedOrder");
    // Bacula's own spelling of the directive: how much room there has to be.
    let room = ("Minimum Fee Space", "1000000 GB".to_owned());
    plan.device_of.insert("File4", vec![room]);
    let source = plan.tree("Docs", 110);
    let lab = plan.start(SDGROUP);

    let report = lab.job("Docs", "Full");

    assert_eq!(report.must_be_ok().only_storage(), "File5");
    report.log_must_say("Storage File4 did not take the job: its file system is full");
    let volumes = lab.catalog().volumes();
    assert!(volumes.iter().all(|volume| volume.status == "Append"), "{volumes:?}");
    lab.must_restore(&[report.id], &source, &checksum(&source));
}
