//! A Client that is called (`SD Calls Client`): in every kind of job sdgroup calls it in the storage's place.

use std::fs;

use crate::SDGROUP;
use crate::lab::resources::{COPIES, GROUP};
use crate::lab::tree::checksum;
use crate::lab::{CopyJob, Plan};

fn plan(policy: &'static str) -> Plan {
    let mut plan = Plan::with_policy(policy);
    plan.directors_client.push(("SD Calls Client", "yes".to_owned()));
    plan
}

#[test]
fn a_client_is_called_for_backups_and_for_restores_over_several_storages() {
    let mut plan = plan("RoundRobin");
    let source = plan.tree("Docs", 150);
    let mut lab = plan.start(SDGROUP);

    let full = lab.job("Docs", "Full");
    fs::write(source.join("added"), "since the full").unwrap();
    let incremental = lab.job("Docs", "Incremental");

    assert_ne!(
        full.must_be_ok().only_storage(),
        incremental.must_be_ok().only_storage()
    );
    lab.must_restore(&[full.id, incremental.id], &source, &checksum(&source));
    lab.job("Verify-Docs", "VolumeToCatalog").must_be_ok();
    // All of it has passed here.
    let written = f64::from(u32::try_from(full.bytes).unwrap());
    lab.sdgroup()
        .until_metric("sdgroup_relay_bytes_total", &[], |passed| passed > written);
}

#[test]
fn a_client_is_called_for_a_job_that_was_moved() {
    let mut plan = plan("ListedOrder");
    plan.changer_of = Some(("File4", "Other"));
    let source = plan.tree("Docs", 151);
    let lab = plan.start(SDGROUP);

    let report = lab.job("Docs", "Full");

    assert_eq!(report.must_be_ok().only_storage(), "File5");
    lab.must_restore(&[report.id], &source, &checksum(&source));
}

#[test]
fn a_copy_is_called_by_the_storage_that_has_the_original() {
    let mut plan = plan("RoundRobin");
    plan.copies.push(CopyJob {
        name: "Duplicate",
        kind: "Copy",
        from: GROUP.to_owned(),
        to: COPIES.to_owned(),
    });
    let source = plan.tree("Docs", 152);
    let lab = plan.start(SDGROUP);
    let original = lab.job("Docs", "Full");

    let control = lab.wait(lab.run_job_with("Duplicate", "Full", &format!("jobid={}", original.id)));

    control.must_be_ok();
    let copy = lab.catalog().duplicate_of(original.id).expect("a copy");
    let copy = lab.wait(copy);
    assert_ne!(copy.only_storage(), original.only_storage());
    lab.must_restore(&[copy.id], &source, &checksum(&source));
}
