//! Writing: the Client's files onto volumes (Bacula `src/stored/append.c`, `mount.c`, `label.c`).

use sdgroup::types::Severity;
use sdgroup::wire::catalog::MediaAnswer;
use sdgroup::wire::packet::{Packet, Signal};

use super::ask::{Told, get_volume};
use super::session::{Control, JobError};
use super::volume::{Figures, Volume};
use super::{Point, Stranger};
use crate::harness::bytes_of_jobs::{ATTRIBUTES, DATA, DIGEST, Record};
use crate::harness::wire::{Wire, shown};

/// After so many volumes that do not do, an operator is called.
const MOUNT_ATTEMPTS: usize = 6;

/// What a job has written on one volume, without a break.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    volume: String,
    first_index: u32,
    last_index: u32,
    start: u64,
    end: u64,
}

impl Control<'_> {
    /// The Client's data, up to their end.
    pub(super) async fn append(&mut self, client: &mut Wire) -> Result<(), JobError> {
        self.core.pass(Point::AppendData).await;
        let Some(at) = self
            .device
            .as_ref()
            .filter(|device| device.append)
            .map(|device| device.at)
        else {
            client.send("3903 Error append data: no device\n").await?;
            return Err(JobError::Failed("no device to write".to_owned()));
        };
        let mounted = {
            let device = &self.core.devices[at];
            let _writing = device.writing.lock().await;
            self.mount(at).await
        };
        if let Err(error) = mounted {
            client.send(format!("3903 Error append data: {error}\n")).await?;
            return Err(error);
        }
        client.send("3000 OK data\n").await?;
        loop {
            let header = match client.packet().await? {
                Packet::Signal(Signal::Eod) => break,
                Packet::Signal(Signal::Poll) => {
                    client.send("2000 OK\n").await?;
                    continue;
                }
                Packet::Signal(_) => continue,
                Packet::Message(header) => shown(&header),
            };
            self.stream(client, at, &header).await?;
        }
        self.core.pass(Point::Written).await;
        client.send("3000 OK append data\n").await?;
        Ok(())
    }

    /// One stream, up to its EOD.
    async fn stream(&mut self, client: &mut Wire, at: usize, header: &str) -> Result<(), JobError> {
        let numbers: Vec<u32> = header.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [file_index, stream, _] = numbers[..] else {
            return Err(JobError::Failed(format!("not a stream's header: {header:?}")));
        };
        let last = self.files;
        let in_order = if last == 0 {
            file_index == 1 || (self.job.command.rerunning && file_index >= 1)
        } else {
            u64::from(file_index) == last || u64::from(file_index) == last + 1
        };
        if !in_order {
            return Err(JobError::Failed(format!("file {file_index} after file {last}")));
        }
        self.files = u64::from(file_index);
        loop {
            match client.packet().await? {
                Packet::Message(bytes) if !bytes.is_empty() => {
                    let record = Record {
                        file_index,
                        stream,
                        bytes,
                    };
                    self.write(at, record).await?;
                }
                Packet::Signal(Signal::Heartbeat) => {}
                _ => return Ok(()),
            }
        }
    }

    async fn write(&mut self, at: usize, record: Record) -> Result<(), JobError> {
        let core = self.core;
        self.bytes += record.bytes.len() as u64;
        let forgotten = core
            .settings
            .forgets
            .is_some_and(|name| self.job.command.job.as_str().starts_with(name));
        if forgotten && record.stream == DATA {
            return Ok(());
        }
        self.attributes(&record).await?;
        let _writing = core.devices[at].writing.lock().await;
        self.make_room(at, record.bytes.len() as u64).await?;
        let (sd_id, sd_time, index) = (self.job.sd_id, self.job.sd_time, record.file_index);
        let name = core.devices[at].loaded().volume.clone();
        let Some(name) = name else {
            return Err(JobError::Failed("the volume is gone from the device".to_owned()));
        };
        let (start, end) = {
            let mut state = core.state();
            state.last_block += 1;
            let sequence = state.last_block;
            let volume = state.volumes.get_mut(&name).expect("a mounted volume");
            volume.append(sequence, sd_id, sd_time, record)
        };
        match self.stretches.last_mut().filter(|stretch| stretch.volume == name) {
            Some(stretch) => (stretch.last_index, stretch.end) = (index, end),
            None => self.stretches.push(Stretch {
                volume: name,
                first_index: index,
                last_index: index,
                start,
                end,
            }),
        }
        Ok(())
    }

    /// Sends a file's attributes, or keeps them for the end.
    async fn attributes(&mut self, record: &Record) -> Result<(), JobError> {
        if !matches!(record.stream, ATTRIBUTES | DIGEST) || self.job.command.no_attributes {
            return Ok(());
        }
        let mut line = format!("UpdCat JobId={} FileAttributes ", self.job.command.job_id).into_bytes();
        let length = u32::try_from(record.bytes.len()).expect("a small record");
        for word in [
            self.job.sd_id,
            self.job.sd_time,
            record.file_index,
            record.stream,
            length,
        ] {
            line.extend_from_slice(&word.to_be_bytes());
        }
        line.extend_from_slice(&record.bytes);
        if self.job.command.spool_attributes {
            self.spooled.push(line);
            return Ok(());
        }
        self.wire.send(line).await.map_err(JobError::Director)
    }

    /// Goes on to the next volume when this one is full.
    async fn make_room(&mut self, at: usize, bytes: u64) -> Result<(), JobError> {
        let core = self.core;
        let Some(limit) = core.settings.maximum_volume_bytes else {
            return Ok(());
        };
        let name = core.devices[at].loaded().volume.clone().unwrap_or_default();
        let size = core.state().volumes.get(&name).map_or(0, Volume::bytes);
        if size + bytes <= limit {
            return Ok(());
        }
        if let Some(volume) = core.state().volumes.get_mut(&name) {
            volume.figures.full = true;
        }
        self.update(&name, false).await?;
        {
            let mut loaded = core.devices[at].loaded();
            (loaded.volume, loaded.mounted) = (None, false);
        }
        self.mount(at).await
    }

    /// Gets a volume that can be written into the device.
    async fn mount(&mut self, at: usize) -> Result<(), JobError> {
        let core = self.core;
        let device = &core.devices[at];
        for _ in 0..MOUNT_ATTEMPTS {
            let (loaded, mounted) = {
                let loaded = device.loaded();
                (loaded.volume.clone(), loaded.mounted)
            };
            let name = match loaded {
                Some(name) => name,
                None => match self.next_volume(at).await? {
                    Some(name) => name,
                    None => break,
                },
            };
            let Some(answer) = self.ask(&get_volume(&name, true)).await? else {
                self.unload(at);
                continue;
            };
            if mounted {
                return self.begin_job(&name).await;
            }
            let size = core.state().volumes.get(&name).map(Volume::bytes);
            let trouble = match size {
                _ if answer.is_recycled() => None,
                Some(size) if size >= answer.volume_bytes => None,
                Some(_) => Some("shorter than the catalog says"),
                None if answer.volume_bytes == 0 => None,
                None => Some("not here"),
            };
            if let Some(why) = trouble {
                self.give_up(&answer, why).await?;
                self.unload(at);
                continue;
            }
            if size.is_none() || answer.is_recycled() {
                self.label(&name, &answer).await?;
            }
            self.learn(&answer);
            {
                // Somebody who looked for a device may have meant another one for it meanwhile.
                let mut loaded = device.loaded();
                (loaded.volume, loaded.mounted) = (Some(name.clone()), true);
            }
            return self.begin_job(&name).await;
        }
        core.state().operator_calls += 1;
        Err(JobError::Failed(
            "no volume can be written; an operator is needed".to_owned(),
        ))
    }

    fn unload(&self, at: usize) {
        let mut loaded = self.core.devices[at].loaded();
        (loaded.volume, loaded.mounted) = (None, false);
    }

    /// A volume that cannot be opened is marked, and will not be offered again.
    async fn give_up(&mut self, answer: &MediaAnswer, why: &'static str) -> Result<(), JobError> {
        let name = answer.volume.as_str();
        self.core.state().strangers.push(Stranger {
            volume: name.to_owned(),
            job: self.job.command.job.to_string(),
            why,
        });
        self.note(
            Severity::Warning,
            &format!("Volume \"{name}\" is {why}. Marking it in Error in the catalog."),
        );
        let told = Told {
            status: "Error",
            jobs: answer.volume_jobs,
            bytes: answer.volume_bytes,
            blocks: 1,
            mounts: 1,
            writes: 1,
        };
        self.tell(name, false, told).await
    }

    async fn label(&mut self, name: &str, answer: &MediaAnswer) -> Result<(), JobError> {
        // First the catalog, with the figures of a volume without a label.
        self.tell(name, true, Told::default()).await?;
        {
            let mut state = self.core.state();
            state.labelled.push(name.to_owned());
            let figures = Figures {
                jobs: 0,
                mounts: 1,
                writes: 1,
                media_id: answer.media_id,
                full: false,
            };
            state.volumes.insert(name.to_owned(), Volume::labelled(figures));
        }
        self.note(Severity::Info, &format!("Labeled new Volume \"{name}\""));
        self.ask(&get_volume(name, true)).await?;
        self.update(name, true).await
    }

    /// One more job is on the volume.
    async fn begin_job(&mut self, name: &str) -> Result<(), JobError> {
        let media_id = {
            let mut state = self.core.state();
            let volume = state.volumes.get_mut(name).expect("a mounted volume");
            volume.figures.jobs += 1;
            volume.figures.media_id
        };
        self.job_media(&[format!("0 0 0 0 0 0 {media_id}\n")]).await?;
        self.update(name, false).await
    }

    /// When the Client has gone: where all is, what the volumes are now, and the attributes.
    pub(super) async fn record(&mut self) -> Result<(), JobError> {
        let stretches = std::mem::take(&mut self.stretches);
        if !stretches.is_empty() {
            let lines: Vec<String> = {
                let state = self.core.state();
                stretches
                    .iter()
                    .map(|stretch| stretch.line(state.volumes[&stretch.volume].figures))
                    .collect()
            };
            self.job_media(&lines).await?;
        }
        if let Some(stretch) = stretches.last() {
            self.update(&stretch.volume, false).await?;
        }
        if !self.spooled.is_empty() {
            self.despool().await?;
        }
        Ok(())
    }

    async fn despool(&mut self) -> Result<(), JobError> {
        let id = self.job.command.job_id;
        let name = &self.core.settings.name;
        self.wire.put(format!("Status JobId={id} JobStatus=97\n"));
        self.wire
            .put(format!("BlastAttr JobId={id} File=/nowhere/{name}.{id}.spool\n"));
        self.wire.flush().await.map_err(JobError::Director)?;
        let answer = self.wire.message().await.map_err(JobError::Director)?;
        if answer.starts_with(b"1000 OK BlastAttr") {
            return Err(JobError::Failed(
                "the Director cannot have read a file that is not there".to_owned(),
            ));
        }
        for line in std::mem::take(&mut self.spooled) {
            self.wire.put(line);
        }
        self.wire.flush().await.map_err(JobError::Director)
    }
}

impl Stretch {
    fn line(&self, figures: Figures) -> String {
        let Self {
            first_index,
            last_index,
            start,
            end,
            ..
        } = self;
        let (start_file, start_block) = (start >> 32, start & u64::from(u32::MAX));
        let (end_file, end_block) = (end >> 32, end & u64::from(u32::MAX));
        let media_id = figures.media_id;
        format!("{first_index} {last_index} {start_file} {end_file} {start_block} {end_block} {media_id}\n")
    }
}
