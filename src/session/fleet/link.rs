//! A connection to a peer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::message::{Reply, Request};
use super::{Fleet, Peer};
use crate::channel::{Channel, LoginError, drive};
use crate::handshake::{DirectorKey, Step, peer};
use crate::net::{deadline, dial, options};
use crate::session::dice;
use crate::session::director::Caller;
use crate::store::Owner;
use crate::telemetry::event::PeerFailed;
use crate::types::{JobName, PeerName};
use crate::wire::packet::{MAX_LOGIN_BYTES, Packet};

/// How long it may take to be reached.
const CONNECT: Duration = Duration::from_secs(3);

/// How long it may take to have a storage cancel a job.
const CANCEL: Duration = Duration::from_secs(60);

/// A peer that has a job, and waits for its data connection.
#[derive(Debug)]
pub(in crate::session) struct Link {
    /// In the clear from now on.
    pub(super) channel: Channel,
    /// What it is called.
    pub(super) peer: PeerName,
}

/// Why a peer does not take a data connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// It cannot be reached.
    #[error(transparent)]
    Dial(#[from] dial::DialError),
    /// It does not let us in.
    #[error("it does not let this sdgroup in: {0}")]
    Login(#[from] LoginError),
    /// It says something else, or nothing.
    #[error("it does not answer: {0}")]
    Answer(io::Error),
}

impl Fleet {
    /// Asks a peer for a job; none if it does not have it.
    pub(super) async fn ask(
        &self,
        owner: &Owner,
        job: &JobName,
        caller: SocketAddr,
        patience: Duration,
    ) -> Result<Option<Link>, LinkError> {
        let request = Request::Pass {
            job: job.to_string(),
            caller,
        };
        let (reply, mut channel) = self.request(owner, &request, patience).await?;
        Ok((reply == Reply::Ours).then(|| {
            channel.stream_mut().stop_tls();
            let peer = owner.name.clone();
            Link { channel, peer }
        }))
    }

    /// Has the peer that has the job cancel, or stop, it. None when none has it.
    pub(in crate::session) async fn cancel(&self, caller: &Caller, job: &JobName, line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let request = Request::Cancel {
            director: caller.name.to_string(),
            storage_version: caller.release.storage_version(),
            job: job.to_string(),
            line: line.to_vec(),
        };
        let alive = self.peers().into_iter().filter(Peer::is_alive);
        for peer in alive.map(Owner::from) {
            match self.request(&peer, &request, CANCEL).await {
                Ok((Reply::Lines(lines), _)) => return Some(lines),
                Ok(_) => {}
                Err(error) => PeerFailed {
                    peer: &peer.name,
                    job,
                    error: &error,
                }
                .emit(),
            }
        }
        None
    }

    async fn request(
        &self,
        owner: &Owner,
        request: &Request,
        patience: Duration,
    ) -> Result<(Reply, Channel), LinkError> {
        let stream = dial::dial(&owner.address, owner.port, CONNECT).await?;
        let _ = options::tune(&stream);
        let mut channel = Channel::new(stream.into());
        let asked = deadline::within(patience, async {
            let key = DirectorKey::new(&self.own().password);
            let random = dice::challenge_random();
            let login = peer::Calling::start(&self.own().name, &key, random, channel.outbox());
            drive(&mut channel, Ok(Step::Expect(login)), None).await?;
            say(&mut channel, request).await.map_err(LinkError::Answer)?;
            hear(&mut channel).await.map_err(LinkError::Answer)
        });
        let reply = asked.await.map_err(|late| LinkError::Answer(late.into()))??;
        Ok((reply, channel))
    }
}

/// Says something.
pub(super) async fn say(channel: &mut Channel, what: &impl serde::Serialize) -> io::Result<()> {
    channel.outbox().message(serde_json::to_vec(what)?);
    channel.flush().await.map_err(io::Error::other)
}

/// Hears something.
pub(super) async fn hear<T: serde::de::DeserializeOwned>(channel: &mut Channel) -> io::Result<T> {
    let frame = channel.receive().await.map_err(io::Error::other)?;
    match frame.decode_within(MAX_LOGIN_BYTES) {
        Ok(Packet::Message(text)) => Ok(serde_json::from_slice(&text)?),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}
