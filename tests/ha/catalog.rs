//! The catalog alone: one that moves under a running Director, and one that has lost its last moments.

use crate::host::recipes;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Plan};
use crate::site::{Site, measured};
use std::process::{Command, Stdio};
use std::time::Instant;

#[test]
fn a_director_is_started_anew_with_the_catalog_that_was_promoted() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.storages = 1;
    let source = plan.tree("Docs", 811);
    let mut gate = plan.gate("Long");
    let site = Site::start(plan, true);
    let ([first, second], lab) = (&site.hosts, &site.lab);
    let before = lab.job("Docs", "Full");
    let cut = lab.run_job("Long", "Full");
    gate.feed(1_000_000, JOB_WITHIN);

    let lost = Instant::now();
    assert!(first.server.kill());
    second.recipe("catalog/promote", &[]).must_be_ok();
    first.recipe("director/follow-catalog", &[]).must_be_ok();
    measured("promotion of the catalog under a running Director", lost);
    gate.open();
    let after = lab.job("Docs", "Full");

    after.must_be_ok();
    lab.must_restore(&[before.must_be_ok().id], &source, &checksum(&source));
    lab.catalog().job(cut).expect("the job that ran").must_have_failed();
    // Where no Director runs there is none to start.
    second.recipe("director/follow-catalog", &[]).must_be_ok();
    assert_eq!(second.director_said(), "");
}

#[test]
fn what_the_catalog_has_lost_is_read_from_the_volumes() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.storages = 1;
    let source = plan.tree("Docs", 812);
    let site = Site::start(plan, false);
    let ([first, second], lab) = (&site.hosts, &site.lab);
    lab.job("Docs", "Full").must_be_ok();
    // The standby is cut off, and the primary lost before it could send what came next.
    second.server.stop();
    let unknown = lab.job("Docs", "Full");
    unknown.must_be_ok();
    first.power_off();
    second.server.start();
    second.recipe("director/take-over", &[]).must_be_ok();
    assert!(lab.catalog().job(unknown.id).is_none(), "the standby knows it");

    let volumes = newer_volumes(&site);
    assert_eq!(volumes, unknown.volumes);
    for volume in &volumes {
        lab.console(&[&format!("update volume={volume} volstatus=Used")]);
        scan(&site, volume);
    }

    assert_eq!(newer_volumes(&site), Vec::<String>::new());
    let found = lab.catalog().job_named("Docs").expect("the job");
    lab.must_restore(&[found], &source, &checksum(&source));
    // The scan leaves it as it was set: closed.
    let next = lab.job("Docs", "Full");
    assert_ne!(next.must_be_ok().volumes, volumes);
    assert_eq!(lab.catalog().volume(&volumes[0]).status, "Used");
}

fn newer_volumes(site: &Site) -> Vec<String> {
    let [_, active] = &site.hosts;
    let mut ask = active.server.command("psql");
    ask.args([
        "-XAt",
        "-F",
        " ",
        "-U",
        "postgres",
        "-c",
        "SELECT VolStatus, VolBytes, VolumeName FROM Media",
    ]);
    ask.arg("-h")
        .arg(active.server.socket())
        .args(["-p", &site.port().to_string(), "bacula"]);
    let mut asked = ask.stdout(Stdio::piped()).spawn().expect("psql");
    let mut command = Command::new(recipes().join("catalog/newer-volumes"));
    command
        .arg(site.lab.storages()[0].volumes())
        .stdin(asked.stdout.take().expect("what it says"));
    let output = command.output().expect("newer-volumes");
    assert!(
        asked.wait().expect("psql").success() && output.status.success(),
        "{output:?}"
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

/// The command of the README.
fn scan(site: &Site, volume: &str) {
    let storage = &site.lab.storages()[0];
    let mut command = site.root.command("bscan");
    command
        .args(["-s", "-m", "-v", "-c"])
        .arg(storage.folder.join("bacula-sd.conf"));
    command.args(["-n", "bacula", "-u", "bacula", "-P", crate::host::CATALOG_PASSWORD]);
    command.args(["-h", "127.0.0.3", "-t", &site.port().to_string(), "-V", volume]);
    command
        .arg(format!("{}-drive1", storage.name))
        .current_dir(&storage.folder);
    let output = command.output().expect("bscan");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
}
