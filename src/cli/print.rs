//! `sdgroup print`: resources for Bacula's own configuration files, to paste.

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};

use super::{Failure, loaded, missing};
use crate::bacula::{Address, Paste, director_resources, storage_resources};
use crate::config::model::Model;
use crate::config::{MachineSecrets, machine_name};
use crate::types::DirectorName;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prints the Storage resources with which a Director reaches sdgroup, for bacula-dir.conf. They hold passwords.
    Director(ForDirector),
    /// Prints the Director resources that a Storage Daemon needs to let sdgroup in, for bacula-sd.conf. They hold
    /// passwords.
    Storage(ForStorage),
}

#[derive(Debug, Args)]
pub(super) struct ForDirector {
    /// Only for this group.
    group: Option<String>,
    /// Where Directors and Clients reach sdgroup, if not under this machine's own name.
    #[arg(long, value_name = "HOST")]
    address: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub(super) struct ForStorage {
    /// Only for this storage.
    storage: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// Only for this Director.
    #[arg(long, value_name = "NAME")]
    director: Option<String>,
    /// Without the passwords.
    #[arg(long)]
    hide_passwords: bool,
}

pub(super) fn run(command: &Command, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let (Command::Director(ForDirector { how, .. }) | Command::Storage(ForStorage { how, .. })) = command;
    // What stands for a password while only checking would be printed as one.
    let secrets = if how.hide_passwords {
        MachineSecrets::only_checking()
    } else {
        MachineSecrets::new()
    };
    let model = loaded(config, &secrets)?.model;
    let director = how.director.as_deref().map(|name| director(&model, name)).transpose()?;
    let paste = Paste {
        passwords: !how.hide_passwords,
        director,
    };
    let text = match command {
        Command::Director(command) => {
            let groups = model.groups.iter().map(|group| group.name.as_str());
            known("group", command.group.as_deref(), groups.collect())?;
            let host = command.address.clone().unwrap_or_else(machine_name);
            let address = Address {
                host: &host,
                said: command.address.is_some(),
            };
            director_resources(&model, command.group.as_deref(), address, paste)
        }
        Command::Storage(command) => {
            let storages = model.storages.iter().map(|storage| storage.name.as_str());
            known("storage", command.storage.as_deref(), storages.collect())?;
            storage_resources(&model, command.storage.as_deref(), paste)
        }
    };
    Ok(out.write_all(text.as_bytes())?)
}

fn director<'m>(model: &'m Model, name: &str) -> Result<&'m DirectorName, Failure> {
    let known = || {
        model
            .directors
            .iter()
            .map(|director| &director.name)
            .chain([&model.probe.director])
    };
    let names: Vec<_> = known().map(DirectorName::as_str).collect();
    let found = known().find(|it| it.as_str().eq_ignore_ascii_case(name));
    found.ok_or_else(|| missing("Director", name, names))
}

fn known(what: &str, wanted: Option<&str>, names: Vec<&str>) -> Result<(), Failure> {
    match wanted {
        Some(name) if !names.contains(&name) => Err(missing(what, name, names)),
        _ => Ok(()),
    }
}
