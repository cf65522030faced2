//! `sdgroup storages`: how the storages are.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use clap::Args;

use super::client::Client;
use super::{Failure, print_json};
use crate::admin::api::storages::StorageShown;
use crate::table::{Side, columns};
use crate::types::Bytes;

/// What there is to say of a storage that its water mark closes.
pub(super) const TOO_FULL: &str = "is too full: it has reached its high water mark and gets no jobs that write";

#[derive(Debug, Args)]
pub(super) struct Storages {
    /// As a JSON list.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Storages, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let storages: Vec<StorageShown> = Client::of(config)?.get("/api/v1/storages")?;
    if command.json {
        return print_json(&storages, out);
    }
    let head = [
        "storage", "state", "probes", "jobs", "reading", "free", "of", "release", "groups",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(storages.iter().map(row));
    let sides = [
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Left,
    ];
    write!(out, "{}", columns(&rows, &sides))?;
    for storage in &storages {
        if storage.by.is_some() {
            writeln!(out, "{} is {}", storage.name, decision(storage))?;
        }
        if let Some(left) = storage.ejected_seconds {
            writeln!(out, "{} gets no jobs for {left} s", storage.name)?;
        }
        if storage.too_full {
            writeln!(out, "{} {TOO_FULL}", storage.name)?;
        }
        if let Some(trouble) = &storage.trouble {
            writeln!(out, "{}: {trouble}", storage.name)?;
        }
    }
    Ok(())
}

fn row(storage: &StorageShown) -> Vec<String> {
    let size = |bytes: Option<u64>| bytes.map_or_else(String::new, |bytes| Bytes(bytes).to_string());
    vec![
        storage.name.clone(),
        storage.state.clone(),
        storage.availability.clone(),
        storage.jobs_limit.map_or_else(
            || storage.jobs.to_string(),
            |limit| format!("{} of {limit}", storage.jobs),
        ),
        storage.reading_jobs.to_string(),
        size(storage.free_bytes),
        size(storage.total_bytes),
        storage.release.clone().unwrap_or_default(),
        storage.groups.join(", "),
    ]
}

/// Its state, with who wants it, why and how long.
pub(super) fn decision(storage: &StorageShown) -> String {
    let mut text = storage.state.clone();
    if let Some(by) = &storage.by {
        let _ = write!(text, " by {by}");
    }
    if let Some(reason) = &storage.reason {
        let _ = write!(text, " ({reason})");
    }
    if let Some(since) = &storage.since {
        let _ = write!(text, " since {since}");
    }
    if let Some(until) = &storage.until {
        let _ = write!(text, " until {until}");
    }
    text
}
