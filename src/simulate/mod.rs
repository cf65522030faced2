//! What a history of jobs would have come to under another policy or another group: the very code that places jobs in
//! the daemon, with storages that are sums on paper and a clock that jumps from event to event.
//!
//! [`Job`]s come from a table, from sdgroup's own history or from [`generate`]; [`Hardware`] says how fast and how
//! large the storages are and when they fail; [`run`] plays one group under one policy and gives an [`Outcome`];
//! [`report`] and [`plot`] show several of them.

mod disk;
mod engine;
mod generate;
mod hardware;
mod history;
mod outcome;
pub mod plot;
pub mod report;
#[cfg(test)]
mod tests;

pub use engine::{RunError, run};
pub use generate::{Recipe, generate};
pub use hardware::{Failure, Hardware, HardwareError, Machine};
pub use history::{Job, Jobs, JobsError, from_records, read, write};
pub use outcome::{Outcome, Share, Waits};
