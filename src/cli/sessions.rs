//! `sdgroup sessions`, `sdgroup end`: who is connected.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use clap::Args;

use super::client::Client;
use super::handover::add_processes;
use super::{Failure, counted, print_json};
use crate::admin::api::sessions::SessionShown;
use crate::table::{Side, columns};

#[derive(Debug, Args)]
pub(super) struct Sessions {
    /// As a JSON list.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct End {
    /// The session's number, as "sdgroup sessions" tells it.
    number: u64,
    /// The process whose session it is, if that has handed over.
    #[arg(long, value_name = "PID")]
    process: Option<u32>,
}

pub(super) fn run(command: &Sessions, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let sessions: Vec<SessionShown> = Client::of(config)?.get("/api/v1/sessions")?;
    if command.json {
        return print_json(&sessions, out);
    }
    let head = ["number", "kind", "peer", "director", "group", "since (UTC)", "job"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(sessions.iter().map(|session| {
        vec![
            session.number.to_string(),
            session.kind.clone(),
            session.peer.clone(),
            session.director.clone(),
            session.group.clone(),
            session.began.replace('T', " ").replace('Z', ""),
            session.job.clone().unwrap_or_default(),
        ]
    }));
    add_processes(&mut rows, sessions.iter().map(|session| session.process).collect());
    write!(out, "{}", columns(&rows, &[Side::Right, Side::Left]))?;
    writeln!(out, "{}", counted(sessions.len(), "session"))?;
    Ok(())
}

pub(super) fn end(command: &End, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let mut path = format!("/api/v1/sessions/{}", command.number);
    if let Some(process) = command.process {
        let _ = write!(path, "?process={process}");
    }
    let session: SessionShown = Client::of(config)?.delete(&path)?;
    let job = session.job.map(|job| format!(" of job {job}")).unwrap_or_default();
    writeln!(
        out,
        "session {} with {}{job} was asked to end",
        session.number, session.peer
    )?;
    Ok(())
}
