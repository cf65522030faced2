//! Plays a history: jobs come, storages serve them, time jumps from event to event.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::model::{self, Model, PolicyName};
use crate::group::{
    Asked, Cause, Directory, Group, Layer, Looked, PastJob, Placement, PlacementRequest, ProbeFailure, Probed, Queued,
    Slot, StorageLive, Trial, Tried,
};
use crate::types::{Bytes, GroupName, JobId, JobName, Moment, NameError, Space};

use super::disk::{Disk, Next, Time};
use super::hardware::{Hardware, Machine};
use super::history::Job;
use super::outcome::{Gathering, Outcome};

/// How often storages are looked at, in seconds, as the daemon does.
const LOOK_EVERY: f64 = 5.0;

/// What happens when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// What a disk said would happen next, if nothing else has since.
    Disk { at: usize, version: u64 },
    /// A storage is as fast as this from now on, in bytes per second.
    Speed { at: usize, speed: u64 },
    /// A storage fails.
    Fails(usize),
    /// Probes have noticed that it failed, or that it is back.
    Noticed { at: usize, is_up: bool },
    /// It works again.
    Works(usize),
    /// A job that waits looks what has become of it.
    Look(u64),
    /// So many bytes are no longer kept.
    Expires { at: usize, bytes: u64 },
}

/// A job on a disk.
#[derive(Debug)]
struct Running {
    job: usize,
    at: usize,
    slot: Slot,
    began: f64,
    /// What the disk had served by then.
    from: f64,
}

/// A job that waits.
#[derive(Debug)]
struct Waiting {
    job: usize,
    queued: Queued,
}

/// Why a history cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such group.
    #[error("there is no group \"{0}\" in the configuration")]
    Group(GroupName),
    /// Never: the name of all simulated runs is a name.
    #[error(transparent)]
    Name(#[from] NameError),
}

struct Engine<'a> {
    jobs: &'a [Job],
    /// The first job's start: the beginning.
    zero: f64,
    base: Instant,
    probe: &'a model::Probe,
    directory: Arc<Directory>,
    group: Arc<Group>,
    members: Vec<Arc<StorageLive>>,
    machines: Vec<Machine>,
    disks: Vec<Disk>,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    sequence: u64,
    running: Vec<Option<Running>>,
    free: Vec<usize>,
    waiting: HashMap<u64, Waiting>,
    looked: f64,
    name: JobName,
    gathering: Gathering,
}

/// Plays `jobs` on the group of `model` under `policy`; `layout` is what the outcome calls the group.
///
/// # Errors
/// When there is no such group.
pub fn run(
    model: &Model,
    group: &GroupName,
    policy: PolicyName,
    jobs: &[Job],
    hardware: &Hardware,
    seed: u64,
    layout: &str,
) -> Result<Outcome, RunError> {
    let mut model = model.clone();
    for config in &mut model.groups {
        if config.name == *group {
            Arc::make_mut(config).policy = policy;
        }
    }
    let directory = Directory::seeded(&model, seed);
    let group = directory.group(group).ok_or_else(|| RunError::Group(group.clone()))?;
    let members = group.members().to_vec();
    let machines: Vec<Machine> = members.iter().map(|live| hardware.machine(live.name())).collect();
    let mut engine = Engine {
        jobs,
        zero: jobs.first().map_or(0.0, |job| job.start),
        base: Instant::now(),
        probe: &model.probe,
        directory,
        group,
        disks: machines.iter().map(Disk::new).collect(),
        gathering: Gathering::new(members.iter().map(|live| live.name().to_string())),
        members,
        machines,
        events: BinaryHeap::new(),
        sequence: 0,
        running: Vec::new(),
        free: Vec::new(),
        waiting: HashMap::new(),
        looked: f64::NEG_INFINITY,
        name: JobName::new("simulated")?,
    };
    engine.plan_failures(hardware);
    engine.play();
    Ok(engine
        .gathering
        .finish(policy.to_string(), layout.to_owned(), jobs.len()))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes are whole numbers"
)]
fn whole(bytes: f64) -> u64 {
    bytes.max(0.0) as u64
}

#[allow(clippy::cast_possible_truncation, reason = "a second more or less is of no account")]
fn whole_seconds(at: f64) -> i64 {
    at as i64
}

impl Engine<'_> {
    fn now(&self, at: f64) -> Instant {
        self.base + Duration::from_secs_f64(at.max(0.0))
    }

    fn plan(&mut self, at: f64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((Time(at), self.sequence, event)));
    }

    fn plan_failures(&mut self, hardware: &Hardware) {
        let interval = self.probe.interval.as_secs_f64();
        for failure in &hardware.failures {
            let Some(at) = self.members.iter().position(|live| *live.name() == failure.storage) else {
                continue;
            };
            let (from, length) = (failure.at.as_secs_f64(), failure.length.as_secs_f64());
            if let Some(speed) = failure.speed {
                let usual = self.machines.get(at).map_or(speed, |machine| machine.speed);
                self.plan(
                    from,
                    Event::Speed {
                        at,
                        speed: whole(speed),
                    },
                );
                let speed = whole(usual);
                self.plan(from + length, Event::Speed { at, speed });
                continue;
            }
            let noticed = from + interval * f64::from(self.probe.fall);
            self.plan(from, Event::Fails(at));
            if noticed < from + length {
                self.plan(noticed, Event::Noticed { at, is_up: false });
            }
            self.plan(from + length, Event::Works(at));
            let back = from + length + interval * f64::from(self.probe.rise);
            self.plan(back, Event::Noticed { at, is_up: true });
        }
    }

    fn play(&mut self) {
        for at in 0..self.members.len() {
            self.observe(at, true, 0.0);
        }
        let mut next = 0;
        loop {
            let due = self.events.peek().map(|Reverse((at, ..))| at.0);
            let arrives = self.jobs.get(next).map(|job| job.start - self.zero);
            match (due, arrives) {
                (Some(due), arrives) if arrives.is_none_or(|arrives| due <= arrives) => {
                    if let Some(Reverse((at, _, event))) = self.events.pop() {
                        self.happen(at.0, event);
                    }
                }
                (_, Some(arrives)) => {
                    self.look(arrives);
                    self.ask(next, &Tried::new(), arrives);
                    next += 1;
                }
                (_, None) => return,
            }
        }
    }

    fn happen(&mut self, at: f64, event: Event) {
        match event {
            Event::Disk { at: disk, version } => self.disk(disk, version, at),
            Event::Speed { at: disk, speed } => {
                self.work(disk, at);
                #[allow(clippy::cast_precision_loss, reason = "what is simulated is not counted to the byte")]
                if let Some(disk) = self.disks.get_mut(disk) {
                    disk.set_speed(Time(at), speed as f64);
                }
                self.plan_disk(disk);
            }
            Event::Fails(disk) => {
                self.break_off(disk, false, at);
                if let Some(disk) = self.disks.get_mut(disk) {
                    disk.is_down = true;
                }
            }
            Event::Works(disk) => {
                if let Some(disk) = self.disks.get_mut(disk) {
                    disk.is_down = false;
                }
            }
            Event::Noticed { at: disk, is_up } => {
                let probes = if is_up { self.probe.rise } else { self.probe.fall };
                (0..probes).for_each(|_| self.observe(disk, is_up, at));
            }
            Event::Look(number) => self.look_at_waiting(number, at),
            Event::Expires { at: disk, bytes } => {
                self.work(disk, at);
                #[allow(clippy::cast_precision_loss, reason = "what is simulated is not counted to the byte")]
                if let Some(disk) = self.disks.get_mut(disk) {
                    disk.free(Time(at), bytes as f64);
                }
                self.plan_disk(disk);
            }
        }
        for number in self.directory.granted() {
            self.look_at_waiting(number, at);
        }
    }

    /// What a probe of the storage sees.
    fn observe(&self, at: usize, is_up: bool, now: f64) {
        let (Some(live), Some(disk)) = (self.members.get(at), self.disks.get(at)) else {
            return;
        };
        let outcome = if is_up {
            Ok(Probed {
                storage_version: 0,
                space: disk.space().map(|(free, total)| Space {
                    free: Bytes(free),
                    total: Bytes(total),
                }),
                took: Duration::ZERO,
            })
        } else {
            Err(ProbeFailure {
                layer: Layer::Connect,
                text: "connection refused".into(),
            })
        };
        let _ = live.observe_probe(outcome, self.now(now));
    }

    /// Looks how far everything is, if that is due: what jobs have moved, what room there is, how fast it goes.
    fn look(&mut self, at: f64) {
        if at - self.looked < LOOK_EVERY {
            return;
        }
        self.looked = at;
        for disk in 0..self.disks.len() {
            self.work(disk, at);
        }
        for running in self.running.iter().flatten() {
            self.tell_moved(running);
        }
        for (at_disk, disk) in self.disks.iter().enumerate() {
            if !disk.is_down && disk.space().is_some() {
                self.observe(at_disk, true, at);
            }
        }
        self.directory.look_at_pace(self.now(at));
    }

    /// Tells a job's place how much it has written by now.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes are whole numbers"
    )]
    fn tell_moved(&self, running: &Running) -> u64 {
        let served = self.disks.get(running.at).map_or(0.0, Disk::served);
        let moved = (served - running.from).max(0.0) as u64;
        running.slot.moved(moved, 0);
        moved
    }

    /// Lets a disk work up to now.
    fn work(&mut self, at: usize, now: f64) {
        if let Some(disk) = self.disks.get_mut(at) {
            let busy = disk.advance(Time(now));
            self.gathering.busy(at, busy);
        }
    }

    fn plan_disk(&mut self, at: usize) {
        let Some((version, next)) = self.disks.get(at).map(|disk| (disk.version, disk.next())) else {
            return;
        };
        if let Some((when, _)) = next {
            self.plan(when.0, Event::Disk { at, version });
        }
    }

    fn disk(&mut self, at: usize, version: u64, now: f64) {
        let current = self.disks.get(at).filter(|disk| disk.version == version);
        let Some((_, next)) = current.and_then(Disk::next) else {
            return;
        };
        self.work(at, now);
        match next {
            Next::Full => self.break_off(at, true, now),
            Next::Done => {
                let done = self.disks.get_mut(at).and_then(Disk::done);
                if let Some(running) = done.and_then(|place| self.take_out(place)) {
                    self.end(running, now);
                }
                self.plan_disk(at);
            }
        }
    }

    fn take_out(&mut self, place: usize) -> Option<Running> {
        let running = self.running.get_mut(place)?.take()?;
        self.free.push(place);
        Some(running)
    }

    fn end(&mut self, running: Running, now: f64) {
        let Some(job) = self.jobs.get(running.job) else { return };
        let at = running.at;
        running.slot.moved(job.bytes.0, 0);
        self.note_end(job, &running, now);
        running.slot.end(self.now(now));
        self.gathering.ended(job, at, now - (job.start - self.zero), now);
        let bytes = job.bytes.0;
        self.keep(at, bytes, now);
    }

    /// What was written on a disk is written over when its retention is over.
    fn keep(&mut self, at: usize, bytes: u64, now: f64) {
        if let Some(retention) = self.machines.get(at).and_then(|machine| machine.retention) {
            self.plan(now + retention.as_secs_f64(), Event::Expires { at, bytes });
        }
    }

    fn note_end(&self, job: &Job, running: &Running, now: f64) {
        let Some(live) = self.members.get(running.at) else {
            return;
        };
        let past = PastJob {
            director: job.director.clone(),
            job: self.name.clone(),
            resource: job.resource.clone(),
            job_type: job.job_type,
            level: job.level,
            storage: live.name().clone(),
            placed: Moment(whole_seconds(self.zero + running.began)),
            is_ok: true,
            bytes: job.bytes,
        };
        self.directory.observe_end(&past, self.now(now));
    }

    /// Every job of a disk breaks off.
    fn break_off(&mut self, at: usize, is_full: bool, now: f64) {
        self.work(at, now);
        let broken = self.disks.get_mut(at).map(Disk::break_off).unwrap_or_default();
        for place in broken {
            if let Some(running) = self.take_out(place) {
                let moved = self.tell_moved(&running);
                self.keep(at, moved, now);
                self.gathering.failed(is_full);
                running.slot.end(self.now(now));
            }
        }
    }

    fn request(&self, job: &Job, number: usize) -> PlacementRequest {
        PlacementRequest {
            job_id: JobId(u32::try_from(number).unwrap_or(u32::MAX)),
            job_type: job.job_type,
            level: job.level,
            ..PlacementRequest::new(
                job.director.clone(),
                self.name.clone(),
                job.resource.clone(),
                job.client.clone(),
                job.fileset.clone(),
            )
        }
    }

    /// A job asks for a place, for the first time or because a storage did not take it.
    fn ask(&mut self, job: usize, tried: &Tried, now: f64) {
        let Some(what) = self.jobs.get(job) else { return };
        let request = self.request(what, job);
        match self.directory.ask(&self.group, &request, tried, self.now(now)) {
            Ok(Asked::Placed(placement)) => self.begin(job, placement, tried, now),
            Ok(Asked::Waits(queued)) => {
                let number = queued.number();
                self.waiting.insert(number, Waiting { job, queued });
                self.look_at_waiting(number, now);
            }
            Err(_) => self.gathering.refused(),
        }
    }

    fn look_at_waiting(&mut self, number: u64, now: f64) {
        let Some(waiting) = self.waiting.get(&number) else {
            return;
        };
        let looked = waiting.queued.look(self.now(now));
        let job = waiting.job;
        match looked {
            Looked::Placed(placement, tried) => {
                self.waiting.remove(&number);
                self.begin(job, placement, &tried, now);
            }
            Looked::Until(at) => {
                let at = at.saturating_duration_since(self.base).as_secs_f64();
                self.plan(at.max(now), Event::Look(number));
            }
            Looked::Over(_) => {
                self.waiting.remove(&number);
                self.gathering.refused();
            }
        }
    }

    /// The job begins on its storage, unless that is down and nobody has noticed yet.
    #[allow(clippy::cast_precision_loss, reason = "what is simulated is not counted to the byte")]
    fn begin(&mut self, job: usize, placement: Placement, tried: &Tried, now: f64) {
        let name = &placement.storage.name;
        let at = self.members.iter().position(|live| live.name() == name);
        let (Some(at), Some(what)) = (at, self.jobs.get(job)) else {
            return;
        };
        self.work(at, now);
        let (Some(disk), Some(live)) = (self.disks.get_mut(at), self.members.get(at)) else {
            return;
        };
        if disk.is_down {
            let why = "connection refused";
            let _ = live.observe_failure(Cause::new("dial_refused", why), self.now(now));
            let mut tried = tried.clone();
            tried.add(name.clone(), Trial::Failed, why);
            placement.slot.end(self.now(now));
            return self.ask(job, &tried, now);
        }
        live.observe_success(self.base + Duration::from_secs_f64(now.max(0.0)));
        let from = disk.served();
        let place = self.free.pop().unwrap_or_else(|| {
            self.running.push(None);
            self.running.len() - 1
        });
        disk.begin(Time(now), what.bytes.0 as f64, place);
        let waited = now - (what.start - self.zero);
        if let Some(free) = self.running.get_mut(place) {
            *free = Some(Running {
                job,
                at,
                slot: placement.slot,
                began: now,
                from,
            });
        }
        self.gathering.placed(waited);
        self.plan_disk(at);
    }
}
