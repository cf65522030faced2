//! What an operator sees of a data connection while it lasts: its bytes in the metrics, and how fast they pass.

use std::time::Instant;

use super::super::context::Context;
use super::super::rates::Rate;
use crate::relay::Tally;
use crate::telemetry::meters::{RelayMeter, StorageMeters};
use crate::types::StorageName;

/// Carries what a data connection has moved to and from one storage into the metrics.
pub(super) struct Shown<'a> {
    context: &'a Context,
    storage: &'a StorageName,
    tally: &'a Tally,
    meter: RelayMeter,
}

impl<'a> Shown<'a> {
    /// Begins with what `tally` counts from now on.
    pub(super) fn new(context: &'a Context, storage: &'a StorageName, tally: &'a Tally) -> Self {
        Self {
            meter: StorageMeters::new(storage).relay(tally.to_far(), tally.to_near()),
            context,
            storage,
            tally,
        }
    }

    /// Shows how far it is. To be called every [`ADD_EVERY`](super::super::rates::ADD_EVERY), and at the end.
    pub(super) fn show(&mut self) {
        let (to_storage, from_storage) = self.meter.observe(self.tally.to_far(), self.tally.to_near());
        let passed = Rate {
            to_storage,
            from_storage,
        };
        self.context.rates.add(self.storage, passed, Instant::now());
    }
}
