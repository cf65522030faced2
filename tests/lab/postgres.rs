//! PostgreSQL in the lab: its programs, the user that they run as, and one server on a loopback address of its own.

use super::packages;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// PostgreSQL refuses to run as root. Root becomes this user (nobody), who may still pass through folders that only
/// root may: what is unpacked can lie in one.
const NOT_ROOT: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups \
                        --inh-caps=+dac_override,+dac_read_search --ambient-caps=+dac_override,+dac_read_search --";

/// The words before a command that is not to run as root; none when we are not root.
pub(crate) fn not_as_root() -> &'static str {
    if geteuid().is_root() { NOT_ROOT } else { "" }
}

/// Where one server lives: its data, and its configuration beside them as Debian has it.
#[derive(Debug)]
pub(crate) struct Server {
    programs: PathBuf,
    folder: PathBuf,
    address: Ipv4Addr,
    port: u16,
}

impl Server {
    /// A server that nobody has made yet.
    pub(crate) fn new(folder: &Path, address: Ipv4Addr, port: u16) -> Self {
        Self {
            programs: packages::postgres_programs().unwrap_or_else(|error| panic!("{error}")),
            folder: folder.to_owned(),
            address,
            port,
        }
    }

    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// `postgresql.conf`; what lies beside it in `conf.d` is read as well, and `pg_hba.conf`.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.join("conf/postgresql.conf")
    }

    /// The folder of its socket. A socket's path has at most 107 bytes.
    pub(crate) fn socket(&self) -> &Path {
        &self.folder
    }

    /// Writes the configuration, which does not need the data.
    pub(crate) fn configure(&self, who_may: &str) {
        let conf = self.folder.join("conf");
        fs::create_dir_all(conf.join("conf.d")).expect("the configuration's folder");
        let Self { address, port, .. } = self;
        let text = format!(
            "data_directory = '{}'\nhba_file = '{}'\nlisten_addresses = '{address}'\nport = {port}\n\
             unix_socket_directories = '{}'\nfsync = off\nshared_buffers = 16MB\nmax_connections = 40\n\
             jit = off\ninclude_dir = 'conf.d'\n",
            self.data().display(),
            conf.join("pg_hba.conf").display(),
            self.folder.display(),
        );
        fs::write(self.configuration(), text).expect("postgresql.conf");
        // The server's user has no name in common with PostgreSQL's here.
        let text = format!("local all all trust\n{who_may}");
        fs::write(conf.join("pg_hba.conf"), text).expect("pg_hba.conf");
        let made = Command::new("chmod").arg("-R").arg("a+rwX").arg(&self.folder).status();
        assert!(made.expect("chmod").success(), "the folder for another user");
    }

    /// Makes an empty cluster.
    pub(crate) fn create(&self) {
        let mut command = self.command("initdb");
        command.args(["--username=postgres", "--locale=C", "--encoding=SQL_ASCII", "--no-sync"]);
        command.args(["--auth=trust", "--pgdata"]).arg(self.data());
        run(&mut command);
    }

    /// The words that start it, for a shell, and that end it.
    pub(crate) fn start_words(&self) -> String {
        format!(
            "{} {} start --wait --silent --pgdata={} --log={} -o --config-file={}",
            not_as_root(),
            self.programs.join("pg_ctl").display(),
            self.data().display(),
            self.log().display(),
            self.configuration().display(),
        )
    }

    pub(crate) fn stop_words(&self) -> String {
        let program = self.programs.join("pg_ctl");
        let (program, data) = (program.display(), self.data());
        format!(
            "{} {program} stop --wait --silent --mode=fast --pgdata={}",
            not_as_root(),
            data.display()
        )
    }

    pub(crate) fn start(&self) {
        run(Command::new("sh").arg("-c").arg(self.start_words()));
    }

    pub(crate) fn stop(&self) {
        run(Command::new("sh").arg("-c").arg(self.stop_words()));
    }

    /// Ends it at once, without a word to anybody (SIGKILL to all of its processes); whether it ran.
    pub(crate) fn kill(&self) -> bool {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let pid = file
            .lines()
            .next()
            .and_then(|line| line.parse().ok())
            .and_then(Pid::from_raw);
        let Some(pid) = pid else { return false };
        // Its children see it go and end by themselves.
        kill_process(pid, Signal::KILL).is_ok()
    }

    /// What a statement gives, by the server's socket: columns between bars, rows in lines.
    pub(crate) fn ask(&self, database: &str, statement: &str) -> Option<String> {
        self.reader().ask(database, &["-c", statement])
    }

    /// Somebody who asks this server for as long as it is there, and does not end it.
    pub(crate) fn reader(&self) -> Reader {
        Reader {
            psql: self.programs.join("psql"),
            socket: self.folder.clone(),
            port: self.port,
        }
    }

    /// A command that runs one of PostgreSQL's programs as the server's user.
    pub(crate) fn command(&self, program: &str) -> Command {
        command(&self.programs.join(program))
    }

    /// What it wrote about itself.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks a server by its socket.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    psql: PathBuf,
    socket: PathBuf,
    port: u16,
}

/// What psql puts between fields, and behind rows: what no text in a catalog has.
const FIELD: char = '\u{1}';
const ROW: char = '\0';

impl Reader {
    fn ask(&self, database: &str, more: &[&str]) -> Option<String> {
        let mut command = command(&self.psql);
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        command.arg("-h").arg(&self.socket).args(["-p", &self.port.to_string()]);
        let output = command.args(more).output().expect("psql");
        let said = String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned();
        output.status.success().then_some(said)
    }

    /// The rows of a SELECT; nothing when the server is not there, or is one that only follows.
    pub(crate) fn rows_if_primary(&self, database: &str, select: &str) -> Option<Vec<Vec<String>>> {
        if self.ask(database, &["-c", "SELECT pg_is_in_recovery()"])? != "f" {
            return None;
        }
        let field = FIELD.to_string();
        let said = self.ask(database, &["-F", &field, "-0", "-c", select])?;
        let rows = said.split(ROW).filter(|row| !row.is_empty());
        Some(
            rows.map(|row| row.split(FIELD).map(ToOwned::to_owned).collect())
                .collect(),
        )
    }
}

/// A command that is not run as root.
fn command(program: &Path) -> Command {
    let mut words = not_as_root().split_ascii_whitespace();
    match words.next() {
        None => Command::new(program),
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(program);
            command
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&said)
    );
}
