//! The catalog cannot tell a job that went through sdgroup from one that did not.

use crate::SDGROUP;
use crate::lab::{Attributes, Plan};

fn same_figures(attributes: Attributes) {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.attributes = attributes;
    plan.tree("Docs", 40);
    let mut lab = plan.start(SDGROUP);

    let direct = lab.wait(lab.run_directly("Docs", "Full", "File5"));
    let through = lab.job("Docs", "Full");

    assert_eq!(direct.must_be_ok().only_storage(), "File5");
    assert_eq!(through.must_be_ok().only_storage(), "File4");
    assert_eq!((direct.files, direct.bytes), (through.files, through.bytes));
    assert!(direct.files > 20 && direct.bytes > 3_000_000, "{direct:?}");
    let said = |log: &str| {
        let lines = log
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("SD ") && line.contains("ritten:"));
        lines.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert!(!said(&direct.log).is_empty(), "{}", direct.log);
    assert_eq!(said(&direct.log).len(), said(&through.log).len(), "{}", through.log);
    assert_eq!(
        said(&direct.log)[0],
        said(&through.log)[0],
        "files that the storage reports"
    );
    // The relay's last word comes when the Client and the storage have closed, which may be after the job's end.
    let to_storage = [("direction", "to_storage")];
    lab.sdgroup()
        .until_metric("sdgroup_relay_bytes_total", &to_storage, |relayed| {
            relayed > 2_000_000.0
        });
}

#[test]
fn bytes_and_files_are_those_of_the_same_job_without_sdgroup() {
    same_figures(Attributes::AsFile);
}

#[test]
fn bytes_and_files_are_the_same_when_attributes_go_to_the_director_one_by_one() {
    same_figures(Attributes::OneByOne);
}
