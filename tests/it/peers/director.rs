//! A Director: runs jobs on a storage, or on what looks like one, sends its Clients there and answers for its
//! catalog (Bacula `src/dird/msgchan.c`, `getmsg.c`, `backup.c`, `restore.c`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sdgroup::handshake::{DirectorKey, Step, TlsPolicy, storage};
use sdgroup::types::{
    ClientName, DeviceName, DirectorName, FileSetName, JobId, JobLevel, JobName, JobResourceName, JobStatus, JobType,
    MediaType, PoolName, Release, Secret, SessionKey,
};
use sdgroup::wire::job::{JobAnswer, JobCommand};
use sdgroup::wire::packet::{Outbox, Packet, Signal};
use sdgroup::wire::progress::{JobEnd, StorageMessage};
use sdgroup::wire::reserve::{DeviceAnswer, UseDevice, UseStorage};

use super::catalog::{Catalog, Job as CatalogJob, Talk};
use super::client::{self, ClientError, Errand};
use crate::harness::bytes_of_jobs::{Record, count, total};
use crate::harness::wire::{LoginFailed, Wire, WireError, random, shown};

/// The Director's Storage resource.
#[derive(Debug, Clone)]
pub(crate) struct StorageResource {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) device: String,
    pub(crate) media_type: String,
}

/// A Director.
#[derive(Debug, Clone)]
pub(crate) struct Director {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) storage: StorageResource,
    /// Where Clients are told to call, if that is another address (`FdStorageAddress`).
    pub(crate) clients_call: Option<SocketAddr>,
    pub(crate) catalog: Arc<Catalog>,
    last_job: Arc<AtomicU32>,
}

/// What a job is to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) job_type: JobType,
    pub(crate) level: JobLevel,
    pub(crate) pool: String,
    pub(crate) spool_attributes: bool,
}

impl Plan {
    pub(crate) fn backup(name: &str, pool: &str) -> Self {
        Self {
            name: name.to_owned(),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            pool: pool.to_owned(),
            spool_attributes: true,
        }
    }

    pub(crate) fn restore(pool: &str) -> Self {
        Self {
            name: "Restore".to_owned(),
            job_type: JobType::Restore,
            level: JobLevel::None,
            pool: pool.to_owned(),
            spool_attributes: true,
        }
    }

    pub(crate) fn verify(pool: &str) -> Self {
        Self {
            name: "Verify".to_owned(),
            job_type: JobType::Verify,
            level: JobLevel::VerifyVolumeToCatalog,
            pool: pool.to_owned(),
            spool_attributes: true,
        }
    }
}

/// Why a job did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectorError {
    #[error("cannot reach the storage: {0}")]
    Dial(#[source] WireError),
    #[error("login: {0}")]
    Login(#[from] LoginFailed),
    #[error("the connection: {0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    Refused(String),
}

/// A job's log and state, as its control connection tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Lines of the job's log.
    pub(crate) log: Vec<String>,
    pub(crate) statuses: Vec<JobStatus>,
    pub(crate) started: bool,
    pub(crate) end: Option<JobEnd>,
    pub(crate) attributes: u64,
    pub(crate) heartbeats: u64,
    /// The peer parted in order.
    pub(crate) terminated: bool,
}

impl Told {
    /// Whether a line of the job's log has all of these words.
    pub(crate) fn says(&self, words: &[&str]) -> bool {
        self.log.iter().any(|line| words.iter().all(|word| line.contains(word)))
    }
}

/// A control connection, from its login on.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) wire: Wire,
    pub(crate) told: Told,
    pub(crate) storage_version: u32,
    director: Director,
    talk: Talk,
}

/// A job that a storage has taken.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) control: Control,
    pub(crate) id: JobId,
    pub(crate) name: JobName,
    pub(crate) plan: Plan,
    pub(crate) answer: JobAnswer,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) id: JobId,
    pub(crate) name: JobName,
    pub(crate) answer: JobAnswer,
    pub(crate) told: Told,
}

impl Report {
    /// The status that the storage gave in the end.
    pub(crate) fn status(&self) -> Option<JobStatus> {
        self.told.end.as_ref().map(|end| end.status)
    }
}

impl Director {
    pub(crate) fn new(name: &str, password: &str, storage: StorageResource, catalog: Arc<Catalog>) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            storage,
            clients_call: None,
            catalog,
            last_job: Arc::default(),
        }
    }

    fn clients_call(&self) -> SocketAddr {
        self.clients_call.unwrap_or(self.storage.address)
    }

    /// Calls the storage and logs in.
    pub(crate) async fn call(&self) -> Result<Control, DirectorError> {
        let mut wire = Wire::dial(self.storage.address).await.map_err(DirectorError::Dial)?;
        let mut outbox = Outbox::new();
        let login = storage::Login::start(
            &DirectorName::new(&self.name).expect("a name"),
            &DirectorKey::new(&Secret::new(self.password.clone())),
            Release::V9,
            random(),
            TlsPolicy::default(),
            &mut outbox,
        );
        let verified = wire.log_in(Ok(Step::Expect(login)), outbox).await?;
        wire.compress();
        Ok(Control {
            wire,
            told: Told::default(),
            storage_version: verified.storage_version,
            director: self.clone(),
            talk: Talk::of(&self.storage.media_type),
        })
    }

    /// The next job's number and unique name.
    pub(crate) fn next_job(&self, name: &str) -> (JobId, JobName) {
        let id = self.last_job.fetch_add(1, Ordering::Relaxed) + 1;
        let name = JobName::new(&format!("{name}.2026-11-23_00.20.37_{id:02}")).expect("a name");
        (JobId(id), name)
    }

    /// Announces a job and waits until a storage has taken it.
    pub(crate) async fn begin(&self, plan: &Plan) -> Result<Job, DirectorError> {
        let (id, name) = self.next_job(&plan.name);
        self.begin_as(plan, id, name).await
    }

    pub(crate) async fn begin_as(&self, plan: &Plan, id: JobId, name: JobName) -> Result<Job, DirectorError> {
        self.call().await?.begin(plan, id, name).await
    }

    /// A whole backup. Both the job's report and the Client's.
    pub(crate) async fn back_up(
        &self,
        plan: &Plan,
        records: &[Record],
    ) -> Result<(Report, Result<u8, ClientError>), DirectorError> {
        let job = self.begin(plan).await?;
        self.back_up_as(job, records).await
    }

    /// The rest of a backup that a storage has taken.
    pub(crate) async fn back_up_as(
        &self,
        mut job: Job,
        records: &[Record],
    ) -> Result<(Report, Result<u8, ClientError>), DirectorError> {
        job.reserve().await?;
        job.run().await?;
        let errand = job.errand();
        let client = tokio::spawn(client::back_up(errand, records.to_vec()));
        let report = job.finish().await;
        let client = client.await.expect("the Client's task");
        if client.is_ok() && report.status() == Some(JobStatus::Terminated) {
            self.record(&report, records);
        }
        Ok((report, client))
    }

    /// A finished backup's record, without which nothing can be restored.
    pub(crate) fn record(&self, report: &Report, records: &[Record]) {
        self.catalog.record_job(
            report.id.0,
            CatalogJob {
                sd_id: report.answer.sd_id,
                sd_time: report.answer.sd_time,
                files: count(records),
                bytes: total(records),
            },
        );
    }

    /// A whole restore of these jobs. What the Client was given, too.
    pub(crate) async fn restore(
        &self,
        plan: &Plan,
        jobs: &[JobId],
    ) -> Result<(Report, Result<Vec<Record>, ClientError>), DirectorError> {
        let mut job = self.begin(plan).await?;
        job.reserve().await?;
        let jobs: Vec<u32> = jobs.iter().map(|id| id.0).collect();
        let bootstrap = self.catalog.bootstrap(&jobs, &self.storage.name, &self.storage.device);
        job.bootstrap(&bootstrap).await?;
        job.run().await?;
        let client = tokio::spawn(client::restore(job.errand()));
        let report = job.finish().await;
        Ok((report, client.await.expect("the Client's task")))
    }

    /// Has a job canceled, on a connection of its own; returns what was said.
    pub(crate) async fn cancel(&self, job: &JobName) -> Result<String, DirectorError> {
        self.console(&format!("cancel Job={job}\n"))
            .await
            .map(|lines| lines.join(""))
    }

    /// A console's command; returns its reply.
    pub(crate) async fn console(&self, command: &str) -> Result<Vec<String>, DirectorError> {
        let mut control = self.call().await?;
        let reply = control.command(command).await?;
        control.part().await;
        Ok(reply.lines)
    }
}

/// What came of a console's command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) lines: Vec<String>,
    /// What the Director takes for the end of the reply.
    pub(crate) end: Signal,
}

fn job_command(plan: &Plan, id: JobId, name: &JobName) -> JobCommand {
    JobCommand {
        job_id: id,
        job: name.clone(),
        job_name: JobResourceName::new(&plan.name).expect("a name"),
        client: ClientName::new("sim-fd").expect("a name"),
        job_type: plan.job_type,
        level: plan.level,
        file_set: FileSetName::new("All files").expect("a name"),
        no_attributes: false,
        spool_attributes: plan.spool_attributes,
        file_set_md5: b"M0hIyTpZy6Elh9/E9w0x/C".to_vec(),
        spool_data: false,
        write_part_after_job: true,
        prefer_mounted_volumes: true,
        spool_size: 0,
        rerunning: false,
        vol_session_id: 0,
        vol_session_time: 0,
        sd_client: false,
        authorization: Some(SessionKey::new("dummy".to_owned())),
    }
}

impl Control {
    /// Gives a command and reads the reply to its end; what the storage asks the catalog meanwhile is answered.
    pub(crate) async fn command(&mut self, command: &str) -> Result<Reply, WireError> {
        self.wire.send(command).await?;
        let mut lines = Vec::new();
        loop {
            match self.wire.packet().await? {
                Packet::Message(line) if line.starts_with(b"CatReq ") => self.on_catalog(&line).await?,
                Packet::Message(line) => lines.push(shown(&line)),
                // A Director takes any signal for the end of the reply.
                Packet::Signal(end) => return Ok(Reply { lines, end }),
            }
        }
    }

    /// Ends a console's connection as a Director does.
    pub(crate) async fn part(mut self) {
        self.wire.put_signal(Signal::Terminate);
        self.wire.close().await;
    }

    /// Makes the connection a job's.
    pub(crate) async fn begin(mut self, plan: &Plan, id: JobId, name: JobName) -> Result<Job, DirectorError> {
        self.talk.job_id = id.0;
        self.talk.pool.clone_from(&plan.pool);
        self.wire.send(job_command(plan, id, &name).to_line()).await?;
        let reply = self.reply().await;
        let reply = reply.map_err(|error| self.with_log(error))?;
        let answer = JobAnswer::parse(reply.as_bytes()).map_err(|_| self.refused(&reply))?;
        Ok(Job {
            control: self,
            id,
            name,
            plan: plan.clone(),
            answer,
        })
    }

    /// A refusal, with what the log has of it.
    fn refused(&self, reply: &str) -> DirectorError {
        DirectorError::Refused(format!("{}\n{}", shown(reply.as_bytes()), self.told.log.join("\n")))
    }

    fn with_log(&self, error: WireError) -> DirectorError {
        if self.told.log.is_empty() {
            return error.into();
        }
        DirectorError::Refused(format!("{error}\n{}", self.told.log.join("\n")))
    }

    /// The next reply; everything that comes before it is taken care of.
    pub(crate) async fn reply(&mut self) -> Result<String, WireError> {
        loop {
            match self.wire.packet().await? {
                Packet::Signal(signal) => self.on_signal(signal)?,
                Packet::Message(text) => {
                    if let Some(reply) = self.on_message(&text).await? {
                        return Ok(reply);
                    }
                }
            }
        }
    }

    fn on_signal(&mut self, signal: Signal) -> Result<(), WireError> {
        match signal {
            Signal::Heartbeat => {
                self.told.heartbeats += 1;
                Ok(())
            }
            Signal::Poll | Signal::EodPoll => {
                self.wire.put("1000 OK\n");
                Ok(())
            }
            Signal::Terminate => {
                self.told.terminated = true;
                Err(WireError::Signal(signal))
            }
            other => Err(WireError::Signal(other)),
        }
    }

    async fn on_message(&mut self, text: &[u8]) -> Result<Option<String>, WireError> {
        let message = StorageMessage::parse(text).unwrap_or_else(|error| panic!("{error}: {:?}", shown(text)));
        match message {
            StorageMessage::Jmsg(line) => {
                let line = shown(line.text);
                self.told.log.push(line);
            }
            StorageMessage::Status { status, .. } => self.told.statuses.push(status),
            StorageMessage::Start { .. } => self.told.started = true,
            StorageMessage::End(end) => self.told.end = Some(end),
            StorageMessage::UpdCat => self.told.attributes += 1,
            StorageMessage::CatReq(line) => self.on_catalog(line).await?,
            // The file is on another machine.
            StorageMessage::BlastAttr { .. } => self.wire.send("1990 ERROR BlastAttr\n").await?,
            StorageMessage::Reply { line, .. } => return Ok(Some(String::from_utf8_lossy(line).into_owned())),
            other => panic!("a storage of 9.6 does not say {other:?}"),
        }
        Ok(None)
    }

    async fn on_catalog(&mut self, line: &[u8]) -> Result<(), WireError> {
        if let Some(answer) = self.director.catalog.answer(&mut self.talk, line) {
            return self.wire.send(answer).await;
        }
        let mut lines = Vec::new();
        while let Packet::Message(line) = self.wire.packet().await? {
            lines.push(line.to_vec());
        }
        self.director.catalog.add_job_media(self.talk.job_id, &lines);
        self.wire.send("1000 OK CreateJobMedia\n").await
    }
}

impl Job {
    /// `use storage` and the device.
    pub(crate) async fn reserve(&mut self) -> Result<DeviceAnswer, DirectorError> {
        let resource = self.control.director.storage.clone();
        let block = UseStorage {
            storage: resource.name,
            media_type: MediaType::new(&resource.media_type).expect("a name"),
            pool: PoolName::new(&self.plan.pool).expect("a name"),
            pool_type: "Backup".to_owned(),
            append: self.plan.job_type == JobType::Backup,
            copy: 0,
            stripe: 0,
            wait: None,
            more: Vec::new(),
        };
        let device = UseDevice {
            device: DeviceName::new(&resource.device).expect("a name"),
        };
        let wire = &mut self.control.wire;
        wire.put(block.to_line());
        wire.put(device.to_line());
        wire.put_signal(Signal::Eod);
        wire.put_signal(Signal::Eod);
        wire.flush().await?;
        let reply = self.reply().await?;
        DeviceAnswer::parse(reply.as_bytes()).map_err(|_| self.control.refused(&reply))
    }

    async fn reply(&mut self) -> Result<String, DirectorError> {
        let reply = self.control.reply().await;
        reply.map_err(|error| self.control.with_log(error))
    }

    /// The bootstrap, line by line.
    pub(crate) async fn bootstrap(&mut self, lines: &[String]) -> Result<(), DirectorError> {
        let wire = &mut self.control.wire;
        wire.put("bootstrap\n");
        for line in lines {
            wire.put(line);
        }
        wire.put_signal(Signal::Eod);
        wire.flush().await?;
        let reply = self.reply().await?;
        match reply.as_str() {
            "3000 OK bootstrap\n" => Ok(()),
            other => Err(self.control.refused(other)),
        }
    }

    pub(crate) async fn run(&mut self) -> Result<(), DirectorError> {
        Ok(self.control.wire.send("run").await?)
    }

    /// What the Client is told.
    pub(crate) fn errand(&self) -> Errand {
        Errand {
            address: self.control.director.clients_call(),
            job: self.name.clone(),
            key: self.answer.key.clone(),
            sd_id: self.answer.sd_id,
            sd_time: self.answer.sd_time,
        }
    }

    /// Follows the job to its end, however it ends, and does not part yet.
    pub(crate) async fn until_over(&mut self) {
        loop {
            match self.control.wire.packet().await {
                Ok(Packet::Signal(Signal::Eod)) => {}
                Ok(Packet::Signal(signal)) => {
                    if self.control.on_signal(signal).is_err() {
                        break;
                    }
                }
                Ok(Packet::Message(text)) => {
                    // A reply after `run` is the end of the job, told as 3099; others are of no use to a Director.
                    if self.control.on_message(&text).await.is_err() {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
    }

    /// Follows the job to its end, however it ends.
    pub(crate) async fn finish(mut self) -> Report {
        self.until_over().await;
        let told = self.control.told;
        self.control.director.catalog.end_job(self.id.0);
        self.control.wire.close().await;
        Report {
            id: self.id,
            name: self.name,
            answer: self.answer,
            told,
        }
    }
}
