//! What sdgroup tells: the structured log and the metrics, from one place, so that they cannot drift apart.
//!
//! [`event`] holds one type per thing worth telling; emitting it writes the log line and moves the metrics.
//! [`meters`] holds what is measured continuously, with handles that are resolved once. [`names`] is the list of
//! all metrics, [`codes`] that of all messages. [`log`] sets the log up. Code elsewhere calls neither the `tracing` nor
//! the `metrics` macros (`tests/layering.rs` sees to it); it emits events.

pub mod codes;
pub mod event;
mod limit;
pub mod log;
pub mod meters;
pub mod names;

#[cfg(test)]
pub(crate) mod testing;
