//! An operator of sdgroup ends a session: the job is over in the Director and at its storage, and the next one runs.

use crate::SDGROUP;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use serde_json::Value;

fn sessions(lab: &mut Lab) -> Vec<Value> {
    let (status, printed) = lab.sdgroup().run(&["sessions", "--json"]);
    assert!(status.success(), "{printed}");
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

#[test]
fn a_session_that_is_ended_takes_its_job_with_it() {
    // With that of the Director, and with that of the Client.
    for kind in ["director", "client"] {
        let mut plan = Plan::with_policy("ListedOrder");
        plan.tree("Docs", 171);
        let mut gate = plan.gate("Slow");
        let mut lab = plan.start(SDGROUP);
        let slow = lab.run_job("Slow", "Full");
        gate.feed(1_000_000, JOB_WITHIN);

        let running = sessions(&mut lab);
        let kinds: Vec<_> = running.iter().filter_map(|session| session["kind"].as_str()).collect();
        assert!(kinds.contains(&"director") && kinds.contains(&"client"), "{running:?}");
        let session = running.iter().find(|session| session["kind"] == kind).unwrap();
        assert!(session["job"].as_str().unwrap().starts_with("Slow."), "{session}");
        let number = session["number"].to_string();
        let (status, printed) = lab.sdgroup().run(&["end", &number]);
        assert!(status.success() && printed.contains("was asked to end"), "{printed}");

        // The Client notices when it writes.
        let report = wait::until("the job to be over", JOB_WITHIN, || {
            gate.trickle();
            lab.catalog().ended_job(slow)
        });
        gate.open();
        report.must_have_failed();
        if kind == "director" {
            report.log_must_say("The operator of sdgroup has ended the job");
        }
        wait::until("the sessions to be over", JOB_WITHIN, || {
            sessions(&mut lab).is_empty().then_some(())
        });
        let report = lab.job("Docs", "Full");
        assert_eq!(report.must_be_ok().only_storage(), "File4");
        let (status, printed) = lab.sdgroup().run(&["end", &number]);
        assert_eq!(status.code(), Some(4), "{printed}");
    }
}
