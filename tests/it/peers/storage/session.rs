//! A job on its control connection: its device, its bootstrap, and from `run` on its Client (Bacula
//! `src/stored/job.c`, `reserve.c`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use sdgroup::types::{JobStatus, Release, SessionKey, Severity};
use sdgroup::wire::bootstrap::Bootstrap;
use sdgroup::wire::job::JobCommand;
use sdgroup::wire::packet::{Packet, Signal};
use sdgroup::wire::progress::{JobEnd, jmsg_line, start_line, status_line};
use sdgroup::wire::refusal::Refusal;
use sdgroup::wire::reserve::{DeviceAnswer, UseDevice, UseStorage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::append::Stretch;
use super::read::Wanted;
use super::{Core, Point};
use crate::harness::wire::{Wire, WireError, shown};

/// How long a job waits for its Client.
const CLIENT_WAIT: Duration = Duration::from_secs(30);

/// Who came for a job.
#[derive(Debug)]
pub(super) enum Arrival {
    Client(Wire),
    /// Somebody who knows the job's name alone: that ends the job.
    WrongKey,
}

/// A job that the storage has.
#[derive(Debug)]
pub(super) struct HeldJob {
    pub(super) command: JobCommand,
    pub(super) key: SessionKey,
    pub(super) sd_id: u32,
    pub(super) sd_time: u32,
    pub(super) canceled: CancellationToken,
    pub(super) ended: CancellationToken,
    authenticated: AtomicBool,
    arrivals: mpsc::UnboundedSender<Arrival>,
}

impl HeldJob {
    pub(super) fn new(
        command: JobCommand,
        key: SessionKey,
        identity: impl FnOnce(&JobCommand) -> (u32, u32),
    ) -> (Self, mpsc::UnboundedReceiver<Arrival>) {
        let (sd_id, sd_time) = identity(&command);
        let (arrivals, expected) = mpsc::unbounded_channel();
        let job = Self {
            command,
            key,
            sd_id,
            sd_time,
            canceled: CancellationToken::new(),
            ended: CancellationToken::new(),
            authenticated: AtomicBool::new(false),
            arrivals,
        };
        (job, expected)
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Acquire)
    }

    pub(super) fn arrive(&self, arrival: Arrival) {
        if matches!(arrival, Arrival::Client(_)) {
            self.authenticated.store(true, Ordering::Release);
        }
        // The job may have ended in the meantime.
        let _ = self.arrivals.send(arrival);
    }
}

/// Why a job does not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error("canceled")]
    Canceled,
    #[error("the connection to the Director: {0}")]
    Director(#[source] WireError),
    #[error("the connection to the Client: {0}")]
    Client(#[from] WireError),
    #[error("{0}")]
    Failed(String),
}

/// A job's control connection, and all that belongs to the job.
#[derive(Debug)]
pub(super) struct Control<'a> {
    pub(super) core: &'a Core,
    pub(super) job: Arc<HeldJob>,
    pub(super) wire: Wire,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    release: Release,
    pub(super) pool: String,
    pub(super) media_type: String,
    /// Which of the storage's devices it has.
    pub(super) device: Option<Reserved<'a>>,
    pub(super) wanted: Vec<Wanted>,
    pub(super) stretches: Vec<Stretch>,
    pub(super) spooled: Vec<Vec<u8>>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// The Director closed, or is to be told nothing more than that this is the end.
    reports: bool,
    failure: Option<JobError>,
}

/// A device that a job has; dropped, it is free for others.
#[derive(Debug)]
pub(super) struct Reserved<'a> {
    pub(super) core: &'a Core,
    pub(super) at: usize,
    pub(super) append: bool,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut loaded = self.core.devices[self.at].loaded();
        if self.append {
            loaded.writers = loaded.writers.saturating_sub(1);
        } else {
            loaded.readers = loaded.readers.saturating_sub(1);
        }
        drop(loaded);
        self.core.freed.notify_waiters();
    }
}

impl<'a> Control<'a> {
    pub(super) fn new(
        core: &'a Core,
        job: Arc<HeldJob>,
        wire: Wire,
        arrivals: mpsc::UnboundedReceiver<Arrival>,
        release: Release,
    ) -> Self {
        Self {
            core,
            job,
            wire,
            arrivals,
            release,
            pool: String::new(),
            media_type: String::new(),
            device: None,
            wanted: Vec::new(),
            stretches: Vec::new(),
            spooled: Vec::new(),
            files: 0,
            bytes: 0,
            reports: false,
            failure: None,
        }
    }

    /// Takes the job's commands, and runs it.
    pub(super) async fn run(&mut self) {
        loop {
            let line = match self.wire.packet().await {
                Ok(Packet::Message(line)) if !line.is_empty() => line,
                Ok(other) => {
                    self.broken(&format!("{other:?} where a job's command is due"));
                    return;
                }
                Err(_) => return,
            };
            self.core.state().commands.push(shown(&line));
            let goes_on = if line.starts_with(b"use storage=") {
                self.use_storage(&line).await
            } else if line.starts_with(b"bootstrap") {
                self.bootstrap().await
            } else if line.as_ref() == b"run" {
                return self.dialogue().await;
            } else {
                let command = shown(&line);
                self.wire.put(Refusal::Invalid { command }.to_line());
                Ok(false)
            };
            if !matches!(goes_on, Ok(true)) || self.wire.flush().await.is_err() {
                return;
            }
        }
    }

    fn broken(&self, what: &str) {
        let job = &self.job.command.job;
        self.core.state().broken_rules.push(format!("{job}: {what}"));
    }

    /// The last word.
    pub(super) async fn part(mut self) {
        self.device = None;
        if self.reports {
            let status = match &self.failure {
                None => JobStatus::Terminated,
                Some(JobError::Canceled) => JobStatus::Canceled,
                Some(_) => JobStatus::FatalError,
            };
            let id = self.job.command.job_id;
            let message = self.failure.as_ref().map(ToString::to_string).unwrap_or_default();
            if matches!(self.failure, Some(JobError::Failed(_))) {
                self.note(Severity::Fatal, &message);
            }
            self.wire.put(status_line(id, status));
            let end = JobEnd {
                job: self.job.command.job.clone(),
                status,
                files: self.files,
                bytes: self.bytes,
                errors: u32::from(self.failure.is_some()),
                message: message.into_bytes(),
            };
            self.wire.put(end.to_line());
            self.wire.put_signal(Signal::Eod);
        }
        self.wire.put_signal(Signal::Terminate);
        self.wire.close().await;
    }

    /// A line for the job's log.
    pub(super) fn note(&mut self, severity: Severity, text: &str) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        let now = i64::try_from(now).unwrap_or(0);
        let id = self.job.command.job_id;
        let text = format!("{} JobId {id}: {text}", self.core.settings.name);
        self.wire.put(jmsg_line(id, self.release, severity, now, &text));
    }

    async fn use_storage(&mut self, line: &[u8]) -> Result<bool, JobError> {
        let Ok(block) = UseStorage::parse(line) else {
            self.wire.put(Refusal::Use { found: shown(line) }.to_line());
            return Ok(false);
        };
        let mut devices = Vec::new();
        let mut closed = false;
        loop {
            match self.wire.packet().await.map_err(JobError::Director)? {
                Packet::Signal(Signal::Eod) if closed => break,
                Packet::Signal(Signal::Eod) => closed = true,
                Packet::Message(line) if line.starts_with(b"use storage=") => closed = false,
                Packet::Message(line) => match UseDevice::parse(&line) {
                    Ok(named) => devices.push(named.device.to_string()),
                    Err(_) => return Err(JobError::Failed(format!("not a device: {}", shown(&line)))),
                },
                Packet::Signal(signal) => return Err(JobError::Director(WireError::Signal(signal))),
            }
        }
        self.core.pass(Point::UseDevice).await;
        self.pool = block.pool.to_string();
        self.media_type = block.media_type.to_string();
        let device = devices.last().cloned().unwrap_or_default();
        let refuses = self.core.state().refuses_devices;
        self.device = if self.media_type == self.core.settings.media_type && !refuses {
            self.reserve(&devices, block.append).await?
        } else {
            None
        };
        let Some(reserved) = &self.device else {
            self.wire.put(Refusal::Device { device }.to_line());
            return Ok(false);
        };
        let name = &self.core.devices[reserved.at].name;
        let answer = DeviceAnswer {
            device: sdgroup::types::DeviceName::new(name).expect("a name"),
            features: None,
            more: Vec::new(),
        };
        self.wire.put(answer.to_line());
        Ok(true)
    }

    async fn bootstrap(&mut self) -> Result<bool, JobError> {
        let mut text = BytesMut::new();
        while let Packet::Message(line) = self.wire.packet().await.map_err(JobError::Director)? {
            text.extend_from_slice(&line);
        }
        let Ok(bootstrap) = Bootstrap::parse(text.freeze()) else {
            self.wire.put(Refusal::Bootstrap.to_line());
            return Ok(false);
        };
        self.wanted = bootstrap.groups().iter().map(Wanted::of).collect();
        self.wire.put("3000 OK bootstrap\n");
        Ok(true)
    }

    /// From `run` on.
    async fn dialogue(&mut self) {
        self.core.pass(Point::Run).await;
        let id = self.job.command.job_id;
        if self.wire.send(status_line(id, JobStatus::WaitClient)).await.is_err() {
            return;
        }
        let canceled = self.job.canceled.clone();
        let mut client = tokio::select! {
            arrival = tokio::time::timeout(CLIENT_WAIT, self.arrivals.recv()) => match arrival {
                Ok(Some(Arrival::Client(wire))) => wire,
                _ => return,
            },
            () = canceled.cancelled() => return,
        };
        self.reports = true;
        self.wire.put(start_line(&self.job.command.job));
        self.wire.put(status_line(id, JobStatus::Running));
        let served = tokio::select! {
            served = self.serve(&mut client) => served,
            () = canceled.cancelled() => Err(JobError::Canceled),
        };
        match served {
            Ok(()) => {
                client.put_signal(Signal::Terminate);
                client.close().await;
            }
            Err(error) => {
                drop(client);
                self.failure = Some(error);
                return;
            }
        }
        if let Err(error) = self.record().await {
            self.failure = Some(error);
        }
    }

    /// The Client's dialogue.
    async fn serve(&mut self, client: &mut Wire) -> Result<(), JobError> {
        self.wire.flush().await.map_err(JobError::Director)?;
        let ticket = self.job.sd_id;
        loop {
            let line = match client.packet().await? {
                Packet::Signal(Signal::Terminate) => return Ok(()),
                Packet::Signal(_) => continue,
                Packet::Message(line) => shown(&line),
            };
            if line.starts_with("append open") || line.starts_with("read open") {
                client.send(format!("3000 OK open ticket = {ticket}\n")).await?;
            } else if line.starts_with("append data") {
                self.append(client).await?;
            } else if line.starts_with("append end") {
                client.send("3000 OK end\n").await?;
            } else if line.starts_with("read data") {
                self.read(client).await?;
            } else if line.starts_with("append close") || line.starts_with("read close") {
                let status = JobStatus::Terminated.code();
                client.put(format!("3000 OK close Status = {status}\n"));
                client.put_signal(Signal::Eod);
                client.flush().await?;
            } else {
                client.send("3900 Invalid command\n").await?;
                return Err(JobError::Failed(format!("the Client said {line:?}")));
            }
        }
    }
}
