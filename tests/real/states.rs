//! A storage that the operator seals while it works, and what is told of that.

use crate::SDGROUP;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};

fn sdgroup(lab: &mut Lab, words: &[&str]) -> String {
    let (status, printed) = lab.sdgroup().run(words);
    assert!(status.success(), "{words:?}: {printed}");
    printed
}

#[test]
fn a_storage_sealed_during_a_backup_finishes_it_serves_a_restore_and_gets_no_new_job() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.settings.group = "ShadowPolicy = \"RoundRobin\"\n".to_owned();
    let source = plan.tree("Docs", 160);
    let mut gate = plan.gate("Slow");
    let mut lab = plan.start(SDGROUP);
    let first = lab.job("Docs", "Full");
    assert_eq!(first.must_be_ok().only_storage(), "File4");
    let slow = lab.run_job("Slow", "Full");
    gate.feed(200_000, JOB_WITHIN);
    // The first job may keep its place for a moment after its end.
    let file4 = [("storage", "File4")];
    lab.sdgroup()
        .until_metric("sdgroup_storage_jobs", &file4, |jobs| jobs < 1.5);

    let printed = sdgroup(&mut lab, &["seal", "File4", "--reason", "new disks", "--by", "ann"]);
    assert!(
        printed.starts_with("File4 is sealed by ann (new disks) since "),
        "{printed}"
    );
    assert!(printed.ends_with("still on it: 1 job\n"), "{printed}");

    let printed = sdgroup(&mut lab, &["explain", "--job", "Docs", "--level", "Full"]);
    assert!(
        printed.starts_with("Job Docs, full, of Director lab-dir, Client lab-fd, FileSet Docs, in group Files\n"),
        "{printed}"
    );
    assert!(printed.contains("\nFile5 by ListedOrder\n"), "{printed}");
    assert!(printed.contains("sealed by ann (new disks)"), "{printed}");
    lab.must_restore(&[first.id], &source, &checksum(&source));
    let second = lab.job("Docs", "Full");
    assert_eq!(second.must_be_ok().only_storage(), "File5");
    second.log_must_say("sealed by ann (new disks)");
    let printed = sdgroup(&mut lab, &["jobs", "Slow"]);
    assert!(printed.contains(" File4 ") && printed.contains(" runs\n"), "{printed}");
    let printed = sdgroup(&mut lab, &["storages"]);
    assert!(printed.contains("File4 is sealed by ann (new disks)"), "{printed}");

    // It holds over a restart of sdgroup, which waits for the job.
    gate.open();
    assert_eq!(lab.wait(slow).must_be_ok().only_storage(), "File4");
    let printed = sdgroup(&mut lab, &["seal", "File4", "--reason", "new disks", "--wait"]);
    assert!(printed.ends_with("File4 is empty\n"), "{printed}");
    lab.sdgroup().restart();
    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File5");
    lab.must_restore(&[first.id], &source, &checksum(&source));

    sdgroup(&mut lab, &["ready", "File4"]);
    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File4");
    let printed = sdgroup(&mut lab, &["jobs"]);
    assert!(
        printed
            .lines()
            .any(|line| line.contains(" Docs ") && line.contains(" File4 ")),
        "{printed}"
    );
    // What it has seen is a history that can be played: the restores are no part of it.
    wait::until("the last job to be in the history", JOB_WITHIN, || {
        let printed = sdgroup(&mut lab, &["simulate", "--policy", "LeastUsed"]);
        printed
            .starts_with("5 jobs; 2 are left out, since what they read says where they go\n")
            .then_some(())
    });
    let metrics = lab.sdgroup().metrics();
    assert!(metrics.sum("sdgroup_shadow_choices_total", &[]) > 0.5, "{metrics:?}");
}
