//! The lab itself, without sdgroup: what the other tests build on has to be right.

use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Plan, wait};
use std::time::Duration;

#[test]
fn a_job_straight_at_a_storage_is_restored_byte_for_byte() {
    let mut plan = Plan::new();
    let source = plan.tree("Docs", 1);
    let lab = plan.start_without_sdgroup();
    let expected = checksum(&source);

    let report = lab.job("Docs", "Full");

    assert_eq!(report.must_be_ok().only_storage(), "File4");
    assert!(report.files > 20 && report.bytes > 3_000_000, "{report:?}");
    lab.must_restore(&[report.id], &source, &expected);
    lab.job("Verify-Docs", "VolumeToCatalog").must_be_ok();
}

#[test]
fn a_job_lasts_until_its_gate_is_opened() {
    let mut plan = Plan::new();
    plan.storages = 1;
    let mut gate = plan.gate("Slow");
    let lab = plan.start_without_sdgroup();

    let id = lab.run_job("Slow", "Full");
    gate.feed(1_000_000, Duration::from_secs(30));
    assert!(lab.is_running(id));
    gate.open();

    assert_eq!(lab.wait(id).must_be_ok().bytes, 1_000_000);
    // The Director forgets the job when it has told its end.
    wait::until("the Director to forget the job", JOB_WITHIN, || {
        (!lab.is_running(id)).then_some(())
    });
}

#[test]
fn a_storage_that_is_dead_is_refused_at_its_port_and_comes_back() {
    let mut plan = Plan::new();
    plan.storages = 1;
    let source = plan.tree("Docs", 2);
    let mut lab = plan.start_without_sdgroup();
    let report = lab.job("Docs", "Full");
    let expected = checksum(&source);

    lab.storage("File4").kill();
    let refused = std::net::TcpStream::connect(lab.storage("File4").port().address());
    assert_eq!(
        refused.expect_err("nobody listens").kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    lab.storage("File4").start();
    lab.storage("File4").freeze();
    lab.storage("File4").thaw();

    lab.must_restore(&[report.id], &source, &expected);
}
