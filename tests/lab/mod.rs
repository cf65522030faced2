//! A lab of real Bacula daemons on the loopback address: a Director with its catalog, a Client, several storages,
//! and sdgroup between them if wanted. Every lab has a folder and ports of its own, so that tests run side by side.

// Several binaries share this module, and none of them uses all of it.
#![allow(dead_code)]

pub(crate) mod catalog;
pub(crate) mod certificates;
pub(crate) mod daemon;
mod director;
mod fetch;
mod http;
mod jobs;
pub(crate) mod packages;
mod parcel;
mod plan;
pub(crate) mod ports;
pub(crate) mod postgres;
mod reachable;
pub(crate) mod resources;
pub(crate) mod sdgroup;
pub(crate) mod tap;
pub(crate) mod tree;
pub(crate) mod vault;
pub(crate) mod wait;

// The names that nearly every test uses; not every binary has use for all of them.
#[allow(unused_imports)]
pub(crate) use jobs::JOB_WITHIN;
#[allow(unused_imports)]
pub(crate) use plan::{Attributes, CopyJob, Party, Plan, Source, Storage, Words};

use catalog::Catalog;
use daemon::Daemon;
use director::Director;
use packages::Root;
use ports::Port;
use resources::{CLIENT, Ports};
use sdgroup::Sdgroup;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tap::{Tap, Taps};

/// Everything running.
pub(crate) struct Lab {
    sdgroup: Option<Sdgroup>,
    /// The one that is asked for jobs.
    director: Director,
    second_director: Option<Director>,
    client: Daemon,
    storage_daemons: Vec<Daemon>,
    storages: Vec<Storage>,
    taps: Taps,
    root: Root,
    plan: Plan,
}

impl Lab {
    fn start(plan: Plan, binary: Option<&Path>) -> Self {
        let root_of = |release| Root::of(release).unwrap_or_else(|error| panic!("{error}"));
        let (root, client_root) = (root_of(plan.release), root_of(plan.client_release));
        let storages: Vec<_> = (0..plan.storages).map(|index| plan.storage(index)).collect();
        let client_port = Port::choose();
        let storage_ports: Vec<_> = storages.iter().map(|_| Port::choose()).collect();
        let numbers: Vec<_> = storage_ports.iter().map(Port::number).collect();
        let group_port = binary.map(|_| Port::choose());
        let archive_port = (plan.archive > 0).then(Port::choose);
        let mut taps = Taps::of(&plan);
        let named = storages.iter().zip(&storage_ports);
        let called_by_sdgroup: Vec<_> = named.map(|(storage, port)| taps.before(&storage.name, port)).collect();
        let ports = Ports {
            client: client_port.number(),
            storages: numbers,
            group: group_port.as_ref().map(|port| taps.before("sdgroup", port)),
            archive: archive_port.as_ref().map(Port::number),
        };
        let fd = work(&plan, "fd");
        let mut directors = plan
            .directors()
            .iter()
            .map(|name| Director::new(name, &plan, &root, &ports, &storages));
        let director = directors.next().expect("a Director");
        let second_director = directors.next();
        let client = daemon(
            &client_root,
            "bacula-fd",
            CLIENT,
            client_port,
            &fd,
            resources::client(&plan, ports.client),
        );
        let storage_daemons = storages.iter().zip(storage_ports).map(|(storage, port)| {
            fs::create_dir_all(storage.volumes()).expect("the volumes' folder");
            let root = match plan.other_release {
                Some((name, release)) if name == storage.name => &root_of(release),
                _ => &root,
            };
            let text = resources::storage(&plan, storage, port.number(), &root.disk_changer());
            daemon(root, "bacula-sd", &storage.name, port, &storage.folder, text)
        });
        let storage_daemons = storage_daemons.collect();
        let sdgroup = binary
            .zip(group_port)
            .map(|(path, port)| Sdgroup::new(path, &plan, &storages, &called_by_sdgroup, (port, archive_port)));
        let mut lab = Self {
            sdgroup,
            director,
            second_director,
            client,
            storage_daemons,
            storages,
            taps,
            root,
            plan,
        };
        lab.bring_up();
        lab
    }

    fn bring_up(&mut self) {
        for daemon in self.daemons() {
            daemon.spawn();
        }
        for daemon in self.daemons() {
            daemon.wait_until_listening();
        }
        if let Some(sdgroup) = &mut self.sdgroup {
            sdgroup.start();
        }
    }

    /// All of Bacula's.
    fn daemons(&mut self) -> impl Iterator<Item = &mut Daemon> {
        let directors = [&mut self.director].into_iter().chain(&mut self.second_director);
        let directors = directors.map(Director::daemon);
        self.storage_daemons
            .iter_mut()
            .chain([&mut self.client])
            .chain(directors)
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn folder(&self) -> &Path {
        self.plan.folder()
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        self.director.catalog()
    }

    /// Asks the other Director from here on.
    pub(crate) fn change_director(&mut self) {
        let second = self.second_director.as_mut().expect("a lab with two Directors");
        std::mem::swap(&mut self.director, second);
    }

    /// From now on the jobs are in another catalog: that of a Director which has taken this lab over.
    pub(crate) fn keep_catalog(&mut self, catalog: Catalog) {
        self.director.keep_catalog(catalog);
    }

    pub(crate) fn storages(&self) -> &[Storage] {
        &self.storages
    }

    /// What can be heard between sdgroup and who calls it (`sdgroup`), or whom it calls (a storage's name).
    pub(crate) fn tap(&self, name: &str) -> &Tap {
        self.taps.of_daemon(name)
    }

    /// The daemon of the storage of this name.
    pub(crate) fn storage(&mut self, name: &str) -> &mut Daemon {
        self.storage_daemons
            .iter_mut()
            .find(|daemon| daemon.name() == name)
            .expect("a storage of this name")
    }

    /// Starts the storage again, and waits until sdgroup has seen that: a job would wait for it no longer than `DownWait`.
    pub(crate) fn bring_back(&mut self, storage: &str) {
        self.storage(storage).start();
        self.sdgroup().until_well(storage);
    }

    /// Runs one of Bacula's programs to its end; what it printed.
    pub(crate) fn bacula(&self, program: &str, arguments: &[&Path]) -> String {
        let output = self
            .root
            .command(program)
            .args(arguments)
            .output()
            .expect("a program of Bacula's");
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// The file in which the Director's configuration is.
    pub(crate) fn director_file(&self) -> PathBuf {
        self.folder().join("dir/bacula-dir.conf")
    }

    pub(crate) fn director(&mut self) -> &mut Daemon {
        self.director.daemon()
    }

    pub(crate) fn client(&mut self) -> &mut Daemon {
        &mut self.client
    }

    pub(crate) fn sdgroup(&mut self) -> &mut Sdgroup {
        self.sdgroup.as_mut().expect("a lab with sdgroup")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What a failed test leaves to read; the folder itself goes.
            let ours = self
                .sdgroup
                .as_ref()
                .map(|sdgroup| last_lines(&sdgroup.log(), 60))
                .unwrap_or_default();
            let mut err = std::io::stderr();
            let _nobody_reads = writeln!(err, "the end of sdgroup's log:\n{ours}");
        }
        // Nothing is kept, so nothing needs time to end well.
        for daemon in self.daemons() {
            daemon.kill();
        }
    }
}

/// A daemon's folder.
fn work(plan: &Plan, name: &str) -> PathBuf {
    let path = plan.folder().join(name);
    fs::create_dir_all(&path).expect("a daemon's folder");
    path
}

fn configure(path: PathBuf, text: String) -> PathBuf {
    fs::write(&path, text).expect("a configuration file");
    path
}

fn daemon(root: &Root, program: &str, name: &str, port: Port, folder: &Path, text: String) -> Daemon {
    let file = configure(folder.join(format!("{program}.conf")), text);
    let mut command = root.command(program);
    command.args(["-f", "-c"]).arg(file);
    Daemon::new(name, &command, port, folder)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(count)..)
        .unwrap_or_default()
        .join("\n")
}
