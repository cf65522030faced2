//! What it costs to place a job and to give the place back, by policy and by the size of the group.

// A bench that cannot be set up says so.
#![allow(clippy::unwrap_used)]
// criterion's macros make public functions.
#![allow(missing_docs)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sdgroup::config::model::PolicyName;
use sdgroup::config::{self, MachineSecrets};
use sdgroup::group::{Directory, Group, Placement, PlacementRequest, Probed, Tried};
use sdgroup::types::{Bytes, ClientName, DirectorName, FileSetName, GroupName, JobId, JobName, JobResourceName, Space};

fn directory(members: usize, policy: PolicyName) -> Arc<Directory> {
    let mut text = String::from(
        "[[Listen]]\nAddress = \"127.0.0.1\"\nSDPort = 9103\nGroup = \"Files\"\n\
         [[Director]]\nName = \"dir\"\nPassword = \"a long enough password\"\n",
    );
    let mut names = Vec::new();
    for at in 0..members {
        write!(
            text,
            "[[Storage]]\nName = \"S{at}\"\nAddress = \"s{at}.example\"\nPassword = \"a long enough password\"\n"
        )
        .unwrap();
        names.push(format!("\"S{at}\""));
    }
    let names = names.join(", ");
    write!(
        text,
        "[[Group]]\nName = \"Files\"\nStorages = [{names}]\nStorageGroupPolicy = \"{policy}\"\n"
    )
    .unwrap();
    let loaded = config::compile(&text, Path::new("bench.toml"), &MachineSecrets::new()).unwrap();
    Directory::seeded(&loaded.model, 1)
}

fn request() -> PlacementRequest {
    PlacementRequest {
        job_id: JobId(1),
        ..PlacementRequest::new(
            DirectorName::new("dir").unwrap(),
            JobName::new("Nightly.2026-11-23_00.20.37_03").unwrap(),
            JobResourceName::new("Nightly").unwrap(),
            ClientName::new("client").unwrap(),
            FileSetName::new("All").unwrap(),
        )
    }
}

/// Others run already, and the members have told their room and shown their pace, so that they differ in all that is
/// weighed.
fn busy(directory: &Directory, files: &Arc<Group>, request: &PlacementRequest) -> Vec<Placement> {
    let (now, tried) = (Instant::now(), Tried::new());
    let place = |_| directory.place(files, request, &tried, now).unwrap();
    directory.look_at_pace(now);
    let held: Vec<_> = (0..files.members().len() * 3 / 2).map(place).collect();
    for (at, placement) in (1..).zip(&held) {
        placement.slot.moved(at * 7_919 % 1_000 * 1_000_000, 0);
    }
    directory.look_at_pace(now + Duration::from_secs(5));
    for (at, live) in (1..).zip(files.members()) {
        let space = Space {
            free: Bytes(at * 104_729 % 1_000 * 1_000_000_000),
            total: Bytes(1_000_000_000_000),
        };
        let probed = Probed {
            storage_version: 30_008,
            space: Some(space),
            took: Duration::from_millis(2),
        };
        let _ = live.observe_probe(Ok(probed), now);
    }
    held
}

fn place_and_release(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("place_and_release");
    let name = GroupName::new("Files").unwrap();
    let request = request();
    for policy in PolicyName::ALL.iter().copied() {
        for members in [3, 100, 1000] {
            let directory = directory(members, policy);
            let files = directory.group(&name).unwrap();
            let held = busy(&directory, &files, &request);
            let id = BenchmarkId::new(policy.as_str(), members);
            group.bench_function(id, |bencher| {
                let now = Instant::now();
                bencher.iter(|| black_box(directory.place(&files, &request, &Tried::new(), now)).unwrap());
            });
            drop(held);
        }
    }
    group.finish();
}

criterion_group!(benches, place_and_release);
criterion_main!(benches);
