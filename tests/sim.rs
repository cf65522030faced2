//! Placement under hardship, by seed: jobs come, fail, are retried, cancelled and abandoned; storages go down, are
//! ejected, sealed, and come back; time passes. After every step a shadow model, which counts for itself, is held
//! against the directory. `SDGROUP_SIM_SEED=<n>` replays the one seed that a failure prints.

// A test that cannot go on says so.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sdgroup::config::model::PolicyName;
use sdgroup::config::{self, MachineSecrets, Model};
use sdgroup::group::policy::Dice;
use sdgroup::group::{
    Access, Availability, Cause, Decision, Directory, Group, Layer, Placement, PlacementRequest, ProbeFailure, Probed,
    Refused, RefusedReason, State, StorageView, Trial, Tried,
};
use sdgroup::types::{
    ClientName, DirectorName, FileSetName, JobId, JobLevel, JobName, JobResourceName, JobType, StorageName,
};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

const SEEDS: u64 = 64;
const STEPS: u32 = 400;
const DOWN_WAIT: Duration = Duration::from_secs(60);
const BUSY_WAIT: Duration = Duration::from_secs(300);
const MAXIMUM_QUEUED_JOBS: usize = 12;
/// After this long a waiting job may try again what failed for it: the first ejection's length.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn model(dice: &mut Dice) -> Model {
    let mut text = String::from(
        "[[Listen]]\nAddress = \"127.0.0.1\"\nSDPort = 9103\nGroup = \"Wide\"\n\
         [[Listen]]\nAddress = \"127.0.0.1\"\nSDPort = 9104\nGroup = \"Narrow\"\n\
         [[Director]]\nName = \"dir\"\nPassword = \"a long enough password\"\n",
    );
    for name in ["S1", "S2", "S3", "S4"] {
        let limit = 1 + dice.below(3);
        write!(
            text,
            "[[Storage]]\nName = \"{name}\"\nAddress = \"{name}.example\"\nPassword = \"a long enough password\"\n\
             MaximumConcurrentJobs = {limit}\n"
        )
        .unwrap();
    }
    for (name, members) in [("Wide", r#"["S1", "S2", "S3"]"#), ("Narrow", r#"["S3", "S4"]"#)] {
        let policy = PolicyName::ALL[usize::try_from(dice.below(PolicyName::ALL.len() as u64)).unwrap()];
        write!(
            text,
            "[[Group]]\nName = \"{name}\"\nStorages = {members}\nStorageGroupPolicy = \"{policy}\"\n\
             DownWait = \"60 seconds\"\nBusyWait = \"300 seconds\"\nMaximumQueuedJobs = {MAXIMUM_QUEUED_JOBS}\n"
        )
        .unwrap();
    }
    let failures = 1 + dice.below(2);
    write!(
        text,
        "[Probe]\nRise = 2\nFall = 2\n[Ejection]\nFailures = {failures}\nTime = \"10 seconds\"\n\
         MaximumTime = \"40 seconds\"\n"
    )
    .unwrap();
    match config::compile(&text, Path::new("sim.toml"), &MachineSecrets::new()) {
        Ok(loaded) => loaded.model,
        Err(problems) => panic!("{problems:#?}"),
    }
}

/// A job as the shadow knows it while it waits.
#[derive(Clone)]
struct Waits {
    group: usize,
    director: &'static str,
    access: Access,
    bound: Option<usize>,
    /// What failed for it, when this wait began.
    tried: BTreeSet<usize>,
    first_began: Instant,
    began: Instant,
    cancel: CancellationToken,
    tried_log: Tried,
}

struct Holds {
    job: Waits,
    placement: Placement,
    at: usize,
}

/// How one wait ended.
struct Ended {
    number: u32,
    result: Result<Placement, Refused>,
    tried: Tried,
}

struct Sim {
    dice: Dice,
    directory: Arc<Directory>,
    groups: Vec<Arc<Group>>,
    names: Vec<StorageName>,
    waiting: BTreeMap<u32, Waits>,
    tasks: BTreeMap<u32, tokio::task::JoinHandle<()>>,
    holding: BTreeMap<u32, Holds>,
    ended: Rc<RefCell<Vec<Ended>>>,
    arrived: u32,
    placed: u32,
    refused: u32,
    /// What was done, for the reader of a failure.
    steps: Rc<RefCell<Vec<String>>>,
}

impl Sim {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::from_seed(seed);
        let directory = Directory::seeded(&model(&mut dice), seed);
        Self {
            groups: directory.groups().to_vec(),
            names: directory.storages().iter().map(|live| live.name().clone()).collect(),
            directory,
            dice,
            waiting: BTreeMap::new(),
            tasks: BTreeMap::new(),
            holding: BTreeMap::new(),
            ended: Rc::default(),
            arrived: 0,
            placed: 0,
            refused: 0,
            steps: Rc::default(),
        }
    }

    fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.dice.below(count as u64)).unwrap()
    }

    fn pick_key<T>(dice: &mut Dice, map: &BTreeMap<u32, T>) -> Option<u32> {
        let at = usize::try_from(dice.below(map.len() as u64)).unwrap();
        map.keys().nth(at).copied()
    }

    fn views(&self) -> Vec<StorageView> {
        self.directory.storages().iter().map(|live| live.view(now())).collect()
    }

    fn members(&self, job: &Waits) -> Vec<usize> {
        let index = |name: &StorageName| self.names.iter().position(|it| it == name).unwrap();
        match job.bound {
            Some(at) => vec![at],
            None => self.groups[job.group]
                .members()
                .iter()
                .map(|live| index(live.name()))
                .collect(),
        }
    }

    /// The same rules as the directory's, said another way: which storages could take this job but for the limit.
    fn open_to(&self, job: &Waits, views: &[StorageView], now: Instant) -> Vec<usize> {
        let forgiven = now >= job.began + FORGIVEN_AFTER;
        let allowed = |state| match state {
            State::Ready => true,
            State::Draining | State::Sealed => job.access == Access::Read,
            State::Maintenance => false,
        };
        let sound: Vec<usize> = self
            .members(job)
            .into_iter()
            .filter(|at| forgiven || !job.tried.contains(at))
            .filter(|at| allowed(views[*at].state()) && views[*at].availability != Availability::Down)
            .collect();
        let kept: Vec<usize> = sound
            .iter()
            .copied()
            .filter(|at| views[*at].ejected_for.is_none())
            .collect();
        if kept.is_empty() {
            sound
                .into_iter()
                .filter(|at| views[*at].availability == Availability::Up)
                .collect()
        } else {
            kept
        }
    }

    fn arrive(&mut self) {
        self.arrived += 1;
        let access = if self.dice.below(4) == 0 {
            Access::Read
        } else {
            Access::Write
        };
        let bound = (access == Access::Read).then(|| self.pick(self.names.len()));
        let job = Waits {
            group: self.pick(2),
            director: ["a", "b", "c"][self.pick(3)],
            access,
            bound,
            tried: BTreeSet::new(),
            first_began: now(),
            began: now(),
            cancel: CancellationToken::new(),
            tried_log: Tried::new(),
        };
        self.start(self.arrived, job);
    }

    fn start(&mut self, number: u32, job: Waits) {
        let directory = Arc::clone(&self.directory);
        let group = Arc::clone(&self.groups[job.group]);
        let bound = job.bound.map(|at| self.names[at].clone());
        let request = request(job.director, number, job.access);
        let cancel = job.cancel.clone();
        let mut tried = job.tried_log.clone();
        let ended = Rc::clone(&self.ended);
        self.waiting.insert(number, job);
        let task = tokio::task::spawn_local(async move {
            let result = match bound {
                Some(name) => {
                    directory
                        .wait_for_place_on(&group, &name, &request, &mut tried, &cancel, |_| {})
                        .await
                }
                None => {
                    directory
                        .wait_for_place(&group, &request, &mut tried, &cancel, |_| {})
                        .await
                }
            };
            ended.borrow_mut().push(Ended { number, result, tried });
        });
        self.tasks.insert(number, task);
    }

    /// A placed job meets a failure: its storage is blamed, and it looks for another.
    fn fail(&mut self, number: u32) {
        let Holds { mut job, placement, at } = self.holding.remove(&number).unwrap();
        let cause = Cause::new("reset", "connection reset");
        let _ = self.directory.storages()[at].observe_failure(cause, now());
        drop(placement);
        job.tried_log
            .add(self.names[at].clone(), Trial::Failed, "connection reset");
        // What the wait before forgave is gone from the list.
        job.tried.retain(|at| job.tried_log.trial(&self.names[*at]).is_some());
        job.tried.insert(at);
        job.began = now();
        job.cancel = CancellationToken::new();
        self.start(number, job);
    }

    fn observe_probe(&mut self, at: usize, good: bool) {
        let outcome = if good {
            Ok(Probed {
                storage_version: 306,
                space: None,
                took: Duration::from_millis(2),
            })
        } else {
            Err(ProbeFailure {
                layer: Layer::Connect,
                text: "connection refused".into(),
            })
        };
        let _ = self.directory.storages()[at].observe_probe(outcome, now());
    }

    async fn step(&mut self) {
        let at = self.pick(self.names.len());
        let text = match self.dice.below(100) {
            0..30 => {
                self.arrive();
                format!("job {} arrives", self.arrived)
            }
            30..52 => match Self::pick_key(&mut self.dice, &self.holding) {
                Some(number) => {
                    let held = self.holding.remove(&number).unwrap();
                    self.directory.storages()[held.at].observe_success(now());
                    format!("job {number} ends on {}", self.names[held.at])
                }
                None => "nothing ends".to_owned(),
            },
            52..62 => match Self::pick_key(&mut self.dice, &self.holding) {
                Some(number) => {
                    self.fail(number);
                    format!("job {number} fails")
                }
                None => "nothing fails".to_owned(),
            },
            62..72 => {
                let good = self.dice.below(3) > 0;
                self.observe_probe(at, good);
                format!("probe of {}: {good}", self.names[at])
            }
            72..77 => {
                let state = [
                    State::Ready,
                    State::Ready,
                    State::Ready,
                    State::Sealed,
                    State::Maintenance,
                ][self.pick(5)];
                self.directory.storages()[at].decide(
                    Decision {
                        state,
                        ..Decision::default()
                    },
                    None,
                    now(),
                );
                format!("{} is {state}", self.names[at])
            }
            77..81 => match Self::pick_key(&mut self.dice, &self.waiting) {
                Some(number) => {
                    self.waiting[&number].cancel.cancel();
                    format!("job {number} is cancelled")
                }
                None => "nothing is cancelled".to_owned(),
            },
            81..85 => match Self::pick_key(&mut self.dice, &self.waiting) {
                Some(number) => {
                    // A place that is freed at this very moment is given to a job that never collects it.
                    let freed = Self::pick_key(&mut self.dice, &self.holding);
                    drop(freed.and_then(|freed| self.holding.remove(&freed)));
                    self.tasks[&number].abort();
                    self.waiting.remove(&number);
                    format!("job {number} is abandoned while {freed:?} ends")
                }
                None => "nothing is abandoned".to_owned(),
            },
            _ => {
                let seconds = self.dice.below(20);
                tokio::time::advance(Duration::from_secs(seconds)).await;
                format!("{seconds} s pass")
            }
        };
        self.steps.borrow_mut().push(text);
    }

    /// Lets every task run until none has anything left to do at this instant.
    async fn settle(&mut self) {
        let mut placed = Vec::new();
        let mut quiet = 0;
        while quiet < 8 {
            tokio::task::yield_now().await;
            let ended = self.ended.take();
            quiet = if ended.is_empty() { quiet + 1 } else { 0 };
            for Ended { number, result, tried } in ended {
                let Some(mut job) = self.waiting.remove(&number) else {
                    // Abandoned in the same step in which it ended: its place is given back here.
                    continue;
                };
                job.tried_log = tried;
                match result {
                    Ok(placement) => {
                        let at = self
                            .names
                            .iter()
                            .position(|name| *name == placement.storage.name)
                            .unwrap();
                        placed.push((number, job.clone()));
                        self.placed += 1;
                        self.holding.insert(number, Holds { job, placement, at });
                    }
                    Err(refused) => self.judge_refusal(&job, &refused),
                }
            }
        }
        self.tasks.retain(|_, task| !task.is_finished());
        self.sweep(&placed);
    }

    fn judge_refusal(&mut self, job: &Waits, refused: &Refused) {
        self.refused += 1;
        let waited = refused.waited;
        match refused.reason {
            RefusedReason::Cancelled => assert!(job.cancel.is_cancelled()),
            RefusedReason::QueueFull => assert_eq!(refused.queued, MAXIMUM_QUEUED_JOBS),
            RefusedReason::Down => assert!(waited >= DOWN_WAIT, "{refused}"),
            RefusedReason::Busy => assert!(waited >= BUSY_WAIT, "{refused}"),
            RefusedReason::Unfit | RefusedReason::Unknown => panic!("{refused}"),
        }
        assert!(waited <= now() - job.first_began, "{refused}");
    }

    /// The invariants.
    fn sweep(&self, placed: &[(u32, Waits)]) {
        let now = now();
        let views = self.views();
        let mut running = vec![0_u32; self.names.len()];
        for held in self.holding.values() {
            running[held.at] += 1;
        }
        for (at, view) in views.iter().enumerate() {
            assert_eq!(view.running, running[at], "{}: jobs counted", view.storage);
            assert!(view.running <= view.limit, "{}: above its limit", view.storage);
        }
        for (number, job) in placed {
            let at = self.holding[number].at;
            assert!(
                self.open_to(job, &views, now).contains(&at),
                "job {number} was placed on {}, which is closed to it: {:?}",
                self.names[at],
                views[at]
            );
        }
        for (number, job) in &self.waiting {
            for at in self.open_to(job, &views, now) {
                assert!(
                    running[at] >= views[at].limit,
                    "job {number} waits while {} has a place",
                    self.names[at]
                );
            }
            assert!(
                now - job.began < DOWN_WAIT + BUSY_WAIT,
                "job {number} waits for longer than both of its limits"
            );
        }
        self.sweep_order(placed, &views, now);
        for (index, group) in self.groups.iter().enumerate() {
            let waiting = self.waiting.values().filter(|job| job.group == index).count();
            assert_eq!(group.waiting(), waiting, "{}: jobs that wait", group.name());
            assert!(waiting <= MAXIMUM_QUEUED_JOBS);
        }
    }

    /// A job that came later has not taken a place that an earlier one of the same Director could have had.
    fn sweep_order(&self, placed: &[(u32, Waits)], views: &[StorageView], now: Instant) {
        for (number, job) in placed {
            let at = self.holding[number].at;
            let overtaken = self.waiting.iter().find(|(_, other)| {
                (other.group, other.director) == (job.group, job.director)
                    && other.tried.is_empty()
                    && other.began < job.began
                    && self.open_to(other, views, now).contains(&at)
            });
            if let Some((other, _)) = overtaken {
                panic!("job {number} has overtaken job {other}");
            }
        }
    }

    /// Everything that runs ends, time passes, and nobody is left.
    async fn finish(&mut self) {
        let patience = (DOWN_WAIT + BUSY_WAIT).as_secs() / 5 + 2;
        for _ in 0..patience {
            self.holding.clear();
            self.settle().await;
            tokio::time::advance(Duration::from_secs(5)).await;
        }
        self.holding.clear();
        self.settle().await;
        assert!(
            self.waiting.is_empty(),
            "{} jobs got neither a place nor a refusal",
            self.waiting.len()
        );
        assert!(self.tasks.is_empty());
        assert!(self.views().iter().all(|view| view.running == 0));
    }
}

fn request(director: &str, number: u32, access: Access) -> PlacementRequest {
    PlacementRequest {
        director: DirectorName::new(director).unwrap(),
        job: JobName::new(&format!("Nightly.2026-11-23_00.20.37_{number:02}")).unwrap(),
        job_id: JobId(number),
        job_resource: JobResourceName::new("Nightly").unwrap(),
        client: ClientName::new("client").unwrap(),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        fileset: FileSetName::new("All").unwrap(),
        access,
        is_resumed: false,
    }
}

/// Prints how to see a failure again.
struct Witness {
    seed: u64,
    steps: Rc<RefCell<Vec<String>>>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the simulation failed: replay it with SDGROUP_SIM_SEED={}", self.seed);
            if let Ok(steps) = self.steps.try_borrow() {
                let tail = steps.len().saturating_sub(40);
                println!("its last steps:\n  {}", steps[tail..].join("\n  "));
            }
        }
    }
}

/// One whole run; returns how many jobs came, were placed (some several times) and were refused.
fn run(seed: u64) -> [u32; 3] {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut sim = Sim::new(seed);
        let _witness = Witness {
            seed,
            steps: Rc::clone(&sim.steps),
        };
        for _ in 0..STEPS {
            sim.step().await;
            sim.settle().await;
        }
        sim.finish().await;
        [sim.arrived, sim.placed, sim.refused]
    })
}

#[test]
fn no_job_is_lost_and_no_storage_overrun() {
    if let Ok(seed) = std::env::var("SDGROUP_SIM_SEED") {
        let seed = seed.parse().expect("SDGROUP_SIM_SEED is a number");
        println!("seed {seed}: {:?}", run(seed));
        return;
    }
    let mut sum = [0; 3];
    for seed in 0..SEEDS {
        for (total, count) in sum.iter_mut().zip(run(seed)) {
            *total += count;
        }
    }
    let [arrived, placed, refused] = sum;
    println!("{SEEDS} seeds: {arrived} jobs, {placed} placements, {refused} refusals");
    assert!(
        placed > arrived / 2 && refused > arrived / 50,
        "the grammar must reach both ends"
    );
}

#[test]
fn a_seed_replays_to_the_same_run() {
    assert_eq!(run(7), run(7));
}
