//! sdgroup as a process of its own, between a Director and storages of the test's process.

use std::net::SocketAddr;
use std::sync::Arc;

use super::binary::Binary;
use super::bytes_of_jobs::Record;
use super::running::{back_up, restore};
use super::site::{Plot, catalog, director_at, storages};
use super::wait::until_true;
use crate::peers::director::{Director, Report};
use crate::peers::storage::Storage;

/// All of them.
pub(crate) struct Apart {
    pub(crate) storages: Vec<Arc<Storage>>,
    pub(crate) binary: Binary,
    pub(crate) director: Director,
}

impl Apart {
    pub(crate) async fn start(plot: Plot) -> Self {
        Self::start_with(plot, None).await
    }

    /// Where sdgroup may have so many descriptors and no more.
    pub(crate) async fn start_with(plot: Plot, descriptors: Option<u32>) -> Self {
        let storages = storages(&plot);
        let addresses: Vec<SocketAddr> = storages.iter().map(|storage| storage.address).collect();
        let binary = Binary::start(&plot, &addresses, descriptors).await;
        let director = director_at(binary.address(), catalog());
        Self {
            storages,
            binary,
            director,
        }
    }

    /// A backup that must end well.
    pub(crate) async fn back_up(&self, name: &str) -> (Report, Vec<Record>) {
        back_up(&self.director, name).await
    }

    /// What a restore of the job brings back.
    pub(crate) async fn restore(&self, report: &Report) -> Vec<Record> {
        restore(&self.director, report).await
    }

    /// No job is left, and nobody has said or asked for anything wrong.
    pub(crate) async fn assert_clean(&self) {
        assert_clean(&self.storages, &self.director).await;
    }
}

/// The same of these.
pub(crate) async fn assert_clean(storages: &[Arc<Storage>], director: &Director) {
    for storage in storages {
        until_true("the storages to be without jobs", || storage.jobs() == 0).await;
        assert_eq!((storage.strangers().len(), storage.missing().len()), (0, 0));
        assert_eq!(storage.broken_rules(), [""; 0]);
        assert_eq!(storage.wrong_keys(), 0);
    }
    assert_eq!(director.catalog.refused(), [""; 0]);
}
