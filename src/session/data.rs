//! A data connection: a Client's, or that of a storage which copies from another.
//!
//! Its Hello names the job; the job's route names the storage. A caller without TLS first proves the job's key to
//! us, since one wrong key given to a storage fails the job there; after that both legs are the relay's. A caller
//! that begins TLS is passed through from its first byte: only the two ends have the key in the form that it needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpStream;

use super::context::Context;
use super::error::{Stage, StorageError};
use super::front::Arrival;
use super::routes::{Route, Taken};
use super::storage::within;
use super::{dice, health};
use crate::channel::{Channel, drive};
use crate::handshake;
use crate::net::{deadline, dial, options};
use crate::relay::{self, End, FirstBytes, Side, Tally};
use crate::telemetry::event::{JobRef, LoginRefused, RouteMissing, RouteTaken, SessionEnded, SessionKind};
use crate::wire::hello::ClientHello;
use crate::wire::packet::Frame;
use crate::wire::release::Release;

/// How long a Client may keep its connection once the storage has reported the job's end, all its data then being
/// where they belong. A Client that hangs would hold the job's place for ever.
const GRACE: Duration = Duration::from_secs(10);

/// How often a relay's bytes are added to the metrics: more often than Prometheus usually asks.
const SHOWN_EVERY: Duration = Duration::from_secs(5);

/// Runs the connection to its end.
pub(super) async fn run(
    context: Arc<Context>,
    channel: Channel<TcpStream>,
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
    if hello.exchanges_capabilities() && !call.may_pass_through() {
        call.refused(
            "version",
            &"a caller of this release cannot speak to the job's storage through sdgroup",
        );
        return;
    }
    let (client, taken) = if hello.exchanges_capabilities() {
        let Some(taken) = found.take() else {
            return RouteTaken { job: &hello.job, peer }.emit();
        };
        (channel, taken)
    } else {
        let Some(channel) = call.log_in(channel).await else {
            return;
        };
        let Some(taken) = found.take() else {
            return RouteTaken { job: &hello.job, peer }.emit();
        };
        (channel, taken)
    };
    let session = arrival.known();
    call.connect(client, frame, taken, began).await;
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
    /// Whether the caller can prove the storage's own key to the storage itself. Whoever could not would fail the job.
    fn may_pass_through(&self) -> bool {
        let storage = Release::from_storage(self.route.storage_version);
        storage != Some(Release::V9) && self.route.client_key == self.route.storage_key
    }

    /// Has the caller prove the job's key. A failure costs the caller its connection and the job nothing.
    async fn log_in(&self, mut channel: Channel<TcpStream>) -> Option<Channel<TcpStream>> {
        let login = handshake::client::Login::start(
            self.hello,
            &self.route.client_key,
            &self.context.model.name,
            dice::challenge_random(),
            self.route.storage_version,
            channel.outbox(),
        );
        let login = match login {
            Ok(login) => login,
            Err(error) => {
                self.refused(error.label(), &error);
                return None;
            }
        };
        match deadline::within(self.context.model.login_timeout, drive(&mut channel, login)).await {
            Ok(Ok(_)) => Some(channel),
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

    /// Connects the caller with its storage until one of them ends it.
    async fn connect(&self, client: Channel<TcpStream>, hello: Frame, taken: Taken, began: Instant) {
        let tally = &self.route.tally;
        let (end, error) = match self.reach_storage(&hello).await {
            Ok((storage, from_storage)) => {
                let (client, from_client) = client.into_parts();
                let first = FirstBytes {
                    to_far: from_client,
                    to_near: from_storage,
                };
                told(&self.relay(client, storage, first).await)
            }
            Err(error) => {
                let (client, _) = client.into_parts();
                // An orderly close would look like the end of the data.
                let _ = options::reset_on_close(&client);
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
    async fn relay(&self, client: TcpStream, storage: TcpStream, first: FirstBytes) -> End {
        let tally = &self.route.tally;
        let meters = self.context.storage_meters(&self.route.storage.name);
        let mut meter = meters.map(|meters| meters.relay(tally.to_far(), tally.to_near()));
        let mut show = || {
            if let Some(meter) = &mut meter {
                meter.observe(tally.to_far(), tally.to_near());
            }
        };
        let mut relay = std::pin::pin!(relay::duplex(
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

    /// Reaches the storage: with the caller's Hello alone when the caller speaks to it itself, else with the login
    /// done.
    async fn reach_storage(&self, hello: &Frame) -> Result<(TcpStream, Bytes), StorageError> {
        let storage = &self.route.storage;
        let stream = dial::dial(&storage.address, storage.port, self.route.connect_timeout).await?;
        let _ = options::tune(&stream);
        let mut channel = Channel::new(stream);
        if self.hello.exchanges_capabilities() {
            channel.outbox().frame(hello);
            channel.flush().await.map_err(|source| StorageError::Lost {
                stage: Stage::Login,
                source,
            })?;
            return Ok(channel.into_parts());
        }
        let login = handshake::bridge::Login::start(
            self.hello,
            &self.route.storage_key,
            &self.context.model.name,
            dice::challenge_random(),
            channel.outbox(),
        )
        .map_err(StorageError::Login)?;
        within(Stage::Login, self.route.login_timeout, async {
            drive(&mut channel, login).await.map_err(StorageError::login)
        })
        .await?;
        Ok(channel.into_parts())
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
