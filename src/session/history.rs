//! The history of jobs: what has ended is told to placement at once, and to the store from a task of its own, so that
//! no session waits for a disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::model;
use crate::group::PastJob;
use crate::store::{JobRecord, Keep, Store, StoreError};
use crate::telemetry::event::StoreFailed;
use crate::types::{JobStatus, Moment};

/// How many ended jobs may wait to be written. Further ones are not remembered over a restart.
const MOST_WAITING: usize = 10_000;

/// How long the first of several jobs that end together waits for the others: they are written at once.
const GATHER: Duration = Duration::from_millis(500);

/// How many are written in one transaction.
const BATCH: usize = 500;

/// What placement learns of a job that has ended.
#[must_use]
pub fn past(record: &JobRecord) -> PastJob {
    PastJob {
        director: record.director.clone(),
        job: record.job.clone(),
        resource: record.resource.clone(),
        job_type: record.job_type,
        level: record.level,
        storage: record.storage.clone(),
        placed: Moment(record.placed),
        is_ok: matches!(record.status, JobStatus::Terminated | JobStatus::Warnings),
        bytes: record.bytes,
    }
}

/// The jobs of earlier processes, in the order in which they were placed.
///
/// # Errors
/// When the store fails.
pub async fn load(store: &dyn Store, history: model::History) -> Result<Vec<PastJob>, StoreError> {
    let keep = keep(history);
    let records = store.jobs(keep.since, keep.most).await?;
    Ok(records.iter().map(past).collect())
}

fn keep(history: model::History) -> Keep {
    let seconds = i64::try_from(history.retention.as_secs()).unwrap_or(i64::MAX);
    Keep {
        since: Moment::now().0.saturating_sub(seconds),
        most: history.maximum_jobs,
    }
}

/// Where sessions leave what is to be written.
#[derive(Debug, Clone)]
pub struct Recorder {
    jobs: mpsc::Sender<JobRecord>,
}

impl Recorder {
    /// A recorder, and what is left with it.
    #[must_use]
    pub fn new() -> (Self, Records) {
        let (jobs, waiting) = mpsc::channel(MOST_WAITING);
        (Self { jobs }, Records(waiting))
    }

    /// Leaves `record` to be written.
    pub(super) fn leave(&self, record: JobRecord) {
        if self.jobs.try_send(record).is_err() {
            StoreFailed {
                operation: "history",
                error: &"more ended jobs wait to be written than may: this one is not remembered over a restart",
            }
            .emit();
        }
    }
}

/// What waits to be written.
#[derive(Debug)]
pub struct Records(mpsc::Receiver<JobRecord>);

impl Records {
    /// Writes what was left until `stop`, and then what is left yet; keeps what `history` says at the time.
    pub async fn write(
        mut self,
        store: Arc<dyn Store>,
        history: impl Fn() -> model::History + Send,
        stop: CancellationToken,
    ) {
        loop {
            let first = tokio::select! {
                record = self.0.recv() => record,
                () = stop.cancelled() => self.0.try_recv().ok(),
            };
            let Some(first) = first else { return };
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = stop.cancelled() => {}
            }
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(record) = self.0.try_recv()
            {
                batch.push(record);
            }
            write(&*store, batch, history()).await;
        }
    }
}

async fn write(store: &dyn Store, jobs: Vec<JobRecord>, history: model::History) {
    if let Err(error) = store.add_jobs(jobs, keep(history)).await {
        StoreFailed {
            operation: "history",
            error: &error,
        }
        .emit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::types::{
        Bytes, ClientName, DirectorName, FileSetName, GroupName, JobId, JobLevel, JobName, JobResourceName, JobType,
        StorageName,
    };

    fn record(number: u32, status: JobStatus) -> JobRecord {
        let now = Moment::now().0;
        JobRecord {
            director: DirectorName::new("lab-dir").unwrap(),
            job: JobName::new(&format!("Nightly.{number}")).unwrap(),
            job_id: JobId(number),
            resource: JobResourceName::new("Nightly").unwrap(),
            client: ClientName::new("client").unwrap(),
            fileset: FileSetName::new("All").unwrap(),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            group: GroupName::new("Files").unwrap(),
            storage: StorageName::new("File4").unwrap(),
            arrived: now,
            placed: now,
            ended: now,
            status,
            files: 7,
            bytes: Bytes(1 << 50),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_is_written_later_and_all_of_it_at_the_stop() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (recorder, records) = Recorder::new();
        let stop = CancellationToken::new();
        let history = model::History::default();
        let writing = tokio::spawn(records.write(Arc::clone(&store), move || history, stop.clone()));
        recorder.leave(record(1, JobStatus::Terminated));
        recorder.leave(record(2, JobStatus::FatalError));
        tokio::time::sleep(2 * GATHER).await;
        let loaded = load(&*store, history).await.unwrap();
        assert_eq!(loaded.iter().map(|job| job.is_ok).collect::<Vec<_>>(), [true, false]);
        for number in 3..1500 {
            recorder.leave(record(number, JobStatus::Warnings));
        }
        stop.cancel();
        writing.await.unwrap();
        assert_eq!(load(&*store, history).await.unwrap().len(), 1499);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_configured() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (recorder, records) = Recorder::new();
        let history = model::History {
            maximum_jobs: 5,
            ..model::History::default()
        };
        for number in 0..9 {
            recorder.leave(record(number, JobStatus::Terminated));
        }
        let stop = CancellationToken::new();
        stop.cancel();
        let writing = records.write(Arc::clone(&store), move || history, stop);
        drop(recorder);
        writing.await;
        assert_eq!(load(&*store, history).await.unwrap().len(), 5);
    }
}
