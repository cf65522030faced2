//! `sdgroup explain`: what would happen to a job that came now.

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::client::Client;
use super::{Failure, print_json};
use crate::admin::api::explain::{ExplainWanted, Explained};
use crate::admin::api::explanation::{ExplanationShown, MemberShown};
use crate::table::{Side, columns};
use crate::types::Bytes;

/// What is left out is taken from the job's last run, if one is remembered.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The Job resource.
    #[arg(long, value_name = "NAME")]
    job: String,
    /// Full, Incremental, Differential; Full when left out.
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
    /// The group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// The Director.
    #[arg(long, value_name = "NAME")]
    director: Option<String>,
    /// The Client.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// The FileSet.
    #[arg(long, value_name = "NAME")]
    fileset: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Explain, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let wanted = ExplainWanted {
        group: command.group.clone(),
        job: command.job.clone(),
        level: command.level.clone(),
        job_type: None,
        director: command.director.clone(),
        client: command.client.clone(),
        fileset: command.fileset.clone(),
    };
    let explained: Explained = Client::of(config)?.post("/api/v1/explain", &wanted)?;
    if command.json {
        return print_json(&explained, out);
    }
    let Explained {
        group,
        director,
        job,
        level,
        client,
        fileset,
        ..
    } = &explained;
    writeln!(
        out,
        "Job {job}, {level}, of Director {director}, Client {client}, FileSet {fileset}, in group {group}"
    )?;
    if !explained.is_known {
        writeln!(out, "No run of this job is remembered.")?;
    }
    writeln!(out)?;
    Ok(write!(out, "{}", told(&explained.explanation))?)
}

/// What was weighed, as text.
pub(super) fn told(explanation: &ExplanationShown) -> String {
    let mut text = String::new();
    let mut line = |words: String| text.push_str(&(words + "\n"));
    match (&explanation.storage, &explanation.policy) {
        (Some(storage), Some(policy)) => line(format!("{storage} by {policy}")),
        (Some(storage), None) => line(format!("{storage}, which it is bound to")),
        (None, _) => line("No storage can take it".to_owned()),
    }
    if let Some(obstacle) = &explanation.obstacle {
        line(obstacle.clone());
    }
    if let Some(rule) = &explanation.rule {
        line(format!("under {rule}"));
    }
    if let Some(expected) = explanation.expected_bytes {
        line(format!("expected to write {}", Bytes(expected)));
    }
    if explanation.pardoned {
        line("All that could serve it are ejected, so that is overlooked.".to_owned());
    }
    if let Some(shadow) = &explanation.shadow {
        line(format!("{} would take {}", shadow.policy, shadow.storage));
    }
    text.push('\n');
    let head = [
        "rank",
        "storage",
        "jobs",
        "free",
        "a second",
        "chosen",
        "had it",
        "to be known",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut members: Vec<&MemberShown> = explanation.members.iter().collect();
    members.sort_by_key(|member| member.rank.unwrap_or(usize::MAX));
    rows.extend(members.into_iter().map(row));
    let sides = [
        Side::Right,
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Left,
    ];
    text + &columns(&rows, &sides)
}

fn row(member: &MemberShown) -> Vec<String> {
    let size = |bytes: Option<u64>| bytes.map_or_else(String::new, |bytes| Bytes(bytes).to_string());
    let ago = |ago: Option<u64>| ago.map_or_else(|| "never".to_owned(), |ago| format!("{ago} ago"));
    let marks = [
        (member.is_home, "has the last full"),
        (member.has_part, "has its first part"),
        (member.lacks_room, "lacks room"),
        (member.is_at_target, "at its target"),
    ];
    let marks = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark);
    let known: Vec<&str> = member.objection.as_deref().into_iter().chain(marks).collect();
    vec![
        member.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string()),
        member.storage.clone(),
        member.jobs_limit.map_or_else(
            || member.jobs.to_string(),
            |limit| format!("{} of {limit}", member.jobs),
        ),
        size(member.free_bytes),
        size(member.most_bytes_per_second),
        ago(member.chosen_placements_ago),
        ago(member.had_it_placements_ago),
        known.join(", "),
    ]
}
