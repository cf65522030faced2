//! Fetching and unpacking Debian packages without installing them.
//!
//! apt resolves and fetches with a state of its own and an empty dpkg status, so that every library comes along. The
//! archive's address is the one that the machine's own apt uses.

use super::packages::{ROOT_VARIABLE, matching};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A suite of Debian's archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    Bookworm,
    Trixie,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
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

pub(crate) type Result<T> = std::result::Result<T, PackagesError>;

pub(super) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> PackagesError {
    let what = what.into();
    move |source| PackagesError::Io { what, source }
}

// One download: a folder with apt's private state, the packages, and the root that they are unpacked into.
pub(super) struct Fetch {
    folder: PathBuf,
    settings: PathBuf,
}

impl Fetch {
    pub(super) fn begin(suite: Suite, folder: &Path) -> Result<Self> {
        for part in ["apt/lists/partial", "apt/archives/partial", "packages", "root"] {
            fs::create_dir_all(folder.join(part)).map_err(io_error(format!("creating {}", folder.display())))?;
        }
        // apt is shy of relative paths.
        let folder = folder.canonicalize().map_err(io_error(folder.display().to_string()))?;
        let source = format!(
            "deb [signed-by={}] {} {} main\n",
            keyring()?,
            archive(suite)?,
            suite.name()
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

    pub(super) fn unpack(&self, packages: &[&str], without: &[&str]) -> Result<()> {
        run("apt-get update", self.apt("apt-get").arg("update"))?;
        let wanted = self.with_libraries(packages, without)?;
        run("apt-get download", self.apt("apt-get").arg("download").args(&wanted))?;
        for package in matching(&self.folder.join("packages"), |name| {
            Path::new(name).extension() == Some("deb".as_ref())
        }) {
            unpack_one(&package, &self.folder.join("root"))?;
        }
        Ok(())
    }

    /// The packages and every library that these need, and those need, and so on; nothing else: no mail agent, no init
    /// system.
    fn with_libraries(&self, packages: &[&str], without: &[&str]) -> Result<BTreeSet<String>> {
        let mut wanted: BTreeSet<String> = packages.iter().map(|&package| package.to_owned()).collect();
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
            let is_wanted =
                |name: &&str| is_library(name) && !without.iter().any(|left_out| name.starts_with(left_out));
            let libraries: BTreeSet<String> = needed.filter(is_wanted).map(ToOwned::to_owned).collect();
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
fn archive(suite: Suite) -> Result<String> {
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
    of(suite.name())
        .or_else(|| of(&own))
        .or_else(|| aliases.into_iter().find_map(of))
        .map(ToOwned::to_owned)
        .ok_or(PackagesError::NoArchive {
            suite: suite.name(),
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
