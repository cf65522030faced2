//! A Director in the lab: its process, its catalog, and how a console reaches it.

use super::catalog::Catalog;
use super::daemon::Daemon;
use super::packages::Root;
use super::ports::Port;
use super::resources::{self, Ports};
use super::{Plan, Storage, configure, daemon};
use std::fs;
use std::path::{Path, PathBuf};

/// One Director.
#[derive(Debug)]
pub(super) struct Director {
    daemon: Daemon,
    catalog: Catalog,
    console: PathBuf,
}

impl Director {
    /// The Director of this name, with an empty catalog, not started yet.
    pub(super) fn new(name: &str, plan: &Plan, root: &Root, ports: &Ports, storages: &[Storage]) -> Self {
        let folder = resources::folder_of(plan, name);
        fs::create_dir_all(&folder).expect("a Director's folder");
        let port = Port::choose();
        let console = configure(folder.join("bconsole.conf"), resources::console(name, port.number()));
        let catalog = Catalog::create(&folder.join("bacula.db"), root.catalog_schema());
        let text = resources::director(plan, (name, port.number()), ports, storages);
        Self {
            daemon: daemon(root, "bacula-dir", name, port, &folder, text),
            catalog,
            console,
        }
    }

    pub(super) fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(super) fn keep_catalog(&mut self, catalog: Catalog) {
        self.catalog = catalog;
    }

    /// The configuration of consoles that are to reach it.
    pub(super) fn console(&self) -> &Path {
        &self.console
    }
}
