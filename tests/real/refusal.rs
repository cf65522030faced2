//! Callers that are not what they should be: each has its defined answer and its metric, and running jobs feel
//! nothing of it.

use crate::SDGROUP;
use crate::lab::catalog::JobId;
use crate::lab::resources::DIRECTOR;
use crate::lab::tree::Gate;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use crate::peer::{Peer, announcement};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(15);

/// A lab in which a job runs; what is tried against sdgroup must not disturb it.
struct Busy {
    lab: Lab,
    gate: Gate,
    job: JobId,
}

impl Busy {
    fn new() -> Self {
        let mut plan = Plan::with_policy("ListedOrder");
        plan.settings.caller_timeout = "2 seconds";
        let mut gate = plan.gate("Slow");
        let lab = plan.start(SDGROUP);
        let job = lab.run_job("Slow", "Full");
        gate.feed(300_000, JOB_WITHIN);
        Self { lab, gate, job }
    }

    fn call(&mut self) -> Peer {
        Peer::call(self.lab.sdgroup().address())
    }

    fn count(&mut self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.lab.sdgroup().metrics().sum(name, labels)
    }

    /// Waits until the counter has grown by one since it was `before`.
    fn counted_since(&mut self, before: f64, name: &str, labels: &[(&str, &str)]) {
        wait::until(&format!("{name}{labels:?} to be {}", before + 1.0), SOON, || {
            ((self.count(name, labels) - before - 1.0).abs() < 0.1).then_some(())
        });
    }

    fn job_is_unharmed(mut self) {
        assert_eq!(self.count("sdgroup_panics_total", &[]).to_string(), "0");
        self.gate.feed(300_000, JOB_WITHIN);
        self.gate.open();
        assert_eq!(self.lab.wait(self.job).must_be_ok().bytes, 600_000);
    }
}

#[test]
fn what_is_no_bacula_daemon_is_shown_the_door() {
    let mut busy = Busy::new();
    let attempts: [(&str, &str, &[u8]); 4] = [
        ("a browser", "oversize", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("framed nonsense", "garbage", b"\x00\x00\x00\x10ABCDEFGHIJKLMNOP"),
        ("a signal first", "garbage", b"\xff\xff\xff\xff"),
        ("a packet of 256 MB", "oversize", b"\x0f\xff\xff\xffHello"),
    ];
    for (what, cause, bytes) in attempts {
        let labels = [("cause", cause)];
        let before = busy.count("sdgroup_packets_refused_total", &labels);
        let mut peer = busy.call();
        peer.send_bytes(bytes);
        let said = peer.receive_to_end();
        assert!(said.is_empty(), "{what} was answered {said:?}");
        busy.counted_since(before, "sdgroup_packets_refused_total", &labels);
    }
    busy.job_is_unharmed();
}

#[test]
fn a_connection_that_says_nothing_is_closed_after_the_configured_time() {
    let mut busy = Busy::new();
    let labels = [("cause", "silent")];
    let begun = Instant::now();
    let mut silent = busy.call();
    let mut half = busy.call();
    half.send_bytes(&[0, 0]);

    assert!(silent.receive_to_end().is_empty() && half.receive_to_end().is_empty());

    let time = begun.elapsed();
    assert!(
        time > Duration::from_millis(1500) && time < Duration::from_secs(8),
        "{time:?}"
    );
    wait::until("both to be counted", SOON, || {
        (busy.count("sdgroup_packets_refused_total", &labels) > 1.5).then_some(())
    });
    busy.job_is_unharmed();
}

#[test]
fn an_unknown_director_and_one_that_cannot_prove_itself_are_not_let_in() {
    let mut busy = Busy::new();
    let refused = "sdgroup_logins_refused_total";
    let labels = [("peer", "director")];

    let before = busy.count(refused, &labels);
    let mut stranger = busy.call();
    stranger.send("Hello SD: Bacula Director who-dir calling 103\n");
    let said = stranger.receive_to_end();
    assert!(
        said.iter()
            .all(|text| !text.contains("1000 OK") && !text.contains("3000 OK")),
        "{said:?}"
    );
    busy.counted_since(before, refused, &labels);

    let mut liar = busy.call();
    liar.send(&format!("Hello SD: Bacula Director {DIRECTOR} calling 103\n"));
    let challenge = liar.receive_text().expect("a challenge");
    assert!(challenge.starts_with("auth cram-md5 "), "{challenge}");
    liar.send("AAAAAAAAAAAAAAAAAAAAAA");
    let said = liar.receive_to_end();
    assert!(
        said.iter()
            .all(|text| !text.contains("1000 OK") && !text.contains("3000 OK")),
        "{said:?}"
    );
    busy.counted_since(before + 1.0, refused, &labels);
    busy.job_is_unharmed();
}

#[test]
fn a_director_with_a_wrong_password_finds_the_reason_in_its_job_log() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.director_password = "not what sdgroup expects".to_owned();
    plan.tree("Docs", 60);
    let mut lab = plan.start(SDGROUP);

    let report = lab.job("Docs", "Full");

    report.must_have_failed().log_must_say(crate::WRONG_PASSWORD);
    let director = [("peer", "director")];
    lab.sdgroup()
        .until_metric("sdgroup_logins_refused_total", &director, |refused| refused > 0.5);
    lab.wait(lab.run_directly("Docs", "Full", "File4")).must_be_ok();
}

#[test]
fn a_client_for_a_job_that_nobody_announced_is_closed_without_an_answer() {
    let mut busy = Busy::new();
    let before = busy.count("sdgroup_routes_missing_total", &[]);
    let mut client = busy.call();
    client.send("Hello Bacula SD: Start Job Ghost.2026-11-23_00.20.37_03 214\n");

    assert!(client.receive_to_end().is_empty());

    busy.counted_since(before, "sdgroup_routes_missing_total", &[]);
    busy.job_is_unharmed();
}

#[test]
fn a_second_client_for_a_job_that_has_one_is_closed_and_the_job_goes_on() {
    let mut busy = Busy::new();
    let name = busy.lab.catalog().job(busy.job).expect("the job").job;
    let before = busy.count("sdgroup_routes_taken_total", &[]);
    let mut client = busy.call();
    client.send(&format!("Hello Bacula SD: Start Job {name} 214\n"));

    assert!(client.receive_to_end().is_empty());

    busy.counted_since(before, "sdgroup_routes_taken_total", &[]);
    busy.job_is_unharmed();
}

#[test]
fn a_client_that_is_quicker_than_its_director_waits_for_its_route() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.settings.route_wait = "20 seconds";
    plan.tree("Docs", 61);
    let mut lab = plan.start(SDGROUP);
    let job = "Docs.2026-11-23_00.20.37_03";

    let mut client = Peer::call(lab.sdgroup().address());
    client.send(&format!("Hello Bacula SD: Start Job {job} 214\n"));
    wait::until("the Client's session", SOON, || {
        (lab.sdgroup().metrics().sum("sdgroup_sessions", &[("kind", "client")]) > 0.5).then_some(())
    });
    let mut director = Peer::director(&mut lab);
    director.send(&announcement(job));
    let answer = std::iter::from_fn(|| director.receive_text()).find(|text| !text.starts_with("Jmsg "));
    assert!(
        answer.as_ref().is_some_and(|text| text.starts_with("3000 OK Job ")),
        "{answer:?}"
    );

    let challenge = client.receive_text();
    assert!(
        challenge
            .as_ref()
            .is_some_and(|text| text.starts_with("auth cram-md5 ")),
        "{challenge:?}"
    );
    drop((client, director));
    lab.job("Docs", "Full").must_be_ok();
}
