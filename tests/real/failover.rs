//! A storage fails before a job, between its announcement and its run, and in its middle.

use crate::SDGROUP;
use crate::lab::catalog::{JobId, JobReport};
use crate::lab::daemon::Daemon;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use std::time::{Duration, Instant};

/// A job whose storage is dead is over in the Director within this; without sdgroup it is thirty minutes.
const OVER_WITHIN: Duration = Duration::from_secs(10);
/// A deadline of sdgroup's that no test waits for.
const LONG: &str = "1 minute";
/// What a failed storage may cost a job beside the deadlines that it waits for.
const NEXT_TO_NOTHING: Duration = Duration::from_secs(1);
/// What a Client of 9.6 adds once its data connection has broken: it waits ten seconds for a thread to start that
/// has come to its end before it (Bacula `src/filed/heartbeat.c`). Clients of 13 and 15 do not.
const CLIENTS_OWN: Duration = Duration::from_secs(10);

fn storage_metric(lab: &mut Lab, name: &str, storage: &str) -> f64 {
    let metrics = lab.sdgroup().metrics();
    assert!(metrics.has(name), "{name}");
    metrics.sum(name, &[("storage", storage)])
}

/// A group in which only what jobs meet tells that a storage is bad, and an ejected one stays out.
fn plan() -> Plan {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.settings = plan.settings.clone().without_probes();
    plan.settings.ejection_time = "1 minute";
    plan
}

/// How long jobs were until a storage had them, all together.
fn waited(lab: &mut Lab) -> f64 {
    lab.sdgroup().metrics().sum("sdgroup_job_wait_seconds_sum", &[])
}

/// A job goes on to File5 when `fails` has happened to File4.
fn placed_elsewhere_within(lab: &mut Lab, allowed: Duration, fails: impl FnOnce(&mut Daemon)) {
    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File4");
    let before = waited(lab);
    fails(lab.storage("File4"));

    let report = lab.job("Docs", "Full");
    assert_eq!(report.must_be_ok().only_storage(), "File5");
    let wait = waited(lab) - before;
    assert!(
        wait > 0.0 && wait < allowed.as_secs_f64(),
        "{wait} s; the job's log:\n{}",
        report.log
    );
    assert!(storage_metric(lab, "sdgroup_job_failovers_total", "File4") > 0.5);
    report.log_must_say("File4");

    // What is known now costs the next job nothing: nobody asks File4.
    let before = waited(lab);
    let report = lab.job("Docs", "Full");
    assert_eq!(report.must_be_ok().only_storage(), "File5");
    let wait = waited(lab) - before;
    assert!(wait < NEXT_TO_NOTHING.as_secs_f64(), "{wait} s");
    let failovers = storage_metric(lab, "sdgroup_job_failovers_total", "File4");
    assert!(failovers < 1.5, "{failovers}; the job's log:\n{}", report.log);
}

#[test]
fn a_storage_that_was_killed_before_a_job_delays_it_by_less_than_a_second() {
    let mut plan = plan();
    (plan.settings.connect_timeout, plan.settings.login_timeout) = (LONG, LONG);
    plan.tree("Docs", 50);
    let mut lab = plan.start(SDGROUP);

    placed_elsewhere_within(&mut lab, NEXT_TO_NOTHING, |file4| {
        file4.kill();
    });
}

#[test]
fn a_storage_that_is_frozen_before_a_job_delays_it_by_no_more_than_the_login_deadline() {
    let mut plan = plan();
    plan.settings.login_timeout = "2 seconds";
    plan.tree("Docs", 51);
    let mut lab = plan.start(SDGROUP);

    placed_elsewhere_within(&mut lab, Duration::from_secs(2) + NEXT_TO_NOTHING, |file4| {
        file4.freeze();
    });
}

#[test]
fn probes_close_the_door_of_a_dead_storage_and_open_it_again() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.tree("Docs", 52);
    let mut lab = plan.start(SDGROUP);
    let up = |lab: &mut Lab, wanted: f64| {
        let file4 = [("storage", "File4")];
        lab.sdgroup()
            .until_metric("sdgroup_storage_up", &file4, |up| (up - wanted).abs() < 0.1);
    };
    up(&mut lab, 1.0);

    lab.storage("File4").kill();
    up(&mut lab, 0.0);
    let report = lab.job("Docs", "Full");
    assert_eq!(report.must_be_ok().only_storage(), "File5");
    assert!(storage_metric(&mut lab, "sdgroup_storage_up", "File5") > 0.5);
    let failovers = lab.sdgroup().metrics().sum("sdgroup_job_failovers_total", &[]);
    assert!(failovers < 0.5, "the job did not have to try it: {failovers}");

    lab.storage("File4").start();
    up(&mut lab, 1.0);
    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File4");
}

/// Waits for the job's failure while its pipe is kept from running dry, and returns how long it took.
fn over_after(lab: &Lab, id: JobId, begun: Instant, mut meanwhile: impl FnMut()) -> (JobReport, Duration) {
    let report = wait::until(&format!("the end of job {id}"), JOB_WITHIN, || {
        meanwhile();
        lab.catalog().ended_job(id)
    });
    wait::until("the Director to forget the job", JOB_WITHIN, || {
        (!lab.is_running(id)).then_some(())
    });
    (report, begun.elapsed())
}

#[test]
fn a_storage_that_is_killed_in_the_middle_of_a_backup_ends_the_job_soon() {
    let mut plan = plan();
    plan.tree("Docs", 53);
    let mut gate = plan.gate("Slow");
    let mut lab = plan.start(SDGROUP);
    let id = lab.run_job("Slow", "Full");
    gate.feed(3_000_000, JOB_WITHIN);
    assert!(storage_metric(&mut lab, "sdgroup_storage_jobs", "File4") > 0.5);

    lab.storage("File4").kill();
    let begun = Instant::now();
    lab.wait_for_log(id, "Storage File4: connection lost", OVER_WITHIN / 4);
    // It is ejected before the Director hears of it.
    assert!(storage_metric(&mut lab, "sdgroup_storage_ejected", "File4") > 0.5);
    let (report, time) = over_after(&lab, id, begun, || gate.trickle());

    report.must_have_failed();
    assert!(
        time < OVER_WITHIN + CLIENTS_OWN,
        "{time:?}; the job's log:\n{}",
        report.log
    );
    // The place is free again.
    lab.sdgroup()
        .until_metric("sdgroup_storage_jobs", &[("storage", "File4")], |jobs| jobs < 0.5);
    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File5");
    lab.sdgroup()
        .until_metric("sdgroup_sessions", &[("kind", "client")], |sessions| sessions < 0.5);
}

#[test]
fn the_job_log_says_why_when_all_storages_are_dead() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.settings.down_wait = "3 seconds";
    plan.tree("Docs", 55);
    let mut lab = plan.start(SDGROUP);
    for storage in ["File4", "File5", "File6"] {
        lab.storage(storage).kill();
    }

    let begun = Instant::now();
    let report = lab.job("Docs", "Full");

    let time = begun.elapsed();
    report.must_have_failed();
    for text in [
        "no storage of group Files can take the job",
        "File4",
        "File5",
        "File6",
        "refused",
    ] {
        report.log_must_say(text);
    }
    // Three seconds are `DownWait`, two the Director's own; `BusyWait` is two minutes.
    assert!(
        time < Duration::from_secs(3 + 2 + 8) + crate::DIRECTORS_OWN,
        "{time:?}; the job's log:\n{}",
        report.log
    );
    let metrics = lab.sdgroup().metrics();
    assert!(
        metrics.sum("sdgroup_jobs_refused_total", &[("group", "Files")]) > 0.5,
        "{metrics:?}"
    );

    lab.bring_back("File5");
    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File5");
}

#[test]
fn a_job_that_waits_for_a_dead_group_runs_when_a_storage_comes_back() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.settings.down_wait = "1 minute";
    plan.tree("Docs", 56);
    let mut lab = plan.start(SDGROUP);
    for storage in ["File4", "File5", "File6"] {
        lab.storage(storage).kill();
    }

    let id = lab.run_job("Docs", "Full");
    lab.sdgroup()
        .until_metric("sdgroup_group_queued_jobs", &[("group", "Files")], |queued| {
            queued > 0.5
        });
    lab.storage("File6").start();

    assert_eq!(lab.wait(id).must_be_ok().only_storage(), "File6");
}
