//! Ports of the loopback address that nobody else gets while the lab lives, and who listens where.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// A port that the system chose, kept by a socket that is bound to it and never listens: no other process is given
/// the port, a daemon that sets `SO_REUSEADDR` (all of ours do) can listen at it, and while none does, a caller is
/// refused.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _kept: Socket,
}

impl Port {
    pub(crate) fn choose() -> Self {
        Self::choose_at(Ipv4Addr::LOCALHOST)
    }

    /// One that is free at every address of the loopback network.
    pub(crate) fn choose_everywhere() -> Self {
        Self::choose_at(Ipv4Addr::UNSPECIFIED)
    }

    fn choose_at(address: Ipv4Addr) -> Self {
        let kept = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        kept.set_reuse_address(true).expect("SO_REUSEADDR");
        let any = SockAddr::from(SocketAddrV4::new(address, 0));
        kept.bind(&any).expect("a free port");
        let number = kept
            .local_addr()
            .ok()
            .and_then(|at| at.as_socket())
            .expect("the port's number")
            .port();
        Self { number, _kept: kept }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }

    /// Whether somebody listens, as the kernel tells it: a probing connect would make a Storage Daemon log an error
    /// and hold a thread for five seconds.
    pub(crate) fn is_listening(&self) -> bool {
        let local = format!(":{:04X}", self.number);
        let table = fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
        table.lines().any(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (at, _peer, state) = (fields.next(), fields.next(), fields.next());
            at.is_some_and(|at| at.ends_with(&local)) && state == Some("0A")
        })
    }
}
