//! Jobs that spool data or attributes. A storage keeps the attributes until the job's end and then offers the Director
//! the file that they are in (`BlastAttr`). A Director that cannot read it, which is on another machine, has them all
//! sent to it on the control connection.

use crate::SDGROUP;
use crate::lab::catalog::JobReport;
use crate::lab::tree::checksum;
use crate::lab::{Attributes, Lab, Plan};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A backup of so many files, all of which the catalog has in the end.
fn fills_the_catalog(mut plan: Plan, files: u32, within: Duration) -> (Lab, JobReport, PathBuf) {
    let source = plan.many("Many", files);
    let lab = plan.start(SDGROUP);

    let report = lab.wait_within(lab.run_job("Many", "Full"), within);

    let folders = u64::from(files.div_ceil(1000)) + 1;
    assert_eq!(report.must_be_ok().files, u64::from(files) + folders);
    assert_eq!(lab.catalog().files_of(report.id), report.files);
    (lab, report, source)
}

/// The same, and a restore.
fn backs_up(plan: Plan) -> Lab {
    let (lab, report, source) = fills_the_catalog(plan, FILES, SOON);
    restores(&lab, &report, &source);
    lab
}

fn restores(lab: &Lab, report: &JobReport, source: &Path) {
    let folder = lab.folder().join("restored");
    let restored = lab.wait_within(lab.start_restore(&[report.id], &folder), SOON);
    assert_eq!(restored.must_be_ok().files, report.files);
    let inner = source.strip_prefix("/").unwrap_or(source);
    assert!(checksum(&folder.join(inner)) == checksum(source), "{}", restored.log);
}

const FILES: u32 = 5_000;
const SOON: Duration = Duration::from_secs(180);

fn plan(attributes: Attributes) -> Plan {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.attributes = attributes;
    plan
}

#[test]
fn attributes_are_read_by_a_director_from_the_storages_file() {
    backs_up(plan(Attributes::AsFile));
}

#[test]
fn attributes_of_a_storage_on_another_machine_pass_when_the_job_is_done() {
    let mut plan = plan(Attributes::AtTheEnd);
    plan.taps = true;
    let lab = backs_up(plan);
    // With 15.0 all is in TLS.
    if crate::RELEASE == sdgroup::types::Release::V9 {
        let recordings = lab.tap("sdgroup").recordings();
        let offered = |bytes: &[u8]| bytes.windows(10).any(|window| window == b"BlastAttr ");
        let refused = |bytes: &[u8]| bytes.windows(14).any(|window| window == b"1990 ERROR Bla");
        assert!(
            recordings
                .iter()
                .any(|one| offered(&one.daemon) && refused(&one.caller))
        );
    }
}

#[test]
fn attributes_that_are_not_spooled_pass_one_by_one() {
    backs_up(plan(Attributes::OneByOne));
}

#[test]
fn spooled_data_is_written_when_it_is_complete() {
    let mut plan = plan(Attributes::AtTheEnd);
    plan.job_of.insert("Docs", vec![("Spool Data", "yes".to_owned())]);
    for storage in ["File4", "File5", "File6"] {
        plan.device_of
            .insert(storage, vec![("Spool Directory", "/proc/self/cwd".to_owned())]);
    }
    let source = plan.tree("Docs", 170);
    let lab = plan.start(SDGROUP);

    let report = lab.job("Docs", "Full");

    report.must_be_ok().log_must_say("espooling");
    lab.must_restore(&[report.id], &source, &checksum(&source));
}

/// A restore of as many would show nothing of us: the Director writes a line for each file into its catalog's log. Half an
/// hour, and some gigabytes: `cargo test --release --test real -- --ignored a_million_files`.
#[test]
#[ignore = "takes up to half an hour"]
fn a_million_files_pass_when_the_job_is_done() {
    let hour = Duration::from_secs(3600);
    fills_the_catalog(plan(Attributes::AtTheEnd), 1_000_000, hour);
}

/// The same, without a spool: `cargo test --release --test real -- --ignored a_million_files`.
#[test]
#[ignore = "takes up to half an hour"]
fn a_million_files_pass_one_by_one() {
    let hour = Duration::from_secs(3600);
    fills_the_catalog(plan(Attributes::OneByOne), 1_000_000, hour);
}
