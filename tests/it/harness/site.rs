//! A whole site: storages, a Director with its catalog, and sdgroup between them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use sdgroup::store::{MemoryStore, Store};
use sdgroup::types::JobName;

use super::link::Link;
use super::sdgroup::Sdgroup;
use super::wait::{until_told, until_true};
use crate::peers::catalog::{Catalog, Pool};
use crate::peers::director::{Director, Report, StorageResource};
use crate::peers::storage::{Settings, Storage};

/// The Director's name everywhere.
pub(crate) const DIRECTOR: &str = "sim-dir";
/// Another Director that may do the same.
pub(crate) const OTHER_DIRECTOR: &str = "other-dir";
/// The pool of all backups.
pub(crate) const POOL: &str = "Default";
/// That of the other Director: volumes must not have the same names, for which storages have one namespace.
pub(crate) const OTHER_POOL: &str = "Other";
/// The Director's password at sdgroup.
pub(crate) const PASSWORD: &str = "password of sdgroup";

/// A catalog whose pool makes as many volumes as are asked for.
pub(crate) fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::with_pool(Pool::endless(POOL)))
}

/// A storage with its defaults.
pub(crate) fn storage(name: &str) -> Storage {
    Storage::start(Settings::new(name, DIRECTOR, &password(name)))
}

/// The password of a storage.
pub(crate) fn password(storage: &str) -> String {
    format!("password of {storage}")
}

/// A Director that talks to `storage` itself.
pub(crate) fn director_of(storage: &Storage, catalog: Arc<Catalog>) -> Director {
    let settings = storage.settings();
    let resource = StorageResource {
        name: "Direct".to_owned(),
        address: storage.address,
        device: settings.changer.clone(),
        media_type: settings.media_type.clone(),
    };
    Director::new(DIRECTOR, &password(&settings.name), resource, catalog)
}

/// How a site is to be.
pub(crate) struct Plot {
    pub(crate) policy: &'static str,
    /// Of each storage.
    pub(crate) maximum_concurrent_jobs: usize,
    /// Further lines of `[Sdgroup]`.
    pub(crate) process: &'static str,
    /// Lines of `[Probe]`. Only a process of its own probes.
    pub(crate) probe: &'static str,
    /// Further lines of `[[Group]]`.
    pub(crate) group: &'static str,
    /// How long a storage gets no jobs after its first failure.
    pub(crate) ejection: &'static str,
    /// Further lines of each `[[Storage]]`, by its name.
    pub(crate) storage: fn(&str) -> String,
    /// Further tables.
    pub(crate) more: &'static str,
    /// sdgroup reaches its storages over links.
    pub(crate) over_links: bool,
    pub(crate) pool: Pool,
    /// Changes each storage's settings.
    pub(crate) settings: fn(&mut Settings),
}

impl Default for Plot {
    fn default() -> Self {
        Self {
            policy: "RoundRobin",
            maximum_concurrent_jobs: 100,
            process: "",
            probe: "Interval = \"1 hour\"",
            group: "DownWait = \"0.5 seconds\"\nLoginTimeout = \"2 seconds\"",
            ejection: "1 hour",
            storage: |_| String::new(),
            more: "",
            over_links: false,
            pool: Pool::endless(POOL),
            settings: |_| {},
        }
    }
}

impl Plot {
    /// The storages are used in their order.
    pub(crate) fn listed() -> Self {
        Self {
            policy: "ListedOrder",
            ..Self::default()
        }
    }
}

/// A site.
pub(crate) struct Site {
    pub(crate) storages: Vec<Arc<Storage>>,
    /// Between sdgroup and each storage.
    pub(crate) links: Vec<Link>,
    pub(crate) sdgroup: Sdgroup,
    pub(crate) director: Director,
}

/// The storages' names, in the order of the group.
pub(crate) const NAMES: [&str; 3] = ["File4", "File5", "File6"];

impl Site {
    pub(crate) async fn new(plot: Plot) -> Self {
        Self::with_store(plot, Arc::new(MemoryStore::new())).await
    }

    /// A site whose volume ledger is in `store`.
    pub(crate) async fn with_store(plot: Plot, store: Arc<dyn Store>) -> Self {
        let storages = storages(&plot);
        let mut links = Vec::new();
        for storage in &storages {
            links.push(Link::to(storage.address).await);
        }
        let addresses: Vec<SocketAddr> = if plot.over_links {
            links.iter().map(|link| link.address).collect()
        } else {
            storages.iter().map(|storage| storage.address).collect()
        };
        // In the test's process nobody listens at the port of the configuration: the test has its own socket.
        let sdgroup = Sdgroup::start(&configuration(&plot, &addresses, 9103, ""), store).await;
        let director = director_at(sdgroup.address, Arc::new(Catalog::with_pool(plot.pool)));
        Self {
            storages,
            links,
            sdgroup,
            director,
        }
    }

    /// The storage that holds what this job wrote, if exactly one does.
    pub(crate) fn home(&self, report: &Report) -> &Storage {
        let mut holders = self
            .storages
            .iter()
            .filter(|storage| !storage.written_by(&report.name).is_empty());
        let home = holders
            .next()
            .unwrap_or_else(|| panic!("no storage has {}: {:?}", report.name, report.told));
        assert!(holders.next().is_none(), "two storages have {}", report.name);
        home
    }

    /// The storage that holds data of this job, as soon as one does.
    pub(crate) async fn home_of(&self, job: &JobName) -> Arc<Storage> {
        let holds = |storage: &&Arc<Storage>| !storage.written_by(job).is_empty();
        until_told("a storage to have the job's data", || {
            let home = self.storages.iter().find(holds).cloned();
            home.ok_or_else(|| "none has".to_owned())
        })
        .await
    }

    /// Another Director, with a catalog of its own.
    pub(crate) fn other_director(&self) -> Director {
        let catalog = Arc::new(Catalog::with_pool(Pool::endless(OTHER_POOL)));
        let mut other = director_at(self.sdgroup.address, catalog);
        OTHER_DIRECTOR.clone_into(&mut other.name);
        other
    }

    /// Waits until all jobs are over everywhere, and looks for traces.
    pub(crate) async fn until_quiet(&self, reports: &[&Report]) {
        let names: Vec<_> = reports.iter().map(|report| report.name.clone()).collect();
        self.sdgroup.until_empty(&names).await;
        for storage in &self.storages {
            until_true("the storages to be without jobs and connections", || {
                storage.jobs() == 0 && storage.connections() == 0
            })
            .await;
            assert_eq!(storage.broken_rules(), [""; 0]);
        }
        assert_eq!(self.director.catalog.refused(), [""; 0]);
    }

    /// That no storage was ever told to write, or to read, what it does not have.
    pub(crate) fn assert_volumes_stayed_home(&self) {
        for storage in &self.storages {
            assert_eq!(storage.strangers(), []);
            assert_eq!(storage.missing(), [""; 0]);
            assert_eq!(storage.operator_calls(), 0);
        }
        let media = self.director.catalog.media();
        let marked: Vec<_> = media.iter().filter(|media| media.status == "Error").collect();
        assert!(marked.is_empty(), "{marked:?}");
    }
}

/// The three storages.
pub(crate) fn storages(plot: &Plot) -> Vec<Arc<Storage>> {
    let mut storages = Vec::new();
    for name in NAMES {
        let mut settings = Settings::new(name, DIRECTOR, &password(name));
        settings.directors.push((OTHER_DIRECTOR.to_owned(), password(name)));
        (plot.settings)(&mut settings);
        storages.push(Arc::new(Storage::start(settings)));
    }
    storages
}

/// The Director whose Storage resource points to sdgroup.
pub(crate) fn director_at(address: SocketAddr, catalog: Arc<Catalog>) -> Director {
    let resource = StorageResource {
        name: "Group".to_owned(),
        address,
        device: "Changer".to_owned(),
        media_type: "File".to_owned(),
    };
    Director::new(DIRECTOR, PASSWORD, resource, catalog)
}

/// sdgroup's configuration for these storages.
///
/// `own` are further lines of `[Sdgroup]`; it listens at `port`.
pub(crate) fn configuration(plot: &Plot, storages: &[SocketAddr], port: u16, own: &str) -> String {
    let mut text = format!(
        r#"
        [Sdgroup]
        Name = "sdgroup"
        {process}
        {own}

        [[Listen]]
        Address = "127.0.0.1"
        SDPort = {port}
        Group = "Files"

        [[Director]]
        Name = "{DIRECTOR}"
        Password = "{PASSWORD}"

        [[Director]]
        Name = "{OTHER_DIRECTOR}"
        Password = "{PASSWORD}"

        [Probe]
        {probe}

        [Ejection]
        Time = "{ejection}"
        MaximumTime = "1 hour"

        [[Group]]
        Name = "Files"
        Storages = ["File4", "File5", "File6"]
        StorageGroupPolicy = "{policy}"
        {group}

        {more}
        "#,
        more = plot.more,
        process = plot.process,
        probe = plot.probe,
        policy = plot.policy,
        ejection = plot.ejection,
        group = plot.group,
    );
    for (name, address) in NAMES.iter().zip(storages) {
        let (port, limit, password) = (address.port(), plot.maximum_concurrent_jobs, password(name));
        let more = (plot.storage)(name);
        write!(
            text,
            r#"
        [[Storage]]
        Name = "{name}"
        Address = "127.0.0.1"
        SDPort = {port}
        Password = "{password}"
        MaximumConcurrentJobs = {limit}
        {more}
        "#
        )
        .expect("memory");
    }
    text
}
