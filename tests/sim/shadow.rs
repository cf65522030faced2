//! The rules of placement said a second time, in another way: what is open to a job, as far as that can be known from
//! outside. Where it cannot, nothing is claimed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use sdgroup::group::{Availability, State, StorageView};

use super::world::{FORGIVEN_AFTER, Kind, PROVES_AFTER, ROOM_LASTS, SIZE, World};

/// A job as the shadow knows it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) group: usize,
    pub(crate) kind: Kind,
    /// The one storage that it may go to.
    pub(crate) bound: Option<usize>,
    /// What failed for it, when this wait began.
    pub(crate) tried: BTreeSet<usize>,
    pub(crate) first_began: Instant,
    pub(crate) began: Instant,
    /// When it joined those that it waits among now.
    pub(crate) lined: Instant,
}

/// What is known of a storage that came back and is to prove itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trial {
    /// The jobs that it got since it was closed, none of which has proved it.
    pub(crate) jobs: Vec<(u32, Instant)>,
}

/// How sure something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sure {
    Yes,
    No,
    Unknown,
}

/// What the shadow keeps of one storage.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The state and its end.
    pub(crate) decided: (State, Option<Instant>),
    /// What it told of its room, and when.
    pub(crate) told: Option<(u64, Instant)>,
    pub(crate) trial: Option<Trial>,
    /// Jobs on it: those that write, those that read.
    pub(crate) writes: u32,
    pub(crate) reads: u32,
    /// What those on it are expected to write.
    pub(crate) outstanding: u64,
}

impl Known {
    pub(crate) fn new() -> Self {
        Self {
            decided: (State::Ready, None),
            told: None,
            trial: None,
            writes: 0,
            reads: 0,
            outstanding: 0,
        }
    }

    pub(crate) fn state(&self, now: Instant) -> State {
        match self.decided {
            (_, Some(ends)) if ends <= now => State::Ready,
            (state, _) => state,
        }
    }

    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.told.is_some_and(|(_, at)| now - at <= ROOM_LASTS)
    }

    /// What one more job proves is of no account any more when an older one has by now.
    pub(crate) fn settle_trial(&mut self, now: Instant) {
        let proved = self
            .trial
            .as_ref()
            .is_some_and(|trial| trial.jobs.iter().any(|(_, placed)| now - *placed >= PROVES_AFTER));
        if proved {
            self.trial = None;
        }
    }
}

/// The storage of the last good full, by Director and job.
pub(crate) type Homes = BTreeMap<(usize, usize), usize>;

fn fill(left: u64) -> f64 {
    (SIZE - left.min(SIZE)) as f64 / SIZE as f64
}

/// Everything together, at one moment.
pub(crate) struct Shadow<'a> {
    pub(crate) world: &'a World,
    pub(crate) known: &'a [Known],
    pub(crate) views: &'a [StorageView],
    /// Where the last good full of a Director's job is, and where it was before this step.
    pub(crate) homes: [&'a Homes; 2],
    /// Which jobs have been seen at which level, so that their size is known.
    pub(crate) sized: &'a BTreeSet<Kind>,
    /// Jobs of each group, and those of the first Director that write.
    pub(crate) of_group: &'a [u32],
    pub(crate) of_first: u32,
    pub(crate) now: Instant,
}

impl Shadow<'_> {
    /// Which storages could take this job but for limits and room.
    pub(crate) fn open_to(&self, job: &Job) -> Vec<usize> {
        let [now, _] = self.homes;
        self.open(job, self.is_forgiven(job), now)
    }

    /// Whether `at` could at some moment of this step: what failed for the job may not have been forgiven yet, and a home
    /// may have changed.
    pub(crate) fn was_open_to(&self, job: &Job, at: usize) -> bool {
        let forgiven = [self.is_forgiven(job), false];
        let mut moments = forgiven
            .iter()
            .flat_map(|forgiven| self.homes.map(|homes| (*forgiven, homes)));
        moments.any(|(forgiven, homes)| self.open(job, forgiven, homes).contains(&at))
    }

    /// Whether `at` could at every moment of this step.
    pub(crate) fn was_always_open_to(&self, job: &Job, at: usize) -> bool {
        self.homes
            .iter()
            .all(|homes| self.open(job, false, homes).contains(&at))
    }

    fn is_forgiven(&self, job: &Job) -> bool {
        self.now >= job.began + FORGIVEN_AFTER
    }

    fn open(&self, job: &Job, forgiven: bool, homes: &Homes) -> Vec<usize> {
        let allowed = |at: usize| match self.known[at].state(self.now) {
            State::Ready => true,
            State::Draining | State::Sealed => job.kind.reads,
            State::Maintenance => false,
        };
        let members = match job.bound {
            Some(at) => vec![at],
            None => self.world.allowed(job.group, job.kind.job).to_vec(),
        };
        let sound: Vec<usize> = members
            .iter()
            .copied()
            .filter(|at| forgiven || !job.tried.contains(at))
            .filter(|at| allowed(*at) && self.views[*at].availability != Availability::Down)
            .collect();
        let mut open: Vec<usize> = sound
            .iter()
            .copied()
            .filter(|at| self.views[*at].ejected_for.is_none())
            .collect();
        if open.is_empty() {
            open = sound;
            open.retain(|at| self.views[*at].availability == Availability::Up);
        }
        if let Some(home) = self.home(job, &members, homes) {
            open.retain(|at| *at == home);
        }
        open
    }

    /// The one storage that the job waits for because its last full is there.
    fn home(&self, job: &Job, members: &[usize], homes: &Homes) -> Option<usize> {
        if !self.world.groups[job.group].waits_for_home || !job.kind.is_incremental || job.kind.reads {
            return None;
        }
        let home = *homes.get(&(job.kind.director, job.kind.job))?;
        let is_sealed = self.known[home].state(self.now) == State::Sealed;
        (members.contains(&home) && !is_sealed).then_some(home)
    }

    /// Whether a limit keeps the job from `at`.
    pub(crate) fn is_full(&self, job: &Job, at: usize) -> bool {
        let (limits, known) = (&self.world.storages[at], &self.known[at]);
        let of_kind = if job.kind.reads {
            known.reads >= limits.maximum_read
        } else {
            known.writes >= limits.maximum_write
        };
        let of_director = job.kind.director == 0 && !job.kind.reads && self.of_first >= self.world.maximum_of_first;
        known.writes + known.reads >= limits.maximum
            || of_kind
            || of_director
            || self.of_group[job.group] >= self.world.groups[job.group].maximum
    }

    /// Whether there is room for the job on `at`, when so much that was expected there may have gone after it was judged,
    /// and so much may have come.
    pub(crate) fn has_room(&self, job: &Job, at: usize, gone: u64, come: u64) -> Sure {
        if job.kind.reads || job.bound.is_some() {
            return Sure::Yes;
        }
        let (known, marks) = (&self.known[at], self.world.storages[at].marks);
        let Some((free, _)) = known.told else { return Sure::Yes };
        let at_most = free.saturating_sub(known.outstanding) + come;
        let at_least = free.saturating_sub(known.outstanding + gone);
        if let Some(marks) = marks {
            if fill(at_most) >= marks.high {
                return Sure::No;
            }
            if fill(at_least) > marks.low {
                return Sure::Unknown;
            }
        }
        if !self.world.groups[job.group].wants_room || !self.sized.contains(&job.kind) {
            return Sure::Yes;
        }
        if !known.is_fresh(self.now) {
            return Sure::Yes;
        }
        let kept = marks.map_or(0.0, |marks| SIZE as f64 * (1.0 - marks.high)) as u64;
        let fits = |left: u64| left.saturating_sub(kept) >= job.kind.expected();
        match (fits(at_most), fits(at_least)) {
            (false, _) => Sure::No,
            (true, true) => Sure::Yes,
            (true, false) => Sure::Unknown,
        }
    }

    /// Whether `at` may hold the job back since it came back a while ago.
    pub(crate) fn may_start_slowly(&self, at: usize) -> bool {
        let known = &self.known[at];
        self.world.storages[at].slow_start && known.writes + known.reads > 0
    }
}
