//! A lab of real Bacula daemons on the loopback address: a Director with its catalog, a Client, several storages,
//! and sdgroup between them if wanted. Every lab has a folder and ports of its own, so that tests run side by side.

// Several binaries share this module, and none of them uses all of it.
#![allow(dead_code)]

pub(crate) mod catalog;
pub(crate) mod daemon;
pub(crate) mod packages;
pub(crate) mod ports;
pub(crate) mod resources;
pub(crate) mod sdgroup;
pub(crate) mod tree;
pub(crate) mod wait;

use catalog::{Catalog, JobId, JobReport};
use daemon::Daemon;
use packages::{Release, Root};
use ports::Port;
use resources::{CLIENT, DIRECTOR, GROUP_DEVICE, GROUP_MEDIA_TYPE, GROUP_PASSWORD, Ports};
use sdgroup::{Sdgroup, Settings};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tree::Gate;

/// Far more than any job here takes on a busy machine.
pub(crate) const JOB_WITHIN: Duration = Duration::from_secs(120);
const CONSOLE_WITHIN: Duration = Duration::from_secs(60);

/// Which names the storages have for what they write on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// All storages have the Device and the MediaType that the Director asks for.
    Shared,
    /// Each storage has its own; sdgroup translates.
    Own,
}

/// Something to back up: the Director has a Job, a Verify job (`Verify-NAME`) and a FileSet for it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) is_gate: bool,
}

/// One storage as both sides know it.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) device: String,
    pub(crate) media_type: String,
    pub(crate) folder: PathBuf,
}

impl Storage {
    /// The folder that holds its volumes.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.folder.join("volumes")
    }

    /// The pool for jobs that go straight to this storage.
    pub(crate) fn direct_pool(&self) -> String {
        format!("{}-direct", self.name)
    }
}

/// What a lab is to be; its folder exists already, so that sources can be made.
#[derive(Debug)]
pub(crate) struct Plan {
    folder: TempDir,
    sources: Vec<Source>,
    /// How many; they are named File4, File5 ...
    pub(crate) storages: usize,
    pub(crate) words: Words,
    /// Drives in each storage's autochanger.
    pub(crate) devices: usize,
    pub(crate) jobs_per_device: usize,
    /// Maximum Volume Bytes of every pool.
    pub(crate) volume_size: Option<u64>,
    /// Whether attributes go to the Director as one file at the end, or one by one.
    pub(crate) spool_attributes: bool,
    /// The password with which the Director calls sdgroup.
    pub(crate) director_password: String,
    pub(crate) settings: Settings,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::Builder::new()
                .prefix("sdgroup-lab-")
                .tempdir()
                .expect("a temporary folder"),
            sources: Vec::new(),
            storages: 3,
            words: Words::Shared,
            devices: 3,
            jobs_per_device: 1,
            volume_size: None,
            spool_attributes: true,
            director_password: GROUP_PASSWORD.to_owned(),
            settings: Settings::default(),
        }
    }

    /// A plan of which the policy is all that matters.
    pub(crate) fn with_policy(policy: &'static str) -> Self {
        let mut plan = Self::new();
        plan.settings.policy = policy;
        plan
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// A Job that backs up a tree of its own, the same for the same seed.
    pub(crate) fn tree(&mut self, name: &str, seed: u64) -> PathBuf {
        let path = self.folder().join("source").join(name);
        fs::create_dir_all(&path).expect("the source's folder");
        tree::plant(&path, seed);
        self.sources.push(Source {
            name: name.to_owned(),
            path: path.clone(),
            is_gate: false,
        });
        path
    }

    /// A Job that lasts until [`Gate::open`]: its FileSet is a named pipe.
    pub(crate) fn gate(&mut self, name: &str) -> Gate {
        let folder = self.folder().join("source");
        fs::create_dir_all(&folder).expect("the sources' folder");
        let path = folder.join(name);
        let gate = Gate::shut(&path);
        self.sources.push(Source {
            name: name.to_owned(),
            path,
            is_gate: true,
        });
        gate
    }

    fn storage(&self, index: usize) -> Storage {
        let name = format!("File{}", index + 4);
        let (device, media_type) = match self.words {
            Words::Shared => (GROUP_DEVICE.to_owned(), GROUP_MEDIA_TYPE.to_owned()),
            Words::Own => (format!("FileChgr{}", index + 4), name.clone()),
        };
        let folder = self.folder().join(name.to_lowercase());
        Storage {
            password: format!("a director at {name}"),
            device,
            media_type,
            folder,
            name,
        }
    }

    /// Starts everything, sdgroup (`binary`) included.
    pub(crate) fn start(self, binary: impl AsRef<Path>) -> Lab {
        Lab::start(self, Some(binary.as_ref()))
    }

    /// Starts Bacula's daemons only; jobs go straight to the first storage unless told otherwise.
    pub(crate) fn start_without_sdgroup(self) -> Lab {
        Lab::start(self, None)
    }
}

/// Everything running.
pub(crate) struct Lab {
    sdgroup: Option<Sdgroup>,
    director: Daemon,
    client: Daemon,
    storage_daemons: Vec<Daemon>,
    storages: Vec<Storage>,
    catalog: Catalog,
    root: Root,
    plan: Plan,
}

impl Lab {
    fn start(plan: Plan, binary: Option<&Path>) -> Self {
        let root = Root::of(Release::Bookworm).unwrap_or_else(|error| panic!("{error}"));
        let storages: Vec<_> = (0..plan.storages).map(|index| plan.storage(index)).collect();
        let (director_port, client_port) = (Port::choose(), Port::choose());
        let storage_ports: Vec<_> = storages.iter().map(|_| Port::choose()).collect();
        let numbers: Vec<_> = storage_ports.iter().map(Port::number).collect();
        let group_port = binary.map(|_| Port::choose());
        let ports = Ports {
            director: director_port.number(),
            client: client_port.number(),
            storages: numbers.clone(),
            group: group_port.as_ref().map(Port::number),
        };
        let work = |name: &str| {
            let path = plan.folder().join(name);
            fs::create_dir_all(&path).expect("a daemon's folder");
            path
        };
        let (dir, fd) = (work("dir"), work("fd"));
        let configure = |path: PathBuf, text: String| {
            fs::write(&path, text).expect("a configuration file");
            path
        };
        configure(plan.folder().join("bconsole.conf"), resources::console(ports.director));
        let catalog = Catalog::create(&dir.join("bacula.db"), &root.catalog_schema());
        let daemon = |program: &str, name: &str, port, folder: &Path, text| {
            let file = configure(folder.join(format!("{program}.conf")), text);
            let mut command = root.command(program);
            command.args(["-f", "-c"]).arg(file);
            Daemon::new(name, &command, port, folder)
        };
        let director_text = resources::director(&plan, &ports, &storages);
        let director = daemon("bacula-dir", DIRECTOR, director_port, &dir, director_text);
        let client = daemon(
            "bacula-fd",
            CLIENT,
            client_port,
            &fd,
            resources::client(&plan, ports.client),
        );
        let storage_daemons = storages.iter().zip(storage_ports).map(|(storage, port)| {
            fs::create_dir_all(storage.volumes()).expect("the volumes' folder");
            let text = resources::storage(&plan, storage, port.number());
            daemon("bacula-sd", &storage.name, port, &storage.folder, text)
        });
        let storage_daemons = storage_daemons.collect();
        let sdgroup = binary
            .zip(group_port)
            .map(|(path, port)| Sdgroup::new(path, &plan, &storages, &numbers, port));
        let mut lab = Self {
            sdgroup,
            director,
            client,
            storage_daemons,
            storages,
            catalog,
            root,
            plan,
        };
        lab.bring_up();
        lab
    }

    fn bring_up(&mut self) {
        for daemon in self
            .storage_daemons
            .iter_mut()
            .chain([&mut self.client, &mut self.director])
        {
            daemon.spawn();
        }
        for daemon in self
            .storage_daemons
            .iter_mut()
            .chain([&mut self.client, &mut self.director])
        {
            daemon.wait_until_listening();
        }
        if let Some(sdgroup) = &mut self.sdgroup {
            sdgroup.start();
        }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn folder(&self) -> &Path {
        self.plan.folder()
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn storages(&self) -> &[Storage] {
        &self.storages
    }

    /// The daemon of the storage of this name.
    pub(crate) fn storage(&mut self, name: &str) -> &mut Daemon {
        self.storage_daemons
            .iter_mut()
            .find(|daemon| daemon.name() == name)
            .expect("a storage of this name")
    }

    pub(crate) fn director(&mut self) -> &mut Daemon {
        &mut self.director
    }

    pub(crate) fn client(&mut self) -> &mut Daemon {
        &mut self.client
    }

    pub(crate) fn sdgroup(&mut self) -> &mut Sdgroup {
        self.sdgroup.as_mut().expect("a lab with sdgroup")
    }

    /// Types `commands` into a console, one a line, and returns what it printed.
    pub(crate) fn console(&self, commands: &[&str]) -> String {
        let printed = tempfile::NamedTempFile::new_in(self.folder()).expect("a file for what is printed");
        let mut command: Command = self.root.command("bconsole");
        command
            .args(["-n", "-c"])
            .arg(self.folder().join("bconsole.conf"))
            .current_dir(self.folder());
        command
            .stdin(Stdio::piped())
            .stdout(printed.reopen().expect("the file again"));
        let mut child = command
            .stderr(printed.reopen().expect("the file again"))
            .spawn()
            .expect("bconsole");
        let mut input = child.stdin.take().expect("bconsole's input");
        input
            .write_all(format!("{}\n", commands.join("\n")).as_bytes())
            .expect("what is typed");
        drop(input);
        let console = || fs::read(printed.path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let begun = std::time::Instant::now();
        while child.try_wait().expect("bconsole's end").is_none() {
            if begun.elapsed() > CONSOLE_WITHIN {
                child.kill().expect("killing bconsole");
                child.wait().expect("bconsole's end");
                panic!("bconsole did not end: {commands:?}\n{}", console().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        console().expect("what was printed")
    }

    /// A script that runs bconsole for whoever wants to type himself.
    pub(crate) fn write_console_script(&self) -> PathBuf {
        let command = self.root.command("bconsole");
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        let script = self.folder().join("bconsole");
        let configuration = self.folder().join("bconsole.conf");
        let text = format!("#!/bin/sh\nexec {} -c '{}'\n", words.join(" "), configuration.display());
        fs::write(&script, text).expect("the script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("the script's mode");
        script
    }

    /// Asks the Director to run a job and returns at once. `level` is as in the console; `more` may name another
    /// storage or pool.
    pub(crate) fn run_job_with(&self, name: &str, level: &str, more: &str) -> JobId {
        let printed = self.console(&[&format!("run job={name} level={level} {more} yes")]);
        queued(&printed)
    }

    pub(crate) fn run_job(&self, name: &str, level: &str) -> JobId {
        self.run_job_with(name, level, "")
    }

    /// Runs the job on that storage with nothing in between.
    pub(crate) fn run_directly(&self, name: &str, level: &str, storage: &str) -> JobId {
        let storage = self
            .storages
            .iter()
            .find(|known| known.name == storage)
            .expect("a storage of this name");
        self.run_job_with(
            name,
            level,
            &format!("storage={} pool={}", storage.name, storage.direct_pool()),
        )
    }

    /// Restores these jobs, oldest first, below `folder`.
    pub(crate) fn start_restore(&self, jobs: &[JobId], folder: &Path) -> JobId {
        let jobs = jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let command = format!(
            "restore client={CLIENT} jobid={jobs} restorejob=Restore where={} all done yes",
            folder.display()
        );
        queued(&self.console(&[&command]))
    }

    /// Waits until the job has ended and said so.
    pub(crate) fn wait(&self, id: JobId) -> JobReport {
        self.wait_within(id, JOB_WITHIN)
    }

    pub(crate) fn wait_within(&self, id: JobId, within: Duration) -> JobReport {
        let look = || self.catalog.ended_job(id);
        let mut report = wait::until_or(&format!("the end of job {id}"), within, look, || self.story_of(id));
        report.storages = self.storages_of(&report.volumes);
        report
    }

    /// Runs the job to its end.
    pub(crate) fn job(&self, name: &str, level: &str) -> JobReport {
        self.wait(self.run_job(name, level))
    }

    /// Waits until the job's log contains `text`.
    pub(crate) fn wait_for_log(&self, id: JobId, text: &str, within: Duration) {
        let look = || self.catalog.job(id)?.log.contains(text).then_some(());
        wait::until_or(&format!("{text:?} in the log of job {id}"), within, look, || {
            self.story_of(id)
        });
    }

    /// Restores these jobs into a new folder, waits, and returns the folder that corresponds to `source`.
    pub(crate) fn restore(&self, jobs: &[JobId], source: &Path) -> (JobReport, PathBuf) {
        let folder = tempfile::Builder::new()
            .prefix("restored-")
            .tempdir_in(self.folder())
            .expect("a folder")
            .keep();
        let report = self.wait(self.start_restore(jobs, &folder));
        let inner = source.strip_prefix("/").unwrap_or(source);
        (report, folder.join(inner))
    }

    /// Restores these jobs and compares every file with `expected`, the checksum of the source at the time.
    pub(crate) fn must_restore(&self, jobs: &[JobId], source: &Path, expected: &str) -> JobReport {
        let (report, restored) = self.restore(jobs, source);
        report.must_be_ok();
        let found = tree::checksum(&restored);
        assert!(
            found == expected,
            "restored:\n{found}\nexpected:\n{expected}\nlog:\n{}",
            report.log
        );
        report
    }

    /// The storages on whose disks these volumes are.
    pub(crate) fn storages_of(&self, volumes: &[String]) -> Vec<String> {
        let holds = |storage: &&Storage| volumes.iter().any(|volume| storage.volumes().join(volume).exists());
        self.storages
            .iter()
            .filter(holds)
            .map(|storage| storage.name.clone())
            .collect()
    }

    /// Whether the Director still counts the job among the running ones.
    pub(crate) fn is_running(&self, id: JobId) -> bool {
        let printed = self.console(&[".status dir running"]);
        let (mut jobs, id) = (printed.lines(), id.to_string());
        jobs.any(|line| line.split_ascii_whitespace().next() == Some(&id))
    }

    /// All that is known of a job that does not come to its end.
    fn story_of(&self, id: JobId) -> String {
        let job = self.catalog.job(id).map_or_else(
            || "the catalog has no such job".to_owned(),
            |job| format!("status {}, {} files; its log:\n{}", job.status, job.files, job.log),
        );
        let ours = self
            .sdgroup
            .as_ref()
            .map(|sdgroup| last_lines(&sdgroup.log(), 60))
            .unwrap_or_default();
        let status = self.console(&["status dir running"]);
        format!("job {id}: {job}\nthe Director:\n{status}\nthe end of sdgroup's log:\n{ours}")
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
        for daemon in [&mut self.director, &mut self.client]
            .into_iter()
            .chain(&mut self.storage_daemons)
        {
            daemon.kill();
        }
    }
}

fn queued(printed: &str) -> JobId {
    let number = printed
        .split_once("Job queued. JobId=")
        .map(|(_, rest)| rest.trim_start());
    let digits = number.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    let id = digits.and_then(|digits| digits.parse().ok());
    JobId(id.unwrap_or_else(|| panic!("no job was queued:\n{printed}")))
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(count)..)
        .unwrap_or_default()
        .join("\n")
}
