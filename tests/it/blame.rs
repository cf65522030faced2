//! Only a storage's own faults count against its health.

use sdgroup::wire::packet::Signal;

use crate::harness::bytes_of_jobs::{Amount, files};
use crate::harness::site::{POOL, Plot, Site};
use crate::peers::client::DataLink;
use crate::peers::director::Plan;
use crate::peers::storage::Point;

fn listed() -> Plot {
    Plot {
        policy: "ListedOrder",
        ..Plot::default()
    }
}

#[tokio::test]
async fn one_directors_wrong_password_at_a_storage_is_no_fault_of_that_storage() {
    let plot = Plot {
        storage: |name| match name {
            "File4" => "[[Storage.Director]]\nName = \"other-dir\"\nPassword = \"wrong\"".to_owned(),
            _ => String::new(),
        },
        ..listed()
    };
    let site = Site::new(plot).await;
    let job = site.other_director().begin(&Plan::backup("Other", POOL)).await.unwrap();
    assert!(!site.sdgroup.ejected("File4"), "{:?}", job.control.told.log);
}

#[tokio::test]
async fn a_client_that_comes_back_too_early_is_no_fault_of_the_storage() {
    let site = Site::new(listed()).await;
    site.storages[0].hold(Point::Written);
    let mut job = site.director.begin(&Plan::backup("Back", POOL)).await.unwrap();
    job.reserve().await.unwrap();
    job.run().await.unwrap();
    let errand = job.errand();
    let ends = tokio::spawn(job.finish());
    let mut link = DataLink::open(&errand).await.unwrap();
    link.open_append().await.unwrap();
    link.send(&files(3, Amount::SMALL)).await.unwrap();
    link.wire.signal(Signal::Eod).await.unwrap();
    site.storages[0].until_reached(Point::Written, 1).await;
    let accepted = site.storages[0].reached(Point::Accepted);
    link.wire.reset();
    // It has the right key, and the storage is not done with its first connection.
    while site.storages[0].reached(Point::Accepted) == accepted {
        if let Ok(mut link) = DataLink::open(&errand).await {
            link.wire.until_closed().await;
        }
    }
    assert!(!site.sdgroup.ejected("File4"));
    site.storages[0].release(Point::Written);
    let _ = ends.await;
}
