//! Which storage of the group a command is meant for.

use std::sync::Arc;
use std::time::Instant;

use super::call;
use crate::config::model;
use crate::group::{PlacementRequest, Slot, Trial, Tried};
use crate::session::director::Caller;
use crate::session::storage::StorageLink;
use crate::types::{
    ClientName, DeviceName, FileSetName, JobLevel, JobName, JobResourceName, JobType, NameError, StorageName,
    VolumeName,
};
use crate::volumes::{Claim, Place};

/// The storage, with what is held while it does what it is told.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) storage: Arc<model::Storage>,
    /// The login there, where one was needed to know that it is well.
    pub(super) link: Option<StorageLink>,
    /// Its place there, and the volume.
    pub(super) holds: Option<(Slot, Option<Claim>)>,
}

/// This member.
pub(super) fn of(caller: &Caller, member: &StorageName) -> Result<Home, String> {
    if !caller.group.members.contains(member) {
        return Err(format!("storage {member} is not in group {}", caller.group.name));
    }
    // A checked model names no member that is not a storage.
    let storage = caller.context.model.storage(member.as_str());
    let storage = storage.ok_or_else(|| format!("there is no storage {member}"))?;
    Ok(Home {
        storage: Arc::clone(storage),
        link: None,
        holds: None,
    })
}

/// The member that holds `volume`.
pub(super) async fn of_volume(caller: &Caller, volume: &VolumeName) -> Result<Home, String> {
    match holder(caller, volume).await? {
        Some(storage) => of(caller, &storage).map_err(|error| format!("volume {volume}: {error}")),
        None => Err(format!(
            "it is not known which storage of group {} holds volume {volume}; if you know it, tell sdgroup: \
             sdgroup volumes assign {volume} STORAGE",
            caller.group.name
        )),
    }
}

/// That `volume` is not known on another storage than `member`: one that is told to relabel or to truncate a volume
/// which it does not have makes a new one, and the old one is lost from sight (Bacula `src/stored/dircmd.c`).
pub(super) async fn not_elsewhere(caller: &Caller, volume: &VolumeName, member: &StorageName) -> Result<(), String> {
    match holder(caller, volume).await? {
        Some(storage) if storage != *member => Err(format!(
            "volume {volume} is on storage {storage}, not on {member}; if that is wrong, tell sdgroup: sdgroup volumes \
             assign --force {volume} {member}"
        )),
        _ => Ok(()),
    }
}

async fn holder(caller: &Caller, volume: &VolumeName) -> Result<Option<StorageName>, String> {
    let ledger = &caller.context.ledger;
    let known = ledger.holder(volume).await;
    known.map_err(|error| format!("the volume ledger cannot be read: {error}"))
}

/// The member to label `volume`: the one that holds it or is about to, else one that the policy chooses.
pub(super) async fn for_label(caller: &Caller, volume: &VolumeName) -> Result<Home, String> {
    let context = &caller.context;
    let claimed = context.ledger.claimed_by(volume);
    if let Some(storage) = holder(caller, volume).await?.or(claimed) {
        return of(caller, &storage).map_err(|error| format!("volume {volume}: {error}"));
    }
    let unknown = || format!("there is no group {}", caller.group.name);
    let group = context.directory.group(&caller.group.name).ok_or_else(unknown)?;
    let request = request(caller, volume).map_err(|error| error.to_string())?;
    let mut tried = Tried::among(caller.release.storage_versions());
    loop {
        let placed = context.directory.place(&group, &request, &tried, Instant::now());
        let placed = placed.map_err(|unplaced| unplaced.to_string())?;
        let name = placed.storage.name.clone();
        // Until it has its label, no job of another storage is given it.
        let claimed = context.ledger.claim(volume, &name, false).await;
        let claimed = claimed.map_err(|error| error.to_string())?;
        let claim = match claimed {
            (Place::Elsewhere(storage) | Place::Claimed(storage), _) => return of(caller, &storage),
            (Place::Here | Place::Nowhere, claim) => claim,
        };
        match call(caller, &placed.storage).await {
            Ok(link) if caller.release.agrees_with(link.version) => {
                return Ok(Home {
                    storage: placed.storage,
                    link: Some(link),
                    holds: Some((placed.slot, claim)),
                });
            }
            Ok(_) => tried.add(name, Trial::Unfit, "it is of another release than the Director"),
            Err(error) => tried.add(name, Trial::Failed, error.to_string()),
        }
    }
}

/// What the policy is asked.
fn request(caller: &Caller, volume: &VolumeName) -> Result<PlacementRequest, NameError> {
    Ok(PlacementRequest {
        job_type: JobType::Console,
        level: JobLevel::None,
        ..PlacementRequest::new(
            caller.name.clone(),
            JobName::new(volume.as_str())?,
            JobResourceName::new("-Console-")?,
            ClientName::new("**Dummy**")?,
            FileSetName::new("**Dummy**")?,
        )
    })
}

/// Why one changer cannot be told from another.
pub(super) fn one_is_meant(caller: &Caller, device: Option<&DeviceName>) -> String {
    let group = &caller.group;
    let member = group.members.first().map_or("STORAGE", StorageName::as_str);
    let device = device.map_or("DEVICE", DeviceName::as_str);
    format!(
        "slots and drives are one storage's, and \"{device}\" is every one of group {}: give the Director a Storage resource \
         with Device = \"{member}/{device}\" for this one, and so on, all with the same Address",
        group.name
    )
}
