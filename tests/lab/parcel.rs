//! Debian packages that are unpacked together into a folder below `target/lab`, with every library that they need.

use super::fetch::{Fetch, PackagesError, Result, Suite, io_error};
use super::packages::{build_folder, libraries, loader, matching};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What to fetch, and where it lies then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parcel {
    /// The folder's name.
    pub(crate) folder: &'static str,
    pub(crate) suite: Suite,
    pub(crate) packages: &'static [&'static str],
    /// Beginnings of the names of libraries that are left out, though a package wants them.
    pub(crate) without: &'static [&'static str],
    /// Files that show that it is complete.
    pub(crate) needed: &'static [&'static str],
    /// Folders whose programs start one another by their paths: each becomes a script that runs the program with the
    /// parcel's loader and libraries.
    pub(crate) wrapped: &'static [&'static str],
}

impl Parcel {
    /// The folder of the parcel, which is fetched if it is not there. Several processes may ask at the same time; one
    /// fetches and the others wait for it.
    pub(crate) fn unpacked(&self) -> Result<PathBuf> {
        let folder = self.place();
        if self.is_complete(&folder).is_ok() {
            return Ok(folder);
        }
        let parent = build_folder().join("lab");
        fs::create_dir_all(&parent).map_err(io_error(format!("creating {}", parent.display())))?;
        let lock = parent.join(format!("{}.lock", self.folder));
        let lock = File::create(&lock).map_err(io_error(format!("creating {}", lock.display())))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| io_error("waiting for another process that unpacks the daemons")(error.into()))?;
        if self.is_complete(&folder).is_ok() {
            return Ok(folder);
        }
        let partial = parent.join(format!("{}.partial", self.folder));
        let _leftover = fs::remove_dir_all(&partial);
        let _incomplete = fs::remove_dir_all(&folder);
        Fetch::begin(self.suite, &partial)?.unpack(self.packages, self.without)?;
        self.wrap(&partial.join("root"))?;
        fs::rename(partial.join("root"), &folder).map_err(io_error(format!("naming {}", folder.display())))?;
        fs::remove_dir_all(&partial).map_err(io_error(format!("removing {}", partial.display())))?;
        self.is_complete(&folder)?;
        Ok(folder)
    }

    /// Whether [`Parcel::unpacked`] has nothing to fetch.
    pub(crate) fn is_unpacked(&self) -> bool {
        self.is_complete(&self.place()).is_ok()
    }

    /// Whether the folder holds all that is needed.
    pub(super) fn is_complete(&self, folder: &Path) -> Result<()> {
        loader(folder)?;
        match self.needed.iter().find(|needed| !folder.join(needed).exists()) {
            None => Ok(()),
            Some(missing) => Err(PackagesError::Incomplete {
                root: folder.display().to_string(),
                missing,
            }),
        }
    }

    fn place(&self) -> PathBuf {
        build_folder().join("lab").join(self.folder)
    }

    fn wrap(&self, root: &Path) -> Result<()> {
        for folder in self.wrapped {
            for program in matching(&root.join(folder), |_| true) {
                if is_binary(&program) {
                    wrap_one(root, &program)?;
                }
            }
        }
        Ok(())
    }
}

fn is_binary(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\x7fELF"
}

/// Puts a script in the program's place, and the program beside it into `elf`. The script finds the root by its own
/// path, so that the root can be moved.
fn wrap_one(root: &Path, program: &Path) -> Result<()> {
    let failed = || io_error(format!("wrapping {}", program.display()));
    let (folder, name) = (
        program.parent().unwrap_or(root),
        program.file_name().unwrap_or_default(),
    );
    let real = folder.join("elf").join(name);
    fs::create_dir_all(folder.join("elf")).map_err(failed())?;
    fs::rename(program, &real).map_err(failed())?;
    let below = |path: &Path| format!("\"$root\"/{}", path.strip_prefix(root).unwrap_or(path).display());
    let inner = program.strip_prefix(root).unwrap_or(program).display();
    let libraries: Vec<_> = libraries(root).iter().map(|path| below(path)).collect();
    let script = format!(
        "#!/bin/sh\nroot=${{0%/{inner}}}\nexec {} --argv0 \"$0\" --library-path {} {} \"$@\"\n",
        below(&loader(root)?),
        libraries.join(":"),
        below(&real),
    );
    fs::write(program, script).map_err(failed())?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).map_err(failed())
}
