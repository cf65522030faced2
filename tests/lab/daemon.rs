//! A daemon as a thing with a life: started, stopped, killed, frozen, and never left behind.

use super::ports::Port;
use super::wait;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const READY_WITHIN: Duration = Duration::from_secs(30);
const ENDED_WITHIN: Duration = Duration::from_secs(15);

/// One daemon: how to start it, the port that shows it is ready, and the process while it runs.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    command: Command,
    port: Port,
    output: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// A daemon that is not running yet; what it prints goes to `NAME.out` in `folder`.
    pub(crate) fn new(name: &str, command: &Command, port: Port, folder: &Path) -> Self {
        let mut command = ending_with_us(command);
        // A group of its own: Ctrl-C at a terminal is for the process that owns the daemon, which ends it.
        command.process_group(0).stdin(Stdio::null()).current_dir(folder);
        Self {
            name: name.to_owned(),
            command,
            port,
            output: folder.join(format!("{name}.out")),
            child: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn port(&self) -> &Port {
        &self.port
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.wait_until_listening();
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let output = File::options()
            .create(true)
            .append(true)
            .open(&self.output)
            .expect("the output file");
        self.command
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output);
        self.child = Some(
            self.command
                .spawn()
                .unwrap_or_else(|error| panic!("{}: {error}", self.name)),
        );
    }

    pub(crate) fn wait_until_listening(&mut self) {
        let begun = Instant::now();
        while !self.port.is_listening() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            let late = begun.elapsed() > READY_WITHIN;
            assert!(
                ended.is_none() && !late,
                "{} did not come up ({ended:?}):\n{}",
                self.name,
                self.printed()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The file to which its standard output and standard error go.
    pub(crate) fn output(&self) -> &Path {
        &self.output
    }

    /// What it printed since it was first started.
    pub(crate) fn printed(&self) -> String {
        fs::read(&self.output)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Asks it to end, and kills it when it does not within fifteen seconds.
    pub(crate) fn stop(&mut self) -> Option<ExitStatus> {
        self.terminate();
        self.wait_for_end(ENDED_WITHIN).or_else(|| self.kill())
    }

    /// Asks it to end (SIGTERM) without waiting.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for its end; `None` when it still runs.
    pub(crate) fn wait_for_end(&mut self, within: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            let child = self.child.as_mut()?;
            if let Ok(Some(status)) = child.try_wait() {
                self.child = None;
                return Some(status);
            }
            if begun.elapsed() > within {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it at once (SIGKILL): nothing is flushed, no peer is told.
    pub(crate) fn kill(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let _gone_already = child.kill();
        child.wait().ok()
    }

    /// Stops its clock (SIGSTOP): the kernel goes on accepting connections for it, and nobody answers.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        let Some(pid) = self.pid() else {
            panic!("{} does not run", self.name)
        };
        wait::until("the daemon to be stopped", ENDED_WITHIN, || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit_once(") ")?.1.starts_with('T').then_some(())
        });
    }

    /// Lets a frozen daemon go on (SIGCONT).
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    fn signal(&self, signal: Signal) {
        let pid = self
            .pid()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let Some(pid) = pid else {
            panic!("{} does not run", self.name)
        };
        kill_process(pid, signal).unwrap_or_else(|error| panic!("{signal:?} to {}: {error}", self.name));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Keeps the end short when several daemons go: all are asked first, then waited for.
pub(crate) fn stop_all<'a>(daemons: impl IntoIterator<Item = &'a mut Daemon>) {
    let mut running: Vec<_> = daemons.into_iter().filter(|daemon| daemon.child.is_some()).collect();
    for daemon in &running {
        daemon.terminate();
    }
    for daemon in &mut running {
        if daemon.wait_for_end(ENDED_WITHIN).is_none() {
            daemon.kill();
        }
    }
}

/// The same command under util-linux's `setpriv`, which asks the kernel to kill the daemon when the thread that
/// started it is gone: a test process that is killed leaves nothing behind.
fn ending_with_us(command: &Command) -> Command {
    let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let mut wrapped = match setpriv {
        Some(path) => {
            let mut wrapped = Command::new(path);
            wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
            wrapped
        }
        None => Command::new(command.get_program()),
    };
    wrapped.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}
