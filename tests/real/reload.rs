//! Another configuration while real jobs run.

use crate::SDGROUP;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Plan};
use std::fs;

#[test]
fn a_storage_that_a_reload_removes_finishes_its_job_and_others_get_the_next() {
    let mut plan = Plan::with_policy("ListedOrder");
    let source = plan.tree("Docs", 110);
    let mut gate = plan.gate("Slow");
    let mut lab = plan.start(SDGROUP);
    let first = lab.job("Docs", "Full");
    assert_eq!(first.must_be_ok().only_storage(), "File4");
    let slow = lab.run_job("Slow", "Full");
    gate.feed(300_000, JOB_WITHIN);

    let file = lab.sdgroup().configuration().to_owned();
    let whole = fs::read_to_string(&file).unwrap();
    // A member of the group no longer; its own table stays, so that its volumes can be read.
    let less = whole.replace("[\"File4\", \"File5\"", "[\"File5\"");
    let less = less.replace("DownWait = \"4 seconds\"", "DownWait = \"5 seconds\"");
    fs::write(&file, less).unwrap();
    let (status, told) = lab.sdgroup().run(&["reload"]);
    assert!(status.success(), "{told}");
    assert!(told.contains("[[Group]] Files: Storages"), "{told}");
    let next = lab.job("Docs", "Full");
    assert_eq!(next.must_be_ok().only_storage(), "File5");
    gate.feed(300_000, JOB_WITHIN);
    gate.open();
    let slow = lab.wait(slow);
    assert_eq!((slow.must_be_ok().bytes, slow.only_storage()), (600_000, "File4"));
    for report in [&first, &next] {
        lab.must_restore(&[report.id], &source, &checksum(&source));
    }

    // A broken one changes nothing, and says where.
    fs::write(&file, whole.replace("StorageGroupPolicy", "StorageGroupPolice")).unwrap();
    let (status, told) = lab.sdgroup().run(&["reload"]);
    assert!(!status.success() && told.contains("StorageGroupPolicy"), "{told}");
    let next = lab.job("Docs", "Full");
    assert_eq!(next.must_be_ok().only_storage(), "File5");
    fs::write(&file, &whole).unwrap();
    let (status, told) = lab.sdgroup().run(&["reload"]);
    assert!(status.success(), "{told}");
    let back = lab.job("Docs", "Full");
    assert_eq!(back.must_be_ok().only_storage(), "File4");
    let metrics = lab.sdgroup().metrics();
    let reloads = |outcome| metrics.sum("sdgroup_config_reloads_total", &[("outcome", outcome)]);
    assert!((reloads("applied") - 2.0).abs() < 0.1 && (reloads("refused") - 1.0).abs() < 0.1);
}
