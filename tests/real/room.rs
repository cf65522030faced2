//! Whether a job fits, decided before it starts.

use std::path::Path;

use crate::SDGROUP;
use crate::lab::tree::checksum;
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};

const MB: u64 = 1_000_000;
/// What the large job writes, and what File4 has for jobs.
const LARGE: u64 = 16 * MB;
const ROOM: u64 = 24 * MB;

/// What has to be written on the file system of `path` to be so many bytes more than now, as a water mark.
#[allow(clippy::cast_precision_loss)]
fn mark(path: &Path, more: u64) -> String {
    let about = rustix::fs::statvfs(path).expect("a file system");
    let (free, total) = (about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize);
    format!("{:.9}%", (total - free + more) as f64 / total as f64 * 100.0)
}

/// Waits until a probe has told that so much of File4's room is left or less, and what explain says then.
fn explained(lab: &mut Lab, job: &str, wanted: &str) -> String {
    wait::until(wanted, JOB_WITHIN, || {
        let (status, printed) = lab.sdgroup().run(&["explain", "--job", job]);
        assert!(status.success(), "{printed}");
        printed.contains(wanted).then_some(printed)
    })
}

#[test]
fn a_storage_without_room_for_a_job_is_avoided_before_the_job_starts() {
    let mut plan = Plan::with_policy("ListedOrder");
    let volumes = plan.volumes_in_memory("File4");
    let marks = format!(
        "HighWaterMark = \"{}\"\nLowWaterMark = \"{}\"\n",
        mark(&volumes, ROOM),
        mark(&volumes, ROOM - MB)
    );
    plan.settings.storage_of.insert("File4", marks);
    let source = plan.large("Large", 140, LARGE);
    plan.folder_of_files("Fresh", &source);
    plan.large("Small", 141, 10_000);
    let mut lab = plan.start(SDGROUP);
    explained(&mut lab, "Large", "free");

    // Of the first run nothing is known; of the second it is known that it does not fit beside the first.
    let first = lab.job("Large", "Full");
    assert_eq!(first.must_be_ok().only_storage(), "File4");
    let told = explained(&mut lab, "Large", "lacks room");
    assert!(told.contains("File5 by ListedOrder"), "{told}");
    let second = lab.job("Large", "Full");
    assert_eq!(second.must_be_ok().only_storage(), "File5");
    assert!(!second.log.contains("did not take"), "{}", second.log);
    assert_eq!(lab.job("Small", "Full").must_be_ok().only_storage(), "File4", "it fits");

    // A job of which nothing is known fills File4 above its mark: it gets no other, however small.
    assert_eq!(lab.job("Fresh", "Full").must_be_ok().only_storage(), "File4");
    let told = explained(&mut lab, "Small", "% full");
    assert!(told.contains("File5 by ListedOrder"), "{told}");
    let small = lab.job("Small", "Full");
    assert_eq!(small.must_be_ok().only_storage(), "File5");
    assert!(!small.log.contains("did not take"), "{}", small.log);

    lab.must_restore(&[first.id], &source, &checksum(&source));
}
