//! The expensive mistake: a storage that is offered a volume which it does not have marks it Error or begins an
//! empty one of the same name. Here all storages share MediaType and Pool, and nothing of that may happen.

use crate::SDGROUP;
use crate::lab::catalog::{JobId, JobReport};
use crate::lab::tree::checksum;
use crate::lab::{Lab, Plan, Words};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// No volume is damaged, every volume is on one storage, and no job had to ask a person for anything.
fn nothing_went_wrong(lab: &Lab, reports: &[JobReport]) {
    for volume in lab.catalog().volumes() {
        assert!(
            ["Append", "Full", "Used"].contains(&volume.status.as_str()),
            "{volume:?}"
        );
        let holders = lab.storages_of(std::slice::from_ref(&volume.name));
        assert_eq!(holders.len(), 1, "{volume:?} is on {holders:?}");
    }
    for report in reports {
        report.must_be_ok();
        for complaint in [
            "Please mount",
            "\"label\" command",
            "Cannot find any appendable",
            "Marking Volume",
            "Error:",
        ] {
            assert!(
                !report.log.contains(complaint),
                "job {} says {complaint:?}:\n{}",
                report.id,
                report.log
            );
        }
    }
}

/// Restores all at once, each into a folder of its own, and compares.
fn all_restore(lab: &Lab, source: &Path, expected: &[(JobId, String)]) {
    let restores: Vec<_> = expected
        .iter()
        .map(|(id, checksum)| {
            let folder = lab.folder().join(format!("restored-{id}"));
            (lab.start_restore(&[*id], &folder), folder, checksum)
        })
        .collect();
    for (restore, folder, expected) in restores {
        let report = lab.wait(restore);
        report.must_be_ok();
        let found = checksum(&folder.join(source.strip_prefix("/").unwrap()));
        assert!(
            found == *expected,
            "{found}\nexpected:\n{expected}\nlog:\n{}",
            report.log
        );
    }
}

/// Seven backups one after another, the tree a little different each time.
fn alternate(lab: &Lab, source: &Path) -> (Vec<JobReport>, Vec<(JobId, String)>) {
    let (mut reports, mut expected) = (Vec::new(), Vec::new());
    for number in 0..7 {
        fs::write(source.join("number"), format!("this is backup {number}\n")).unwrap();
        let report = lab.job("Docs", "Full");
        expected.push((report.id, checksum(source)));
        reports.push(report);
    }
    (reports, expected)
}

#[test]
fn backups_that_alternate_between_storages_append_each_to_its_own_volume() {
    let mut plan = Plan::with_policy("RoundRobin");
    let source = plan.tree("Docs", 20);
    let mut lab = plan.start(SDGROUP);

    let (reports, expected) = alternate(&lab, &source);

    nothing_went_wrong(&lab, &reports);
    let volumes = lab.catalog().volumes();
    assert_eq!(volumes.len(), 3, "one volume a storage is enough: {volumes:?}");
    assert!(
        volumes
            .iter()
            .all(|volume| volume.status == "Append" && volume.jobs >= 2),
        "{volumes:?}"
    );
    let storages: BTreeSet<_> = reports.iter().map(JobReport::only_storage).collect();
    assert_eq!(storages.len(), 3, "{storages:?}");
    assert!(
        lab.sdgroup().metrics().sum("sdgroup_volumes_guarded_total", &[]) > 0.5,
        "the guard had nothing to do"
    );
    all_restore(&lab, &source, &expected);
}

#[test]
fn backups_at_the_same_time_with_small_volumes_keep_to_their_own_volumes() {
    let mut plan = Plan::with_policy("LeastUsed");
    plan.volume_size = Some(4_000_000);
    let source = plan.tree("Docs", 21);
    let lab = plan.start(SDGROUP);
    let expected = checksum(&source);

    let mut reports = Vec::new();
    for _round in 0..2 {
        let jobs: Vec<_> = (0..6).map(|_| lab.run_job("Docs", "Full")).collect();
        reports.extend(jobs.into_iter().map(|id| lab.wait(id)));
    }

    nothing_went_wrong(&lab, &reports);
    let mut per_storage = BTreeMap::<&str, u32>::new();
    for report in &reports {
        *per_storage.entry(report.only_storage()).or_default() += 1;
        assert!(!report.volumes.is_empty());
    }
    assert_eq!(per_storage.len(), 3, "{per_storage:?}");
    let expected: Vec<_> = reports.iter().map(|report| (report.id, expected.clone())).collect();
    all_restore(&lab, &source, &expected);
}

#[test]
fn storages_with_devices_and_media_types_of_their_own_are_translated() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.words = Words::Own;
    let source = plan.tree("Docs", 22);
    let lab = plan.start(SDGROUP);

    let (reports, expected) = alternate(&lab, &source);

    nothing_went_wrong(&lab, &reports);
    let storages: BTreeSet<_> = reports.iter().map(JobReport::only_storage).collect();
    assert_eq!(storages.len(), 3, "{storages:?}");
    let volumes = lab.catalog().volumes();
    assert!(
        volumes.iter().all(|volume| volume.media_type == "File"),
        "the Director's own word: {volumes:?}"
    );
    all_restore(&lab, &source, &expected);
}
