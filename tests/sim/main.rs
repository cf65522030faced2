//! Placement under hardship, by seed: jobs come, fail, are retried, cancelled and abandoned; storages go down, are
//! ejected, drained, sealed for a while, fill up and come back; other configurations come into force; time passes. After
//! every step a shadow, which counts for itself and knows the rules in words of its own, is held against the directory.
//! `SDGROUP_SIM_SEED=<n>` replays the one seed that a failure prints.

// A test that cannot go on says so.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod shadow;
mod sweep;
mod world;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sdgroup::group::policy::Dice;
use sdgroup::group::{
    Availability, Cause, Decision, Directory, Group, Layer, PastJob, Placement, PlacementRequest, ProbeFailure, Probed,
    Refused, RefusedReason, State, StorageView, Tried,
};
use sdgroup::types::{
    Bytes, ClientName, DirectorName, FileSetName, JobId, JobLevel, JobName, JobResourceName, JobType, Moment, Space,
    StorageName,
};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use shadow::{Homes, Job, Known, Trial};
use world::{BUSY_WAIT, DIRECTORS, DOWN_WAIT, JOBS, Kind, MAXIMUM_QUEUED_JOBS, SIZE, World, one_of};

const SEEDS: u64 = 256;
const STEPS: u32 = 400;
/// How far time may go on at once.
const LONGEST_STEP: Duration = Duration::from_secs(20);

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

struct Waits {
    job: Job,
    cancel: CancellationToken,
    tried_log: Tried,
}

struct Holds {
    job: Job,
    tried_log: Tried,
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
    world: World,
    directory: Arc<Directory>,
    groups: Vec<Arc<Group>>,
    names: Vec<StorageName>,
    known: Vec<Known>,
    /// What is really written on each storage; the directory hears of it by probes.
    used: Vec<u64>,
    homes: Homes,
    /// The same before this step: a place that came free in it was given before or after a home changed.
    homes_before: Homes,
    /// Where a job of this step was, and what it was expected to write. Others were placed before or after it was gone.
    freed: Option<(usize, u64)>,
    sized: BTreeSet<Kind>,
    waiting: BTreeMap<u32, Waits>,
    tasks: BTreeMap<u32, tokio::task::JoinHandle<()>>,
    holding: BTreeMap<u32, Holds>,
    ended: Rc<RefCell<Vec<Ended>>>,
    arrived: u32,
    refused: u32,
    /// Every placement: of which job, on which storage.
    placements: Vec<(u32, usize)>,
    /// What was done, for the reader of a failure.
    steps: Rc<RefCell<Vec<String>>>,
}

impl Sim {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::from_seed(seed);
        let (world, model) = World::draw(&mut dice);
        let directory = Directory::seeded(&model, seed);
        let storages = directory.storages().len();
        let sim = Self {
            groups: directory.groups().to_vec(),
            names: directory.storages().iter().map(|live| live.name().clone()).collect(),
            known: vec![Known::new(); storages],
            used: vec![30 * (SIZE / 100); storages],
            homes: Homes::new(),
            homes_before: Homes::new(),
            freed: None,
            sized: BTreeSet::new(),
            directory,
            world,
            dice,
            waiting: BTreeMap::new(),
            tasks: BTreeMap::new(),
            holding: BTreeMap::new(),
            ended: Rc::default(),
            arrived: 0,
            refused: 0,
            placements: Vec::new(),
            steps: Rc::default(),
        };
        // A job that nobody runs: what is typical of a level is set aside for jobs of which nothing is known yet.
        for level in [JobLevel::Full, JobLevel::Incremental] {
            sim.tell_end("nobody", "Seed", level, 0);
        }
        sim
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

    fn arrive(&mut self) {
        self.arrived += 1;
        let reads = self.dice.below(4) == 0;
        let kind = Kind {
            director: self.pick(DIRECTORS.len()),
            job: self.pick(JOBS.len()),
            is_incremental: !reads && self.dice.below(2) == 0,
            reads,
        };
        let job = Job {
            group: self.pick(2),
            kind,
            bound: reads.then(|| self.pick(self.names.len())),
            tried: BTreeSet::new(),
            first_began: now(),
            began: now(),
            lined: now(),
        };
        self.start(self.arrived, job, Tried::new());
    }

    fn start(&mut self, number: u32, job: Job, tried_log: Tried) {
        let directory = Arc::clone(&self.directory);
        let group = Arc::clone(&self.groups[job.group]);
        let bound = job.bound.map(|at| self.names[at].clone());
        let request = request(job.kind, number);
        let waits = Waits {
            job,
            cancel: CancellationToken::new(),
            tried_log,
        };
        let (cancel, mut tried) = (waits.cancel.clone(), waits.tried_log.clone());
        let ended = Rc::clone(&self.ended);
        self.waiting.insert(number, waits);
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

    /// What the directory learns of a job that has ended well.
    fn tell_end(&self, director: &str, job: &str, level: JobLevel, at: usize) {
        let past = PastJob {
            director: DirectorName::new(director).unwrap(),
            job: JobName::new("Past").unwrap(),
            resource: JobResourceName::new(job).unwrap(),
            job_type: JobType::Backup,
            level,
            storage: self.names[at].clone(),
            placed: Moment(0),
            is_ok: true,
            bytes: Bytes(world::bytes(level)),
        };
        self.directory.observe_end(&past, now());
    }

    fn end(&mut self, number: u32) {
        let Holds { job, placement, at, .. } = self.holding.remove(&number).unwrap();
        self.freed = Some((at, job.kind.expected()));
        self.directory.storages()[at].observe_success(now());
        // The session may be the last to hold the place, or the data connection.
        let mut placement = Some(placement);
        if self.dice.below(2) == 0 {
            placement = None;
        }
        if !job.kind.reads {
            let level = job.kind.level();
            self.used[at] = (self.used[at] + world::bytes(level)).min(SIZE);
            if level == JobLevel::Full {
                self.homes.insert((job.kind.director, job.kind.job), at);
            }
            self.sized.insert(job.kind);
            self.tell_end(DIRECTORS[job.kind.director], JOBS[job.kind.job], level, at);
        }
        drop(placement);
        self.proved(at, number);
    }

    /// A job has ended on a storage, and so proved it if it was on trial.
    fn proved(&mut self, at: usize, number: u32) {
        let on_trial = |trial: &Trial| trial.jobs.iter().any(|(job, _)| *job == number);
        if self.known[at].trial.as_ref().is_some_and(on_trial) {
            self.known[at].trial = None;
        }
    }

    /// A placed job meets a failure: its storage is blamed, and it looks for another.
    fn fail(&mut self, number: u32) {
        let Holds {
            mut job,
            mut tried_log,
            placement,
            at,
        } = self.holding.remove(&number).unwrap();
        self.freed = Some((at, job.kind.expected()));
        let cause = Cause::new("reset", "connection reset");
        let ejected = self.directory.storages()[at].observe_failure(cause, now());
        if ejected.is_some() {
            self.closed(at);
        } else if self.known[at].trial.is_some() {
            // It begins its trial again.
            self.known[at].trial = Some(Trial::default());
        }
        drop(placement);
        tried_log.add(
            self.names[at].clone(),
            sdgroup::group::Trial::Failed,
            "connection reset",
        );
        // What the wait before forgave is gone from the list.
        job.tried.retain(|at| tried_log.trial(&self.names[*at]).is_some());
        job.tried.insert(at);
        (job.began, job.lined) = (now(), now());
        self.start(number, job, tried_log);
    }

    /// A storage gets no jobs for a while, and is on trial when it does again.
    fn closed(&mut self, at: usize) {
        if self.world.storages[at].slow_start {
            self.known[at].trial = Some(Trial::default());
        }
    }

    fn observe_probe(&mut self, at: usize, good: bool) {
        let free = SIZE - self.used[at];
        let outcome = if good {
            self.known[at].told = Some((free, now()));
            Ok(Probed {
                storage_version: 306,
                space: Some(Space {
                    free: Bytes(free),
                    total: Bytes(SIZE),
                }),
                took: Duration::from_millis(2),
            })
        } else {
            Err(ProbeFailure {
                layer: Layer::Connect,
                text: "connection refused".into(),
            })
        };
        let observed = self.directory.storages()[at].observe_probe(outcome, now());
        if observed.flip.is_some_and(|flip| flip.to == Availability::Down) {
            self.closed(at);
        }
    }

    /// The operator wants something of a storage, perhaps for a while.
    fn decide(&mut self, at: usize) -> String {
        let state = one_of(
            &mut self.dice,
            &[
                State::Ready,
                State::Ready,
                State::Draining,
                State::Sealed,
                State::Maintenance,
            ],
        );
        let length = Duration::from_secs(5 + self.dice.below(60));
        let ends = (state != State::Ready && self.dice.below(2) == 0).then(|| now() + length);
        let decision = Decision {
            state,
            by: "sim".to_owned(),
            ..Decision::default()
        };
        self.known[at].decided = (state, ends);
        if state == State::Maintenance {
            self.closed(at);
        }
        self.directory.storages()[at].decide(decision, ends, now());
        format!("{} is {state} for {:?}", self.names[at], ends.map(|_| length))
    }

    async fn step(&mut self) {
        let at = self.pick(self.names.len());
        self.homes_before.clone_from(&self.homes);
        self.freed = None;
        let text = match self.dice.below(100) {
            0..30 => {
                self.arrive();
                let job = &self.waiting[&self.arrived].job;
                format!("job {} arrives: {job:?}", self.arrived)
            }
            30..50 => match Self::pick_key(&mut self.dice, &self.holding) {
                Some(number) => {
                    let at = self.holding[&number].at;
                    self.end(number);
                    format!("job {number} ends on {}", self.names[at])
                }
                None => "nothing ends".to_owned(),
            },
            50..58 => match Self::pick_key(&mut self.dice, &self.holding) {
                Some(number) => {
                    self.fail(number);
                    format!("job {number} fails")
                }
                None => "nothing fails".to_owned(),
            },
            58..71 => {
                let good = self.dice.below(4) > 0;
                self.observe_probe(at, good);
                format!("probe of {}: {good}", self.names[at])
            }
            71..74 => {
                // Somebody else writes there, or old volumes are thrown away.
                self.used[at] = (SIZE / 100) * (20 + self.dice.below(80));
                format!("{} has {} written", self.names[at], Bytes(self.used[at]))
            }
            74..79 => self.decide(at),
            79..82 => match Self::pick_key(&mut self.dice, &self.waiting) {
                Some(number) => {
                    self.waiting[&number].cancel.cancel();
                    format!("job {number} is cancelled")
                }
                None => "nothing is cancelled".to_owned(),
            },
            82..85 => self.abandon(),
            85..87 => self.reload(),
            _ => {
                let seconds = self.dice.below(LONGEST_STEP.as_secs());
                tokio::time::advance(Duration::from_secs(seconds)).await;
                format!("{seconds} s pass")
            }
        };
        self.steps.borrow_mut().push(text);
    }

    /// Another configuration comes into force: what is counted and who waits stays, and who can have a place by it gets one.
    fn reload(&mut self) -> String {
        let running = |sim: &Self| sim.views().iter().map(|view| view.running as usize).sum::<usize>();
        let (held, waiting) = (running(self), self.waiting.len());
        let priorities: Vec<u32> = self.waiting.values().map(|waits| self.priority(&waits.job)).collect();
        let model = self.world.reload(&mut self.dice);
        self.directory = self.directory.renewed(&model, Vec::new());
        self.groups = self.directory.groups().to_vec();
        let granted = self.directory.granted().len();
        assert_eq!(running(self), held + granted, "a reload has lost places");
        let listed: usize = self.groups.iter().map(|group| group.waiting()).sum();
        assert_eq!(listed + granted, waiting, "a reload has lost who waits");
        // One whose priority has become another is behind those that had it before.
        let world = &self.world;
        for (before, waits) in priorities.into_iter().zip(self.waiting.values_mut()) {
            if world.priority(waits.job.group, waits.job.kind.job) != before {
                waits.job.lined = now();
            }
        }
        format!("a reload: {:?}", self.world)
    }

    fn priority(&self, job: &Job) -> u32 {
        self.world.priority(job.group, job.kind.job)
    }

    /// A job that waits is gone at the moment at which a place becomes free, which it is given and never collects.
    fn abandon(&mut self) -> String {
        let Some(number) = Self::pick_key(&mut self.dice, &self.waiting) else {
            return "nothing is abandoned".to_owned();
        };
        let freed = Self::pick_key(&mut self.dice, &self.holding);
        if let Some((freed, Holds { job, at, .. })) = freed.and_then(|freed| self.holding.remove_entry(&freed)) {
            self.freed = Some((at, job.kind.expected()));
            self.proved(at, freed);
        }
        self.tasks[&number].abort();
        self.waiting.remove(&number);
        format!("job {number} is abandoned while {freed:?} ends")
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
                let Some(Waits { job, cancel, .. }) = self.waiting.remove(&number) else {
                    // Abandoned in the same step in which it ended: its place is given back here.
                    continue;
                };
                match result {
                    Ok(placement) => {
                        let name = &placement.storage.name;
                        let at = self.names.iter().position(|it| it == name).unwrap();
                        placed.push(number);
                        self.placements.push((number, at));
                        if let Some(trial) = &mut self.known[at].trial {
                            trial.jobs.push((number, now()));
                        }
                        let held = Holds {
                            job,
                            tried_log: tried,
                            placement,
                            at,
                        };
                        self.holding.insert(number, held);
                    }
                    Err(refused) => self.judge_refusal(&job, &cancel, &refused),
                }
            }
        }
        self.tasks.retain(|_, task| !task.is_finished());
        self.sweep(&placed);
    }

    fn judge_refusal(&mut self, job: &Job, cancel: &CancellationToken, refused: &Refused) {
        self.refused += 1;
        let waited = refused.waited;
        match refused.reason {
            RefusedReason::Cancelled => assert!(cancel.is_cancelled()),
            RefusedReason::QueueFull => assert_eq!(refused.queued, MAXIMUM_QUEUED_JOBS),
            RefusedReason::Down => assert!(waited >= DOWN_WAIT, "{refused}"),
            RefusedReason::Busy => assert!(waited >= BUSY_WAIT, "{refused}"),
            RefusedReason::Unfit | RefusedReason::Unknown => panic!("{refused}"),
        }
        assert!(waited <= now() - job.first_began, "{refused}");
    }

    /// Everything that runs ends, time passes, and nobody is left.
    async fn finish(&mut self) {
        let patience = (DOWN_WAIT + BUSY_WAIT).as_secs() / 5 + 2;
        for _ in 0..patience {
            self.let_go().await;
            tokio::time::advance(Duration::from_secs(5)).await;
        }
        self.let_go().await;
        assert!(
            self.waiting.is_empty(),
            "{} jobs got neither a place nor a refusal",
            self.waiting.len()
        );
        assert!(self.tasks.is_empty());
        assert!(self.views().iter().all(|view| view.running == 0));
        self.states_over();
    }

    /// Ends what runs, one after the other, since what is claimed of an order is claimed of one change.
    async fn let_go(&mut self) {
        for number in self.holding.keys().copied().collect::<Vec<_>>() {
            let at = self.holding[&number].at;
            self.holding.remove(&number);
            self.proved(at, number);
            self.settle().await;
        }
        self.settle().await;
    }

    /// What has ended by itself is told, once.
    fn states_over(&self) {
        let over = self.directory.states_over(now());
        for (live, decision) in &over {
            let at = self.names.iter().position(|name| name == live.name()).unwrap();
            let (state, ends) = self.known[at].decided;
            assert!(decision.state == state && ends.is_some_and(|ends| ends <= now()));
        }
        for (at, known) in self.known.iter().enumerate() {
            let is_over = known.decided.1.is_some_and(|ends| ends <= now());
            let told = over.iter().any(|(live, _)| *live.name() == self.names[at]);
            assert_eq!(is_over, told, "{}", self.names[at]);
        }
        assert!(self.directory.states_over(now()).is_empty());
        for (view, known) in self.views().iter().zip(&self.known) {
            assert_eq!(view.state(), known.state(now()), "{}", view.storage);
        }
    }
}

fn request(kind: Kind, number: u32) -> PlacementRequest {
    PlacementRequest {
        job_id: JobId(number),
        job_type: if kind.reads { JobType::Restore } else { JobType::Backup },
        level: kind.level(),
        access: kind.access(),
        ..PlacementRequest::new(
            DirectorName::new(DIRECTORS[kind.director]).unwrap(),
            JobName::new(&format!("Job.2026-11-23_00.20.37_{number:02}")).unwrap(),
            JobResourceName::new(JOBS[kind.job]).unwrap(),
            ClientName::new("client").unwrap(),
            FileSetName::new("All").unwrap(),
        )
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
                let tail = steps.len().saturating_sub(150);
                println!("its last steps:\n  {}", steps[tail..].join("\n  "));
            }
        }
    }
}

/// What came of a whole run.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    arrived: u32,
    refused: u32,
    /// Some jobs are placed several times.
    placements: Vec<(u32, usize)>,
}

fn run(seed: u64) -> Run {
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
        Run {
            arrived: sim.arrived,
            refused: sim.refused,
            placements: sim.placements,
        }
    })
}

#[test]
fn no_job_is_lost_and_no_storage_overrun() {
    if let Ok(seed) = std::env::var("SDGROUP_SIM_SEED") {
        let seed = seed.parse().expect("SDGROUP_SIM_SEED is a number");
        println!("seed {seed}: {:?}", run(seed));
        return;
    }
    let (mut arrived, mut placed, mut refused) = (0, 0, 0);
    for seed in 0..SEEDS {
        let run = run(seed);
        arrived += run.arrived as usize;
        refused += run.refused as usize;
        placed += run.placements.len();
    }
    println!("{SEEDS} seeds: {arrived} jobs, {placed} placements, {refused} refusals");
    assert!(
        placed > arrived / 2 && refused > arrived / 50,
        "the grammar must reach both ends"
    );
}

#[test]
fn a_seed_replays_to_the_same_run() {
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
