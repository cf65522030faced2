//! The active host is lost, with its Director and the primary catalog; the other takes over by the recipe.

use crate::host::Host;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Plan};
use crate::site::{Site, measured};
use std::time::Instant;

#[test]
fn the_standby_takes_over_a_host_that_was_lost_and_gives_it_back() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.storages = 2;
    let source = plan.tree("Docs", 801);
    let mut gate = plan.gate("Long");
    let site = Site::start(plan, true);
    let ([first, second], lab) = (&site.hosts, &site.lab);
    let before = lab.job("Docs", "Full");
    before.must_be_ok();
    let cut = lab.run_job("Long", "Full");
    gate.feed(1_000_000, JOB_WITHIN);

    let lost = Instant::now();
    first.power_off();
    second.recipe("director/take-over", &[]).must_be_ok();
    measured("take-over of a host that was lost", lost);
    gate.open();
    let after = lab.job("Docs", "Full");
    measured("the same to the end of the next backup", lost);

    after.must_be_ok();
    lab.must_restore(&[before.id], &source, &checksum(&source));
    lab.must_restore(&[after.id], &source, &checksum(&source));
    // The Director of the host that was lost could not write it; the new one did when it started.
    lab.catalog().job(cut).expect("the job that was cut").must_have_failed();

    // The way back: what was the active host stands by, and becomes the active one again.
    let begun = Instant::now();
    first.recipe("director/stand-by", &[]).must_be_ok();
    measured("stand-by of the host that came back", begun);
    must_follow(first, second);
    let begun = Instant::now();
    second.recipe("director/step-down", &[]).must_be_ok();
    first.recipe("director/take-over", &["--planned"]).must_be_ok();
    measured("planned take-over", begun);
    second.recipe("director/stand-by", &[]).must_be_ok();

    must_follow(second, first);
    lab.job("Docs", "Full").must_be_ok();
}

fn must_follow(standby: &Host, primary: &Host) {
    assert!(primary.is_primary() && !standby.is_primary());
    let slots = |host: &Host| {
        host.server
            .ask("postgres", "SELECT slot_name, active FROM pg_replication_slots")
    };
    assert_eq!(
        slots(primary).as_deref(),
        Some(format!("{}|t", standby.name()).as_str())
    );
    // One that nobody uses would keep WAL for ever.
    assert_eq!(slots(standby).as_deref(), Some(""));
}

#[test]
fn no_host_takes_over_from_one_that_may_be_alive() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.storages = 1;
    plan.tree("Docs", 802);
    let site = Site::start(plan, false);
    let [first, second] = &site.hosts;

    // The power switch does not answer.
    second.set("FENCE", "false");
    second
        .recipe("director/take-over", &[])
        .must_fail_with("Nothing was changed");
    second
        .recipe("director/take-over", &["--planned"])
        .must_fail_with("run step-down there first");

    assert!(first.is_primary() && !second.is_primary());
    assert!(second.director_said().is_empty(), "{}", second.director_said());
    site.lab.job("Docs", "Full").must_be_ok();
}
