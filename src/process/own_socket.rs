//! Where the other processes of a handover can call this one: a socket in the state directory, for this user alone.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::net::local;

/// How the files are called, around the process's number.
const BEGINNING: &str = "process.";
const END: &str = ".sock";
/// For the user that sdgroup runs as.
const MODE: u32 = 0o600;

/// The socket's file; dropped, it is gone.
#[derive(Debug)]
pub(super) struct OwnSocket(PathBuf);

impl OwnSocket {
    /// Listens in `directory`, and tidies away what processes left there that are no more. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// When the system says so: the directory's name may be too long for a socket.
    pub(super) fn bind(directory: &Path) -> io::Result<(Self, UnixListener)> {
        tidy(directory)?;
        let path = directory.join(format!("{BEGINNING}{}{END}", std::process::id()));
        let listener = local::listen(&path, MODE)?;
        Ok((Self(path), UnixListener::from_std(listener)?))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        // Somebody may have been quicker.
        let _ = fs::remove_file(&self.0);
    }
}

fn tidy(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !(name.starts_with(BEGINNING) && name.ends_with(END)) {
            continue;
        }
        if let Err(error) = UnixStream::connect(&path)
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            // Another process may tidy at the same time.
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn what_the_dead_left_is_tidied_away_and_the_living_stay() {
        let folder = tempfile::tempdir().unwrap();
        let dead = folder.path().join("process.1.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let alive = folder.path().join("process.2.sock");
        let _listening = std::os::unix::net::UnixListener::bind(&alive).unwrap();
        let (own, _listener) = OwnSocket::bind(folder.path()).unwrap();
        assert!(!dead.exists() && alive.exists() && own.path().exists());
        let path = own.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(own);
        assert!(!path.exists());
    }
}
