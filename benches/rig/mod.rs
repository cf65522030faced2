//! What the benches of bulk bytes share: arguments, this program again in another role, clocks, figures.

// Several binaries share this module, and not all of them use all of it.
#![allow(
    dead_code,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for people who look at what it prints; any failure may end it"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;

use rustix::time::{ClockId, clock_gettime};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;

/// What Bacula's daemons write at once, in bytes.
pub(crate) const WRITE: usize = 64 << 10;

/// The command line.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn of_this_program() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Whether this only has to show that it works. As criterion does: without cargo's `--bench` it is a test run.
    pub(crate) fn testing(&self) -> bool {
        self.given("--test") || !self.given("--bench")
    }

    pub(crate) fn given(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }

    /// The value behind `name`.
    pub(crate) fn value<T: FromStr>(&self, name: &str, default: T) -> T {
        let Some(at) = self.0.iter().position(|argument| argument == name) else {
            return default;
        };
        let value = self.0.get(at + 1).map(String::as_str).unwrap_or_default();
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} {value:?}: not what is expected there"))
    }

    /// The role in which this program was started again, and what it is to know.
    pub(crate) fn role(&self) -> Option<(&str, &[String])> {
        let (name, known) = self.0.split_first()?;
        (!name.starts_with('-')).then_some((name, known))
    }
}

/// This program again, in another role.
pub(crate) struct Role {
    child: Child,
    hears: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Role {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("another process");
        let hears = child.stdin.take().expect("a pipe");
        let says = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, hears, says }
    }

    /// Gives it a line.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.hears, "{line}").expect("a process that listens");
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// The same, as something else.
    pub(crate) fn says<T: FromStr>(&mut self) -> T {
        let line = self.line();
        line.parse().unwrap_or_else(|_| panic!("another process said {line:?}"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn end(mut self) {
        assert!(self.child.wait().expect("the other process").success());
    }
}

impl Drop for Role {
    /// A process that serves for ever ends here.
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives `write` so many bytes as Bacula's daemons do.
pub(crate) fn send(mut left: u64, mut write: impl FnMut(&[u8])) {
    let block = vec![7; WRITE];
    while left > 0 {
        let length = left.min(WRITE as u64);
        write(&block[..usize::try_from(length).unwrap()]);
        left -= length;
    }
}

/// Takes from `read` until it has no more, and tells how much that was.
pub(crate) fn receive(mut read: impl FnMut(&mut [u8]) -> usize) -> u64 {
    let mut buffer = vec![0; WRITE];
    let mut total = 0;
    loop {
        match read(&mut buffer) {
            0 => return total,
            read => total += read as u64,
        }
    }
}

/// CPU seconds of this process so far, in user and kernel mode.
pub(crate) fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// How often the threads that this process has now have given up their core since they had nothing to do
/// (proc_pid_status(5)).
pub(crate) fn waits() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("our threads");
    let of = |thread: std::path::PathBuf| {
        let status = std::fs::read_to_string(thread.join("status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<f64>().ok()
    };
    // One may end meanwhile.
    threads.filter_map(|thread| of(thread.expect("a thread").path())).sum()
}

/// CPU seconds of another process, exact to 10 ms (proc_pid_stat(5)).
pub(crate) fn cpu_time_of(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process that lives");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    let ticks = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().expect("ticks"));
    ticks.sum::<f64>() / 100.0
}

/// Memory of a process that is its own and not a file's, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnMemory {
    pub(crate) now: f64,
    /// The most there ever was; a file's counts here.
    pub(crate) most: f64,
}

/// Reads it (proc_pid_status(5)).
pub(crate) fn own_memory_of(pid: u32) -> OwnMemory {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that lives");
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("a field");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("KiB")
    };
    OwnMemory {
        now: field("RssAnon:"),
        most: field("VmHWM:") - field("RssFile:"),
    }
}

/// The figure below which so many percent of all are.
pub(crate) fn percentile(figures: &[f64], percent: usize) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures[(figures.len() * percent / 100).min(figures.len() - 1)]
}

/// The middle one of some figures.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&figures.into_iter().collect::<Vec<f64>>(), 50)
}

/// The machine's load of the last minute: figures are worth little while it is high.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}
