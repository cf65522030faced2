//! Sockets in the file system.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, Mode, chmodat, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Listens at `path`, without blocking, for whom `mode` allows; for nobody else at any moment.
///
/// The file gets the rights that the socket has when it is bound, less what umask takes away. Only then they are given
/// in full.
///
/// # Errors
/// When something is at `path`, or when the system says so.
pub fn listen(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let mode = Mode::from_raw_mode(mode);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    fchmod(&socket, mode)?;
    socket.bind(&SockAddr::unix(path)?)?;
    chmodat(CWD, path, mode, rustix::fs::AtFlags::empty())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

    use super::*;

    fn mode(path: &Path) -> u32 {
        let file = path.metadata().unwrap();
        assert!(file.file_type().is_socket());
        file.permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_is_never_open_to_more_than_it_shall_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bound.sock");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        fchmod(&socket, Mode::from_raw_mode(0o600)).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        assert_eq!(mode(&path) & !0o600, 0, "it is made with the rights of the socket");
        for wanted in [0o600, 0o660, 0o666] {
            let path = folder.path().join(format!("{wanted:o}.sock"));
            let _listener = listen(&path, wanted).unwrap();
            assert_eq!(mode(&path), wanted);
            assert_eq!(listen(&path, wanted).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
    }
}
