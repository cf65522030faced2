//! Backups: whole, refused, or in the middle of their data, to see what becomes of them.

use std::time::Duration;

use sdgroup::types::{JobName, JobStatus};
use tokio::task::JoinHandle;

use super::bytes_of_jobs::{Amount, Record, files};
use super::site::POOL;
use super::wait::soon;
use crate::peers::client::{ClientError, DataLink, Errand};
use crate::peers::director::{Director, DirectorError, Plan, Report};

/// What a job may take at most when a storage in its way fails at once: far more than it takes on a busy machine, and far
/// less than anything that is waited for with [`LATER`].
pub(crate) const AT_ONCE: Duration = Duration::from_secs(10);

/// Lines of a group that waits long for whatever it waits for.
pub(crate) const LATER: &str = "DownWait = \"1 minute\"\nBusyWait = \"1 minute\"\nConnectTimeout = \"1 minute\"\n\
                                LoginTimeout = \"1 minute\"\nReserveTimeout = \"1 minute\"";

/// A backup that must end well.
pub(crate) async fn back_up(director: &Director, name: &str) -> (Report, Vec<Record>) {
    let records = files(name.len() as u64, Amount::SMALL);
    let plan = Plan::backup(name, POOL);
    let (report, client) = soon("a backup", director.back_up(&plan, &records)).await.unwrap();
    client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
    assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
    (report, records)
}

/// What a restore of the job brings back.
pub(crate) async fn restore(director: &Director, report: &Report) -> Vec<Record> {
    let (plan, wanted) = (Plan::restore(POOL), [report.id]);
    let (told, back) = soon("a restore", director.restore(&plan, &wanted)).await.unwrap();
    back.unwrap_or_else(|error| panic!("{error}: {:?}", told.told))
}

/// The words of a refusal.
pub(crate) fn refusal(refused: DirectorError) -> String {
    match refused {
        DirectorError::Refused(text) => text,
        other => panic!("not refused in words: {other}"),
    }
}

/// A backup of which half has been sent.
pub(crate) struct Running {
    pub(crate) name: JobName,
    pub(crate) errand: Errand,
    pub(crate) link: DataLink,
    pub(crate) ends: JoinHandle<Report>,
    pub(crate) records: Vec<Record>,
    sent: usize,
}

impl Running {
    pub(crate) async fn start(director: &Director, name: &str) -> Self {
        let mut job = director.begin(&Plan::backup(name, POOL)).await.unwrap();
        job.reserve().await.unwrap();
        job.run().await.unwrap();
        let errand = job.errand();
        let name = job.name.clone();
        let ends = tokio::spawn(job.finish());
        let mut link = soon("the data connection", DataLink::open(&errand)).await.unwrap();
        soon("the storage to be ready", link.open_append()).await.unwrap();
        let records = files(u64::from(errand.sd_id) << 32, Amount::SMALL);
        let half = records.iter().position(|record| record.file_index == 2).unwrap();
        link.send(&records[..half]).await.unwrap();
        Self {
            name,
            errand,
            link,
            ends,
            records,
            sent: half,
        }
    }

    /// Sends the rest; the job must end well.
    pub(crate) async fn finish(self) -> (Report, Vec<Record>) {
        let Self {
            mut link,
            ends,
            records,
            sent,
            ..
        } = self;
        let client = async {
            link.send(&records[sent..]).await?;
            link.close_append().await
        };
        let client: Result<u8, ClientError> = soon("the Client", client).await;
        let report = soon("the job", ends).await.unwrap();
        client.unwrap_or_else(|error| panic!("{error}: {:?}", report.told));
        assert_eq!(report.status(), Some(JobStatus::Terminated), "{:?}", report.told);
        (report, records)
    }
}
