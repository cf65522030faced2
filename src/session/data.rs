//! A data connection: a Client's, or that of a storage which copies from another.
//!
//! Its Hello names the job; the job's route names the storage. A caller that begins TLS with the key which the storage
//! made is passed through from its first byte: it and the storage have that key, and nothing of theirs is opened.
//! Any other is logged in on both legs, each with its own key: a caller in the clear, since one wrong key given to a
//! storage fails the job there, and a caller whose key is ours, since sdgroup answered in the storage's place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::error::{Stage, StorageError};
use super::front::Arrival;
use super::routes::{Route, Taken};
use super::storage::within;
use super::{dice, health, storage};
use crate::channel::{Channel, drive};
use crate::config::model;
use crate::handshake::{self, Step, TlsPolicy};
use crate::net::stream::Stream;
use crate::net::{deadline, dial, options};
use crate::relay::{self, End, FirstBytes, Side, Tally};
use crate::telemetry::event::{JobRef, LoginRefused, RouteMissing, RouteTaken, SessionEnded, SessionKind};
use crate::types::{Need, Release};
use crate::wire::capabilities::ClientCapabilities;
use crate::wire::hello::ClientHello;
use crate::wire::packet::Frame;

/// How long a Client may keep its connection once the storage has reported the job's end, all its data then being
/// where they belong. A Client that hangs would hold the job's place for ever.
const GRACE: Duration = Duration::from_secs(10);

/// How often a relay's bytes are added to the metrics: more often than Prometheus usually asks.
const SHOWN_EVERY: Duration = Duration::from_secs(5);

/// Runs the connection to its end.
pub(super) async fn run(
    context: Arc<Context>,
    channel: Channel,
    hello: ClientHello,
    frame: Frame,
    arrival: Arrival,
    kind: SessionKind,
) {
    let peer = arrival.peer;
    let began = Instant::now();
    let Some(found) = context.routes.find(&hello.job, context.model.route_wait).await else {
        RouteMissing {
            job: &hello.job,
            peer,
            waited: began.elapsed(),
        }
        .emit();
        return;
    };
    let route = Arc::clone(found.route());
    let call = Call {
        context: &context,
        route: &route,
        hello: &hello,
        peer,
        kind,
    };
    // A storage closes a second connection without a word, too.
    if !found.is_free() {
        return RouteTaken { job: &hello.job, peer }.emit();
    }
    if hello.exchanges_capabilities() && Release::from_storage(route.storage_version) == Some(Release::V9) {
        call.refused(
            "version",
            &"a caller of this release cannot speak to a storage of 9.6, which has the job",
        );
        return;
    }
    let (client, verified) = if call.passes_through() {
        (channel, None)
    } else {
        let Some((channel, verified)) = call.log_in(channel).await else {
            return;
        };
        (channel, Some(verified))
    };
    let Some(taken) = found.take() else {
        return RouteTaken { job: &hello.job, peer }.emit();
    };
    let session = arrival.known();
    call.connect(client, frame, verified, taken, began).await;
    drop(session);
}

struct Call<'a> {
    context: &'a Context,
    route: &'a Route,
    hello: &'a ClientHello,
    peer: SocketAddr,
    kind: SessionKind,
}

impl Call<'_> {
    /// Whether the caller and its storage are left to themselves: they begin TLS, which rests on a key that both have.
    /// Where they do not, or have different keys, each is logged in.
    fn passes_through(&self) -> bool {
        self.hello.tls_psk.is_some_and(|number| number > 0)
            && self.route.client_key == self.route.storage_key
            // One of 9.6 would not begin TLS, and fail the job at whatever comes in place of its key.
            && Release::from_storage(self.route.storage_version) != Some(Release::V9)
    }

    /// Has the caller prove the job's key. A failure costs the caller its connection and the job nothing.
    async fn log_in(&self, mut channel: Channel) -> Option<(Channel, handshake::client::Verified)> {
        let tls = &self.context.model.tls;
        let first = handshake::client::Login::start(
            self.hello,
            &self.route.client_key,
            &self.context.model.name,
            dice::challenge_random(),
            self.route.storage_version,
            storage::policy(tls),
            channel.outbox(),
        );
        let certificates = storage::certificates(tls, None);
        let login = drive(&mut channel, first, certificates);
        match deadline::within(self.context.model.login_timeout, login).await {
            Ok(Ok(verified)) => Some((channel, verified)),
            Ok(Err(error)) => {
                self.refused(error.label(), &error);
                None
            }
            Err(expired) => {
                self.refused("silent", &expired);
                None
            }
        }
    }

    fn refused(&self, cause: &'static str, error: &dyn std::fmt::Display) {
        let name = Some(self.hello.job.as_str());
        LoginRefused {
            kind: self.kind,
            peer: self.peer,
            name,
            cause,
            error,
        }
        .emit();
    }

    /// Connects the caller with its storage until one of them ends it. `verified` is a caller that has been
    /// logged in.
    async fn connect(
        &self,
        client: Channel,
        hello: Frame,
        verified: Option<handshake::client::Verified>,
        taken: Taken,
        began: Instant,
    ) {
        let tally = &self.route.tally;
        let reached = match verified {
            None => self.reach_storage(&hello).await,
            Some(verified) => self.log_in_at_storage(&client, verified.capabilities).await,
        };
        let (client, from_client) = client.into_parts();
        let (end, error) = match reached {
            Ok(storage) => {
                let (storage, from_storage) = storage.into_parts();
                let first = FirstBytes {
                    to_far: from_client,
                    to_near: from_storage,
                };
                told(&self.relay(client, storage, first).await)
            }
            Err(error) => {
                // An orderly close would look like the end of the data.
                let _ = options::reset_on_close(client.tcp());
                // Anything later can be the caller's fault, and the control connection tells what is the storage's.
                if let StorageError::Dial(_) = error {
                    health::failed(self.context, &self.route.storage.name, &error, Instant::now());
                }
                (error.label(), Some(error.to_string()))
            }
        };
        drop(taken);
        self.tell_end(tally, began, end, error.as_deref());
    }

    /// Relays, and shows now and then how far it is: a job can last for many hours.
    async fn relay(&self, client: Stream, storage: Stream, first: FirstBytes) -> End {
        let tally = &self.route.tally;
        let meters = self.context.storage_meters(&self.route.storage.name);
        let mut meter = meters.map(|meters| meters.relay(tally.to_far(), tally.to_near()));
        let mut show = || {
            if let Some(meter) = &mut meter {
                meter.observe(tally.to_far(), tally.to_near());
            }
        };
        let mut relay = std::pin::pin!(relay::duplex_streams(
            client,
            storage,
            first,
            &self.context.pipes,
            tally,
            &self.route.stop
        ));
        let mut shown = tokio::time::interval(SHOWN_EVERY);
        let mut grace = std::pin::pin!(async {
            self.route.over.cancelled().await;
            tokio::time::sleep(GRACE).await;
        });
        let outcome = loop {
            tokio::select! {
                outcome = &mut relay => break outcome,
                _ = shown.tick() => show(),
                () = &mut grace, if !self.route.stop.is_cancelled() => self.route.stop.cancel(),
            }
        };
        show();
        outcome.end
    }

    async fn dial(&self) -> Result<Channel, StorageError> {
        let storage = &self.route.storage;
        let stream = dial::dial(&storage.address, storage.port, self.route.connect_timeout).await?;
        let _ = options::tune(&stream);
        Ok(Channel::new(stream.into()))
    }

    /// Reaches the storage with the caller's Hello alone: the caller speaks to it itself.
    async fn reach_storage(&self, hello: &Frame) -> Result<Channel, StorageError> {
        let mut channel = self.dial().await?;
        channel.outbox().frame(hello);
        let stage = Stage::Login;
        let sent = channel.flush().await;
        sent.map_err(|source| StorageError::Lost { stage, source })?;
        Ok(channel)
    }

    /// Reaches the storage and logs in there as the caller.
    async fn log_in_at_storage(
        &self,
        client: &Channel,
        capabilities: Option<ClientCapabilities>,
    ) -> Result<Channel, StorageError> {
        // What a storage wants of its Directors says nothing of what it wants of Clients.
        let (storage, tls) = (&self.route.storage, &self.context.model.tls);
        let mut channel = self.dial().await?;
        let login = handshake::bridge::Login::start(
            self.hello,
            &self.route.storage_key,
            &self.context.model.name,
            dice::challenge_random(),
            towards_storage(tls, client.stream().is_tls()),
            capabilities,
            channel.outbox(),
        );
        let first = login.map(Step::Expect);
        let certificates = storage::certificates(tls, Some(&storage.address));
        within(Stage::Login, self.route.login_timeout, async {
            drive(&mut channel, first, certificates)
                .await
                .map_err(StorageError::login)
        })
        .await?;
        Ok(channel)
    }

    fn tell_end(&self, tally: &Tally, began: Instant, end: &'static str, error: Option<&str>) {
        let route = self.route;
        SessionEnded {
            kind: self.kind,
            peer: self.peer,
            job: Some(JobRef {
                director: &route.director,
                job: &route.job,
                job_id: route.job_id,
                client: Some(&route.client),
            }),
            group: Some(&route.group),
            storage: Some(&route.storage.name),
            policy: None,
            reason: None,
            to_storage_bytes: tally.to_far(),
            from_storage_bytes: tally.to_near(),
            duration: began.elapsed(),
            end,
            status: None,
            error: error.as_ref().map(|error| error as &dyn std::fmt::Display),
        }
        .emit();
    }
}

/// What is wanted of TLS towards the storage: what the configuration says, but a caller in the clear is not made to
/// pay for an encryption that it has not asked for.
fn towards_storage(tls: &model::Tls, caller_has_tls: bool) -> TlsPolicy {
    let mut policy = storage::policy(tls);
    if !caller_has_tls {
        for need in [&mut policy.needs.certificate, &mut policy.needs.psk] {
            if *need == Need::Possible {
                *need = Need::None;
            }
        }
    }
    policy
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
