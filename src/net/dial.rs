//! Dialling a host by name or address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::options;

/// The longest that a call may take; a longer limit means this one. (An unbounded one would overflow the clock.)
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a host could not be reached. Each text begins with the `host:port` that was dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address, or the name service failed.
    #[error("{target}: the name cannot be resolved ({source}): check its spelling and the name service")]
    Unresolved {
        /// `host:port` as dialled.
        target: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The machine answered that nothing listens there.
    #[error("{target}: connection refused by {address}: is the daemon running, and is this its port?")]
    Refused {
        /// `host:port` as dialled.
        target: String,
        /// The address that refused.
        address: SocketAddr,
    },
    /// No answer came in time.
    #[error("{target}: no answer within {after:?}: is the machine up, and does a packet filter drop the calls?")]
    TimedOut {
        /// `host:port` as dialled.
        target: String,
        /// The time that was allowed for all addresses.
        after: Duration,
    },
    /// There is no way to the machine.
    #[error("{target}: no way to {address} ({source}): check the address, the routes and the packet filters")]
    Unreachable {
        /// `host:port` as dialled.
        target: String,
        /// The address that cannot be reached.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The process or the machine has no room for another connection.
    #[error("{target}: no room for another connection ({source}): {advice}")]
    Exhausted {
        /// `host:port` as dialled.
        target: String,
        /// What to do about it.
        advice: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else.
    #[error("{target}: cannot dial {address}: {source}")]
    Other {
        /// `host:port` as dialled.
        target: String,
        /// The address that was dialled.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl DialError {
    /// A word for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } => "unresolved",
            Self::Refused { .. } => "refused",
            Self::TimedOut { .. } => "timed_out",
            Self::Unreachable { .. } => "unreachable",
            Self::Exhausted { .. } => "exhausted",
            Self::Other { .. } => "other",
        }
    }

    /// Whether the fault is on this side: what was dialled has nothing to do with it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Unresolved { .. } | Self::Exhausted { .. } => true,
            Self::Refused { .. } | Self::TimedOut { .. } | Self::Unreachable { .. } | Self::Other { .. } => false,
        }
    }

    fn sort(target: &str, address: SocketAddr, within: Duration, source: io::Error) -> Self {
        let target = target.to_owned();
        if let Some(advice) = Errno::from_io_error(&source).and_then(lacking) {
            return Self::Exhausted { target, advice, source };
        }
        match Errno::from_io_error(&source) {
            Some(Errno::CONNREFUSED) => Self::Refused { target, address },
            Some(Errno::TIMEDOUT) => Self::TimedOut { target, after: within },
            Some(
                Errno::HOSTUNREACH
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::NETDOWN
                | Errno::AFNOSUPPORT
                | Errno::ACCESS
                | Errno::PERM,
            ) => Self::Unreachable {
                target,
                address,
                source,
            },
            _ => Self::Other {
                target,
                address,
                source,
            },
        }
    }
}

/// What to do when it is a lack of this machine's that has kept it from dialling.
fn lacking(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::MFILE => Some("raise LimitNOFILE / ulimit -n"),
        Errno::NFILE => Some("raise fs.file-max"),
        Errno::NOBUFS | Errno::NOMEM => Some("the kernel lacks memory for sockets"),
        // Two connections to one address and port differ by their own port.
        Errno::ADDRNOTAVAIL | Errno::AGAIN => Some(
            "all local ports are taken by connections to it (widen net.ipv4.ip_local_port_range), or this machine has no \
             address of that kind",
        ),
        _ => None,
    }
}

/// An address without the brackets in which one of IPv6 may stand.
fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host)
}

/// `host:port`, where `host` is a name, or an address with or without brackets.
#[must_use]
pub fn target(host: &str, port: u16) -> String {
    let host = bare(host);
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Resolves `host` (a name, or an address with or without brackets) and connects to the first of its addresses
/// that answers, all within `within`.
///
/// The addresses are tried in the order of the resolver, which puts those that cannot work last; each gets an equal
/// share of the time that is left, so that a dead first address does not keep a living second one from being tried.
/// When none answers, the error is that of the first: the one most likely to be meant.
pub async fn dial(host: &str, port: u16, within: Duration) -> Result<TcpStream, DialError> {
    let within = within.min(LONGEST);
    let deadline = Instant::now() + within;
    let (host, target) = (bare(host), target(host, port));
    let addresses: Vec<SocketAddr> = match timeout_at(deadline, lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(source)) => return Err(DialError::Unresolved { target, source }),
        Err(_elapsed) => return Err(DialError::TimedOut { target, after: within }),
    };
    let mut first = None;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / left.max(1);
        left = left.saturating_sub(1);
        let error = match timeout_at(now + share, call(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => DialError::sort(&target, address, within, source),
            Err(_elapsed) => DialError::TimedOut {
                target: target.clone(),
                after: within,
            },
        };
        first.get_or_insert(error);
    }
    Err(first.unwrap_or_else(|| {
        let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        DialError::Unresolved { target, source }
    }))
}

/// Connects to one address. On loopback, the kernel may choose the very port that is dialled as our own, and the
/// connection then reaches itself: nothing listens there.
async fn call(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    options::spare_pacing(&socket, address.ip());
    let stream = socket.connect(address).await?;
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(Errno::CONNREFUSED.into());
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::net::listen;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        assert_eq!(target("a.example.com", 9103), "a.example.com:9103");
        assert_eq!(target("2001:db8::1", 9103), "[2001:db8::1]:9103");
        assert_eq!(target("[2001:db8::1]", 9103), "[2001:db8::1]:9103");
    }

    #[tokio::test]
    async fn names_and_addresses_are_reached() {
        let listener = listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        for host in ["127.0.0.1", "localhost"] {
            let stream = dial(host, address.port(), PATIENCE).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
        }
    }

    #[tokio::test]
    async fn brackets_around_an_address_are_understood() {
        let Ok(listener) = listen::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))) else {
            return; // a machine without IPv6
        };
        let address = listener.local_addr().unwrap();
        assert!(dial("[::1]", address.port(), PATIENCE).await.is_ok());
        drop(listener);
        let error = dial("::1", address.port(), PATIENCE).await.unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("[::1]:{}: ", address.port())),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        // Bound, so that nobody else gets it, and never listening.
        let kept = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        kept.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let port = kept.local_addr().unwrap().as_socket().unwrap().port();
        let error = dial("127.0.0.1", port, PATIENCE).await.unwrap_err();
        assert_eq!(error.label(), "refused");
        assert!(error.to_string().starts_with(&format!("127.0.0.1:{port}: ")), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_unresolved() {
        // A resolver that nobody answers takes its time, too.
        let within = Duration::from_secs(60);
        let error = dial("no-such-host.invalid", 9103, within).await.unwrap_err();
        assert_eq!(error.label(), "unresolved");
        assert!(error.to_string().starts_with("no-such-host.invalid:9103: "), "{error}");
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        // A backlog of zero that is full already: the kernel drops further calls without an answer.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let _queued = TcpStream::connect(address).await.unwrap();
        let within = Duration::from_millis(100);
        let started = Instant::now();
        let error = dial("127.0.0.1", address.port(), within).await.unwrap_err();
        assert_eq!(error.label(), "timed_out");
        assert!(started.elapsed() >= within && started.elapsed() < PATIENCE);
    }

    #[test]
    fn errors_are_sorted_by_what_the_operator_can_do() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9103));
        let label = |errno: Errno| DialError::sort("there:9103", address, PATIENCE, errno.into()).label();
        assert_eq!(label(Errno::CONNREFUSED), "refused");
        assert_eq!(label(Errno::TIMEDOUT), "timed_out");
        assert_eq!(label(Errno::HOSTUNREACH), "unreachable");
        assert_eq!(label(Errno::NETUNREACH), "unreachable");
        assert_eq!(label(Errno::MFILE), "exhausted");
        assert_eq!(label(Errno::ADDRNOTAVAIL), "exhausted");
        assert_eq!(label(Errno::PIPE), "other");
    }
}
