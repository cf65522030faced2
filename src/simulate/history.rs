//! A history of jobs: from a table (CSV, tabs, what bconsole draws), from sdgroup's own, and back to CSV.

use std::collections::HashSet;
use std::io;

use crate::store::JobRecord;
use crate::table::{self, Cells, Problem};
use crate::types::{
    Bytes, ClientName, DirectorName, FileSetName, JobLevel, JobResourceName, JobType, Moment, NameError,
};

/// One job of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// When it came, in seconds of Unix time.
    pub start: f64,
    /// Whose it was.
    pub director: DirectorName,
    /// The Job resource.
    pub resource: JobResourceName,
    /// Whose files they were.
    pub client: ClientName,
    /// Which files.
    pub fileset: FileSetName,
    /// Backup, restore and so on.
    pub job_type: JobType,
    /// Full, incremental and so on.
    pub level: JobLevel,
    /// What it wrote.
    pub bytes: Bytes,
}

/// Jobs that can be played, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Jobs {
    /// Those that write.
    pub jobs: Vec<Job>,
    /// How many were left out, since what they read says where they go: restores, verifies, copies, VirtualFulls.
    pub left_out: usize,
}

/// Why a table is no history.
#[derive(Debug, thiserror::Error)]
#[error("{}", shown(.0))]
pub struct JobsError(pub Vec<Problem>);

/// The first problems, one a line.
fn shown(problems: &[Problem]) -> String {
    const SHOWN: usize = 10;
    let mut lines: Vec<String> = problems.iter().take(SHOWN).map(ToString::to_string).collect();
    if problems.len() > SHOWN {
        lines.push(format!("and {} more", problems.len() - SHOWN));
    }
    lines.join("\n")
}

impl Jobs {
    fn sorted(mut jobs: Vec<Job>) -> Self {
        let all = jobs.len();
        jobs.retain(|job| job.job_type == JobType::Backup && job.level != JobLevel::VirtualFull);
        jobs.sort_by(|one, next| one.start.total_cmp(&next.start));
        Self {
            left_out: all - jobs.len(),
            jobs,
        }
    }
}

/// sdgroup's own history.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in a double")]
pub fn from_records(records: &[JobRecord]) -> Jobs {
    let jobs = records.iter().map(|record| Job {
        start: record.arrived as f64,
        director: record.director.clone(),
        resource: record.resource.clone(),
        client: record.client.clone(),
        fileset: record.fileset.clone(),
        job_type: record.job_type,
        level: record.level,
        bytes: record.bytes,
    });
    Jobs::sorted(jobs.collect())
}

/// Which cell is what.
struct Columns {
    start: usize,
    job: usize,
    level: usize,
    bytes: usize,
    job_type: Option<usize>,
    client: Option<usize>,
    fileset: Option<usize>,
    director: Option<usize>,
}

const START: &[&str] = &["start", "starttime", "schedtime", "arrived"];
const JOB: &[&str] = &["job", "name", "resource"];
const LEVEL: &[&str] = &["level"];
const BYTES: &[&str] = &["bytes", "jobbytes"];
const TYPE: &[&str] = &["type"];
const CLIENT: &[&str] = &["client"];
const FILESET: &[&str] = &["fileset"];
const DIRECTOR: &[&str] = &["director"];

impl Columns {
    fn of(header: &Cells) -> Result<Self, Problem> {
        let cells: Vec<String> = header.cells.iter().map(|cell| cell.to_ascii_lowercase()).collect();
        let find = |names: &[&str]| names.iter().find_map(|name| cells.iter().position(|cell| cell == name));
        let needed = |names: &'static [&'static str]| {
            find(names).ok_or_else(|| Problem {
                line: header.line,
                text: format!(
                    "the first line names the columns, and none is called {}; it has {}",
                    names.join(" or "),
                    header.cells.join(", ")
                ),
            })
        };
        Ok(Self {
            start: needed(START)?,
            job: needed(JOB)?,
            level: needed(LEVEL)?,
            bytes: needed(BYTES)?,
            job_type: find(TYPE),
            client: find(CLIENT),
            fileset: find(FILESET),
            director: find(DIRECTOR),
        })
    }
}

/// Reads a table. Its first line names its columns: when the job came (`start`, `StartTime`), `job` or `Name`, `level`,
/// `bytes` or `JobBytes`, and if they are there `type`, `client`, `fileset`, `director`; in any order, among others.
///
/// # Errors
/// Every problem of the table.
pub fn read(text: &[u8]) -> Result<Jobs, JobsError> {
    let mut problems = Vec::new();
    let rows = table::rows(text, &mut problems);
    let Some((header, rows)) = rows.split_first() else {
        let text = "there is no line with the columns' names".to_owned();
        return Err(JobsError(vec![Problem { line: 1, text }]));
    };
    let columns = Columns::of(header).map_err(|problem| JobsError(vec![problem]))?;
    let mut names = Names::default();
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        match names.job(row, &columns) {
            Ok(job) => jobs.push(job),
            Err(text) => problems.push(Problem { line: row.line, text }),
        }
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.line);
        return Err(JobsError(problems));
    }
    Ok(Jobs::sorted(jobs))
}

/// Names that occur again and again are kept once.
#[derive(Default)]
struct Names {
    directors: HashSet<DirectorName>,
    resources: HashSet<JobResourceName>,
    clients: HashSet<ClientName>,
    filesets: HashSet<FileSetName>,
}

impl Names {
    fn job(&mut self, row: &Cells, columns: &Columns) -> Result<Job, String> {
        let cell = |at: usize| row.cells.get(at).map_or("", String::as_str);
        let told =
            |at: Option<usize>, default: &'static str| at.map(cell).filter(|it| !it.is_empty()).unwrap_or(default);
        let bytes = cell(columns.bytes).replace(',', "");
        Ok(Job {
            start: time(cell(columns.start))
                .ok_or_else(|| format!("\"{}\" is no time like 2026-11-23 00:20:37", cell(columns.start)))?,
            director: once(
                &mut self.directors,
                told(columns.director, "director"),
                DirectorName::new,
            )?,
            resource: once(&mut self.resources, cell(columns.job), JobResourceName::new)?,
            client: once(&mut self.clients, told(columns.client, "client"), ClientName::new)?,
            fileset: once(&mut self.filesets, told(columns.fileset, "fileset"), FileSetName::new)?,
            job_type: job_type(told(columns.job_type, "B"))
                .ok_or_else(|| format!("\"{}\" is no type of a job", told(columns.job_type, "")))?,
            level: JobLevel::from_word(cell(columns.level))
                .ok_or_else(|| format!("\"{}\" is no level", cell(columns.level)))?,
            bytes: Bytes(
                bytes
                    .parse()
                    .map_err(|_| format!("\"{bytes}\" is no number of bytes"))?,
            ),
        })
    }
}

/// The catalog has two types more than Directors announce: a copy, and a backup that was migrated later
/// (`JT_MIGRATED_JOB`).
fn job_type(word: &str) -> Option<JobType> {
    match word {
        "C" => Some(JobType::JOB_COPY),
        "M" => Some(JobType::Backup),
        _ => JobType::from_word(word),
    }
}

fn once<N: Clone + Eq + std::hash::Hash + std::borrow::Borrow<str>>(
    known: &mut HashSet<N>,
    text: &str,
    make: fn(&str) -> Result<N, NameError>,
) -> Result<N, String> {
    if let Some(name) = known.get(text) {
        return Ok(name.clone());
    }
    let name = make(text).map_err(|error| format!("\"{text}\" is no name: {error}"))?;
    known.insert(name.clone());
    Ok(name)
}

/// Seconds of Unix time: as a number, or as a date and time of day, which is taken as UTC.
fn time(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in a double")]
    Moment::parse(text).map(|moment| moment.0 as f64)
}

/// Writes `jobs` as CSV that [`read`] takes.
///
/// # Errors
/// When it cannot be written.
pub fn write(jobs: &[Job], to: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record([
        "start", "director", "job", "level", "type", "client", "fileset", "bytes",
    ])?;
    for job in jobs {
        let code = |code: u8| char::from(code).to_string();
        writer.write_record([
            format!("{:.0}", job.start).as_str(),
            job.director.as_str(),
            job.resource.as_str(),
            &code(job.level.code()),
            &code(job.job_type.code()),
            job.client.as_str(),
            job.fileset.as_str(),
            &job.bytes.0.to_string(),
        ])?;
    }
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bconsole_prints_is_a_history() {
        let text = "\
+---------------------+---------+-------+------+--------+----------+
| StartTime           | Name    | Level | Type | Client | JobBytes |
+---------------------+---------+-------+------+--------+----------+
| 2026-11-23 00:20:37 | Nightly | F     | B    | my pc  |   12,345 |
| 2026-11-22 00:20:37 | Nightly | Incr  | B    | my pc  |        0 |
+---------------------+---------+-------+------+--------+----------+
";
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "line 5: \"Incr\" is no level");
        let jobs = read(text.replace("Incr ", "I    ").as_bytes()).unwrap().jobs;
        assert_eq!(jobs.len(), 2);
        assert_eq!(
            (jobs[0].start, jobs[0].bytes),
            (1_795_306_837.0, Bytes(0)),
            "in the order of their starts"
        );
        assert_eq!((jobs[1].start, jobs[1].bytes), (1_795_393_237.0, Bytes(12_345)));
        assert_eq!(jobs[1].client.as_str(), "my pc");
    }

    #[test]
    fn a_history_comes_back_from_csv() {
        let text = "start,job,level,bytes,type\n100,A,F,5,B\n200,B,differential,7,\n150,R,,9,Restore\n";
        let read_once = read(text.as_bytes()).unwrap();
        assert_eq!((read_once.jobs.len(), read_once.left_out), (2, 1));
        let mut written = Vec::new();
        write(&read_once.jobs, &mut written).unwrap();
        assert_eq!(read(&written).unwrap().jobs, read_once.jobs);
    }

    #[test]
    fn what_goes_where_its_parts_are_is_left_out() {
        let text = "start,job,level,bytes,type\n100,A,F,5,M\n200,A,f,7,B\n300,A,F,5,C\n400,A,I,1,B\n";
        let jobs = read(text.as_bytes()).unwrap();
        let levels: Vec<_> = jobs.jobs.iter().map(|job| job.level).collect();
        assert_eq!(levels, [JobLevel::Full, JobLevel::Incremental]);
        assert_eq!(jobs.left_out, 2);
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told_with_its_line() {
        for (text, told) in [
            ("", "line 1: there is no line with the columns' names"),
            (
                "start,job,level\n",
                "none is called bytes or jobbytes; it has start, job, level",
            ),
            ("start,job,level,bytes\nsoon,A,F,1\n", "line 2: \"soon\" is no time"),
            (
                "start,job,level,bytes\n1,A,F,many\n",
                "line 2: \"many\" is no number of bytes",
            ),
            ("start,job,level,bytes\n1,,F,1\n", "line 2: \"\" is no name"),
            ("start,job,level,bytes\n2026-13-01 00:00,A,F,1\n", "is no time"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
