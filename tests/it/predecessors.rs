//! What an operator sees of the jobs that a predecessor runs, and does with them.

use serde_json::Value;

use sdgroup::types::JobStatus;

use crate::harness::apart::{Apart, assert_clean};
use crate::harness::binary::Binary;
use crate::harness::running::Running;
use crate::harness::site::Plot;
use crate::harness::wait::soon;

fn listed(binary: &Binary, words: &[&str]) -> Value {
    let listed = binary.command(words).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_str(&listed).expect("JSON")
}

/// The one of `listed` that is of this job, and not a data connection.
fn of_job<'a>(listed: &'a Value, job: &str) -> &'a Value {
    let mut all = listed.as_array().expect("a list").iter();
    let found = all.find(|one| one["job"] == job && one["kind"] != "client");
    found.unwrap_or_else(|| panic!("no {job} in {listed}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_predecessors_jobs_are_listed_with_its_number_and_can_be_ended() {
    let Apart {
        storages,
        mut binary,
        director,
    } = Apart::start(Plot::listed()).await;
    let earlier = Running::start(&director, "Earlier").await;
    let table = binary.command(&["jobs"]).unwrap();
    assert!(!table.contains("process"), "{table}");
    let status = binary.command(&["handover", "--status"]).unwrap();
    let first = status.strip_prefix("process ").and_then(|rest| rest.split(',').next());
    let first = first.expect("its number").to_owned();
    let [own] = listed(&binary, &["sessions", "--json"])
        .as_array()
        .unwrap()
        .iter()
        .filter(|session| session["kind"] == "director")
        .map(|session| session["number"].to_string())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();

    binary.hand_over();
    binary.until_metric("sdgroup_predecessor_jobs", "1").await;
    let later = Running::start(&director, "Later").await;
    let jobs = listed(&binary, &["jobs", "--json"]);
    let running = &jobs["running"];
    let (one, other) = (
        of_job(running, earlier.name.as_str()),
        of_job(running, later.name.as_str()),
    );
    assert_eq!(
        (&one["process"].to_string(), &one["storage"]),
        (&first, &Value::from("File4"))
    );
    assert!(
        one["to_storage_bytes"].as_u64() > Some(0) && one["placed"].is_string(),
        "{one}"
    );
    assert_eq!(other.get("process"), None, "{other}");
    let table = binary.command(&["jobs"]).unwrap();
    let mut rows = table.lines();
    assert!(rows.next().unwrap().ends_with("process"), "{table}");
    assert!(
        rows.any(|row| row.contains("Earlier") && row.ends_with(&first)),
        "{table}"
    );
    let told = binary.command(&["jobs", "Earlier"]).unwrap();
    assert!(told.contains(&format!("process {first} runs it")), "{told}");

    let sessions = listed(&binary, &["sessions", "--json"]);
    let session = of_job(&sessions, earlier.name.as_str());
    assert_eq!(
        (session["process"].to_string(), session["number"].to_string()),
        (first.clone(), own.clone())
    );
    let wrong = binary.command(&["end", "4711", "--process", &first]).unwrap_err();
    assert!(wrong.contains("there is no session 4711 of a process"), "{wrong}");
    let wrong = binary.command(&["end", &own, "--process", "1"]).unwrap_err();
    assert!(wrong.contains("of a process 1 that has handed over"), "{wrong}");
    binary.command(&["end", &own, "--process", &first]).unwrap();
    let report = soon("the job that is ended", earlier.ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::FatalError), "{:?}", report.told);
    assert!(report.told.says(&["operator of sdgroup"]), "{:?}", report.told.log);
    drop(earlier.link);
    assert!(binary.ended().await.success(), "{}", binary.log());
    binary.until_metric("sdgroup_predecessors", "0").await;
    let table = binary.command(&["jobs"]).unwrap();
    assert!(table.contains("Later") && !table.contains("process"), "{table}");
    later.finish().await;
    assert_clean(&storages, &director).await;
}
