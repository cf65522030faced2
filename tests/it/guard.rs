//! One pool, one media type, three storages: no storage is ever handed a volume that lives on another one, and the
//! Director does not make volumes without end.

use std::collections::BTreeSet;

use sdgroup::types::JobStatus;
use sdgroup::volumes::guard::MAX_GATHERED;

use crate::harness::bytes_of_jobs::{Amount, Record, files};
use crate::harness::site::{NAMES, POOL, Plot, Site};
use crate::harness::wait::soon;
use crate::peers::catalog::{Media, Oldest, Pool, SCRATCH};
use crate::peers::director::{Director, Plan, Report};
use crate::peers::storage::{Point, Settings};

/// A volume holds a few jobs of [`Amount::SMALL`].
const VOLUME_BYTES: u64 = 60_000;

fn small_volumes(settings: &mut Settings) {
    settings.maximum_volume_bytes = Some(VOLUME_BYTES);
    settings.devices = 1;
}

fn plot(pool: Pool) -> Plot {
    Plot {
        group: "LoginTimeout = \"20 seconds\"\nDownWait = \"0.5 seconds\"",
        pool,
        settings: small_volumes,
        ..Plot::default()
    }
}

async fn back_up(director: Director, seed: u64) -> (Report, Vec<Record>) {
    let records = files(seed, Amount::SMALL);
    let plan = Plan::backup(&format!("Guarded{seed}"), POOL);
    let (report, client) = soon("a backup", director.back_up(&plan, &records)).await.unwrap();
    client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
    assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
    (report, records)
}

/// Backs up `jobs` times, `at_once` jobs side by side.
async fn back_up_all(site: &Site, jobs: u64, at_once: u64) -> Vec<(Report, Vec<Record>)> {
    let mut done = Vec::new();
    for round in 0..jobs / at_once {
        let seeds = round * at_once..(round + 1) * at_once;
        let running: Vec<_> = seeds
            .map(|seed| tokio::spawn(back_up(site.director.clone(), seed)))
            .collect();
        for job in running {
            let (report, records) = soon("a job", job).await.unwrap();
            assert_eq!(site.home(&report).written_by(&report.name), records);
            done.push((report, records));
        }
    }
    done
}

/// Restores every job that the catalog has yet; returns how many those are.
async fn restore_all(site: &Site, done: &[(Report, Vec<Record>)]) -> usize {
    let mut restored = 0;
    for (report, records) in done {
        if !site.director.catalog.has(report.id.0) {
            continue;
        }
        let (plan, wanted) = (Plan::restore(POOL), [report.id]);
        let (told, back) = soon("a restore", site.director.restore(&plan, &wanted)).await.unwrap();
        let back = back.unwrap_or_else(|error| panic!("{error}: {:?}", told.told));
        assert_eq!(&back, records);
        restored += 1;
    }
    restored
}

/// The most volumes that so many jobs can need.
fn enough_volumes(jobs: u64) -> usize {
    let records = files(0, Amount::SMALL);
    let per_job: u64 = records.iter().map(|record| record.bytes.len() as u64 + 24).sum();
    // Each storage begins one of its own, and no volume is full to the last byte.
    usize::try_from(jobs * per_job / (VOLUME_BYTES - 2_500)).unwrap() + 1 + NAMES.len()
}

/// That each volume was labelled by exactly one storage, and that the ledger agrees.
async fn assert_each_volume_has_one_home(site: &Site) {
    let mut seen = BTreeSet::new();
    for storage in &site.storages {
        for volume in storage.labelled() {
            assert!(seen.insert(volume.clone()), "{volume} was labelled twice");
            let holder = site.sdgroup.holder(&volume).await;
            assert_eq!(holder.as_ref(), Some(&storage.settings().name));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_one_after_another_fill_volumes_of_their_own_storages() {
    const JOBS: u64 = 30;
    let site = Site::new(plot(Pool::endless(POOL))).await;
    let done = back_up_all(&site, JOBS, 1).await;
    site.assert_volumes_stayed_home();
    assert_each_volume_has_one_home(&site).await;
    let made = site.director.catalog.media().len();
    assert!(made <= enough_volumes(JOBS), "{made} volumes");
    assert_eq!(restore_all(&site, &done).await, done.len());
    let reports: Vec<&Report> = done.iter().map(|(report, _)| report).collect();
    site.until_quiet(&reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_side_by_side_fill_volumes_of_their_own_storages() {
    const JOBS: u64 = 60;
    let site = Site::new(plot(Pool::endless(POOL))).await;
    let done = back_up_all(&site, JOBS, 20).await;
    site.assert_volumes_stayed_home();
    assert_each_volume_has_one_home(&site).await;
    let made = site.director.catalog.media().len();
    assert!(made <= enough_volumes(JOBS), "{made} volumes");
    assert_eq!(restore_all(&site, &done).await, done.len());
    let reports: Vec<&Report> = done.iter().map(|(report, _)| report).collect();
    site.until_quiet(&reports).await;
}

#[tokio::test]
async fn a_pool_that_allows_one_volume_for_each_storage_gets_no_more() {
    let pool = Pool {
        maximum_volumes: NAMES.len(),
        ..Pool::endless(POOL)
    };
    let plot = Plot {
        settings: |settings| settings.devices = 1,
        ..plot(pool)
    };
    let site = Site::new(plot).await;
    let done = back_up_all(&site, 18, 3).await;
    site.assert_volumes_stayed_home();
    assert_eq!(site.director.catalog.media().len(), NAMES.len());
    for storage in &site.storages {
        assert_eq!(storage.volumes().len(), 1);
    }
    assert_eq!(restore_all(&site, &done).await, done.len());
}

#[tokio::test]
async fn a_job_for_which_its_storage_has_no_volume_goes_to_the_one_that_has() {
    let pool = Pool {
        maximum_volumes: 1,
        ..Pool::endless(POOL)
    };
    let site = Site::new(plot(pool)).await;
    let mut done = vec![back_up(site.director.clone(), 1).await];
    let before = site.director.catalog.searches();

    for number in 2..=3 {
        let (report, records) = back_up(site.director.clone(), number).await;
        assert_eq!(
            site.home(&report).settings().name,
            site.home(&done[0].0).settings().name
        );
        assert!(report.told.says(&["no volume of its own"]), "{:?}", report.told.log);
        done.push((report, records));
    }

    let asked = site.director.catalog.searches() - before;
    assert!(asked < 100, "the Director was asked {asked} times");
    site.assert_volumes_stayed_home();
    assert_eq!(restore_all(&site, &done).await, done.len());
}

#[tokio::test]
async fn a_pool_without_a_volume_for_anybody_ends_where_an_operator_is_needed() {
    let pool = Pool {
        maximum_volumes: 1,
        ..Pool::endless(POOL)
    };
    let site = Site::new(plot(pool)).await;
    let (first, records) = back_up(site.director.clone(), 1).await;
    let volume = site.director.catalog.media()[0].name.clone();
    site.director
        .catalog
        .change(&volume, |media| media.status = "Full".to_owned());

    let plan = Plan::backup("Homeless", POOL);
    let (second, client) = soon("the job", site.director.back_up(&plan, &records)).await.unwrap();

    assert!(client.is_err());
    assert_eq!(second.status(), Some(JobStatus::FatalError));
    assert!(second.told.says(&["an operator is needed"]), "{:?}", second.told.log);
    assert_eq!(restore_all(&site, &[(first, records)]).await, 1);
}

#[tokio::test]
async fn volumes_that_are_recycled_may_move_and_nothing_live_is_lost() {
    let pool = Pool {
        maximum_volumes: 6,
        oldest: Oldest::Purged,
        ..Pool::endless(POOL)
    };
    let site = Site::new(plot(pool)).await;
    // One at a time: whoever purges the oldest volume while another is about to write that very one calls for an
    // operator, with sdgroup or without.
    let done = back_up_all(&site, 60, 1).await;
    site.assert_volumes_stayed_home();
    assert_eq!(site.director.catalog.media().len(), 6);
    let kept = restore_all(&site, &done).await;
    assert!((3..done.len()).contains(&kept), "{kept} jobs are left");
    // Where a volume is now, is what the ledger says.
    for (report, _) in &done {
        if site.director.catalog.has(report.id.0) {
            for volume in site.director.catalog.volumes_of(report.id.0) {
                let holder = site.sdgroup.holder(&volume).await;
                assert_eq!(holder.as_ref(), Some(&site.home(report).settings().name));
            }
        }
    }
}

#[tokio::test]
async fn a_volume_that_the_operator_purged_is_written_again_by_whoever_gets_it() {
    let pool = Pool {
        maximum_volumes: NAMES.len(),
        ..Pool::endless(POOL)
    };
    let site = Site::new(plot(pool)).await;
    let (first, _) = back_up(site.director.clone(), 1).await;
    let volume = site.director.catalog.volumes_of(first.id.0)[0].clone();
    site.director.catalog.purge(&volume);
    let mut done = Vec::new();
    for seed in 2..8 {
        done.push(back_up(site.director.clone(), seed).await);
    }
    site.assert_volumes_stayed_home();
    let kept = done
        .iter()
        .filter(|(report, _)| site.director.catalog.has(report.id.0))
        .count();
    assert_eq!(kept, done.len());
    assert_eq!(restore_all(&site, &done).await, done.len());
}

/// What the job wrote is on the only volume of that name which is not stale.
async fn assert_written_at(site: &Site, report: &Report, storage: &str) {
    assert_eq!(site.home(report).settings().name, storage);
    for volume in site.director.catalog.volumes_of(report.id.0) {
        assert_eq!(site.sdgroup.holder(&volume).await.as_deref(), Some(storage), "{volume}");
    }
}

fn mark_all_full(site: &Site) {
    for media in site.director.catalog.media() {
        let full = |media: &mut Media| "Full".clone_into(&mut media.status);
        site.director.catalog.change(&media.name, full);
    }
}

#[tokio::test]
async fn what_is_purged_for_a_job_is_written_by_it_also_where_it_may_not_be_recycled() {
    let pool = Pool {
        maximum_volumes: 2,
        keeps_volumes: true,
        ..Pool::endless(POOL)
    };
    let site = Site::new(plot(pool)).await;
    let done = back_up_all(&site, 2, 1).await;
    let oldest = site.director.catalog.volumes_of(done[0].0.id.0)[0].clone();
    mark_all_full(&site);
    let purge = |pool: &mut Pool| pool.oldest = Oldest::Purged;
    site.director.catalog.change_pool(POOL, purge);

    let (report, records) = back_up(site.director.clone(), 7).await;

    assert_written_at(&site, &report, "File6").await;
    assert!(
        report.told.says(&["moves from File4 to File6"]),
        "{:?}",
        report.told.log
    );
    assert_eq!(site.director.catalog.purged(), [oldest]);
    assert_eq!(
        site.director.catalog.volumes_of(report.id.0),
        site.director.catalog.purged()
    );
    assert!(!site.director.catalog.has(done[0].0.id.0));
    assert_eq!(restore_all(&site, &done).await, 1);
    assert_eq!(restore_all(&site, &[(report, records)]).await, 1);
}

#[tokio::test]
async fn a_volume_whose_retention_has_passed_is_written_again_and_no_other() {
    for auto_prune in [true, false] {
        let pool = Pool {
            maximum_volumes: 3,
            auto_prune,
            // Where it is not looked for what has expired, the oldest is, if it has.
            oldest: Oldest::Recycled,
            ..Pool::endless(POOL)
        };
        let site = Site::new(plot(pool)).await;
        let done = back_up_all(&site, 3, 1).await;
        mark_all_full(&site);

        let plan = Plan::backup("Homeless", POOL);
        let (report, client) = soon("the job", site.director.back_up(&plan, &done[0].1)).await.unwrap();
        assert!(
            client.is_err() && report.told.says(&["an operator is needed"]),
            "{:?}",
            report.told.log
        );
        assert_eq!(restore_all(&site, &done).await, 3);
        // A simulated storage takes a volume that it has read for one that it may write.
        mark_all_full(&site);

        let volume_of = |(report, _): &(Report, _)| site.director.catalog.volumes_of(report.id.0)[0].clone();
        let volumes: Vec<String> = done.iter().map(volume_of).collect();
        site.director
            .catalog
            .change(&volumes[0], |media| media.last_written = 1_000);
        for volume in &volumes[..2] {
            site.director.catalog.change(volume, |media| media.expired = true);
        }
        let (report, records) = back_up(site.director.clone(), 7).await;
        // Of two that have expired, the younger is on the storage that asks.
        let written = volumes[usize::from(!auto_prune)].clone();
        assert_eq!(site.director.catalog.volumes_of(report.id.0), [written]);
        assert_eq!(
            report.told.says(&[" moves from "]),
            !auto_prune,
            "{:?}",
            report.told.log
        );
        assert!(site.director.catalog.has(done[2].0.id.0));
        assert_eq!(restore_all(&site, &[(report, records)]).await, 1);
    }
}

#[tokio::test]
async fn the_oldest_volume_stays_with_the_job_that_writes_it() {
    let pool = Pool {
        maximum_volumes: 1,
        ..Pool::endless(POOL)
    };
    let plot = Plot {
        policy: "LeastUsed",
        ..plot(pool)
    };
    let site = Site::new(plot).await;
    let (first, _) = back_up(site.director.clone(), 1).await;
    let home = site.home(&first);
    let before = home.reached(Point::Written);
    home.hold(Point::Written);
    let running = tokio::spawn(back_up(site.director.clone(), 2));
    home.until_reached(Point::Written, before + 1).await;
    let purge = |pool: &mut Pool| pool.oldest = Oldest::Purged;
    site.director.catalog.change_pool(POOL, purge);

    // It begins on a storage without a volume of its own, and ends where the only one is.
    let last = tokio::spawn(back_up(site.director.clone(), 3));
    home.until_reached(Point::Written, before + 2).await;
    home.release(Point::Written);
    let done = [running.await.unwrap(), last.await.unwrap()];

    assert!(
        done[1].0.told.says(&["no volume of its own"]),
        "{:?}",
        done[1].0.told.log
    );
    for (report, _) in &done {
        assert_written_at(&site, report, &home.settings().name).await;
    }
    assert_eq!(restore_all(&site, &done).await, 2);
    // Nothing was purged but the jobs that were over, which is what Bacula does alone when two devices share a pool.
    assert_eq!(site.director.catalog.purged(), [""; 0]);
    assert!(!site.director.catalog.has(first.id.0));
}

#[tokio::test]
async fn in_the_middle_of_a_job_a_dead_volume_moves_and_without_one_an_operator_is_needed() {
    let pool = Pool {
        maximum_volumes: NAMES.len(),
        ..Pool::endless(POOL)
    };
    let site = Site::new(plot(pool)).await;
    let done = back_up_all(&site, 3, 1).await;
    let dead = site.director.catalog.volumes_of(done[1].0.id.0)[0].clone();
    site.director.catalog.purge(&dead);
    let large = files(
        9,
        Amount {
            files: 12,
            ..Amount::SMALL
        },
    );

    let plan = Plan::backup("Large", POOL);
    let (report, client) = soon("the job", site.director.back_up(&plan, &large)).await.unwrap();
    client.unwrap();
    assert_written_at(&site, &report, "File4").await;
    assert!(
        report.told.says(&[&dead, "moves from File5 to File4"]),
        "{:?}",
        report.told.log
    );
    assert_eq!(restore_all(&site, &done).await, 2);
    assert_eq!(restore_all(&site, &[(report, large.clone())]).await, 1);

    let (report, client) = soon("the job", site.director.back_up(&plan, &large)).await.unwrap();
    assert!(client.is_err());
    assert_eq!(report.status(), Some(JobStatus::FatalError));
    assert!(report.told.says(&["no volume of File6's own"]), "{:?}", report.told.log);
}

/// Labels volumes on this storage, as the operator does.
async fn label_many(site: &Site, storage: &str, pool: &str, count: u32) {
    for number in 0..count {
        let name = format!("Spare-{}-{number:03}", &storage[4..]);
        let label = format!("label {storage}/Changer VolumeName={name} PoolName={pool} MediaType=File Slot=0 drive=0");
        let said = site.director.console(&label).await.unwrap().join("");
        assert!(said.starts_with("3000 OK label"), "{said}");
        site.director.catalog.add_labelled(pool, &name, 217);
    }
}

#[tokio::test]
async fn a_storage_finds_its_own_among_any_number_of_unused_volumes() {
    let pool = Pool {
        label_format: None,
        ..Pool::endless(POOL)
    };
    let plot = Plot {
        policy: "ListedOrder",
        ..plot(pool)
    };
    let site = Site::new(plot).await;
    for (storage, count) in [("File6", MAX_GATHERED + 10), ("File4", 1)] {
        label_many(&site, storage, POOL, count).await;
    }

    let (report, records) = back_up(site.director.clone(), 1).await;

    assert_written_at(&site, &report, "File4").await;
    assert_eq!(restore_all(&site, &[(report, records)]).await, 1);
}

#[tokio::test]
async fn a_pool_takes_no_more_from_scratch_than_the_bound_for_storages_that_have_it() {
    let pool = Pool {
        label_format: None,
        ..Pool::endless(POOL)
    };
    let plot = Plot {
        policy: "ListedOrder",
        ..plot(pool)
    };
    let site = Site::new(plot).await;
    let labelled = MAX_GATHERED + 10;
    label_many(&site, "File6", SCRATCH, labelled).await;

    let (report, records) = back_up(site.director.clone(), 1).await;

    assert_written_at(&site, &report, "File6").await;
    let media = site.director.catalog.media();
    let taken = media.iter().filter(|media| media.pool == POOL).count();
    assert_eq!(taken, MAX_GATHERED as usize);
    assert_eq!(restore_all(&site, &[(report, records)]).await, 1);
    // They serve the storage that has them.
    mark_all_full(&site);
    for name in ["Spare-6-007", "Spare-6-008"] {
        let open = |media: &mut Media| "Append".clone_into(&mut media.status);
        site.director.catalog.change(name, open);
    }
    let (report, _) = back_up(site.director.clone(), 2).await;
    assert_eq!(site.director.catalog.volumes_of(report.id.0), ["Spare-6-007"]);
}

#[tokio::test]
async fn a_volume_that_only_one_storage_can_have_is_not_read_elsewhere() {
    let site = Site::new(plot(Pool::endless(POOL))).await;
    let done = back_up_all(&site, 3, 1).await;
    let (report, _) = &done[1];
    let home = site.home(report);
    home.die().await;
    let (plan, wanted) = (Plan::restore(POOL), [report.id]);
    let refused = soon("the refusal", site.director.restore(&plan, &wanted))
        .await
        .unwrap_err();
    let said = refused.to_string();
    assert!(said.contains(&home.settings().name), "{said}");
    for storage in &site.storages {
        assert_eq!(storage.missing(), [""; 0]);
    }
    home.listen_again();
}

#[tokio::test]
async fn a_volume_that_nobody_is_known_to_hold_is_named_at_once() {
    let site = Site::new(plot(Pool::endless(POOL))).await;
    let done = back_up_all(&site, 1, 1).await;
    let volume = site.director.catalog.volumes_of(done[0].0.id.0)[0].clone();
    let name = sdgroup::types::VolumeName::new(&volume).unwrap();
    site.sdgroup.context.ledger.forget(&name).await.unwrap();
    let (plan, wanted) = (Plan::restore(POOL), [done[0].0.id]);
    let refused = soon("the refusal", site.director.restore(&plan, &wanted))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains(&volume), "{refused}");
    site.until_quiet(&[&done[0].0]).await;
}
