//! What matters to sdgroup in a Director's configuration.

use std::path::Path;
use std::time::Duration;

use super::resource::Resource;
use super::{ReadError, unfit};
use crate::config::model::DEFAULT_SD_PORT;
use crate::config::policies::PolicyName;
use crate::types::{Secret, StorageName};

/// `SD Connect Timeout` when it is not written (`dird_conf.c`).
const SD_CONNECT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// `Maximum Concurrent Jobs` of a Director when it is not written.
const JOBS_OF_DIRECTOR: u32 = 20;
/// The same of a Storage resource.
const JOBS_OF_STORAGE: u32 = 1;

/// TLS directives of a Storage resource that `[[Storage]]` has as well, folded and as they are written there.
const TLS_DIRECTIVES: [(&str, &str); 8] = [
    ("tlsenable", "TlsEnable"),
    ("tlsrequire", "TlsRequire"),
    ("tlspskenable", "TlsPskEnable"),
    ("tlsauthenticate", "TlsAuthenticate"),
    ("tlscacertificatefile", "TlsCaCertificateFile"),
    ("tlscacertificatedir", "TlsCaCertificateDir"),
    ("tlscertificate", "TlsCertificate"),
    ("tlskey", "TlsKey"),
];

/// A Director and the storages that it knows.
#[derive(Debug)]
pub struct DirectorFile {
    /// Its name.
    pub name: String,
    /// How many jobs it runs at once.
    pub maximum_jobs: u32,
    /// How long a job keeps dialling a storage.
    pub connect_timeout: Duration,
    /// Its Storage resources, in their order.
    pub storages: Vec<DirectorStorage>,
    /// Its Pools, Jobs and JobDefs that name storages.
    pub lists: Vec<StorageList>,
    /// Where its Clients are.
    pub client_addresses: Vec<String>,
}

/// A Storage resource.
#[derive(Debug, Clone)]
pub struct DirectorStorage {
    /// Its name.
    pub name: StorageName,
    /// The Storage Daemon's host.
    pub address: String,
    /// And its port.
    pub port: u16,
    /// What the Director proves there.
    pub password: Secret,
    /// The Device or Autochanger that jobs ask for.
    pub device: String,
    /// The media type that they ask for.
    pub media_type: String,
    /// How many jobs it may have.
    pub maximum_jobs: u32,
    /// TLS keys of `[[Storage]]` and their values, as TOML.
    pub(super) tls: Vec<(&'static str, String)>,
}

/// A resource that names one or several storages.
#[derive(Debug)]
pub struct StorageList {
    /// `the Pool "Default"`.
    pub whose: String,
    /// The names, in their order.
    pub storages: Vec<String>,
    /// How one of them is chosen, where that is said and sdgroup has it.
    pub policy: Option<PolicyName>,
    /// For that policy.
    pub threshold: Option<String>,
}

impl DirectorFile {
    pub(super) fn new(resources: &[Resource], file: &Path) -> Result<Self, ReadError> {
        let of = |kind: &'static str| resources.iter().filter(move |resource| resource.is(kind));
        let Some(director) = of("director").next() else {
            let text = "it has no Director resource, so nobody knows the Director's name: with bdirjson leave -r out";
            return Err(unfit(file, text));
        };
        // A Director takes an Autochanger resource for a Storage one.
        let storages = resources.iter().filter(|it| it.is("storage") || it.is("autochanger"));
        let storages = storages.map(|resource| storage(resource, file));
        let lists = ["pool", "job", "jobdefs"].into_iter().flat_map(of);
        Ok(Self {
            name: director.name(file)?.to_owned(),
            maximum_jobs: director
                .whole("maximumconcurrentjobs", file)?
                .unwrap_or(JOBS_OF_DIRECTOR),
            connect_timeout: director.time("sdconnecttimeout").unwrap_or(SD_CONNECT_TIMEOUT),
            storages: storages.collect::<Result<_, _>>()?,
            lists: lists.filter_map(list).collect(),
            client_addresses: of("client")
                .filter_map(|client| Some(client.text("address")?.to_owned()))
                .collect(),
        })
    }

    /// The Storage resource of this name.
    #[must_use]
    pub fn storage(&self, name: &str) -> Option<&DirectorStorage> {
        self.storages.iter().find(|storage| storage.name.as_str() == name)
    }
}

fn storage(resource: &Resource, file: &Path) -> Result<DirectorStorage, ReadError> {
    let name = resource.name(file)?;
    let either = |one: &str, other: &str| resource.text(other).map_or_else(|| resource.required(one, file), Ok);
    Ok(DirectorStorage {
        name: StorageName::new(name).map_err(|error| unfit(file, format!("the Storage \"{name}\": {error}")))?,
        address: either("address", "sdaddress")?.to_owned(),
        port: resource.whole("sdport", file)?.unwrap_or(DEFAULT_SD_PORT),
        password: Secret::new(either("password", "sdpassword")?.to_owned()),
        device: resource
            .texts("device")
            .first()
            .map_or_else(|| resource.required("device", file), |it| Ok(it))?
            .to_owned(),
        media_type: resource.required("mediatype", file)?.to_owned(),
        maximum_jobs: resource
            .whole("maximumconcurrentjobs", file)?
            .unwrap_or(JOBS_OF_STORAGE),
        tls: tls(resource),
    })
}

fn tls(resource: &Resource) -> Vec<(&'static str, String)> {
    let written = TLS_DIRECTIVES.into_iter().filter_map(|(folded, key)| {
        let value = match resource.flag(folded) {
            Some(flag) => flag.to_string(),
            None => super::text::quoted(resource.text(folded)?),
        };
        Some((key, value))
    });
    written.collect()
}

fn list(resource: &Resource) -> Option<StorageList> {
    let storages: Vec<_> = resource.texts("storage").into_iter().map(ToOwned::to_owned).collect();
    let kind = ["pool", "job", "jobdefs"]
        .into_iter()
        .zip(["Pool", "Job", "JobDefs"])
        .find(|(kind, _)| resource.is(kind))?;
    (!storages.is_empty()).then(|| StorageList {
        whose: format!("the {} \"{}\"", kind.1, resource.text("name").unwrap_or_default()),
        storages,
        policy: resource.text("storagegrouppolicy").and_then(|name| name.parse().ok()),
        threshold: resource.text("storagegrouppolicythreshold").map(ToOwned::to_owned),
    })
}
