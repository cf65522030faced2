//! Each daemon may be told not to compress its lines; what the others then compress still has to arrive.

use crate::SDGROUP;
use crate::lab::tree::checksum;
use crate::lab::{Attributes, Party, Plan};

/// Attributes go to the Director one by one, so that many long messages pass the control connection.
fn backs_up_and_restores(uncompressed: &'static [Party]) {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.uncompressed = uncompressed;
    plan.attributes = Attributes::OneByOne;
    let source = plan.tree("Docs", 90);
    let lab = plan.start(SDGROUP);

    let report = lab.job("Docs", "Full");

    assert_eq!(report.must_be_ok().only_storage(), "File4");
    lab.must_restore(&[report.id], &source, &checksum(&source));
}

#[test]
fn a_director_that_does_not_compress_is_served() {
    backs_up_and_restores(&[Party::Director]);
}

#[test]
fn a_client_that_does_not_compress_is_served() {
    backs_up_and_restores(&[Party::Client]);
}

#[test]
fn storages_that_do_not_compress_serve() {
    backs_up_and_restores(&[Party::Storages]);
}

#[test]
fn nobody_has_to_compress() {
    backs_up_and_restores(&[Party::Director, Party::Client, Party::Storages]);
}
