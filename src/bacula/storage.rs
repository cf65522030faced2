//! What matters to sdgroup in a Storage Daemon's configuration.

use std::path::Path;

use super::resource::Resource;
use super::{ReadError, unfit};
use crate::config::model::{DEFAULT_MAXIMUM_CONCURRENT_JOBS, DEFAULT_SD_PORT};
use crate::types::Secret;

/// A Storage Daemon.
#[derive(Debug)]
pub struct StorageFile {
    /// Its name, which is not the Director's for it.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    /// How many jobs it runs at once.
    pub maximum_jobs: u32,
    /// Who may log in to it.
    pub directors: Vec<DirectorThere>,
    /// Its Devices and Autochangers by name, with the media type; that of an Autochanger is its first Device's.
    pub devices: Vec<(String, Option<String>)>,
}

/// A Director resource of a Storage Daemon.
#[derive(Debug)]
pub struct DirectorThere {
    /// Its name.
    pub name: String,
    /// What it has to prove.
    pub password: Secret,
    /// Whether it may only ask for the status.
    pub monitor: bool,
}

impl StorageFile {
    pub(super) fn new(resources: &[Resource], file: &Path) -> Result<Self, ReadError> {
        let of = |kind: &'static str| resources.iter().filter(move |resource| resource.is(kind));
        let Some(storage) = of("storage").next() else {
            let text = "it has no Storage resource: with bsdjson leave -r out";
            return Err(unfit(file, text));
        };
        let directors = of("director").map(|director| {
            Ok(DirectorThere {
                name: director.name(file)?.to_owned(),
                password: Secret::new(director.text("password").unwrap_or_default().to_owned()),
                monitor: director.flag("monitor") == Some(true),
            })
        });
        let media_type = |name: &str| {
            let device = of("device").find(|device| device.text("name") == Some(name))?;
            device.text("mediatype").map(ToOwned::to_owned)
        };
        let devices = of("device").filter_map(|it| it.text("name"));
        let devices = devices.map(|name| (name.to_owned(), media_type(name)));
        let changers = of("autochanger").filter_map(|it| Some((it.text("name")?, it.texts("device"))));
        let changers = changers.map(|(name, drives)| {
            let drive = drives.first().copied();
            (name.to_owned(), drive.and_then(media_type))
        });
        Ok(Self {
            name: storage.name(file)?.to_owned(),
            port: storage.whole("sdport", file)?.unwrap_or(DEFAULT_SD_PORT),
            maximum_jobs: storage
                .whole("maximumconcurrentjobs", file)?
                .unwrap_or(DEFAULT_MAXIMUM_CONCURRENT_JOBS),
            directors: directors.collect::<Result<_, ReadError>>()?,
            devices: changers.chain(devices).collect(),
        })
    }

    /// The Director resource of this name; names are compared without case, as it does itself.
    #[must_use]
    pub fn director(&self, name: &str) -> Option<&DirectorThere> {
        self.directors
            .iter()
            .find(|there| there.name.eq_ignore_ascii_case(name))
    }
}
