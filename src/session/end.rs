//! How connections are closed.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::channel::Channel;
use crate::net::deadline;

/// How long a peer that has been told the end may take to close its side.
const LINGER: Duration = Duration::from_secs(2);

/// Closes a connection so that what was sent last arrives: the peer is given a moment to close first. Closing with
/// unread bytes would make the kernel throw away what the peer has not read yet.
pub(super) async fn linger(channel: Channel<TcpStream>) {
    let (mut stream, _) = channel.into_parts();
    if stream.shutdown().await.is_err() {
        return;
    }
    let _ = deadline::within(LINGER, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
}
