//! Where jobs go when all is well.

use crate::SDGROUP;
use crate::lab::catalog::JobId;
use crate::lab::tree::Gate;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Jobs on each storage now, as Prometheus sees them.
fn loads(lab: &mut Lab) -> Vec<u32> {
    let metrics = lab.sdgroup().metrics();
    assert!(metrics.has("sdgroup_storage_jobs"));
    ["File4", "File5", "File6"]
        .into_iter()
        .map(|storage| {
            format!("{}", metrics.sum("sdgroup_storage_jobs", &[("storage", storage)]))
                .parse()
                .unwrap()
        })
        .collect()
}

/// Starts a job that lasts, waits until its data flows, and tells which storage has one job more.
fn start_slow(lab: &mut Lab, name: &str, gate: &mut Gate) -> (JobId, usize) {
    let before = loads(lab);
    let id = lab.run_job(name, "Full");
    gate.feed(200_000, JOB_WITHIN);
    let after = loads(lab);
    let grown: Vec<_> = (0..3).filter(|&index| after[index] > before[index]).collect();
    assert_eq!(grown.len(), 1, "{before:?} became {after:?}");
    (id, grown[0])
}

fn wait_for_loads(lab: &mut Lab, wanted: &[u32]) {
    wait::until("the slots to be as expected", SOON, || {
        (loads(lab) == wanted).then_some(())
    });
}

#[test]
fn round_robin_puts_two_of_six_backups_on_each_storage() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.tree("Docs", 10);
    let mut lab = plan.start(SDGROUP);

    let jobs: Vec<_> = (0..6).map(|_| lab.run_job("Docs", "Full")).collect();

    let mut storages: Vec<_> = jobs
        .into_iter()
        .map(|id| lab.wait(id).must_be_ok().only_storage().to_owned())
        .collect();
    storages.sort();
    assert_eq!(storages, ["File4", "File4", "File5", "File5", "File6", "File6"]);
    let metrics = lab.sdgroup().metrics();
    for storage in ["File4", "File5", "File6"] {
        let labels = [("group", "Files"), ("storage", storage), ("policy", "RoundRobin")];
        assert!(
            (metrics.sum("sdgroup_jobs_placed_total", &labels) - 2.0).abs() < 0.1,
            "{storage}: {metrics:?}"
        );
    }
    wait_for_loads(&mut lab, &[0, 0, 0]);
}

#[test]
fn the_job_log_says_where_the_job_was_placed() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.tree("Docs", 11);
    let lab = plan.start(SDGROUP);

    let report = lab.job("Docs", "Full");

    let storage = report.must_be_ok().only_storage();
    let told = report
        .log
        .lines()
        .any(|line| line.contains("sdgroup JobId") && line.contains(storage));
    assert!(told, "no line of sdgroup names {storage}:\n{}", report.log);
}

#[test]
fn least_used_gives_each_new_job_to_the_least_busy_storage() {
    let mut plan = Plan::with_policy("LeastUsed");
    plan.tree("Docs", 12);
    let mut gates: Vec<_> = ["Slow1", "Slow2", "Slow3", "Slow4", "Slow5"]
        .map(|name| plan.gate(name))
        .into();
    let mut lab = plan.start(SDGROUP);

    let (mut running, mut taken) = (Vec::new(), Vec::new());
    for (number, gate) in gates.iter_mut().take(3).enumerate() {
        let (id, storage) = start_slow(&mut lab, &format!("Slow{}", number + 1), gate);
        running.push(id);
        taken.push(storage);
    }
    assert_eq!(loads(&mut lab), [1, 1, 1], "one each");

    // The second ends first: its storage is now the least busy, for a short job and for a long one.
    gates.remove(1).open();
    lab.wait(running.remove(1)).must_be_ok();
    let idle = taken[1];
    let mut expected = [1, 1, 1];
    expected[idle] = 0;
    wait_for_loads(&mut lab, &expected);
    assert_eq!(
        lab.job("Docs", "Full").must_be_ok().only_storage(),
        format!("File{}", idle + 4)
    );
    // A place is free when both the job's connections are over, which may be after its end.
    wait_for_loads(&mut lab, &expected);
    let (fourth, again) = start_slow(&mut lab, "Slow4", &mut gates[2]);
    assert_eq!(again, idle, "the long job goes to the idle storage");
    assert_eq!(loads(&mut lab), [1, 1, 1]);

    // One storage with two jobs is passed over even when another has just become idle.
    let (fifth, twice) = start_slow(&mut lab, "Slow5", &mut gates[3]);
    let mut expected = [1, 1, 1];
    expected[twice] = 2;
    assert_eq!(loads(&mut lab), expected);
    assert_ne!(
        lab.job("Docs", "Full").must_be_ok().only_storage(),
        format!("File{}", twice + 4)
    );

    drop(gates);
    for id in running.into_iter().chain([fourth, fifth]) {
        lab.wait(id).must_be_ok();
    }
    wait_for_loads(&mut lab, &[0, 0, 0]);
}

#[test]
fn the_jobs_of_two_directors_are_counted_together() {
    let mut plan = Plan::with_policy("LeastUsed");
    plan.has_second_director = true;
    let mut gates: Vec<_> = ["Slow1", "Slow2", "Slow3", "Slow4"].map(|name| plan.gate(name)).into();
    let mut lab = plan.start(SDGROUP);

    let (first, at_first) = start_slow(&mut lab, "Slow1", &mut gates[0]);
    lab.change_director();
    let (second, _) = start_slow(&mut lab, "Slow2", &mut gates[1]);
    lab.change_director();
    let (third, _) = start_slow(&mut lab, "Slow3", &mut gates[2]);
    assert_eq!(loads(&mut lab), [1, 1, 1], "one each, whoever runs it");

    // A job of the one Director ends: that storage is the least used for the other, too.
    gates.remove(0).open();
    lab.wait(first).must_be_ok();
    let mut expected = [1, 1, 1];
    expected[at_first] = 0;
    wait_for_loads(&mut lab, &expected);
    lab.change_director();
    let (fourth, again) = start_slow(&mut lab, "Slow4", &mut gates[2]);
    assert_eq!(again, at_first);

    drop(gates);
    for id in [second, fourth] {
        lab.wait(id).must_be_ok();
    }
    lab.change_director();
    lab.wait(third).must_be_ok();
    wait_for_loads(&mut lab, &[0, 0, 0]);
}

#[test]
fn listed_order_fills_the_first_storage_before_it_uses_the_second() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.settings.maximum_concurrent_jobs = 2;
    plan.tree("Docs", 13);
    let mut gates: Vec<_> = ["Slow1", "Slow2"].map(|name| plan.gate(name)).into();
    let mut lab = plan.start(SDGROUP);

    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File4");
    wait_for_loads(&mut lab, &[0, 0, 0]);
    let (first, at) = start_slow(&mut lab, "Slow1", &mut gates[0]);
    assert_eq!(at, 0);
    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File4");
    wait_for_loads(&mut lab, &[1, 0, 0]);
    let (second, at) = start_slow(&mut lab, "Slow2", &mut gates[1]);
    assert_eq!(at, 0);

    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File5");

    drop(gates);
    for id in [first, second] {
        assert_eq!(lab.wait(id).must_be_ok().only_storage(), "File4");
    }
    wait_for_loads(&mut lab, &[0, 0, 0]);
    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File4");
}

#[test]
fn a_job_waits_while_all_storages_are_full_and_gets_the_first_free_slot() {
    let mut plan = Plan::with_policy("LeastUsed");
    plan.settings.maximum_concurrent_jobs = 1;
    plan.tree("Docs", 14);
    let names = ["Slow1", "Slow2", "Slow3"];
    let mut gates: Vec<_> = names.map(|name| plan.gate(name)).into();
    let mut lab = plan.start(SDGROUP);
    let mut running: Vec<_> = names
        .iter()
        .zip(&mut gates)
        .map(|(name, gate)| start_slow(&mut lab, name, gate))
        .collect();

    let waiting = lab.run_job("Docs", "Full");
    let queued = |lab: &mut Lab| {
        lab.sdgroup()
            .metrics()
            .sum("sdgroup_group_queued_jobs", &[("group", "Files")])
    };
    wait::until("the job to be queued", SOON, || (queued(&mut lab) > 0.5).then_some(()));
    assert_eq!(lab.catalog().job(waiting).map(|job| job.files), Some(0));
    gates.remove(1).open();
    let (ended, storage) = running.remove(1);
    lab.wait(ended).must_be_ok();

    let report = lab.wait(waiting);
    assert_eq!(report.must_be_ok().only_storage(), format!("File{}", storage + 4));
    assert!(queued(&mut lab) < 0.5);
    drop(gates);
    for (id, _) in running {
        lab.wait(id).must_be_ok();
    }
}
