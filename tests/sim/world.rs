//! What a seed makes of storages, groups and Directors: a configuration, and the same once more in plain numbers for the
//! shadow, which does not read the directory's.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use sdgroup::config::model::PolicyName;
use sdgroup::config::{self, MachineSecrets, Model};
use sdgroup::group::Access;
use sdgroup::group::policy::Dice;
use sdgroup::types::JobLevel;

pub(crate) const DOWN_WAIT: Duration = Duration::from_secs(60);
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(300);
pub(crate) const MAXIMUM_QUEUED_JOBS: usize = 12;
/// After this long a waiting job may try again what failed for it: the first ejection's length.
pub(crate) const FORGIVEN_AFTER: Duration = Duration::from_secs(10);
/// For how long what a storage told of its room is believed.
pub(crate) const ROOM_LASTS: Duration = Duration::from_secs(300);
/// A job that has lasted so long proves a storage that came back.
pub(crate) const PROVES_AFTER: Duration = Duration::from_secs(60);

const GB: u64 = 1_000_000_000;
/// The size of every storage.
pub(crate) const SIZE: u64 = 100 * GB;

pub(crate) const STORAGES: [&str; 4] = ["S1", "S2", "S3", "S4"];
pub(crate) const DIRECTORS: [&str; 3] = ["a", "b", "c"];
/// The jobs of each Director. The first is urgent where a group has rules, the second may go to one storage only.
pub(crate) const JOBS: [&str; 3] = ["Urgent", "Pinned", "Nightly"];

/// Water marks, as shares of what is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) maximum: u32,
    pub(crate) maximum_write: u32,
    pub(crate) maximum_read: u32,
    pub(crate) slow_start: bool,
    pub(crate) marks: Option<Marks>,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) members: Vec<usize>,
    pub(crate) maximum: u32,
    pub(crate) has_rules: bool,
    pub(crate) waits_for_home: bool,
    pub(crate) wants_room: bool,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) storages: Vec<Storage>,
    pub(crate) groups: Vec<Group>,
    /// How many jobs the first Director may have that write.
    pub(crate) maximum_of_first: u32,
}

/// What every run of this level writes.
pub(crate) fn bytes(level: JobLevel) -> u64 {
    match level {
        JobLevel::Full => 30 * GB,
        _ => 5 * GB,
    }
}

impl World {
    /// Draws one.
    pub(crate) fn draw(dice: &mut Dice) -> (Self, Model) {
        let slow_starts = STORAGES.map(|_| one_of(dice, &[true, false, false]));
        Self::with(slow_starts, dice)
    }

    /// Draws another configuration of the same storages and groups: other limits, rules, members, policies and marks. Slow
    /// start stays: what is on trial is not known from outside when that changes.
    pub(crate) fn reload(&mut self, dice: &mut Dice) -> Model {
        let slow_starts = std::array::from_fn(|at| self.storages[at].slow_start);
        let (world, model) = Self::with(slow_starts, dice);
        *self = world;
        model
    }

    fn with(slow_starts: [bool; STORAGES.len()], dice: &mut Dice) -> (Self, Model) {
        let mut text = String::from(
            "[[Listen]]\nAddress = \"127.0.0.1\"\nSDPort = 9103\nGroup = \"Wide\"\n\
             [[Listen]]\nAddress = \"127.0.0.1\"\nSDPort = 9104\nGroup = \"Narrow\"\n",
        );
        let maximum_of_first = one_of(dice, &[2, u32::MAX, u32::MAX]);
        for name in DIRECTORS {
            let limit = if name == DIRECTORS[0] {
                maximum_of_first
            } else {
                u32::MAX
            };
            write!(text, "[[Director]]\nName = \"{name}\"\nPassword = \"long enough\"\n").unwrap();
            key(&mut text, "MaximumConcurrentWriteJobs", limit);
            key(
                &mut text,
                "TargetConcurrentJobs",
                one_of(dice, &[1, u32::MAX, u32::MAX]),
            );
        }
        let storages = STORAGES.iter().zip(slow_starts);
        let storages = storages.map(|(name, slow_start)| storage(name, slow_start, dice, &mut text));
        let storages = storages.collect();
        let wide = one_of(dice, &[&[0, 1, 2][..], &[0, 1, 2], &[2, 1, 0], &[0, 1, 2, 3], &[1, 2]]);
        let narrow = one_of(dice, &[&[2, 3][..], &[2, 3], &[3], &[3, 0, 2]]);
        let groups = vec![
            group("Wide", wide, dice, &mut text),
            group("Narrow", narrow, dice, &mut text),
        ];
        let failures = 1 + dice.below(2);
        write!(
            text,
            "[Probe]\nRise = 2\nFall = 2\n[Ejection]\nFailures = {failures}\nTime = \"10 seconds\"\n\
             MaximumTime = \"40 seconds\"\n"
        )
        .unwrap();
        let world = Self {
            storages,
            groups,
            maximum_of_first,
        };
        (world, compiled(&text))
    }

    /// The storages of a group that this job may go to by the rules.
    pub(crate) fn allowed(&self, group: usize, job: usize) -> &[usize] {
        let group = &self.groups[group];
        if group.has_rules && job == 1 {
            &group.members[..1]
        } else {
            &group.members
        }
    }

    /// Its place in the queue: lower is sooner.
    pub(crate) fn priority(&self, group: usize, job: usize) -> u32 {
        if self.groups[group].has_rules && job == 0 {
            1
        } else {
            10
        }
    }
}

fn compiled(text: &str) -> Model {
    match config::compile(text, Path::new("sim.toml"), &MachineSecrets::new()) {
        Ok(loaded) => loaded.model,
        Err(problems) => panic!("{text}\n{problems:#?}"),
    }
}

pub(crate) fn one_of<T: Copy>(dice: &mut Dice, all: &[T]) -> T {
    all[usize::try_from(dice.below(all.len() as u64)).unwrap()]
}

fn key(text: &mut String, key: &str, value: u32) {
    if value != u32::MAX {
        writeln!(text, "{key} = {value}").unwrap();
    }
}

fn storage(name: &str, slow_start: bool, dice: &mut Dice, text: &mut String) -> Storage {
    let storage = Storage {
        maximum: one_of(dice, &[1, 2, 3]),
        maximum_write: one_of(dice, &[1, u32::MAX, u32::MAX]),
        maximum_read: one_of(dice, &[1, u32::MAX, u32::MAX]),
        slow_start,
        marks: one_of(dice, &[Some(Marks { high: 0.8, low: 0.6 }), None]),
    };
    write!(
        text,
        "[[Storage]]\nName = \"{name}\"\nAddress = \"{name}.example\"\nPassword = \"long enough\"\n\
         MaximumConcurrentJobs = {}\nWeight = {}\n",
        storage.maximum,
        1 + dice.below(3)
    )
    .unwrap();
    key(text, "MaximumConcurrentWriteJobs", storage.maximum_write);
    key(text, "MaximumConcurrentReadJobs", storage.maximum_read);
    key(text, "TargetConcurrentJobs", one_of(dice, &[1, u32::MAX, u32::MAX]));
    key(text, "SlowStartJobs", if storage.slow_start { 3 } else { 0 });
    if storage.marks.is_some() {
        text.push_str("HighWaterMark = \"80%\"\nLowWaterMark = \"60%\"\n");
    }
    storage
}

fn group(name: &str, members: &[usize], dice: &mut Dice, text: &mut String) -> Group {
    let policy = one_of(dice, PolicyName::ALL);
    let (locality, room) = (
        one_of(dice, &["off", "prefer", "require"]),
        one_of(dice, &["ignore", "prefer", "require"]),
    );
    let group = Group {
        members: members.to_vec(),
        maximum: one_of(dice, &[3, u32::MAX, u32::MAX]),
        has_rules: one_of(dice, &[true, false]),
        waits_for_home: locality == "require",
        wants_room: room == "require",
    };
    let names: Vec<&str> = members.iter().map(|at| STORAGES[*at]).collect();
    write!(
        text,
        "[[Group]]\nName = \"{name}\"\nStorages = {names:?}\nStorageGroupPolicy = \"{policy}\"\nLocality = \"{locality}\"\n\
         RoomForJob = \"{room}\"\nDownWait = \"60 seconds\"\nBusyWait = \"300 seconds\"\n\
         MaximumQueuedJobs = {MAXIMUM_QUEUED_JOBS}\n"
    )
    .unwrap();
    key(text, "MaximumConcurrentJobs", group.maximum);
    key(text, "TargetConcurrentJobs", one_of(dice, &[2, u32::MAX, u32::MAX]));
    if one_of(dice, &[true, false, false]) {
        let shadow = one_of(dice, PolicyName::ALL);
        writeln!(text, "ShadowPolicy = \"{shadow}\"").unwrap();
    }
    if group.has_rules {
        let other = one_of(dice, PolicyName::ALL);
        write!(
            text,
            "[[Group.Rule]]\nJob = \"Urg*\"\nPriority = 1\nStorageGroupPolicy = \"{other}\"\n\
             [[Group.Rule]]\nJob = \"Pinned\"\nStorages = [\"{}\"]\n",
            names[0]
        )
        .unwrap();
    }
    group
}

/// What a job does, and where in its Director's list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) director: usize,
    pub(crate) job: usize,
    /// A run that is based on a full; reads are none.
    pub(crate) is_incremental: bool,
    pub(crate) reads: bool,
}

impl Kind {
    pub(crate) fn level(self) -> JobLevel {
        match (self.reads, self.is_incremental) {
            (true, _) => JobLevel::None,
            (false, true) => JobLevel::Incremental,
            (false, false) => JobLevel::Full,
        }
    }

    pub(crate) fn access(self) -> Access {
        if self.reads { Access::Read } else { Access::Write }
    }

    /// What it is expected to write: all runs of one level are of the same size.
    pub(crate) fn expected(self) -> u64 {
        if self.reads { 0 } else { bytes(self.level()) }
    }
}
