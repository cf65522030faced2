//! Pipes and buffers that relays borrow for as long as they hold bytes.
//!
//! What the kernel allows (pipe(7), fcntl(2)):
//!
//! - The size requested is not the size granted. `F_SETPIPE_SZ` rounds up to a power of two pages, refuses more than
//!   `fs.pipe-max-size` (1 MiB unless raised), and refuses to grow anything once the pipes of an unprivileged user
//!   have `fs.pipe-user-pages-soft` pages in all (16,384: 64 MiB). Above that line a new pipe has two pages, which
//!   is worse than no pipe at all.
//! - The size is a number of slots, not of bytes. A slot refers to a piece of a page or of several pages, so a pipe
//!   may be full with fewer bytes than its size or hold more. Nothing here compares bytes with the size.
//! - A pipe holds no pages while it is empty; a pool of empty pipes costs two descriptors and a few KiB each.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

/// What a pool may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    /// Bytes to ask for in each pipe.
    pub pipe_size: usize,
    /// Pipes that may be borrowed at once; 0 makes every relay copy.
    pub pipes: usize,
    /// Bytes in each buffer.
    pub buffer_size: usize,
    /// Pipes, and buffers, that are kept when nobody borrows them.
    pub idle: usize,
    /// The most bytes that a direction lets gather before it reads them; 0 makes it read whatever comes.
    pub gathered: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            pipe_size: 1 << 20,
            pipes: 256,
            buffer_size: 256 << 10,
            idle: 32,
            gathered: 2 << 20,
        }
    }
}

/// The smallest pipe worth having, in bytes. One of this size costs about as much CPU per byte as copying through a
/// buffer of 256 KiB; the two pages that are left to a user above the line cost twice that (`benches/README.md`).
const SMALLEST_PIPE: usize = 64 << 10;

/// A pipe, and how many bytes are in it. Dropped, it is closed, and the pool may make another.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) reader: OwnedFd,
    pub(super) writer: OwnedFd,
    pub(super) holds: usize,
    _place: Place,
}

impl Pipe {
    /// A new pipe and its size: the nearest to `asked` which the kernel grants.
    fn open(asked: usize, place: Place) -> Result<(Self, usize), Errno> {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        let mut wish = asked;
        while fcntl_setpipe_size(&writer, wish).is_err() && wish > SMALLEST_PIPE {
            wish /= 2;
        }
        let granted = fcntl_getpipe_size(&writer)?;
        let pipe = Self {
            reader,
            writer,
            holds: 0,
            _place: place,
        };
        Ok((pipe, granted))
    }
}

/// One of the pipes that a pool may have open.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let one_more = |taken: usize| (taken < limit).then_some(taken + 1);
        let took = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        took.is_ok().then(|| Self(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a pool has and has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolFigures {
    /// Pipes that exist now, borrowed or not.
    pub pipes_open: usize,
    /// Pipes that wait to be borrowed.
    pub pipes_idle: usize,
    /// Pipes made so far.
    pub pipes_made: u64,
    /// Of these, how many are smaller than was asked for.
    pub pipes_short: u64,
    /// How often a relay had to copy because no pipe could be had: all were borrowed, the pages of the user were
    /// used up, or descriptors were.
    pub shortages: u64,
    /// Buffers that wait to be borrowed.
    pub buffers_idle: usize,
    /// Buffers made so far.
    pub buffers_made: u64,
    /// Bytes that went through pipes.
    pub spliced_bytes: u64,
    /// Bytes that went through buffers.
    pub copied_bytes: u64,
}

/// What waits to be borrowed.
#[derive(Debug)]
struct Stock {
    pipes: Vec<Pipe>,
    buffers: Vec<Box<[u8]>>,
}

/// Lends pipes and buffers. One per process is enough; its lock is held for moments only.
#[derive(Debug)]
pub struct PipePool {
    options: PoolOptions,
    stock: Mutex<Stock>,
    pipes_open: Arc<AtomicUsize>,
    pipes_made: AtomicU64,
    pipes_short: AtomicU64,
    shortages: AtomicU64,
    buffers_made: AtomicU64,
    spliced_bytes: AtomicU64,
    copied_bytes: AtomicU64,
}

impl Default for PipePool {
    fn default() -> Self {
        Self::new(PoolOptions::default())
    }
}

impl PipePool {
    /// An empty pool; pipes and buffers are made when they are first asked for.
    #[must_use]
    pub fn new(options: PoolOptions) -> Self {
        let stock = Stock {
            pipes: Vec::with_capacity(options.idle.min(options.pipes)),
            buffers: Vec::with_capacity(options.idle),
        };
        Self {
            options,
            stock: Mutex::new(stock),
            pipes_open: Arc::default(),
            pipes_made: AtomicU64::new(0),
            pipes_short: AtomicU64::new(0),
            shortages: AtomicU64::new(0),
            buffers_made: AtomicU64::new(0),
            spliced_bytes: AtomicU64::new(0),
            copied_bytes: AtomicU64::new(0),
        }
    }

    /// What the pool has and has done so far. The figures are read one by one and need not agree to the last unit.
    #[must_use]
    pub fn figures(&self) -> PoolFigures {
        let (pipes_idle, buffers_idle) = {
            let stock = self.stock();
            (stock.pipes.len(), stock.buffers.len())
        };
        PoolFigures {
            pipes_open: self.pipes_open.load(Ordering::Relaxed),
            pipes_idle,
            pipes_made: self.pipes_made.load(Ordering::Relaxed),
            pipes_short: self.pipes_short.load(Ordering::Relaxed),
            shortages: self.shortages.load(Ordering::Relaxed),
            buffers_idle,
            buffers_made: self.buffers_made.load(Ordering::Relaxed),
            spliced_bytes: self.spliced_bytes.load(Ordering::Relaxed),
            copied_bytes: self.copied_bytes.load(Ordering::Relaxed),
        }
    }

    /// Lends an empty pipe, or `None` (counted) if there is none to be had now.
    pub(super) fn pipe(&self) -> Option<Pipe> {
        let idle = self.stock().pipes.pop();
        let pipe = idle.or_else(|| self.make_pipe());
        if pipe.is_none() {
            self.shortages.fetch_add(1, Ordering::Relaxed);
        }
        pipe
    }

    /// Takes a pipe back. One that still holds something is closed: what a broken relay left in it must never
    /// reach another connection.
    pub(super) fn keep_pipe(&self, pipe: Pipe) {
        let mut stock = self.stock();
        if pipe.holds == 0 && stock.pipes.len() < self.options.idle {
            stock.pipes.push(pipe);
        }
    }

    /// Lends a buffer.
    pub(super) fn buffer(&self) -> Box<[u8]> {
        let idle = self.stock().buffers.pop();
        idle.unwrap_or_else(|| {
            self.buffers_made.fetch_add(1, Ordering::Relaxed);
            vec![0; self.options.buffer_size.max(1)].into_boxed_slice()
        })
    }

    /// Takes a buffer back.
    pub(super) fn keep_buffer(&self, buffer: Box<[u8]>) {
        let mut stock = self.stock();
        if stock.buffers.len() < self.options.idle {
            stock.buffers.push(buffer);
        }
    }

    /// The most that a direction lets gather, in bytes.
    pub(super) fn gathered(&self) -> usize {
        self.options.gathered
    }

    /// Where bytes that go through pipes are counted.
    pub(super) fn spliced(&self) -> &AtomicU64 {
        &self.spliced_bytes
    }

    /// Where bytes that go through buffers are counted.
    pub(super) fn copied(&self) -> &AtomicU64 {
        &self.copied_bytes
    }

    fn make_pipe(&self) -> Option<Pipe> {
        let place = Place::take(&self.pipes_open, self.options.pipes)?;
        let (pipe, granted) = Pipe::open(self.options.pipe_size, place).ok()?;
        if granted < self.options.pipe_size {
            if granted < SMALLEST_PIPE {
                return None;
            }
            self.pipes_short.fetch_add(1, Ordering::Relaxed);
        }
        self.pipes_made.fetch_add(1, Ordering::Relaxed);
        Some(pipe)
    }

    /// What is kept is right after every single step, so a panic elsewhere while it was locked does not matter.
    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(pipes: usize, idle: usize) -> PipePool {
        PipePool::new(PoolOptions {
            pipes,
            idle,
            ..PoolOptions::default()
        })
    }

    #[test]
    fn an_empty_pipe_is_lent_again() {
        let pool = pool(2, 2);
        let pipe = pool.pipe().unwrap();
        assert_eq!(pool.figures().pipes_idle, 0);
        pool.keep_pipe(pipe);
        assert_eq!(pool.figures().pipes_idle, 1);
        let _again = pool.pipe().unwrap();
        assert_eq!((pool.figures().pipes_made, pool.figures().pipes_idle), (1, 0));
    }

    #[test]
    fn a_pipe_with_something_in_it_is_closed() {
        let pool = pool(1, 1);
        let mut pipe = pool.pipe().unwrap();
        pipe.holds = rustix::io::write(&pipe.writer, b"left over").unwrap();
        pool.keep_pipe(pipe);
        assert_eq!((pool.figures().pipes_idle, pool.figures().pipes_open), (0, 0));
        let fresh = pool.pipe().unwrap();
        let found = rustix::io::read(&fresh.reader, &mut [0; 16]);
        assert_eq!(found, Err(Errno::AGAIN));
    }

    #[test]
    fn a_pipe_that_is_dropped_makes_room_for_another() {
        let pool = pool(1, 1);
        let pipe = pool.pipe().unwrap();
        assert!(pool.pipe().is_none());
        assert_eq!(pool.figures().shortages, 1);
        drop(pipe);
        assert!(pool.pipe().is_some());
    }

    #[test]
    fn no_more_are_kept_than_asked() {
        let pool = pool(3, 1);
        let lent: Vec<Pipe> = (0..3).map_while(|_| pool.pipe()).collect();
        assert_eq!(pool.figures().pipes_open, 3);
        for pipe in lent {
            pool.keep_pipe(pipe);
        }
        assert_eq!((pool.figures().pipes_open, pool.figures().pipes_idle), (1, 1));

        let (one, two) = (pool.buffer(), pool.buffer());
        pool.keep_buffer(one);
        pool.keep_buffer(two);
        let _again = pool.buffer();
        assert_eq!((pool.figures().buffers_idle, pool.figures().buffers_made), (0, 2));
    }

    #[test]
    fn the_size_granted_is_read_back() {
        let taken = Arc::default();
        let place = || Place::take(&taken, 9).unwrap();
        let (_pipe, granted) = Pipe::open(100_000, place()).unwrap();
        assert_eq!(granted % 4096, 0);
        assert!(granted >= SMALLEST_PIPE || granted <= 2 * 4096, "{granted}");
        // More than any kernel grants: the wish is halved until it is granted.
        let (_pipe, granted) = Pipe::open(1 << 40, place()).unwrap();
        assert!(granted < 1 << 40);
    }
}
