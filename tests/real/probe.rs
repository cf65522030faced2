//! Probes of a real storage: what they see of it at work, dead, frozen and with another password.

use std::collections::BTreeMap;
use std::time::Duration;

use sdgroup::config::model::Storage;
use sdgroup::group::{Layer, ProbeFailure, Probed};
use sdgroup::probe::{Questioner, ask};
use sdgroup::types::{DirectorName, Secret, StorageName};

use crate::lab::resources::DIRECTOR;
use crate::lab::{Lab, Plan};

/// A real storage answers in a hundredth of this; a frozen one is noticed after it.
const TIMEOUT: Duration = Duration::from_secs(3);

fn probe(lab: &mut Lab, password: Option<&str>) -> Result<Probed, ProbeFailure> {
    let password = password.map_or_else(|| lab.storages()[0].password.clone(), str::to_owned);
    let storage = Storage {
        name: StorageName::new("File4").unwrap(),
        address: "127.0.0.1".to_owned(),
        port: lab.storage("File4").port().number(),
        password: Some(Secret::new(password)),
        director_passwords: BTreeMap::new(),
        tls: sdgroup::config::model::Tls::default(),
        device: None,
        media_type: None,
        weight: 1,
        maximum_concurrent_jobs: 1,
    };
    let questioner = Questioner {
        director: DirectorName::new(DIRECTOR).unwrap(),
        timeout: TIMEOUT,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(ask(&questioner, &storage)).result
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
    let frozen = probe(&mut lab, None).expect_err("the kernel accepts, nobody answers");
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
