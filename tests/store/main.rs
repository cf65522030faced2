//! Every kind of store, held to the same, and several sdgroups that share a real PostgreSQL.

// A test that cannot go on says so.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../lab/mod.rs"]
mod lab;

mod database;
mod file;
mod identity;
mod outage;
mod same;
mod sharing;

/// Bacula's release in these tests.
const BACULA: lab::packages::Release = lab::packages::Release::Trixie;

/// The daemon under test, as cargo has built it for these tests.
const SDGROUP: &str = env!("CARGO_BIN_EXE_sdgroup");
