//! Buffers that channels borrow while they have something in them. Most of many connections wait at any moment, and
//! one that waits holds none; one that is busy finds one that was used before, so that a packet more costs no
//! allocation.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

/// How much a buffer holds that was not made to grow, in bytes: what is read at once, and room for what is added to
/// it when it is passed on.
const ROOM: usize = super::packets::READ_BYTES + (16 << 10);

/// A buffer that has grown beyond this is not kept.
const MOST_ROOM: usize = 256 << 10;

/// How many are kept when nobody borrows them.
const KEPT: usize = 64;

static STOCK: Mutex<Vec<BytesMut>> = Mutex::new(Vec::new());

/// An empty buffer.
pub(super) fn borrow() -> BytesMut {
    let kept = stock().pop();
    kept.unwrap_or_else(|| BytesMut::with_capacity(ROOM))
}

/// Takes a buffer back, of which nothing is needed any more. One that somebody still has a part of is let go.
pub(super) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    if !buffer.try_reclaim(ROOM) || buffer.capacity() > MOST_ROOM {
        return;
    }
    let mut stock = stock();
    if stock.len() < KEPT {
        stock.push(buffer);
    }
}

/// What is kept is right after every single step, so a panic elsewhere while it was locked does not matter.
fn stock() -> MutexGuard<'static, Vec<BytesMut>> {
    STOCK.lock().unwrap_or_else(PoisonError::into_inner)
}
