//! Options of an open connection.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// When the kernel asks a silent peer whether it is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first question (whole seconds).
    pub idle: Duration,
    /// Between two questions (whole seconds).
    pub interval: Duration,
    /// Unanswered questions after which the connection is broken.
    pub count: u32,
}

impl Default for Keepalive {
    /// A peer whose machine is gone is noticed after two minutes of silence. A process that is merely stopped is
    /// not: its kernel goes on answering.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(15),
            count: 4,
        }
    }
}

/// What is set on every connection, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Send small packets at once (`TCP_NODELAY`). Protocols of question and answer lose 40 ms per turn without.
    pub nodelay: bool,
    /// Ask silent peers; `None` leaves it off.
    pub keepalive: Option<Keepalive>,
    /// How long sent bytes may stay unacknowledged before the connection is broken (`TCP_USER_TIMEOUT`, whole
    /// milliseconds). `None` leaves it to the kernel (about 15 minutes of retransmission). It also ends a
    /// connection whose peer keeps its window shut for that long, which a busy tape drive may well do.
    pub user_timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: Some(Keepalive::default()),
            user_timeout: None,
        }
    }
}

impl Options {
    /// Sets these options on `stream`.
    pub fn apply(&self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream);
        socket.set_tcp_nodelay(self.nodelay)?;
        if let Some(keepalive) = self.keepalive {
            let parameters = TcpKeepalive::new()
                .with_time(keepalive.idle)
                .with_interval(keepalive.interval)
                .with_retries(keepalive.count);
            socket.set_tcp_keepalive(&parameters)?;
        }
        if self.user_timeout.is_some() {
            socket.set_tcp_user_timeout(self.user_timeout)?;
        }
        Ok(())
    }
}

/// Sets the default [`Options`] on `stream`.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    Options::default().apply(stream)
}

/// Chooses, for a connection with `peer` that does not leave the machine, a congestion control that does not pace.
///
/// Where BBR is the machine's default, the kernel paces even what goes over loopback, with a timer for every few
/// segments, which costs more than the sending (`benches/README.md`). Once a connection is up its pacing does not
/// end any more, only get looser; so this is for a socket that is about to dial or to listen, whose connections
/// inherit it, and only in the second place for one that was accepted. It is a matter of speed alone, and never fails.
pub fn spare_pacing(socket: &impl AsFd, peer: IpAddr) {
    if peer.to_canonical().is_loopback() {
        // Every kernel has it and lets everybody choose it.
        let _ = SockRef::from(socket).set_tcp_congestion(b"reno");
    }
}

/// From now on, closing `stream` breaks the connection: the peer sees a reset, and what was not yet sent is lost.
///
/// This holds as well when the process is killed, since it is the kernel that closes then.
pub fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// Takes [`reset_on_close`] back: closing sends what is left and then an orderly end, without blocking.
pub fn end_on_close(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(None)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn tuned_connections_carry_the_options() {
        let (stream, _peer) = pair().await;
        tune(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);

        let user_timeout = Some(Duration::from_secs(30));
        Options {
            user_timeout,
            ..Options::default()
        }
        .apply(&stream)
        .unwrap();
        assert_eq!(socket.tcp_user_timeout().unwrap(), user_timeout);
    }

    #[tokio::test]
    async fn what_stays_on_the_machine_is_not_paced() {
        let (stream, _peer) = pair().await;
        let socket = SockRef::from(&stream);
        let default = socket.tcp_congestion().unwrap();
        spare_pacing(&stream, "192.0.2.1".parse().unwrap());
        assert_eq!(socket.tcp_congestion().unwrap(), default);
        spare_pacing(&stream, "::ffff:127.0.0.5".parse().unwrap());
        assert!(socket.tcp_congestion().unwrap().starts_with(b"reno"));
    }

    #[tokio::test]
    async fn a_reset_and_an_orderly_end_differ() {
        let (stream, mut peer) = pair().await;
        reset_on_close(&stream).unwrap();
        drop(stream);
        let error = peer.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);

        let (stream, mut peer) = pair().await;
        reset_on_close(&stream).unwrap();
        end_on_close(&stream).unwrap();
        drop(stream);
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
