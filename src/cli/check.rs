//! `sdgroup check`, `sdgroup -t`.

use std::io::{self, Write};
use std::path::Path;

use super::{Failure, counted, summed, tell};
use crate::config::{self, MachineSecrets, Model};

/// Tells every problem of the configuration, and that it is good if it is.
pub(super) fn check(path: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let shown = path.display();
    match config::load_with(path, &MachineSecrets::only_checking()) {
        Ok(loaded) => {
            tell(&loaded.warnings, &mut io::stderr().lock())?;
            let with = if loaded.warnings.is_empty() {
                String::new()
            } else {
                format!(", {}", summed(&loaded.warnings))
            };
            writeln!(out, "{shown}: ok: {}{with}", contents(&loaded.model))?;
            Ok(())
        }
        Err(problems) => {
            let sum = format!("{shown} cannot be used: {}", summed(&problems));
            Err(Failure::Problems(problems, sum))
        }
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
