//! How connections are closed.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::channel::{Channel, ChannelError};
use crate::net::deadline;

/// How long a peer that has been told the end may take to close its side.
const LINGER: Duration = Duration::from_secs(2);

/// Sends what is left to be said and closes, all within [`LINGER`]. The peer is given the moment to close first:
/// closing with unread bytes would make the kernel throw away what the peer has not read yet.
pub(super) async fn part(mut channel: Channel) {
    let farewell = async {
        channel.flush().await?;
        let (mut stream, _) = channel.into_parts();
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        Ok::<(), ChannelError>(())
    };
    // Whoever is not there any more cannot be told.
    let _ = deadline::within(LINGER, farewell).await;
}
