//! `sdgroup jobs`: the jobs that run, wait, or have ended, and why each is where it is.

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::client::Client;
use super::explain::told;
use super::handover::add_processes;
use super::{Failure, print_json};
use crate::admin::api::jobs::{EndedShown, JobShown, JobsShown, RunningShown};
use crate::table::{Side, columns};
use crate::types::Bytes;

/// How many that have ended are listed when nothing is said.
const RECENT: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Jobs {
    /// Only jobs of this number, this unique name or this Job resource, each with all that was weighed.
    job: Option<String>,
    /// How many that have ended are listed.
    #[arg(long, value_name = "COUNT", default_value_t = RECENT)]
    recent: usize,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Jobs, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let mut shown: JobsShown = Client::of(config)?.get("/api/v1/jobs")?;
    if let Some(word) = &command.job {
        shown.running.retain(|running| is_meant(&running.job, word));
        shown.recent.retain(|ended| is_meant(&ended.job, word));
    }
    shown.recent.truncate(command.recent);
    if command.json {
        return print_json(&shown, out);
    }
    if command.job.is_some() && shown.running.is_empty() && shown.recent.is_empty() {
        let text = "no such job runs, and none of the last ones was it";
        return Err(Failure::Missing(text.to_owned()));
    }
    let head = [
        "job id",
        "name",
        "level",
        "director",
        "storage",
        "arrived (UTC)",
        "state",
        "bytes",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(shown.running.iter().map(running));
    rows.extend(shown.recent.iter().map(ended));
    add_processes(&mut rows, shown.running.iter().map(|running| running.process).collect());
    let sides = [
        Side::Right,
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Right,
    ];
    write!(out, "{}", columns(&rows, &sides))?;
    if command.job.is_none() {
        return Ok(());
    }
    let running = shown.running.iter().map(|running| {
        let elsewhere = running
            .process
            .map(|pid| format!("process {pid} runs it, which has handed over; its log tells why"));
        (&running.job, &running.explanation, elsewhere)
    });
    let ended = shown
        .recent
        .iter()
        .map(|ended| (&ended.job, &ended.explanation, ended.error.clone()));
    for (job, explanation, note) in running.chain(ended) {
        writeln!(out, "\n{}", job.job)?;
        if let Some(note) = note {
            writeln!(out, "{note}")?;
        }
        if let Some(explanation) = explanation {
            write!(out, "{}", told(explanation))?;
        }
    }
    Ok(())
}

fn is_meant(job: &JobShown, word: &str) -> bool {
    job.job == word || job.name == word || job.job_id.to_string() == word
}

fn begun(job: &JobShown, storage: Option<&String>) -> Vec<String> {
    vec![
        job.job_id.to_string(),
        job.name.clone(),
        job.level.clone(),
        job.director.clone(),
        storage.cloned().unwrap_or_default(),
        job.arrived.replace('T', " ").replace('Z', ""),
    ]
}

fn running(running: &RunningShown) -> Vec<String> {
    let mut row = begun(&running.job, running.storage.as_ref());
    row.push(match (&running.waits, &running.storage) {
        (Some(wait), _) => format!("waits, storages are {}, {} ahead", wait.cause, wait.ahead),
        (None, Some(_)) => "runs".to_owned(),
        (None, None) => "begins".to_owned(),
    });
    row.push(String::new());
    row
}

fn ended(ended: &EndedShown) -> Vec<String> {
    let mut row = begun(&ended.job, ended.storage.as_ref());
    row.push(ended.status.clone().unwrap_or_else(|| ended.end.clone()));
    row.push(Bytes(ended.bytes).to_string());
    row
}
