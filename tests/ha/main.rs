//! The recipes of `deploy/ha`, run as they lie there: with real Directors, Clients and storages (15.0.3) and a real
//! PostgreSQL. Every host is an address of the loopback network and a folder.

// A test that cannot go on says so.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../lab/mod.rs"]
mod lab;

mod postgres;

/// Bacula's release in these tests.
const BACULA: lab::packages::Release = lab::packages::Release::Trixie;
