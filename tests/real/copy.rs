//! Copies and migrations: between the storages of one group, between two groups, and from and to a storage apart.

use crate::SDGROUP;
use crate::lab::catalog::JobReport;
use crate::lab::resources::{ARCHIVE, COPIES, GROUP};
use crate::lab::tree::checksum;
use crate::lab::{CopyJob, Lab, Plan};
use std::fs;
use std::path::{Path, PathBuf};

/// File4 and File5 are the group, File6 is as `plan` has it.
fn plan(kind: &'static str, from: &str, to: &str) -> (Plan, PathBuf) {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.copies.push(CopyJob {
        name: "Duplicate",
        kind,
        from: from.to_owned(),
        to: to.to_owned(),
    });
    let source = plan.tree("Docs", 130);
    (plan, source)
}

/// Runs the job on `original`; returns the report of the job that wrote the duplicate, which is restored and compared.
fn duplicate(lab: &Lab, original: &JobReport, source: &Path) -> JobReport {
    let control = lab.wait(lab.run_job_with("Duplicate", "Full", &format!("jobid={}", original.id)));
    control.must_be_ok();
    let id = lab.catalog().duplicate_of(original.id).expect("a duplicate");
    let report = lab.wait(id);
    assert_eq!(report.files, original.files, "{}", control.log);
    lab.must_restore(&[id], source, &checksum(source));
    report
}

#[test]
fn a_copy_within_the_group_goes_to_another_storage_than_the_original() {
    let (mut plan, source) = plan("Copy", GROUP, COPIES);
    plan.storages = 2;
    let mut lab = plan.start(SDGROUP);
    let original = lab.job("Docs", "Full");
    assert_eq!(original.must_be_ok().only_storage(), "File4");

    let copy = duplicate(&lab, &original, &source);

    assert_eq!(copy.only_storage(), "File5");
    // The copy is worth what it is kept for.
    lab.storage("File4").kill();
    lab.must_restore(&[copy.id], &source, &checksum(&source));
}

#[test]
fn a_migration_goes_to_the_other_group() {
    let (mut plan, source) = plan("Migrate", GROUP, ARCHIVE);
    plan.archive = 1;
    let lab = plan.start(SDGROUP);
    let original = lab.job("Docs", "Full");
    assert_eq!(original.must_be_ok().only_storage(), "File4");

    assert_eq!(duplicate(&lab, &original, &source).only_storage(), "File6");
}

#[test]
fn a_copy_goes_from_the_group_to_a_storage_apart() {
    let (mut plan, source) = plan("Copy", GROUP, "File6-direct");
    plan.apart = 1;
    let lab = plan.start(SDGROUP);
    let original = lab.job("Docs", "Full");

    assert_eq!(duplicate(&lab, original.must_be_ok(), &source).only_storage(), "File6");
}

#[test]
fn a_copy_comes_from_a_storage_apart_into_the_group() {
    let (mut plan, source) = plan("Copy", "File6-direct", COPIES);
    plan.apart = 1;
    let lab = plan.start(SDGROUP);
    let original = lab.wait(lab.run_directly("Docs", "Full", "File6"));
    assert_eq!(original.must_be_ok().only_storage(), "File6");

    assert_eq!(duplicate(&lab, &original, &source).only_storage(), "File4");
}

/// Where an incremental goes, by `Locality`, after the full on File4 was duplicated on File5.
fn incremental_after(kind: &'static str) -> String {
    let (mut plan, source) = plan(kind, GROUP, COPIES);
    plan.storages = 2;
    plan.settings.group.push_str("Locality = \"prefer\"\n");
    let lab = plan.start(SDGROUP);
    let original = lab.job("Docs", "Full");
    assert_eq!(original.must_be_ok().only_storage(), "File4");
    assert_eq!(duplicate(&lab, &original, &source).only_storage(), "File5");
    fs::write(source.join("later"), "changed").expect("one more file");
    lab.job("Docs", "Incremental").must_be_ok().only_storage().to_owned()
}

#[test]
fn incrementals_stay_with_a_full_that_was_copied() {
    assert_eq!(incremental_after("Copy"), "File4");
}

#[test]
fn incrementals_follow_a_full_that_was_migrated() {
    assert_eq!(incremental_after("Migrate"), "File5");
}
