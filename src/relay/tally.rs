//! How many bytes have passed.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes that one relay has handed to the kernel for each side, or to TLS: then as they were before encryption.
/// Readable at any time while the relay runs, from any thread: one that no longer grows tells that nothing moves.
#[derive(Debug, Default)]
pub struct Tally {
    to_far: AtomicU64,
    to_near: AtomicU64,
}

impl Tally {
    /// Bytes sent to the far side, first bytes included.
    #[must_use]
    pub fn to_far(&self) -> u64 {
        self.to_far.load(Ordering::Relaxed)
    }

    /// Bytes sent to the near side, first bytes included.
    #[must_use]
    pub fn to_near(&self) -> u64 {
        self.to_near.load(Ordering::Relaxed)
    }

    /// Counts bytes that went to the near side by another way than a relay.
    pub fn add_to_near(&self, bytes: usize) {
        self.to_near.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn far(&self) -> &AtomicU64 {
        &self.to_far
    }

    pub(super) fn near(&self) -> &AtomicU64 {
        &self.to_near
    }
}

/// Where one direction counts: for its relay, and for the way which its bytes take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count<'a> {
    pub(super) relay: &'a AtomicU64,
    pub(super) way: &'a AtomicU64,
}

impl Count<'_> {
    /// First bytes, which take no way of the pool's.
    pub(super) fn first(self, bytes: usize) {
        self.relay.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn add(self, bytes: usize) {
        self.first(bytes);
        self.way.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directions_are_counted_apart() {
        let tally = Tally::default();
        let way = AtomicU64::new(0);
        let (far, near) = (tally.far(), tally.near());
        Count { relay: far, way: &way }.add(3);
        Count { relay: near, way: &way }.add(5);
        Count { relay: far, way: &way }.first(40);
        assert_eq!((tally.to_far(), tally.to_near()), (43, 5));
        assert_eq!(way.into_inner(), 8);
    }
}
