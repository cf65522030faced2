//! Bacula's daemons from Debian's packages, unpacked into a private folder: nothing is installed on the machine.
//!
//! apt resolves and fetches with a state of its own and an empty dpkg status, so that every library comes along,
//! libc and its loader included: packages of one Debian release run on another. No maintainer script runs and no
//! right of root is needed. The archive's address is the one that the machine's own apt uses.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Set to the folder of a root that is unpacked already, this variable saves the download.
pub(crate) const ROOT_VARIABLE: &str = "SDGROUP_LAB_ROOT";
/// The same for the later release. It may also hold other daemons, for example those of 13.0.
pub(crate) const LATER_ROOT_VARIABLE: &str = "SDGROUP_LAB_ROOT_15";

const PACKAGES: [&str; 8] = [
    "bacula-director",
    "bacula-director-sqlite3",
    "bacula-common",
    "bacula-common-sqlite3",
    "bacula-sd",
    "bacula-fd",
    "bacula-console",
    "bacula-bscan",
];

/// A release of Bacula, named for the Debian suite that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Bacula 9.6.7.
    Bookworm,
    /// Bacula 15.0.3.
    Trixie,
}

impl Release {
    fn suite(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Bookworm => "bacula-9.6.7",
            Self::Trixie => "bacula-15.0.3",
        }
    }

    /// The root that is there already, by the word of whoever runs this.
    fn given(self) -> Option<PathBuf> {
        let variable = match self {
            Self::Bookworm => ROOT_VARIABLE,
            Self::Trixie => LATER_ROOT_VARIABLE,
        };
        std::env::var_os(variable).map(PathBuf::from)
    }
}

/// Why there are no daemons to run; each text says how to mend it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackagesError {
    #[error(
        "`{0}` is not on this machine. The real daemons come from Debian's packages: run this on Debian 12 or 13, \
         or set {ROOT_VARIABLE} to a folder into which the packages of Bacula were unpacked elsewhere"
    )]
    NoProgram(String),
    #[error(
        "apt knows no archive that carries Debian {suite}: none of its sources lists {suite} or this machine's own \
         release ({own}) with the component main. Add Debian's archive to /etc/apt/sources.list, or set \
         {ROOT_VARIABLE} to a folder into which the packages were unpacked elsewhere"
    )]
    NoArchive { suite: &'static str, own: String },
    #[error("Debian's keyring is not in /usr/share/keyrings: apt-get install debian-archive-keyring")]
    NoKeyring,
    #[error(
        "{what} failed. If this machine has no way to Debian's archive, set {ROOT_VARIABLE} to a folder into which \
         the packages were unpacked elsewhere. What was said:\n{said}"
    )]
    Failed { what: String, said: String },
    #[error(
        "{root} is no complete set of daemons, it has no {missing}: delete it to have it fetched again, or set {ROOT_VARIABLE} to a folder that is"
    )]
    Incomplete { root: String, missing: &'static str },
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
}

type Result<T> = std::result::Result<T, PackagesError>;

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> PackagesError {
    let what = what.into();
    move |source| PackagesError::Io { what, source }
}

/// Where unpacked daemons are, and how to run one with the libraries beside it.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    folder: PathBuf,
    loader: PathBuf,
    library_path: String,
}

impl Root {
    /// The daemons of `release`: those that are there, or fetched and unpacked now. Several processes may ask at
    /// the same time; one fetches and the others wait for it.
    pub(crate) fn of(release: Release) -> Result<Self> {
        if let Some(given) = release.given() {
            return Self::open(given);
        }
        let folder = build_folder().join("lab").join(release.folder());
        if let Ok(root) = Self::open(folder.clone()) {
            return Ok(root);
        }
        let parent = build_folder().join("lab");
        fs::create_dir_all(&parent).map_err(io_error(format!("creating {}", parent.display())))?;
        let lock = parent.join(format!("{}.lock", release.folder()));
        let lock = File::create(&lock).map_err(io_error(format!("creating {}", lock.display())))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| io_error("waiting for another process that unpacks the daemons")(error.into()))?;
        if let Ok(root) = Self::open(folder.clone()) {
            return Ok(root);
        }
        let partial = parent.join(format!("{}.partial", release.folder()));
        let _leftover = fs::remove_dir_all(&partial);
        let _incomplete = fs::remove_dir_all(&folder);
        Fetch::begin(release, &partial)?.unpack()?;
        fs::rename(partial.join("root"), &folder).map_err(io_error(format!("naming {}", folder.display())))?;
        fs::remove_dir_all(&partial).map_err(io_error(format!("removing {}", partial.display())))?;
        Self::open(folder)
    }

    /// Whether [`Root::of`] has nothing to fetch.
    pub(crate) fn is_unpacked(release: Release) -> bool {
        release.given().is_some() || Self::open(build_folder().join("lab").join(release.folder())).is_ok()
    }

    fn open(folder: PathBuf) -> Result<Self> {
        let incomplete = |missing| PackagesError::Incomplete {
            root: folder.display().to_string(),
            missing,
        };
        let mut libraries = Vec::new();
        for tree in ["usr/lib", "lib"] {
            libraries.extend(matching(&folder.join(tree), |name| name.contains("-linux-gnu")));
        }
        // The links in lib64 lead to the machine's own loader: only the file beside its libc is the right one.
        let loader = libraries
            .iter()
            .flat_map(|library| matching(library, |name| name.starts_with("ld-linux")))
            .next()
            .ok_or_else(|| incomplete("loader (libc6)"))?;
        for needed in [
            "usr/sbin/bacula-dir",
            "usr/sbin/bacula-sd",
            "usr/sbin/bacula-fd",
            "usr/sbin/bconsole",
        ] {
            if !folder.join(needed).exists() {
                return Err(incomplete(needed));
            }
        }
        libraries.insert(0, folder.join("usr/lib/bacula"));
        let library_path = libraries
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(":");
        Ok(Self {
            folder,
            loader,
            library_path,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command that runs `program`, which lies in the root's `usr/sbin`, with the root's own loader and libraries.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(&self.loader);
        command.args(["--argv0", program, "--library-path", &self.library_path]);
        command.arg(self.folder.join("usr/sbin").join(program));
        command
    }

    /// Bacula's script that plays a changer with files.
    pub(crate) fn disk_changer(&self) -> PathBuf {
        self.folder.join("etc/bacula/scripts/disk-changer")
    }

    /// The statements that make an empty SQLite catalog.
    pub(crate) fn catalog_schema(&self) -> PathBuf {
        self.folder
            .join("usr/share/dbconfig-common/data/bacula-director-sqlite3/install/sqlite3")
    }
}

/// The folder into which cargo builds: what is fetched stays there and goes with `cargo clean`.
pub(crate) fn build_folder() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
            Path::to_path_buf,
        )
}

fn matching(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// One download: a folder with apt's private state, the packages, and the root that they are unpacked into.
struct Fetch {
    folder: PathBuf,
    settings: PathBuf,
}

impl Fetch {
    fn begin(release: Release, folder: &Path) -> Result<Self> {
        for part in ["apt/lists/partial", "apt/archives/partial", "packages", "root"] {
            fs::create_dir_all(folder.join(part)).map_err(io_error(format!("creating {}", folder.display())))?;
        }
        // apt is shy of relative paths.
        let folder = folder.canonicalize().map_err(io_error(folder.display().to_string()))?;
        let source = format!(
            "deb [signed-by={}] {} {} main\n",
            keyring()?,
            archive(release)?,
            release.suite()
        );
        let settings = folder.join("apt/apt.conf");
        for (file, text) in [
            ("apt/sources.list", source.as_str()),
            ("apt/status", ""),
            ("apt/apt.conf", ""),
        ] {
            fs::write(folder.join(file), text).map_err(io_error(format!("writing {file}")))?;
        }
        let text = private_settings(&folder)?;
        fs::write(&settings, text).map_err(io_error(format!("writing {}", settings.display())))?;
        Ok(Self { folder, settings })
    }

    fn apt(&self, program: &'static str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", &self.settings)
            .env("LC_ALL", "C")
            .current_dir(self.folder.join("packages"));
        command
    }

    fn unpack(&self) -> Result<()> {
        run("apt-get update", self.apt("apt-get").arg("update"))?;
        let wanted = self.with_libraries()?;
        run("apt-get download", self.apt("apt-get").arg("download").args(&wanted))?;
        for package in matching(&self.folder.join("packages"), |name| {
            Path::new(name).extension() == Some("deb".as_ref())
        }) {
            unpack_one(&package, &self.folder.join("root"))?;
        }
        Ok(())
    }

    /// Bacula's packages and every library that these need, and those need, and so on; nothing else: no mail agent,
    /// no init system, no database server.
    fn with_libraries(&self) -> Result<BTreeSet<String>> {
        let mut wanted: BTreeSet<String> = PACKAGES.iter().map(|&package| package.to_owned()).collect();
        let mut unseen = wanted.clone();
        while !unseen.is_empty() {
            let mut ask = self.apt("apt-cache");
            for kind in ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"] {
                ask.arg(format!("--no-{kind}"));
            }
            let said = run("apt-cache depends", ask.arg("depends").args(&unseen))?;
            let needed = said
                .lines()
                .filter_map(|line| line.split_once("Depends: "))
                .map(|(_, name)| name.trim());
            let libraries: BTreeSet<String> = needed.filter(|name| is_library(name)).map(ToOwned::to_owned).collect();
            unseen = libraries.difference(&wanted).cloned().collect();
            wanted.extend(unseen.iter().cloned());
        }
        Ok(wanted)
    }
}

fn is_library(package: &str) -> bool {
    (package.starts_with("lib") && !package.ends_with("-perl")) || package == "zlib1g"
}

fn unpack_one(package: &Path, root: &Path) -> Result<()> {
    let mut reader = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|_absent| PackagesError::NoProgram("dpkg-deb".to_owned()))?;
    let archive = reader.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let unpacked = run(
        &format!("unpacking {}", package.display()),
        Command::new("tar")
            .args(["-x", "--no-same-owner", "-f", "-", "-C"])
            .arg(root)
            .stdin(archive),
    );
    let read = reader.wait().map_err(io_error("waiting for dpkg-deb"))?;
    if !read.success() {
        let what = format!("dpkg-deb --fsys-tarfile {}", package.display());
        return Err(PackagesError::Failed {
            what,
            said: read.to_string(),
        });
    }
    unpacked.map(drop)
}

/// The settings under which apt touches only `folder`, and reaches the archive as the machine does (proxies).
fn private_settings(folder: &Path) -> Result<String> {
    let at = folder.display();
    let mut text = format!(
        "Dir::State \"{at}/apt\";\nDir::State::status \"{at}/apt/status\";\nDir::State::Lists \"{at}/apt/lists\";\n\
         Dir::Cache \"{at}/apt\";\nDir::Etc::SourceList \"{at}/apt/sources.list\";\n\
         Dir::Etc::SourceParts \"/dev/null\";\nDir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n\
         Dir::Etc::preferences \"/dev/null\";\nDir::Etc::preferencesparts \"/dev/null\";\n\
         APT::Sandbox::User \"\";\nAPT::Update::Error-Mode \"any\";\nAcquire::Languages {{ \"none\"; }};\nAcquire::Retries \"3\";\n"
    );
    let own = run("apt-config dump", Command::new("apt-config").args(["dump", "Acquire"]))?;
    let unrelated = [
        "Acquire::IndexTargets",
        "Acquire::Changelogs",
        "Acquire::Languages",
        "Acquire::CompressionTypes",
    ];
    for line in own
        .lines()
        .filter(|line| !unrelated.iter().any(|prefix| line.starts_with(prefix)))
    {
        text.push_str(line);
        text.push('\n');
    }
    Ok(text)
}

fn keyring() -> Result<&'static str> {
    [
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "/usr/share/keyrings/debian-archive-keyring.pgp",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists())
    .ok_or(PackagesError::NoKeyring)
}

/// The address of Debian's archive as this machine's apt knows it: that of a source for the suite itself, or else
/// that of a source for the machine's own release, since one archive carries them all.
fn archive(release: Release) -> Result<String> {
    let known = run(
        "apt-get indextargets",
        Command::new("apt-get").args([
            "indextargets",
            "--no-release-info",
            "--format",
            "$(RELEASE) $(REPO_URI)",
            "Created-By: Packages",
            "Component: main",
        ]),
    )?;
    let of = |suite: &str| {
        known
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(name, _)| *name == suite)
            .map(|(_, uri)| uri)
    };
    let own = machine_release();
    let aliases = ["stable", "oldstable", "oldoldstable", "testing"];
    of(release.suite())
        .or_else(|| of(&own))
        .or_else(|| aliases.into_iter().find_map(of))
        .map(ToOwned::to_owned)
        .ok_or(PackagesError::NoArchive {
            suite: release.suite(),
            own,
        })
}

fn machine_release() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map_or_else(|| "unknown".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// Runs to the end and returns what was said on standard output.
fn run(what: &str, command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let Output { status, stdout, stderr } = command.output().map_err(|_absent| PackagesError::NoProgram(program))?;
    let said = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(said);
    }
    let said = format!("{said}{}", String::from_utf8_lossy(&stderr));
    Err(PackagesError::Failed {
        what: format!("`{what}` ({status})"),
        said,
    })
}
