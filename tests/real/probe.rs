//! Probes of a real storage: what they see of it at work, dead, frozen and with another password.

use std::time::Duration;

use sdgroup::config::model::Storage;
use sdgroup::group::{Layer, ProbeFailure, Probed};
use sdgroup::probe::{Questioner, ask};
use sdgroup::types::{Bytes, DeviceName, DirectorName, Secret, StorageName};

use crate::SDGROUP;
use crate::lab::resources::{DIRECTOR, GROUP, GROUP_DEVICE};
use crate::lab::{JOB_WITHIN, Lab, Plan, wait};

/// A real storage answers in a thousandth of this.
const TIMEOUT: Duration = Duration::from_secs(30);

fn probe(lab: &mut Lab, password: Option<&str>) -> Result<Probed, ProbeFailure> {
    probe_device(lab, password, None)
}

fn probe_device(lab: &mut Lab, password: Option<&str>, device: Option<&str>) -> Result<Probed, ProbeFailure> {
    probe_within(TIMEOUT, lab, password, device)
}

fn probe_within(
    timeout: Duration,
    lab: &mut Lab,
    password: Option<&str>,
    device: Option<&str>,
) -> Result<Probed, ProbeFailure> {
    let device = device.map(|name| DeviceName::new(name).unwrap());
    let password = password.map_or_else(|| lab.storages()[0].password.clone(), str::to_owned);
    let storage = Storage {
        port: lab.storage("File4").port().number(),
        password: Some(Secret::new(password)),
        ..Storage::new(StorageName::new("File4").unwrap(), "127.0.0.1".to_owned())
    };
    let questioner = Questioner {
        director: DirectorName::new(DIRECTOR).unwrap(),
        timeout,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(ask(&questioner, &storage, device.as_ref())).result
}

#[test]
fn a_probe_tells_a_storage_at_work_from_one_that_is_not() {
    let mut plan = Plan::new();
    plan.storages = 1;
    let mut lab = plan.start_without_sdgroup();

    assert_eq!(
        probe(&mut lab, None).expect("it is at work").storage_version,
        crate::RELEASE.storage_version()
    );

    lab.storage("File4").freeze();
    let frozen = probe_within(Duration::from_secs(3), &mut lab, None, None);
    let frozen = frozen.expect_err("the kernel accepts, nobody answers");
    assert_eq!(
        (frozen.layer, &*frozen.text),
        (Layer::Timeout, "no answer to the login within 3s")
    );
    lab.storage("File4").thaw();
    assert!(probe(&mut lab, None).is_ok());

    let stranger = probe(&mut lab, Some("another password")).expect_err("the passwords differ");
    assert_eq!(stranger.layer, Layer::Login);
    assert!(
        stranger.text.contains("compare it in both configurations"),
        "{stranger}"
    );

    lab.storage("File4").kill();
    let dead = probe(&mut lab, None).expect_err("nobody listens");
    assert_eq!((dead.layer, &*dead.text), (Layer::Connect, "connection refused"));
    lab.storage("File4").start();
    assert!(probe(&mut lab, None).is_ok());
}

/// What the kernel says of the file system below `path`, in bytes.
fn file_system(path: &std::path::Path) -> (u64, u64) {
    let about = rustix::fs::statvfs(path).expect("a file system");
    (about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize)
}

#[test]
fn a_probe_reads_the_room_and_counts_one_file_system_once() {
    let mut plan = Plan::new();
    plan.storages = 1;
    plan.tree("Docs", 90);
    let mut lab = plan.start_without_sdgroup();
    let volumes = lab.storages()[0].volumes();

    // Three drives in one folder: before one was ever open, and after.
    for round in 0..2 {
        for device in [None, Some(GROUP_DEVICE), Some("File4-drive2")] {
            let space = probe_device(&mut lab, None, device).unwrap().space.expect("room");
            let (free, total) = file_system(&volumes);
            assert_eq!(space.total.0, total, "{device:?} in round {round}");
            let drift = space.free.0.abs_diff(free);
            assert!(
                drift < total / 20,
                "{device:?} in round {round}: {} and {free}",
                space.free.0
            );
        }
        lab.wait(lab.run_directly("Docs", "Full", "File4")).must_be_ok();
    }
    let nobody = probe_device(&mut lab, None, Some("Nobody")).unwrap();
    assert_eq!(nobody.space, None);
}

#[test]
fn the_room_is_in_the_metrics_and_in_the_answer_to_status_storage() {
    let mut plan = Plan::new();
    plan.storages = 2;
    let mut lab = plan.start(SDGROUP);

    let (_, total) = file_system(&lab.storages()[0].volumes());
    let labels = [("storage", "File5")];
    wait::until("the room of File5", JOB_WITHIN, || {
        let known = lab.sdgroup().metrics().sum("sdgroup_storage_total_bytes", &labels);
        (known > 0.0).then(|| assert_eq!(format!("{known}"), total.to_string()))
    });
    let printed = lab.console(&[&format!("status storage={GROUP}")]);
    let line = printed.lines().find(|line| line.starts_with(" File5 "));
    let line = line.unwrap_or_else(|| panic!("{printed}"));
    for words in [" up ", " 0 of 20 ", &format!(" of {} ", Bytes(total))] {
        assert!(line.contains(words), "{words:?}: {line}");
    }
}
