//! The recipes of `deploy/ha`, run as they lie there: with real Directors, Clients and storages (15.0.3) and a real
//! PostgreSQL. Every host is an address of the loopback network and a folder.

// A test that cannot go on says so; what the documents tell of seconds is printed here.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "../lab/mod.rs"]
mod lab;

mod address;
mod catalog;
mod config;
mod copies;
mod host;
mod postgres;
mod several;
mod site;
mod takeover;

/// Bacula's release in these tests.
const BACULA: lab::packages::Release = lab::packages::Release::Trixie;

/// The daemon under test, as cargo has built it for these tests.
const SDGROUP: &str = env!("CARGO_BIN_EXE_sdgroup");
