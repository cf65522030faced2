//! The database goes away, and another machine takes over, while real jobs run.

use crate::SDGROUP;
use crate::database::{Machine, PATIENCE, options, table};
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Plan, wait};
use sdgroup::store::PostgresStore;

#[test]
fn no_job_notices_that_the_database_fails_over_and_what_was_learned_is_there() {
    let primary = Machine::primary();
    let mut plan = Plan::with_policy("LeastUsed");
    let source = plan.tree("Docs", 801);
    let mut gate = plan.gate("Slow");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let migrated = runtime.block_on(PostgresStore::migrate(&options(&[&primary]), PATIENCE));
    migrated.expect("the tables");
    let standby = Machine::standby(&primary);
    plan.settings.tables = table(&[&primary, &standby]);
    let mut lab = plan.start(SDGROUP);
    assert!(lab.sdgroup().metrics().sum("sdgroup_store_up", &[]) > 0.5);
    let before = lab.job("Docs", "Full");
    before.must_be_ok();

    let slow = lab.run_job("Slow", "Full");
    gate.feed(200_000, JOB_WITHIN);
    primary.server.kill();
    let sdgroup = lab.sdgroup();
    wait::until("sdgroup to miss its database", JOB_WITHIN, || {
        (sdgroup.metrics().sum("sdgroup_store_up", &[]) < 0.5).then_some(())
    });
    let (status, ready) = sdgroup.get("/readyz").expect("an answer");
    assert_eq!(status, 200, "every job is taken: {ready}");
    assert!(ready.contains("the shared store is away"), "{ready}");
    assert!(
        lab.console(&["status storage=Files"])
            .contains("the shared store is away")
    );
    // A new job, and a restore of what was learned before.
    let meanwhile = lab.job("Docs", "Full");
    meanwhile.must_be_ok();
    lab.must_restore(&[before.id], &source, &checksum(&source));

    standby.promote();
    let sdgroup = lab.sdgroup();
    wait::until("sdgroup to find the standby", JOB_WITHIN, || {
        let metrics = sdgroup.metrics();
        let told = metrics.sum("sdgroup_store_unsent_records", &[]) < 0.5;
        (metrics.sum("sdgroup_store_up", &[]) > 0.5 && told).then_some(())
    });
    gate.open();
    lab.wait(slow).must_be_ok();
    lab.must_restore(&[meanwhile.id], &source, &checksum(&source));

    // Every volume that a job has written is in the new database, and every job once.
    for report in [&before, &meanwhile] {
        for volume in &report.volumes {
            let held = standby.ask(&format!("SELECT storage FROM sdgroup.volumes WHERE name = '{volume}'"));
            assert_eq!(held, report.only_storage(), "{volume}");
        }
    }
    wait::until("the last job to be told", JOB_WITHIN, || {
        let jobs = standby.ask("SELECT count(*), count(DISTINCT job_id) FROM sdgroup.jobs WHERE type = 'B'");
        (jobs == "3|3").then_some(())
    });

    // The way out of the database and into it.
    let copied = lab.sdgroup().run(&["store", "copy", "--to", "file"]);
    assert!(copied.0.success() && copied.1.contains("Volume"), "{}", copied.1);
    standby.ask("DELETE FROM sdgroup.volumes");
    let copied = lab.sdgroup().run(&["store", "copy", "--to", "postgresql"]);
    assert!(copied.0.success(), "{}", copied.1);
    let volumes: usize = standby
        .ask("SELECT count(*) FROM sdgroup.volumes")
        .parse()
        .expect("a count");
    assert!(volumes >= 2, "{volumes} volumes");
    let migrated = lab.sdgroup().run(&["store", "migrate"]);
    assert!(migrated.1.contains("already"), "{}", migrated.1);
}
