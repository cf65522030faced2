//! What came of one probe.

use std::time::Duration;

use crate::group::{Layer, ProbeFailure, Probed};
use crate::types::Space;

/// What came of one probe of one storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// From the start of dialling to the end, whatever the end was.
    pub took: Duration,
    /// What was found, or how far it came and why not further.
    pub result: Result<Probed, ProbeFailure>,
}

impl Outcome {
    /// A probe that found the storage at work.
    pub(super) fn good(storage_version: u32, space: Option<Space>, took: Duration) -> Self {
        Self {
            took,
            result: Ok(Probed {
                storage_version,
                space,
                took,
            }),
        }
    }

    /// A probe that failed at `layer`.
    pub(super) fn bad(layer: Layer, text: String, took: Duration) -> Self {
        Self {
            took,
            result: Err(ProbeFailure {
                layer,
                text: text.into(),
            }),
        }
    }

    /// A word for metrics; one of a fixed set.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match &self.result {
            Ok(_) => "ok",
            Err(failure) => failure.layer.as_str(),
        }
    }
}
