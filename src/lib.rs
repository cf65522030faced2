//! A storage-group load-balancing proxy for Bacula.
//!
//! sdgroup stands in front of several Bacula Storage Daemons and looks like one: it places each job on one of
//! them, fails over, and sends every restore to where the volumes are. `ARCHITECTURE.md` is the map; the modules
//! below are listed in the order in which they may depend on each other (a module may use those above it, never
//! those below it), and `tests/layering.rs` holds them to it.

pub mod types;

pub mod wire;

pub mod handshake;

pub mod net;

pub mod channel;

pub mod relay;

pub mod table;

pub mod config;

pub mod bacula;

pub mod telemetry;

pub mod group;

pub mod store;

pub mod simulate;

pub mod volumes;

pub mod probe;

pub mod session;

pub mod admin;

pub mod process;

pub mod cli;
