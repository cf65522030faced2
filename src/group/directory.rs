//! All storages and all groups: where jobs get their places. Storages are counted once, however many groups they
//! are in and however many Directors use them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::config::model::{self, Model};
use crate::types::{Decision, GroupName, StorageName};

use super::clock::now;
use super::explain::Explanation;
use super::group::Group;
use super::history::PastJob;
use super::live::StorageLive;
use super::place::{Choice, Placement, Unplaced, UnplacedReason};
use super::queue::{Asked, Wish};
use super::request::{PlacementRequest, Tried};
use super::slot::Slot;
use super::state::Standing;
use super::table::{Board, Table};
use super::waiting::{Refused, Waiting};

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
        Self::build(&Arc::new(Board::new(Table::new(seed))), model, None, now())
    }

    /// The storages and groups of `model`, which is in force from now on. What stays keeps its jobs, counts, queue,
    /// states and all that is known of it; a storage that is not there any more gets no new jobs. Sessions that began
    /// with this directory may go on to use it: their jobs are placed by the new one. `standing` is what the operator
    /// wants of the storages that are new.
    #[must_use]
    pub fn renewed(&self, model: &Model, standing: Vec<Standing>) -> Arc<Self> {
        Self::build(&self.board, model, Some((self, standing)), now())
    }

    fn build(board: &Arc<Board>, model: &Model, before: Option<(&Self, Vec<Standing>)>, now: Instant) -> Arc<Self> {
        let (before, standing) = before.unzip();
        let mut table = board.lock();
        table.begin(model);
        let enter = |storage: &Arc<model::Storage>| {
            let known = before.and_then(|before| before.storage_by_name.get(&storage.name));
            let is_elsewhere = known.is_none_or(|live| live.storage().is_elsewhere(storage));
            let (id, gauges) = table.enter_storage(storage, is_elsewhere, now);
            Arc::new(StorageLive::new(id, Arc::clone(board), Arc::clone(storage), gauges))
        };
        let storages: Vec<_> = model.storages.iter().map(enter).collect();
        for standing in standing.into_iter().flatten() {
            let live = storages.iter().find(|live| *live.name() == standing.storage);
            if let Some(live) = live {
                table.put(live.id, standing.decision, standing.ends, now);
            }
        }
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
            let entry = table.enter_group(config);
            groups.push(Arc::new(Group::new(Arc::clone(config), members.collect(), entry)));
        }
        let group_by_name = groups
            .iter()
            .map(|group| (group.name().clone(), Arc::clone(group)))
            .collect();
        let directory = Arc::new(Self {
            board: Arc::clone(board),
            storages,
            storage_by_name,
            groups,
            group_by_name,
        });
        table.follow(&directory, now);
        directory
    }

    pub(super) fn board(&self) -> &Arc<Board> {
        &self.board
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

    /// The storage of this name in this configuration, or else in the one that is in force: a job that waited while
    /// that came can have its place there.
    #[must_use]
    pub fn storage_of_job(&self, name: &StorageName) -> Option<Arc<StorageLive>> {
        self.storage(name).or_else(|| {
            let in_force = self.board.lock().directory()?;
            in_force.storage(name)
        })
    }

    /// Every group, in the order of the configuration.
    #[must_use]
    pub fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }

    /// How many jobs wait, in all groups.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.groups.iter().map(|group| group.waiting()).sum()
    }

    /// Every storage, in the order of the configuration.
    #[must_use]
    pub fn storages(&self) -> &[Arc<StorageLive>] {
        &self.storages
    }

    /// Remembers jobs of earlier processes, in the order in which they were placed.
    pub fn remember<'a>(&self, jobs: impl IntoIterator<Item = &'a PastJob>) {
        let mut table = self.board.lock();
        for job in jobs {
            if let Some(live) = self.storage_by_name.get(&job.storage) {
                table.remember(job, live.id);
            }
        }
        table.serve(now());
    }

    /// The states that have ended by themselves by `now`, each told once. To be called every second or so.
    #[must_use = "that a state has ended is to be told and kept"]
    pub fn states_over(&self, now: Instant) -> Vec<(Arc<StorageLive>, Arc<Decision>)> {
        let over = self.board.lock().take_over(now);
        let storages = over.into_iter();
        storages
            .filter_map(|(id, decision)| {
                let live = self.storages.iter().find(|live| live.id == id)?;
                Some((Arc::clone(live), decision))
            })
            .collect()
    }

    /// Looks how fast every storage has been since the last look. To be called every few seconds.
    pub fn look_at_pace(&self, now: Instant) {
        self.board.lock().look_at_pace(now);
    }

    /// A job has ended: what it was foretells the next. One that waits for the storage of its last full may have
    /// another now.
    pub fn observe_end(&self, job: &PastJob, now: Instant) {
        if let Some(live) = self.storage_of_job(&job.storage) {
            let mut table = self.board.lock();
            table.history.ended(job, live.id);
            table.serve(now);
        }
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

    /// As [`Directory::place`], for a job that has the place `left` and leaves it for the one that it gets, see
    /// [`Slot::leave`]. Without another it stays.
    ///
    /// # Errors
    /// When no member is eligible at `now`.
    pub fn place_instead(
        &self,
        left: &Slot,
        group: &Arc<Group>,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<Placement, Unplaced> {
        let choice = Choice::Of(Arc::clone(group));
        let placed = {
            let mut table = self.board.lock();
            let choice = table.in_force(&choice);
            table.place_instead(left.place(), &choice, request, tried, now)
        };
        placed.map(Placement::new)
    }

    /// Takes a place on this very storage, because the job's volumes are there. It counts as one of `group`.
    ///
    /// # Errors
    /// When it is not eligible at `now`, or does not exist.
    pub fn place_on(
        &self,
        group: &Arc<Group>,
        storage: &StorageName,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<Placement, Unplaced> {
        match self.storage(storage) {
            Some(live) => {
                let group = Arc::clone(group);
                self.place_at(&Choice::Bound { live, group }, request, tried, now)
            }
            None => Err(Unplaced {
                reason: UnplacedReason::Unknown,
                explanation: Arc::default(),
            }),
        }
    }

    /// Where a job that writes would go at `now`, and why; nothing is taken, and nothing changes by it.
    #[must_use]
    pub fn explain(&self, group: &Arc<Group>, request: &PlacementRequest, now: Instant) -> Arc<Explanation> {
        let choice = Choice::Of(Arc::clone(group));
        self.board.lock().would_take(&choice, request, now)
    }

    fn place_at(
        &self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<Placement, Unplaced> {
        // The lock is given back before the slot exists, since a slot takes it when it is dropped.
        let placed = {
            let mut table = self.board.lock();
            let choice = table.in_force(choice);
            table.place(&choice, request, tried, now)
        };
        placed.map(Placement::new)
    }

    /// As [`Directory::place`], but joins the group's queue when nothing is eligible, for a caller who has a clock of
    /// his own.
    ///
    /// # Errors
    /// When the wait cannot begin.
    pub fn ask(
        &self,
        group: &Arc<Group>,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Result<Asked, Refused> {
        let wish = Wish {
            board: &self.board,
            choice: Choice::Of(Arc::clone(group)),
            request,
        };
        wish.ask(tried, now)
    }

    /// The numbers of the waiting jobs that were given a place and have not collected it.
    #[must_use]
    pub fn granted(&self) -> Vec<u64> {
        self.board.lock().grants.keys().copied().collect()
    }

    /// As [`Directory::place`], but waits in the group's queue while nothing is eligible: for the group's
    /// `DownWait` in all while nothing is well, for its `BusyWait` in all while something is well but full. What
    /// has failed for this job may be tried again once it has waited for as long as a first ejection lasts.
    ///
    /// `on_wait` is called when the wait begins, and again when it has changed a good deal: half of the jobs before it
    /// are gone, or it waits for something else. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// When the wait is over, cancelled, or cannot begin because too many jobs wait.
    pub async fn wait_for_place(
        &self,
        group: &Arc<Group>,
        request: &PlacementRequest,
        tried: &mut Tried,
        cancel: &CancellationToken,
        on_wait: impl FnMut(&Waiting),
    ) -> Result<Placement, Refused> {
        let wish = Wish {
            board: &self.board,
            choice: Choice::Of(Arc::clone(group)),
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
        on_wait: impl FnMut(&Waiting),
    ) -> Result<Placement, Refused> {
        let Some(live) = self.storage(storage) else {
            return Err(Refused::unknown(storage));
        };
        let wish = Wish {
            board: &self.board,
            choice: Choice::Bound {
                live,
                group: Arc::clone(group),
            },
            request,
        };
        wish.fulfil(tried, cancel, on_wait).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::model::PolicyName;
    use crate::group::{Cause, Layer, Observed, ProbeFailure, Probed, Slot, State, Trial, rig};

    fn built(policy: PolicyName) -> (Arc<Directory>, Arc<Group>) {
        let directory = Directory::seeded(&rig::model(policy), 1);
        let group = directory.group(&rig::group_name()).expect("the rig's group");
        (directory, group)
    }

    fn place_many(policy: PolicyName, count: u32) -> (Vec<String>, Vec<Slot>) {
        let (directory, group) = built(policy);
        (1..=count)
            .map(|job_id| {
                let placement = directory
                    .place(&group, &rig::request("dir", job_id), &Tried::new(), Instant::now())
                    .expect("a free place");
                (placement.storage.name.to_string(), placement.slot)
            })
            .unzip()
    }

    #[test]
    fn each_policy_fills_the_group_in_its_own_order() {
        let table = [
            (
                PolicyName::ListedOrder,
                ["File4", "File4", "File5", "File5", "File6", "File6"],
            ),
            (
                PolicyName::LeastUsed,
                ["File4", "File5", "File6", "File4", "File5", "File6"],
            ),
            (
                PolicyName::RoundRobin,
                ["File4", "File5", "File6", "File4", "File5", "File6"],
            ),
        ];
        for (policy, expected) in table {
            assert_eq!(place_many(policy, 6).0, expected, "{policy}");
        }
    }

    #[test]
    fn a_full_group_says_so_and_a_dropped_slot_is_free_again() {
        let (directory, group) = built(PolicyName::ListedOrder);
        let now = Instant::now();
        let place = |job_id| directory.place(&group, &rig::request("dir", job_id), &Tried::new(), now);
        let mut held: Vec<_> = (1..=6).map(|job_id| place(job_id).expect("a free place")).collect();
        let unplaced = place(7).expect_err("six places in all");
        assert_eq!(unplaced.reason, UnplacedReason::AllBusy);
        assert_eq!(
            unplaced.to_string(),
            "no storage of group Files: File4 has 2 of 2 jobs, File5 has 2 of 2 jobs, File6 has 2 of 2 jobs"
        );
        let freed = held.swap_remove(2);
        let freed_name = freed.storage.name.clone();
        drop(freed);
        assert_eq!(place(8).expect("the freed place").storage.name, freed_name);
    }

    #[test]
    fn what_was_tried_is_passed_over_in_the_order_of_the_rank() {
        let (directory, group) = built(PolicyName::RoundRobin);
        let now = Instant::now();
        let request = rig::request("dir", 1);
        let mut tried = Tried::new();
        let mut order = Vec::new();
        while let Ok(placement) = directory.place(&group, &request, &tried, now) {
            order.push(placement.storage.name.to_string());
            tried.add(placement.storage.name.clone(), Trial::Failed, "login refused");
        }
        assert_eq!(order, ["File4", "File5", "File6"]);
        let unplaced = directory.place(&group, &request, &tried, now).expect_err("all tried");
        assert_eq!(unplaced.reason, UnplacedReason::NoneLeft);
        assert!(group.members().iter().all(|live| live.view(now).running == 0));
    }

    #[test]
    fn a_storage_is_counted_once_for_all_groups() {
        let mut model = rig::model(PolicyName::LeastUsed);
        let second = GroupName::new("Archive").expect("a name");
        let mut config = (*model.groups[0]).clone();
        config.name = second.clone();
        config.members.truncate(1);
        model.groups.push(Arc::new(config));
        let directory = Directory::seeded(&model, 1);
        let all_three = directory.group(&rig::group_name()).expect("a group");
        let archive = directory.group(&second).expect("a group");
        let now = Instant::now();
        let place = |group, director| directory.place(group, &rig::request(director, 1), &Tried::new(), now);

        let one = place(&archive, "a").expect("a free place");
        assert_eq!(one.storage.name.as_str(), "File4");
        let two = place(&all_three, "b").expect("a free place");
        assert_eq!(two.storage.name.as_str(), "File5", "File4 has a job of the other group");
        let three = place(&archive, "b").expect("a free place");
        let unplaced = place(&archive, "c").expect_err("two of two");
        assert_eq!(unplaced.reason, UnplacedReason::AllBusy);
        let file4 = directory.storage(&rig::storage_name("File4")).expect("a storage");
        assert_eq!((file4.view(now).running, file4.view(now).placed_total), (2, 2));
        drop((one, two, three));
        assert_eq!((file4.view(now).running, file4.view(now).placed_total), (0, 2));
    }

    #[test]
    fn the_view_and_the_explanation_tell_what_is_wrong() {
        let (directory, group) = built(PolicyName::ListedOrder);
        let now = Instant::now();
        let later = now + Duration::from_secs(4);
        let [file4, file5, file6] = directory.storages() else {
            panic!("three storages");
        };
        let failure = ProbeFailure {
            layer: Layer::Connect,
            text: "connection refused".into(),
        };
        let local = ProbeFailure {
            layer: Layer::Exhausted,
            text: "no port is left".into(),
        };
        let nothing = file4.observe_probe(Err(local), now);
        assert_eq!(
            nothing,
            Observed::default(),
            "it is not the storage that lacks something"
        );
        assert!(file4.view(now).trouble.is_none());
        assert!(file4.observe_probe(Err(failure), now).flip.is_some());
        let ejected = file5.observe_failure(Cause::new("reset", "connection reset"), now);
        assert_eq!(ejected.expect("one failure ejects").length, Duration::from_secs(10));
        let probed = Probed {
            storage_version: 306,
            space: None,
            took: Duration::from_millis(3),
        };
        assert!(file6.observe_probe(Ok(probed), now).flip.is_some());

        let placement = directory
            .place(&group, &rig::request("dir", 1), &Tried::new(), later)
            .expect("File6 is well");
        assert_eq!(
            placement.explanation.to_string(),
            "File6 by ListedOrder (0 of 2 jobs; File4: down, connection refused; File5: ejected for 6 s, connection \
             reset)"
        );
        let views: Vec<_> = directory.storages().iter().map(|live| live.view(later)).collect();
        let usable = |now| -> Vec<String> {
            let usable = group.usable(now).into_iter();
            usable.map(|live| live.name().to_string()).collect()
        };
        assert_eq!(usable(later), ["File6"]);
        assert_eq!(views[0].trouble.as_ref().expect("a cause").label, "connect");
        assert_eq!(views[1].ejected_for, Some(Duration::from_secs(6)));
        assert_eq!(views[1].ejections_total, 1);
        assert_eq!(views[2].storage_version, Some(306));
        assert!(views[2].trouble.is_none());
        let after = file5.view(now + Duration::from_secs(10));
        assert!(
            after.ejected_for.is_none() && after.trouble.is_none(),
            "it is over by itself"
        );

        file6.decide(rig::decision(State::Maintenance), None, later);
        assert!(usable(later).is_empty());
        assert_eq!(usable(now + Duration::from_secs(10)), ["File5"]);
        assert!(file5.observe_probe(Ok(probed), later).flip.is_some());
        assert_eq!(
            usable(later),
            ["File5"],
            "all that are open are ejected, and it may work"
        );
    }

    #[test]
    fn a_bound_job_goes_to_its_storage_or_nowhere() {
        let (directory, group) = built(PolicyName::ListedOrder);
        let now = Instant::now();
        let name = rig::storage_name("File5");
        let request = rig::request("dir", 1);
        let placement = directory
            .place_on(&group, &name, &request, &Tried::new(), now)
            .expect("free");
        assert_eq!(placement.storage.name, name);
        let second = directory
            .place_on(&group, &name, &request, &Tried::new(), now)
            .expect("free");
        let unplaced = directory
            .place_on(&group, &name, &request, &Tried::new(), now)
            .expect_err("full");
        assert_eq!(unplaced.to_string(), "File5 has 2 of 2 jobs");
        drop((placement, second));
        let nobody = directory.place_on(&group, &rig::storage_name("File9"), &request, &Tried::new(), now);
        assert_eq!(nobody.expect_err("no such storage").reason, UnplacedReason::Unknown);
    }

    #[test]
    fn a_directory_is_freed_when_its_last_user_is_gone() {
        let directory = rig::directory();
        let board = Arc::downgrade(&directory.board);
        drop(directory);
        assert!(board.upgrade().is_none());
    }
}
