//! Small histories whose outcome can be worked out by hand.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::config::model::{Model, PolicyName};
use crate::config::{self, MachineSecrets};
use crate::types::GroupName;

/// Three storages with two places each; `more` are further lines of the group.
fn model(more: &str) -> Model {
    let mut text = String::from("[[Listen]]\nGroup = \"Files\"\n[[Director]]\nName = \"dir\"\nPassword = \"x\"\n");
    for name in ["File4", "File5", "File6"] {
        text += "[[Storage]]\nPassword = \"x\"\nMaximumConcurrentJobs = 2\n";
        let _ = writeln!(text, "Name = \"{name}\"\nAddress = \"{name}.example\"");
    }
    text.push_str("[[Group]]\nName = \"Files\"\nStorages = [\"File4\", \"File5\", \"File6\"]\n");
    text.push_str(more);
    let loaded = config::compile(&text, Path::new("test.toml"), &MachineSecrets::new());
    loaded.unwrap_or_else(|problems| panic!("{problems:#?}")).model
}

fn jobs(table: &str) -> Vec<Job> {
    read(format!("start,job,level,bytes\n{table}").as_bytes()).unwrap().jobs
}

fn play(more: &str, policy: PolicyName, table: &str, hardware: &str) -> Outcome {
    let hardware = Hardware::parse(hardware).unwrap();
    let group = GroupName::new("Files").unwrap();
    run(&model(more), &group, policy, &jobs(table), &hardware, 1, "test").unwrap()
}

fn on(outcome: &Outcome) -> Vec<usize> {
    outcome.storages.iter().map(|share| share.jobs).collect()
}

/// A MB a second.
const SLOW: &str = "[Default]\nSpeed = \"1 MB\"\n";

#[test]
fn jobs_wait_for_a_place_and_share_their_storage() {
    // Seven jobs of 10 s at once, six places: two on a storage take 20 s, and the seventh begins then.
    let table = "100,A,F,10000000\n".repeat(7);
    let outcome = play("", PolicyName::LeastUsed, &table, SLOW);
    assert_eq!(
        (outcome.jobs, outcome.ended, outcome.failed, outcome.refused),
        (7, 7, 0, 0)
    );
    assert!((outcome.makespan_seconds - 30.0).abs() < 1e-6, "{outcome:?}");
    assert!((outcome.waits.longest_seconds - 20.0).abs() < 1e-6, "{outcome:?}");
    assert!(
        (outcome.lasts.mean_seconds - (6.0 * 20.0 + 30.0) / 7.0).abs() < 1e-6,
        "{outcome:?}"
    );
    let mut counts = on(&outcome);
    counts.sort_unstable();
    assert_eq!(counts, [2, 2, 3]);
}

#[test]
fn one_policy_is_not_another() {
    let table = "0,A,F,1000000\n100,A,I,1000\n200,A,I,1000\n300,A,I,1000\n400,A,F,1000\n";
    assert_eq!(on(&play("", PolicyName::ListedOrder, table, SLOW)), [5, 0, 0]);
    let spread = play("", PolicyName::RoundRobin, table, SLOW);
    assert_eq!(on(&spread), [2, 2, 1]);
    assert!(
        (spread.scattered - 3.0 / 5.0).abs() < 1e-9,
        "three incrementals away from their full: {spread:?}"
    );
    let local = play("Locality = \"prefer\"\n", PolicyName::RoundRobin, table, SLOW);
    assert!(local.scattered.abs() < 1e-9 && on(&local) == [4, 1, 0], "{local:?}");
}

#[test]
fn a_storage_that_fails_loses_its_jobs_and_gets_none_until_it_is_back() {
    let hardware = format!("{SLOW}[[Failure]]\nStorage = \"File4\"\nAt = \"5 seconds\"\nFor = \"10 minutes\"\n");
    let table = "0,A,F,10000000\n10,B,F,1000000\n100,C,F,1000000\n1000,D,F,1000000\n";
    let outcome = play("", PolicyName::ListedOrder, table, &hardware);
    assert_eq!((outcome.failed, outcome.ended), (1, 3));
    assert_eq!(
        on(&outcome),
        [1, 2, 0],
        "the second fails over, the third finds it down, the fourth finds it back"
    );
}

#[test]
fn a_slow_storage_takes_longer() {
    let hardware =
        format!("{SLOW}[[Failure]]\nStorage = \"File4\"\nAt = \"5 seconds\"\nFor = \"1 hour\"\nSpeed = \"500 kB\"\n");
    let outcome = play("", PolicyName::ListedOrder, "0,A,F,10000000\n", &hardware);
    assert!((outcome.makespan_seconds - 15.0).abs() < 1e-6, "{outcome:?}");
}

#[test]
fn a_full_storage_breaks_jobs_off_unless_it_is_known_that_they_do_not_fit() {
    let hardware = format!("{SLOW}[[Storage]]\nName = \"File4\"\nSize = \"15 MB\"\n");
    let table = "0,A,F,10000000\n100,A,F,10000000\n200,A,F,10000000\n";
    let blind = play("RoomForJob = \"ignore\"\n", PolicyName::ListedOrder, table, &hardware);
    assert_eq!((blind.failed, blind.failed_full), (2, 2));
    let seeing = play("RoomForJob = \"prefer\"\n", PolicyName::ListedOrder, table, &hardware);
    assert_eq!(
        (seeing.failed, on(&seeing)),
        (0, vec![1, 2, 0]),
        "the first has no history"
    );
    let kept = format!("{hardware}Retention = \"50 seconds\"\n");
    let blind = play("RoomForJob = \"ignore\"\n", PolicyName::ListedOrder, table, &kept);
    assert_eq!(
        (blind.failed, on(&blind)),
        (0, vec![3, 0, 0]),
        "what has expired makes room"
    );
}

#[test]
fn what_a_job_wrote_before_it_broke_off_expires_too() {
    let hardware = format!("{SLOW}Retention = \"50 seconds\"\nSize = \"15 MB\"\n");
    let table = "0,A,F,20000000\n100,B,F,10000000\n";
    let outcome = play("", PolicyName::ListedOrder, table, &hardware);
    assert_eq!(
        (outcome.failed_full, outcome.ended, on(&outcome)),
        (1, 1, vec![1, 0, 0])
    );
}

#[test]
fn a_job_that_waits_too_long_is_refused() {
    let table = "0,A,F,1000000000\n".repeat(7);
    let outcome = play("BusyWait = \"10 seconds\"\n", PolicyName::LeastUsed, &table, SLOW);
    assert_eq!((outcome.ended, outcome.refused), (6, 1));
}

#[test]
fn the_same_seed_gives_the_same_outcome() {
    let recipe = Recipe {
        clients: 30,
        days: 10,
        ..Recipe::default()
    };
    let jobs = generate(&recipe).unwrap();
    let (group, hardware) = (GroupName::new("Files").unwrap(), Hardware::default());
    for policy in PolicyName::ALL {
        let play = |seed| run(&model(""), &group, *policy, &jobs, &hardware, seed, "").unwrap();
        let outcome = play(7);
        assert_eq!(outcome, play(7), "{policy}");
        assert_eq!(
            outcome.ended + outcome.failed + outcome.refused,
            jobs.len(),
            "{policy}: no job is lost"
        );
        let bytes: f64 = outcome.storages.iter().map(|share| share.bytes).sum();
        assert!(bytes > 0.0, "{policy}");
    }
}
