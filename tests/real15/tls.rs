//! TLS as it comes since Bacula 11: with the password, or the job's key, as the shared key.

use crate::SDGROUP;
use crate::lab::packages::Release;
use crate::lab::tree::checksum;
use crate::lab::{Lab, Plan};
use std::path::{Path, PathBuf};

fn required() -> Vec<(&'static str, String)> {
    vec![("TLS Require", "yes".to_owned())]
}

fn off() -> Vec<(&'static str, String)> {
    vec![("TLS PSK Enable", "no".to_owned())]
}

fn with_docs(seed: u64) -> (Plan, PathBuf) {
    let mut plan = Plan::with_policy("ListedOrder");
    let source = plan.tree("Docs", seed);
    (plan, source)
}

fn backs_up_and_restores(lab: &Lab, source: &Path) -> String {
    let report = lab.job("Docs", "Full");
    assert_eq!(report.must_be_ok().only_storage(), "File4");
    lab.must_restore(&[report.id], source, &checksum(source));
    report.log
}

#[test]
fn everything_is_encrypted_where_everybody_demands_it() {
    let (mut plan, source) = with_docs(70);
    plan.tls.director = required();
    plan.tls.storages = required();
    plan.tls.client = required();
    plan.tls.sdgroup = "TlsRequire = true\n".to_owned();
    plan.tls.sdgroup_director = "TlsRequire = true\n".to_owned();
    plan.tls.sdgroup_storages = "TlsRequire = true\n".to_owned();
    let log = backs_up_and_restores(&plan.start(SDGROUP), &source);
    assert!(
        log.lines()
            .any(|line| line.contains("Connected to Storage") && line.contains("with TLS")),
        "{log}"
    );
}

#[test]
fn a_director_without_tls_is_served_by_storages_that_demand_it() {
    let (mut plan, source) = with_docs(71);
    plan.tls.director = off();
    plan.tls.storages = required();
    let log = backs_up_and_restores(&plan.start(SDGROUP), &source);
    assert!(log.contains("without encryption"), "{log}");
}

#[test]
fn a_director_that_demands_tls_is_served_by_storages_without_it() {
    let (mut plan, source) = with_docs(72);
    plan.tls.director = required();
    plan.tls.storages = off();
    backs_up_and_restores(&plan.start(SDGROUP), &source);
}

#[test]
fn nothing_is_encrypted_where_nobody_has_tls() {
    let (mut plan, source) = with_docs(73);
    plan.tls.director = off();
    plan.tls.storages = off();
    plan.tls.client = off();
    backs_up_and_restores(&plan.start(SDGROUP), &source);
}

#[test]
fn a_plain_director_is_refused_where_tls_is_demanded_of_it() {
    let (mut plan, _) = with_docs(74);
    plan.tls.director = off();
    plan.tls.sdgroup_director = "TlsRequire = true\n".to_owned();
    let mut lab = plan.start(SDGROUP);
    lab.job("Docs", "Full").must_have_failed();
    lab.sdgroup().until_printed("sdgroup demands TLS-PSK here");
}

#[test]
fn a_plain_storage_is_not_talked_to_where_tls_is_demanded_of_it() {
    let (mut plan, _) = with_docs(75);
    plan.storages = 2;
    plan.tls.storage_control.insert("File4".to_owned(), off());
    plan.tls.sdgroup_storages = "TlsRequire = true\n".to_owned();
    let mut lab = plan.start(SDGROUP);
    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File5");
    let printed = lab.sdgroup().printed();
    assert!(printed.contains("sdgroup demands TLS-PSK here"), "{printed}");
}

#[test]
fn a_client_of_9_6_is_served_behind_a_director_and_storages_of_15() {
    let (mut plan, source) = with_docs(76);
    plan.client_release = Release::Bookworm;
    backs_up_and_restores(&plan.start(SDGROUP), &source);
}

#[test]
fn a_gibibyte_is_passed_through_and_comes_back_over_the_bridge_byte_for_byte() {
    const GIBIBYTE: u32 = 1 << 30;
    let mut plan = Plan::with_policy("ListedOrder");
    let source = plan.large("Large", 77, GIBIBYTE.into());
    let mut lab = plan.start(SDGROUP);

    let report = lab.job("Large", "Full");
    assert_eq!(report.must_be_ok().only_storage(), "File4");
    lab.must_restore(&[report.id], &source, &checksum(&source));

    // The relay's last word comes when the Client and the storage have closed, which may be after the job's end.
    for direction in ["to_storage", "from_storage"] {
        let relayed = [("direction", direction)];
        lab.sdgroup()
            .until_metric("sdgroup_relay_bytes_total", &relayed, |bytes| {
                bytes > f64::from(GIBIBYTE)
            });
    }
}
