//! A job's place on a storage: held for as long as the job lasts, given back by being dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::clock::now;
use super::live::StorageLive;
use super::member::MemberId;

/// How many bytes a job has moved so far, each way.
#[derive(Debug, Default)]
pub(super) struct Moved {
    to_storage: AtomicU64,
    from_storage: AtomicU64,
}

impl Moved {
    pub(super) fn to_storage(&self) -> u64 {
        self.to_storage.load(Ordering::Relaxed)
    }

    /// Both ways.
    pub(super) fn in_all(&self) -> u64 {
        self.to_storage()
            .saturating_add(self.from_storage.load(Ordering::Relaxed))
    }
}

/// One place on a storage. Dropping it gives the place back and to the next job that waits for it.
#[derive(Debug)]
#[must_use = "the place is given back as soon as the slot is dropped"]
pub struct Slot {
    live: Arc<StorageLive>,
    /// The number of the job's placement.
    number: u64,
    moved: Arc<Moved>,
    is_over: bool,
}

impl Slot {
    /// For a place that was taken under the lock.
    pub(super) fn new(live: Arc<StorageLive>, number: u64, moved: Arc<Moved>) -> Self {
        Self {
            live,
            number,
            moved,
            is_over: false,
        }
    }

    /// Where the place is.
    #[must_use]
    pub fn storage(&self) -> &Arc<StorageLive> {
        &self.live
    }

    /// The job has moved so many bytes by now, since its start.
    pub fn moved(&self, to_storage: u64, from_storage: u64) {
        self.moved.to_storage.store(to_storage, Ordering::Relaxed);
        self.moved.from_storage.store(from_storage, Ordering::Relaxed);
    }

    /// The job has left for another storage: until the place is given back it counts for this one alone, no longer for
    /// the job's group and Director.
    pub fn leave(&self) {
        self.live.board.lock().leave_place(self.live.id, self.number, now());
    }

    /// Where the place is in the table.
    pub(super) fn place(&self) -> (MemberId, u64) {
        (self.live.id, self.number)
    }

    /// Gives the place back at `now`, where that is not the present.
    pub fn end(mut self, now: Instant) {
        self.release(now);
    }

    fn release(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.live.board.lock().release(self.live.id, self.number, now);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_over {
            self.release(now());
        }
    }
}
