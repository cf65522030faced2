//! Volumes in the database.

use std::collections::HashMap;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, Transaction};

use super::Trouble;
use crate::store::fact::{Fact, catch_up, meet_fact};
use crate::store::row::{self, Columns as _, VOLUME_COLUMNS};
use crate::store::{Entry, Recorded, StoreError, VolumeRecord, Weight};
use crate::types::{MediaType, PoolName, StorageName, VolumeName};

/// One writer at a time, over all sdgroups, until the end of its transaction: what a writer finds unknown stays so.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(7594859347)";

/// The records of those of `volumes` that are known.
pub(super) async fn find(client: &Client, place: &str, volumes: &[VolumeName]) -> Result<Vec<VolumeRecord>, Trouble> {
    let query = format!("SELECT {VOLUME_COLUMNS} FROM sdgroup.volumes WHERE name = ANY($1)");
    let names = names(volumes);
    let rows = client.query_typed(&query, &[(&names, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| record(place, row)).collect()
}

/// Every record, or those of one storage, in the order of the names.
pub(super) async fn all(
    client: &Client,
    place: &str,
    storage: Option<StorageName>,
) -> Result<Vec<VolumeRecord>, Trouble> {
    let query = format!("SELECT {VOLUME_COLUMNS} FROM sdgroup.volumes WHERE $1 IS NULL OR storage = $1 ORDER BY name");
    let storage = storage.as_ref().map(StorageName::as_str);
    let rows = client.query_typed(&query, &[(&storage, Type::TEXT)]).await?;
    rows.iter().map(|row| record(place, row)).collect()
}

/// What became known since a number that an earlier answer gave (0 is everything), and the number to ask with next.
pub(super) async fn since(client: &Client, place: &str, number: i64) -> Result<(Vec<Fact>, i64), Trouble> {
    // A transaction that is not over yet is not seen now; the oldest of those is where to begin next.
    let query = format!(
        "WITH news AS (SELECT {VOLUME_COLUMNS} FROM sdgroup.volumes WHERE changed >= $1 \
         UNION ALL SELECT name, NULL, NULL, NULL, NULL, at, at, NULL FROM sdgroup.forgotten WHERE changed >= $1) \
         SELECT {VOLUME_COLUMNS}, txid_snapshot_xmin(txid_current_snapshot()) \
         FROM (SELECT 1) AS always LEFT JOIN news ON true"
    );
    let rows = client.query_typed(&query, &[(&number, Type::INT8)]).await?;
    let mut next = number;
    let mut facts = Vec::with_capacity(rows.len());
    for row in &rows {
        next = row.try_get(8)?;
        if row.text(0)?.is_some() {
            facts.push(fact(place, row)?);
        }
    }
    Ok((facts, next))
}

/// Takes entries, all or none, and says of each what became of it, and what is known of its volume now.
pub(super) async fn record_all(
    client: &mut Client,
    place: &str,
    entries: &[Entry],
) -> Result<Vec<(Recorded, Option<Fact>)>, Trouble> {
    let mut told = Vec::with_capacity(entries.len());
    let transaction = client.transaction().await?;
    let volumes: Vec<_> = entries.iter().map(|entry| entry.volume.clone()).collect();
    let mut known = known(&transaction, place, &volumes).await?;
    let mut written = HashMap::new();
    for entry in entries {
        let (recorded, write) = meet_fact(known.get(&entry.volume), entry);
        if let Some(fact) = write {
            known.insert(entry.volume.clone(), fact.clone());
            written.insert(entry.volume.clone(), fact);
        }
        told.push(recorded);
    }
    write(&transaction, written.into_values()).await?;
    transaction.commit().await?;
    let facts = entries.iter().map(|entry| known.get(&entry.volume).cloned());
    Ok(told.into_iter().zip(facts).collect())
}

/// Takes what was learned a while ago, all or none, and returns what is known of those volumes now.
pub(super) async fn tell(client: &mut Client, place: &str, facts: &[(Fact, Weight)]) -> Result<Vec<Fact>, Trouble> {
    let transaction = client.transaction().await?;
    let volumes: Vec<_> = facts.iter().map(|(fact, _)| fact.volume().clone()).collect();
    let mut known = known(&transaction, place, &volumes).await?;
    let mut written = HashMap::new();
    for (told, weight) in facts {
        if let Some(fact) = catch_up(known.get(told.volume()), told, *weight) {
            known.insert(told.volume().clone(), fact.clone());
            written.insert(told.volume().clone(), fact);
        }
    }
    write(&transaction, written.into_values()).await?;
    transaction.commit().await?;
    Ok(known.into_values().collect())
}

/// Removes a record, notes when, and returns it.
pub(super) async fn forget(
    client: &mut Client,
    place: &str,
    volume: &VolumeName,
    at: i64,
) -> Result<Option<VolumeRecord>, Trouble> {
    let transaction = client.transaction().await?;
    let known = known(&transaction, place, std::slice::from_ref(volume)).await?;
    let forgotten = Fact::Forgotten {
        volume: volume.clone(),
        at,
    };
    write(&transaction, std::iter::once(forgotten)).await?;
    transaction.commit().await?;
    Ok(known.get(volume).and_then(Fact::held).cloned())
}

/// What is known of `volumes`, which nobody else changes from here on.
async fn known(
    transaction: &Transaction<'_>,
    place: &str,
    volumes: &[VolumeName],
) -> Result<HashMap<VolumeName, Fact>, Trouble> {
    transaction.batch_execute(LOCK).await?;
    let query = format!(
        "SELECT {VOLUME_COLUMNS} FROM sdgroup.volumes WHERE name = ANY($1) \
         UNION ALL SELECT name, NULL, NULL, NULL, NULL, at, at, NULL FROM sdgroup.forgotten WHERE name = ANY($1)"
    );
    let names = names(volumes);
    let rows = transaction.query_typed(&query, &[(&names, Type::TEXT_ARRAY)]).await?;
    let facts = rows.iter().map(|row| {
        let fact = fact(place, row)?;
        Ok((fact.volume().clone(), fact))
    });
    facts.collect()
}

async fn write(transaction: &Transaction<'_>, facts: impl Iterator<Item = Fact>) -> Result<(), Trouble> {
    let (mut held, mut gone, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for fact in facts {
        match fact {
            Fact::Held(record) => held.push(record),
            Fact::Forgotten { volume, at } => {
                gone.push(volume.as_str().to_owned());
                times.push(at);
            }
        }
    }
    if !held.is_empty() {
        put(transaction, &held).await?;
    }
    if !gone.is_empty() {
        let forget = "WITH gone AS (DELETE FROM sdgroup.volumes WHERE name = ANY($1)) \
                      INSERT INTO sdgroup.forgotten (name, at) SELECT * FROM unnest($1, $2) \
                      ON CONFLICT (name) DO UPDATE SET at = excluded.at";
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&gone, Type::TEXT_ARRAY), (&times, Type::INT8_ARRAY)];
        transaction.query_typed(forget, &parameters).await?;
    }
    Ok(())
}

async fn put(transaction: &Transaction<'_>, records: &[VolumeRecord]) -> Result<(), Trouble> {
    let query = format!(
        "WITH back AS (DELETE FROM sdgroup.forgotten WHERE name = ANY($1)) \
         INSERT INTO sdgroup.volumes ({VOLUME_COLUMNS}) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (name) DO UPDATE SET storage = excluded.storage, source = excluded.source, \
         media_type = excluded.media_type, pool = excluded.pool, first_seen = excluded.first_seen, \
         updated = excluded.updated, updated_by = excluded.updated_by"
    );
    let texts = |column: fn(&VolumeRecord) -> Option<&str>| -> Vec<Option<String>> {
        records.iter().map(|record| column(record).map(str::to_owned)).collect()
    };
    let numbers = |column: fn(&VolumeRecord) -> i64| -> Vec<i64> { records.iter().map(column).collect() };
    let columns = [
        texts(|record| Some(record.volume.as_str())),
        texts(|record| Some(record.storage.as_str())),
        texts(|record| Some(record.source.as_str())),
        texts(|record| record.media_type.as_ref().map(MediaType::as_str)),
        texts(|record| record.pool.as_ref().map(PoolName::as_str)),
        texts(|record| record.updated_by.as_deref()),
    ];
    let [names, storages, sources, media_types, pools, by] = &columns;
    let (first_seen, updated) = (numbers(|record| record.first_seen), numbers(|record| record.updated));
    let text = Type::TEXT_ARRAY;
    transaction
        .query_typed(
            &query,
            &[
                (names, text.clone()),
                (storages, text.clone()),
                (sources, text.clone()),
                (media_types, text.clone()),
                (pools, text.clone()),
                (&first_seen, Type::INT8_ARRAY),
                (&updated, Type::INT8_ARRAY),
                (by, text),
            ],
        )
        .await?;
    Ok(())
}

fn names(volumes: &[VolumeName]) -> Vec<String> {
    volumes.iter().map(|volume| volume.as_str().to_owned()).collect()
}

fn record(place: &str, row: &Row) -> Result<VolumeRecord, Trouble> {
    row::volume(row).map_err(|unread| unread.of_volume(place, row).into())
}

fn fact(place: &str, row: &Row) -> Result<Fact, Trouble> {
    if row.text(1)?.is_some() {
        return record(place, row).map(Fact::Held);
    }
    let name = row.text(0)?.unwrap_or_default();
    let volume = VolumeName::new(&name).map_err(|error| StoreError::Record {
        place: place.to_owned(),
        volume: name,
        cause: error.to_string(),
    })?;
    let at = row.number(5)?.unwrap_or_default();
    Ok(Fact::Forgotten { volume, at })
}
