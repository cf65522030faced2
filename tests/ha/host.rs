//! A host as the recipes see it: its settings, its PostgreSQL, its Director, and the power switch.

use crate::lab::certificates::Authority;
use crate::lab::packages::Root;
use crate::lab::postgres::{Server, not_as_root};
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a recipe has printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) is_ok: bool,
    pub(crate) text: String,
}

impl Said {
    /// # Panics
    /// When the recipe failed.
    pub(crate) fn must_be_ok(&self) -> &Self {
        assert!(self.is_ok, "{}", self.text);
        self
    }

    /// # Panics
    /// When the recipe succeeded, or failed without saying `text`.
    pub(crate) fn must_fail_with(&self, text: &str) {
        assert!(
            !self.is_ok && self.text.contains(text),
            "no failure with {text:?}:\n{}",
            self.text
        );
    }
}

/// The folder of the recipes.
pub(crate) fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/ha")
}

/// One of two hosts. Both have the port that PostgreSQL has; their addresses differ.
#[derive(Debug)]
pub(crate) struct Host {
    name: &'static str,
    folder: PathBuf,
    pub(crate) server: Server,
}

/// The names of the two hosts, as in `ha.conf.example`, and where they are.
const HOSTS: [(&str, Ipv4Addr); 2] = [
    ("bacula_1", Ipv4Addr::new(127, 0, 0, 2)),
    ("bacula_2", Ipv4Addr::new(127, 0, 0, 3)),
];
const REPLICATOR_PASSWORD: &str = "the replicator";
/// The Directors' password for the catalog.
pub(crate) const CATALOG_PASSWORD: &str = "the director at the catalog";

/// Both addresses as a Director's Catalog resource has them.
pub(crate) fn addresses() -> String {
    HOSTS.map(|(_, address)| address.to_string()).join(",")
}

impl Host {
    /// Both hosts, with PostgreSQL configured but without data. `root` has the Director.
    pub(crate) fn pair(folder: &Path, port: u16, root: &Root) -> [Self; 2] {
        set_child_subreaper(Some(getpid())).expect("to wait for what the recipes start");
        let authority = Authority::new(folder, "catalog");
        [(0, 1), (1, 0)].map(|(this, other)| {
            let ((name, address), (peer, peer_address)) = (HOSTS[this], HOSTS[other]);
            let folder = folder.join(name);
            fs::create_dir_all(folder.join("etc")).expect("the host's folder");
            fs::create_dir_all(folder.join("work")).expect("the Director's working directory");
            let server = Server::new(&folder.join("pg"), address, port);
            fs::create_dir_all(folder.join("pg")).expect("PostgreSQL's folder");
            server.configure(&hba());
            let issued = authority.issue(&address.to_string(), 10);
            let replication = read("catalog/replication.conf")
                .replace("/etc/postgresql/17/main/server.crt", &issued.certificate)
                .replace("/etc/postgresql/17/main/server.key", &issued.key);
            let conf = server.configuration().with_file_name("conf.d/replication.conf");
            fs::write(conf, replication).expect("replication.conf");
            let host = Self { name, folder, server };
            host.write_settings((peer, peer_address), port, &authority.file);
            host.write_programs(root);
            host
        })
    }

    fn write_settings(&self, (peer, peer_address): (&str, Ipv4Addr), port: u16, authority: &str) {
        let passwords = self.folder.join("passwords");
        fs::write(&passwords, format!("*:{port}:*:replicator:{REPLICATOR_PASSWORD}\n")).expect("the passwords");
        let owned = Command::new("chmod").arg("0600").arg(&passwords).status();
        assert!(owned.expect("chmod").success());
        let at = |name: &str| self.folder.join(name).display().to_string();
        let settings = [
            ("HOST", self.name.to_owned()),
            ("PEER", peer.to_owned()),
            ("PEER_ADDRESS", peer_address.to_string()),
            ("PG_BIN", self.server.programs().display().to_string()),
            ("PG_DATA", self.server.data().display().to_string()),
            ("PG_CONFIG", self.server.configuration().display().to_string()),
            ("PG_SOCKET", self.server.socket().display().to_string()),
            ("PG_PORT", port.to_string()),
            ("PG_START", self.server.start_words()),
            ("PG_STOP", self.server.stop_words()),
            ("AS_POSTGRES", not_as_root().to_owned()),
            ("PG_PASSFILE", at("passwords")),
            ("PG_TLS", format!("sslmode=verify-full sslrootcert={authority}")),
            ("DIRECTOR_CONF", at("etc/director")),
            ("VERSIONS", at("versions")),
            (
                "FETCH",
                format!(
                    "{} {}",
                    recipes().join("director/send-config").display(),
                    self.beside(peer, "etc/director")
                ),
            ),
            (
                "PUSH",
                format!(
                    "HA_CONF={} {} --install",
                    self.beside(peer, "ha.conf"),
                    recipes().join("director/pull-config").display()
                ),
            ),
            ("DIRECTOR", at("bacula-dir")),
            ("DIRECTOR_GROUP", rustix::process::getgid().as_raw().to_string()),
            ("DIRECTOR_START", at("start-director")),
            ("DIRECTOR_STOP", at("stop-director")),
            ("DIRECTOR_KILL", at("kill-director")),
            ("DIRECTOR_RUNS", at("director-runs")),
            ("FENCE", self.beside(peer, "power-off")),
            ("PROMOTE", recipes().join("catalog/promote").display().to_string()),
        ];
        // As an operator would: the example, with what is different here behind it.
        let mut text = read("ha.conf.example");
        for (name, value) in settings {
            assert!(text.contains(&format!("\n{name}=")), "ha.conf.example has no {name}");
            text.extend([name, "=\"", &value, "\"\n"]);
        }
        fs::write(self.folder.join("ha.conf"), text).expect("ha.conf");
    }

    fn beside(&self, host: &str, name: &str) -> String {
        self.folder.with_file_name(host).join(name).display().to_string()
    }

    /// What systemd and a power switch are on a real host.
    fn write_programs(&self, root: &Root) {
        let director = root.command("bacula-dir");
        let words: Vec<_> = std::iter::once(director.get_program())
            .chain(director.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        let at = self.folder.display();
        self.write_program(
            "bacula-dir",
            &format!(
                "export PGTARGETSESSIONATTRS=read-write\ncd {at}/work && exec {} \"$@\"",
                words.join(" ")
            ),
        );
        self.write_program(
            "start-director",
            &format!(
                "setsid {at}/bacula-dir -f -c {at}/etc/director/bacula-dir.conf >>{at}/director.out 2>&1 </dev/null &\n\
                 echo $! >{at}/director.pid"
            ),
        );
        // One that nobody has waited for yet is gone all the same.
        let ended = "while grep -qs '^State:.*[^Z] (' /proc/$pid/status; do sleep 0.02; done";
        self.write_program(
            "stop-director",
            &format!(
                "pid=$(cat {at}/director.pid 2>/dev/null) || exit 0\nkill \"$pid\"\n{ended}\nrm {at}/director.pid"
            ),
        );
        self.write_program(
            "kill-director",
            &format!(
                "pid=$(cat {at}/director.pid 2>/dev/null) || exit 0\nkill -KILL \"$pid\"\n{ended}\nrm {at}/director.pid"
            ),
        );
        self.write_program("director-runs", &format!("kill -0 \"$(cat {at}/director.pid)\""));
        self.write_program(
            "power-off",
            &format!(
                "for pid in $(cat {at}/director.pid 2>/dev/null) $(head -n 1 {}/postmaster.pid 2>/dev/null); do\n\
                 kill -KILL \"$pid\" 2>/dev/null\n{ended}\ndone\nrm -f {at}/director.pid",
                self.server.data().display()
            ),
        );
    }

    fn write_program(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a program of the host");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    pub(crate) fn name(&self) -> &str {
        self.name
    }

    /// Gives a setting another value.
    pub(crate) fn set(&self, name: &str, value: &str) {
        let path = self.folder.join("ha.conf");
        let text = fs::read_to_string(&path).expect("ha.conf");
        fs::write(&path, format!("{text}{name}=\"{value}\"\n")).expect("ha.conf");
    }

    /// The folder of the Director's configuration.
    pub(crate) fn director_conf(&self) -> PathBuf {
        self.folder.join("etc/director")
    }

    /// Where the kept versions of it are.
    pub(crate) fn versions(&self) -> PathBuf {
        self.folder.join("versions")
    }

    /// Runs one of the recipes here: `catalog/promote`.
    pub(crate) fn recipe(&self, name: &str, arguments: &[&str]) -> Said {
        let mut command = Command::new(recipes().join(name));
        self.finish(command.args(arguments))
    }

    /// Runs one of the host's own programs.
    pub(crate) fn program(&self, name: &str) -> Said {
        self.finish(&mut Command::new(self.folder.join(name)))
    }

    fn finish(&self, command: &mut Command) -> Said {
        // What it starts may outlive it, so what it prints goes to a file.
        let said = tempfile::NamedTempFile::new_in(&self.folder).expect("a file");
        let out = || said.as_file().try_clone().expect("the file again");
        command.env("HA_CONF", self.folder.join("ha.conf")).stdin(Stdio::null());
        let status = command.stdout(out()).stderr(out()).status();
        let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = fs::read(said.path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Said {
            is_ok: status.success(),
            text: text.expect("what was said"),
        }
    }

    /// What the Director printed.
    pub(crate) fn director_said(&self) -> String {
        fs::read_to_string(self.folder.join("director.out")).unwrap_or_default()
    }

    /// All of it goes at once, in the middle of whatever it does.
    pub(crate) fn power_off(&self) {
        let files = [
            self.folder.join("director.pid"),
            self.server.data().join("postmaster.pid"),
        ];
        let pids = files.map(|file| fs::read_to_string(file).unwrap_or_default());
        self.program("power-off").must_be_ok();
        for pid in pids.iter().filter_map(|text| text.lines().next()?.parse().ok()) {
            // Where nobody else waits for orphans, it would look alive to whoever asks for its number.
            let _not_ours = Pid::from_raw(pid).map(|pid| waitpid(Some(pid), WaitOptions::empty()));
        }
    }

    /// Whether its PostgreSQL is one that is written.
    pub(crate) fn is_primary(&self) -> bool {
        self.server.ask("postgres", "SELECT pg_is_in_recovery()").as_deref() == Some("f")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// A file of the recipes.
pub(crate) fn read(name: &str) -> String {
    let path = recipes().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The recipe's lines, with the addresses that calls between addresses of the loopback network come from.
fn hba() -> String {
    read("catalog/pg_hba.conf")
        .replace("192.0.2.11/32", "127.0.0.1/32")
        .replace("192.0.2.12/32", "127.0.0.1/32")
}
