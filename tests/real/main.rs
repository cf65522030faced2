//! What sdgroup is for, seen with real Bacula daemons: a Director, a Client and three storages of Debian's
//! packages, with sdgroup between them. Every test has a lab of its own.

// A test that cannot go on says so.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../lab/mod.rs"]
mod lab;

mod baseline;
mod demo;
mod failover;
mod figures;
mod peer;
mod placement;
mod probe;
mod refusal;
mod restore;
mod shared_media_type;
mod shutdown;
mod strangers;

/// The daemon under test, as cargo has built it for these tests.
const SDGROUP: &str = env!("CARGO_BIN_EXE_sdgroup");
