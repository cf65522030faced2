//! A group whose storages are not all of the Director's release.

use crate::SDGROUP;
use crate::lab::Plan;
use crate::lab::packages::Release;

#[test]
fn a_storage_of_another_release_gets_no_job_and_everybody_warns_of_it() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.storages = 2;
    plan.other_release = Some(("File4", Release::Bookworm));
    plan.tree("Docs", 96);
    let mut lab = plan.start(SDGROUP);
    // Both have been probed.
    lab.sdgroup()
        .until_metric("sdgroup_group_releases", &[], |releases| releases > 1.5);

    let report = lab.job("Docs", "Full");

    assert_eq!(report.must_be_ok().only_storage(), "File5");
    report.log_must_say("another release, 306");
    let warning = "different releases of Bacula, File4: 9.6; File5: 15.0";
    let shown = lab.console(&["status storage=Files"]);
    assert!(shown.contains(warning), "{shown}");
    let (status, printed) = lab.sdgroup().run(&["check", "--connect"]);
    assert!(status.success() && printed.contains(warning), "{printed}");

    lab.storage("File4").kill();
    let (status, printed) = lab.sdgroup().run(&["check", "--connect"]);
    assert!(
        !status.success() && printed.contains("File4: failed: connection refused"),
        "{printed}"
    );
}
