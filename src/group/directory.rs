//! All storages and all groups: where jobs get their places. Storages are counted once, however many groups they
//! are in and however many Directors use them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::config::model::Model;
use crate::types::{GroupName, StorageName};

use super::explain::Explanation;
use super::group::Group;
use super::line::Line;
use super::live::{Gauges, StorageLive};
use super::member::Member;
use super::place::{Choice, Placement, Unplaced, UnplacedReason};
use super::queue::{Refused, Waiting, Wish, now};
use super::request::{PlacementRequest, Tried};
use super::table::{Board, Table};

/// Every storage and every group of one configuration, alive.
#[derive(Debug)]
pub struct Directory {
    board: Arc<Board>,
    storages: Vec<Arc<StorageLive>>,
    storage_by_name: HashMap<StorageName, Arc<StorageLive>>,
    groups: Vec<Arc<Group>>,
    group_by_name: HashMap<GroupName, Arc<Group>>,
}

impl Directory {
    /// The storages and groups of `model`, all ready, nothing known of their health.
    #[must_use]
    pub fn new(model: &Model) -> Arc<Self> {
        // Without randomness from the system, policies still work; they only fall alike in every process.
        Self::seeded(model, getrandom::u64().unwrap_or(0))
    }

    /// As [`Directory::new`], with the seed of the dice that policies may use.
    #[must_use]
    pub fn seeded(model: &Model, seed: u64) -> Arc<Self> {
        let now = now();
        let board = Arc::new(Board::new(Table::new(model, seed)));
        let mut table = board.lock();
        let storages: Vec<_> = model
            .storages
            .iter()
            .map(|storage| {
                let gauges = Arc::new(Gauges::new(now));
                let id = table.add_member(Member::new(storage, Arc::clone(&gauges), now));
                Arc::new(StorageLive::new(id, Arc::clone(&board), Arc::clone(storage), gauges))
            })
            .collect();
        let storage_by_name: HashMap<_, _> = storages
            .iter()
            .map(|live| (live.name().clone(), Arc::clone(live)))
            .collect();
        let mut groups = Vec::with_capacity(model.groups.len());
        for config in &model.groups {
            // A checked model names no member that is not a storage.
            let members = config
                .members
                .iter()
                .filter_map(|name| storage_by_name.get(name).cloned());
            let group = Arc::new(Group::new(Arc::clone(config), members.collect(), groups.len()));
            table.add_line(Line::new(Arc::clone(&group.waiting)));
            groups.push(group);
        }
        drop(table);
        let group_by_name = groups
            .iter()
            .map(|group| (group.name().clone(), Arc::clone(group)))
            .collect();
        Arc::new(Self {
            board,
            storages,
            storage_by_name,
            groups,
            group_by_name,
        })
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &GroupName) -> Option<Arc<Group>> {
        self.group_by_name.get(name).cloned()
    }

    /// The storage of this name.
    #[must_use]
    pub fn storage(&self, name: &StorageName) -> Option<Arc<StorageLive>> {
        self.storage_by_name.get(name).cloned()
    }

    /// Every group, in the order of the configuration.
    #[must_use]
    pub fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }

    /// Every storage, in the order of the configuration.
    #[must_use]
    pub fn storages(&self) -> &[Arc<StorageLive>] {
        &self.storages
    }

    /// Takes a place on the best member of `group` that has not been tried, all in one step.
    ///
    /// # Errors
    /// When no member is eligible at `now`.
    pub fn place(
        &self,
        group: &Arc<Group>,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<Placement, Unplaced> {
        self.place_at(&Choice::Of(Arc::clone(group)), request, tried, now)
    }

    /// Takes a place on this very storage, because the job's volumes are there.
    ///
    /// # Errors
    /// When it is not eligible at `now`, or does not exist.
    pub fn place_on(
        &self,
        storage: &StorageName,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<Placement, Unplaced> {
        match self.storage(storage) {
            Some(live) => self.place_at(&Choice::Bound(live), request, tried, now),
            None => Err(Unplaced {
                reason: UnplacedReason::Unknown,
                explanation: Explanation::default(),
            }),
        }
    }

    fn place_at(
        &self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<Placement, Unplaced> {
        // The lock is given back before the slot exists, since a slot takes it when it is dropped.
        let placed = self.board.lock().place(choice, request, tried, now);
        placed.map(|(live, explanation)| Placement::new(live, explanation))
    }

    /// As [`Directory::place`], but waits in the group's queue while nothing is eligible: for the group's
    /// `DownWait` in all while nothing is well, for its `BusyWait` in all while something is well but full. What
    /// has failed for this job may be tried again once it has waited for as long as a first ejection lasts.
    ///
    /// `on_wait` is called once when the wait begins. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// When the wait is over, cancelled, or cannot begin because too many jobs wait.
    pub async fn wait_for_place(
        &self,
        group: &Arc<Group>,
        request: &PlacementRequest,
        tried: &mut Tried,
        cancel: &CancellationToken,
        on_wait: impl FnOnce(&Waiting),
    ) -> Result<Placement, Refused> {
        let wish = Wish {
            board: &self.board,
            choice: Choice::Of(Arc::clone(group)),
            group,
            request,
        };
        wish.fulfil(tried, cancel, on_wait).await
    }

    /// As [`Directory::place_on`], but waits in the queue of `group`, by its limits.
    ///
    /// # Errors
    /// As [`Directory::wait_for_place`], or when there is no such storage.
    pub async fn wait_for_place_on(
        &self,
        group: &Arc<Group>,
        storage: &StorageName,
        request: &PlacementRequest,
        tried: &mut Tried,
        cancel: &CancellationToken,
        on_wait: impl FnOnce(&Waiting),
    ) -> Result<Placement, Refused> {
        let Some(live) = self.storage(storage) else {
            return Err(Refused::unknown(storage));
        };
        let wish = Wish {
            board: &self.board,
            choice: Choice::Bound(live),
            group,
            request,
        };
        wish.fulfil(tried, cancel, on_wait).await
    }
}
