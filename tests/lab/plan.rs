//! What a lab is to be, before anything runs.

use super::Lab;
use super::packages::Release;
use super::resources::{DIRECTOR, GROUP_DEVICE, GROUP_MEDIA_TYPE, GROUP_PASSWORD, SECOND_DIRECTOR};
use super::sdgroup::Settings;
use super::tree::{self, Gate};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Which names the storages have for what they write on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// All storages have the Device and the MediaType that the Director asks for.
    Shared,
    /// Each storage has its own; sdgroup translates.
    Own,
}

/// How a storage gives the Director the files' attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attributes {
    /// As they come.
    OneByOne,
    /// At the job's end, as a file that the Director reads.
    AsFile,
    /// At the job's end; the Director cannot read the file, as if it were on another machine.
    AtTheEnd,
}

/// Something to back up: the Director has a Job, a Verify job (`Verify-NAME`) and a FileSet for it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) is_gate: bool,
}

/// A job that copies, or migrates, what is in one Pool to another. A Pool has the name of its group, or is the
/// [`Storage::direct_pool`] of a storage.
#[derive(Debug, Clone)]
pub(crate) struct CopyJob {
    pub(crate) name: &'static str,
    /// `Copy` or `Migrate`.
    pub(crate) kind: &'static str,
    pub(crate) from: String,
    pub(crate) to: String,
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

    /// The file in which its configuration is.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("bacula-sd.conf")
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
    /// Folders elsewhere that some storages have for their volumes.
    elsewhere: Vec<TempDir>,
    /// How many; they are named File4, File5 ...
    pub(crate) storages: usize,
    /// How many of these, from the end, are a second group of sdgroup's, which the Director knows as Archive.
    pub(crate) archive: usize,
    /// How many, before those, are in no group: the Director alone knows them.
    pub(crate) apart: usize,
    /// Whether there is a second Director, with a catalog of its own, for the same Jobs, Client and storages.
    pub(crate) has_second_director: bool,
    /// Further directives of the Director's Client resource.
    pub(crate) directors_client: Vec<(&'static str, String)>,
    /// Further directives of the Job of this name.
    pub(crate) job_of: BTreeMap<&'static str, Vec<(&'static str, String)>>,
    /// Jobs that copy or migrate from one Pool to another.
    pub(crate) copies: Vec<CopyJob>,
    pub(crate) words: Words,
    /// Drives in each storage's autochanger.
    pub(crate) devices: usize,
    pub(crate) jobs_per_device: usize,
    /// Whether each storage also has a changer with slots, and the Director a Storage resource for each of them
    /// (`Vault-File5`) and for each storage's files (`Only-File5`), all of which lead to sdgroup.
    pub(crate) vaults: bool,
    /// Maximum Volume Bytes of every pool.
    pub(crate) volume_size: Option<u64>,
    pub(crate) attributes: Attributes,
    /// The password with which the Director calls sdgroup.
    pub(crate) director_password: String,
    /// Of all daemons but the Client.
    pub(crate) release: Release,
    pub(crate) client_release: Release,
    /// A storage that is of another one.
    pub(crate) other_release: Option<(&'static str, Release)>,
    /// Further directives of every Device of the storage of this name.
    pub(crate) device_of: BTreeMap<&'static str, Vec<(&'static str, String)>>,
    /// The storage of this name calls its changer this, whatever the others call theirs.
    pub(crate) changer_of: Option<(&'static str, &'static str)>,
    /// Further directives of the group's Pool, in place of those of the same name; without a value, none.
    pub(crate) pool: Vec<(&'static str, String)>,
    pub(crate) tls: Tls,
    /// Daemons whose communication lines are not to be compressed by them.
    pub(crate) uncompressed: &'static [Party],
    /// Whether what sdgroup hears and says is recorded.
    pub(crate) taps: bool,
    pub(crate) settings: Settings,
}

/// Who may be told things of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    Director,
    Client,
    Storages,
}

/// What is added to the configurations about TLS; nothing is as shipped. Bacula's directives with their values, and
/// lines for sdgroup's tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    /// For the Director's Storage resource that points at sdgroup.
    pub(crate) director: Vec<(&'static str, String)>,
    /// For the storages' Storage and Director resources.
    pub(crate) storages: Vec<(&'static str, String)>,
    /// For the Director resource of the storage of this name.
    pub(crate) storage_control: BTreeMap<String, Vec<(&'static str, String)>>,
    /// For the Client's FileDaemon resource.
    pub(crate) client: Vec<(&'static str, String)>,
    /// For `[Sdgroup]`.
    pub(crate) sdgroup: String,
    /// For `[[Director]]`.
    pub(crate) sdgroup_director: String,
    /// For every `[[Storage]]`.
    pub(crate) sdgroup_storages: String,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::Builder::new()
                .prefix("sdgroup-lab-")
                .tempdir()
                .expect("a temporary folder"),
            sources: Vec::new(),
            elsewhere: Vec::new(),
            storages: 3,
            archive: 0,
            apart: 0,
            has_second_director: false,
            directors_client: Vec::new(),
            job_of: BTreeMap::new(),
            copies: Vec::new(),
            words: Words::Shared,
            devices: 3,
            jobs_per_device: 1,
            vaults: false,
            volume_size: None,
            attributes: Attributes::AsFile,
            director_password: GROUP_PASSWORD.to_owned(),
            release: crate::BACULA,
            client_release: crate::BACULA,
            other_release: None,
            device_of: BTreeMap::new(),
            changer_of: None,
            pool: Vec::new(),
            tls: Tls::default(),
            uncompressed: &[],
            taps: false,
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
        self.folder_of_files(name, &path);
        path
    }

    /// A Job that backs up a folder which is there already.
    pub(crate) fn folder_of_files(&mut self, name: &str, path: &Path) {
        self.sources.push(Source {
            name: name.to_owned(),
            path: path.to_owned(),
            is_gate: false,
        });
    }

    /// A Job that backs up so many small files.
    pub(crate) fn many(&mut self, name: &str, files: u32) -> PathBuf {
        let path = self.folder().join("source").join(name);
        fs::create_dir_all(&path).expect("the source's folder");
        tree::strew(&path, files);
        self.folder_of_files(name, &path);
        path
    }

    /// A Job that backs up one file of this many bytes, the same for the same seed.
    pub(crate) fn large(&mut self, name: &str, seed: u64, bytes: u64) -> PathBuf {
        let path = self.folder().join("source").join(name);
        fs::create_dir_all(&path).expect("the source's folder");
        tree::pour(&path.join("large.bin"), seed, bytes);
        self.sources.push(Source {
            name: name.to_owned(),
            path: path.clone(),
            is_gate: false,
        });
        path
    }

    /// Puts the volumes of the storage of this name on a file system in memory, and returns the folder.
    pub(crate) fn volumes_in_memory(&mut self, name: &str) -> PathBuf {
        let made = tempfile::Builder::new().prefix("sdgroup-lab-").tempdir_in("/dev/shm");
        let folder = made.expect("a folder in memory");
        let path = folder.path().to_owned();
        let own = self.folder().join(name.to_lowercase());
        fs::create_dir_all(&own).expect("the storage's folder");
        symlink(&path, own.join("volumes")).expect("a link to its volumes");
        self.elsewhere.push(folder);
        path
    }

    /// The names of the Directors.
    pub(super) fn directors(&self) -> &'static [&'static str] {
        if self.has_second_director {
            &[DIRECTOR, SECOND_DIRECTOR]
        } else {
            &[DIRECTOR]
        }
    }

    /// What is added to a daemon's own resource.
    pub(super) fn added(&self, party: Party) -> Vec<(&'static str, String)> {
        let tls: &[_] = match party {
            Party::Director => &[],
            Party::Client => &self.tls.client,
            Party::Storages => &self.tls.storages,
        };
        let uncompressed = self.uncompressed.contains(&party);
        let compression = uncompressed.then(|| ("Comm Compression", "no".to_owned()));
        tls.iter().cloned().chain(compression).collect()
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

    pub(super) fn storage(&self, index: usize) -> Storage {
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
