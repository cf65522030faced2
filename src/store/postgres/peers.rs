//! Who shares the database, and who has which job. A process that is not heard of for a while counts no more, and its jobs
//! are gone with it.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::Trouble;
use super::connect::Notices;
use crate::store::roster::{BELIEVED, Beat, Heard, Owner};
use crate::types::{JobName, PeerName};

/// The channel on which sdgroups tell each other that there is news.
pub(super) const CHANNEL: &str = "sdgroup_peers";

/// After so many seconds without a word a process is struck from the list.
const STRUCK: i32 = 60;

/// Has `notices` hear of news of others.
pub(super) async fn listen(client: &Client, notices: &Notices) -> Result<(), Trouble> {
    notices.leave_out(client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?);
    Ok(client.batch_execute(&format!("LISTEN {CHANNEL}")).await?)
}

/// Says that a process lives, strikes those that do not, and returns the others.
pub(super) async fn beat(client: &Client, owner: &str, beat: &Beat, news: bool) -> Result<Vec<Heard>, Trouble> {
    let believed = BELIEVED.as_secs();
    // Several strike the dead at once, and none waits for another.
    let query = format!(
        "WITH dead AS (DELETE FROM sdgroup.peers WHERE owner IN (SELECT owner FROM sdgroup.peers \
             WHERE owner <> $1 AND heard < clock_timestamp() - interval '{STRUCK} seconds' FOR UPDATE SKIP LOCKED) \
             RETURNING owner), \
         gone AS (DELETE FROM sdgroup.routes WHERE owner IN (SELECT owner FROM dead)), \
         own AS (INSERT INTO sdgroup.peers VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp()) \
             ON CONFLICT (owner) DO UPDATE SET name = excluded.name, address = excluded.address, port = excluded.port, \
             jobs = excluded.jobs, queued = excluded.queued, places = excluded.places, heard = excluded.heard) \
         SELECT owner, name, address, port, pid, version, jobs, queued, places, \
             greatest(0, extract(epoch FROM clock_timestamp() - heard) * 1000)::bigint, \
             CASE WHEN $10 THEN pg_notify('{CHANNEL}', '') END \
         FROM sdgroup.peers \
         WHERE owner <> $1 AND heard > clock_timestamp() - interval '{believed} seconds' ORDER BY name, owner"
    );
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (port, pid) = (i32::from(beat.port), i64::from(beat.pid));
    let (jobs, queued) = (number(beat.jobs), number(beat.queued));
    let parameters: [(&(dyn ToSql + Sync), Type); 10] = [
        (&owner, Type::TEXT),
        (&beat.name.as_str(), Type::TEXT),
        (&beat.address, Type::TEXT),
        (&port, Type::INT4),
        (&pid, Type::INT8),
        (&beat.version, Type::TEXT),
        (&jobs, Type::INT8),
        (&queued, Type::INT8),
        (&beat.places, Type::TEXT),
        (&news, Type::BOOL),
    ];
    let rows = client.query_typed(&query, &parameters).await?;
    rows.iter().map(heard).collect()
}

fn heard(row: &Row) -> Result<Heard, Trouble> {
    let number = |at: usize| -> Result<u64, Trouble> {
        let number: i64 = row.try_get(at)?;
        Ok(u64::try_from(number).unwrap_or_default())
    };
    Ok(Heard {
        owner: row.try_get(0)?,
        beat: Beat {
            name: name(row.try_get(1)?)?,
            address: row.try_get(2)?,
            port: port(row.try_get(3)?)?,
            pid: u32::try_from(number(4)?).unwrap_or_default(),
            version: row.try_get(5)?,
            jobs: number(6)?,
            queued: number(7)?,
            places: row.try_get(8)?,
        },
        age: Duration::from_millis(number(9)?),
    })
}

fn name(text: &str) -> Result<PeerName, Trouble> {
    PeerName::new(text).map_err(|error| Trouble::Column(format!("a peer's name: {error}")))
}

fn port(number: i32) -> Result<u16, Trouble> {
    u16::try_from(number).map_err(|_| Trouble::Column(format!("a peer's port of {number}")))
}

/// A process ends, and all that it said of itself and its jobs.
pub(super) async fn leave(client: &Client, owner: &str) -> Result<(), Trouble> {
    let query = format!(
        "WITH gone AS (DELETE FROM sdgroup.routes WHERE owner = $1), \
         own AS (DELETE FROM sdgroup.peers WHERE owner = $1) SELECT pg_notify('{CHANNEL}', '')"
    );
    client.query_typed(&query, &[(&owner, Type::TEXT)]).await?;
    Ok(())
}

/// Jobs that a process has from now on, and those that it has no more.
pub(super) async fn announce(
    client: &Client,
    owner: &str,
    has: &[JobName],
    had: &[JobName],
    all: bool,
) -> Result<(), Trouble> {
    let query = "WITH gone AS (DELETE FROM sdgroup.routes \
             WHERE owner = $1 AND (job = ANY ($3) OR ($4 AND job <> ALL ($2)))) \
         INSERT INTO sdgroup.routes SELECT job, $1 FROM unnest($2) AS has (job) ON CONFLICT DO NOTHING";
    let names = |jobs: &[JobName]| -> Vec<String> { jobs.iter().map(|job| job.as_str().to_owned()).collect() };
    let (has, had) = (names(has), names(had));
    client
        .query_typed(
            query,
            &[
                (&owner, Type::TEXT),
                (&has, Type::TEXT_ARRAY),
                (&had, Type::TEXT_ARRAY),
                (&all, Type::BOOL),
            ],
        )
        .await?;
    Ok(())
}

/// The sdgroups, other than `own`, that have a job.
pub(super) async fn owners(client: &Client, job: &JobName, own: &PeerName) -> Result<Vec<Owner>, Trouble> {
    let believed = BELIEVED.as_secs();
    let query = format!(
        "SELECT DISTINCT name, address, port FROM sdgroup.routes JOIN sdgroup.peers USING (owner) \
         WHERE job = $1 AND name <> $2 AND heard > clock_timestamp() - interval '{believed} seconds'"
    );
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&job.as_str(), Type::TEXT), (&own.as_str(), Type::TEXT)];
    let rows = client.query_typed(&query, &parameters).await?;
    let owner = |row: &Row| {
        Ok(Owner {
            name: name(row.try_get(0)?)?,
            address: row.try_get(1)?,
            port: port(row.try_get(2)?)?,
        })
    };
    rows.iter().map(owner).collect()
}
