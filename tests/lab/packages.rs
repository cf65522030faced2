//! Bacula's daemons from Debian's packages, unpacked into a private folder: nothing is installed on the machine.
//!
//! Every library comes along, libc and its loader included: packages of one Debian release run on another. No
//! maintainer script runs and no right of root is needed.

use super::fetch::{PackagesError, Result, Suite};
use super::parcel::Parcel;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to the folder of a root that is unpacked already, this variable saves the download.
pub(crate) const ROOT_VARIABLE: &str = "SDGROUP_LAB_ROOT";
/// The same for the later release. It may also hold other daemons, for example those of 13.0.
pub(crate) const LATER_ROOT_VARIABLE: &str = "SDGROUP_LAB_ROOT_15";

const DAEMONS: Parcel = Parcel {
    folder: "bacula-9.6.7",
    suite: Suite::Bookworm,
    packages: &[
        "bacula-director",
        "bacula-director-sqlite3",
        "bacula-common",
        "bacula-common-sqlite3",
        "bacula-sd",
        "bacula-fd",
        "bacula-console",
        "bacula-bscan",
    ],
    without: &[],
    needed: &[
        "usr/sbin/bacula-dir",
        "usr/sbin/bacula-sd",
        "usr/sbin/bacula-fd",
        "usr/sbin/bconsole",
    ],
    wrapped: &[],
};

/// PostgreSQL, and what makes an address move. Both packages of Bacula's catalog drivers have a file of the same name: the
/// one for PostgreSQL is unpacked here.
const POSTGRES: Parcel = Parcel {
    folder: "postgresql-17",
    suite: Suite::Trixie,
    packages: &[
        "postgresql-17",
        "postgresql-client-17",
        "bacula-common-pgsql",
        "bacula-director-pgsql",
        "keepalived",
        "iproute2",
    ],
    // What compiles long queries: loaded only when such a query comes.
    without: &["libllvm", "libz3"],
    needed: &[
        "usr/lib/postgresql/17/bin/postgres",
        "usr/lib/postgresql/17/bin/psql",
        "usr/lib/bacula",
        "usr/sbin/keepalived",
        "usr/bin/ip",
        POSTGRES_SCHEMA,
    ],
    wrapped: &["usr/lib/postgresql/17/bin", "usr/sbin", "usr/bin"],
};

const SQLITE_SCHEMA: &str = "usr/share/dbconfig-common/data/bacula-director-sqlite3/install/sqlite3";
const POSTGRES_SCHEMA: &str = "usr/share/dbconfig-common/data/bacula-director-pgsql/install/pgsql";

/// A release of Bacula, named for the Debian suite that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Bacula 9.6.7.
    Bookworm,
    /// Bacula 15.0.3.
    Trixie,
}

impl Release {
    fn daemons(self) -> Parcel {
        match self {
            Self::Bookworm => DAEMONS,
            Self::Trixie => Parcel {
                folder: "bacula-15.0.3",
                suite: Suite::Trixie,
                ..DAEMONS
            },
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

/// Where unpacked daemons are, and how to run one with the libraries beside it.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    folder: PathBuf,
    loader: PathBuf,
    library_path: String,
    schema: PathBuf,
}

impl Root {
    /// The daemons of `release`, with a catalog in SQLite: those that are there, or fetched and unpacked now.
    pub(crate) fn of(release: Release) -> Result<Self> {
        let folder = match release.given() {
            Some(given) => {
                release.daemons().is_complete(&given)?;
                given
            }
            None => release.daemons().unpacked()?,
        };
        Self::open(folder)
    }

    /// The later release's daemons with a catalog in PostgreSQL.
    pub(crate) fn with_postgres() -> Result<Self> {
        let mut root = Self::of(Release::Trixie)?;
        let beside = POSTGRES.unpacked()?;
        // The first library of a name that is found is loaded: the driver before the root's, libc the root's.
        let front = beside.join("usr/lib/bacula").display().to_string();
        let back = libraries(&beside).into_iter().map(|path| path.display().to_string());
        let all = [front, root.library_path].into_iter().chain(back);
        root.library_path = all.collect::<Vec<_>>().join(":");
        root.schema = beside.join(POSTGRES_SCHEMA);
        Ok(root)
    }

    /// Whether [`Root::of`] has nothing to fetch.
    pub(crate) fn is_unpacked(release: Release) -> bool {
        release.given().is_some() || release.daemons().is_unpacked()
    }

    fn open(folder: PathBuf) -> Result<Self> {
        let mut libraries = libraries(&folder);
        let loader = loader(&folder)?;
        libraries.insert(0, folder.join("usr/lib/bacula"));
        let library_path = libraries
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(":");
        Ok(Self {
            schema: folder.join(SQLITE_SCHEMA),
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

    /// The statements that make an empty catalog.
    pub(crate) fn catalog_schema(&self) -> &Path {
        &self.schema
    }
}

/// The folder of PostgreSQL's own programs (`postgres`, `psql`, `pg_ctl` ...); they run as they lie there.
pub(crate) fn postgres_programs() -> Result<PathBuf> {
    Ok(POSTGRES.unpacked()?.join("usr/lib/postgresql/17/bin"))
}

/// What moves addresses: `keepalived` and `ip`.
pub(crate) fn network_programs() -> Result<[PathBuf; 2]> {
    let root = POSTGRES.unpacked()?;
    Ok(["usr/sbin/keepalived", "usr/bin/ip"].map(|program| root.join(program)))
}

/// The folders of an unpacked root that hold libraries.
pub(super) fn libraries(root: &Path) -> Vec<PathBuf> {
    let trees = ["usr/lib", "lib"].into_iter();
    trees
        .flat_map(|tree| matching(&root.join(tree), |name| name.contains("-linux-gnu")))
        .collect()
}

/// The loader that belongs to a root's libraries. The links in lib64 lead to the machine's own: only the file beside
/// its libc is the right one.
pub(super) fn loader(root: &Path) -> Result<PathBuf> {
    libraries(root)
        .iter()
        .flat_map(|library| matching(library, |name| name.starts_with("ld-linux")))
        .next()
        .ok_or_else(|| PackagesError::Incomplete {
            root: root.display().to_string(),
            missing: "loader (libc6)",
        })
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

/// What lies in a folder and has a wanted name, sorted.
pub(super) fn matching(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
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
