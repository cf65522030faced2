//! sdgroup as a process of its own, as it is installed.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::http::get;
use super::ports::Port;
use super::reachable;
use super::site::{Plot, configuration};
use super::wait::{until_told, until_true};

/// The process.
pub(crate) struct Binary {
    port: Port,
    metrics: Port,
    folder: TempDir,
    program: PathBuf,
    child: Child,
    /// Processes that others have handed over to, the last of which serves.
    successors: Vec<Pid>,
}

impl Binary {
    /// Starts it, with so many descriptors and no more if that is said, and waits until it says that it is ready.
    pub(crate) async fn start(plot: &Plot, storages: &[SocketAddr], descriptors: Option<u32>) -> Self {
        let (port, metrics) = (Port::choose(), Port::choose());
        let folder = TempDir::new().expect("a folder");
        let own = format!(
            "StateDirectory = \"{}\"\nMetricsAddress = \"{}\"",
            folder.path().display(),
            metrics.address()
        );
        let text = configuration(plot, storages, port.number(), &own);
        fs::write(file(&folder), text).expect("the configuration");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_sdgroup"));
        let child = spawn(&program, &folder, descriptors);
        let binary = Self {
            port,
            metrics,
            folder,
            program,
            child,
            successors: Vec::new(),
        };
        binary.until_ready().await;
        binary
    }

    async fn until_ready(&self) {
        until_told("sdgroup to be ready", || match self.get("/readyz") {
            Some((200, _)) => Ok(()),
            other => Err(format!("{other:?}\n{}", self.log())),
        })
        .await;
    }

    /// Starts it again with the same state, after it has ended.
    pub(crate) async fn start_again(&mut self) {
        self.successors.clear();
        self.child = spawn(&self.program, &self.folder, None);
        self.until_ready().await;
    }

    /// Starts it again from a file of its own, which can be replaced.
    pub(crate) async fn install(&mut self) {
        self.signal(Signal::TERM);
        self.ended().await;
        self.program = self.folder.path().join("sdgroup");
        self.replace_program(env!("CARGO_BIN_EXE_sdgroup"));
        self.start_again().await;
    }

    /// Puts another file in the place of its program, as a package does.
    pub(crate) fn replace_program(&self, by: &str) {
        let new = self.program.with_extension("new");
        // Not written from here: another test's child would have it open for a moment, and a file that somebody writes cannot
        // be run.
        let copied = Command::new("cp").arg(by).arg(&new).status().expect("cp");
        assert!(copied.success(), "there is room for a program");
        fs::rename(&new, &self.program).expect("our folder");
    }

    /// Its configuration.
    pub(crate) fn configuration(&self) -> String {
        fs::read_to_string(file(&self.folder)).expect("the configuration")
    }

    /// Writes another one, which a reload reads.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(file(&self.folder), text).expect("the configuration");
    }

    /// What a command says of the running process, on standard output and, when it fails, on standard error.
    pub(crate) fn command(&self, words: &[&str]) -> Result<String, String> {
        said(self.begin(words))
    }

    fn begin(&self, words: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_sdgroup"))
            .args(words)
            .arg("-c")
            .arg(file(&self.folder))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary that cargo has built")
    }

    /// Has it hand over to a successor, which serves from now on.
    pub(crate) fn hand_over(&mut self) {
        let said = self.command(&["handover"]);
        self.handed_over(said);
    }

    /// The same, and has something done once the successor can be asked: what was kept before, it has read by then.
    pub(crate) async fn hand_over_and(&mut self, meanwhile: impl FnOnce(&Self)) {
        let before = self.process_sockets();
        let handing_over = self.begin(&["handover"]);
        until_true("the successor to be there", || self.process_sockets() > before).await;
        meanwhile(self);
        self.handed_over(said(handing_over));
    }

    /// How many processes of it there are.
    fn process_sockets(&self) -> usize {
        let files = fs::read_dir(self.folder.path()).expect("the state");
        let names = files.map(|file| file.expect("a file").file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("process."))
            .count()
    }

    /// The same by a reload that finds that the program has been replaced.
    pub(crate) fn upgrade(&mut self) {
        let said = self.command(&["reload", "--upgrade"]);
        self.handed_over(said);
    }

    fn handed_over(&mut self, said: Result<String, String>) {
        let said = said.unwrap_or_else(|error| panic!("{error}"));
        let number = said.strip_prefix("process ").and_then(|rest| rest.split(' ').next());
        let number = number.and_then(|number| number.parse().ok()).and_then(Pid::from_raw);
        self.successors
            .push(number.unwrap_or_else(|| panic!("no process in {said}")));
    }

    /// Its state file, which anybody may open beside it.
    pub(crate) fn state_file(&self) -> PathBuf {
        self.folder.path().join("sdgroup.db")
    }

    /// Sends a signal to the process that serves.
    pub(crate) fn signal_serving(&self, signal: Signal) {
        let pid = self.successors.last().copied();
        let pid = pid.unwrap_or_else(|| Pid::from_child(&self.child));
        kill_process(pid, signal).expect("a process that lives");
    }

    /// Where Directors and Clients call.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a process that lives");
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until_told("sdgroup to end", || {
            let ended = child.try_wait().expect("our child");
            ended.ok_or_else(|| "it runs".to_owned())
        })
        .await
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(log(&self.folder)).unwrap_or_default()
    }

    /// Status and body of one request; `None` when nobody answers.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.metrics_address(), path)
    }

    /// Where `/metrics` and the other pages are.
    pub(crate) fn metrics_address(&self) -> SocketAddr {
        self.metrics.address()
    }

    /// Waits until a series of `/metrics` has this value.
    pub(crate) async fn until_metric(&self, series: &str, value: &str) {
        until_told(&format!("{series} to be {value}"), || {
            let body = self.get("/metrics").map(|(_, body)| body).unwrap_or_default();
            let found = body
                .lines()
                .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
            if found == Some(value) {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
    }
}

fn said(command: Child) -> Result<String, String> {
    let output = command.wait_with_output().expect("our child");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("sdgroup.toml")
}

fn log(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

fn spawn(program: &Path, folder: &TempDir, descriptors: Option<u32>) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log(folder))
        .expect("the log");
    let allowed = descriptors.map_or_else(String::new, |allowed| format!("ulimit -n {allowed}; "));
    Command::new("sh")
        .args(["-c", &format!("{allowed}exec \"$0\" run -c \"$1\"")])
        .arg(program)
        .arg(file(folder))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log"))
        .stderr(log)
        .spawn()
        .expect("the binary that cargo has built")
}

impl Drop for Binary {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        reachable::kill_all(self.folder.path());
    }
}
