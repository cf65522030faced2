//! SIGTERM: running jobs end, new ones are not taken; a second signal ends at once.

use crate::SDGROUP;
use crate::lab::{JOB_WITHIN, Plan};
use std::time::Duration;

/// Far more than anything here takes; a job that is waited for lasts until its gate is opened.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_running_job_ends_well_after_sigterm_and_then_sdgroup_ends() {
    let mut plan = Plan::with_policy("ListedOrder");
    let mut gate = plan.gate("Slow");
    let mut lab = plan.start(SDGROUP);
    let id = lab.run_job("Slow", "Full");
    gate.feed(300_000, JOB_WITHIN);

    lab.sdgroup().terminate();
    gate.feed(300_000, JOB_WITHIN);
    assert!(lab.sdgroup().is_running(), "it waits for its job");
    gate.open();

    assert_eq!(lab.wait(id).must_be_ok().bytes, 600_000);
    let status = lab.sdgroup().wait_for_end(SOON).expect("its end after its last job");
    assert!(status.success(), "{status}");
}

#[test]
fn a_second_signal_ends_sdgroup_and_its_jobs_at_once() {
    let mut plan = Plan::with_policy("ListedOrder");
    let mut gate = plan.gate("Slow");
    let mut lab = plan.start(SDGROUP);
    let id = lab.run_job("Slow", "Full");
    gate.feed(300_000, JOB_WITHIN);

    lab.sdgroup().terminate();
    let draining = || {
        lab.sdgroup()
            .get("/readyz")
            .is_none_or(|(status, _)| status != 200)
            .then_some(())
    };
    crate::lab::wait::until("/readyz to say no", SOON, draining);
    lab.sdgroup().terminate();

    assert!(
        lab.sdgroup().wait_for_end(Duration::from_secs(10)).is_some(),
        "it does not wait for the job"
    );
    gate.trickle();
    gate.open();
    // The Director calls for up to half an hour to cancel the job; what answers need not know it.
    lab.sdgroup().start();
    lab.wait(id).must_have_failed();
}
