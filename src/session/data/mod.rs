//! A data connection: a Client's, or that of a storage which copies from another.
//!
//! Its Hello names the job; the job's route names the storage. A caller that begins TLS with the key which the storage
//! made is passed through from its first byte: it and the storage have that key, and nothing of theirs is opened.
//! Any other is logged in on both legs, each with its own key: a caller in the clear, since one wrong key given to a
//! storage fails the job there, and a caller whose key is ours, since sdgroup answered in the storage's place or the
//! job was moved. From then on bytes pass ([`through`]), or, where a Client reads from several storages, messages
//! ([`in_turn`]).

pub(super) mod called;
mod far;
mod in_turn;
mod shown;
mod through;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::context::Context;
use super::fleet::Link;
use super::front::Arrival;
use super::listed::{Ends, SessionFacts};
use super::processes::{self, Whose};
use super::routes::{self, Far, FarEnd, Route, Taken};
use super::{dice, storage};
use crate::channel::{Channel, drive};
use crate::handshake;
use crate::net::deadline;
use crate::telemetry::event::{JobRef, LoginRefused, RouteMissing, RouteTaken, SessionEnded, SessionKind};
use crate::types::{JobName, JobStatus, Release, StorageName};
use crate::wire::hello::ClientHello;
use crate::wire::packet::Frame;

/// How long a Client may read nothing once its job has ended well, before it is taken for one that hangs: as long as
/// Bacula's daemons wait for each other. A storage reports the end of a restore when it has sent everything, and a slow
/// Client can have minutes of it before itself.
const LAST_BYTES: Duration = Duration::from_secs(30 * 60);
/// The same when the job has failed, or was canceled: nobody needs what is left.
const LOST_BYTES: Duration = Duration::from_secs(10);

/// A caller that is taken for one that hangs: its job is over, and it has read nothing for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller has read nothing for {0:?} after its job was over")]
struct Hangs(Duration);

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
    let wait = context.model.route_wait;
    match whose(&context, &hello.job, peer, wait).await {
        Found::Here(Whose::Ours(found)) => serve(context, channel, hello, frame, arrival, kind, found).await,
        // One that ends in this moment has no use for it any more.
        Found::Here(Whose::Theirs(to)) => processes::give(to, channel, &frame, kind, peer)
            .await
            .unwrap_or_default(),
        Found::Here(Whose::Nobodys) => RouteMissing {
            job: &hello.job,
            peer,
            waited: began.elapsed(),
        }
        .emit(),
        Found::AtPeer(link) => {
            drop(arrival.known());
            link.pass(&context, &hello.job, (channel, &frame), peer).await;
        }
    }
}

/// Who has a job.
enum Found {
    /// This sdgroup, or nobody.
    Here(Whose),
    /// Another one, which waits for the connection.
    AtPeer(Link),
}

/// Looks for the job here and, as long as it is not here, at the peers.
async fn whose(context: &Context, job: &JobName, caller: SocketAddr, wait: Duration) -> Found {
    let here = context.processes.whose(&context.routes, job, wait);
    let Some(fleet) = &context.fleet else {
        return Found::Here(here.await);
    };
    let elsewhere = fleet.find(job, caller, wait, context.model.login_timeout);
    let (mut here, mut elsewhere) = (std::pin::pin!(here), std::pin::pin!(elsewhere));
    tokio::select! {
        biased;
        found = &mut here => match found {
            Whose::Nobodys => elsewhere.await.map_or(Found::Here(Whose::Nobodys), Found::AtPeer),
            found => Found::Here(found),
        },
        link = &mut elsewhere => match link {
            Some(link) => Found::AtPeer(link),
            None => Found::Here(here.await),
        },
    }
}

/// Runs a connection whose job is here.
pub(super) async fn serve(
    context: Arc<Context>,
    channel: Channel,
    hello: ClientHello,
    frame: Frame,
    arrival: Arrival,
    kind: SessionKind,
    found: routes::Found,
) {
    let peer = arrival.peer;
    let began = Instant::now();
    let route = Arc::clone(found.route());
    let call = Call {
        context: &context,
        route: &route,
        hello: &hello,
        peer,
        kind,
        began,
    };
    // A storage closes a second connection without a word, too.
    if !found.is_free() {
        return RouteTaken { job: &hello.job, peer }.emit();
    }
    if hello.exchanges_capabilities() && Release::from_storage(route.far.version()) == Some(Release::V9) {
        call.refused(
            "version",
            &"a caller of this release cannot speak to a storage of 9.6, which has the job",
        );
        return;
    }
    let (client, verified) = match call.passed_through() {
        Some(_) => (channel, None),
        None => match call.log_in(channel).await {
            Some((channel, verified)) => (channel, Some(verified)),
            None => return,
        },
    };
    let Some(taken) = found.take() else {
        return RouteTaken { job: &hello.job, peer }.emit();
    };
    let session = arrival.known();
    let _listed = context.listed.enter(call.session(), Ends::Token(route.stop.clone()));
    match (&route.far, verified) {
        (Far::One(far), verified) => call.pass(far, client, &frame, verified, taken).await,
        (Far::InTurn { turns, .. }, Some(verified)) => {
            // Whoever takes the route takes its storages.
            let turns = turns.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(turns) = turns {
                call.read_in_turn(client, &verified, turns, taken).await;
            }
        }
        // A key of ours is never passed through.
        (Far::InTurn { .. }, None) => {}
    }
    drop(session);
}

/// One caller, and the job that it names.
struct Call<'a> {
    context: &'a Context,
    route: &'a Route,
    hello: &'a ClientHello,
    peer: SocketAddr,
    kind: SessionKind,
    began: Instant,
}

impl Call<'_> {
    /// It, as it is listed.
    fn session(&self) -> SessionFacts {
        SessionFacts {
            kind: self.kind,
            peer: self.peer,
            director: self.route.director.clone(),
            group: self.route.group.clone(),
            job: Some(self.route.job.clone()),
        }
    }

    /// The storage to which the caller is left, if it is: they begin TLS, which rests on a key that both have. Where
    /// they do not, or have different keys, each is logged in.
    fn passed_through(&self) -> Option<&FarEnd> {
        let Far::One(far) = &self.route.far else { return None };
        let begins_tls = self.hello.tls_psk.is_some_and(|number| number > 0);
        // One of 9.6 would not begin TLS, and fail the job at whatever comes in place of its key.
        let answers = Release::from_storage(far.version) != Some(Release::V9);
        (begins_tls && answers && self.route.client_key == far.key).then_some(far)
    }

    /// Has the caller prove the job's key. A failure costs the caller its connection and the job nothing.
    async fn log_in(&self, mut channel: Channel) -> Option<(Channel, handshake::client::Verified)> {
        let tls = &self.context.model.tls;
        let first = handshake::client::Login::start(
            self.hello,
            &self.route.client_key,
            &self.context.model.name,
            dice::challenge_random(),
            self.route.far.version(),
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

    /// Lasts until the job's control session is over and its Client has not read for so long that it is taken for one
    /// that hangs.
    async fn forgotten(&self) -> Hangs {
        self.route.over.cancelled().await;
        let _counted = self.context.jobs.draining();
        let well = matches!(
            self.route.ended.get(),
            Some(JobStatus::Terminated | JobStatus::Warnings)
        );
        let patience = if well { LAST_BYTES } else { LOST_BYTES };
        let tally = &self.route.tally;
        let mut read = None;
        while read.replace(tally.to_near()) != Some(tally.to_near()) {
            tokio::time::sleep(patience).await;
        }
        Hangs(patience)
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

    fn tell_end(&self, storage: Option<&StorageName>, end: &'static str, error: Option<&str>) {
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
            storage,
            policy: None,
            reason: None,
            to_storage_bytes: route.tally.to_far(),
            from_storage_bytes: route.tally.to_near(),
            duration: self.began.elapsed(),
            end,
            status: None,
            error: error.as_ref().map(|error| error as &dyn std::fmt::Display),
        }
        .emit();
    }
}
