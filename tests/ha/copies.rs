//! Stored jobs on two storages, by the recipes, and what is left when the storage of the original is gone.

use crate::SDGROUP;
use crate::host::read;
use crate::lab::catalog::JobId;
use crate::lab::resources::{CLIENT, GROUP};
use crate::lab::tree::checksum;
use crate::lab::{Lab, Plan, wait};
use std::fs;
use std::path::Path;

/// Starts a lab whose Director has the recipe as well. `changes` are made in it; the Client's name is the lab's.
fn start(plan: Plan, recipe: &str, changes: &[(&str, &str)]) -> Lab {
    let mut lab = plan.start(SDGROUP);
    let file = lab.folder().join("dir/recipe.conf");
    let text = changes.iter().fold(read(recipe), |text, (from, to)| {
        assert!(text.contains(from), "no {from} in {recipe}");
        text.replace(from, to)
    });
    fs::write(&file, text.replace("= bacula-fd", &format!("= {CLIENT}"))).expect("the recipe");
    let conf = lab.folder().join("dir/bacula-dir.conf");
    let text = fs::read_to_string(&conf).expect("bacula-dir.conf");
    fs::write(conf, format!("{text}@{}\n", file.display())).expect("bacula-dir.conf");
    lab.director().restart();
    lab
}

/// The newest backup of the FileSet, as an operator asks for it.
fn must_restore_current(lab: &Lab, fileset: &str, source: &Path) {
    let folder = lab.folder().join(format!("current-{fileset}"));
    let before = lab.catalog().job_named("Restore");
    lab.console(&[&format!(
        "restore client={CLIENT} fileset={fileset} restorejob=Restore where={} select current all done yes",
        folder.display()
    )]);
    let job = lab.catalog().job_named("Restore").filter(|job| Some(*job) != before);
    lab.wait(job.expect("a restore")).must_be_ok();
    let inner = source.strip_prefix("/").expect("a full path");
    assert_eq!(checksum(&folder.join(inner)), checksum(source));
}

#[test]
fn a_copy_takes_the_place_of_an_original_whose_storage_is_gone() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.storages = 2;
    let source = plan.tree("Docs", 851);
    let mut lab = start(
        plan,
        "jobs/copies.conf",
        &[
            ("Name = Copies", "Name = SafeCopies"),
            ("Next Pool = Copies", "Next Pool = SafeCopies"),
        ],
    );
    let original = lab.job("Docs", "Full");
    assert_eq!(original.must_be_ok().only_storage(), "File4");

    lab.wait(lab.run_job("CopyFiles", "Full")).must_be_ok();
    let copy = copy_of(&lab, original.id);
    assert_eq!(lab.wait(copy).only_storage(), "File5");
    // Run again, it finds nothing to do.
    lab.wait(lab.run_job("CopyFiles", "Full"))
        .must_be_ok()
        .log_must_say("No JobIds found to copy");

    lab.storage("File4").kill();
    let in_vain = lab.wait(lab.start_restore(&[original.id], lab.folder()));
    in_vain
        .must_have_failed()
        .log_must_say("storage File4, the only one for this job");
    lab.must_restore(&[copy], &source, &checksum(&source));
    let printed = lab.console(&["list copies", &format!("delete jobid={} yes", original.id)]);
    assert!(printed.contains(&copy.to_string()), "{printed}");
    must_restore_current(&lab, "Docs", &source);
}

fn copy_of(lab: &Lab, original: JobId) -> JobId {
    lab.catalog().duplicate_of(original).expect("a copy")
}

#[test]
fn a_clone_is_there_at_once_and_stands_alone() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.storages = 2;
    plan.archive = 1;
    let source = plan.tree("Docs", 852);
    let home = source.display().to_string();
    let mut lab = start(plan, "jobs/clones.conf", &[("/home", &home)]);

    let both = |lab: &Lab, level| {
        let first = lab.job("Home", level);
        let clone = lab.catalog().job_named("HomeClone").expect("a clone");
        let clone = lab.wait(clone);
        assert_eq!(clone.must_be_ok().level, first.must_be_ok().level);
        assert_eq!((first.only_storage(), clone.only_storage()), ("File4", "File5"));
        clone
    };
    wait::until_files_are_older_than_a_backup();
    both(&lab, "Full");
    fs::write(source.join("new"), "since the full backup").expect("a new file");
    let clone = both(&lab, "Incremental");

    // Of its own full backup: it would be one itself, had it none.
    assert_eq!(clone.level, "I");
    assert!(clone.files < 10, "{} files", clone.files);
    lab.storage("File4").kill();
    must_restore_current(&lab, "HomeClone", &source);
    assert!(lab.console(&["list volumes"]).contains(GROUP));
}
