//! `sdgroup status`: every group with a table of its storages, once or again and again.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};

use super::client::Client;
use super::handover::succession;
use super::storages::{TOO_FULL, decision};
use super::{Failure, counted, missing, print_json};
use crate::admin::api::groups::GroupShown;
use crate::admin::api::overview::OverviewShown;
use crate::admin::api::peers::PeerShown;
use crate::admin::api::process::ProcessShown;
use crate::admin::api::storages::StorageShown;
use crate::group::Spoken;
use crate::table::{Side, columns};
use crate::types::{Bytes, Moment};

/// Bytes of a megabyte, as Bacula counts them in rates.
const MEGABYTE: u64 = 1_000_000;

/// Puts a terminal's cursor into its first place; what is below the last line is removed by the other.
const TOP: &str = "\x1b[H";
const REST: &str = "\x1b[J";

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Only this group.
    group: Option<String>,
    /// As JSON; with --watch one object a line.
    #[arg(long)]
    json: bool,
    /// Again and again, every two seconds or every so many, until Ctrl-C.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// Fails with exit code 5 if sdgroup is not ready, or a group has no storage that can take a job.
    #[arg(long, conflicts_with = "watch")]
    check: bool,
    /// Whether the text has colours.
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Colour {
    fn is_wanted(self) -> bool {
        match self {
            Self::Auto => anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

pub(super) fn run(command: &Status, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let client = Client::of(config)?;
    let Some(seconds) = command.watch else {
        let overview = ask(command, &client)?;
        if command.json {
            print_json(&overview, out)?;
        } else {
            write!(out, "{}", text(&overview, command.color.is_wanted()))?;
        }
        return if command.check { check(&overview) } else { Ok(()) };
    };
    loop {
        // A daemon that is started anew is waited for.
        let told = match ask(command, &client) {
            Err(Failure::Unasked(text)) => Err(text),
            other => Ok(other?),
        };
        match told {
            Ok(overview) if command.json => {
                let line = serde_json::to_string(&overview).map_err(|error| Failure::text(error.to_string()))?;
                writeln!(out, "{line}")?;
            }
            Ok(overview) => draw(&text(&overview, command.color.is_wanted()), out)?,
            Err(text) if command.json => return Err(Failure::Unasked(text)),
            Err(text) => draw(&format!("{text}\n"), out)?,
        }
        out.flush()?;
        thread::sleep(Duration::from_secs(seconds));
    }
}

/// Over what was drawn before on a terminal, below it elsewhere.
fn draw(text: &str, out: &mut dyn Write) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        return Ok(writeln!(out, "{text}")?);
    }
    // Each line's rest is removed as it is written: a screen that was emptied first would flicker.
    let lines = text.replace('\n', "\x1b[K\r\n");
    Ok(write!(out, "{TOP}{lines}{REST}")?)
}

fn ask(command: &Status, client: &Client) -> Result<OverviewShown, Failure> {
    let mut overview: OverviewShown = client.get("/api/v1/overview")?;
    if let Some(name) = &command.group {
        if !overview.groups.iter().any(|group| group.name == *name) {
            let all = overview.groups.iter().map(|group| group.name.as_str());
            return Err(missing("group", name, all));
        }
        overview.groups.retain(|group| group.name == *name);
        overview.storages.retain(|storage| storage.groups.contains(name));
    }
    Ok(overview)
}

fn check(overview: &OverviewShown) -> Result<(), Failure> {
    let stuck = overview.groups.iter().filter(|group| group.usable_storages == 0);
    let mut troubles: Vec<String> = stuck
        .map(|group| format!("group {}: no storage can take a job", group.name))
        .collect();
    if overview.process.phase != "ready" {
        troubles.push(format!("sdgroup is {}", overview.process.phase));
    }
    match troubles.as_slice() {
        [] => Ok(()),
        troubles => Err(Failure::NotSo(troubles.join("; "))),
    }
}

/// What is well, what needs a look, and what is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Plain,
    Good,
    Fair,
    Bad,
}

impl Mood {
    fn paint(self, text: &str, colours: bool) -> String {
        let colour = match self {
            _ if !colours || text.is_empty() => return text.to_owned(),
            Self::Plain => return text.to_owned(),
            Self::Good => AnsiColor::Green,
            Self::Fair => AnsiColor::Yellow,
            Self::Bad => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{text}{style:#}")
    }
}

fn text(overview: &OverviewShown, colours: bool) -> String {
    let mut text = process(&overview.process, colours);
    text += &peers(&overview.peers, colours);
    for group in &overview.groups {
        text += &heading(group, colours);
        let members = group.storages.iter();
        let members: Vec<&StorageShown> = members
            .filter_map(|name| overview.storages.iter().find(|storage| storage.name == *name))
            .collect();
        text += &table(&members, colours);
    }
    let spare: Vec<&StorageShown> = overview.storages.iter().filter(|it| it.groups.is_empty()).collect();
    if !spare.is_empty() {
        text += "\nin no group\n";
        text += &table(&spare, colours);
    }
    text
}

fn process(process: &ProcessShown, colours: bool) -> String {
    let age = Moment::parse(&process.now)
        .zip(Moment::parse(&process.started))
        .map(|(now, started)| now.since(started))
        .unwrap_or_default();
    let mood = if process.phase == "ready" {
        Mood::Good
    } else {
        Mood::Fair
    };
    let mut text = format!(
        "{} {}, {}, started {} ago: {}, {}\n",
        process.name,
        process.version,
        mood.paint(&process.phase, colours),
        Spoken(age),
        counted(process.jobs, "job"),
        counted(process.sessions, "session"),
    );
    let obstacles = process.obstacles.iter().map(|line| (Mood::Bad, line));
    let succession = succession(process);
    let remarks = process.remarks.iter().chain(&succession).map(|line| (Mood::Fair, line));
    for (mood, line) in obstacles.chain(remarks) {
        text += &mood.paint(line, colours);
        text.push('\n');
    }
    text
}

/// A table of the sdgroups that share the store; nothing without `[Peers]`.
fn peers(peers: &[PeerShown], colours: bool) -> String {
    if peers.is_empty() {
        return String::new();
    }
    let head = ["  sdgroup", "jobs", "waiting", "address", "version", "heard"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(peers.iter().map(|peer| {
        let last = match peer {
            PeerShown { is_this: true, .. } => "this one".to_owned(),
            PeerShown {
                is_alive: true,
                silent_seconds,
                ..
            } => format!("{silent_seconds} s ago"),
            peer => {
                let ago = Spoken(Duration::from_secs(peer.silent_seconds));
                Mood::Bad.paint(&format!("{ago} ago: its jobs count no more"), colours)
            }
        };
        vec![
            format!("  {}", peer.name),
            peer.jobs.to_string(),
            peer.waiting_jobs.to_string(),
            peer.address.clone(),
            peer.version.clone(),
            last,
        ]
    }));
    let sides = [Side::Left, Side::Right, Side::Right, Side::Left, Side::Left, Side::Left];
    format!("\n{}", columns(&rows, &sides))
}

fn heading(group: &GroupShown, colours: bool) -> String {
    let bold = if colours { Style::new().bold() } else { Style::new() };
    let (usable, all) = (group.usable_storages, group.storages.len());
    let mood = match usable {
        0 => Mood::Bad,
        _ if usable < all => Mood::Fair,
        _ => Mood::Good,
    };
    let gets = mood.paint(&format!("{usable} of {} get jobs", counted(all, "storage")), colours);
    let mut text = format!(
        "\n{bold}{}{bold:#} by {}: {}, {} waiting, {gets}\n",
        group.name,
        group.policy,
        counted(group.jobs, "job"),
        group.waiting_jobs,
    );
    if let Some(warning) = &group.warning {
        let _ = writeln!(text, "  {}", Mood::Fair.paint(&format!("Warning: {warning}"), colours));
    }
    text
}

fn table(storages: &[&StorageShown], colours: bool) -> String {
    let head = [
        "  storage",
        "state",
        "probes",
        "jobs",
        "MB/s to",
        "MB/s from",
        "free",
        "of",
        "release",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(storages.iter().map(|storage| row(storage, colours)));
    let sides = [
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Right,
    ];
    let sides = [&sides[..], &[Side::Left]].concat();
    let lines = columns(&rows, &sides);
    let mut text = String::new();
    let mut lines = lines.lines();
    let _ = writeln!(text, "{}", lines.next().unwrap_or_default());
    for (line, storage) in lines.zip(storages) {
        let _ = writeln!(text, "{line}");
        for (mood, note) in notes(storage) {
            let _ = writeln!(text, "      {}", mood.paint(&note, colours));
        }
    }
    text
}

fn row(storage: &StorageShown, colours: bool) -> Vec<String> {
    let size = |bytes: Option<u64>| bytes.map_or_else(String::new, |bytes| Bytes(bytes).to_string());
    let state = match storage.state.as_str() {
        "ready" => Mood::Plain,
        _ => Mood::Fair,
    };
    let probes = match (storage.availability.as_str(), storage.ejected_seconds) {
        ("down", _) => Mood::Bad,
        ("up", None) => Mood::Good,
        _ => Mood::Fair,
    };
    vec![
        format!("  {}", storage.name),
        state.paint(&storage.state, colours),
        probes.paint(&storage.availability, colours),
        storage.jobs_limit.map_or_else(
            || storage.jobs.to_string(),
            |limit| format!("{} of {limit}", storage.jobs),
        ),
        megabytes(storage.to_storage_bytes_per_second),
        megabytes(storage.from_storage_bytes_per_second),
        size(storage.free_bytes),
        size(storage.total_bytes),
        storage.release.clone().unwrap_or_default(),
    ]
}

/// What stands below a storage's row.
fn notes(storage: &StorageShown) -> Vec<(Mood, String)> {
    let mut notes = Vec::new();
    if storage.by.is_some() {
        notes.push((Mood::Fair, decision(storage)));
    }
    if let Some(left) = storage.ejected_seconds {
        notes.push((Mood::Fair, format!("failed jobs and gets none for {left} s")));
    }
    if storage.too_full {
        notes.push((Mood::Fair, TOO_FULL.to_owned()));
    }
    if let Some(trouble) = &storage.trouble {
        notes.push((Mood::Bad, trouble.clone()));
    }
    notes
}

/// With one digit behind the point.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).saturating_add(MEGABYTE / 2) / MEGABYTE;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::process::PredecessorShown;

    fn storage(name: &str) -> StorageShown {
        StorageShown {
            name: name.to_owned(),
            groups: vec!["Files".to_owned()],
            state: "ready".to_owned(),
            by: None,
            reason: None,
            since: None,
            until: None,
            availability: "up".to_owned(),
            ejected_seconds: None,
            trouble: None,
            too_full: false,
            gets_jobs: true,
            jobs: 3,
            reading_jobs: 0,
            jobs_limit: Some(20),
            free_bytes: Some(69_700_000_000),
            total_bytes: Some(270_600_000_000),
            room_age_seconds: Some(3),
            release: Some("15.0".to_owned()),
            to_storage_bytes_per_second: 112_349_999,
            from_storage_bytes_per_second: 0,
        }
    }

    fn peer(name: &str, silent_seconds: u64) -> PeerShown {
        PeerShown {
            name: name.to_owned(),
            address: format!("{name}.example.com:9103"),
            version: "0.1.0".to_owned(),
            jobs: 3,
            waiting_jobs: 1,
            silent_seconds,
            is_alive: silent_seconds < 10,
            is_this: silent_seconds == 0,
        }
    }

    fn overview() -> OverviewShown {
        let down = StorageShown {
            availability: "down".to_owned(),
            trouble: Some("connection refused by 192.0.2.5:9103".to_owned()),
            jobs: 0,
            free_bytes: None,
            total_bytes: None,
            to_storage_bytes_per_second: 0,
            ..storage("File5")
        };
        let draining = StorageShown {
            too_full: true,
            state: "draining".to_owned(),
            by: Some("ann".to_owned()),
            reason: Some("new disks".to_owned()),
            since: Some("2026-11-24T08:00:00Z".to_owned()),
            jobs_limit: None,
            ..storage("Archive")
        };
        OverviewShown {
            process: ProcessShown {
                name: "sdgroup".to_owned(),
                version: "0.1.0".to_owned(),
                pid: 7,
                phase: "ready".to_owned(),
                started: "2026-11-24T08:00:00Z".to_owned(),
                now: "2026-11-24T09:30:00Z".to_owned(),
                obstacles: Vec::new(),
                remarks: vec!["the database is away".to_owned()],
                is_replaced: true,
                predecessors: vec![PredecessorShown {
                    pid: 6,
                    version: "0.0.9".to_owned(),
                    jobs: 1,
                }],
                jobs: 6,
                sessions: 13,
            },
            peers: vec![peer("a", 0), peer("b", 1), peer("c", 185)],
            groups: vec![GroupShown {
                name: "Files".to_owned(),
                policy: "LeastUsed".to_owned(),
                shadow_policy: None,
                addresses: Vec::new(),
                storages: ["File4", "File5", "Archive"].map(str::to_owned).to_vec(),
                usable_storages: 1,
                jobs: 6,
                waiting_jobs: 0,
                warning: None,
            }],
            storages: vec![storage("File4"), down, draining],
            jobs: Vec::new(),
            placements: Vec::new(),
            failovers: Vec::new(),
        }
    }

    #[test]
    fn a_group_is_read_at_a_glance() {
        insta::assert_snapshot!(text(&overview(), false), @r#"
        sdgroup 0.1.0, ready, started 1 h 30 min ago: 6 jobs, 13 sessions
        the database is away
        its program has been replaced since it began: "sdgroup handover" starts the new one
        process 6, version 0.0.9, has handed over and has 1 job yet

          sdgroup  jobs  waiting  address             version  heard
          a           3        1  a.example.com:9103  0.1.0    this one
          b           3        1  b.example.com:9103  0.1.0    1 s ago
          c           3        1  c.example.com:9103  0.1.0    3 min 5 s ago: its jobs count no more

        Files by LeastUsed: 6 jobs, 0 waiting, 1 of 3 storages get jobs
          storage  state     probes     jobs  MB/s to  MB/s from     free        of  release
          File4    ready     up      3 of 20    112.3        0.0  69.7 GB  270.6 GB  15.0
          File5    ready     down    0 of 20      0.0        0.0                     15.0
              connection refused by 192.0.2.5:9103
          Archive  draining  up            3    112.3        0.0  69.7 GB  270.6 GB  15.0
              draining by ann (new disks) since 2026-11-24T08:00:00Z
              is too full: it has reached its high water mark and gets no jobs that write
        "#);
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let painted = text(&overview(), true);
        assert!(painted.contains("\x1b[31mdown\x1b[0m"), "{painted:?}");
        assert!(painted.contains("\x1b[33mdraining\x1b[0m"), "{painted:?}");
        let plain = anstream::adapter::strip_str(&painted).to_string();
        assert_eq!(plain, text(&overview(), false));
    }

    #[test]
    fn a_check_tells_what_is_not_well() {
        let mut overview = overview();
        assert!(check(&overview).is_ok());
        overview.groups[0].usable_storages = 0;
        let told = check(&overview);
        assert!(
            matches!(&told, Err(Failure::NotSo(text)) if text.contains("group Files")),
            "{told:?}"
        );
    }
}
