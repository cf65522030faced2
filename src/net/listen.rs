//! Listening, and what to do when accepting fails.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::options;

/// Connections that may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// Listens on `address`; port 0 lets the kernel choose.
///
/// A restarted process gets its port back at once (`SO_REUSEADDR`). The address `[::]` stands for every address of
/// the machine, IPv4 too; any other IPv6 address is just that, whatever `net.ipv6.bindv6only` says. Must be called
/// within a tokio runtime.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let SocketAddr::V6(v6) = address {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    options::spare_pacing(&socket, address.ip());
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A connection could not be accepted. The listener itself is still there: go on after [`AcceptError::pause`].
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// This one connection is gone already: its peer gave up, or a packet filter forbade it.
    #[error("a caller was gone before it was accepted: {0}")]
    Aborted(#[source] io::Error),
    /// The process or the machine has no room for another connection. The caller stays in the queue.
    #[error("no room to accept another connection (raise LimitNOFILE / ulimit -n, or memory): {0}")]
    Exhausted(#[source] io::Error),
    /// Anything else: nothing that is expected of a listener in good order.
    #[error("cannot accept connections: {0}")]
    Broken(#[source] io::Error),
}

impl AcceptError {
    /// How long to wait before accepting again. Exhaustion does not pass by asking at once: the listener stays
    /// readable, and a loop without a pause would burn a core.
    #[must_use]
    pub fn pause(&self) -> Duration {
        match self {
            Self::Aborted(_) => Duration::ZERO,
            Self::Exhausted(_) => Duration::from_millis(100),
            Self::Broken(_) => Duration::from_secs(1),
        }
    }

    /// A word for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Aborted(_) => "aborted",
            Self::Exhausted(_) => "exhausted",
            Self::Broken(_) => "broken",
        }
    }
}

impl From<io::Error> for AcceptError {
    /// Sorts by errno. On Linux, accept(2) also passes on errors that the new connection has met already; these
    /// are the peer's, not the listener's.
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(
                Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::PERM
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NONET
                | Errno::OPNOTSUPP
                | Errno::TIMEDOUT,
            ) => Self::Aborted(error),
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Self::Exhausted(error),
            _ => Self::Broken(error),
        }
    }
}

/// Accepts the next connection.
pub async fn accept(listener: &TcpListener) -> Result<(TcpStream, SocketAddr), AcceptError> {
    let (stream, peer) = listener.accept().await?;
    options::spare_pacing(&stream, peer.ip());
    Ok((stream, peer))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    async fn reaches(listener: &TcpListener, address: SocketAddr) -> bool {
        let (called, accepted) = tokio::join!(TcpStream::connect(address), async {
            tokio::time::timeout(Duration::from_millis(200), accept(listener)).await
        });
        called.is_ok() && matches!(accepted, Ok(Ok(_)))
    }

    #[tokio::test]
    async fn port_zero_gives_a_port_that_can_be_called() {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        assert!(reaches(&listener, address).await);
    }

    #[tokio::test]
    async fn a_taken_port_is_refused_and_a_port_left_is_had_again_at_once() {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        // The accepted side closes first, which leaves it in TIME_WAIT on the listener's port.
        let (called, accepted) = tokio::join!(TcpStream::connect(address), accept(&listener));
        drop(accepted.unwrap());
        drop(called.unwrap());
        drop(listener);
        assert_eq!(bind(address).unwrap().local_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn only_the_unspecified_address_serves_both_families() {
        let Ok(both) = bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))) else {
            return; // a machine without IPv6
        };
        let port = both.local_addr().unwrap().port();
        assert!(reaches(&both, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await);

        let Ok(six) = bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))) else {
            return;
        };
        let port = six.local_addr().unwrap().port();
        assert!(!reaches(&six, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await);
    }

    #[test]
    fn accept_errors_are_told_apart() {
        let sorted = |errno: Errno| AcceptError::from(io::Error::from(errno));
        assert_eq!(sorted(Errno::CONNABORTED).label(), "aborted");
        assert_eq!(sorted(Errno::CONNABORTED).pause(), Duration::ZERO);
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(sorted(errno).label(), "exhausted");
            assert!(sorted(errno).pause() > Duration::ZERO);
        }
        assert_eq!(sorted(Errno::BADF).label(), "broken");
        assert!(sorted(Errno::BADF).pause() > sorted(Errno::MFILE).pause());
    }
}
