//! `sdgroup volumes list`.

use std::io::Write;

use clap::Args;
use serde::Serialize;

use super::existing;
use crate::cli::{Failure, counted};
use crate::config::model::Model;
use crate::store::VolumeRecord;
use crate::table::{Side, columns};
use crate::types::{MediaType, Moment, PoolName, StorageName};
use crate::volumes::Ledger;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only the Volumes of this storage.
    #[arg(long, value_name = "NAME")]
    storage: Option<String>,
    /// As a JSON list.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// As CSV, which "import" takes back.
    #[arg(long)]
    csv: bool,
}

/// A record as programs see it. Times are seconds of Unix time.
#[derive(Debug, Serialize)]
struct Row<'r> {
    volume: &'r str,
    storage: &'r str,
    media_type: Option<&'r str>,
    pool: Option<&'r str>,
    source: &'static str,
    first_seen: i64,
    updated: i64,
    updated_by: Option<&'r str>,
}

impl<'r> Row<'r> {
    fn of(record: &'r VolumeRecord) -> Self {
        Self {
            volume: record.volume.as_str(),
            storage: record.storage.as_str(),
            media_type: record.media_type.as_ref().map(MediaType::as_str),
            pool: record.pool.as_ref().map(PoolName::as_str),
            source: record.source.as_str(),
            first_seen: record.first_seen,
            updated: record.updated,
            updated_by: record.updated_by.as_deref(),
        }
    }
}

pub(super) async fn list(command: &List, model: &Model, out: &mut dyn Write) -> Result<(), Failure> {
    let storage = command.storage.as_deref().map(StorageName::new).transpose();
    let storage = storage.map_err(|error| Failure::text(format!("that is no storage: {error}")))?;
    let records = match existing(model).await? {
        Some(store) => Ledger::new(store).list(storage.as_ref()).await?,
        None => Vec::new(),
    };
    let rows: Vec<Row<'_>> = records.iter().map(Row::of).collect();
    if command.json {
        return json(&rows, out);
    }
    if command.csv {
        return csv(&rows, out);
    }
    table(&rows, out)?;
    let lost = records
        .iter()
        .filter(|record| model.storage(record.storage.as_str()).is_none())
        .count();
    if lost > 0 {
        writeln!(
            out,
            "{} on storages that are not configured: they cannot be restored",
            counted(lost, "Volume")
        )?;
    }
    Ok(())
}

fn json(rows: &[Row<'_>], out: &mut dyn Write) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut *out, rows).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

fn csv(rows: &[Row<'_>], out: &mut dyn Write) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(out);
    let failure = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::from(error),
        other => Failure::text(format!("cannot write CSV: {other:?}")),
    };
    if rows.is_empty() {
        writer
            .write_record(["volume", "storage", "media_type", "pool"])
            .map_err(failure)?;
    }
    for row in rows {
        writer.serialize(row).map_err(failure)?;
    }
    writer.flush()?;
    Ok(())
}

fn table(rows: &[Row<'_>], out: &mut dyn Write) -> Result<(), Failure> {
    let header = ["Volume", "Storage", "MediaType", "Pool", "Known", "Updated", "By"].map(str::to_owned);
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let cells = rows.iter().map(|row| {
        vec![
            row.volume.to_owned(),
            row.storage.to_owned(),
            or_dash(row.media_type),
            or_dash(row.pool),
            row.source.to_owned(),
            Moment(row.updated).to_string(),
            or_dash(row.updated_by),
        ]
    });
    let lines: Vec<Vec<String>> = std::iter::once(header.to_vec()).chain(cells).collect();
    write!(out, "{}", columns(&lines, &[Side::Left]))?;
    writeln!(out, "{}", counted(rows.len(), "Volume"))?;
    Ok(())
}
