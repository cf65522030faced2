//! The command line: what the operator types, and the exit code that he gets.
//!
//! [`EXIT_CODES`] says what each exit code means.

mod adopt;
mod check;
mod client;
mod explain;
mod generated;
mod handover;
mod jobs;
mod print;
mod reload;
mod run;
mod sessions;
mod simulate;
mod states;
mod status;
mod storages;
mod store;
mod volumes;

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use serde::Serialize;

use crate::config::spelling::did_you_mean;
use crate::config::{self, Loaded, Problem, SecretReader};
use crate::types::{Bytes, State};

/// Where the configuration is when nothing is said.
const DEFAULT_CONFIG: &str = "/etc/sdgroup/sdgroup.toml";

/// What scripts can rely on; in `--help` and in the manual page.
const EXIT_CODES: &str = "Exit codes:
  0  It was done.
  1  It failed; standard error says why.
  2  The command line cannot be understood.
  3  The daemon cannot be asked: it is not running, or somebody else may ask it.
  4  What was named is not there: no such storage, group, Director, job, session or Volume.
  5  What was waited for, or checked with --check, is not so.";

/// A storage-group load-balancing proxy for Bacula.
#[derive(Debug, Parser)]
#[command(name = "sdgroup", version, about, arg_required_else_help = true, after_help = EXIT_CODES)]
struct CommandLine {
    /// The configuration file.
    #[arg(short = 'c', long = "config", value_name = "FILE", global = true, default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Checks the configuration and ends, as "sdgroup check" does and as Bacula's daemons do.
    #[arg(short = 't')]
    test: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the daemon in the foreground.
    Run,
    /// Checks the configuration: tells every problem at once, and fails if one is an error.
    Check {
        /// Logs in to every storage, too, as a probe does: fails if one cannot be used, and warns of groups whose
        /// storages are of different releases of Bacula.
        #[arg(long)]
        connect: bool,
        /// Looks at the Director's configuration, too (bacula-dir.conf, or what bdirjson prints), and warns of what
        /// does not go together with this one.
        #[arg(long, value_name = "FILE")]
        director: Option<PathBuf>,
    },
    /// Makes a configuration of those that Bacula's Director and Storage Daemons have.
    Adopt(adopt::Adopt),
    /// Prints resources for Bacula's own configuration files, to paste.
    #[command(subcommand)]
    Print(print::Command),
    /// Has the running daemon read its configuration anew: all of it is put into force at once, or nothing, and running
    /// jobs go on.
    Reload(reload::Reload),
    /// Has the running daemon start the program anew and hand over to it: the new process takes every new job, the old
    /// one ends when its jobs have. For an upgrade, and for what a reload cannot apply.
    Handover(handover::Handover),
    /// Plays a history of jobs under one or several policies and groups, with the code that places jobs in the daemon.
    Simulate(simulate::Simulate),
    /// Tells how the groups and their storages are, by the running daemon.
    Status(status::Status),
    /// Tells how the storages are, in one table.
    Storages(storages::Storages),
    /// Tells which jobs run, wait or have ended lately, and with a job all that was weighed when it was placed.
    Jobs(jobs::Jobs),
    /// Tells where a job would go that came now, and why.
    Explain(explain::Explain),
    /// Gives a storage no new jobs that write; those on it end, restores are served. For one that is to be empty for a
    /// while.
    Drain(states::Change),
    /// Gives a storage no new jobs that write for good: as drain, but its jobs' incrementals are not kept waiting for
    /// it.
    Seal(states::Change),
    /// Gives a storage no new jobs at all, not even restores; those on it end.
    Maintain(states::Change),
    /// Gives a storage jobs again.
    Ready(states::Ready),
    /// Tells who is connected: Directors, Clients and storages.
    Sessions(sessions::Sessions),
    /// Ends a session, and the job that is carried on in it.
    End(sessions::End),
    /// Prints what a shell needs to complete this command line.
    Completions(generated::Completions),
    /// Writes the manual pages, section 8, one for each command.
    Man(generated::Man),
    /// Looks at the volume ledger and corrects it: which storage holds which Volume.
    #[command(subcommand)]
    Volumes(volumes::Command),
    /// Prepares the database that several sdgroups share, and copies into it or out of it.
    #[command(subcommand)]
    Store(store::Command),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    // Not locked: a daemon's log may go there too, from other threads.
    let mut out = io::stdout();
    let result = match (line.test, line.command) {
        (true, None) => check::check(&line.config, false, None, &mut out),
        (false, Some(Command::Check { connect, director })) => {
            check::check(&line.config, connect, director.as_deref(), &mut out)
        }
        (false, Some(Command::Adopt(command))) => adopt::run(&command, &mut out),
        (false, Some(Command::Print(command))) => print::run(&command, &line.config, &mut out),
        (false, Some(Command::Run)) => run::run(&line.config),
        (false, Some(Command::Handover(handover))) => handover::run(handover, &line.config, &mut out),
        (false, Some(Command::Reload(reload))) => reload::run(reload, &line.config, &mut out),
        (false, Some(Command::Volumes(command))) => volumes::run(&command, &line.config, &mut out),
        (false, Some(Command::Store(command))) => store::run(&command, &line.config, &mut out),
        (false, Some(Command::Simulate(command))) => simulate::run(&command, &line.config, &mut out),
        (false, Some(Command::Status(command))) => status::run(&command, &line.config, &mut out),
        (false, Some(Command::Sessions(command))) => sessions::run(&command, &line.config, &mut out),
        (false, Some(Command::End(command))) => sessions::end(&command, &line.config, &mut out),
        (false, Some(Command::Completions(command))) => generated::completions(&command, &mut out),
        (false, Some(Command::Man(command))) => generated::man(&command, &mut out),
        (false, Some(Command::Storages(command))) => storages::run(&command, &line.config, &mut out),
        (false, Some(Command::Jobs(command))) => jobs::run(&command, &line.config, &mut out),
        (false, Some(Command::Explain(command))) => explain::run(&command, &line.config, &mut out),
        (false, Some(Command::Drain(change))) => states::put(&change, State::Draining, &line.config, &mut out),
        (false, Some(Command::Seal(change))) => states::put(&change, State::Sealed, &line.config, &mut out),
        (false, Some(Command::Maintain(change))) => states::put(&change, State::Maintenance, &line.config, &mut out),
        (false, Some(Command::Ready(ready))) => states::put(&(&ready).into(), State::Ready, &line.config, &mut out),
        (true, Some(_)) => usage("-t is a command of its own: leave out either it or the other one"),
        (false, None) => usage("nothing to do: name a command, for example check or run"),
    };
    match result.and_then(|()| out.flush().map_err(Failure::from)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            failure.exit_code()
        }
    }
}

fn usage(text: &str) -> ! {
    CommandLine::command()
        .error(clap::error::ErrorKind::ArgumentConflict, text)
        .exit()
}

/// Why a command has failed.
#[derive(Debug)]
enum Failure {
    /// One text that says what and why.
    Text(String),
    /// The daemon cannot be asked.
    Unasked(String),
    /// What was named is not there.
    Missing(String),
    /// What was waited for, or checked, is not so.
    NotSo(String),
    /// Problems, each shown in full, and a line that sums them up.
    Problems(Vec<Problem>, String),
    /// Standard output is closed: whoever was reading has seen enough.
    Unread,
}

impl Failure {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As [`EXIT_CODES`] says.
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Text(_) | Self::Problems(..) | Self::Unread => 1,
            Self::Unasked(_) => 3,
            Self::Missing(_) => 4,
            Self::NotSo(_) => 5,
        })
    }

    fn tell(&self) {
        let mut err = io::stderr().lock();
        // There is nowhere left to tell that standard error cannot be written.
        let _ = match self {
            Self::Text(text) | Self::Unasked(text) | Self::Missing(text) | Self::NotSo(text) => {
                writeln!(err, "sdgroup: {text}")
            }
            Self::Problems(problems, sum) => tell(problems, &mut err).and_then(|()| writeln!(err, "sdgroup: {sum}")),
            Self::Unread => Ok(()),
        };
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Text(format!("cannot write the output: {error}")),
        }
    }
}

/// Writes problems, a blank line after each.
fn tell(problems: &[Problem], to: &mut dyn Write) -> io::Result<()> {
    problems.iter().try_for_each(|problem| writeln!(to, "{problem}"))
}

/// The configuration in the file `path`, with the secrets that this process gets.
fn loaded(path: &Path, secrets: &dyn SecretReader) -> Result<Loaded, Failure> {
    config::load_with(path, secrets).map_err(|problems| unusable(path, problems))
}

/// The configuration in the file `path` cannot be used.
fn unusable(path: &Path, problems: Vec<Problem>) -> Failure {
    let sum = format!("{} cannot be used: {}", path.display(), summed(&problems));
    Failure::Problems(problems, sum)
}

/// What work is done on that waits.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::text(format!("cannot start: {error}")))
}

/// What comes of `work`, on this thread.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime()?.block_on(work)
}

/// The one who typed the command: before `sudo`, if that was used.
fn who() -> Option<String> {
    let named = |variable| env::var(variable).ok().filter(|name| !name.trim().is_empty());
    ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(named)
}

/// What is in `file`, or comes on standard input where it is `-`. It is read as a whole, so more than `most` is
/// refused; nothing is cut off.
fn read_bounded(file: &Path, most: Bytes) -> Result<Vec<u8>, Failure> {
    let read = if file.as_os_str() == "-" {
        read_at_most(io::stdin(), None, most)
    } else {
        let opened = File::open(file).and_then(|opened| Ok((opened.metadata()?.len(), opened)));
        opened.and_then(|(length, opened)| read_at_most(opened, Some(length), most))
    };
    read.map_err(|error| Failure::text(format!("cannot read {}: {error}", named(file))))
}

/// A file that is read, for people.
fn named(file: &Path) -> String {
    match file.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => file.display().to_string(),
    }
}

fn read_at_most(from: impl Read, length: Option<u64>, most: Bytes) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {most}"));
    if length.is_some_and(|length| length > most.0) {
        return Err(too_large());
    }
    let mut contents = Vec::new();
    // A file can grow, and what is no file has no length.
    from.take(most.0.saturating_add(1)).read_to_end(&mut contents)?;
    if u64::try_from(contents.len()).map_or(true, |length| length > most.0) {
        return Err(too_large());
    }
    Ok(contents)
}

/// Prints `what` as JSON.
fn print_json(what: &impl Serialize, out: &mut dyn Write) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(what).map_err(|error| Failure::text(error.to_string()))?;
    Ok(writeln!(out, "{text}")?)
}

/// There is no `what` of this name; `all` are the names that there are.
fn missing<'n>(what: &str, name: &str, all: impl IntoIterator<Item = &'n str>) -> Failure {
    Failure::Missing(format!("there is no {what} \"{name}\"; {}", did_you_mean(name, all)))
}

/// `1 storage`, `2 storages`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// How many errors and warnings there are, in words; empty when there are none.
fn summed(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let terms = [(errors, "error"), (problems.len() - errors, "warning")];
    let terms: Vec<String> = terms
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(count, what))
        .collect();
    terms.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_made() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn what_is_too_large_is_refused_and_not_cut() {
        let read = |text: &[u8], length| read_at_most(text, length, Bytes(4));
        assert_eq!(read(b"1234", Some(4)).unwrap(), b"1234");
        assert_eq!(read(b"1234", None).unwrap(), b"1234");
        for (text, length) in [(&b"12345"[..], None), (b"12345", Some(4)), (b"", Some(5))] {
            let error = read(text, length).unwrap_err();
            assert_eq!(error.to_string(), "it is larger than 4 bytes", "{text:?} {length:?}");
        }
    }

    #[test]
    fn the_configuration_is_named_before_or_after_the_command() {
        for words in [
            ["sdgroup", "-c", "a.toml", "check"],
            ["sdgroup", "check", "-c", "a.toml"],
        ] {
            let line = CommandLine::try_parse_from(words).unwrap();
            assert_eq!(line.config, PathBuf::from("a.toml"));
            assert!(matches!(line.command, Some(Command::Check { connect: false, .. })));
        }
        let line = CommandLine::try_parse_from(["sdgroup", "-t"]).unwrap();
        assert!(line.test && line.config.as_os_str() == DEFAULT_CONFIG);
    }
}
