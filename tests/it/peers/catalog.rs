//! A Director's catalog: pools, volumes and which job is where on them, with the rules by which a Director answers a
//! storage's questions (Bacula `src/dird/catreq.c`, `next_vol.c`, `recycle.c`, `autoprune.c`, `ua_purge.c`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sdgroup::wire::line::{escape, unescape};

/// A pool's rules. 0 is no limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    pub(crate) name: String,
    /// New volumes are made with this name and a number behind it; `None` makes none.
    pub(crate) label_format: Option<String>,
    pub(crate) maximum_volumes: usize,
    pub(crate) maximum_volume_jobs: u64,
    pub(crate) maximum_volume_bytes: u64,
    /// Volumes whose retention has passed are looked for when there is no other.
    pub(crate) auto_prune: bool,
    /// Volumes may not be written again of themselves.
    pub(crate) keeps_volumes: bool,
    /// What becomes of the least recently written volume when there is no other.
    pub(crate) oldest: Oldest,
}

/// What becomes of the oldest volume of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Oldest {
    #[default]
    Stays,
    /// `PurgeOldestVolume`.
    Purged,
    /// `RecycleOldestVolume`.
    Recycled,
}

/// The pool from which all others take volumes.
pub(crate) const SCRATCH: &str = "Scratch";

impl Pool {
    /// A pool that makes as many volumes as are asked for.
    pub(crate) fn endless(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            label_format: Some(format!("{name}-")),
            ..Self::default()
        }
    }
}

/// A volume's record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "it is the Director's word")]
pub(crate) struct Media {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) pool: String,
    pub(crate) media_type: String,
    pub(crate) status: String,
    pub(crate) jobs: u64,
    pub(crate) files: u64,
    pub(crate) blocks: u64,
    pub(crate) bytes: u64,
    pub(crate) mounts: u64,
    pub(crate) errors: u64,
    pub(crate) writes: u64,
    pub(crate) end_block: u64,
    pub(crate) recycle: bool,
    pub(crate) enabled: bool,
    /// Its retention has passed.
    pub(crate) expired: bool,
    /// In ticks of the catalog's own clock; 0: never.
    pub(crate) last_written: u64,
}

/// A stretch of a job on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobMedia {
    pub(crate) job_id: u32,
    pub(crate) volume: String,
    pub(crate) media_type: String,
    pub(crate) first_index: u32,
    pub(crate) last_index: u32,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A job's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) sd_id: u32,
    pub(crate) sd_time: u32,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    pools: BTreeMap<String, Pool>,
    media: Vec<Media>,
    jobs: BTreeMap<u32, Job>,
    job_media: Vec<JobMedia>,
    /// Jobs that have begun to write, and the volume on which they did last.
    running: BTreeMap<u32, u64>,
    /// Volumes that were purged because there was no other, in their order.
    purged: Vec<String>,
    clock: u64,
    /// How often a volume to write was asked for.
    searches: u64,
    /// Messages that no Director takes.
    refused: Vec<String>,
}

/// The catalog. All jobs of a Director share it.
#[derive(Debug, Default)]
pub(crate) struct Catalog(Mutex<State>);

/// What a Director knows of one job's questions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Talk {
    pub(crate) job_id: u32,
    /// Of the Director's Storage resource, whatever the storage asks for.
    pub(crate) media_type: String,
    pub(crate) pool: String,
    /// What it has offered this job.
    offered: Vec<u64>,
}

impl Talk {
    /// Of a job that writes to a Storage resource of this media type.
    pub(crate) fn of(media_type: &str) -> Self {
        Self {
            media_type: media_type.to_owned(),
            ..Self::default()
        }
    }
}

/// The fields of UpdateMedia after the volume's name, in their order. 9.6.7 insists on each.
const UPDATE_FIELDS: [&str; 25] = [
    "VolJobs",
    "VolFiles",
    "VolBlocks",
    "VolBytes",
    "VolABytes",
    "VolHoleBytes",
    "VolHoles",
    "VolMounts",
    "VolErrors",
    "VolWrites",
    "MaxVolBytes",
    "EndTime",
    "VolStatus",
    "Slot",
    "relabel",
    "InChanger",
    "VolReadTime",
    "VolWriteTime",
    "VolFirstWritten",
    "VolType",
    "VolParts",
    "VolCloudParts",
    "LastPartBytes",
    "Enabled",
    "Recycle",
];

/// `key=value` words in the order in which they came.
fn fields(line: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(line).into_owned();
    let pairs = text.split_whitespace().filter_map(|word| word.split_once('='));
    pairs
        .map(|(key, value)| {
            (
                key.to_owned(),
                String::from_utf8_lossy(&unescape(value.as_bytes())).into_owned(),
            )
        })
        .collect()
}

fn has_form(fields: &[(String, String)], keys: &[&str]) -> bool {
    fields.len() == keys.len() && fields.iter().zip(keys).all(|((key, _), expected)| key == expected)
}

fn number(fields: &[(String, String)], key: &str) -> u64 {
    let value = fields.iter().find(|(found, _)| found == key);
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

impl Catalog {
    pub(crate) fn with_pool(pool: Pool) -> Self {
        let catalog = Self::default();
        catalog.add_pool(pool);
        catalog
    }

    pub(crate) fn add_pool(&self, pool: Pool) {
        self.state().pools.insert(pool.name.clone(), pool);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn media(&self) -> Vec<Media> {
        self.state().media.clone()
    }

    /// What was asked that no Director answers.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.state().refused.clone()
    }

    /// How often a volume to write was asked for.
    pub(crate) fn searches(&self) -> u64 {
        self.state().searches
    }

    /// Whether the job can be restored: nothing of it was recycled.
    pub(crate) fn has(&self, job_id: u32) -> bool {
        self.state().job_media.iter().any(|stretch| stretch.job_id == job_id)
    }

    pub(crate) fn volumes_of(&self, job_id: u32) -> Vec<String> {
        let state = self.state();
        let of_job = state.job_media.iter().filter(|stretch| stretch.job_id == job_id);
        let mut volumes: Vec<String> = of_job.map(|stretch| stretch.volume.clone()).collect();
        volumes.dedup();
        volumes
    }

    /// Another set of rules for a pool.
    pub(crate) fn change_pool(&self, name: &str, change: impl FnOnce(&mut Pool)) {
        let mut state = self.state();
        change(state.pools.get_mut(name).expect("a pool of the catalog"));
    }

    /// Changes a volume's record, as an operator would.
    pub(crate) fn change(&self, volume: &str, change: impl FnOnce(&mut Media)) {
        let mut state = self.state();
        let media = state.media.iter_mut().find(|media| media.name == volume);
        change(media.expect("a volume of the catalog"));
    }

    /// Purges a volume, as an operator would.
    pub(crate) fn purge(&self, volume: &str) {
        let mut state = self.state();
        let at = state.media.iter().position(|media| media.name == volume);
        assert!(
            state.purge(at.expect("a volume of the catalog")),
            "{volume} was not purged"
        );
    }

    pub(crate) fn record_job(&self, job_id: u32, job: Job) {
        self.state().jobs.insert(job_id, job);
    }

    /// The job is over, however it ended.
    pub(crate) fn end_job(&self, job_id: u32) {
        self.state().running.remove(&job_id);
    }

    /// Volumes that were purged because there was no other, in their order.
    pub(crate) fn purged(&self) -> Vec<String> {
        self.state().purged.clone()
    }

    /// Adds a volume that a storage has labelled, as the console's `label` does.
    pub(crate) fn add_labelled(&self, pool: &str, name: &str, bytes: u64) {
        let mut state = self.state();
        let mut media = state.new_media(pool, name, "File", true);
        media.bytes = bytes;
        state.media.push(media);
    }

    /// Answers a question; `None` for CreateJobMedia, whose list is yet to come.
    pub(crate) fn answer(&self, talk: &mut Talk, line: &[u8]) -> Option<Vec<u8>> {
        let mut state = self.state();
        let found = fields(line);
        let what = String::from_utf8_lossy(line)
            .split_whitespace()
            .nth(2)
            .unwrap_or("")
            .to_owned();
        let answer = match what.split('=').next().unwrap_or("") {
            "FindMedia" if has_form(&found, &["JobId", "FindMedia", "pool_name", "media_type", "vol_type"]) => {
                let index = number(&found, "FindMedia");
                state.find_media(talk, index, &found[2].1)
            }
            "GetVolInfo" if has_form(&found, &["JobId", "VolName", "write"]) => {
                state.volume(talk, &found[1].1, number(&found, "write") != 0)
            }
            "UpdateMedia" if found.len() == 27 && has_form(&found[2..], &UPDATE_FIELDS) && found[1].0 == "VolName" => {
                state.update(&found)
            }
            "CreateJobMedia" => return None,
            _ => {
                state.refused.push(String::from_utf8_lossy(line).into_owned());
                format!("1990 Invalid Catalog Request: {}", String::from_utf8_lossy(line)).into_bytes()
            }
        };
        Some(answer)
    }

    /// Takes the lines of CreateJobMedia.
    pub(crate) fn add_job_media(&self, job_id: u32, lines: &[Vec<u8>]) {
        let mut state = self.state();
        for line in lines {
            let text = String::from_utf8_lossy(line).into_owned();
            let n: Vec<u64> = text
                .split_whitespace()
                .map(|word| word.parse().expect("a number"))
                .collect();
            let [first, last, start_file, end_file, start_block, end_block, media_id] = n[..] else {
                panic!("{} numbers in {text:?}", n.len());
            };
            // A storage makes one that says nothing at the start; a Director removes it at the end.
            if last == 0 {
                state.running.insert(job_id, media_id);
                continue;
            }
            let media = state
                .media
                .iter()
                .find(|media| media.id == media_id)
                .expect("a known MediaId");
            let stretch = JobMedia {
                job_id,
                volume: media.name.clone(),
                media_type: media.media_type.clone(),
                first_index: u32::try_from(first).expect("a file index"),
                last_index: u32::try_from(last).expect("a file index"),
                start: (start_file << 32) | start_block,
                end: (end_file << 32) | end_block,
            };
            state.job_media.push(stretch);
        }
    }

    /// The bootstrap to restore these jobs, one line each (Bacula `src/dird/bsr.c`).
    pub(crate) fn bootstrap(&self, jobs: &[u32], storage: &str, device: &str) -> Vec<String> {
        let state = self.state();
        let mut lines = Vec::new();
        for job_id in jobs {
            let job = state.jobs.get(job_id).expect("a job of the catalog");
            for stretch in state.job_media.iter().filter(|stretch| stretch.job_id == *job_id) {
                lines.extend([
                    format!("Storage=\"{storage}\"\n"),
                    format!("Volume=\"{}\"\n", stretch.volume),
                    format!("MediaType=\"{}\"\n", stretch.media_type),
                    format!("Device=\"{device}\"\n"),
                    format!("VolSessionId={}\n", job.sd_id),
                    format!("VolSessionTime={}\n", job.sd_time),
                    format!("VolAddr={}-{}\n", stretch.start, stretch.end),
                    format!("FileIndex={}-{}\n", stretch.first_index, stretch.last_index),
                    format!("Count={}\n", stretch.last_index + 1 - stretch.first_index),
                ]);
            }
        }
        lines
    }
}

impl State {
    fn find_media(&mut self, talk: &mut Talk, index: u64, pool: &str) -> Vec<u8> {
        self.searches += 1;
        if index == 1 {
            talk.offered.clear();
        }
        pool.clone_into(&mut talk.pool);
        let Some(rules) = self.pools.get(pool).cloned() else {
            return no_media("no such pool");
        };
        // The row's number counts only while nothing has been offered.
        let row = if talk.offered.is_empty() { index.max(1) - 1 } else { 0 };
        let row = usize::try_from(row).expect("a small number");
        loop {
            let found = self
                .appendable(talk, row)
                .or_else(|| self.recycled(talk))
                .or_else(|| self.purged_one(talk))
                .or_else(|| {
                    if rules.auto_prune {
                        self.prune(talk);
                    }
                    self.purged_one(talk)
                })
                .or_else(|| self.taken_from_scratch(talk, &rules))
                .or_else(|| self.created(talk, &rules))
                .or_else(|| self.oldest(talk, &rules));
            let Some(at) = found else {
                return no_media("no appendable volume");
            };
            if self.has_expired(at, &rules) {
                continue;
            }
            talk.offered.push(self.media[at].id);
            return ok(&self.media[at]);
        }
    }

    fn candidates<'a>(&'a self, talk: &'a Talk, status: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.of_pool(&talk.pool, &talk.media_type, status)
            .filter(|&at| !talk.offered.contains(&self.media[at].id))
    }

    fn of_pool<'a>(&'a self, pool: &'a str, media_type: &'a str, status: &'a str) -> impl Iterator<Item = usize> + 'a {
        let fits = move |media: &Media| {
            media.pool == pool && media.media_type == media_type && media.status == status && media.enabled
        };
        (0..self.media.len()).filter(move |&at| fits(&self.media[at]))
    }

    /// The one that was written last; those that never were come last.
    fn appendable(&self, talk: &Talk, row: usize) -> Option<usize> {
        let mut found: Vec<usize> = self.candidates(talk, "Append").collect();
        found.sort_by_key(|&at| (std::cmp::Reverse(self.media[at].last_written), self.media[at].id));
        found.get(row).copied()
    }

    /// The least recently written of those that may be written again.
    fn least_recent(&self, candidates: impl Iterator<Item = usize>) -> Option<usize> {
        candidates
            .filter(|&at| self.media[at].recycle)
            .min_by_key(|&at| (self.media[at].last_written, self.media[at].id))
    }

    fn recycled(&self, talk: &Talk) -> Option<usize> {
        self.least_recent(self.candidates(talk, "Recycle"))
    }

    fn purged_one(&mut self, talk: &Talk) -> Option<usize> {
        let at = self.least_recent(self.candidates(talk, "Purged"))?;
        self.recycle(at);
        Some(at)
    }

    /// What has expired, up to the first volume that is free then and may be written again.
    fn prune(&mut self, talk: &Talk) {
        let statuses = ["Full", "Used"].into_iter();
        let mut expired: Vec<_> = statuses
            .flat_map(|status| self.of_pool(&talk.pool, &talk.media_type, status))
            .filter(|&at| self.media[at].expired)
            .collect();
        expired.sort_by_key(|&at| (self.media[at].last_written, self.media[at].id));
        for at in expired {
            if self.purge(at) && self.media[at].recycle {
                return;
            }
        }
    }

    /// From whatever was offered.
    fn taken_from_scratch(&mut self, talk: &Talk, rules: &Pool) -> Option<usize> {
        let mut unused: Vec<_> = self.of_pool(SCRATCH, &talk.media_type, "Append").collect();
        unused.sort_by_key(|&at| (std::cmp::Reverse(self.media[at].last_written), self.media[at].id));
        let unused = unused.first().copied();
        let found = unused
            .or_else(|| self.least_recent(self.of_pool(SCRATCH, &talk.media_type, "Recycle")))
            .or_else(|| self.least_recent(self.of_pool(SCRATCH, &talk.media_type, "Purged")))?;
        if !self.has_room(rules) {
            return None;
        }
        if self.media[found].status == "Purged" {
            self.recycle(found);
        }
        self.media[found].pool.clone_from(&rules.name);
        Some(found)
    }

    fn has_room(&self, rules: &Pool) -> bool {
        let in_pool = self.media.iter().filter(|media| media.pool == rules.name).count();
        rules.maximum_volumes == 0 || in_pool < rules.maximum_volumes
    }

    fn created(&mut self, talk: &Talk, rules: &Pool) -> Option<usize> {
        if !self.has_room(rules) {
            return None;
        }
        let name = format!("{}{:04}", rules.label_format.as_ref()?, self.media.len() + 1);
        let media = self.new_media(&rules.name, &name, &talk.media_type, !rules.keeps_volumes);
        self.media.push(media);
        Some(self.media.len() - 1)
    }

    fn new_media(&self, pool: &str, name: &str, media_type: &str, recycle: bool) -> Media {
        Media {
            id: self.media.len() as u64 + 1,
            name: name.to_owned(),
            pool: pool.to_owned(),
            media_type: media_type.to_owned(),
            status: "Append".to_owned(),
            jobs: 0,
            files: 0,
            blocks: 0,
            bytes: 0,
            mounts: 0,
            errors: 0,
            writes: 0,
            end_block: 0,
            recycle,
            enabled: true,
            expired: false,
            last_written: 0,
        }
    }

    /// Whatever was offered, and whatever is on it; but a volume that is dead already cannot be purged again.
    fn oldest(&mut self, talk: &Talk, rules: &Pool) -> Option<usize> {
        if rules.oldest == Oldest::Stays {
            return None;
        }
        let fits = |media: &Media| match media.status.as_str() {
            "Full" | "Used" | "Append" => true,
            "Recycle" | "Purged" => media.recycle,
            _ => false,
        };
        let at = (0..self.media.len())
            .filter(|&at| {
                let media = &self.media[at];
                media.pool == talk.pool && media.media_type == talk.media_type && media.enabled && fits(media)
            })
            .min_by_key(|&at| (self.media[at].last_written, self.media[at].id))?;
        let media = &self.media[at];
        let status = media.status.as_str();
        let goes = match rules.oldest {
            Oldest::Stays => false,
            Oldest::Purged => ["Append", "Full", "Used"].contains(&status),
            Oldest::Recycled => ["Full", "Used"].contains(&status) && media.expired,
        };
        if !goes || !self.purge(at) {
            return None;
        }
        self.purged.push(self.media[at].name.clone());
        self.recycle(at);
        Some(at)
    }

    /// Removes the jobs that are over, as a whole, also what other volumes have of them. Only a volume that was written
    /// and has no job left then is purged.
    fn purge(&mut self, at: usize) -> bool {
        let (id, name) = (self.media[at].id, self.media[at].name.clone());
        let is_over = |stretch: &&JobMedia| !self.running.contains_key(&stretch.job_id);
        let here = self.job_media.iter().filter(|stretch| stretch.volume == name);
        let gone: BTreeSet<u32> = here.filter(is_over).map(|stretch| stretch.job_id).collect();
        self.job_media.retain(|stretch| !gone.contains(&stretch.job_id));
        let is_written = self.running.values().any(|&media| media == id)
            || self.job_media.iter().any(|stretch| stretch.volume == name);
        let media = &mut self.media[at];
        if is_written || media.last_written == 0 {
            return false;
        }
        "Purged".clone_into(&mut media.status);
        true
    }

    fn recycle(&mut self, at: usize) {
        let media = &mut self.media[at];
        "Recycle".clone_into(&mut media.status);
        (media.jobs, media.files, media.blocks, media.bytes) = (0, 0, 0, 1);
        media.expired = false;
    }

    fn has_expired(&mut self, at: usize, rules: &Pool) -> bool {
        let media = &mut self.media[at];
        if media.status != "Append" || media.jobs == 0 {
            return false;
        }
        if rules.maximum_volume_jobs != 0 && media.jobs >= rules.maximum_volume_jobs {
            "Used".clone_into(&mut media.status);
            return true;
        }
        if rules.maximum_volume_bytes != 0 && media.bytes >= rules.maximum_volume_bytes {
            "Full".clone_into(&mut media.status);
            return true;
        }
        false
    }

    fn volume(&mut self, talk: &Talk, name: &str, write: bool) -> Vec<u8> {
        let Some(at) = self.media.iter().position(|media| media.name == name) else {
            return format!("1997 Volume \"{name}\" not in catalog.\n").into_bytes();
        };
        let refusal = |media: &Media, why: &str| {
            format!("1998 Volume \"{name}\" catalog status is {}, {why}.\n", media.status).into_bytes()
        };
        if write {
            if self.media[at].pool != talk.pool {
                return refusal(&self.media[at], "not in Pool");
            }
            if self.media[at].media_type != talk.media_type {
                return refusal(&self.media[at], "not correct MediaType");
            }
            if let Some(rules) = self.pools.get(&talk.pool).cloned() {
                self.has_expired(at, &rules);
            }
            if self.media[at].status == "Purged" {
                self.recycle(at);
            }
            if !matches!(self.media[at].status.as_str(), "Append" | "Recycle") {
                return refusal(&self.media[at], "cannot be written");
            }
            if !self.media[at].enabled {
                return refusal(&self.media[at], "is not Enabled");
            }
        }
        ok(&self.media[at])
    }

    fn update(&mut self, found: &[(String, String)]) -> Vec<u8> {
        self.clock += 1;
        let clock = self.clock;
        let value = |key: &str| number(found, key);
        let Some(media) = self.media.iter_mut().find(|media| media.name == found[1].1) else {
            return b"1991 Catalog Request for vol failed: not in the catalog.\n".to_vec();
        };
        if value("VolBlocks") != media.blocks {
            media.last_written = clock;
        }
        (media.jobs, media.files) = (value("VolJobs"), value("VolFiles"));
        (media.blocks, media.bytes) = (value("VolBlocks"), value("VolBytes"));
        (media.mounts, media.errors) = (value("VolMounts"), value("VolErrors"));
        media.writes = value("VolWrites");
        media.end_block = media.bytes.saturating_sub(1);
        let status = found.iter().find(|(key, _)| key == "VolStatus");
        media.status = status.map(|(_, status)| status.clone()).unwrap_or_default();
        ok(media)
    }
}

fn no_media(why: &str) -> Vec<u8> {
    format!("1901 No Media. {why}\n").into_bytes()
}

/// A volume's record as 9.6.7 sends it: 31 fields.
fn ok(media: &Media) -> Vec<u8> {
    let name = String::from_utf8_lossy(&escape(media.name.as_bytes())).into_owned();
    let Media {
        id,
        status,
        jobs,
        files,
        blocks,
        bytes,
        mounts,
        errors,
        writes,
        end_block,
        ..
    } = media;
    let recycle = u8::from(media.recycle);
    format!(
        "1000 OK VolName={name} VolJobs={jobs} VolFiles={files} VolBlocks={blocks} VolBytes={bytes} VolABytes=0 \
         VolHoleBytes=0 VolHoles=0 VolMounts={mounts} VolErrors={errors} VolWrites={writes} MaxVolBytes=0 \
         VolCapacityBytes=0 VolStatus={status} Slot=0 MaxVolJobs=0 MaxVolFiles=0 InChanger=0 VolReadTime=0 \
         VolWriteTime=0 EndFile=0 EndBlock={end_block} VolType=1 LabelType=0 MediaId={id} ScratchPoolId=0 VolParts=0 \
         VolCloudParts=0 LastPartBytes=0 Enabled=1 Recycle={recycle}\n"
    )
    .into_bytes()
}
