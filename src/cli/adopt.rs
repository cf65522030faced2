//! `sdgroup adopt`: a configuration out of those that Bacula's daemons have.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, summed, tell};
use crate::bacula::{self, Daemon, DirectorFile, StorageInput, Wishes};
use crate::config::model::PolicyName;
use crate::config::spelling::did_you_mean;
use crate::config::{self, MachineSecrets, Problem};
use crate::types::{DirectorName, Secret};

/// Read and written by its owner, read by its group: it holds passwords.
const MODE: u32 = 0o640;

#[derive(Debug, Args)]
pub(super) struct Adopt {
    /// The configurations of the Director and of its Storage Daemons, in any order: bacula-dir.conf and bacula-sd.conf,
    /// or what bdirjson and bsdjson print; - is standard input. STORAGE=FILE says to which Storage resource of the
    /// Director a Storage Daemon's belongs, where that is not clear.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// A group to make, with the Director's names of its storages; may be given several times. When left out, storages
    /// that a Pool or Job names together become one, or else those with the same Device and Media Type.
    #[arg(long, value_name = "NAME=STORAGE,STORAGE", value_parser = group)]
    group: Vec<(String, Vec<String>)>,
    /// How the groups place their jobs, if not as the Director does (or by LeastUsed, where it does not say how).
    #[arg(long, value_name = "NAME", value_parser = policy)]
    policy: Option<PolicyName>,
    /// Where the first group listens; further ones at the ports after it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:9103")]
    listen: SocketAddr,
    /// Makes probes log in as this Director, which the storages do not have yet; "sdgroup print storage" prints it for
    /// them.
    #[arg(long, value_name = "NAME", value_parser = monitor)]
    monitor: Option<String>,
    /// Where to write it; it must not be there yet. Standard output when left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn group(text: &str) -> Result<(String, Vec<String>), String> {
    let (name, members) = text.split_once('=').ok_or("write NAME=STORAGE,STORAGE")?;
    let members: Vec<_> = members.split(',').map(|member| member.trim().to_owned()).collect();
    if name.trim().is_empty() || members.iter().any(String::is_empty) {
        return Err("write NAME=STORAGE,STORAGE".to_owned());
    }
    Ok((name.trim().to_owned(), members))
}

fn policy(text: &str) -> Result<PolicyName, String> {
    text.parse()
        .map_err(|_| did_you_mean(text, PolicyName::ALL.iter().map(|it| it.as_str())))
}

fn monitor(text: &str) -> Result<String, String> {
    DirectorName::new(text)
        .map(|name| name.as_str().to_owned())
        .map_err(|error| error.to_string())
}

pub(super) fn run(command: &Adopt, out: &mut dyn Write) -> Result<(), Failure> {
    let (director, storages) = read(&command.files)?;
    let wishes = Wishes {
        groups: command.group.clone(),
        policy: command.policy,
        listen: command.listen,
        password: random_password()?,
        monitor: match &command.monitor {
            Some(name) => Some((name.clone(), random_password()?)),
            None => None,
        },
    };
    let adopted = bacula::adopt(&director, &storages, &wishes).map_err(|error| Failure::text(error.to_string()))?;
    let text = adopted.text.reveal();
    match &command.output {
        Some(file) => write(file, text)?,
        None => out.write_all(text.as_bytes())?,
    }
    let mut err = io::stderr().lock();
    for note in &adopted.notes {
        writeln!(err, "note: {note}")?;
    }
    let file = command.output.as_deref().unwrap_or(Path::new("(the configuration)"));
    let problems = match config::compile(text, file, &MachineSecrets::only_checking()) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    if problems.iter().any(Problem::is_error) {
        let sum = format!("what came out needs mending: {}", summed(&problems));
        return Err(Failure::Problems(problems, sum));
    }
    tell(&problems, &mut err)?;
    Ok(())
}

/// The one Director, and all storages.
fn read(files: &[String]) -> Result<(DirectorFile, Vec<StorageInput>), Failure> {
    let mut directors = Vec::new();
    let mut storages = Vec::new();
    for word in files {
        let (storage, file) = match word.split_once('=') {
            Some((storage, file)) if !Path::new(word).exists() => (Some(storage.to_owned()), file),
            _ => (None, word.as_str()),
        };
        let file = PathBuf::from(file);
        match bacula::read(&file).map_err(|error| Failure::text(error.to_string()))? {
            Daemon::Director(director) => directors.push(director),
            Daemon::Storage(daemon) => storages.push(StorageInput { storage, file, daemon }),
        }
    }
    let count = directors.len();
    match (directors.pop(), count) {
        (Some(director), 1) => Ok((director, storages)),
        (None, _) => Err(Failure::text(
            "none of these is a Director's configuration, which alone says where the storages are: name \
             bacula-dir.conf, or what `bdirjson -c bacula-dir.conf` prints, as well",
        )),
        (Some(_), _) => Err(Failure::text(
            "these are the configurations of several Directors: adopt the one whose storages are complete, and add a \
             [[Director]] for each further one",
        )),
    }
}

/// 192 random bits in letters and digits that no file has to escape.
fn random_password() -> Result<Secret, Failure> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::text(format!("the system has no random numbers: {error}")))?;
    let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
    Ok(Secret::new(letters.map(|letter| char::from(*letter)).collect()))
}

/// Writes it, for the group of its folder: a package has made that for the user that sdgroup runs as.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let create = || {
        let mut created = OpenOptions::new().write(true).create_new(true).mode(MODE).open(file)?;
        created.write_all(text.as_bytes())?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let group = fs::metadata(folder.unwrap_or(Path::new(".")))?.gid();
        if created.metadata()?.gid() != group {
            // Who may not give it away has it for himself.
            let _ = fchown(&created, None, Some(group));
        }
        Ok(())
    };
    create().map_err(|error: io::Error| Failure::text(format!("cannot write {}: {error}", file.display())))
}
