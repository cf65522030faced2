//! A storage on paper: so fast in all, so fast for one job, so large. Its jobs share it evenly.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::hardware::Machine;

/// Seconds since the beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Time(pub(super) f64);

impl Eq for Time {}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What happens to a disk next, if nothing else does before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A job has written all.
    Done,
    /// There is no room left.
    Full,
}

/// One storage. Since its jobs share it evenly, one number says how far all of them are: the bytes that a job would
/// have moved that had been there from the beginning.
#[derive(Debug)]
pub(super) struct Disk {
    speed: f64,
    job_speed: f64,
    size: Option<f64>,
    used: f64,
    served: f64,
    at: Time,
    /// When each of its jobs is done, by `served`.
    running: BinaryHeap<Reverse<(Time, usize)>>,
    pub(super) is_down: bool,
    /// Changes whenever what happens next may have become another.
    pub(super) version: u64,
}

impl Disk {
    pub(super) fn new(machine: &Machine) -> Self {
        Self {
            speed: machine.speed,
            job_speed: machine.job_speed.unwrap_or(f64::INFINITY),
            size: machine.size,
            used: machine.used,
            served: 0.0,
            at: Time(0.0),
            running: BinaryHeap::new(),
            is_down: false,
            version: 0,
        }
    }

    /// Bytes per second for each of its jobs now.
    #[allow(clippy::cast_precision_loss, reason = "a number of jobs")]
    fn rate(&self) -> f64 {
        (self.speed / self.running.len().max(1) as f64).min(self.job_speed)
    }

    #[allow(clippy::cast_precision_loss, reason = "a number of jobs")]
    fn rate_in_all(&self) -> f64 {
        self.rate() * self.running.len() as f64
    }

    /// Goes on to `now`, and says for how many seconds of that it was at work.
    pub(super) fn advance(&mut self, now: Time) -> f64 {
        let seconds = (now.0 - self.at.0).max(0.0);
        self.at = now;
        if self.running.is_empty() {
            return 0.0;
        }
        self.used += self.rate_in_all() * seconds;
        self.served += self.rate() * seconds;
        seconds
    }

    /// How far its jobs are, to be compared with what it was when one of them began.
    pub(super) fn served(&self) -> f64 {
        self.served
    }

    /// A job begins.
    pub(super) fn begin(&mut self, now: Time, bytes: f64, job: usize) {
        self.advance(now);
        self.running.push(Reverse((Time(self.served + bytes), job)));
        self.version += 1;
    }

    /// When what happens next, if anything does.
    pub(super) fn next(&self) -> Option<(Time, Next)> {
        let Reverse((done, _)) = self.running.peek()?;
        let done = self.at.0 + (done.0 - self.served).max(0.0) / self.rate();
        let full = self.size.map_or(f64::INFINITY, |size| {
            self.at.0 + (size - self.used).max(0.0) / self.rate_in_all()
        });
        Some(if full < done {
            (Time(full), Next::Full)
        } else {
            (Time(done), Next::Done)
        })
    }

    /// The job that is done.
    pub(super) fn done(&mut self) -> Option<usize> {
        self.version += 1;
        let Reverse((done, job)) = self.running.pop()?;
        // What rounding has left over is nothing.
        self.served = self.served.max(done.0);
        Some(job)
    }

    /// All its jobs break off.
    pub(super) fn break_off(&mut self) -> Vec<usize> {
        self.version += 1;
        self.running.drain().map(|Reverse((_, job))| job).collect()
    }

    /// It is so fast from now on.
    pub(super) fn set_speed(&mut self, now: Time, speed: f64) {
        self.advance(now);
        self.speed = speed;
        self.version += 1;
    }

    /// So many bytes are no longer needed.
    pub(super) fn free(&mut self, now: Time, bytes: f64) {
        self.advance(now);
        self.used = (self.used - bytes).max(0.0);
        self.version += 1;
    }

    /// Free and in all, in whole blocks, if it has a size.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes are whole numbers"
    )]
    pub(super) fn space(&self) -> Option<(u64, u64)> {
        let size = self.size?;
        Some(((size - self.used).max(0.0) as u64, size as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(speed: f64, job_speed: Option<f64>, size: Option<f64>) -> Disk {
        Disk::new(&Machine {
            speed,
            job_speed,
            size,
            used: 0.0,
            retention: None,
        })
    }

    /// Plays it to its end; tells when what happened.
    fn play(disk: &mut Disk) -> Vec<(f64, Next, Option<usize>)> {
        let mut story = Vec::new();
        while let Some((at, next)) = disk.next() {
            disk.advance(at);
            let job = if next == Next::Done {
                disk.done()
            } else {
                disk.break_off().pop()
            };
            story.push((at.0, next, job));
        }
        story
    }

    #[test]
    fn jobs_share_it_evenly() {
        let mut disk = disk(100.0, None, None);
        disk.begin(Time(0.0), 1000.0, 1);
        disk.begin(Time(5.0), 200.0, 2);
        // The second takes 4 s of half the speed; the first loses as much.
        assert_eq!(
            play(&mut disk),
            [(9.0, Next::Done, Some(2)), (12.0, Next::Done, Some(1))]
        );
        assert!(disk.space().is_none());
    }

    #[test]
    fn one_job_is_no_faster_than_its_own_speed() {
        let mut disk = disk(100.0, Some(40.0), None);
        disk.begin(Time(0.0), 400.0, 1);
        assert_eq!(play(&mut disk), [(10.0, Next::Done, Some(1))]);
        for job in 0..4 {
            disk.begin(Time(10.0), 100.0, job);
        }
        assert_eq!(play(&mut disk).pop().unwrap().1, Next::Done);
        assert_eq!(disk.at, Time(14.0));
    }

    #[test]
    fn it_is_full_at_its_size_and_has_room_again() {
        let mut disk = disk(100.0, None, Some(1000.0));
        disk.begin(Time(0.0), 600.0, 1);
        assert_eq!(play(&mut disk), [(6.0, Next::Done, Some(1))]);
        assert_eq!(disk.space(), Some((400, 1000)));
        disk.begin(Time(6.0), 600.0, 2);
        assert_eq!(play(&mut disk), [(10.0, Next::Full, Some(2))]);
        disk.free(Time(11.0), 300.0);
        assert_eq!(disk.space(), Some((300, 1000)));
    }
}
