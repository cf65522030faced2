//! What is seen of a data connection while it lasts: its bytes in the metrics, how fast they pass, and what they add to
//! the pace of its storage.

use std::time::Instant;

use super::super::context::Context;
use super::super::rates::Rate;
use super::super::routes::Counted;
use crate::relay::Tally;
use crate::telemetry::meters::{RelayMeter, StorageMeters};
use crate::types::StorageName;

/// Shows what a data connection moves to and from one storage; dropped, it shows the last of it.
pub(super) struct Shown<'a> {
    context: &'a Context,
    storage: &'a StorageName,
    tally: &'a Tally,
    meter: RelayMeter,
    counted: Counted,
}

impl<'a> Shown<'a> {
    /// Begins with what `tally` counts from now on.
    pub(super) fn new(context: &'a Context, storage: &'a StorageName, tally: &'a Tally, counted: Counted) -> Self {
        Self {
            meter: StorageMeters::new(storage).relay(tally.to_far(), tally.to_near()),
            context,
            storage,
            tally,
            counted,
        }
    }

    /// Shows how far it is. To be called every [`ADD_EVERY`](super::super::rates::ADD_EVERY).
    pub(super) fn show(&mut self) {
        let (to_storage, from_storage) = self.meter.observe(self.tally.to_far(), self.tally.to_near());
        let passed = Rate {
            to_storage,
            from_storage,
        };
        self.context.rates.add(self.storage, passed, Instant::now());
        self.counted.count();
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.show();
    }
}
