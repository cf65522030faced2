//! A peer calls: a data connection has come to it that belongs here, or a Director that wants a job here to end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::Fleet;
use super::link::{hear, say};
use super::message::{Reply, Request};
use crate::channel::{Channel, LoginError, drive};
use crate::handshake::{DirectorKey, peer};
use crate::net::deadline;
use crate::session::front::{self, Arrival};
use crate::session::processes::{self, Whose};
use crate::session::{Context, data, dice};
use crate::telemetry::event::{ConnectionReceived, LoginRefused, PacketCause, SessionKind};
use crate::types::JobName;
use crate::wire::hello::{Hello, PeerHello};

/// Runs the connection to its end.
pub(in crate::session) async fn run(
    context: Arc<Context>,
    mut channel: Channel,
    hello: PeerHello,
    mut arrival: Arrival,
) {
    let peer = arrival.peer;
    let Some(fleet) = context.fleet.clone() else {
        let error = "another sdgroup calls, and there is no [Peers] here";
        return front::refuse(peer, PacketCause::Garbage, error);
    };
    if let Err((cause, error)) = log_in(&context, &fleet, &mut channel, &hello).await {
        let name = Some(hello.name.as_str());
        return LoginRefused {
            kind: SessionKind::Peer,
            peer,
            name,
            cause,
            error: &error,
        }
        .emit();
    }
    let Ok(Some((job, whose))) = asked(&context, &mut channel, &mut arrival).await else {
        // It has been answered; or it says something else, or leaves, which is told there.
        return;
    };
    // What comes now is a stranger's, not the peer's.
    let (stream, read) = channel.into_parts();
    let mut channel = Channel::resumed(stream, BytesMut::from(&*read));
    let first = deadline::within(context.model.first_packet_timeout, channel.receive()).await;
    let Ok(Ok(frame)) = first else { return };
    let Ok(Hello::Client(client)) = front::read(&frame) else {
        return front::refuse(peer, PacketCause::Garbage, "a peer passed on what is no Client's Hello");
    };
    // It has proved that it is one of us, and nothing more is taken on trust.
    if client.job != job {
        return front::refuse(
            peer,
            PacketCause::Garbage,
            "a peer asked for one job and passed on another's Client",
        );
    }
    let kind = front::kind_of(&client);
    arrival.session = arrival.session.known_as(kind);
    ConnectionReceived {
        job: &job,
        peer: &hello.name,
        caller: arrival.peer,
    }
    .emit();
    match whose {
        Whose::Ours(found) => data::serve(context, channel, client, frame, arrival, kind, found).await,
        Whose::Theirs(to) => processes::give(to, channel, &frame, kind, arrival.peer)
            .await
            .unwrap_or_default(),
        Whose::Nobodys => {}
    }
}

async fn log_in(
    context: &Context,
    fleet: &Fleet,
    channel: &mut Channel,
    hello: &PeerHello,
) -> Result<(), (&'static str, LoginFailed)> {
    let own = fleet.own();
    let key = DirectorKey::new(&own.password);
    let random = dice::challenge_random();
    let first = peer::BeingCalled::start(hello, &key, &own.name, random, channel.outbox());
    match deadline::within(context.model.login_timeout, drive(channel, first, None)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err((error.label(), error.into())),
        Err(expired) => Err(("silent", expired.into())),
    }
}

/// Why a peer is not let in.
#[derive(Debug, thiserror::Error)]
enum LoginFailed {
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Silent(#[from] deadline::Expired),
}

/// What the peer wants. If that is a job that is here, the connection is in the clear from then on, and the caller's.
async fn asked(
    context: &Arc<Context>,
    channel: &mut Channel,
    arrival: &mut Arrival,
) -> io::Result<Option<(JobName, Whose)>> {
    let heard = deadline::within(context.model.login_timeout, hear(channel)).await;
    let (job, caller) = match heard?? {
        Request::Pass { job, caller } => (job, caller),
        Request::Cancel {
            director,
            storage_version,
            job,
            line,
        } => {
            let lines = processes::cancel(context, &director, storage_version, &job, &line).await;
            say(channel, &lines.map_or(Reply::Nothing, Reply::Lines)).await?;
            return Ok(None);
        }
    };
    let job = JobName::new(&job).map_err(io::Error::other)?;
    // Whoever asks has waited already.
    let whose = context.processes.whose(&context.routes, &job, Duration::ZERO).await;
    if let Whose::Nobodys = whose {
        say(channel, &Reply::Nothing).await?;
        return Ok(None);
    }
    say(channel, &Reply::Ours).await?;
    channel.stream_mut().stop_tls();
    arrival.peer = caller;
    Ok(Some((job, whose)))
}
