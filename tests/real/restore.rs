//! Reads find their volumes again, whatever happened in between.

use crate::SDGROUP;
use crate::lab::catalog::JobReport;
use crate::lab::tree::checksum;
use crate::lab::{Lab, Plan, Words, wait};
use std::fs;
use std::path::{Path, PathBuf};

/// A lab whose Docs were backed up on three different storages.
fn three_backups(words: Words) -> (Lab, PathBuf, Vec<JobReport>) {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.words = words;
    let source = plan.tree("Docs", 30);
    let lab = plan.start(SDGROUP);
    let jobs: Vec<_> = (0..3).map(|_| lab.run_job("Docs", "Full")).collect();
    let reports: Vec<_> = jobs.into_iter().map(|id| lab.wait(id)).collect();
    let mut storages: Vec<_> = reports
        .iter()
        .map(|report| report.must_be_ok().only_storage())
        .collect();
    storages.sort_unstable();
    assert_eq!(storages, ["File4", "File5", "File6"]);
    (lab, source, reports)
}

fn each_restores(lab: &Lab, source: &Path, reports: &[JobReport]) {
    let expected = checksum(source);
    for report in reports {
        lab.must_restore(&[report.id], source, &expected);
    }
}

#[test]
fn restores_succeed_after_sdgroup_was_killed_and_started_again() {
    let (mut lab, source, reports) = three_backups(Words::Shared);

    lab.sdgroup().kill();
    lab.sdgroup().start();

    each_restores(&lab, &source, &reports);
}

#[test]
fn restores_succeed_after_all_storages_were_restarted() {
    let (mut lab, source, reports) = three_backups(Words::Own);

    for storage in ["File4", "File5", "File6"] {
        lab.storage(storage).restart();
    }
    for storage in ["File4", "File5", "File6"] {
        lab.sdgroup().until_well(storage);
    }

    each_restores(&lab, &source, &reports);
}

#[test]
fn a_full_and_two_incrementals_restore_the_newest_state() {
    let mut plan = Plan::with_policy("ListedOrder");
    let source = plan.tree("Docs", 31);
    let lab = plan.start(SDGROUP);

    wait::until_files_are_older_than_a_backup();
    let full = lab.job("Docs", "Full");
    fs::write(source.join("added"), "after the full\n").unwrap();
    fs::write(source.join("docs/page-3.txt"), "changed after the full\n").unwrap();
    let first = lab.job("Docs", "Incremental");
    fs::write(source.join("added"), "changed after the first incremental\n").unwrap();
    let second = lab.job("Docs", "Incremental");

    assert_eq!(
        [&full, &first, &second].map(|report| report.level.as_str()),
        ["F", "I", "I"]
    );
    assert!(
        full.files > 20 && first.files < 10 && second.files < 10,
        "{first:?} {second:?}"
    );
    for report in [&full, &first, &second] {
        assert_eq!(report.must_be_ok().only_storage(), "File4");
    }
    lab.must_restore(&[full.id, first.id, second.id], &source, &checksum(&source));
}

#[test]
fn a_verify_job_reads_the_volume_from_the_storage_that_has_it() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.tree("Docs", 32);
    let lab = plan.start(SDGROUP);
    lab.job("Docs", "Full").must_be_ok();
    // The last backup is what Bacula verifies; the next placement would be on a third storage.
    lab.job("Docs", "Full").must_be_ok();

    let report = lab.job("Verify-Docs", "VolumeToCatalog");

    assert!(report.must_be_ok().files > 20, "{report:?}");
}

#[test]
fn a_volume_that_nobody_is_known_to_hold_is_refused_by_name_until_it_is_assigned() {
    let mut plan = Plan::with_policy("ListedOrder");
    let source = plan.tree("Docs", 33);
    let mut lab = plan.start(SDGROUP);
    let report = lab.job("Docs", "Full");
    let volume = report.must_be_ok().volumes[0].clone();
    lab.sdgroup().kill();
    let state = lab.folder().join("sdgroup/state");
    fs::remove_dir_all(&state).unwrap();
    fs::create_dir(&state).unwrap();
    lab.sdgroup().start();

    let (refused, _) = lab.restore(&[report.id], &source);
    refused.must_have_failed().log_must_say(&volume);

    let (status, printed) = lab.sdgroup().run(&["volumes", "assign", &volume, "File4"]);
    assert!(status.success(), "{printed}");
    let (status, printed) = lab.sdgroup().run(&["volumes", "list"]);
    assert!(
        status.success() && printed.contains(&volume) && printed.contains("File4"),
        "{printed}"
    );
    lab.must_restore(&[report.id], &source, &checksum(&source));
}

#[test]
fn volumes_of_before_sdgroup_came_are_taken_from_what_the_directors_console_prints() {
    let mut plan = Plan::with_policy("RoundRobin");
    let source = plan.tree("Docs", 34);
    let mut lab = plan.start(SDGROUP);
    let jobs: Vec<_> = ["File4", "File5", "File6"]
        .map(|storage| lab.run_directly("Docs", "Full", storage))
        .into();
    let reports: Vec<_> = jobs.into_iter().map(|id| lab.wait(id)).collect();
    let query = "SELECT VolumeName AS volume, Storage.Name AS storage FROM Media JOIN Storage USING (StorageId);";
    let table = lab.folder().join("table");
    fs::write(&table, lab.console(&["sqlquery", query, ""])).unwrap();

    let (status, printed) = lab.sdgroup().run(&["volumes", "import", table.to_str().unwrap()]);

    assert!(status.success(), "{printed}");
    // A Director of 9.6 cannot restore a volume through another Storage resource than the one its catalog has for it:
    // it sends an empty bootstrap (`dird/restore.c`). So the volumes are given to the group's in the catalog, too.
    let moved = "UPDATE Media SET StorageId = (SELECT StorageId FROM Storage WHERE Name = 'Files');";
    lab.console(&["sqlquery", moved, ""]);
    let expected = checksum(&source);
    for report in &reports {
        let restore = lab.must_restore(&[report.must_be_ok().id], &source, &expected);
        restore.log_must_say(&format!("Placed on {}", report.only_storage()));
    }
}
