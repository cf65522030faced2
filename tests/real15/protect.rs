//! `update volumeprotect`, which 15.0 has: each volume's storage is asked, and has one message for an answer.

use crate::SDGROUP;
use crate::lab::{Plan, Words};

#[test]
fn each_volume_is_protected_by_the_storage_that_holds_it() {
    let mut plan = Plan::with_policy("RoundRobin");
    plan.words = Words::Own;
    let lab = plan.start(SDGROUP);
    for volume in ["Manual-1", "Manual-2"] {
        let printed = lab.console(&[&format!(
            "label storage=Files pool=Files volume={volume} slot=0 drive=0"
        )]);
        assert!(printed.contains("3000 OK label"), "{printed}");
    }

    // As if a device had written them that protects. A storage says this of a volume that it has labelled, and has not
    // closed since.
    let printed = lab.console(&[
        "sqlquery",
        "UPDATE Media SET UseProtect = 1, VolStatus = 'Used';",
        "",
        "update volumeprotect",
    ]);

    assert!(printed.contains("Found 2 volume(s)"), "{printed}");
    for volume in ["Manual-1", "Manual-2"] {
        let said = format!("3900 Unable to set immutable flag on {volume}, volume still in use");
        assert_eq!(printed.matches(&said).count(), 1, "{printed}");
    }
}
