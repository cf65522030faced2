//! sdgroup as a process of its own, as it is installed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::ports::Port;
use super::{DIRECTOR, PASSWORD};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// The process.
pub(crate) struct Sdgroup {
    child: Child,
    port: Port,
    folder: TempDir,
}

impl Sdgroup {
    /// Starts it in front of these storages, and waits until it listens.
    pub(crate) fn start(storages: &[SocketAddr]) -> Self {
        let port = Port::choose();
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("sdgroup.toml");
        fs::write(&file, configuration(storages, port.number(), folder.path())).expect("its configuration");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("passwords for us alone");
        let log = File::create(folder.path().join("log")).expect("its log");
        let child = Command::new(env!("CARGO_BIN_EXE_sdgroup"))
            .args(["run", "-c"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("its log"))
            .stderr(log)
            .spawn()
            .expect("the binary that cargo has built");
        let mut sdgroup = Self { child, port, folder };
        sdgroup.wait_until_listening();
        sdgroup
    }

    fn wait_until_listening(&mut self) {
        let begun = Instant::now();
        while !self.port.is_listening() {
            let ended = self.child.try_wait().expect("our child");
            let late = begun.elapsed() > READY_WITHIN;
            assert!(
                ended.is_none() && !late,
                "sdgroup did not come up ({ended:?}):\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where Directors and Clients call.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sdgroup {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its configuration in front of these storages.
pub(crate) fn configuration(storages: &[SocketAddr], port: u16, folder: &Path) -> String {
    let names: Vec<String> = (0..storages.len()).map(|at| format!("Storage{at}")).collect();
    let mut text = format!(
        r#"
        [Sdgroup]
        StateDirectory = "{folder}"
        LogLevel = "warn"
        FirstPacketTimeout = "1 minute"
        LoginTimeout = "1 minute"
        RouteWait = "1 minute"

        [[Listen]]
        Address = "127.0.0.1"
        SDPort = {port}
        Group = "Bench"

        [[Director]]
        Name = "{DIRECTOR}"
        Password = "{PASSWORD}"

        [Probe]
        Interval = "1 hour"

        [[Group]]
        Name = "Bench"
        Storages = {names:?}
        StorageGroupPolicy = "LeastUsed"
        ConnectTimeout = "1 minute"
        LoginTimeout = "1 minute"
        "#,
        folder = folder.display(),
    );
    for (name, address) in names.iter().zip(storages) {
        write!(
            text,
            r#"
        [[Storage]]
        Name = "{name}"
        Address = "{ip}"
        SDPort = {port}
        Password = "{PASSWORD}"
        MaximumConcurrentJobs = 100000
        "#,
            ip = address.ip(),
            port = address.port(),
        )
        .expect("a String takes all");
    }
    text
}
