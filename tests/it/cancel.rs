//! `cancel`: to the storage that runs the job, wherever the Director sends it and whatever sdgroup knows of it.

use sdgroup::types::{JobId, JobStatus};
use sdgroup::wire::packet::Signal;

use crate::harness::running::Running;
use crate::harness::site::{POOL, Plot, Site, catalog, director_of};
use crate::harness::wait::{soon, until_true};
use crate::peers::director::Plan;
use crate::peers::storage::Point;

#[tokio::test]
async fn a_cancel_finds_its_job_whichever_group_it_comes_to() {
    let plot = Plot {
        more: "[[Group]]\nName = \"One\"\nStorages = [\"File6\"]",
        ..Plot::listed()
    };
    let mut site = Site::new(plot).await;
    let running = Running::start(&site.director, "Elsewhere").await;
    assert_eq!(site.sdgroup.running("File4"), 1);
    site.director.storage.address = site.sdgroup.listen(1).await;
    let said = site.director.cancel(&running.name).await.unwrap();
    assert!(said.contains("marked to be canceled"), "{said}");
    let report = soon("the end", running.ends).await.unwrap();
    assert_eq!(report.status(), Some(JobStatus::Canceled));
    assert_eq!(site.storages[2].commands(), [""; 0], "File6 was not asked");
    drop(running.link);
}

#[tokio::test]
async fn a_job_that_sdgroup_has_lost_is_looked_for_on_all_storages() {
    let site = Site::new(Plot::listed()).await;
    // One that it never had stands for one that it had before it was started anew.
    let direct = director_of(&site.storages[1], catalog());
    let mut lost = direct.begin(&Plan::backup("Lost", POOL)).await.unwrap();
    lost.reserve().await.unwrap();
    lost.run().await.unwrap();
    site.storages[1].until_reached(Point::Run, 1).await;
    let said = site.director.cancel(&lost.name).await.unwrap();
    assert_eq!(
        said,
        format!("3000 JobId=1 Job=\"{}\" marked to be canceled.", lost.name)
    );
    soon("the end of the lost job", lost.finish()).await;
    let (_, name) = site.director.next_job("Nowhere");
    let said = site.director.cancel(&name).await.unwrap();
    assert_eq!(said, format!("3904 Job {name} not found."));
}

#[tokio::test]
async fn a_job_that_is_run_again_begins_with_the_cancel_of_its_earlier_run() {
    let site = Site::new(Plot::default()).await;
    let earlier = Running::start(&site.director, "Again").await;
    let mut control = site.director.call().await.unwrap();
    let reply = control
        .command(&format!("cancel Job={}\n", earlier.name))
        .await
        .unwrap();
    assert!(reply.lines[0].contains("marked to be canceled"), "{reply:?}");
    assert_eq!(reply.end, Signal::Eod);
    let plan = Plan::backup("Again", POOL);
    let mut job = control.begin(&plan, JobId(1), earlier.name.clone()).await.unwrap();
    drop(earlier.link);
    soon("the end of the earlier run", earlier.ends).await.unwrap();
    job.reserve().await.unwrap();
    drop(job);
    until_true("all to be over", || site.sdgroup.context.jobs.all().is_empty()).await;
}
