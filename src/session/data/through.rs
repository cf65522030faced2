//! Bytes between a caller and its one storage.

use std::time::Instant;

use super::super::error::StorageError;
use super::super::{health, rates};
use super::shown::Shown;
use super::{Call, FarEnd, Taken};
use crate::channel::Channel;
use crate::handshake;
use crate::net::options;
use crate::net::stream::Stream;
use crate::relay::{self, End, FirstBytes, Side};
use crate::wire::packet::Frame;

impl Call<'_> {
    /// Connects the caller with its storage until one of them ends it. `verified` is a caller that has been logged in.
    pub(super) async fn pass(
        &self,
        far: &FarEnd,
        client: Channel,
        hello: &Frame,
        verified: Option<handshake::client::Verified>,
        taken: Taken,
    ) {
        let reached = match verified {
            None => self.reach_storage(far, hello).await,
            Some(verified) => {
                let has_tls = client.stream().is_tls();
                self.log_in_at_storage(far, has_tls, verified.capabilities).await
            }
        };
        let (client, from_client) = client.into_parts();
        let (end, error) = match reached {
            Ok(storage) => {
                let (storage, from_storage) = storage.into_parts();
                let first = FirstBytes {
                    to_far: from_client,
                    to_near: from_storage,
                };
                told(&self.relay(far, client, storage, first, &taken).await)
            }
            Err(error) => {
                // An orderly close would look like the end of the data.
                let _ = options::reset_on_close(client.tcp());
                // Anything later can be the caller's fault, and the control connection tells what is the storage's.
                if let StorageError::Dial(_) = error {
                    health::failed(self.context, &far.storage.name, &error, Instant::now());
                }
                (error.label(), Some(error.to_string()))
            }
        };
        drop(taken);
        self.tell_end(Some(&far.storage.name), end, error.as_deref());
    }

    /// Relays, and shows now and then how far it is: a job can last for many hours.
    async fn relay(&self, far: &FarEnd, client: Stream, storage: Stream, first: FirstBytes, taken: &Taken) -> End {
        let tally = &self.route.tally;
        let mut shown = Shown::new(self.context, &far.storage.name, tally, taken.counted());
        let mut relay = std::pin::pin!(relay::duplex_streams(
            client,
            storage,
            first,
            &self.context.pipes,
            tally,
            &self.route.stop
        ));
        let mut show_now = tokio::time::interval(rates::ADD_EVERY);
        let mut forgotten = std::pin::pin!(self.forgotten());
        loop {
            tokio::select! {
                outcome = &mut relay => return outcome.end,
                _ = show_now.tick() => shown.show(),
                () = &mut forgotten, if !self.route.stop.is_cancelled() => self.route.stop.cancel(),
            }
        }
    }
}

/// The end's label, and what there is to say about it. Bacula's daemons often close without reading the other's
/// goodbye, which is a reset after the end and in order.
fn told(end: &End) -> (&'static str, Option<String>) {
    let error = match end {
        End::Closed | End::Reset { after_end: true, .. } => return ("ended", None),
        End::Reset { side, .. } => format!("{} broke the connection off", name(*side)),
        End::Failed { side, error } => format!("the connection to {} failed: {error}", name(*side)),
        End::Stopped => "the job's control connection has ended".to_owned(),
    };
    (end.label(), Some(error))
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Near => "the caller",
        Side::Far => "the storage",
    }
}
