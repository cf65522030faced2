//! A job's later runs stay with its last full, as the configuration wants it.

use crate::SDGROUP;
use crate::lab::catalog::JobId;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use std::fs;
use std::path::Path;

/// One more file to back up.
fn change(source: &Path, number: u32) {
    fs::write(source.join(format!("new-{number}")), number.to_le_bytes()).expect("a new file");
}

fn storage_of(lab: &Lab, id: JobId) -> String {
    lab.wait(id).must_be_ok().only_storage().to_owned()
}

#[test]
fn later_runs_stay_with_the_full_and_leave_a_storage_that_is_down_or_wait_for_it() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.settings.down_wait = "2 minutes";
    plan.settings.group = "Locality = \"prefer\"\n[[Group.Rule]]\nJob = \"Stays\"\nLocality = \"require\"\n".to_owned();
    let sources = ["Docs", "Stays"].map(|name| (name, plan.tree(name, 150)));
    let mut lab = plan.start(SDGROUP);
    let run_both = |lab: &Lab, level: &str, number: u32| {
        for (_, source) in &sources {
            change(source, number);
        }
        ["Docs", "Stays"].map(|name| lab.run_job(name, level))
    };

    let fulls = run_both(&lab, "Full", 0);
    let homes = fulls.map(|id| storage_of(&lab, id));
    assert_ne!(homes[0], homes[1], "the policy places fulls");
    // Where the fulls are is known after a restart, too.
    lab.sdgroup().restart();
    for (level, number) in [("Incremental", 1), ("Differential", 2)] {
        let runs = run_both(&lab, level, number);
        assert_eq!(runs.map(|id| storage_of(&lab, id)), homes, "{level}");
    }

    // The homes of both go down. One job leaves for another storage, the other waits until its own is back.
    for home in &homes {
        lab.storage(home).kill();
    }
    let [leaves, stays] = run_both(&lab, "Incremental", 3);
    let elsewhere = storage_of(&lab, leaves);
    assert!(!homes.contains(&elsewhere), "{elsewhere}");
    let waits = format!("is not {}, which has the last full", homes[1]);
    lab.wait_for_log(stays, &waits, JOB_WITHIN);
    lab.storage(&homes[1]).start();
    assert_eq!(storage_of(&lab, stays), homes[1]);

    // What left is not brought along: the full is still where it was, and its home is back for the next run.
    lab.storage(&homes[0]).start();
    wait::until("the home to be up", JOB_WITHIN, || {
        let (_, printed) = lab
            .sdgroup()
            .run(&["explain", "--job", "Docs", "--level", "Incremental"]);
        printed.contains(&format!("{} by RoundRobin", homes[0])).then_some(())
    });
    let (name, source) = &sources[0];
    change(source, 4);
    let last = lab.run_job(name, "Incremental");
    assert_eq!(storage_of(&lab, last), homes[0]);
}
