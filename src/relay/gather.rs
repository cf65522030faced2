//! Letting bytes gather before they are read.
//!
//! Each time that a relay is woken, and each time that it wakes the receiver, costs as much as moving some hundred KiB
//! (`benches/README.md`). So while much is coming, a direction is not woken for every piece of it but for about as much
//! as comes in two milliseconds; whatever is there after that time is moved all the same. A conversation of questions
//! and answers is not slowed down: what has come is then little, and nothing is waited for.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::net::low_water;

/// How long bytes may gather. Timers have a resolution of a millisecond.
const PATIENCE: Duration = Duration::from_millis(2);

/// Less than this, in bytes, is not worth waiting for.
const LEAST: usize = 64 << 10;

/// What one direction waits for.
#[derive(Debug)]
pub(super) struct Gather<'a> {
    from: &'a TcpStream,
    /// The most that is waited for, in bytes.
    most: usize,
    /// Waited for next; 0 for whatever comes.
    wanted: usize,
    /// What the kernel has been told to wait for.
    told: usize,
    /// Time has run out.
    late: bool,
}

impl<'a> Gather<'a> {
    /// Waits for whatever comes, and for up to `most` bytes once many come.
    pub(super) fn new(from: &'a TcpStream, most: usize) -> Self {
        Self {
            from,
            most,
            wanted: 0,
            told: 1,
            late: false,
        }
    }

    /// Waits until it is time to read.
    pub(super) async fn readable(&mut self) -> io::Result<()> {
        self.late = false;
        if self.wanted > 0 && self.tell(self.wanted) {
            match tokio::time::timeout(PATIENCE, self.from.readable()).await {
                Ok(ready) => return ready,
                Err(_elapsed) => self.late = true,
            }
        }
        self.tell(1);
        self.from.readable().await
    }

    /// So many bytes have been read.
    pub(super) fn read(&mut self, bytes: usize) {
        let in_time = self.wanted > 0 && !self.late;
        self.wanted = next(bytes, in_time.then_some(self.wanted), self.most);
    }

    /// Whether the kernel has been told.
    fn tell(&mut self, bytes: usize) -> bool {
        if self.told != bytes && low_water::set(self.from, bytes).is_ok() {
            self.told = bytes;
        }
        self.told == bytes
    }
}

/// What to wait for after `read` bytes; `met` is what was waited for if it came in time.
fn next(read: usize, met: Option<usize>, most: usize) -> usize {
    let next = met.map_or(read, |met| met.saturating_mul(2)).min(most);
    if next < LEAST { 0 } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 2 << 20;

    #[test]
    fn little_is_not_waited_for() {
        assert_eq!(next(0, None, MOST), 0);
        assert_eq!(next(LEAST - 1, None, MOST), 0);
        // Of a stream that has become slow.
        assert_eq!(next(100, None, MOST), 0);
    }

    #[test]
    fn what_comes_in_time_is_waited_for_twice_over_up_to_the_most() {
        assert_eq!(next(LEAST, None, MOST), LEAST);
        assert_eq!(next(3 * LEAST, Some(2 * LEAST), MOST), 4 * LEAST);
        assert_eq!(next(9 << 20, Some(MOST), MOST), MOST);
        assert_eq!(next(9 << 20, None, MOST), MOST);
    }

    #[test]
    fn what_does_not_come_in_time_is_waited_for_no_more() {
        assert_eq!(next(300 << 10, None, MOST), 300 << 10);
    }

    #[test]
    fn nothing_is_waited_for_where_that_is_not_wanted() {
        assert_eq!(next(9 << 20, None, 0), 0);
        assert_eq!(next(9 << 20, Some(MOST), 0), 0);
    }
}
