//! Restores of what is on several storages: one job, one Client's session.

use crate::SDGROUP;
use crate::lab::catalog::JobReport;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan, Words, wait};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A full on File4, an incremental on File5, and another on File4 again.
fn full_and_two_incrementals(words: Words) -> (Lab, PathBuf, Vec<JobReport>) {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.storages = 2;
    plan.words = words;
    let source = plan.tree("Docs", 120);
    let lab = plan.start(SDGROUP);
    let mut reports = vec![lab.job("Docs", "Full")];
    fs::write(source.join("added"), "after the full\n").unwrap();
    fs::write(source.join("docs/page-3.txt"), "changed after the full\n").unwrap();
    reports.push(lab.job("Docs", "Incremental"));
    fs::write(source.join("added"), "changed after the first incremental\n").unwrap();
    fs::remove_file(source.join("empty")).unwrap();
    reports.push(lab.job("Docs", "Incremental"));
    let homes: Vec<_> = reports
        .iter()
        .map(|report| report.must_be_ok().only_storage().to_owned())
        .collect();
    assert_eq!(homes, ["File4", "File5", "File4"]);
    (lab, source, reports)
}

/// The value of a line of the Director's report, as it prints it.
fn figure<'a>(report: &'a JobReport, name: &str) -> &'a str {
    let line = report.log.lines().find_map(|line| line.trim().strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name:?} in\n{}", report.log)).trim()
}

fn restores_the_newest_state(words: Words) {
    let (lab, source, reports) = full_and_two_incrementals(words);
    // Bacula does not take away again what the full had and an incremental has not.
    fs::write(source.join("empty"), "").unwrap();
    let jobs: Vec<_> = reports.iter().map(|report| report.id).collect();

    let report = lab.must_restore(&jobs, &source, &checksum(&source));

    let (expected, restored) = (figure(&report, "Files Expected:"), figure(&report, "Files Restored:"));
    assert_eq!(expected, restored, "{}", report.log);
    assert_eq!(figure(&report, "FD Errors:"), "0");
    for (storage, times) in [("File4", 2), ("File5", 1)] {
        let placed = format!("Placed on {storage}");
        assert_eq!(report.log.matches(&placed).count(), times, "{}", report.log);
    }
    assert_eq!(report.files, restored.replace(',', "").parse::<u64>().unwrap());
}

#[test]
fn a_full_and_incrementals_on_two_storages_are_restored_by_one_job() {
    restores_the_newest_state(Words::Shared);
}

#[test]
fn storages_with_words_of_their_own_are_read_in_turn_as_well() {
    restores_the_newest_state(Words::Own);
}

#[test]
fn with_one_of_the_storages_down_nothing_is_restored_and_volume_and_storage_are_named() {
    let (mut lab, source, reports) = full_and_two_incrementals(Words::Shared);
    let volume = reports[1].volumes[0].clone();
    lab.storage("File5").kill();
    let jobs: Vec<_> = reports.iter().map(|report| report.id).collect();
    let begun = Instant::now();

    let (report, restored) = lab.restore(&jobs, &source);

    report.must_have_failed().log_must_say(&format!(
        "volume \"{volume}\" is on storage File5, which cannot be read from now"
    ));
    assert!(
        begun.elapsed() < Duration::from_secs(10) + crate::DIRECTORS_OWN,
        "{:?}",
        begun.elapsed()
    );
    assert!(!restored.exists(), "{}", restored.display());

    lab.bring_back("File5");
    fs::write(source.join("empty"), "").unwrap();
    lab.must_restore(&jobs, &source, &checksum(&source));
}

#[test]
fn a_restore_from_several_storages_is_canceled_in_its_middle() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.storages = 2;
    let source = plan.large("Large", 121, 400_000_000);
    let mut lab = plan.start(SDGROUP);
    let full = lab.job("Large", "Full");
    assert_eq!(full.must_be_ok().only_storage(), "File4");
    fs::write(source.join("added"), "after the full\n").unwrap();
    let second = lab.job("Large", "Incremental");
    assert_eq!(second.must_be_ok().only_storage(), "File5");

    let restored = lab.folder().join("restored");
    let restore = lab.start_restore(&[full.id, second.id], &restored);
    let large = restored.join(source.strip_prefix("/").unwrap()).join("large.bin");
    wait::until("the first storage to read", JOB_WITHIN, || large.exists().then_some(()));
    // The cancel is to find it reading, however fast the machine is.
    lab.storage("File4").freeze();
    lab.console(&[&format!("cancel jobid={restore} yes")]);
    lab.storage("File4").thaw();

    let report = lab.wait(restore);
    assert_eq!(report.status, 'A', "{}", report.log);
    assert!(!report.log.contains("Placed on File5"), "{}", report.log);
    // Nothing is left behind: the same can be restored.
    lab.sdgroup().until_well("File4");
    lab.must_restore(&[full.id, second.id], &source, &checksum(&source));
}
