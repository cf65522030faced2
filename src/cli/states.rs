//! `sdgroup drain`, `seal`, `maintain`, `ready`: what the operator wants of a storage.

use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::client::{Client, encoded};
use super::storages::decision;
use super::{Failure, counted, who};
use crate::admin::api::jobs::JobsShown;
use crate::admin::api::storages::{StateWanted, StorageShown};
use crate::config::units;
use crate::types::{Bytes, Moment, State};

/// How often is looked whether a storage is empty.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Change {
    /// The storage's name in the configuration.
    storage: String,
    /// Why; it is told to those whose jobs go elsewhere.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Until when: how long from now ("2 hours"), or a date and time in UTC ("2026-12-01 06:00"). Then the storage is
    /// ready again by itself. Until it is changed when left out.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Waits until the storage is empty: until no job is on it, or with "seal" until none writes there.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most ("10 minutes"), without end when left out. The storage stays as it is wanted after
    /// that.
    #[arg(long, value_name = "TIME", requires = "wait")]
    timeout: Option<String>,
    /// Who wants it; the user at the terminal when left out.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Ready {
    /// The storage's name in the configuration.
    storage: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who wants it; the user at the terminal when left out.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl From<&Ready> for Change {
    fn from(ready: &Ready) -> Self {
        Self {
            storage: ready.storage.clone(),
            reason: ready.reason.clone(),
            until: None,
            wait: false,
            timeout: None,
            by: ready.by.clone(),
        }
    }
}

/// Puts a storage into `state`.
pub(super) fn put(change: &Change, state: State, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let (until, seconds) = change.until.as_deref().map(until).transpose()?.unwrap_or_default();
    let wanted = StateWanted {
        state: state.as_str().to_owned(),
        by: change.by.clone().or_else(who).unwrap_or_else(|| "somebody".to_owned()),
        reason: change.reason.clone(),
        until,
        seconds,
    };
    let patience = change.timeout.as_deref().map(timeout).transpose()?;
    let client = Client::of(config)?;
    let path = format!("/api/v1/storages/{}", encoded(&change.storage));
    let shown: StorageShown = client.put(&format!("{path}/state"), &wanted)?;
    writeln!(out, "{} is {}", shown.name, decision(&shown))?;
    if !change.wait {
        if state != State::Ready && shown.jobs > 0 {
            let jobs = counted(usize::try_from(shown.jobs).unwrap_or(usize::MAX), "job");
            writeln!(out, "still on it: {jobs}")?;
        }
        return Ok(());
    }
    let deadline = patience.map(|patience| Instant::now() + patience);
    wait(
        &Waiting {
            client,
            path,
            state,
            deadline,
        },
        shown,
        out,
    )
}

/// What is waited for.
struct Waiting {
    client: Client,
    path: String,
    state: State,
    deadline: Option<Instant>,
}

fn wait(waiting: &Waiting, first: StorageShown, out: &mut dyn Write) -> Result<(), Failure> {
    let mut shown = first;
    let mut told = None;
    loop {
        if shown.state != waiting.state.as_str() {
            return Err(Failure::NotSo(format!(
                "{} is {} meanwhile",
                shown.name,
                decision(&shown)
            )));
        }
        let left = match waiting.state {
            State::Sealed => shown.jobs.saturating_sub(shown.reading_jobs),
            _ => shown.jobs,
        };
        if left == 0 {
            return Ok(writeln!(out, "{} is empty", shown.name)?);
        }
        let jobs = counted(usize::try_from(left).unwrap_or(usize::MAX), "job");
        if told != Some(left) {
            told = Some(left);
            writeln!(out, "waiting for {jobs}")?;
            for line in progress(&waiting.client, &shown.name)? {
                writeln!(out, "  {line}")?;
            }
            out.flush()?;
        }
        if waiting.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let name = &shown.name;
            return Err(Failure::NotSo(format!(
                "{name} is {} and still has {jobs}",
                shown.state
            )));
        }
        thread::sleep(LOOK);
        shown = waiting.client.get(&waiting.path)?;
    }
}

/// The jobs on a storage, and how far they are.
fn progress(client: &Client, storage: &str) -> Result<Vec<String>, Failure> {
    let jobs: JobsShown = client.get("/api/v1/jobs")?;
    let here = jobs
        .running
        .iter()
        .filter(|job| job.storage.as_deref() == Some(storage));
    let lines = here.map(|job| {
        let moved = Bytes(job.to_storage_bytes.saturating_add(job.from_storage_bytes));
        let since = job.placed.as_deref().unwrap_or(&job.job.arrived);
        format!("job {} {} since {since}, {moved} so far", job.job.job_id, job.job.name)
    });
    Ok(lines.collect())
}

fn timeout(text: &str) -> Result<Duration, Failure> {
    units::duration(text).map_err(|_| Failure::text(format!("--timeout \"{text}\": write how long, as \"10 minutes\"")))
}

/// A length from now in seconds, or a time.
fn until(text: &str) -> Result<(Option<String>, Option<u64>), Failure> {
    if let Some(moment) = Moment::parse(text) {
        return Ok((Some(moment.rfc3339()), None));
    }
    match units::duration(text) {
        Ok(length) if length >= Duration::from_secs(1) => Ok((None, Some(length.as_secs()))),
        _ => Err(Failure::text(format!(
            "--until \"{text}\": write how long from now (\"2 hours\") or when, in UTC (\"2026-12-01 06:00\")"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_length_or_a_time() {
        assert_eq!(until("2 hours").unwrap(), (None, Some(7_200)));
        assert_eq!(
            until("2026-12-01 06:00").unwrap(),
            (Some("2026-12-01T06:00:00Z".to_owned()), None)
        );
        for wrong in ["", "tomorrow", "0", "2026-12-01"] {
            assert!(until(wrong).is_err(), "{wrong}");
        }
    }
}
