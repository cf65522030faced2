//! Bytes between a caller and its one storage.

use std::time::Instant;

use super::super::error::StorageError;
use super::super::{health, rates};
use super::shown::Shown;
use super::{Call, FarEnd, Hangs, Taken};
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
                let (end, hangs) = self.relay(far, client, storage, first, &taken).await;
                told(&end, hangs)
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

    /// Relays, and shows now and then how far it is: a job can last for many hours. Tells as well whether the caller
    /// has read nothing for so long that it was ended for that.
    async fn relay(
        &self,
        far: &FarEnd,
        client: Stream,
        storage: Stream,
        first: FirstBytes,
        taken: &Taken,
    ) -> (End, Option<Hangs>) {
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
        let mut hangs = None;
        loop {
            tokio::select! {
                outcome = &mut relay => return (outcome.end, hangs),
                _ = show_now.tick() => shown.show(),
                after = &mut forgotten, if !self.route.stop.is_cancelled() => {
                    hangs = Some(after);
                    self.route.stop.cancel();
                }
            }
        }
    }
}

/// The end's label, and what there is to say about it. Bacula's daemons often close without reading the other's
/// goodbye, which is a reset after the end and in order.
fn told(end: &End, hangs: Option<Hangs>) -> (&'static str, Option<String>) {
    let error = match end {
        End::Closed | End::Reset { after_end: true, .. } => return ("ended", None),
        End::Reset { side, .. } => format!("{} broke the connection off", name(*side)),
        End::Failed { side, error } => format!("the connection to {} failed: {error}", name(*side)),
        End::Stopped => hangs.map_or_else(
            || "the job's control connection has ended".to_owned(),
            |hangs| hangs.to_string(),
        ),
    };
    (end.label(), Some(error))
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Near => "the caller",
        Side::Far => "the storage",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_caller_that_hangs_is_told_from_one_whose_job_was_ended() {
        let of = |hangs| told(&End::Stopped, hangs).1.unwrap();
        let hangs = Some(Hangs(Duration::from_secs(1800)));
        assert_eq!(
            of(hangs),
            "the caller has read nothing for 1800s after its job was over"
        );
        assert_eq!(of(None), "the job's control connection has ended");
    }
}
