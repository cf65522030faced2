//! TLS with certificates on the control connections, on both of their legs.

use crate::SDGROUP;
use crate::lab::Plan;
use crate::lab::certificates::{Authority, Issued};
use crate::lab::tree::checksum;

/// What every certificate has to carry that is good: all daemons are dialled at 127.0.0.1.
const HERE: &str = "localhost";

/// A lab in which the Director and sdgroup demand certificates of each other, and so do sdgroup and the storages, which
/// have these.
fn plan(authority: &Authority, mut plan: Plan, storages: &[(&str, &Issued)]) -> Plan {
    let own = authority.issue(HERE, 30);
    plan.tls.director = authority.directives(&authority.issue("the-director", 30));
    plan.tls.sdgroup_director = format!("{}TlsAllowedCn = [\"the-director\"]\n", authority.lines(&own));
    plan.tls.sdgroup_storages = authority.lines(&own);
    for (storage, issued) in storages {
        let directives = authority.directives(issued);
        plan.tls.storage_control.insert((*storage).to_owned(), directives);
    }
    plan
}

#[test]
fn a_backup_and_its_restore_go_with_certificates_on_both_legs() {
    let mut bare = Plan::with_policy("ListedOrder");
    let source = bare.tree("Docs", 80);
    let authority = Authority::new(bare.folder(), "authority");
    let good = authority.issue(HERE, 30);
    let lab = plan(&authority, bare, &["File4", "File5", "File6"].map(|name| (name, &good))).start(SDGROUP);

    let report = lab.job("Docs", "Full");

    assert_eq!(report.must_be_ok().only_storage(), "File4");
    lab.must_restore(&[report.id], &source, &checksum(&source));
}

#[test]
fn a_tls_for_the_login_only_ends_with_it_on_both_legs() {
    let mut bare = Plan::with_policy("ListedOrder");
    let source = bare.tree("Docs", 83);
    let authority = Authority::new(bare.folder(), "authority");
    let good = authority.issue(HERE, 30);
    let mut plan = plan(&authority, bare, &["File4", "File5", "File6"].map(|name| (name, &good)));
    let only_login = ("TLS Authenticate", "yes".to_owned());
    plan.tls.director.push(only_login.clone());
    for directives in plan.tls.storage_control.values_mut() {
        directives.push(only_login.clone());
    }
    plan.tls.sdgroup_director += "TlsAuthenticate = true\n";
    plan.tls.sdgroup_storages += "TlsAuthenticate = true\n";
    let lab = plan.start(SDGROUP);

    let report = lab.job("Docs", "Full");

    assert_eq!(report.must_be_ok().only_storage(), "File4");
    lab.must_restore(&[report.id], &source, &checksum(&source));
}

#[test]
fn a_storage_with_a_bad_certificate_gets_no_job_and_sdgroups_log_says_what_is_wrong_with_it() {
    let mut bare = Plan::with_policy("ListedOrder");
    bare.storages = 4;
    bare.tree("Docs", 81);
    let authority = Authority::new(bare.folder(), "authority");
    let stranger = Authority::new(bare.folder(), "stranger");
    let (strange, expired) = (stranger.issue(HERE, 30), authority.issue(HERE, -1));
    let elsewhere = authority.issue("elsewhere.example", 30);
    let good = authority.issue(HERE, 30);
    let storages = [
        ("File4", &strange),
        ("File5", &expired),
        ("File6", &elsewhere),
        ("File7", &good),
    ];
    let mut lab = plan(&authority, bare, &storages).start(SDGROUP);

    assert_eq!(lab.job("Docs", "Full").must_be_ok().only_storage(), "File7");

    let printed = lab.sdgroup().printed();
    for reason in [
        "unable to get local issuer certificate",
        "certificate has expired",
        "the peer's certificate is for elsewhere.example, expected was 127.0.0.1",
    ] {
        assert!(printed.contains(reason), "{reason}: {printed}");
    }
}

#[test]
fn a_director_with_a_bad_certificate_is_refused_and_sdgroups_log_says_what_is_wrong_with_it() {
    let strange = "unable to get local issuer certificate";
    let other = "the peer's certificate is for mallory, expected was the-director";
    // A Director of 15.0 takes its time over a job that no storage has begun.
    std::thread::scope(|scope| {
        scope.spawn(|| refuses_a_director(true, "the-director", -1, "certificate has expired"));
        scope.spawn(|| refuses_a_director(false, "the-director", 30, strange));
        scope.spawn(|| refuses_a_director(true, "mallory", 30, other));
    });
}

/// `known` is a certificate of the authority that sdgroup trusts.
fn refuses_a_director(known: bool, common_name: &str, days: i64, reason: &str) {
    let mut bare = Plan::with_policy("ListedOrder");
    bare.storages = 1;
    bare.tree("Docs", 82);
    let authority = Authority::new(bare.folder(), "authority");
    let stranger = Authority::new(bare.folder(), "stranger");
    let good = authority.issue(HERE, 30);
    let issuer = if known { &authority } else { &stranger };
    let bad = issuer.issue(common_name, days);
    let mut plan = plan(&authority, bare, &[("File4", &good)]);
    plan.tls.director = authority.directives(&bad);
    let mut lab = plan.start(SDGROUP);

    lab.job("Docs", "Full").must_have_failed();

    lab.sdgroup().until_printed(reason);
}
