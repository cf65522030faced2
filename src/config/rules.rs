//! `[[Group.Rule]]`: which jobs of a group are placed otherwise than the others. The first rule that fits a job counts.

use super::diagnostics::{Problems, Span};
use super::model::{Locality, PolicyName, RoomForJob, Rule};
use super::reader::{At, Fault, Reader, Schema, Table};
use super::spelling::{did_you_mean, folded};
use super::value;
use crate::types::{DirectorName, Glob, JobLevel, JobType, StorageName};
use toml::de::DeValue;

pub(super) const RULE: Schema = Schema {
    header: "[[Group.Rule]]",
    keys: &[
        "Name",
        "Director",
        "Job",
        "Client",
        "FileSet",
        "Level",
        "Type",
        "Storages",
        "StorageGroupPolicy",
        "Locality",
        "RoomForJob",
        "Priority",
    ],
};

/// The words for `Locality`.
pub(super) const LOCALITIES: &[(&str, Locality)] = &[
    (Locality::Off.as_str(), Locality::Off),
    (Locality::Prefer.as_str(), Locality::Prefer),
    (Locality::Require.as_str(), Locality::Require),
];
/// The words for `RoomForJob`.
pub(super) const ROOMS: &[(&str, RoomForJob)] = &[
    (RoomForJob::Ignore.as_str(), RoomForJob::Ignore),
    (RoomForJob::Prefer.as_str(), RoomForJob::Prefer),
    (RoomForJob::Require.as_str(), RoomForJob::Require),
];

/// A rule as it is written. An empty list fits every job.
#[derive(Debug)]
pub(super) struct RuleTable {
    span: Span,
    name: Option<At<String>>,
    directors: Option<At<Vec<Glob>>>,
    jobs: Option<At<Vec<Glob>>>,
    clients: Option<At<Vec<Glob>>>,
    filesets: Option<At<Vec<Glob>>>,
    levels: Option<At<Vec<JobLevel>>>,
    types: Option<At<Vec<JobType>>>,
    pub(super) members: Option<At<Vec<At<StorageName>>>>,
    policy: Option<At<PolicyName>>,
    locality: Option<At<Locality>>,
    room_for_job: Option<At<RoomForJob>>,
    priority: Option<At<u32>>,
    /// Whether a key that decides which jobs it fits was refused, so that it seems to fit more than it does.
    spoiled: bool,
}

pub(super) fn read(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> RuleTable {
    let mut rule = RuleTable {
        span: table.span().clone(),
        name: table.optional("Name", value::text, reader),
        directors: table.optional("Director", one_or_more(glob), reader),
        jobs: table.optional("Job", one_or_more(glob), reader),
        clients: table.optional("Client", one_or_more(glob), reader),
        filesets: table.optional("FileSet", one_or_more(glob), reader),
        levels: table.optional("Level", one_or_more(level), reader),
        types: table.optional("Type", one_or_more(job_type), reader),
        members: table.optional_list("Storages", value::storage_name, reader),
        policy: table.optional("StorageGroupPolicy", value::policy, reader),
        locality: table.optional("Locality", value::one_of(LOCALITIES), reader),
        room_for_job: table.optional("RoomForJob", value::one_of(ROOMS), reader),
        priority: table.optional("Priority", value::whole(1..=1_000_000), reader),
        spoiled: false,
    };
    rule.spoiled = [
        ("Director", rule.directors.is_some()),
        ("Job", rule.jobs.is_some()),
        ("Client", rule.clients.is_some()),
        ("FileSet", rule.filesets.is_some()),
        ("Level", rule.levels.is_some()),
        ("Type", rule.types.is_some()),
    ]
    .into_iter()
    .any(|(key, good)| table.has(key) && !good);
    rule
}

/// One value, or a list of them.
fn one_or_more<T>(one: fn(&DeValue<'_>) -> Result<T, Fault>) -> impl Fn(&DeValue<'_>) -> Result<Vec<T>, Fault> {
    move |written| match written {
        DeValue::Array(elements) if elements.is_empty() => Err(Fault::new(
            "is empty, and no job would ever fit",
            "name something, or leave the line out",
        )),
        DeValue::Array(elements) => elements.iter().map(|element| one(element.get_ref())).collect(),
        one_value => one(one_value).map(|value| vec![value]),
    }
}

fn glob(written: &DeValue<'_>) -> Result<Glob, Fault> {
    value::text(written).map(|text| Glob::new(&text))
}

fn level(written: &DeValue<'_>) -> Result<JobLevel, Fault> {
    word(written, JobLevel::ALL, JobLevel::as_str)
}

fn job_type(written: &DeValue<'_>) -> Result<JobType, Fault> {
    word(written, JobType::ALL, JobType::as_str)
}

/// One of Bacula's words, without regard to case, blanks and underscores.
fn word<T: Copy>(written: &DeValue<'_>, all: &[T], as_str: fn(T) -> &'static str) -> Result<T, Fault> {
    let text = value::text(written)?;
    let found = all.iter().find(|one| folded(as_str(**one)) == folded(&text));
    found.copied().ok_or_else(|| {
        let words = all.iter().map(|one| as_str(*one));
        Fault::new(format!("cannot be \"{text}\""), did_you_mean(&text, words))
    })
}

/// The rules of one group, in their order.
pub(super) fn compile(tables: &[RuleTable]) -> Vec<Rule> {
    tables.iter().enumerate().map(|(at, table)| rule(at, table)).collect()
}

fn rule(at: usize, table: &RuleTable) -> Rule {
    fn list<T: Clone>(at: Option<&At<Vec<T>>>) -> Vec<T> {
        at.map(|at| at.value.clone()).unwrap_or_default()
    }
    Rule {
        name: table.title(at),
        directors: list(table.directors.as_ref()),
        jobs: list(table.jobs.as_ref()),
        clients: list(table.clients.as_ref()),
        filesets: list(table.filesets.as_ref()),
        levels: list(table.levels.as_ref()),
        types: list(table.types.as_ref()),
        members: table
            .members
            .as_ref()
            .map(|at| at.value.iter().map(|member| member.value.clone()).collect()),
        policy: table.policy.as_ref().map(|at| at.value),
        locality: table.locality.as_ref().map(|at| at.value),
        room_for_job: table.room_for_job.as_ref().map(|at| at.value),
        priority: table.priority.as_ref().map(|at| at.value),
    }
}

impl RuleTable {
    fn title(&self, at: usize) -> String {
        match &self.name {
            Some(name) => name.value.clone(),
            None => format!("rule {}", at + 1),
        }
    }
}

/// What is wrong with the rules of a group with these members, and which of them can never fit a job.
pub(super) fn check(
    rules: &[RuleTable],
    members: Option<&At<Vec<At<StorageName>>>>,
    directors: &[&DirectorName],
    problems: &mut Problems<'_>,
) {
    let compiled = compile(rules);
    for (at, (table, rule)) in rules.iter().zip(&compiled).enumerate() {
        if let (Some(own), Some(members)) = (&table.members, members) {
            subset(own, members, problems);
        }
        if table.spoiled {
            continue;
        }
        let nobody = !rule.directors.is_empty() && !directors.iter().any(|name| rule.fits_director(name));
        if let Some(named) = table.directors.as_ref().filter(|_| nobody && !directors.is_empty()) {
            let names = directors.iter().map(|name| name.as_str());
            let text = "no [[Director]] has such a name: this rule can never match";
            let first = rule.directors.first().map_or("", Glob::as_str);
            problems.warning(&named.span, text, did_you_mean(first, names));
            continue;
        }
        let earlier = rules.iter().zip(&compiled).take(at).filter(|(table, _)| !table.spoiled);
        let taker = earlier
            .map(|(_, earlier)| earlier)
            .find(|it| takes_all(it, rule, directors));
        if let Some(taker) = taker {
            let text = format!(
                "this rule can never match: \"{}\" comes before it and takes all its jobs",
                taker.name
            );
            problems.warning(&table.span, text, "put the narrower rule first, or leave this one out");
        }
    }
}

fn subset(own: &At<Vec<At<StorageName>>>, members: &At<Vec<At<StorageName>>>, problems: &mut Problems<'_>) {
    if own.value.is_empty() && !problems.has_within(&own.span) {
        let text = "this rule leaves no storage to its jobs";
        problems.error(&own.span, text, "name at least one of the group's Storages");
    }
    for storage in &own.value {
        let name = storage.value.as_str();
        if !members.value.iter().any(|member| member.value == storage.value) {
            let text = format!("the storage \"{name}\" is not in this group");
            let names = members.value.iter().map(|member| member.value.as_str());
            problems.error(&storage.span, text, did_you_mean(name, names));
        }
    }
}

/// Whether every job that fits `later` certainly fits `earlier`.
fn takes_all(earlier: &Rule, later: &Rule, directors: &[&DirectorName]) -> bool {
    let globs = |earlier: &[Glob], later: &[Glob]| {
        let any = [Glob::new("*")];
        let later = if later.is_empty() { &any } else { later };
        earlier.is_empty() || later.iter().all(|glob| earlier.iter().any(|it| it.covers(glob)))
    };
    let mut named = directors.iter().filter(|name| later.fits_director(name));
    named.all(|name| earlier.fits_director(name))
        && globs(&earlier.jobs, &later.jobs)
        && globs(&earlier.clients, &later.clients)
        && globs(&earlier.filesets, &later.filesets)
        && words(&earlier.levels, &later.levels)
        && words(&earlier.types, &later.types)
}

fn words<T: PartialEq>(earlier: &[T], later: &[T]) -> bool {
    earlier.is_empty() || (!later.is_empty() && later.iter().all(|word| earlier.contains(word)))
}
