//! Handovers while real jobs run.

use crate::SDGROUP;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use std::path::PathBuf;

const JOBS: usize = 10;
const HANDOVERS: usize = 5;

fn has(lab: &mut Lab, name: &str) -> f64 {
    let metrics = lab.sdgroup().metrics();
    assert!(metrics.has(name), "{name}");
    metrics.sum(name, &[])
}

#[test]
fn five_handovers_in_a_row_in_the_middle_of_ten_jobs_lose_none() {
    let mut plan = Plan::with_policy("LeastUsed");
    plan.jobs_per_device = 4;
    // Each job lasts longer than the handovers.
    plan.tls.client = vec![("Maximum Bandwidth Per Job", "400 kb/s".to_owned())];
    let names: Vec<String> = (0..JOBS).map(|number| format!("Long{number}")).collect();
    let sources: Vec<PathBuf> = (120..)
        .zip(&names)
        .map(|(seed, name)| plan.large(name, seed, 6_000_000))
        .collect();
    let docs = plan.tree("Docs", 140);
    // This one lasts however long the handovers take.
    let mut gate = plan.gate("Slow");
    let mut lab = plan.start(SDGROUP);
    let slow = lab.run_job("Slow", "Full");
    gate.feed(300_000, JOB_WITHIN);
    let ids: Vec<_> = names.iter().map(|name| lab.run_job(name, "Full")).collect();
    let mut between = Vec::new();
    for handover in 1..=HANDOVERS {
        // One is on its way in while the next process takes over.
        between.push(lab.run_job("Docs", "Full"));
        lab.sdgroup().hand_over();
        // The new process serves a moment before it counts what has been done.
        wait::until(
            &format!("handover {handover} to be counted by a new process"),
            JOB_WITHIN,
            || {
                let done = has(&mut lab, "sdgroup_handovers_total");
                ((done - 1.0).abs() < 0.1).then_some(())
            },
        );
    }
    lab.sdgroup()
        .until_metric("sdgroup_predecessor_jobs", &[], |jobs| jobs > 0.5);
    gate.open();
    lab.wait(slow).must_be_ok();
    let mut begun = Vec::new();
    for (id, source) in ids.into_iter().zip(&sources) {
        lab.wait(id).must_be_ok();
        let folder = lab.folder().join(format!("restored-{id}"));
        begun.push((lab.start_restore(&[id], &folder), folder, source));
    }
    for (id, folder, source) in begun {
        lab.wait(id).must_be_ok();
        let restored = folder.join(source.strip_prefix("/").unwrap());
        assert_eq!(checksum(&restored), checksum(source));
    }
    for id in between {
        let report = lab.wait(id);
        report.must_be_ok();
        lab.must_restore(&[report.id], &docs, &checksum(&docs));
    }
    lab.sdgroup().wait_for_predecessors();
}

#[test]
fn a_job_of_a_predecessor_is_canceled_at_its_successor() {
    let mut plan = Plan::with_policy("ListedOrder");
    let mut gate = plan.gate("Slow");
    let mut lab = plan.start(SDGROUP);
    let id = lab.run_job("Slow", "Full");
    gate.feed(300_000, JOB_WITHIN);
    lab.sdgroup().hand_over();
    let (_, jobs) = lab.sdgroup().run(&["jobs"]);
    let (heading, job) = jobs.split_once('\n').unwrap();
    let number = job.split_whitespace().last().unwrap();
    assert!(heading.ends_with("process") && job.contains("Slow"), "{jobs}");
    assert!(number.parse::<u32>().is_ok(), "{jobs}");
    let said = lab.console(&[&format!("cancel jobid={id} yes")]);
    assert!(said.contains("canceled"), "{said}");
    gate.trickle();
    gate.open();
    let report = lab.wait(id);
    assert_eq!(report.status, 'A', "{}", report.log);
    lab.sdgroup().wait_for_predecessors();
    assert!(has(&mut lab, "sdgroup_storage_jobs") < 0.5);
}
