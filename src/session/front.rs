//! Every connection begins here: its first packet says who calls.

use std::borrow::Borrow;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::context::{Context, Current};
use super::{data, director, fleet};
use crate::channel::{Channel, ChannelError};
use crate::config::{Model, model};
use crate::net::listen::AcceptError;
use crate::net::{deadline, listen, options};
use crate::telemetry::event::{AcceptFailed, LiveSession, PacketCause, PacketRefused, SessionKind, SessionStarted};
use crate::wire::hello::{ClientHello, Hello};
use crate::wire::packet::{Frame, MAX_LOGIN_BYTES, Packet};

/// Accepts connections until `stop`; each becomes a session, with the configuration in force and the group that is
/// `served` by it.
pub async fn serve(
    current: Arc<Current>,
    listener: impl Borrow<TcpListener>,
    served: impl Fn(&Model) -> Option<Arc<model::Group>>,
    stop: CancellationToken,
) {
    let listener = listener.borrow();
    loop {
        // The places of strangers are the same in every context.
        let context = current.context();
        let accepted = tokio::select! {
            accepted = accept(&context, listener) => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, arrival)) => {
                let context = current.context();
                // A listener has a group in every configuration that comes into force.
                if let Some(group) = served(&context.model) {
                    context
                        .sessions
                        .spawn(greet(Arc::clone(&context), stream, arrival, group));
                }
            }
            Err(error) => {
                if let Ok(address) = listener.local_addr() {
                    AcceptFailed {
                        listener: &address,
                        error: &error,
                    }
                    .emit();
                }
                // Without a pause a full descriptor table would keep a core busy until somebody hangs up.
                tokio::time::sleep(error.pause()).await;
            }
        }
    }
}

/// A caller that has not logged in yet.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) peer: SocketAddr,
    pub(super) session: LiveSession,
    /// Its place among the strangers.
    _place: Option<OwnedSemaphorePermit>,
}

impl Arrival {
    /// Somebody whom we have called ourselves.
    pub(super) fn called(peer: SocketAddr, kind: SessionKind) -> Self {
        Self {
            peer,
            session: SessionStarted { kind, peer }.emit(),
            _place: None,
        }
    }

    /// Somebody who has called another process, which passes him on; `place` is his here.
    pub(super) fn passed(peer: SocketAddr, kind: SessionKind, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            _place: place,
            ..Self::called(peer, kind)
        }
    }

    /// The caller has logged in, or is let through: it is a stranger no longer.
    pub(super) fn known(self) -> LiveSession {
        self.session
    }
}

/// A place among the strangers, as soon as one is free.
pub(super) async fn place(context: &Context) -> Option<OwnedSemaphorePermit> {
    // The semaphore is never closed, so there is always one in the end.
    Arc::clone(&context.strangers).acquire_owned().await.ok()
}

async fn accept(context: &Context, listener: &TcpListener) -> Result<(TcpStream, Arrival), AcceptError> {
    let place = place(context).await;
    let (stream, peer) = listen::accept(listener).await?;
    let kind = SessionKind::Unknown;
    let session = SessionStarted { kind, peer }.emit();
    Ok((
        stream,
        Arrival {
            peer,
            session,
            _place: place,
        },
    ))
}

/// Reads the first packet and hands the connection to whom it concerns.
async fn greet(context: Arc<Context>, stream: TcpStream, mut arrival: Arrival, group: Arc<model::Group>) {
    // A socket option that cannot be set makes the connection slower, not wrong.
    let _ = options::tune(&stream);
    let mut channel = Channel::new(stream.into());
    let Some((hello, frame)) = first_packet(&context, &mut channel, arrival.peer).await else {
        return;
    };
    match hello {
        Hello::Director(hello) => {
            arrival.session = arrival.session.known_as(SessionKind::Director);
            director::run(context, channel, hello, group, arrival).await;
        }
        Hello::Client(hello) => {
            let kind = kind_of(&hello);
            arrival.session = arrival.session.known_as(kind);
            data::run(context, channel, hello, frame, arrival, kind).await;
        }
        Hello::Peer(hello) => {
            arrival.session = arrival.session.known_as(SessionKind::Peer);
            fleet::run(context, channel, hello, arrival).await;
        }
        Hello::StorageCalling(_) => refuse(
            arrival.peer,
            PacketCause::Garbage,
            "a storage calls as it would call a Client",
        ),
    }
}

/// Whose data connection it is.
pub(super) fn kind_of(hello: &ClientHello) -> SessionKind {
    if hello.sd_version.is_some() {
        SessionKind::Storage
    } else {
        SessionKind::Client
    }
}

async fn first_packet(context: &Context, channel: &mut Channel, peer: SocketAddr) -> Option<(Hello, Frame)> {
    let frame = match deadline::within(context.model.first_packet_timeout, channel.receive()).await {
        Ok(Ok(frame)) => frame,
        Ok(Err(ChannelError::Packet(error))) => {
            refuse(peer, PacketCause::Oversize, &error.to_string());
            return None;
        }
        // A port check connects and leaves; that is nothing to tell.
        Ok(Err(_)) => return None,
        Err(_) => {
            refuse(peer, PacketCause::Silent, "no Hello came in time");
            return None;
        }
    };
    match read(&frame) {
        Ok(hello) => Some((hello, frame)),
        Err(error) => {
            refuse(peer, PacketCause::Garbage, &error);
            None
        }
    }
}

/// Reads a first packet.
pub(super) fn read(frame: &Frame) -> Result<Hello, String> {
    match frame.decode_within(MAX_LOGIN_BYTES) {
        Ok(Packet::Message(text)) => Hello::parse(&text).map_err(|error| error.to_string()),
        Ok(Packet::Signal(_)) => Err("a signal is not a Hello".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn refuse(peer: SocketAddr, cause: PacketCause, error: &str) {
    PacketRefused {
        kind: SessionKind::Unknown,
        peer,
        cause,
        error: &error,
    }
    .emit();
}
