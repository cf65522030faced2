//! Ranking allocates nothing. (A program of its own, without the threads of one that runs tests, because it counts the
//! allocations of a whole process.)

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and says how it went"
)]

use std::alloc::System;

use sdgroup::config::model::{PolicyName, Threshold};
use sdgroup::group::policy::{Candidate, Dice, Settings, hash_of, policy};
use sdgroup::group::{Pace, PlacementRequest};
use sdgroup::types::{ClientName, DirectorName, FileSetName, JobId, JobName, JobResourceName};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

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

fn main() {
    let (request, mut dice) = (request(), Dice::from_seed(7));
    let settings = Settings {
        threshold: Threshold::Share(0.1),
    };
    for name in PolicyName::ALL {
        let policy = policy(*name, &settings);
        for count in [1_u32, 3, 1000] {
            let mut candidates: Vec<_> = (0..count)
                .map(|at| Candidate {
                    listed: usize::try_from(at).unwrap(),
                    running: at * 7 % 5,
                    last_placed: u64::from(at * 13 % 11),
                    turn: u64::from(at * 5 % 7),
                    free: (at % 3 > 0).then_some(u64::from(at * 31 % 101)),
                    pace: (at % 4 > 0).then_some(Pace {
                        most: u64::from(at * 37 % 103),
                        ..Pace::default()
                    }),
                    hash: hash_of(&at.to_be_bytes()),
                    ..Candidate::default()
                })
                .collect();
            let region = Region::new(ALLOCATOR);
            for _ in 0..10 {
                policy.rank(&request, &mut candidates, &mut dice);
            }
            let change = region.change();
            assert_eq!(
                change.allocations + change.reallocations,
                0,
                "{name} of {count}: {change:?}"
            );
        }
    }
    println!("no policy allocates while it ranks ... ok");
}
