//! A database for sdgroups, on one machine or on a primary and a standby.

use crate::lab::ports::Port;
use crate::lab::postgres::Server;
use sdgroup::config::model::{DbHost, PostgreSql, SslMode};
use sdgroup::store::PostgresStore;
use sdgroup::types::Secret;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "shared by all";
/// Far more than an answer takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One machine of a database.
pub(crate) struct Machine {
    pub(crate) server: Server,
    port: Port,
    _folder: TempDir,
}

impl Machine {
    fn prepared() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = Port::choose();
        let server = Server::new(folder.path(), Ipv4Addr::LOCALHOST, port.number());
        server.configure("host sdgroup sdgroup 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 trust\n");
        Self {
            server,
            port,
            _folder: folder,
        }
    }

    /// One that has an empty database and takes writes.
    pub(crate) fn primary() -> Self {
        Self::primary_with("")
    }

    /// The same with further lines of its configuration.
    pub(crate) fn primary_with(lines: &str) -> Self {
        let machine = Self::prepared();
        let more = machine
            .server
            .configuration()
            .with_file_name("conf.d")
            .join("more.conf");
        std::fs::write(more, lines).expect("more.conf");
        machine.server.create();
        machine.server.start();
        for statement in [
            &format!("CREATE ROLE sdgroup LOGIN PASSWORD '{PASSWORD}'"),
            "CREATE DATABASE sdgroup OWNER sdgroup",
        ] {
            machine
                .server
                .ask("postgres", statement)
                .expect("a role and a database");
        }
        machine
    }

    /// One that follows `primary`, which waits for it at every commit if `synchronous`.
    pub(crate) fn standby(primary: &Self) -> Self {
        let machine = Self::prepared();
        let mut copy = primary.server.command("pg_basebackup");
        copy.args([
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            "-U",
            "postgres",
            "-h",
            "127.0.0.1",
        ]);
        copy.args(["-p", &primary.port.number().to_string(), "-D"])
            .arg(machine.server.data());
        run(&mut copy);
        machine.server.start();
        machine
    }

    /// It runs again. What was killed leaves memory behind for as long as its last process lives.
    pub(crate) fn restart(&self) {
        crate::lab::wait::until("PostgreSQL to start again", PATIENCE, || {
            let mut start = Command::new("sh");
            let started = start.arg("-c").arg(self.server.start_words()).output();
            started.expect("a shell").status.success().then_some(())
        });
    }

    /// It takes writes from now on.
    pub(crate) fn promote(&self) {
        self.server.ask("postgres", "SELECT pg_promote()").expect("a promotion");
    }

    /// What a statement gives.
    pub(crate) fn ask(&self, statement: &str) -> String {
        self.server.ask("sdgroup", statement).expect("an answer")
    }

    fn host(&self) -> DbHost {
        DbHost {
            host: "127.0.0.1".to_owned(),
            port: self.port.number(),
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

/// How sdgroup finds the database.
pub(crate) fn options(machines: &[&Machine]) -> PostgreSql {
    PostgreSql {
        hosts: machines.iter().map(|machine| machine.host()).collect(),
        name: "sdgroup".to_owned(),
        user: "sdgroup".to_owned(),
        password: Some(Secret::new(PASSWORD.to_owned())),
        ssl_mode: SslMode::Prefer,
        ssl_ca: None,
    }
}

/// The same as a configuration has it.
pub(crate) fn table(machines: &[&Machine]) -> String {
    let hosts: Vec<_> = machines
        .iter()
        .map(|machine| format!("\"127.0.0.1:{}\"", machine.port.number()))
        .collect();
    format!(
        "[Store]\nDbAddress = [{}]\nPassword = \"{PASSWORD}\"\n\n",
        hosts.join(", ")
    )
}

/// A database that is ready.
pub(crate) async fn migrated() -> Machine {
    migrated_with("").await
}

/// The same with further lines of its configuration.
pub(crate) async fn migrated_with(lines: &str) -> Machine {
    let machine = Machine::primary_with(lines);
    let versions = PostgresStore::migrate(&options(&[&machine]), PATIENCE).await;
    assert_eq!(versions.expect("the tables").0, 0);
    machine
}
