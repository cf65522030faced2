//! sdgroup in the lab: its configuration, its process, its metrics.

use super::daemon::Daemon;
use super::http::get;
use super::ports::Port;
use super::resources::{ARCHIVE, GROUP, GROUP_DEVICE, GROUP_MEDIA_TYPE, GROUP_PASSWORD};
use super::{Plan, Storage, reachable, wait};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// What opens the operator's interface at [`Sdgroup::admin_address`].
pub(crate) const ADMIN_TOKEN: &str = "the-lab-has-its-own-token";
const READY_WITHIN: Duration = Duration::from_secs(30);
/// What follows a job's end, or a storage's start, takes seconds on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// What a test chooses of sdgroup's configuration; times as the configuration file has them.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) policy: &'static str,
    pub(crate) down_wait: &'static str,
    pub(crate) busy_wait: &'static str,
    pub(crate) connect_timeout: &'static str,
    /// A storage's time to let us in, probes excepted.
    pub(crate) login_timeout: &'static str,
    /// A storage's silence when it is asked for a device.
    pub(crate) reserve_timeout: &'static str,
    /// A Director's or Client's time to log in at us, and to send its first packet.
    pub(crate) caller_timeout: &'static str,
    pub(crate) route_wait: &'static str,
    pub(crate) probe_interval: &'static str,
    pub(crate) ejection_time: &'static str,
    /// Of every storage.
    pub(crate) maximum_concurrent_jobs: u32,
    /// Further lines of the storage of this name.
    pub(crate) storage_of: BTreeMap<&'static str, String>,
    /// Further lines of every group, its rules at the end.
    pub(crate) group: String,
    /// Further tables.
    pub(crate) tables: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: "RoundRobin",
            down_wait: "4 seconds",
            busy_wait: "2 minutes",
            connect_timeout: "2 seconds",
            login_timeout: "2 seconds",
            reserve_timeout: "10 seconds",
            caller_timeout: "10 seconds",
            route_wait: "1 second",
            probe_interval: "2 seconds",
            ejection_time: "2 seconds",
            maximum_concurrent_jobs: 20,
            storage_of: BTreeMap::new(),
            group: String::new(),
            tables: String::new(),
        }
    }
}

impl Settings {
    /// Probes so seldom that only what traffic sees counts.
    pub(crate) fn without_probes(mut self) -> Self {
        self.probe_interval = "1 hour";
        self
    }
}

/// The daemon under test.
#[derive(Debug)]
pub(crate) struct Sdgroup {
    daemon: Daemon,
    metrics: Port,
    admin: Port,
    binary: PathBuf,
    configuration: PathBuf,
    /// Where its second group is called.
    _archive: Option<Port>,
}

impl Sdgroup {
    /// Writes the configuration; `binary` is what cargo built.
    pub(crate) fn new(
        binary: &Path,
        plan: &Plan,
        storages: &[Storage],
        ports: &[u16],
        (port, archive): (Port, Option<Port>),
    ) -> Self {
        let folder = plan.folder().join("sdgroup");
        fs::create_dir_all(folder.join("state")).expect("the state folder");
        let (metrics, admin) = (Port::choose(), Port::choose());
        let configuration = folder.join("sdgroup.toml");
        let mut text = configuration_text(plan, storages, ports, (port.number(), &metrics, &admin), &folder);
        if let Some(archive) = &archive {
            let listen = "Address = \"127.0.0.1\"";
            let (number, members) = (archive.number(), group_text(plan, ARCHIVE, archive_of(plan, storages)));
            write!(
                text,
                "\n[[Listen]]\n{listen}\nSDPort = {number}\nGroup = \"{ARCHIVE}\"\n\n{members}"
            )
            .expect("a String takes all");
        }
        fs::write(&configuration, text).expect("sdgroup.toml");
        fs::set_permissions(&configuration, fs::Permissions::from_mode(0o600)).expect("its mode: it holds passwords");
        let mut command = Command::new(binary);
        command.args(["run", "-c"]).arg(&configuration);
        let daemon = Daemon::new("sdgroup", &command, port, &folder);
        Self {
            daemon,
            metrics,
            admin,
            binary: binary.to_owned(),
            configuration,
            _archive: archive,
        }
    }

    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(&mut self) {
        self.daemon.start();
        let printed = || self.daemon.printed();
        wait::until_or(
            "sdgroup's /readyz",
            READY_WITHIN,
            || (self.get("/readyz")?.0 == 200).then_some(()),
            printed,
        );
    }

    /// Its log so far.
    pub(crate) fn printed(&self) -> String {
        self.daemon.printed()
    }

    pub(crate) fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Asks it to end (SIGTERM), which waits for its jobs.
    pub(crate) fn terminate(&self) {
        self.daemon.terminate();
    }

    pub(crate) fn wait_for_end(&mut self, within: Duration) -> Option<ExitStatus> {
        self.daemon.wait_for_end(within)
    }

    pub(crate) fn restart(&mut self) {
        self.daemon.stop();
        self.start();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.daemon.is_running()
    }

    pub(crate) fn daemon_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Where Directors and Clients call.
    pub(crate) fn address(&self) -> SocketAddr {
        self.daemon.port().address()
    }

    /// Where `/metrics`, `/livez` and `/readyz` are.
    pub(crate) fn metrics_address(&self) -> SocketAddr {
        self.metrics.address()
    }

    /// Where the dashboard is, and the operator's interface for whoever shows [`ADMIN_TOKEN`].
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    pub(crate) fn configuration(&self) -> &Path {
        &self.configuration
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    pub(crate) fn log_file(&self) -> &Path {
        self.daemon.output()
    }

    /// Its log, which goes to standard output or standard error.
    pub(crate) fn log(&self) -> String {
        self.daemon.printed()
    }

    /// Has it hand over to a successor, which serves from now on.
    pub(crate) fn hand_over(&mut self) {
        let (status, said) = self.run(&["handover"]);
        assert!(status.success(), "{said}\n{}", self.log());
    }

    /// Waits until no process is left that has handed over.
    pub(crate) fn wait_for_predecessors(&self) {
        let none = || (self.metrics().sum("sdgroup_predecessors", &[]) < 0.5).then_some(());
        wait::until("the end of all predecessors", Duration::from_secs(90), none);
    }

    /// Runs a subcommand (`volumes list`, `check`) with the same configuration; status and all that was printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> (ExitStatus, String) {
        let mut command = Command::new(&self.binary);
        let output = command
            .args(arguments)
            .arg("-c")
            .arg(&self.configuration)
            .output()
            .expect("sdgroup");
        let printed = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&printed).into_owned())
    }

    /// Status and body of one request; `None` when nobody answers.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.metrics.address(), path)
    }

    /// What Prometheus would see now.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::of(self.metrics.address()).expect("an answer from /metrics")
    }

    /// Waits until the sum over the samples with these labels is as it should be. Of a connection, some things are
    /// counted when both of its ends have closed, which may be after the end of its job.
    pub(crate) fn until_metric(&self, name: &str, labels: &[(&str, &str)], is_so: impl Fn(f64) -> bool) {
        let seen = Cell::new(None);
        let look = || {
            let metrics = self.metrics();
            seen.set(metrics.has(name).then(|| metrics.sum(name, labels)));
            seen.get().filter(|sum| is_so(*sum)).map(drop)
        };
        wait::until_or(&format!("{name}{labels:?}"), SOON, look, || {
            seen.get()
                .map_or_else(|| "there is no such metric".to_owned(), |sum| format!("it is {sum}"))
        });
    }

    /// Waits until its log says this.
    pub(crate) fn until_printed(&self, text: &str) {
        let look = || self.printed().contains(text).then_some(());
        wait::until_or(&format!("{text:?} in the log"), SOON, look, || self.printed());
    }

    /// Waits until it gives jobs to this storage, as far as that depends on how the storage is.
    pub(crate) fn until_well(&self, storage: &str) {
        let labels = [("storage", storage)];
        self.until_metric("sdgroup_storage_up", &labels, |up| up > 0.5);
        self.until_metric("sdgroup_storage_ejected", &labels, |ejected| ejected < 0.5);
    }
}

impl Drop for Sdgroup {
    fn drop(&mut self) {
        reachable::kill_all(&self.configuration.with_file_name("state"));
    }
}

fn configuration_text(
    plan: &Plan,
    storages: &[Storage],
    ports: &[u16],
    (port, metrics, admin): (u16, &Port, &Port),
    folder: &Path,
) -> String {
    let settings = &plan.settings;
    let state = folder.join("state").display().to_string();
    let (metrics, admin, timeout) = (metrics.address(), admin.address(), settings.caller_timeout);
    let mut text = format!(
        "[Sdgroup]\nName = \"sdgroup\"\nStateDirectory = {state:?}\nMetricsAddress = \"{metrics}\"\n\
         AdminAddress = \"{admin}\"\nAdminToken = \"{ADMIN_TOKEN}\"\n\
         LogFormat = \"text\"\nLogLevel = \"debug\"\n\
         FirstPacketTimeout = \"{timeout}\"\nLoginTimeout = \"{timeout}\"\nRouteWait = \"{}\"\n{}\n\
         [[Listen]]\nAddress = \"127.0.0.1\"\nSDPort = {port}\nGroup = \"{GROUP}\"\n\n",
        settings.route_wait, plan.tls.sdgroup,
    );
    for name in plan.directors() {
        write!(
            text,
            "[[Director]]\nName = \"{name}\"\nPassword = \"{GROUP_PASSWORD}\"\n{}\n",
            plan.tls.sdgroup_director
        )
        .expect("a String takes all");
    }
    for (storage, port) in storages.iter().zip(ports) {
        let Storage {
            name,
            password,
            device,
            media_type,
            ..
        } = storage;
        let jobs = settings.maximum_concurrent_jobs;
        write!(
            text,
            "[[Storage]]\nName = {name:?}\nAddress = \"127.0.0.1\"\nSDPort = {port}\nPassword = {password:?}\n\
             MaximumConcurrentJobs = {jobs}\n{}",
            plan.tls.sdgroup_storages
        )
        .expect("a String takes all");
        if device != GROUP_DEVICE {
            write!(text, "Device = {device:?}\nMediaType = {media_type:?}\n").expect("a String takes all");
        }
        text += settings.storage_of.get(name.as_str()).map_or("", String::as_str);
        text.push('\n');
    }
    let (first, _) = storages.split_at(storages.len() - plan.archive - plan.apart);
    text += &group_text(plan, GROUP, first);
    write!(
        text,
        "\n[Probe]\nInterval = \"{}\"\nTimeout = \"5 seconds\"\nRise = 1\nFall = 2\n\n\
         [Ejection]\nFailures = 1\nTime = \"{}\"\nMaximumTime = \"1 minute\"\n",
        settings.probe_interval, settings.ejection_time,
    )
    .expect("a String takes all");
    text + "\n" + &settings.tables
}

/// The storages of the second group.
fn archive_of<'a>(plan: &Plan, storages: &'a [Storage]) -> &'a [Storage] {
    storages.split_at(storages.len() - plan.archive).1
}

/// `[[Group]]`.
fn group_text(plan: &Plan, name: &str, storages: &[Storage]) -> String {
    let settings = &plan.settings;
    let names: Vec<_> = storages.iter().map(|storage| format!("{:?}", storage.name)).collect();
    format!(
        "[[Group]]\nName = \"{name}\"\nStorages = [{}]\nStorageGroupPolicy = \"{}\"\n\
         Device = \"{GROUP_DEVICE}\"\nMediaType = \"{GROUP_MEDIA_TYPE}\"\nDownWait = \"{}\"\nBusyWait = \"{}\"\n\
         ConnectTimeout = \"{}\"\nLoginTimeout = \"{}\"\nReserveTimeout = \"{}\"\n{}\n",
        names.join(", "),
        settings.policy,
        settings.down_wait,
        settings.busy_wait,
        settings.connect_timeout,
        settings.login_timeout,
        settings.reserve_timeout,
        settings.group,
    )
}

/// Samples of one scrape.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Vec<Sample>);

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// What Prometheus would see at this address now; `None` when nobody answers.
    pub(crate) fn of(address: SocketAddr) -> Option<Self> {
        let (status, body) = get(address, "/metrics")?;
        assert_eq!(status, 200, "/metrics: {body}");
        Some(Self::parse(&body))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines
                .map(|line| Sample::parse(line).unwrap_or_else(|| panic!("not a sample: {line}")))
                .collect(),
        )
    }

    /// The sum over the samples of this name which have all these labels; zero when there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.0
            .iter()
            .filter(|sample| sample.name == name)
            .filter(|sample| {
                labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|v| v == value))
            })
            // Not `sum()`: an empty sum of floats is -0.
            .fold(0.0, |total, sample| total + sample.value)
    }

    /// Whether the name occurs at all: a test of a metric must not pass because its name has changed.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|sample| sample.name == name)
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let Some((name, labels)) = series.split_once('{') else {
            return Some(Self {
                name: series.to_owned(),
                labels: BTreeMap::new(),
                value,
            });
        };
        let pairs = labels.strip_suffix('}')?.split("\",").filter(|pair| !pair.is_empty());
        let labels = pairs
            .map(|pair| {
                pair.trim_end_matches('"')
                    .split_once("=\"")
                    .map(|(l, v)| (l.to_owned(), v.to_owned()))
            })
            .collect::<Option<_>>()?;
        Some(Self {
            name: name.to_owned(),
            labels,
            value,
        })
    }
}
