//! What traffic and probes see of a storage, told and remembered.

use std::time::{Duration, Instant};

use super::context::Context;
use super::error::StorageError;
use crate::group::{Availability, Cause, Directory, Layer, ProbeFailure, Probed};
use crate::telemetry::event::{ProbeDone, ProbeNotMade, StorageEjected, StorageFlipped, StorageReadmitted};
use crate::types::StorageName;

/// A storage failed what it was asked to do.
pub(super) fn failed(context: &Context, storage: &StorageName, error: &StorageError, now: Instant) {
    if !error.ejects() {
        return;
    }
    let Some(live) = context.directory.storage_of_job(storage) else {
        return;
    };
    let cause = error.label();
    if let Some(ejected) = live.observe_failure(Cause::new(cause, error.to_string()), now) {
        StorageEjected {
            storage,
            cause,
            failures: ejected.count,
            duration: ejected.length,
        }
        .emit();
    }
}

/// A storage did what it was asked to do.
pub(super) fn succeeded(context: &Context, storage: &StorageName, now: Instant) {
    if let Some(live) = context.directory.storage_of_job(storage) {
        live.observe_success(now);
    }
}

/// A probe of a storage, which took so long, has its outcome.
pub fn probed(
    directory: &Directory,
    storage: &StorageName,
    outcome: Result<Probed, ProbeFailure>,
    took: Duration,
    now: Instant,
) {
    let Some(live) = directory.storage(storage) else { return };
    let (label, detail) = match &outcome {
        Ok(_) => ("ok", String::new()),
        Err(failure) => (failure.layer.as_str(), failure.text.to_string()),
    };
    ProbeDone {
        storage,
        outcome: label,
        detail: &detail,
        duration: took,
    }
    .emit();
    if matches!(&outcome, Err(failure) if failure.layer == Layer::Exhausted) {
        ProbeNotMade {
            storage,
            reason: &detail,
        }
        .emit();
    }
    let observed = live.observe_probe(outcome, now);
    if let Some(flip) = observed.flip {
        let up = flip.to == Availability::Up;
        let reason = if up { "its probes succeed" } else { &detail };
        StorageFlipped { storage, up, reason }.emit();
    }
    if observed.readmitted {
        StorageReadmitted { storage }.emit();
    }
}
