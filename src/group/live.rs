//! A storage from outside the lock: where observations are handed in, and what metrics and status read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::config::model;
use crate::types::{Space, StorageName};

use super::ejection::{Cause, Ejected};
use super::health::{Availability, Flip, ProbeFailure, Probed};
use super::load::Load;
use super::member::MemberId;
use super::request::Access;
use super::state::{Decision, State, allows};
use super::table::Board;

/// No instant: nothing is ejected.
const NEVER: u64 = 0;

/// What others may see of a storage, without a lock. Written under the directory's lock only.
#[derive(Debug)]
pub(super) struct Gauges {
    epoch: Instant,
    writes: AtomicU32,
    reads: AtomicU32,
    placed: AtomicU64,
    decision: ArcSwapOption<Decision>,
    availability: AtomicU8,
    since: AtomicU64,
    ejected_until: AtomicU64,
    ejections: AtomicU64,
    too_full: AtomicBool,
    storage_version: AtomicU32,
    space: ArcSwapOption<(Space, Instant)>,
    trouble: ArcSwapOption<Cause>,
}

impl Gauges {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            writes: AtomicU32::new(0),
            reads: AtomicU32::new(0),
            placed: AtomicU64::new(0),
            decision: ArcSwapOption::empty(),
            availability: AtomicU8::new(Availability::Unknown.code()),
            since: AtomicU64::new(0),
            ejected_until: AtomicU64::new(NEVER),
            ejections: AtomicU64::new(0),
            too_full: AtomicBool::new(false),
            storage_version: AtomicU32::new(0),
            space: ArcSwapOption::empty(),
            trouble: ArcSwapOption::empty(),
        }
    }

    fn nanoseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn placed(&self, load: Load) {
        self.released(load);
        self.placed.fetch_add(1, Ordering::Relaxed);
    }

    /// The number that the storage said to the last good probe, if there was one.
    pub(super) fn storage_version(&self) -> Option<u32> {
        Some(self.storage_version.load(Ordering::Relaxed)).filter(|version| *version > 0)
    }

    /// What it said of itself was said elsewhere.
    pub(super) fn forget(&self) {
        self.storage_version.store(0, Ordering::Relaxed);
        self.space.store(None);
    }

    pub(super) fn released(&self, load: Load) {
        self.writes.store(load.writes, Ordering::Relaxed);
        self.reads.store(load.reads, Ordering::Relaxed);
    }

    /// Whether its water mark closes it to jobs that write.
    pub(super) fn too_full(&self, too_full: bool) {
        self.too_full.store(too_full, Ordering::Relaxed);
    }

    pub(super) fn ejected(&self) {
        self.ejections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn probed(&self, probed: Probed, now: Instant) {
        self.storage_version.store(probed.storage_version, Ordering::Relaxed);
        if let Some(space) = probed.space {
            self.space.store(Some(Arc::new((space, now))));
        }
    }

    pub(super) fn publish(
        &self,
        decision: Option<Arc<Decision>>,
        availability: Availability,
        since: Instant,
        ejected_until: Option<Instant>,
        trouble: Option<Cause>,
    ) {
        self.decision.store(decision);
        self.availability.store(availability.code(), Ordering::Relaxed);
        self.since.store(self.nanoseconds(since), Ordering::Relaxed);
        let until = ejected_until.map_or(NEVER, |until| self.nanoseconds(until));
        self.ejected_until.store(until, Ordering::Relaxed);
        self.trouble.store(trouble.map(Arc::new));
    }
}

/// The room that a storage had a while ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// As it told it.
    pub space: Space,
    /// How long ago.
    pub age: Duration,
}

/// What a storage looks like at a moment. Its numbers are each true, but not all of the same instant.
#[derive(Debug, Clone)]
pub struct StorageView {
    /// Which.
    pub storage: StorageName,
    /// Jobs that have a place there, over all groups and Directors.
    pub running: u32,
    /// Those of them that read.
    pub reading: u32,
    /// How many may be there at once; `u32::MAX` is any number.
    pub limit: u32,
    /// Places given since the start.
    pub placed_total: u64,
    /// What the operator wants of it, unless that is nothing.
    pub decision: Option<Arc<Decision>>,
    /// What probes see.
    pub availability: Availability,
    /// For how long they have seen it so.
    pub availability_length: Duration,
    /// How long traffic is kept away yet, if it is.
    pub ejected_for: Option<Duration>,
    /// Ejections since the start.
    pub ejections_total: u64,
    /// It reached its high water mark, or will by the jobs that run, and gets none that write until it is at the low
    /// one.
    pub too_full: bool,
    /// The version number of its last `3000 OK Hello` to a probe, if one got that far.
    pub storage_version: Option<u32>,
    /// The room on its file systems at the last probe that it told it to, if it ever did.
    pub room: Option<Room>,
    /// Why it is down or ejected, if it is.
    pub trouble: Option<Arc<Cause>>,
}

impl StorageView {
    /// The state that it is in.
    #[must_use]
    pub fn state(&self) -> State {
        self.decision.as_ref().map_or(State::Ready, |decision| decision.state)
    }

    /// What keeps even jobs away that read, if the operator wants that.
    #[must_use]
    pub fn shut(&self) -> Option<&Decision> {
        let decision = self.decision.as_deref();
        decision.filter(|decision| !allows(decision.state, Access::Read))
    }

    /// Whether neither the operator nor a probe keeps writing jobs away.
    pub(super) fn is_open(&self) -> bool {
        allows(self.state(), Access::Write) && self.availability != Availability::Down
    }
}

/// What a probe changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its availability became another.
    pub flip: Option<Flip>,
    /// An ejection ended before its time.
    pub readmitted: bool,
}

/// A storage of the directory, alive: one for all groups, Directors and sessions.
#[derive(Debug)]
pub struct StorageLive {
    pub(super) id: MemberId,
    pub(super) board: Arc<Board>,
    storage: Arc<model::Storage>,
    gauges: Arc<Gauges>,
}

impl StorageLive {
    pub(super) fn new(id: MemberId, board: Arc<Board>, storage: Arc<model::Storage>, gauges: Arc<Gauges>) -> Self {
        Self {
            id,
            board,
            storage,
            gauges,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &StorageName {
        &self.storage.name
    }

    /// Its configuration.
    #[must_use]
    pub fn storage(&self) -> &Arc<model::Storage> {
        &self.storage
    }

    /// A probe ended at `now`. Waiting jobs get their places when it opens the door.
    #[must_use = "a flip is to be told"]
    pub fn observe_probe(&self, outcome: Result<Probed, ProbeFailure>, now: Instant) -> Observed {
        self.board.lock().observe_probe(self.id, outcome, now)
    }

    /// A job met `cause` there at `now`. Tells when that ejects the storage.
    #[must_use = "an ejection is to be told"]
    pub fn observe_failure(&self, cause: Cause, now: Instant) -> Option<Ejected> {
        self.board.lock().observe_failure(self.id, cause, now)
    }

    /// A job was accepted there at `now`.
    pub fn observe_success(&self, now: Instant) {
        self.board.lock().observe_success(self.id, now);
    }

    /// The operator wants `decision` from `now` on, until `ends` if that has an end. Waiting jobs get their places when
    /// it opens the door.
    pub fn decide(&self, decision: Decision, ends: Option<Instant>, now: Instant) {
        self.board.lock().decide(self.id, decision, ends, now);
    }

    /// The number in its last `3000 OK Hello` to a probe, if one got that far, without the directory's lock.
    #[must_use]
    pub fn storage_version(&self) -> Option<u32> {
        self.gauges.storage_version()
    }

    /// What it looks like at `now`, without the directory's lock.
    #[must_use]
    pub fn view(&self, now: Instant) -> StorageView {
        let gauges = &self.gauges;
        let since_epoch = gauges.nanoseconds(now);
        let until = gauges.ejected_until.load(Ordering::Relaxed);
        let availability = Availability::from_code(gauges.availability.load(Ordering::Relaxed));
        let ejected_for = (until > since_epoch).then(|| Duration::from_nanos(until - since_epoch));
        let troubled = availability == Availability::Down || ejected_for.is_some();
        let load = Load {
            writes: gauges.writes.load(Ordering::Relaxed),
            reads: gauges.reads.load(Ordering::Relaxed),
        };
        StorageView {
            storage: self.storage.name.clone(),
            running: load.total(),
            reading: load.reads,
            limit: self.storage.limits.maximum.unwrap_or(u32::MAX),
            placed_total: gauges.placed.load(Ordering::Relaxed),
            decision: gauges.decision.load_full(),
            availability,
            availability_length: Duration::from_nanos(since_epoch.saturating_sub(gauges.since.load(Ordering::Relaxed))),
            ejected_for,
            ejections_total: gauges.ejections.load(Ordering::Relaxed),
            too_full: gauges.too_full.load(Ordering::Relaxed),
            storage_version: gauges.storage_version(),
            room: gauges.space.load().as_deref().map(|(space, at)| Room {
                space: *space,
                age: now.saturating_duration_since(*at),
            }),
            trouble: gauges.trouble.load_full().filter(|_| troubled),
        }
    }
}
