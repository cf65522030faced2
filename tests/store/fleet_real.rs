//! Two sdgroups with one database, between real daemons: control through one, data through the other; and one is killed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::SDGROUP;
use crate::database::{Machine, PATIENCE, options, table};
use crate::lab::catalog::{JobId, JobReport};
use crate::lab::daemon::Daemon;
use crate::lab::packages::Release;
use crate::lab::ports::Port;
use crate::lab::sdgroup::Metrics;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};
use sdgroup::store::PostgresStore;

/// Where the second one listens, at the port of the first.
const SECOND: &str = "127.0.0.2";

/// A database that is ready, for a test without a runtime.
fn database() -> Machine {
    let machine = Machine::primary();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let migrated = runtime.block_on(PostgresStore::migrate(&options(&[&machine]), PATIENCE));
    migrated.expect("the tables");
    machine
}

fn peers(name: &str, address: &str) -> String {
    format!("[Peers]\nName = \"{name}\"\nAddress = \"{address}\"\nPassword = \"known to all sdgroups\"\n\n")
}

/// Adds to the plan that its sdgroup is one of two.
fn one_of_two(plan: &mut Plan, machine: &Machine) {
    plan.settings.tables = table(&[machine]) + &peers("first", "127.0.0.1");
}

/// The second of a lab's two: the same configuration, at another address and with a state of its own.
struct Second {
    daemon: Daemon,
    metrics: Port,
}

impl Second {
    fn start(lab: &mut Lab) -> Self {
        let folder = lab.folder().join("second");
        fs::create_dir_all(folder.join("state")).expect("the state folder");
        let (metrics, admin) = (Port::choose(), Port::choose());
        let first = lab.sdgroup();
        let port = first.address().port();
        let text = fs::read_to_string(first.configuration()).expect("sdgroup.toml");
        let state = first.configuration().with_file_name("state");
        let text = text
            .replace(
                &state.display().to_string(),
                &folder.join("state").display().to_string(),
            )
            .replace(&first.metrics_address().to_string(), &metrics.address().to_string())
            .replace(&first.admin_address().to_string(), &admin.address().to_string())
            .replace(
                "[[Listen]]\nAddress = \"127.0.0.1\"",
                &format!("[[Listen]]\nAddress = \"{SECOND}\""),
            )
            .replace(&peers("first", "127.0.0.1"), &peers("second", SECOND));
        let configuration = folder.join("sdgroup.toml");
        fs::write(&configuration, text).expect("sdgroup.toml");
        let mut command = Command::new(SDGROUP);
        command.args(["run", "-c"]).arg(&configuration);
        let mut daemon = Daemon::new("second", &command, Port::choose(), &folder);
        daemon.spawn();
        let second = Self { daemon, metrics };
        wait::until_or(
            "the two to hear of each other",
            JOB_WITHIN,
            || {
                let both = [Metrics::of(second.metrics.address())?, first.metrics()];
                let mut heard = both.iter().map(|metrics| metrics.sum("sdgroup_peers", &[]));
                heard.all(|peers| peers > 0.5).then_some(())
            },
            || format!("{}\n{}", second.daemon.printed(), first.log()),
        );
        assert_eq!(port, lab.sdgroup().address().port());
        second
    }

    /// The sum over the samples of a metric with these labels.
    fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let metrics = Metrics::of(self.metrics.address()).expect("an answer from /metrics");
        assert!(metrics.has(name), "{name} has another name now");
        metrics.sum(name, labels)
    }

    /// How many data connections it has passed on.
    fn passed(&self) -> f64 {
        self.metric("sdgroup_connections_passed_total", &[("direction", "out")])
    }

    fn jobs_on(&self, storage: &str) -> f64 {
        self.metric("sdgroup_storage_jobs", &[("storage", storage)])
    }
}

/// The Director calls the second from now on.
fn direct_to_second(lab: &Lab) {
    let file = lab.director_file();
    let text = fs::read_to_string(&file).expect("bacula-dir.conf");
    let (before, group) = text.split_once("Name = Files\n").expect("the group's Storage");
    let group = group.replacen("127.0.0.1", SECOND, 1);
    fs::write(&file, format!("{before}Name = Files\n{group}")).expect("bacula-dir.conf");
    lab.console(&["reload"]);
}

/// Control through the first, data through the second.
fn crossed(release: Release) {
    let machine = database();
    let mut plan = Plan::with_policy("LeastUsed");
    (plan.release, plan.client_release) = (release, release);
    plan.directors_client = vec![("FD Storage Address", SECOND.to_owned())];
    one_of_two(&mut plan, &machine);
    let source = plan.tree("Docs", 881);
    let mut lab = plan.start(SDGROUP);
    let second = Second::start(&mut lab);

    let full = lab.job("Docs", "Full");
    full.must_be_ok();
    assert!(second.passed() > 0.5, "the Client called the second");
    // Its key is sdgroup's own, and TLS ends at the first.
    lab.must_restore(&[full.id], &source, &checksum(&source));
    assert!(second.passed() > 1.5);

    // The second knows the volumes of the first. Its Clients' data goes to itself.
    direct_to_second(&lab);
    lab.must_restore(&[full.id], &source, &checksum(&source));
    let next = lab.job("Docs", "Full");
    next.must_be_ok();
    lab.must_restore(&[next.id], &source, &checksum(&source));
    assert!(second.passed() < 2.5);
    assert!(second.metric("sdgroup_routes_missing_total", &[]) < 0.5);
}

#[test]
fn control_through_one_and_data_through_the_other_in_the_clear() {
    crossed(Release::Bookworm);
}

#[test]
fn control_through_one_and_data_through_the_other_in_tls() {
    crossed(Release::Trixie);
}

const EACH: usize = 10;

/// Ten jobs, all asked for at once.
fn ten(lab: &Lab, names: &[String]) -> Vec<JobId> {
    names.iter().map(|name| lab.run_job(name, "Full")).collect()
}

#[test]
fn one_of_two_is_killed_with_twenty_jobs_on_both() {
    let machine = database();
    let mut plan = Plan::with_policy("LeastUsed");
    // A Client of 15 does not limit itself in TLS.
    (plan.release, plan.client_release) = (Release::Bookworm, Release::Bookworm);
    plan.devices = 4;
    plan.jobs_per_device = 4;
    plan.tls.client = vec![("Maximum Bandwidth Per Job", "150 kb/s".to_owned())];
    one_of_two(&mut plan, &machine);
    let names: Vec<String> = (0..2 * EACH).map(|number| format!("Long{number}")).collect();
    let sources: Vec<PathBuf> = (900..)
        .zip(&names)
        .map(|(seed, name)| plan.large(name, seed, 3_000_000))
        .collect();
    let early_source = plan.tree("Early", 899);
    let mut lab = plan.start(SDGROUP);
    let second = Second::start(&mut lab);

    let early = lab.job("Early", "Full");
    let (lost, kept) = names.split_at(EACH);
    let lost = ten(&lab, lost);
    direct_to_second(&lab);
    let kept = ten(&lab, kept);
    let storages: Vec<String> = lab.storages().iter().map(|storage| storage.name.clone()).collect();
    let counts = wait::until("twenty jobs to be counted by the second", JOB_WITHIN, || {
        let counts: Vec<_> = storages.iter().map(|name| second.jobs_on(name)).collect();
        (counts.iter().sum::<f64>() > 19.5).then_some(counts)
    });
    let (most, fewest) = (
        counts.iter().copied().fold(0.0, f64::max),
        counts.iter().copied().fold(99.0, f64::min),
    );
    assert!(most - fewest < 2.5, "{counts:?}");

    lab.sdgroup().kill();
    let kept: Vec<JobReport> = kept.into_iter().map(|id| lab.wait(id)).collect();
    wait::until("what the dead one had to be released", JOB_WITHIN, || {
        let left: f64 = storages.iter().map(|name| second.jobs_on(name)).sum();
        (left < 0.5).then_some(())
    });
    // The next ones run through the survivor, while the Director calls the dead one yet to cancel what it had.
    let again: Vec<_> = names[..EACH / 2].iter().map(|name| lab.run_job(name, "Full")).collect();
    let again: Vec<_> = again.into_iter().map(|id| lab.wait(id)).collect();
    let done = kept.iter().zip(&sources[EACH..]).chain(again.iter().zip(&sources));
    // What was written through the dead one is restored through the survivor like the rest.
    let done = done.chain([(&early, &early_source)]);
    let begun: Vec<_> = done
        .map(|(report, source)| {
            report.must_be_ok();
            let folder = lab.folder().join(format!("restored-{}", report.id));
            (lab.start_restore(&[report.id], &folder), folder, source)
        })
        .collect();
    for (id, folder, source) in begun {
        lab.wait(id).must_be_ok();
        let restored = folder.join(source.strip_prefix("/").expect("a full path"));
        assert_eq!(checksum(&restored), checksum(source));
    }
    // It is started again, as systemd does: the Director hears at once that there is nothing to cancel.
    lab.sdgroup().start();
    for id in lost {
        let report = lab.wait(id);
        assert!(matches!(report.status, 'f' | 'E'), "{}: {}", report.status, report.log);
    }
}
