//! The jobs that wait for one group: the more urgent ones first; among these the Directors in turn, so that one that
//! starts two hundred jobs at once does not keep another's single job for the night; among the jobs of one Director,
//! first come, first served.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use crate::types::DirectorName;

use super::clock::Clock;
use super::place::Choice;
use super::request::{PlacementRequest, Tried};

/// A job that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) choice: Choice,
    pub(super) request: Arc<PlacementRequest>,
    pub(super) tried: Tried,
    /// When what failed for this job may be tried again.
    pub(super) forgiven_at: Instant,
    pub(super) clock: Clock,
    /// A lower number is served first.
    pub(super) priority: u32,
    /// The place of the rule that the job falls under among the group's.
    pub(super) rule: Option<usize>,
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
    // By priority. Of one, the Director at the front is served next; none is without a waiter.
    turns: BTreeMap<u32, VecDeque<Turn>>,
    /// When it was served last, as a number that grows; groups that share storages take turns by it.
    pub(super) served: u64,
}

impl Line {
    /// An empty queue, whose length is shown in `shown`.
    pub(super) fn new(shown: Arc<AtomicUsize>) -> Self {
        Self {
            shown,
            waiters: BTreeMap::new(),
            turns: BTreeMap::new(),
            served: 0,
        }
    }

    /// Where its length is shown.
    pub(super) fn shown(&self) -> &Arc<AtomicUsize> {
        &self.shown
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
        let turns = self.turns.entry(waiter.priority).or_default();
        match turns.iter_mut().find(|turn| turn.director == *director) {
            Some(turn) => turn.numbers.push_back(number),
            None => turns.push_back(Turn {
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
        if let Some(turns) = self.turns.get_mut(&waiter.priority) {
            let own = turns.iter_mut().find(|turn| turn.director == waiter.request.director);
            if let Some(turn) = own {
                turn.numbers.retain(|waiting| *waiting != number);
            }
            turns.retain(|turn| !turn.numbers.is_empty());
        }
        self.turns.retain(|_, turns| !turns.is_empty());
        self.show();
        Some(waiter)
    }

    /// A job leaves because it has a place: its Director is the last in turn now.
    pub(super) fn serve(&mut self, number: u64) -> Option<Waiter> {
        let priority = self.waiters.get(&number)?.priority;
        if let Some(turns) = self.turns.get_mut(&priority)
            && let Some(at) = turns.iter().position(|turn| turn.numbers.contains(&number))
            && let Some(turn) = turns.remove(at)
        {
            turns.push_back(turn);
        }
        self.leave(number)
    }

    /// How many jobs are served before this one, if none leaves and all can be placed alike.
    pub(super) fn ahead(&self, number: u64) -> usize {
        let Some(waiter) = self.waiters.get(&number) else {
            return 0;
        };
        let count = |turns: &VecDeque<Turn>| turns.iter().map(|turn| turn.numbers.len()).sum::<usize>();
        let more_urgent: usize = self.turns.range(..waiter.priority).map(|(_, turns)| count(turns)).sum();
        let mut own_round = 0;
        let mut others = Vec::new();
        // Directors that are served before its own in a round, and those after it.
        let mut before = true;
        for turn in self.turns.get(&waiter.priority).into_iter().flatten() {
            match turn.numbers.iter().position(|waiting| *waiting == number) {
                Some(at) => (own_round, before) = (at, false),
                None => others.push((turn.numbers.len(), before)),
            }
        }
        let served = |(waiting, before): (usize, bool)| waiting.min(own_round + usize::from(before));
        more_urgent + own_round + others.into_iter().map(served).sum::<usize>()
    }

    /// Changes every waiter. One whose priority becomes another joins the others of that priority; all else keep their
    /// places.
    pub(super) fn revise(&mut self, mut change: impl FnMut(&mut Waiter)) {
        let mut moved = Vec::new();
        for (number, waiter) in &mut self.waiters {
            let before = waiter.priority;
            change(waiter);
            let priority = std::mem::replace(&mut waiter.priority, before);
            if priority != before {
                moved.push((*number, priority));
            }
        }
        for (number, priority) in moved {
            if let Some(waiter) = self.leave(number) {
                self.join(number, Waiter { priority, ..waiter });
            }
        }
    }

    pub(super) fn waiter(&self, number: u64) -> Option<&Waiter> {
        self.waiters.get(&number)
    }

    pub(super) fn waiter_mut(&mut self, number: u64) -> Option<&mut Waiter> {
        self.waiters.get_mut(&number)
    }

    /// Every waiter with its number, in the order in which they are to be served: the most urgent first, of these the
    /// Director whose turn it is with all of its jobs, then the next; those that are `last` after all others.
    pub(super) fn in_turn<'a>(
        &'a self,
        last: &dyn Fn(&DirectorName) -> bool,
    ) -> impl Iterator<Item = (u64, &'a Waiter)> + use<'a> {
        let (first, last): (Vec<&Turn>, Vec<&Turn>) =
            self.turns.values().flatten().partition(|turn| !last(&turn.director));
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
    use crate::group::clock::Condition;
    use crate::group::rig;

    fn line_of(jobs: &[(&str, u64)]) -> Line {
        let urgencies: Vec<_> = jobs.iter().map(|(director, number)| (*director, *number, 10)).collect();
        line_of_urgencies(&urgencies)
    }

    fn line_of_urgencies(jobs: &[(&str, u64, u32)]) -> Line {
        let directory = rig::directory();
        let group = directory.group(&rig::group_name()).expect("the rig's group");
        let now = Instant::now();
        let mut line = Line::new(Arc::default());
        for (director, number, priority) in jobs {
            let waiter = Waiter {
                choice: Choice::Of(Arc::clone(&group)),
                request: Arc::new(rig::request(director, 1)),
                tried: Tried::new(),
                forgiven_at: now,
                clock: Clock::start(&group, &Tried::new(), Condition::Busy, now),
                priority: *priority,
                rule: None,
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
    fn the_more_urgent_go_first_and_each_urgency_has_its_own_turns() {
        let jobs = [
            ("a", 1, 10),
            ("a", 2, 10),
            ("b", 3, 10),
            ("b", 4, 5),
            ("a", 5, 5),
            ("b", 6, 5),
            ("c", 7, 90),
        ];
        let mut line = line_of_urgencies(&jobs);
        assert_eq!(serve_all(&mut line), [4, 5, 6, 1, 3, 2, 7]);
        assert!(line.is_empty());
    }

    #[test]
    fn the_jobs_ahead_are_those_that_are_served_before() {
        let jobs = [
            ("a", 1, 10),
            ("a", 2, 10),
            ("a", 3, 10),
            ("b", 4, 10),
            ("c", 5, 10),
            ("b", 6, 10),
            ("c", 7, 5),
        ];
        let mut line = line_of_urgencies(&jobs);
        let foretold: Vec<_> = (1..=7).map(|number| line.ahead(number)).collect();
        let served = serve_all(&mut line);
        let real: Vec<_> = (1..=7)
            .map(|number| served.iter().position(|it| *it == number).expect("served"))
            .collect();
        assert_eq!(foretold, real);
    }
}
