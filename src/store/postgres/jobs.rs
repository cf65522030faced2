//! The history of jobs, and the states of storages, in the database.

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::Trouble;
use crate::store::row::{self, Columns as _, JOB_COLUMNS, STATE_COLUMNS, letter, signed};
use crate::store::{JobRecord, Keep, StateRecord};

/// Adds those of `jobs` that are not known yet, all or none; then what is no longer to be kept goes.
pub(super) async fn add(client: &mut Client, jobs: &[JobRecord], keep: Keep) -> Result<(), Trouble> {
    let transaction = client.transaction().await?;
    if !jobs.is_empty() {
        let insert = format!(
            "INSERT INTO sdgroup.jobs ({JOB_COLUMNS}) \
             SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
             ON CONFLICT DO NOTHING"
        );
        let texts = |column: &dyn Fn(&JobRecord) -> String| -> Vec<String> { jobs.iter().map(column).collect() };
        let numbers = |column: &dyn Fn(&JobRecord) -> i64| -> Vec<i64> { jobs.iter().map(column).collect() };
        let columns: Vec<Box<dyn ToSql + Sync + Send>> = vec![
            Box::new(texts(&|job| job.director.as_str().to_owned())),
            Box::new(texts(&|job| job.job.as_str().to_owned())),
            Box::new(numbers(&|job| i64::from(job.job_id.0))),
            Box::new(texts(&|job| job.resource.as_str().to_owned())),
            Box::new(texts(&|job| job.client.as_str().to_owned())),
            Box::new(texts(&|job| job.fileset.as_str().to_owned())),
            Box::new(texts(&|job| letter(job.job_type.code()))),
            Box::new(texts(&|job| letter(job.level.code()))),
            Box::new(texts(&|job| job.group.as_str().to_owned())),
            Box::new(texts(&|job| job.storage.as_str().to_owned())),
            Box::new(numbers(&|job| job.arrived)),
            Box::new(numbers(&|job| job.placed)),
            Box::new(numbers(&|job| job.ended)),
            Box::new(texts(&|job| letter(job.status.code()))),
            Box::new(numbers(&|job| signed(job.files))),
            Box::new(numbers(&|job| signed(job.bytes.0))),
        ];
        let is_number = [2, 10, 11, 12, 14, 15];
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let kind = if is_number.contains(&at) {
                    Type::INT8_ARRAY
                } else {
                    Type::TEXT_ARRAY
                };
                let column: &(dyn ToSql + Sync) = &**column;
                (column, kind)
            })
            .collect();
        transaction.query_typed(&insert, &typed).await?;
    }
    transaction
        .query_typed(
            "DELETE FROM sdgroup.jobs WHERE ended < $1",
            &[(&keep.since, Type::INT8)],
        )
        .await?;
    let surplus =
        "DELETE FROM sdgroup.jobs WHERE id <= (SELECT id FROM sdgroup.jobs ORDER BY id DESC LIMIT 1 OFFSET $1)";
    transaction
        .query_typed(surplus, &[(&signed(keep.most), Type::INT8)])
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// The youngest `most` jobs that ended since then, in the order in which they were placed.
pub(super) async fn jobs(client: &Client, place: &str, since: i64, most: u64) -> Result<Vec<JobRecord>, Trouble> {
    let query = format!("SELECT {JOB_COLUMNS} FROM sdgroup.jobs WHERE ended >= $1 ORDER BY id DESC LIMIT $2");
    let rows = client
        .query_typed(&query, &[(&since, Type::INT8), (&signed(most), Type::INT8)])
        .await?;
    let read = |row| row::job(row).map_err(|unread| unread.at(place, "jobs"));
    let mut jobs = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    // Those that were placed in one second stay in the order of their ends.
    jobs.reverse();
    jobs.sort_by_key(|job| job.placed);
    Ok(jobs)
}

/// Jobs that became known since a number that an earlier answer gave and ended since `ended`, and the number to ask
/// with next.
pub(super) async fn since(
    client: &Client,
    place: &str,
    number: i64,
    ended: i64,
) -> Result<(Vec<JobRecord>, i64), Trouble> {
    let query = format!(
        "SELECT {JOB_COLUMNS}, txid_snapshot_xmin(txid_current_snapshot()) FROM (SELECT 1) AS always \
         LEFT JOIN (SELECT * FROM sdgroup.jobs WHERE changed >= $1 AND ended >= $2 ORDER BY id) AS news ON true"
    );
    let rows = client
        .query_typed(&query, &[(&number, Type::INT8), (&ended, Type::INT8)])
        .await?;
    let mut next = number;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        next = row.try_get(16)?;
        if row.text(0)?.is_some() {
            jobs.push(row::job(row).map_err(|unread| unread.at(place, "jobs"))?);
        }
    }
    Ok((jobs, next))
}

/// The state of every storage of which one is known, that it is ready as well.
pub(super) async fn states(client: &Client, place: &str) -> Result<Vec<StateRecord>, Trouble> {
    let query = format!("SELECT {STATE_COLUMNS} FROM sdgroup.states ORDER BY storage");
    let rows = client.query_typed(&query, &[]).await?;
    let read = |row| row::state(row).map_err(|unread| unread.at(place, "states").into());
    rows.iter().map(read).collect()
}

/// Notes the state of one storage, unless a newer one is known.
pub(super) async fn put_state(client: &Client, record: &StateRecord) -> Result<(), Trouble> {
    let put = format!(
        "INSERT INTO sdgroup.states ({STATE_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (storage) DO UPDATE SET state = excluded.state, reason = excluded.reason, \
         set_by = excluded.set_by, since = excluded.since, until = excluded.until \
         WHERE states.since <= excluded.since"
    );
    let StateRecord { storage, decision } = record;
    client
        .query_typed(
            &put,
            &[
                (&storage.as_str(), Type::TEXT),
                (&decision.state.as_str(), Type::TEXT),
                (&decision.reason, Type::TEXT),
                (&decision.by, Type::TEXT),
                (&decision.since.0, Type::INT8),
                (&decision.until.map(|until| until.0), Type::INT8),
            ],
        )
        .await?;
    Ok(())
}
