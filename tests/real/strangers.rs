//! Callers who know a job's name and nothing else. A real storage would fail the job; none of them may reach it.

use crate::SDGROUP;
use crate::lab::{Lab, Plan};
use crate::peer::{Peer, announcement};

const JOB: &str = "Docs.2026-11-23_00.20.37_03";

fn lab() -> Lab {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.tree("Docs", 61);
    plan.start(SDGROUP)
}

#[test]
fn a_caller_of_a_later_release_is_not_passed_to_a_storage_of_9() {
    let mut lab = lab();
    let mut director = Peer::director(&mut lab);
    director.send(&announcement(JOB));
    while !director.receive_text().expect("an answer").starts_with("3000 OK Job ") {}
    director.send("run");
    while !director
        .receive_text()
        .expect("the job to begin")
        .starts_with("Status ")
    {}
    let mut stranger = Peer::call(lab.sdgroup().address());
    stranger.send(&format!("Hello Bacula SD: Start Job {JOB} 14 tlspsk=0\n"));
    assert_eq!(stranger.receive_text(), None);
    let refused = lab
        .sdgroup()
        .metrics()
        .sum("sdgroup_logins_refused_total", &[("cause", "version")]);
    assert!(refused > 0.5, "{refused}");
}

#[test]
fn nobody_can_call_for_a_job_that_dials_its_data_connection_itself() {
    let mut lab = lab();
    let mut director = Peer::director(&mut lab);
    // The writing half of a copy: its storage answers with a key that everybody knows.
    director.send(&announcement(JOB).replace("sd_client=0", "sd_client=1"));
    let answer = std::iter::from_fn(|| director.receive_text()).find(|text| !text.starts_with("Jmsg "));
    assert!(answer.expect("an answer").starts_with("3000 OK Job "));
    let mut stranger = Peer::call(lab.sdgroup().address());
    stranger.send(&format!("Hello Bacula SD: Start Job {JOB} 214\n"));
    assert_eq!(stranger.receive_text(), None);
    let missing = lab.sdgroup().metrics().sum("sdgroup_routes_missing_total", &[]);
    assert!(missing > 0.5, "{missing}");
}
