//! Storages that have words of their own for their devices and media types.

use sdgroup::types::JobStatus;

use crate::harness::bytes_of_jobs::{Amount, files};
use crate::harness::site::{POOL, Plot, Site};
use crate::harness::wait::soon;
use crate::peers::director::Plan;

fn own_words() -> Plot {
    Plot {
        settings: |settings| {
            settings.media_type = format!("Media of {}", settings.name);
            settings.changer = format!("Changer of {}", settings.name);
        },
        storage: |name| format!("Device = \"Changer of {name}\"\nMediaType = \"Media of {name}\""),
        group: "Device = \"Changer\"\nMediaType = \"File\"",
        ..Plot::default()
    }
}

#[tokio::test]
async fn jobs_run_on_storages_that_have_other_words_than_the_director() {
    let site = Site::new(own_words()).await;
    let mut done = Vec::new();
    for seed in 0..6 {
        let records = files(seed, Amount::SMALL);
        let plan = Plan::backup(&format!("Named{seed}"), POOL);
        let (report, client) = soon("a backup", site.director.back_up(&plan, &records)).await.unwrap();
        client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
        assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
        assert_eq!(site.home(&report).written_by(&report.name), records);
        done.push((report, records));
    }
    for (report, records) in &done {
        let (plan, wanted) = (Plan::restore(POOL), [report.id]);
        let (told, back) = soon("a restore", site.director.restore(&plan, &wanted)).await.unwrap();
        assert_eq!(
            &back.unwrap_or_else(|error| panic!("{error}: {:?}", told.told)),
            records
        );
    }
    // The catalog has the Director's words only.
    assert!(
        site.director
            .catalog
            .media()
            .iter()
            .all(|media| media.media_type == "File")
    );
    for storage in &site.storages {
        let asked = storage.commands();
        let own = format!("media_type=Media\u{1}of\u{1}{}", storage.settings().name);
        assert!(
            asked
                .iter()
                .any(|line| line.starts_with("use storage=") && line.contains(&own)),
            "{asked:?}"
        );
    }
    site.assert_volumes_stayed_home();
    let reports: Vec<_> = done.iter().map(|(report, _)| report).collect();
    site.until_quiet(&reports).await;
}

#[tokio::test]
async fn a_device_is_answered_in_the_directors_words() {
    let site = Site::new(own_words()).await;
    let mut job = site.director.begin(&Plan::backup("Named", POOL)).await.unwrap();
    let answer = job.reserve().await.unwrap();
    assert!(!answer.device.as_str().contains(" of "), "{answer:?}");
}

#[tokio::test]
async fn an_operator_who_asks_for_the_status_sees_all_storages() {
    let site = Site::new(own_words()).await;
    let lines = soon("the status", site.director.console("status"))
        .await
        .unwrap()
        .join("\n");
    for storage in &site.storages {
        let name = &storage.settings().name;
        assert!(lines.contains(&format!("{name} Version: 9.6.7")), "{lines}");
    }
    site.storages[1].freeze();
    let lines = soon("the status", site.director.console("status"))
        .await
        .unwrap()
        .join("\n");
    assert!(lines.contains("Storage File5: no answer within"), "{lines}");
    let lines = soon("the short status", site.director.console(".status current"))
        .await
        .unwrap()
        .join("\n");
    assert!(lines.contains("3000 OK .status"), "{lines}");
    site.storages[1].thaw();
    site.until_quiet(&[]).await;
}
