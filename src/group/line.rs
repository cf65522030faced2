//! The jobs that wait for one group: first come, first served among the jobs of one Director, and the Directors
//! in turn, so that one that starts two hundred jobs at once does not keep another's single job for the night.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::types::DirectorName;

use super::group::Group;
use super::place::Choice;
use super::request::{PlacementRequest, Tried};

/// Why a job waits. Each has its own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Nothing that could serve it is well.
    Down,
    /// Something is well, but full.
    Busy,
}

/// How long a job has waited in either condition, and how long it may.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    condition: Condition,
    since: Instant,
    left_down: Duration,
    left_busy: Duration,
    waited_down: Duration,
    waited_busy: Duration,
}

impl Clock {
    /// Starts at `now`. What `tried` has already waited is taken off the group's limits.
    pub(super) fn start(group: &Group, tried: &Tried, condition: Condition, now: Instant) -> Self {
        Self {
            condition,
            since: now,
            left_down: group.config().down_wait.saturating_sub(tried.waited_down),
            left_busy: group.config().busy_wait.saturating_sub(tried.waited_busy),
            waited_down: tried.waited_down,
            waited_busy: tried.waited_busy,
        }
    }

    /// From `now` on the job waits for `condition`; the time until now is charged to the one before.
    pub(super) fn turn(&mut self, condition: Condition, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        let (left, waited) = match self.condition {
            Condition::Down => (&mut self.left_down, &mut self.waited_down),
            Condition::Busy => (&mut self.left_busy, &mut self.waited_busy),
        };
        *left = left.saturating_sub(elapsed);
        *waited = waited.saturating_add(elapsed);
        self.since = now;
        self.condition = condition;
    }

    pub(super) fn condition(&self) -> Condition {
        self.condition
    }

    /// How much of the limit for the present condition was left when it was last turned.
    pub(super) fn left(&self) -> Duration {
        match self.condition {
            Condition::Down => self.left_down,
            Condition::Busy => self.left_busy,
        }
    }

    /// When the wait is over if nothing changes.
    pub(super) fn deadline(&self) -> Instant {
        self.since + self.left()
    }

    /// What was waited in all, when it was last turned.
    pub(super) fn waited(&self) -> Duration {
        self.waited_down.saturating_add(self.waited_busy)
    }

    /// Notes what was waited for the next round.
    pub(super) fn charge(&self, tried: &mut Tried) {
        tried.waited_down = self.waited_down;
        tried.waited_busy = self.waited_busy;
    }
}

/// A job that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) choice: Choice,
    pub(super) request: Arc<PlacementRequest>,
    pub(super) tried: Tried,
    /// When what failed for this job may be tried again.
    pub(super) forgiven_at: Instant,
    pub(super) clock: Clock,
    pub(super) wake: Arc<Notify>,
}

#[derive(Debug)]
struct Turn {
    director: DirectorName,
    numbers: VecDeque<u64>,
}

/// The queue of one group.
#[derive(Debug)]
pub(super) struct Line {
    // Shown by the group. The group itself is not held here: it holds storages, which hold this.
    shown: Arc<AtomicUsize>,
    waiters: BTreeMap<u64, Waiter>,
    // The Director at the front is served next. None is without a waiter.
    turns: VecDeque<Turn>,
    /// When it was served last, as a number that grows; groups that share storages take turns by it.
    pub(super) served: u64,
}

impl Line {
    /// An empty queue, whose length is shown in `shown`.
    pub(super) fn new(shown: Arc<AtomicUsize>) -> Self {
        Self {
            shown,
            waiters: BTreeMap::new(),
            turns: VecDeque::new(),
            served: 0,
        }
    }

    fn show(&self) {
        self.shown.store(self.waiters.len(), Ordering::Relaxed);
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// A job joins at the end of its Director's.
    pub(super) fn join(&mut self, number: u64, waiter: Waiter) {
        let director = &waiter.request.director;
        match self.turns.iter_mut().find(|turn| turn.director == *director) {
            Some(turn) => turn.numbers.push_back(number),
            None => self.turns.push_back(Turn {
                director: director.clone(),
                numbers: VecDeque::from([number]),
            }),
        }
        self.waiters.insert(number, waiter);
        self.show();
    }

    /// A job leaves, served or not.
    pub(super) fn leave(&mut self, number: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(&number)?;
        if let Some(turn) = self
            .turns
            .iter_mut()
            .find(|turn| turn.director == waiter.request.director)
        {
            turn.numbers.retain(|waiting| *waiting != number);
        }
        self.turns.retain(|turn| !turn.numbers.is_empty());
        self.show();
        Some(waiter)
    }

    /// A job leaves because it has a place: its Director is the last in turn now.
    pub(super) fn serve(&mut self, number: u64) -> Option<Waiter> {
        if let Some(at) = self.turns.iter().position(|turn| turn.numbers.contains(&number))
            && let Some(turn) = self.turns.remove(at)
        {
            self.turns.push_back(turn);
        }
        self.leave(number)
    }

    pub(super) fn waiter(&self, number: u64) -> Option<&Waiter> {
        self.waiters.get(&number)
    }

    pub(super) fn waiter_mut(&mut self, number: u64) -> Option<&mut Waiter> {
        self.waiters.get_mut(&number)
    }

    /// Every waiter with its number, in the order in which they are to be served: the Director whose turn it is
    /// with all of its jobs, then the next; those that are `last` after all others.
    pub(super) fn in_turn<'a>(
        &'a self,
        last: &dyn Fn(&DirectorName) -> bool,
    ) -> impl Iterator<Item = (u64, &'a Waiter)> + use<'a> {
        let (first, last): (Vec<&Turn>, Vec<&Turn>) = self.turns.iter().partition(|turn| !last(&turn.director));
        first
            .into_iter()
            .chain(last)
            .flat_map(|turn| &turn.numbers)
            .filter_map(|number| self.waiters.get(number).map(|waiter| (*number, waiter)))
    }

    /// Makes every waiter look at its situation anew.
    pub(super) fn wake_all(&self) {
        for waiter in self.waiters.values() {
            waiter.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::rig;

    fn line_of(jobs: &[(&str, u64)]) -> Line {
        let directory = rig::directory();
        let group = directory.group(&rig::group_name()).expect("the rig's group");
        let now = Instant::now();
        let mut line = Line::new(Arc::clone(&group.waiting));
        for (director, number) in jobs {
            let waiter = Waiter {
                choice: Choice::Of(Arc::clone(&group)),
                request: Arc::new(rig::request(director, 1)),
                tried: Tried::new(),
                forgiven_at: now,
                clock: Clock::start(&group, &Tried::new(), Condition::Busy, now),
                wake: Arc::default(),
            };
            line.join(*number, waiter);
        }
        line
    }

    fn serve_all(line: &mut Line) -> Vec<u64> {
        std::iter::from_fn(|| {
            let (next, _) = line.in_turn(&|_| false).next()?;
            line.serve(next).map(|_| next)
        })
        .collect()
    }

    #[test]
    fn directors_take_turns_and_the_jobs_of_each_stay_in_order() {
        let mut line = line_of(&[("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)]);
        assert_eq!(serve_all(&mut line), [1, 4, 5, 2, 6, 3]);
        assert!(line.is_empty());
    }

    #[test]
    fn one_that_leaves_frees_its_place_and_moves_nobody() {
        let mut line = line_of(&[("a", 1), ("a", 2), ("b", 3)]);
        assert!(line.leave(1).is_some());
        assert!(line.leave(1).is_none());
        assert_eq!(line.shown.load(Ordering::Relaxed), 2);
        assert_eq!(serve_all(&mut line), [2, 3]);
        assert_eq!(line.shown.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_clock_keeps_two_accounts() {
        let directory = rig::directory();
        let group = directory.group(&rig::group_name()).expect("the rig's group");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tried = Tried::new();
        tried.waited_down = Duration::from_secs(15);
        let mut clock = Clock::start(&group, &tried, Condition::Down, start);
        assert_eq!(
            clock.deadline(),
            at(45),
            "60 s less what was waited in an earlier round"
        );
        clock.turn(Condition::Busy, at(20));
        assert_eq!(clock.deadline(), at(20 + 1800));
        clock.turn(Condition::Down, at(100));
        assert_eq!(clock.deadline(), at(125));
        assert_eq!(clock.waited(), Duration::from_secs(15 + 20 + 80));
        clock.charge(&mut tried);
        assert_eq!(tried.waited_busy, Duration::from_secs(80));
    }
}
