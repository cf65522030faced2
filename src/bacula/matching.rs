//! Which Storage Daemon's configuration belongs to which Storage resource of the Director.

use std::path::PathBuf;

use super::adopt::{AdoptError, named};
use super::director::{DirectorFile, DirectorStorage};
use super::storage::StorageFile;
use crate::config::spelling::folded;

/// A Storage Daemon's configuration, and the Director's name for it where the operator has said it.
#[derive(Debug)]
pub struct StorageInput {
    /// The name of the Director's Storage resource.
    pub storage: Option<String>,
    /// Where it was read.
    pub file: PathBuf,
    /// What was read.
    pub daemon: StorageFile,
}

/// The daemon of each of `wanted`, in their order, if its configuration is there.
pub(super) fn daemons<'i>(
    director: &DirectorFile,
    wanted: &[&DirectorStorage],
    inputs: &'i [StorageInput],
) -> Result<Vec<Option<&'i StorageFile>>, AdoptError> {
    for input in inputs {
        leads_somewhere(director, input)?;
    }
    wanted.iter().map(|storage| daemon(director, storage, inputs)).collect()
}

fn daemon<'i>(
    director: &DirectorFile,
    storage: &DirectorStorage,
    inputs: &'i [StorageInput],
) -> Result<Option<&'i StorageFile>, AdoptError> {
    let name = storage.name.as_str();
    if let Some(said) = inputs.iter().find(|input| input.storage.as_deref() == Some(name)) {
        return Ok(Some(&said.daemon));
    }
    let unsaid = || inputs.iter().filter(|input| input.storage.is_none());
    let fitting: Vec<_> = unsaid()
        .filter(|input| differences(director, storage, &input.daemon).is_empty())
        .collect();
    let hinted: Vec<_> = fitting
        .iter()
        .copied()
        .filter(|input| is_hinted_at(storage, input))
        .collect();
    match (fitting.as_slice(), hinted.as_slice()) {
        ([], _) => Ok(None),
        ([only], _) | (_, [only]) => Ok(Some(&only.daemon)),
        (several, _) => {
            let files: Vec<_> = several.iter().map(|input| input.file.display().to_string()).collect();
            Err(AdoptError::Ambiguous {
                storage: name.to_owned(),
                files: files.join(", "),
            })
        }
    }
}

/// Whether the names let one think that they belong together.
fn is_hinted_at(storage: &DirectorStorage, input: &StorageInput) -> bool {
    let daemon = folded(&input.daemon.name);
    let host = storage.address.split('.').next().unwrap_or_default();
    let is_name = !host.is_empty() && host.parse::<u8>().is_err();
    daemon.contains(&folded(storage.name.as_str())) || (is_name && daemon.contains(&folded(host)))
}

/// Why the Storage resource cannot lead to that daemon; nothing if it can.
fn differences(director: &DirectorFile, storage: &DirectorStorage, daemon: &StorageFile) -> Vec<String> {
    let mut found = Vec::new();
    if storage.port != daemon.port {
        found.push(format!("it listens at port {}, not {}", daemon.port, storage.port));
    }
    if !daemon.devices.iter().any(|(name, _)| *name == storage.device) {
        found.push(format!("it has no Device {}", storage.device));
    }
    match daemon.director(&director.name) {
        None => found.push(format!("it has no Director resource {}", director.name)),
        Some(there) if there.password != storage.password => {
            found.push(format!("it has another password for {}", director.name));
        }
        Some(_) => {}
    }
    found
}

/// A configuration that belongs to no storage at all is probably not the one that was meant.
fn leads_somewhere(director: &DirectorFile, input: &StorageInput) -> Result<(), AdoptError> {
    let candidates = match &input.storage {
        Some(name) => std::slice::from_ref(named(director, name)?),
        None => &director.storages,
    };
    let mut why = Vec::new();
    for storage in candidates {
        let differences = differences(director, storage, &input.daemon);
        if differences.is_empty() {
            return Ok(());
        }
        why.push(format!("{}: {}", storage.name, differences.join(", ")));
    }
    Err(AdoptError::Stranger {
        file: input.file.display().to_string(),
        daemon: input.daemon.name.clone(),
        why: why.join("; "),
    })
}
