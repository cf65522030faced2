//! Two Directors, each with a catalog of its own, on one group at the same time. That their jobs are counted together
//! shows `tests/real/placement.rs`.

use crate::SDGROUP;
use crate::lab::catalog::JobReport;
use crate::lab::resources::DIRECTOR;
use crate::lab::tree::checksum;
use crate::lab::{Lab, Plan};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Whose Jobs are whose: a job's unique name has no Director in it.
const JOBS: [&str; 2] = ["Docs", "Mail"];

/// A lab with two Directors and two storages, and what they back up.
fn two(seed: u64) -> (Lab, [PathBuf; 2]) {
    let mut plan = Plan::with_policy("LeastUsed");
    plan.storages = 2;
    plan.has_second_director = true;
    let sources = JOBS.map(|name| plan.tree(name, seed));
    (plan.start(SDGROUP), sources)
}

/// Two jobs of each Director, all at the same time.
fn four_jobs(lab: &mut Lab) -> [Vec<JobReport>; 2] {
    let running = JOBS.map(|name| {
        let jobs = [(); 2].map(|()| lab.run_job(name, "Full"));
        lab.change_director();
        jobs
    });
    running.map(|jobs| {
        let ended = jobs.map(|job| lab.wait(job)).to_vec();
        lab.change_director();
        ended
    })
}

fn must_restore_all(lab: &mut Lab, jobs: &[Vec<JobReport>; 2], sources: &[PathBuf; 2]) {
    for (jobs, source) in jobs.iter().zip(sources) {
        for job in jobs {
            lab.must_restore(&[job.must_be_ok().id], source, &checksum(source));
        }
        lab.change_director();
    }
}

/// The names of the volumes that a storage holds.
fn volumes(lab: &Lab, storage: usize) -> BTreeSet<String> {
    let files = lab.storages()[storage].volumes().read_dir().expect("the volumes");
    let names = files.map(|file| file.expect("a file").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn with_labels_of_their_own_no_volume_has_jobs_of_both() {
    let (mut lab, sources) = two(831);

    let jobs = four_jobs(&mut lab);

    let used = jobs
        .each_ref()
        .map(|jobs| jobs.iter().flat_map(|job| job.volumes.clone()).collect::<BTreeSet<_>>());
    assert!(!used[0].is_empty() && used[0].is_disjoint(&used[1]), "{used:?}");
    must_restore_all(&mut lab, &jobs, &sources);
}

#[test]
fn volumes_of_the_same_name_are_one_volume_on_one_storage() {
    let (mut lab, sources) = two(833);
    lab.change_director();
    let file = lab.folder().join("dir2/bacula-dir.conf");
    let text = fs::read_to_string(&file).expect("the second Director's configuration");
    assert!(
        text.contains("\"Second-\"") && !text.contains(&format!("{DIRECTOR}\n")),
        "{text}"
    );
    fs::write(&file, text.replace("\"Second-\"", "\"Vol-\"")).expect("the second Director's configuration");
    lab.director().restart();
    lab.change_director();

    let jobs = four_jobs(&mut lab);

    let both: Vec<_> = volumes(&lab, 0).intersection(&volumes(&lab, 1)).cloned().collect();
    assert!(both.is_empty(), "on two storages: {both:?}");
    must_restore_all(&mut lab, &jobs, &sources);
}
