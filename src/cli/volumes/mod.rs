//! `sdgroup volumes`: the operator's hands on the volume ledger. The daemon may run meanwhile; it sees at once what is
//! changed here.

mod list;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::store::PATIENCE;
use super::{Failure, block_on, counted, loaded, missing, named, read_bounded, who};
use crate::config::MachineSecrets;
use crate::config::model::{Model, PostgreSql};
use crate::config::spelling::nearest;
use crate::store::{PostgresStore, Recorded, SharedStore, SqliteStore, Store, StoreError, VolumeRecord};
use crate::types::{Bytes, MediaType, PoolName, Secret, StorageName, VolumeName};
use crate::volumes::import::{self, Rules};
use crate::volumes::{Assignment, Ledger};

/// Why the shared database cannot be asked from a terminal.
const UNKNOWN_PASSWORD: &str =
    "the database of [Store] was not asked, since its password is a credential, which only the service gets";

/// A table of volumes is never larger; it is read before it is looked at.
const MAX_TABLE: Bytes = Bytes(256_000_000);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tells which storage holds which Volume.
    List(list::List),
    /// Says that a Volume is on a storage.
    Assign(Assign),
    /// Takes the places of many Volumes from a table (CSV, tabs, or what bconsole prints): all of it, or nothing.
    Import(Import),
    /// Removes a Volume from the ledger; the Volume itself is not touched.
    Forget(Forget),
}

#[derive(Debug, Args)]
pub(super) struct Assign {
    /// The Volume's name.
    volume: String,
    /// The storage's name in the configuration.
    storage: String,
    /// Its media type, as the Director calls it.
    #[arg(long, value_name = "NAME")]
    media_type: Option<String>,
    /// Its pool.
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// Even if another storage is known to hold it.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The table; - is standard input.
    file: PathBuf,
    /// The column that tells the storage, if it is not called "storage".
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// What the table calls a storage, if not by its name in the configuration; may be given several times.
    #[arg(long, value_name = "WORD=STORAGE", value_parser = word_and_storage)]
    map: Vec<(String, String)>,
    /// The table's word counts where another storage is known to hold a Volume.
    #[arg(long, conflicts_with = "keep_known")]
    force: bool,
    /// What is known stays where another storage is known to hold a Volume.
    #[arg(long)]
    keep_known: bool,
}

#[derive(Debug, Args)]
pub(super) struct Forget {
    /// The Volume's name.
    volume: String,
}

fn word_and_storage(text: &str) -> Result<(String, String), String> {
    let (word, storage) = text.split_once('=').ok_or("write WORD=STORAGE")?;
    Ok((word.to_owned(), storage.to_owned()))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::text(error.to_string())
    }
}

/// Runs one of the commands.
pub(super) fn run(command: &Command, path: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let model = &loaded(path, &MachineSecrets::only_checking())?.model;
    block_on(async {
        match command {
            Command::List(command) => list::list(command, model, out).await,
            Command::Assign(command) => assign(command, model, out).await,
            Command::Import(command) => import(command, model, out).await,
            Command::Forget(command) => forget(command, model, out).await,
        }
    })
}

/// The store, if there is one yet: looking at a ledger does not make one.
pub(super) async fn existing(model: &Model) -> Result<Option<Arc<dyn Store>>, Failure> {
    let path = model.state_file();
    let there = path.try_exists();
    if there.map_err(|error| Failure::text(format!("cannot look at {}: {error}", path.display())))? {
        return existing_or_new(model).await.map(Some);
    }
    match &model.store {
        None => Ok(None),
        Some(options) if lacks_password(options) => Err(Failure::text(format!(
            "{UNKNOWN_PASSWORD}, and there is no copy of it in {}: start sdgroup, which makes one",
            path.display()
        ))),
        Some(options) => Ok(Some(Arc::new(PostgresStore::connect(options, PATIENCE).await?))),
    }
}

/// The store, made if there is none, with the shared database if there is one. What root makes belongs to the owner of
/// the directory, who is the daemon's user.
async fn existing_or_new(model: &Model) -> Result<Arc<dyn Store>, Failure> {
    let file = file(model)?;
    let Some(options) = &model.store else {
        return Ok(Arc::new(file));
    };
    let (store, mut follower, _) = SharedStore::new(file, options.clone(), PATIENCE);
    let trouble = if lacks_password(options) {
        Some(UNKNOWN_PASSWORD.to_owned())
    } else {
        follower.begin().await;
        follower.view().borrow().trouble.clone()
    };
    if let Some(trouble) = trouble {
        let told = "what is known here is used, and what is changed is told to it by the daemon";
        writeln!(io::stderr().lock(), "warning: {trouble}: {told}")?;
    }
    Ok(Arc::new(store))
}

/// Whether the database wants a password that this process does not get.
fn lacks_password(options: &PostgreSql) -> bool {
    options.password.as_ref().is_some_and(Secret::is_stand_in)
}

fn file(model: &Model) -> Result<SqliteStore, Failure> {
    let path = model.state_file();
    let is_new = !path.exists();
    let store = SqliteStore::open(&path)?;
    if !is_new {
        return Ok(store);
    }
    hand_over(&path, &model.state_directory).map_err(|error| {
        Failure::text(format!(
            "cannot give {} to the owner of its directory: {error}",
            path.display()
        ))
    })?;
    Ok(store)
}

fn hand_over(file: &Path, directory: &Path) -> io::Result<()> {
    let owner = fs::metadata(directory)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut path = file.as_os_str().to_owned();
        path.push(suffix);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.uid() != owner.uid() => chown(&path, Some(owner.uid()), Some(owner.gid()))?,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Who changes the ledger, for its records.
fn operator() -> String {
    who().map_or_else(|| "operator".to_owned(), |name| format!("operator {name}"))
}

fn rules(model: &Model) -> Rules {
    Rules {
        storages: model.storages.iter().map(|storage| storage.name.clone()).collect(),
        ..Rules::default()
    }
}

fn volume_name(text: &str) -> Result<VolumeName, Failure> {
    VolumeName::new(text).map_err(|error| Failure::text(format!("\"{text}\" is no Volume: {error}")))
}

async fn record_of(store: &Arc<dyn Store>, volume: &VolumeName) -> Result<Option<VolumeRecord>, Failure> {
    Ok(store.find(vec![volume.clone()]).await?.pop())
}

fn storage_of(name: &str, model: &Model) -> Result<StorageName, Failure> {
    let all = model.storages.iter().map(|storage| storage.name.as_str());
    let storage = model.storage(name).ok_or_else(|| missing("storage", name, all))?;
    Ok(storage.name.clone())
}

async fn assign(command: &Assign, model: &Model, out: &mut dyn Write) -> Result<(), Failure> {
    let volume = volume_name(&command.volume)?;
    let storage = storage_of(&command.storage, model)?;
    let told = |what: &str, error| Failure::text(format!("that is no {what}: {error}"));
    let media_type = command.media_type.as_deref().map(MediaType::new).transpose();
    let pool = command.pool.as_deref().map(PoolName::new).transpose();
    let media_type = media_type.map_err(|error| told("media type", error))?;
    let pool = pool.map_err(|error| told("pool", error))?;
    let store = existing_or_new(model).await?;
    if let Some(known) = record_of(&store, &volume)
        .await?
        .filter(|known| known.storage != storage && !command.force)
    {
        return Err(Failure::text(format!(
            "{volume} is on {} ({}{}); --force says that it is on {storage}. Nothing was changed",
            known.storage,
            known.source,
            known.updated_by.map(|by| format!(" by {by}")).unwrap_or_default(),
        )));
    }
    let assignment = Assignment {
        volume: volume.clone(),
        storage: storage.clone(),
        media_type,
        pool,
    };
    let recorded = Ledger::new(store).assign(assignment, &operator()).await?;
    match recorded {
        Recorded::New => writeln!(out, "{volume} is on {storage}")?,
        Recorded::Same => writeln!(out, "{volume} is on {storage}, as was known")?,
        Recorded::Moved { from } => writeln!(out, "{volume} is on {storage}, no longer on {from}")?,
        Recorded::Conflict { known } => return Err(Failure::text(format!("{volume} is on {known}"))),
    }
    Ok(())
}

async fn forget(command: &Forget, model: &Model, out: &mut dyn Write) -> Result<(), Failure> {
    let volume = volume_name(&command.volume)?;
    let Some(store) = existing(model).await? else {
        return Err(Failure::Missing(format!(
            "nothing is known of {volume}: the ledger is empty"
        )));
    };
    let ledger = Ledger::new(store);
    if let Some(known) = ledger.forget(&volume).await? {
        writeln!(out, "{volume} is forgotten; it was on {}", known.storage)?;
        return Ok(());
    }
    let known = ledger.list(None).await?;
    let advice = match nearest(volume.as_str(), known.iter().map(|record| record.volume.as_str())) {
        Some(near) => format!("; did you mean \"{near}\"?"),
        None => String::new(),
    };
    Err(Failure::Missing(format!("nothing is known of {volume}{advice}")))
}

async fn import(command: &Import, model: &Model, out: &mut dyn Write) -> Result<(), Failure> {
    let rules = Rules {
        names: words(command, model)?,
        storage_column: command.column.clone(),
        ..rules(model)
    };
    let table = read_bounded(&command.file, MAX_TABLE)?;
    let refuse = |problems: Vec<String>| {
        let sum = counted(problems.len(), "problem");
        let name = named(&command.file);
        Failure::text(format!(
            "nothing was imported from {name}, because of {sum}:\n  {}",
            problems.join("\n  ")
        ))
    };
    let assignments =
        import::read(&table, &rules).map_err(|problems| refuse(problems.iter().map(ToString::to_string).collect()))?;
    let store = existing_or_new(model).await?;
    if !command.force && !command.keep_known {
        let conflicts = conflicts(&store, &assignments).await?;
        if !conflicts.is_empty() {
            return Err(refuse(conflicts));
        }
    }
    let volumes: Vec<VolumeName> = assignments.iter().map(|assignment| assignment.volume.clone()).collect();
    let recorded = Ledger::new(store)
        .import(assignments, command.force, &operator())
        .await?;
    let count = |is: fn(&Recorded) -> bool| recorded.iter().filter(|recorded| is(recorded)).count();
    let new = count(|recorded| matches!(recorded, Recorded::New));
    let same = count(|recorded| matches!(recorded, Recorded::Same));
    let moved = count(|recorded| matches!(recorded, Recorded::Moved { .. }));
    let sum = counted(volumes.len(), "Volume");
    writeln!(
        out,
        "{sum}: {new} new, {same} as known, {moved} moved, {} kept elsewhere",
        volumes.len() - new - same - moved
    )?;
    for (volume, recorded) in volumes.iter().zip(&recorded) {
        match recorded {
            Recorded::Moved { from } => writeln!(out, "  {volume} moved, it was on {from}")?,
            Recorded::Conflict { known } => writeln!(out, "  {volume} kept, it is on {known}")?,
            Recorded::New | Recorded::Same => {}
        }
    }
    Ok(())
}

/// What tables may call the storages, other than their names.
fn words(command: &Import, model: &Model) -> Result<HashMap<String, StorageName>, Failure> {
    let mut names = HashMap::new();
    for (word, storage) in &command.map {
        names.insert(word.clone(), storage_of(storage, model)?);
    }
    Ok(names)
}

async fn conflicts(store: &Arc<dyn Store>, assignments: &[Assignment]) -> Result<Vec<String>, Failure> {
    let ledger = Ledger::new(Arc::clone(store));
    let volumes: Vec<VolumeName> = assignments.iter().map(|assignment| assignment.volume.clone()).collect();
    let holders = ledger.holders(&volumes).await?;
    let conflict = |assignment: &Assignment| {
        let known = holders
            .get(&assignment.volume)
            .filter(|known| **known != assignment.storage)?;
        let Assignment { volume, storage, .. } = assignment;
        Some(format!(
            "{volume} is on {storage} here, but is known to be on {known}: --force takes the table's word, --keep-known \
             leaves such Volumes alone"
        ))
    };
    Ok(assignments.iter().filter_map(conflict).collect())
}
