//! A site of lean simulated daemons for benches: a Director and a storage that say what a job needs and no more, and
//! sdgroup as a process of its own. They cost little, so that sdgroup is what is measured, and many of them fit a
//! machine. (Those of `tests/it` keep catalogs, volumes and rules; they are for finding faults.)

// Several binaries share this module, and not all of them use all of it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for people who look at what it prints; any failure may end it"
)]

pub(crate) mod client;
pub(crate) mod director;
pub(crate) mod proxy;
pub(crate) mod storage;

#[path = "../../tests/lab/ports.rs"]
pub(crate) mod ports;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sdgroup::handshake::DirectorKey;
use sdgroup::types::{JobName, Release, Secret};
use sdgroup::wire::hello::ClientHello;
use sdgroup::wire::packet::Outbox;

/// The Director's name, at sdgroup and at the storages.
pub(crate) const DIRECTOR: &str = "bench-dir";
/// All passwords: nobody is kept out here.
pub(crate) const PASSWORD: &str = "bench";
/// All daemons are of this release, and none has TLS on its control connection.
pub(crate) const RELEASE: Release = Release::V15;

/// Lets this process have as many descriptors as the system allows one, and tells how many those are.
pub(crate) fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("a limit within what is allowed");
    limit.maximum.unwrap_or(u64::MAX)
}

fn key() -> DirectorKey {
    DirectorKey::new(&Secret::new(PASSWORD.to_owned()))
}

/// Bits for a challenge or a key.
fn random() -> [u8; 16] {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the system's random source");
    bits
}

/// The name of the job with this number.
pub(crate) fn job_name(number: u32) -> JobName {
    JobName::new(&format!("Bench.2026-11-23_00.20.37_{number:02}")).expect("a name")
}

/// What a Client says first on a data connection: that it will begin TLS. Whatever comes after it is taken for that,
/// and passed through.
pub(crate) fn client_hello(job: &JobName) -> Vec<u8> {
    let hello = ClientHello {
        job: job.clone(),
        fd_version: RELEASE.client_version(),
        sd_version: None,
        tls_psk: Some(100),
    };
    let mut outbox = Outbox::new();
    outbox.message(hello.to_line());
    outbox.take().to_vec()
}

/// A message in a packet that is compressed for the communication line, as daemons do it by default.
fn packed(text: &[u8]) -> Vec<u8> {
    const COMPRESSED: u32 = 1 << 30;
    let block = lz4_flex::block::compress(text);
    let length = u32::try_from(block.len()).expect("a short message");
    [&(length | COMPRESSED).to_be_bytes(), block.as_slice()].concat()
}

/// Packets in which a storage tells of so many files, with names of different lengths, some of them compressed.
pub(crate) fn attributes(packets: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for number in 0..packets {
        let name = "/home/somebody/with/a/folder/".repeat(1 + number % 9);
        let text = format!("UpdCat Job=Bench FileAttributes {name}{number}");
        if number % 3 == 0 {
            all.extend_from_slice(&packed(text.as_bytes()));
        } else {
            let mut outbox = Outbox::new();
            outbox.message(text);
            all.extend_from_slice(outbox.as_bytes());
        }
    }
    all
}
