//! The configuration files of Bacula's own daemons: read, as they are or as `bdirjson` and `bsdjson` print them; made
//! into a configuration of sdgroup; compared with one; and written, for an operator to paste.

mod adopt;
mod conf;
mod director;
mod json;
mod matching;
mod paste;
mod resource;
mod storage;
mod text;
mod traps;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub use adopt::{AdoptError, Adopted, Wishes, adopt};
pub use director::{DirectorFile, DirectorStorage};
pub use matching::StorageInput;
pub use paste::{Address, Paste, director_resources, storage_resources};
pub use storage::StorageFile;
pub use traps::traps;

/// Far more than any configuration; a file that is larger has been named by mistake.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Why a configuration of Bacula's cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not what Bacula's daemons read.
    #[error("{}:{line}: {text}", file.display())]
    Grammar {
        /// The file, which may be an included one.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        text: String,
    },
    /// It can be read, and is not what is needed.
    #[error("{}: {text}", file.display())]
    Unfit {
        /// The file.
        file: PathBuf,
        /// What is missing or wrong.
        text: String,
    },
}

/// Whose configuration a file is.
#[derive(Debug)]
pub enum Daemon {
    /// A Director's.
    Director(DirectorFile),
    /// A Storage Daemon's.
    Storage(StorageFile),
}

/// Reads a configuration of a Director or of a Storage Daemon, in Bacula's grammar or as JSON; `-` is standard input.
///
/// # Errors
/// [`ReadError`], also when it is the configuration of something else.
pub fn read(file: &Path) -> Result<Daemon, ReadError> {
    let text = read_text(file)?;
    let resources = if text.trim_start().starts_with(['[', '{']) {
        json::resources(&text, file)?
    } else {
        conf::resources(&text, file)?
    };
    let has = |kind: &str| resources.iter().any(|resource| resource.is(kind));
    if ["catalog", "job", "pool", "client"].into_iter().any(has) {
        DirectorFile::new(&resources, file).map(Daemon::Director)
    } else if has("device") {
        StorageFile::new(&resources, file).map(Daemon::Storage)
    } else {
        let text = "this is neither a Director's configuration nor a Storage Daemon's: it has no Job, no Pool, no \
                    Device";
        Err(unfit(file, text))
    }
}

fn read_text(file: &Path) -> Result<String, ReadError> {
    let unreadable = |error| ReadError::Unreadable {
        file: file.to_owned(),
        error,
    };
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES + 1;
    if file.as_os_str() == "-" {
        io::stdin().take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let opened = File::open(file).map_err(unreadable)?;
        opened.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if u64::try_from(bytes.len()).map_or(true, |length| length > MAX_FILE_BYTES) {
        return Err(unfit(file, "this is no configuration: it is larger than 64 MiB"));
    }
    // Editors of another system put a mark at the start.
    let text = String::from_utf8(bytes).map_err(|_| unfit(file, "it holds bytes that are not UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

fn unfit(file: &Path, text: impl Into<String>) -> ReadError {
    ReadError::Unfit {
        file: file.to_owned(),
        text: text.into(),
    }
}
