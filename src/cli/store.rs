//! `sdgroup store`: the database that several sdgroups share, and the way into it and out of it.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{Failure, block_on, counted, loaded};
use crate::config::MachineSecrets;
use crate::config::model::{Model, PostgreSql};
use crate::store::{Fact, Keep, PostgresStore, SqliteStore, Store as _, Weight};

/// How long one answer of the database may take: many records are told at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How many records are told at once.
const BATCH: usize = 1000;

/// Every job, whenever it ended.
const ALL: Keep = Keep {
    since: i64::MIN,
    most: u64::MAX,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Creates the tables in the shared database, or brings those of an older sdgroup up to date.
    Migrate,
    /// Copies all Volumes, jobs and states from the state file to the shared database, or back. What is there and newer
    /// stays, and copying twice does no harm.
    Copy(Copy),
}

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// Where to: "postgresql", or "file" for the state file of this machine.
    #[arg(long)]
    to: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    File,
    Postgresql,
}

pub(super) fn run(command: &Command, path: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let model = &loaded(path, &MachineSecrets::new())?.model;
    let options = model.store.as_ref().ok_or_else(|| {
        let path = path.display();
        Failure::text(format!("{path} names no database: add a [Store] with DbAddress"))
    })?;
    block_on(async {
        match command {
            Command::Migrate => migrate(options, out).await,
            Command::Copy(copy) => self::copy(copy.to, model, options, out).await,
        }
    })
}

async fn migrate(options: &PostgreSql, out: &mut dyn Write) -> Result<(), Failure> {
    let (before, now) = PostgresStore::migrate(options, PATIENCE).await?;
    let database = &options.name;
    match before {
        _ if before == now => writeln!(out, "the database {database} has schema {now} already")?,
        0 => writeln!(out, "the database {database} has schema {now} now")?,
        _ => writeln!(out, "the database {database} has schema {now} now; it had {before}")?,
    }
    Ok(())
}

async fn copy(to: Target, model: &Model, options: &PostgreSql, out: &mut dyn Write) -> Result<(), Failure> {
    let file = SqliteStore::open(&model.state_file())?;
    let database = PostgresStore::connect(options, PATIENCE).await?;
    let (volumes, jobs, states) = match to {
        Target::Postgresql => (
            file.all(None).await?,
            file.jobs(ALL.since, ALL.most).await?,
            file.states().await?,
        ),
        Target::File => (
            database.all(None).await?,
            database.jobs(ALL.since, ALL.most).await?,
            database.states().await?,
        ),
    };
    let facts = volumes
        .iter()
        .cloned()
        .map(|record| (Fact::Held(record), Weight::ReplaceKnown));
    let facts: Vec<_> = facts.collect();
    for batch in facts.chunks(BATCH) {
        match to {
            Target::Postgresql => drop(database.tell(batch.to_vec()).await?),
            Target::File => file.tell(batch.to_vec()).await?,
        }
    }
    for batch in jobs.chunks(BATCH) {
        match to {
            Target::Postgresql => database.add_jobs(batch.to_vec(), ALL).await?,
            Target::File => file.add_jobs(batch.to_vec(), ALL).await?,
        }
    }
    for state in &states {
        match to {
            Target::Postgresql => database.put_state(state.clone()).await?,
            Target::File => file.put_state(state.clone()).await?,
        }
    }
    writeln!(
        out,
        "copied to {}: {}, {}, {}",
        match to {
            Target::Postgresql => format!("the database {}", options.name),
            Target::File => model.state_file().display().to_string(),
        },
        counted(volumes.len(), "Volume"),
        counted(jobs.len(), "job"),
        counted(states.len(), "state")
    )?;
    Ok(())
}
