//! `cancel` and `stop`, at every stage of a job.

use crate::SDGROUP;
use crate::lab::catalog::JobId;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use std::time::{Duration, Instant};

/// Far below what Bacula's daemons wait for each other, which is half an hour; 9.6 looks for a cancel every ten seconds
/// while it dials.
const AT_ONCE: Duration = Duration::from_secs(25);

/// Types the word for the job, which then ends.
fn ends_by(lab: &Lab, word: &str, id: JobId) {
    let begun = Instant::now();
    let printed = lab.console(&[&format!("{word} jobid={id} yes")]);
    let report = lab.wait(id);
    assert!(
        begun.elapsed() < AT_ONCE + crate::DIRECTORS_OWN,
        "{:?} after {word}: {printed}",
        begun.elapsed()
    );
    assert!("AI".contains(report.status), "{report:?}\n{printed}");
}

fn all_places_are_free(lab: &mut Lab) {
    wait::until("all places to be free", JOB_WITHIN, || {
        let metrics = lab.sdgroup().metrics();
        (metrics.sum("sdgroup_storage_jobs", &[]) < 0.5).then_some(())
    });
}

/// The group is as good as new: nobody holds a place, and a job runs on the first storage.
fn is_as_before(lab: &mut Lab, source: &std::path::Path) {
    all_places_are_free(lab);
    let report = lab.job("Docs", "Full");
    assert_eq!(report.must_be_ok().only_storage(), "File4");
    lab.must_restore(&[report.id], source, &checksum(source));
}

fn plan() -> Plan {
    Plan::with_policy("ListedOrder")
}

/// A job whose Client is sent where nobody listens, and tries again for half an hour.
fn waits_for_its_client() -> (Lab, JobId) {
    let mut plan = plan();
    plan.tree("Docs", 160);
    plan.directors_client
        .push(("FD Storage Address", "127.0.0.9".to_owned()));
    let lab = plan.start(SDGROUP);
    let id = lab.run_job("Docs", "Full");
    lab.wait_for_log(id, "Placed on File4", JOB_WITHIN);
    wait::until("the storage to wait for the Client", JOB_WITHIN, || {
        let printed = lab.console(&["status storage=File4"]);
        printed.contains(&format!("JobId={id} ")).then_some(())
    });
    (lab, id)
}

#[test]
fn a_job_that_waits_for_its_client_is_canceled() {
    let (mut lab, id) = waits_for_its_client();
    ends_by(&lab, "cancel", id);
    all_places_are_free(&mut lab);
}

#[test]
fn a_job_that_waits_for_its_client_is_stopped_when_that_comes_as_bacula_has_it() {
    let (lab, id) = waits_for_its_client();
    let printed = lab.console(&[&format!("stop jobid={id} yes")]);
    assert!(printed.contains("marked to be stopped"), "{printed}");
    assert!(lab.is_running(id));
    // The Director has had enough; a storage of 15.0 waits on, since for it stopped is more than canceled.
    ends_by(&lab, "cancel", id);
}

#[test]
fn a_job_that_waits_in_the_queue() {
    for word in ["cancel", "stop"] {
        let mut plan = plan();
        (plan.storages, plan.settings.maximum_concurrent_jobs) = (1, 1);
        let source = plan.tree("Docs", 161);
        let mut gate = plan.gate("Slow");
        let mut lab = plan.start(SDGROUP);
        let slow = lab.run_job("Slow", "Full");
        gate.feed(200_000, JOB_WITHIN);
        let id = lab.run_job("Docs", "Full");
        lab.wait_for_log(id, "waits", JOB_WITHIN);

        ends_by(&lab, word, id);

        gate.open();
        lab.wait(slow).must_be_ok();
        is_as_before(&mut lab, &source);
    }
}

#[test]
fn a_job_that_waits_for_a_device() {
    for word in ["cancel", "stop"] {
        let mut plan = plan();
        (plan.storages, plan.devices, plan.jobs_per_device) = (1, 1, 1);
        let source = plan.tree("Docs", 164);
        let mut gate = plan.gate("Slow");
        let mut lab = plan.start(SDGROUP);
        let slow = lab.run_job("Slow", "Full");
        gate.feed(200_000, JOB_WITHIN);
        let id = lab.run_job("Docs", "Full");
        lab.wait_for_log(id, "Placed on File4", JOB_WITHIN);
        let waits = format!("3609 JobId={id} ");
        wait::until("the storage to look for a device", JOB_WITHIN, || {
            lab.console(&["status storage=File4"]).contains(&waits).then_some(())
        });

        ends_by(&lab, word, id);

        gate.open();
        lab.wait(slow).must_be_ok();
        is_as_before(&mut lab, &source);
    }
}

#[test]
fn a_job_whose_storage_hangs() {
    for word in ["cancel", "stop"] {
        let mut plan = plan();
        let source = plan.tree("Docs", 162);
        let mut gate = plan.gate("Slow");
        let mut lab = plan.start(SDGROUP);
        let id = lab.run_job("Slow", "Full");
        gate.feed(200_000, JOB_WITHIN);
        lab.storage("File4").freeze();

        ends_by(&lab, word, id);

        lab.storage("File4").thaw();
        gate.open();
        lab.sdgroup().until_well("File4");
        is_as_before(&mut lab, &source);
    }
}
