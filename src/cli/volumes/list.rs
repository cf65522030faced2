//! `sdgroup volumes list`.

use std::io::Write;

use clap::Args;
use serde::Serialize;

use super::existing;
use crate::cli::{Failure, counted};
use crate::config::model::Model;
use crate::store::VolumeRecord;
use crate::types::{MediaType, PoolName, StorageName};
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
    let cells: Vec<[String; 7]> = std::iter::once(header)
        .chain(rows.iter().map(|row| {
            let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
            [
                row.volume.to_owned(),
                row.storage.to_owned(),
                or_dash(row.media_type),
                or_dash(row.pool),
                row.source.to_owned(),
                utc(row.updated),
                or_dash(row.updated_by),
            ]
        }))
        .collect();
    let mut widths = [0; 7];
    for line in &cells {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in &cells {
        let padded: Vec<String> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(out, "{}", padded.join("  ").trim_end())?;
    }
    writeln!(out, "{}", counted(rows.len(), "Volume"))?;
    Ok(())
}

/// Seconds of Unix time as a date and time of day, in UTC (the civil calendar from days, after Howard Hinnant).
fn utc(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March, so that the leap day is their last; eras have 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest % 3_600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_time_is_a_date_in_utc() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_826_554, "2000-02-29 12:15:54Z"),
            (1_709_251_199, "2024-02-29 23:59:59Z"),
            (1_709_251_200, "2024-03-01 00:00:00Z"),
            (1_795_435_237, "2026-11-23 12:00:37Z"),
            (-1, "1969-12-31 23:59:59Z"),
        ] {
            assert_eq!(utc(seconds), date);
        }
    }
}
