//! Claims in the database: which volume is in which storage's hands, over all sdgroups.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Trouble;
use crate::types::{StorageName, VolumeName};

/// How long a claim lasts that nobody renews, in PostgreSQL's words. It is renewed every second.
const LASTS: &str = "30 seconds";

/// The claims of this process, by whatever connection they were told.
#[derive(Debug, Clone)]
pub(in crate::store) struct Claims {
    /// Who this process is among the owners; a word of chance, since a process that is started again is another one.
    owner: Arc<str>,
    held: Arc<Mutex<HashMap<VolumeName, Held>>>,
}

#[derive(Debug)]
struct Held {
    storage: StorageName,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is asked for.
    Asked,
    /// It is ours as far as is known without the database.
    Assumed,
    /// The database has said so, and has been there since.
    Granted,
}

impl Claims {
    /// None yet.
    #[must_use]
    pub(in crate::store) fn new() -> Self {
        // Without randomness from the system the process number has to do.
        let chance = getrandom::u64().unwrap_or(0);
        Self {
            owner: format!("{:x}-{chance:x}", std::process::id()).into(),
            held: Arc::default(),
        }
    }

    /// Who this process is.
    pub(in crate::store) fn owner(&self) -> Arc<str> {
        Arc::clone(&self.owner)
    }

    /// Notes that one is asked for: from here on no renewal ends it. False when the database need not be asked again.
    pub(in crate::store) fn ask(&self, volume: VolumeName, storage: StorageName) -> bool {
        let held = Held {
            storage,
            standing: Standing::Asked,
        };
        self.lock().entry(volume).or_insert(held).standing != Standing::Granted
    }

    /// Notes that it is ours, by the database's word.
    pub(in crate::store) fn grant(&self, volume: &VolumeName) {
        self.stand(volume, Standing::Granted);
    }

    /// Notes that it is ours unless the database, which does not answer, knows better.
    pub(in crate::store) fn assume(&self, volume: &VolumeName) {
        self.stand(volume, Standing::Assumed);
    }

    fn stand(&self, volume: &VolumeName, standing: Standing) {
        if let Some(held) = self.lock().get_mut(volume) {
            held.standing = standing;
        }
    }

    /// Notes that the database is away, and may let others have what is ours.
    pub(in crate::store) fn doubt(&self) {
        for held in self.lock().values_mut() {
            if held.standing == Standing::Granted {
                held.standing = Standing::Assumed;
            }
        }
    }

    /// Notes that what was asked for is another's.
    pub(in crate::store) fn deny(&self, volume: &VolumeName) {
        let mut held = self.lock();
        if held.get(volume).is_some_and(|held| held.standing == Standing::Asked) {
            held.remove(volume);
        }
    }

    /// Notes that one is over. The database is told at the next renewal.
    pub(in crate::store) fn release(&self, volume: &VolumeName) {
        self.lock().remove(volume);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<VolumeName, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Claims {
    fn default() -> Self {
        Self::new()
    }
}

/// Claims a volume; the storage that has it if that is another one.
pub(super) async fn claim(
    client: &Client,
    claims: &Claims,
    volume: &VolumeName,
    storage: &StorageName,
) -> Result<Option<StorageName>, Trouble> {
    let claim = format!("SELECT sdgroup.claim($1, $2, $3, '{LASTS}')");
    let rows = client
        .query_typed(
            &claim,
            &[
                (&volume.as_str(), Type::TEXT),
                (&storage.as_str(), Type::TEXT),
                (&&*claims.owner, Type::TEXT),
            ],
        )
        .await?;
    let other: Option<String> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
    let name = |error: crate::types::NameError| Trouble::Column(format!("a claim's storage: {error}"));
    other.map(|other| StorageName::new(&other).map_err(name)).transpose()
}

/// Renews the claims of this process, and ends those that it does not hold any more, and those of others that are over.
/// Claims that a database has lost are there again after it.
pub(super) async fn renew(client: &Client, claims: &Claims) -> Result<(), Trouble> {
    // Read when the connection is ours: a claim that is noted later is told later.
    let (mut kept, mut volumes, mut storages) = (Vec::new(), Vec::new(), Vec::new());
    for (volume, held) in claims.lock().iter() {
        let volume = volume.as_str().to_owned();
        if held.standing != Standing::Asked {
            volumes.push(volume.clone());
            storages.push(held.storage.as_str().to_owned());
        }
        kept.push(volume);
    }
    let renew = format!(
        "WITH gone AS (DELETE FROM sdgroup.claims \
         WHERE (owner = $1 AND volume <> ALL ($4)) OR until < clock_timestamp() - interval '{LASTS}') \
         INSERT INTO sdgroup.claims SELECT volume, $1, storage, clock_timestamp() + interval '{LASTS}' \
         FROM unnest($2, $3) AS held (volume, storage) \
         ON CONFLICT (volume, owner) DO UPDATE SET until = excluded.until"
    );
    client
        .query_typed(
            &renew,
            &[
                (&&*claims.owner, Type::TEXT),
                (&volumes, Type::TEXT_ARRAY),
                (&storages, Type::TEXT_ARRAY),
                (&kept, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    Ok(())
}
