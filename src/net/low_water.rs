//! `SO_RCVLOWAT` (socket(7)), which the crates for sockets leave out.

use std::io;

use nix::libc;
use nix::sys::socket::setsockopt;
use nix::{setsockopt_impl, sockopt_impl};
use tokio::net::TcpStream;

sockopt_impl!(
    /// How many bytes have to be there before the kernel tells that there are any.
    ReceiveLowWater,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    usize
);

/// From now on the kernel tells that `stream` is readable once so many bytes are there, or its end, or little room for
/// more; and at once when that is so already. The kernel makes the room that is needed, as far as `net.ipv4.tcp_rmem`
/// allows, and lowers what is asked beyond that.
///
/// # Errors
/// When the kernel refuses; everything is as before then.
pub fn set(stream: &TcpStream, bytes: usize) -> io::Result<()> {
    Ok(setsockopt(stream, ReceiveLowWater, &bytes)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::deadline::within;

    #[tokio::test]
    async fn a_connection_is_readable_when_enough_has_come_or_the_end_has() {
        const ENOUGH: usize = 10_000;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let reader = listener.accept().await.unwrap().0;
        set(&reader, ENOUGH).unwrap();
        let (moment, mut rest) = (Duration::from_millis(20), vec![0; ENOUGH]);
        // Before the first look the runtime takes a connection for readable.
        assert!(reader.try_read(&mut rest).is_err());
        sender.write_all(&[1; ENOUGH - 1]).await.unwrap();
        assert!(within(moment, reader.readable()).await.is_err());
        sender.write_all(&[1]).await.unwrap();
        within(Duration::from_secs(10), reader.readable())
            .await
            .unwrap()
            .unwrap();
        while reader.try_read(&mut rest).is_ok_and(|read| read > 0) {}

        sender.write_all(&[1]).await.unwrap();
        assert!(within(moment, reader.readable()).await.is_err());
        // Asked for less, the kernel tells of what is there already.
        set(&reader, 1).unwrap();
        within(Duration::from_secs(10), reader.readable())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(reader.try_read(&mut rest).unwrap(), 1);
        assert!(reader.try_read(&mut rest).is_err());
        set(&reader, ENOUGH).unwrap();
        sender.shutdown().await.unwrap();
        within(Duration::from_secs(10), reader.readable())
            .await
            .unwrap()
            .unwrap();
    }
}
