//! Kinds of jobs beside the plain backup and the restore: on one storage by its device, VirtualFull, the levels of
//! Verify, clones.

use std::fs;

use crate::SDGROUP;
use crate::lab::resources::COPIES;
use crate::lab::tree::checksum;
use crate::lab::vault::barcode;
use crate::lab::{JOB_WITHIN, Plan, Words};

#[test]
fn a_job_whose_storage_resource_names_a_device_of_one_storage_stays_there() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.vaults = true;
    let source = plan.tree("Docs", 140);
    let mut lab = plan.start(SDGROUP);

    let report = lab.wait(lab.run_job_with("Docs", "Full", "pool=Only-File5"));
    assert_eq!(report.must_be_ok().only_storage(), "File5");
    lab.must_restore(&[report.id], &source, &checksum(&source));

    // Nowhere else, also when it cannot be there.
    lab.storage("File5").kill();
    let report = lab.wait(lab.run_job_with("Docs", "Full", "pool=Only-File5"));
    report.must_have_failed().log_must_say("File5");
    assert_eq!(report.volumes, [""; 0]);
}

#[test]
fn jobs_write_on_the_tapes_of_one_storages_changer_and_are_restored_from_there() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.vaults = true;
    plan.words = Words::Own;
    let source = plan.tree("Docs", 144);
    let lab = plan.start(SDGROUP);
    lab.console(&[
        "label barcodes storage=Vault-File5 pool=Vault-File5 drive=0 slots=1-3",
        "yes",
    ]);

    let first = lab.wait(lab.run_job_with("Docs", "Full", "pool=Vault-File5"));
    // The one that was labelled last is in the drive. It is full then, and the next job has another one loaded.
    assert_eq!(first.must_be_ok().volumes, [barcode("File5", 3)]);
    lab.console(&[&format!("update volume={} volstatus=Full", first.volumes[0])]);
    fs::write(source.join("added"), "since the full").unwrap();
    let second = lab.wait(lab.run_job_with("Docs", "Incremental", "pool=Vault-File5"));
    assert_eq!(second.must_be_ok().volumes, [barcode("File5", 1)]);

    lab.must_restore(&[first.id, second.id], &source, &checksum(&source));
}

/// A Director merges backups into a new one, which the Pool's `Next Pool` takes.
fn plan_of_virtual_full(policy: &'static str) -> Plan {
    let mut plan = Plan::with_policy(policy);
    plan.pool.push(("Next Pool", COPIES.to_owned()));
    plan
}

#[test]
fn a_virtual_full_is_made_where_its_parts_are() {
    let mut plan = plan_of_virtual_full("ListedOrder");
    let source = plan.tree("Docs", 141);
    let mut lab = plan.start(SDGROUP);
    // The first storage that the policy would choose is not the one that has the parts.
    lab.storage("File4").kill();
    lab.job("Docs", "Full").must_be_ok();
    fs::write(source.join("added"), "since the full").unwrap();
    let incremental = lab.job("Docs", "Incremental");
    assert_eq!(incremental.must_be_ok().only_storage(), "File5");
    lab.storage("File4").start();

    let merged = lab.job("Docs", "VirtualFull");

    assert_eq!(merged.must_be_ok().only_storage(), "File5");
    assert!(merged.volumes[0].starts_with("Copied-"), "{:?}", merged.volumes);
    lab.must_restore(&[merged.id], &source, &checksum(&source));
}

#[test]
fn a_virtual_full_of_parts_on_several_storages_is_refused_with_where_they_are() {
    let mut plan = plan_of_virtual_full("RoundRobin");
    let source = plan.tree("Docs", 142);
    let lab = plan.start(SDGROUP);
    let full = lab.job("Docs", "Full");
    fs::write(source.join("added"), "since the full").unwrap();
    let incremental = lab.job("Docs", "Incremental");

    let merged = lab.job("Docs", "VirtualFull");

    merged.must_have_failed();
    for part in [&full, &incremental] {
        merged
            .log_must_say(&part.must_be_ok().volumes[0])
            .log_must_say(part.only_storage());
    }
    merged.log_must_say("makes a VirtualFull, reads from one storage only");
    lab.must_restore(&[full.id, incremental.id], &source, &checksum(&source));
}

#[test]
fn every_level_of_verify_finds_the_backup() {
    let mut plan = Plan::with_policy("RoundRobin");
    let source = plan.tree("Docs", 143);
    let lab = plan.start(SDGROUP);
    let backup = lab.job("Docs", "Full");
    lab.job("Docs", "Full").must_be_ok();

    for level in ["VolumeToCatalog", "Data"] {
        let report = lab.job("Verify-Docs", level);
        assert_eq!(report.must_be_ok().files, backup.files, "{level}: {}", report.log);
    }
    lab.job("Verify-Docs", "DiskToCatalog").must_be_ok();
    // A level which looks at the disk finds what differs; the others do not.
    fs::write(source.join("added"), "since the backup").unwrap();
    let differs = lab.job("Verify-Docs", "DiskToCatalog");
    assert_ne!(differs.status, 'T', "{}", differs.log);
    lab.job("Verify-Docs", "Data").must_be_ok();
}

#[test]
fn clones_run_at_the_same_time_on_different_storages() {
    let mut plan = Plan::with_policy("LeastUsed");
    let mut gates = ["Slow1", "Slow2"].map(|name| plan.gate(name));
    plan.job_of.insert("Slow1", vec![("Run", "\"Slow2\"".to_owned())]);
    let mut lab = plan.start(SDGROUP);

    let first = lab.run_job("Slow1", "Full");
    for gate in &mut gates {
        gate.feed(200_000, JOB_WITHIN);
    }
    let metrics = lab.sdgroup().metrics();
    let most = ["File4", "File5", "File6"].map(|name| metrics.sum("sdgroup_storage_jobs", &[("storage", name)]));
    assert!(most.iter().all(|&jobs| jobs < 1.5), "{most:?}");
    gates.into_iter().for_each(crate::lab::tree::Gate::open);

    let first = lab.wait(first);
    let clone = lab.catalog().job_named("Slow2").expect("a clone");
    let clone = lab.wait(clone);
    assert_ne!(first.must_be_ok().only_storage(), clone.must_be_ok().only_storage());
}
