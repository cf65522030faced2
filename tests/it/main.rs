//! sdgroup between simulated daemons, all in one process: a Director with its catalog, Clients and storages that
//! speak the protocol of 9.6 for real. What real daemons cannot be made to do on command is tested here: hundreds of
//! jobs at once, faults at a chosen step, strangers, orders of events.

// A test that cannot go on says so.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

mod harness;
mod peers;

mod blame;
mod called;
mod cancel;
mod console;
mod direct;
mod ends;
mod failover;
mod fairness;
mod faults;
mod guard;
mod handover;
mod hostile;
mod in_turn;
mod moved;
mod names;
mod ports;
mod predecessors;
mod process;
mod queue;
mod reads;
mod reload;
mod scale;
