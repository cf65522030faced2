//! Devices: which volume is in one, and how many jobs use it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) name: String,
    state: Mutex<Loaded>,
    /// One job at a time changes the volume or writes to it.
    pub(super) writing: tokio::sync::Mutex<()>,
}

/// What a device has to do.
#[derive(Debug, Clone, Default)]
pub(super) struct Loaded {
    /// The volume in it, or the one that it is reserved for.
    pub(super) volume: Option<String>,
    /// The volume has been opened and its label checked.
    pub(super) mounted: bool,
    pub(super) pool: String,
    pub(super) writers: usize,
    pub(super) readers: usize,
}

impl Device {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            state: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is in it, nobody uses it.
    pub(super) fn clear(&self) {
        *self.loaded() = Loaded::default();
    }
}
