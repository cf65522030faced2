//! A job's place on a storage: held for as long as the job lasts, given back by being dropped.

use std::sync::Arc;

use super::live::StorageLive;
use super::queue::now;

/// One place on a storage. Dropping it gives the place back and to the next job that waits for it.
#[derive(Debug)]
#[must_use = "the place is given back as soon as the slot is dropped"]
pub struct Slot {
    live: Arc<StorageLive>,
}

impl Slot {
    /// For a place that was taken under the lock.
    pub(super) fn new(live: Arc<StorageLive>) -> Self {
        Self { live }
    }

    /// Where the place is.
    #[must_use]
    pub fn storage(&self) -> &Arc<StorageLive> {
        &self.live
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.live.board.lock().release(self.live.id, now());
    }
}
