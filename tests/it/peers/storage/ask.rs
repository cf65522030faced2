//! What a storage asks the Director's catalog, and how it finds a volume to write (Bacula `src/stored/askdir.c`,
//! `reserve.c`).

use sdgroup::types::VolumeName;
use sdgroup::wire::catalog::MediaAnswer;
use sdgroup::wire::line::escape;
use sdgroup::wire::packet::{Packet, Signal};

use super::session::{Control, JobError, Reserved};
use crate::harness::wire::shown;

/// A device that may do.
enum Choice {
    /// It has a volume of the pool in it.
    Loaded(usize, String),
    Empty(usize),
    /// All that fit are in use.
    Busy,
    /// None has the name.
    Unsuitable,
}

fn escaped(name: &str) -> String {
    String::from_utf8_lossy(&escape(name.as_bytes())).into_owned()
}

impl<'a> Control<'a> {
    /// One question, one answer. `None` is a no.
    pub(super) async fn ask(&mut self, question: &str) -> Result<Option<MediaAnswer>, JobError> {
        let id = self.job.command.job_id;
        self.wire.put(format!("CatReq JobId={id} {question}\n"));
        let text = self.answer().await?;
        match MediaAnswer::parse(&text) {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.disturbed(&format!("{error} in {}", shown(&text)))),
        }
    }

    async fn answer(&mut self) -> Result<bytes::Bytes, JobError> {
        self.wire.flush().await.map_err(JobError::Director)?;
        match self.wire.packet().await.map_err(JobError::Director)? {
            Packet::Message(text) if text.first() == Some(&b'1') => Ok(text),
            Packet::Message(text) => Err(self.disturbed(&shown(&text))),
            Packet::Signal(signal) => Err(self.disturbed(&format!("{signal:?}"))),
        }
    }

    /// Something came where only an answer of the catalog may come.
    fn disturbed(&self, found: &str) -> JobError {
        let job = &self.job.command.job;
        let text = format!("{job}: {found} where the catalog's answer is due");
        self.core.state().broken_rules.push(text.clone());
        JobError::Failed(text)
    }

    /// Tells the catalog what has become of a volume.
    pub(super) async fn update(&mut self, name: &str, relabel: bool) -> Result<(), JobError> {
        let told = {
            let state = self.core.state();
            let volume = state.volumes.get(name);
            volume.map_or_else(Told::default, |volume| Told {
                status: if volume.figures.full { "Full" } else { "Append" },
                jobs: volume.figures.jobs,
                blocks: volume.block_count(),
                bytes: volume.bytes(),
                mounts: volume.figures.mounts,
                writes: volume.figures.writes,
            })
        };
        self.tell(name, relabel, told).await
    }

    pub(super) async fn tell(&mut self, name: &str, relabel: bool, told: Told) -> Result<(), JobError> {
        let answer = self.ask(&update_line(name, relabel, told)).await?;
        match answer {
            Some(answer) => {
                self.learn(&answer);
                Ok(())
            }
            None => Err(JobError::Failed(format!("the catalog does not take volume {name}"))),
        }
    }

    /// The catalog's number of a volume is needed for its job records.
    pub(super) fn learn(&self, answer: &MediaAnswer) {
        let mut state = self.core.state();
        if let Some(volume) = state.volumes.get_mut(answer.volume.as_str()) {
            volume.figures.media_id = answer.media_id;
        }
    }

    /// Sends job records, and waits for the word that they are in the catalog.
    pub(super) async fn job_media(&mut self, lines: &[String]) -> Result<(), JobError> {
        let id = self.job.command.job_id;
        self.wire.put(format!("CatReq JobId={id} CreateJobMedia\n"));
        for line in lines {
            self.wire.put(line);
        }
        self.wire.put_signal(Signal::Eod);
        let text = self.answer().await?;
        if text.as_ref() == b"1000 OK CreateJobMedia\n" {
            return Ok(());
        }
        Err(JobError::Failed(format!(
            "the catalog does not take job records: {}",
            shown(&text)
        )))
    }

    /// Finds a device, and for writing a volume. `None` when no device fits.
    pub(super) async fn reserve(&mut self, names: &[String], append: bool) -> Result<Option<Reserved<'a>>, JobError> {
        let core = self.core;
        loop {
            let freed = core.freed.notified();
            let search = core.search.lock().await;
            match self.choose(names, append) {
                Choice::Unsuitable => return Ok(None),
                Choice::Loaded(at, volume) => {
                    let reserved = self.take(at, append);
                    if self.ask(&get_volume(&volume, true)).await?.is_some() {
                        return Ok(Some(reserved));
                    }
                    // The catalog does not want it to be written any more.
                    let mut loaded = core.devices[at].loaded();
                    (loaded.volume, loaded.mounted) = (None, false);
                }
                Choice::Empty(at) => {
                    let reserved = self.take(at, append);
                    if append {
                        // Without one the volume is looked for again when the Client is there.
                        let found = self.search(at).await?;
                        self.load(at, found);
                    }
                    return Ok(Some(reserved));
                }
                Choice::Busy => {
                    drop(search);
                    let canceled = self.job.canceled.clone();
                    self.wire.put_signal(Signal::Heartbeat);
                    self.wire.flush().await.map_err(JobError::Director)?;
                    tokio::select! {
                        () = freed => {}
                        () = canceled.cancelled() => return Err(JobError::Canceled),
                    }
                }
            }
        }
    }

    fn take(&self, at: usize, append: bool) -> Reserved<'a> {
        let core = self.core;
        let mut loaded = core.devices[at].loaded();
        if append {
            loaded.writers += 1;
            loaded.pool.clone_from(&self.pool);
        } else {
            loaded.readers += 1;
        }
        Reserved { core, at, append }
    }

    fn load(&self, at: usize, volume: Option<String>) {
        let mut loaded = self.core.devices[at].loaded();
        (loaded.volume, loaded.mounted) = (volume, false);
    }

    fn choose(&self, names: &[String], append: bool) -> Choice {
        let settings = &self.core.settings;
        let is_named = |name: &str| names.iter().any(|named| named == name || *named == settings.changer);
        let mut choice = Choice::Unsuitable;
        for (at, device) in self.core.devices.iter().enumerate() {
            if !is_named(&device.name) {
                continue;
            }
            let loaded = device.loaded();
            let used = loaded.writers + loaded.readers;
            if !append {
                // Memory can be read by any number.
                return Choice::Empty(at);
            }
            match &loaded.volume {
                Some(volume) if loaded.pool == self.pool && loaded.writers < settings.jobs_per_device => {
                    return Choice::Loaded(at, volume.clone());
                }
                _ if used == 0 => choice = Choice::Empty(at),
                _ if matches!(choice, Choice::Unsuitable) => choice = Choice::Busy,
                _ => {}
            }
        }
        choice
    }

    /// Looks for a volume to write; whoever calls it has the storage's search to itself.
    async fn search(&mut self, at: usize) -> Result<Option<String>, JobError> {
        let most = self.core.devices.len() + 30;
        let mut last: Option<VolumeName> = None;
        for index in 1..most {
            let (pool, media_type) = (escaped(&self.pool), escaped(&self.media_type));
            let question = format!("FindMedia={index} pool_name={pool} media_type={media_type} vol_type=1");
            let Some(answer) = self.ask(&question).await? else {
                return Ok(None);
            };
            if last.as_ref() == Some(&answer.volume) {
                return Ok(None);
            }
            let name = answer.volume.to_string();
            let mut others = self.core.devices.iter().enumerate().filter(|(other, _)| *other != at);
            let in_use = others.any(|(_, device)| device.loaded().volume.as_ref() == Some(&name));
            if !in_use {
                return Ok(Some(name));
            }
            last = Some(answer.volume);
        }
        Ok(None)
    }

    /// The next volume for the device: looks for one and loads it.
    pub(super) async fn next_volume(&mut self, at: usize) -> Result<Option<String>, JobError> {
        let core = self.core;
        let _search = core.search.lock().await;
        let found = self.search(at).await?;
        self.load(at, found.clone());
        Ok(found)
    }
}

/// The question about one volume.
pub(super) fn get_volume(name: &str, write: bool) -> String {
    format!("GetVolInfo VolName={} write={}", escaped(name), u8::from(write))
}

/// What is said of a volume; by default that it has no label yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) status: &'static str,
    pub(super) jobs: u64,
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    pub(super) mounts: u64,
    pub(super) writes: u64,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            status: "Append",
            jobs: 0,
            blocks: 0,
            bytes: 0,
            mounts: 0,
            writes: 0,
        }
    }
}

pub(super) fn update_line(name: &str, relabel: bool, told: Told) -> String {
    let Told {
        status,
        jobs,
        blocks,
        bytes,
        mounts,
        writes,
    } = told;
    let (name, relabel) = (escaped(name), u8::from(relabel));
    format!(
        "UpdateMedia VolName={name} VolJobs={jobs} VolFiles=0 VolBlocks={blocks} VolBytes={bytes} VolABytes=0 \
         VolHoleBytes=0 VolHoles=0 VolMounts={mounts} VolErrors=0 VolWrites={writes} MaxVolBytes=0 \
         EndTime=1795393239 VolStatus={status} Slot=0 relabel={relabel} InChanger=0 VolReadTime=0 VolWriteTime=4 \
         VolFirstWritten=0 VolType=1 VolParts=0 VolCloudParts=0 LastPartBytes=0 Enabled=1 Recycle=1"
    )
}
