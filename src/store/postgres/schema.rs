//! The tables of the database, in a schema of their own, and how an older one becomes a current one.

use tokio_postgres::Client;

use super::Trouble;
use super::volumes::LOCK;
use crate::store::StoreError;

/// Each step leads from the schema of its index to the next one. Steps that were released are never changed.
///
/// Every row tells the transaction that changed it last, so that others can ask what is new to them.
const STEPS: [&str; 4] = [
    "
    CREATE FUNCTION sdgroup.changed() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.changed := txid_current(); RETURN NEW; END $$;
    CREATE TABLE sdgroup.volumes (
        name       text COLLATE \"C\" PRIMARY KEY,
        storage    text NOT NULL,
        source     text NOT NULL CHECK (source IN ('learned', 'assigned', 'imported')),
        media_type text,
        pool       text,
        first_seen bigint NOT NULL DEFAULT extract(epoch FROM now()),
        updated    bigint NOT NULL DEFAULT extract(epoch FROM now()),
        updated_by text,
        changed    bigint NOT NULL DEFAULT txid_current()
    );
    CREATE INDEX ON sdgroup.volumes (storage, name);
    CREATE INDEX ON sdgroup.volumes (changed);
    CREATE TRIGGER changed BEFORE UPDATE ON sdgroup.volumes FOR EACH ROW EXECUTE FUNCTION sdgroup.changed();
    CREATE TABLE sdgroup.forgotten (
        name    text COLLATE \"C\" PRIMARY KEY,
        at      bigint NOT NULL,
        changed bigint NOT NULL DEFAULT txid_current()
    );
    CREATE INDEX ON sdgroup.forgotten (changed);
    CREATE TRIGGER changed BEFORE UPDATE ON sdgroup.forgotten FOR EACH ROW EXECUTE FUNCTION sdgroup.changed();
    CREATE TABLE sdgroup.jobs (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        director   text NOT NULL,
        job        text NOT NULL,
        job_id     bigint NOT NULL,
        resource   text NOT NULL,
        client     text NOT NULL,
        fileset    text NOT NULL,
        type       text NOT NULL,
        level      text NOT NULL,
        group_name text NOT NULL,
        storage    text NOT NULL,
        arrived    bigint NOT NULL,
        placed     bigint NOT NULL,
        ended      bigint NOT NULL,
        status     text NOT NULL,
        files      bigint NOT NULL,
        bytes      bigint NOT NULL,
        changed    bigint NOT NULL DEFAULT txid_current(),
        UNIQUE (director, job, job_id, storage, placed, ended)
    );
    CREATE INDEX ON sdgroup.jobs (ended);
    CREATE INDEX ON sdgroup.jobs (changed);
    CREATE TABLE sdgroup.states (
        storage text COLLATE \"C\" PRIMARY KEY,
        state   text NOT NULL CHECK (state IN ('ready', 'draining', 'sealed', 'maintenance')),
        reason  text,
        set_by  text NOT NULL,
        since   bigint NOT NULL DEFAULT extract(epoch FROM now()),
        until   bigint
    );
",
    // Several may claim a volume for the same storage; each claim ends with its owner, or soon after him.
    "
    CREATE TABLE sdgroup.claims (
        volume  text COLLATE \"C\" NOT NULL,
        owner   text NOT NULL,
        storage text NOT NULL,
        until   timestamptz NOT NULL,
        PRIMARY KEY (volume, owner)
    );
    CREATE INDEX ON sdgroup.claims (owner);
    CREATE FUNCTION sdgroup.claim(wanted text, here text, who text, lasts interval) RETURNS text LANGUAGE plpgsql AS $$
        DECLARE other text;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended(wanted, 7594859347));
            SELECT storage INTO other FROM sdgroup.claims
                WHERE volume = wanted AND owner <> who AND storage <> here AND until > clock_timestamp() LIMIT 1;
            IF other IS NULL THEN
                INSERT INTO sdgroup.claims VALUES (wanted, who, here, clock_timestamp() + lasts)
                    ON CONFLICT (volume, owner) DO UPDATE SET storage = excluded.storage, until = excluded.until;
            END IF;
            RETURN other;
        END $$;
",
    // The session time that all have, and the next number that nobody has; the numbers begin at 2^30.
    "
    CREATE TABLE sdgroup.identity (
        one  boolean PRIMARY KEY DEFAULT true CHECK (one),
        time bigint NOT NULL DEFAULT extract(epoch FROM now()),
        next bigint NOT NULL DEFAULT 1073741824
    );
    INSERT INTO sdgroup.identity DEFAULT VALUES;
",
    // The processes that live, and the jobs that each has.
    "
    CREATE TABLE sdgroup.peers (
        owner   text COLLATE \"C\" PRIMARY KEY,
        name    text NOT NULL,
        address text NOT NULL,
        port    integer NOT NULL,
        pid     bigint NOT NULL,
        version text NOT NULL,
        jobs    bigint NOT NULL,
        queued  bigint NOT NULL,
        places  text NOT NULL,
        heard   timestamptz NOT NULL
    );
    CREATE TABLE sdgroup.routes (
        job   text COLLATE \"C\" NOT NULL,
        owner text COLLATE \"C\" NOT NULL,
        PRIMARY KEY (job, owner)
    );
    CREATE INDEX ON sdgroup.routes (owner);
",
];

/// The newest schema.
pub(super) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// What the database has; 0 is nothing.
pub(super) async fn version(client: &Client) -> Result<i64, Trouble> {
    let exists = "SELECT to_regclass('sdgroup.version') IS NOT NULL";
    let exists: bool = client.query_one(exists, &[]).await?.try_get(0)?;
    if !exists {
        return Ok(0);
    }
    let row = client.query_one("SELECT coalesce(max(version), 0) FROM sdgroup.version", &[]);
    Ok(row.await?.try_get(0)?)
}

/// An error unless the database has the newest schema.
pub(super) fn check(found: i64, place: &str) -> Result<(), StoreError> {
    let (place, known) = (place.to_owned(), newest());
    match found {
        _ if found < known => Err(StoreError::Unmigrated { place, found, known }),
        _ if found > known => Err(StoreError::NewerDatabase { place, found, known }),
        _ => Ok(()),
    }
}

/// Brings the database to the newest schema, and returns which it had.
pub(super) async fn migrate(client: &mut Client, place: &str) -> Result<i64, Trouble> {
    let transaction = client.transaction().await?;
    // Two may do this at once: the version that counts is the one read under the lock.
    transaction.batch_execute(LOCK).await?;
    let found = version(transaction.client()).await?;
    if found > newest() {
        check(found, place)?;
    }
    transaction
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS sdgroup; \
             CREATE TABLE IF NOT EXISTS sdgroup.version (version bigint NOT NULL)",
        )
        .await?;
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.batch_execute(step).await?;
    }
    let note = format!(
        "DELETE FROM sdgroup.version; INSERT INTO sdgroup.version VALUES ({})",
        newest()
    );
    transaction.batch_execute(&note).await?;
    transaction.commit().await?;
    Ok(found)
}
