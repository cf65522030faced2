//! `sdgroup check`, `sdgroup -t`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::{Failure, block_on, counted, loaded, runtime, summed, tell};
use crate::bacula::{self, Daemon};
use crate::config::{Loaded, MachineSecrets, Model, Problem, SecretReader, Severity, model};
use crate::group::Releases;
use crate::probe::{self, Outcome, Questioner};
use crate::types::{Release, StorageName};

/// Tells every problem of the configuration, and that it is good if it is. With `connect` every storage is logged in to
/// as well, as a probe does; with the configuration of a Director what does not go together is told, too.
pub(super) fn check(path: &Path, connect: bool, director: Option<&Path>, out: &mut dyn Write) -> Result<(), Failure> {
    // A secret that only the unit's credentials hold is no fault unless it is needed now.
    let secrets: &dyn SecretReader = if connect {
        &MachineSecrets::new()
    } else {
        &MachineSecrets::only_checking()
    };
    let Loaded { model, mut warnings } = loaded(path, secrets)?;
    if let Some(file) = director {
        warnings.extend(beside(&model, file)?);
    }
    tell(&warnings, &mut io::stderr().lock())?;
    let with = if warnings.is_empty() {
        String::new()
    } else {
        format!(", {}", summed(&warnings))
    };
    writeln!(out, "{}: ok: {}{with}", path.display(), contents(&model))?;
    if connect { visit(&model, out) } else { Ok(()) }
}

/// What does not go together with the Director's configuration.
fn beside(model: &Model, file: &Path) -> Result<Vec<Problem>, Failure> {
    match bacula::read(file).map_err(|error| Failure::text(error.to_string()))? {
        Daemon::Director(director) => {
            let (known, unread) = match known_to_ledger(model) {
                Ok(known) => (Some(known), None),
                Err(Failure::Text(why)) => (None, Some(unread(model, &why))),
                Err(other) => return Err(other),
            };
            let mut problems = bacula::traps(model, &director, file, known.as_ref());
            problems.extend(unread);
            Ok(problems)
        }
        Daemon::Storage(_) => {
            let file = file.display();
            Err(Failure::text(format!(
                "{file} is a Storage Daemon's configuration: --director wants the Director's"
            )))
        }
    }
}

/// The storages of which the ledger knows a Volume, if there is a ledger yet.
fn known_to_ledger(model: &Model) -> Result<BTreeSet<StorageName>, Failure> {
    block_on(async {
        let Some(store) = super::volumes::existing(model).await? else {
            return Ok(BTreeSet::new());
        };
        let records = store.all(None).await?;
        Ok(records.into_iter().map(|record| record.storage).collect())
    })
}

/// The configuration can be good although its ledger cannot be read from here.
fn unread(model: &Model, why: &str) -> Problem {
    let text = format!("the ledger cannot be read: {why}");
    let advice = "it is not looked whether the storages' Volumes are known";
    Problem {
        severity: Severity::Warning,
        ..Problem::of_file(&model.state_file(), text, advice)
    }
}

fn contents(model: &Model) -> String {
    [
        counted(model.listeners.len(), "listener"),
        counted(model.directors.len(), "Director"),
        counted(model.storages.len(), "storage"),
        counted(model.groups.len(), "group"),
    ]
    .join(", ")
}

/// Logs in to every storage and tells what it found, and which groups are of more than one release.
fn visit(model: &Model, out: &mut dyn Write) -> Result<(), Failure> {
    let visits = runtime()?.block_on(ask_all(model));
    let mut failed = 0_usize;
    for (storage, outcome) in &visits {
        let name = &storage.name;
        match &outcome.result {
            Ok(probed) => {
                let (version, took) = (probed.storage_version, probed.took.as_secs_f64());
                let release = Release::from_storage(version).map_or("unknown".to_owned(), |it| it.to_string());
                let room = match probed.space {
                    Some(space) => format!("{} of {} free", space.free, space.total),
                    None => "it does not tell its room".to_owned(),
                };
                writeln!(
                    out,
                    "{name}: ok in {took:.3} s, Bacula {release} (its number is {version}), {room}"
                )?;
            }
            Err(failure) => {
                failed += 1;
                writeln!(out, "{name}: failed: {}", failure.text)?;
            }
        }
    }
    for group in &model.groups {
        let members = visits
            .iter()
            .filter(|(storage, _)| group.members.contains(&storage.name));
        let seen = members.filter_map(|(storage, outcome)| {
            let probed = outcome.result.as_ref().ok()?;
            Some((&storage.name, probed.storage_version))
        });
        if let Some(warning) = Releases::of(seen).warning() {
            writeln!(io::stderr().lock(), "warning: group {}: {warning}", group.name)?;
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::text(format!(
            "{} cannot be used now",
            counted(failed, "storage")
        ))),
    }
}

async fn ask_all(model: &Model) -> Vec<(Arc<model::Storage>, Outcome)> {
    let questioner = Questioner {
        director: model.probe.director.clone(),
        timeout: model.probe.timeout,
    };
    let visits: Vec<_> = model
        .storages
        .iter()
        .map(|storage| {
            let (questioner, storage) = (questioner.clone(), Arc::clone(storage));
            let device = model.device_at(&storage).cloned();
            tokio::spawn(async move {
                let outcome = probe::ask(&questioner, &storage, device.as_ref()).await;
                (storage, outcome)
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for visit in visits {
        // A visit neither panics nor is aborted.
        outcomes.extend(visit.await.ok());
    }
    outcomes
}
