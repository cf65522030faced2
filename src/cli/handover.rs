//! `sdgroup handover`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::client::Client;
use super::{Failure, counted};
use crate::admin::api::handover::HandoverShown;
use crate::admin::api::process::ProcessShown;

#[derive(Debug, Args)]
pub(super) struct Handover {
    /// Only tells which processes there are, and how many jobs each that has handed over has yet.
    #[arg(long)]
    status: bool,
    /// Where the daemon listens for commands, when the configuration says another AdminSocket by now.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Has the running daemon start a successor and hand over to it.
pub(super) fn run(handover: Handover, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let daemon = handover.socket.map_or_else(|| Client::of(config), Client::at)?;
    if handover.status {
        return status(&daemon.get("/api/v1/process")?, out);
    }
    hand_over(&daemon, out)
}

/// Hands over, and tells who serves now.
pub(super) fn hand_over(daemon: &Client, out: &mut dyn Write) -> Result<(), Failure> {
    let HandoverShown {
        successor,
        predecessor,
        jobs,
    } = daemon.post_patiently("/api/v1/handover")?;
    let jobs = counted(jobs, "job");
    Ok(writeln!(
        out,
        "process {successor} serves now; process {predecessor} ends when its {jobs} have"
    )?)
}

fn status(shown: &ProcessShown, out: &mut dyn Write) -> Result<(), Failure> {
    let ProcessShown { pid, version, .. } = shown;
    writeln!(out, "process {pid}, version {version}, serves")?;
    for line in succession(shown) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Adds a column with the process that each row is of, if one of them has handed over. The first row is the
/// heading; those at the end may be of no process.
pub(super) fn add_processes(rows: &mut [Vec<String>], processes: Vec<Option<u32>>) {
    if processes.iter().all(Option::is_none) {
        return;
    }
    let cells = processes.into_iter().map(|pid| pid.map(|pid| pid.to_string()));
    let cells = std::iter::once(Some("process".to_owned())).chain(cells);
    for (row, cell) in rows.iter_mut().zip(cells) {
        row.push(cell.unwrap_or_default());
    }
}

/// What there is to know of another process, one line each.
pub(super) fn succession(shown: &ProcessShown) -> Vec<String> {
    let replaced = "its program has been replaced since it began: \"sdgroup handover\" starts the new one";
    let mut lines: Vec<String> = shown.is_replaced.then(|| replaced.to_owned()).into_iter().collect();
    lines.extend(shown.predecessors.iter().map(|one| {
        let jobs = counted(one.jobs, "job");
        format!(
            "process {}, version {}, has handed over and has {jobs} yet",
            one.pid, one.version
        )
    }));
    lines
}
