//! `sdgroup simulate`: what would have been under another policy, before it is switched to.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, block_on, counted, loaded, missing, read_bounded};
use crate::config::model::{Model, PolicyName};
use crate::config::spelling::did_you_mean;
use crate::config::{self, MachineSecrets};
use crate::simulate::{self, Hardware, Jobs, Outcome, Recipe, plot, report};
use crate::store::{SqliteStore, Store};
use crate::types::{Bytes, GroupName};

/// A history is never larger; it is read before it is looked at.
const MAX_HISTORY: Bytes = Bytes(1_000_000_000);

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// The history to play: a table (CSV, tabs, or what bconsole prints) with the columns start, job, level, bytes, and
    /// if they are there type, client, fileset, director; - is standard input. Without it, sdgroup's own history is
    /// played.
    #[arg(long, value_name = "FILE")]
    jobs: Option<PathBuf>,
    /// A policy to play; may be given several times. All of them when left out.
    #[arg(long, value_name = "NAME")]
    policy: Vec<String>,
    /// The group to play, if there are several.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Another configuration whose group is played as well; may be given several times. With it, the one of -c is not.
    #[arg(long, value_name = "FILE")]
    layout: Vec<PathBuf>,
    /// How fast and how large the storages are, and when they fail (TOML); see deploy/simulate/hardware.toml.
    #[arg(long, value_name = "FILE")]
    hardware: Option<PathBuf>,
    /// What chance begins with, where a policy uses it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Writes a picture of it as well.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Prints a made-up history as CSV instead, for example "clients=60 days=28 median=40GB seed=1".
    #[arg(long, value_name = "RECIPE", num_args = 0..=1, default_missing_value = "",
          conflicts_with_all = ["jobs", "policy", "group", "layout", "hardware", "json", "svg"])]
    generate: Option<String>,
}

pub(super) fn run(command: &Simulate, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(recipe) = &command.generate {
        let jobs = simulate::generate(&parsed(recipe)?).map_err(|error| Failure::text(error.to_string()))?;
        return Ok(simulate::write(&jobs, out)?);
    }
    let policies = policies(&command.policy)?;
    let layouts = layouts(command, config)?;
    let hardware = hardware(command.hardware.as_deref(), &layouts)?;
    let jobs = history(command, config)?;
    let mut outcomes = Vec::new();
    for layout in &layouts {
        for policy in &policies {
            outcomes.push(play(layout, *policy, &jobs, &hardware, command.seed)?);
        }
    }
    if let Some(path) = &command.svg {
        let failed = |error| Failure::text(format!("cannot write {}: {error}", path.display()));
        fs::write(path, plot::svg(&outcomes)).map_err(failed)?;
    }
    if command.json {
        let json = report::json(&outcomes).map_err(|error| Failure::text(error.to_string()))?;
        writeln!(out, "{json}")?;
        return Ok(());
    }
    let played = counted(jobs.jobs.len(), "job");
    match jobs.left_out {
        0 => writeln!(out, "{played}\n")?,
        others => writeln!(
            out,
            "{played}; {others} are left out, since what they read says where they go\n"
        )?,
    }
    write!(out, "{}", report::text(&outcomes))?;
    Ok(())
}

/// One group of one configuration.
struct Layout {
    name: String,
    model: Model,
    group: GroupName,
}

fn play(layout: &Layout, policy: PolicyName, jobs: &Jobs, hardware: &Hardware, seed: u64) -> Result<Outcome, Failure> {
    let Layout { name, model, group } = layout;
    simulate::run(model, group, policy, &jobs.jobs, hardware, seed, name)
        .map_err(|error| Failure::text(error.to_string()))
}

fn policies(names: &[String]) -> Result<Vec<PolicyName>, Failure> {
    if names.is_empty() {
        return Ok(PolicyName::ALL.to_vec());
    }
    let parse = |name: &String| {
        name.parse().map_err(|error| {
            let all = PolicyName::ALL.iter().map(|policy| policy.as_str());
            Failure::text(format!("\"{name}\": {error}; {}", did_you_mean(name, all)))
        })
    };
    names.iter().map(parse).collect()
}

fn layouts(command: &Simulate, config: &Path) -> Result<Vec<Layout>, Failure> {
    let files: Vec<&Path> = match command.layout.as_slice() {
        [] => vec![config],
        several => several.iter().map(PathBuf::as_path).collect(),
    };
    files
        .into_iter()
        .map(|file| layout(file, command.group.as_deref()))
        .collect()
}

fn layout(file: &Path, group: Option<&str>) -> Result<Layout, Failure> {
    let model = loaded(file, &MachineSecrets::only_checking())?.model;
    let names = || model.groups.iter().map(|group| group.name.as_str());
    let found = match (group, model.groups.as_slice()) {
        (Some(name), _) => {
            let group = format!("group in {}", file.display());
            model.group(name).ok_or_else(|| missing(&group, name, names()))?
        }
        (None, [only]) => only,
        (None, _) => {
            let all = names().collect::<Vec<_>>().join(", ");
            return Err(Failure::text(format!(
                "{}: say which group with --group: {all}",
                file.display()
            )));
        }
    };
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Layout {
        name,
        group: found.name.clone(),
        model,
    })
}

fn hardware(file: Option<&Path>, layouts: &[Layout]) -> Result<Hardware, Failure> {
    let Some(file) = file else {
        return Ok(Hardware::default());
    };
    let told = |error: &dyn std::fmt::Display| Failure::text(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| told(&error))?;
    let hardware = Hardware::parse(&text).map_err(|error| told(&error))?;
    for storage in hardware.storages() {
        if !layouts
            .iter()
            .any(|layout| layout.model.storage(storage.as_str()).is_some())
        {
            let all = layouts.iter().flat_map(|layout| &layout.model.storages);
            let advice = did_you_mean(storage.as_str(), all.map(|storage| storage.name.as_str()));
            return Err(told(&format_args!("there is no storage \"{storage}\"; {advice}")));
        }
    }
    Ok(hardware)
}

fn history(command: &Simulate, config: &Path) -> Result<Jobs, Failure> {
    let jobs = match &command.jobs {
        Some(file) => {
            let text = read_bounded(file, MAX_HISTORY)?;
            let told = |error| Failure::text(format!("{} is no history:\n{error}", file.display()));
            simulate::read(&text).map_err(told)?
        }
        None => own_history(config)?,
    };
    if jobs.jobs.is_empty() {
        return Err(Failure::text("there is no job in the history that writes"));
    }
    Ok(jobs)
}

fn own_history(config: &Path) -> Result<Jobs, Failure> {
    let model = loaded(config, &MachineSecrets::only_checking())?.model;
    let path = model.state_file();
    if !path.exists() {
        return Err(Failure::text(format!(
            "there is no history in {}; name one with --jobs FILE",
            path.display()
        )));
    }
    let store = SqliteStore::open(&path)?;
    let records = block_on(async { Ok(store.jobs(0, u64::MAX).await?) })?;
    Ok(simulate::from_records(&records))
}

/// `clients=60 days=28 median=40GB seed=1`, each of which may be left out.
fn parsed(text: &str) -> Result<Recipe, Failure> {
    let mut recipe = Recipe::default();
    for term in text.split_whitespace() {
        let (key, value) = term.split_once('=').unwrap_or((term, ""));
        let wrong = || {
            Failure::text(format!(
                "\"{term}\" is no part of a recipe: write clients=60 days=28 median=40GB seed=1"
            ))
        };
        match key {
            "clients" => recipe.clients = value.parse().map_err(|_| wrong())?,
            "days" => recipe.days = value.parse().map_err(|_| wrong())?,
            "median" => recipe.median_full = Bytes(config::units::size(value).map_err(|_| wrong())?),
            "seed" => recipe.seed = value.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        }
    }
    Ok(recipe)
}
