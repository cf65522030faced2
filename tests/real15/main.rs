//! The scenarios of `tests/real` again with Bacula 15.0.3, in TLS as it comes, and what only it has.

// A test that cannot go on says so.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../lab/mod.rs"]
mod lab;

#[path = "../real/adopt.rs"]
mod adopt;
#[path = "../real/baseline.rs"]
mod baseline;
#[path = "../real/called.rs"]
mod called;
#[path = "../real/cancel.rs"]
mod cancel;
#[path = "../real/certificates.rs"]
mod certificates;
#[path = "../real/compression.rs"]
mod compression;
#[path = "../real/console.rs"]
mod console;
#[path = "../real/copy.rs"]
mod copy;
#[path = "../real/failover.rs"]
mod failover;
#[path = "../real/figures.rs"]
mod figures;
#[path = "../real/handover.rs"]
mod handover;
#[path = "../real/in_turn.rs"]
mod in_turn;
#[path = "../real/kinds.rs"]
mod kinds;
#[path = "../real/locality.rs"]
mod locality;
#[path = "../real/moved.rs"]
mod moved;
#[path = "../real/peer.rs"]
mod peer;
#[path = "../real/placement.rs"]
mod placement;
#[path = "../real/policies.rs"]
mod policies;
#[path = "../real/pools.rs"]
mod pools;
#[path = "../real/probe.rs"]
mod probe;
#[path = "../real/refusal.rs"]
mod refusal;
#[path = "../real/rerun.rs"]
mod rerun;
#[path = "../real/restore.rs"]
mod restore;
#[path = "../real/room.rs"]
mod room;
#[path = "../real/shared_media_type.rs"]
mod shared_media_type;
#[path = "../real/shutdown.rs"]
mod shutdown;
#[path = "../real/spool.rs"]
mod spool;
#[path = "../real/states.rs"]
mod states;

mod free_space;
mod full_disk;
mod protect;
mod releases;
mod tls;
mod wire;

/// Bacula's release in these tests.
const BACULA: lab::packages::Release = lab::packages::Release::Trixie;
/// What its Directors call storages with.
const RELEASE: sdgroup::types::Release = sdgroup::types::Release::V15;

/// What the Director itself adds to a job that no storage has begun: it waits that long for a thread which it has not
/// started, also with a real storage that refuses.
const DIRECTORS_OWN: std::time::Duration = std::time::Duration::from_secs(30);
/// What its job log says of a wrong password.
const WRONG_PASSWORD: &str = "TLS Connect failure. Check the passwords.";

/// The daemon under test, as cargo has built it for these tests.
const SDGROUP: &str = env!("CARGO_BIN_EXE_sdgroup");
