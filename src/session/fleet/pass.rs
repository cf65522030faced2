//! A data connection that a peer's job waits for.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use tokio_util::sync::CancellationToken;

use super::Link;
use crate::channel::Channel;
use crate::relay::{self, FirstBytes, Tally};
use crate::session::Context;
use crate::telemetry::event::ConnectionPassed;
use crate::types::JobName;
use crate::wire::packet::Frame;

impl Link {
    /// Gives the peer the connection of `caller`, of which `hello` and perhaps more has been read, and moves bytes until it ends.
    pub(in crate::session) async fn pass(
        self,
        context: &Context,
        job: &JobName,
        (channel, hello): (Channel, &Frame),
        caller: SocketAddr,
    ) {
        ConnectionPassed::begins();
        let began = Instant::now();
        let (near, unread) = channel.into_parts();
        let (far, from_peer) = self.channel.into_parts();
        let mut to_peer = BytesMut::from(hello.as_bytes());
        to_peer.extend_from_slice(&unread);
        let first = FirstBytes {
            to_far: to_peer.freeze(),
            to_near: from_peer,
        };
        let tally = Tally::default();
        // A process that ends waits for it, as for its jobs.
        let _counted = context.jobs.draining();
        // It ends with one of its ends: the peer knows when its job is over.
        let never = CancellationToken::new();
        let outcome = relay::duplex_streams(near, far, first, &context.pipes, &tally, &never).await;
        ConnectionPassed {
            job,
            peer: &self.peer,
            caller,
            to_peer_bytes: tally.to_far(),
            from_peer_bytes: tally.to_near(),
            duration: began.elapsed(),
            end: outcome.end.label(),
        }
        .emit();
    }
}
