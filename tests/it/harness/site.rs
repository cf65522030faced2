//! A whole site: storages, a Director with its catalog, and what stands between them.

use std::sync::Arc;

use crate::peers::catalog::{Catalog, Pool};
use crate::peers::director::{Director, StorageResource};
use crate::peers::storage::{Settings, Storage};

/// The Director's name everywhere.
pub(crate) const DIRECTOR: &str = "sim-dir";
/// The pool of all backups.
pub(crate) const POOL: &str = "Default";

/// A catalog whose pool makes as many volumes as are asked for.
pub(crate) fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::with_pool(Pool::endless(POOL)))
}

/// A storage with its defaults.
pub(crate) async fn storage(name: &str) -> Storage {
    Storage::start(Settings::new(name, DIRECTOR, &password(name))).await
}

/// The password of a storage.
pub(crate) fn password(storage: &str) -> String {
    format!("password of {storage}")
}

/// A Director that talks to `storage` itself.
pub(crate) fn director_of(storage: &Storage, catalog: Arc<Catalog>) -> Director {
    let settings = storage.settings();
    let resource = StorageResource {
        name: "Direct".to_owned(),
        address: storage.address,
        device: settings.changer.clone(),
        media_type: settings.media_type.clone(),
    };
    Director::new(DIRECTOR, &password(&settings.name), resource, catalog)
}
