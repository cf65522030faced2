//! Every kind of store, held to the same, and several sdgroups that share a real PostgreSQL, between simulated daemons and real ones.

// A test that cannot go on says so.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]
// The simulated site and the lab both need ports.
#![allow(clippy::duplicate_mod)]

#[allow(dead_code, reason = "most of it is for tests/it")]
#[path = "../it/harness/mod.rs"]
mod harness;
#[path = "../lab/mod.rs"]
mod lab;
#[allow(dead_code, reason = "most of it is for tests/it")]
#[path = "../it/peers/mod.rs"]
mod peers;

mod database;
mod figures;
mod file;
mod fleet;
mod fleet_real;
mod identity;
mod outage;
mod same;
mod sharing;
mod tls;

/// Bacula's release in these tests.
const BACULA: lab::packages::Release = lab::packages::Release::Trixie;

/// The daemon under test, as cargo has built it for these tests.
const SDGROUP: &str = env!("CARGO_BIN_EXE_sdgroup");
