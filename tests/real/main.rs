//! What sdgroup is for, seen with real Bacula daemons: a Director, a Client and three storages of Debian's
//! packages, with sdgroup between them. Every test has a lab of its own.

// A test that cannot go on says so.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../browser/mod.rs"]
mod browser;
#[path = "../lab/mod.rs"]
mod lab;

mod adopt;
mod baseline;
mod called;
mod cancel;
mod certificates;
mod compression;
mod console;
mod copy;
mod dashboard;
mod demo;
mod failover;
mod figures;
mod handover;
mod in_turn;
mod kinds;
mod locality;
mod moved;
mod pages;
mod peer;
mod placement;
mod policies;
mod pools;
mod probe;
mod refusal;
mod reload;
mod rerun;
mod restore;
mod room;
mod sessions;
mod shared_media_type;
mod shutdown;
mod spool;
mod states;
mod strangers;

/// Bacula's release in these tests.
const BACULA: lab::packages::Release = lab::packages::Release::Bookworm;
/// What its Directors call storages with.
const RELEASE: sdgroup::types::Release = sdgroup::types::Release::V9;

/// What the Director itself adds to a job that no storage has begun.
const DIRECTORS_OWN: std::time::Duration = std::time::Duration::ZERO;
/// What its job log says of a wrong password.
const WRONG_PASSWORD: &str = "nable to authenticate with Storage";

/// The daemon under test, as cargo has built it for these tests.
const SDGROUP: &str = env!("CARGO_BIN_EXE_sdgroup");
