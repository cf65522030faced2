//! The operator's socket in the file system. Who may write to it may command; nobody logs in.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UnixListener;

use crate::net::local;

/// For the user that sdgroup runs as, and for his group.
const MODE: u32 = 0o660;

/// A listening socket; dropped, its file is gone if it is this process's.
#[derive(Debug)]
pub struct AdminSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// No other process serves it.
    is_ours: AtomicBool,
}

impl AdminSocket {
    /// Listens at `path`. A file that a process left behind is taken over. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When something that is no left socket is there, when another process serves it, or when the system says so.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match UnixStream::connect(path) {
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process serves it")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && is_socket(path) => {
                fs::remove_file(path)?;
            }
            // What else stands in the way is told by the attempt itself.
            Err(_) => {}
        }
        Self::of(local::listen(path, MODE)?, path, true)
    }

    /// One that a predecessor listens on at `path`, whose file it stays until [`AdminSocket::keep`]. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// When the system says so.
    pub fn adopt(listener: std::os::unix::net::UnixListener, path: &Path) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::of(listener, path, false)
    }

    fn of(listener: std::os::unix::net::UnixListener, path: &Path, is_ours: bool) -> io::Result<Self> {
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            path: path.to_owned(),
            is_ours: AtomicBool::new(is_ours),
        })
    }

    /// Another process serves it from now on: its file stays.
    pub fn leave(&self) {
        self.is_ours.store(false, Ordering::Relaxed);
    }

    /// No other process serves it any more.
    pub fn keep(&self) {
        self.is_ours.store(true, Ordering::Relaxed);
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A file that is none refuses connections, too.
fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

impl AsFd for AdminSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if *self.is_ours.get_mut() {
            // Somebody may have been quicker.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_socket_left_behind_is_taken_over_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let first = AdminSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(AdminSocket::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "as after a crash");
        drop(AdminSocket::bind(&path).unwrap());
        fs::write(&path, "something else").unwrap();
        assert!(AdminSocket::bind(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "something else");
    }

    #[tokio::test]
    async fn the_file_is_the_predecessors_until_its_successor_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let first = AdminSocket::bind(&path).unwrap();
        let adopted = || {
            let socket = first.as_fd().try_clone_to_owned().unwrap();
            AdminSocket::adopt(socket.into(), &path).unwrap()
        };
        drop(adopted());
        assert!(path.exists(), "the successor has given up");
        let successor = adopted();
        successor.keep();
        first.leave();
        drop(first);
        assert!(path.exists());
        drop(successor);
        assert!(!path.exists());
    }
}
