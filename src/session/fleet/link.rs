//! A connection to a peer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::Fleet;
use super::message::{Reply, Request};
use crate::channel::{Channel, LoginError, drive};
use crate::handshake::{DirectorKey, Step, peer};
use crate::net::{deadline, dial, options};
use crate::session::dice;
use crate::store::Owner;
use crate::types::{JobName, PeerName};
use crate::wire::packet::MAX_LOGIN_BYTES;

/// How long it may take to be reached.
const CONNECT: Duration = Duration::from_secs(3);

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
        let stream = dial::dial(&owner.address, owner.port, CONNECT).await?;
        let _ = options::tune(&stream);
        let mut channel = Channel::new(stream.into());
        let request = Request::Pass {
            job: job.to_string(),
            caller,
        };
        let asked = deadline::within(patience, async {
            let key = DirectorKey::new(&self.own().password);
            let random = dice::challenge_random();
            let login = peer::Calling::start(&self.own().name, &key, random, channel.outbox());
            drive(&mut channel, Ok(Step::Expect(login)), None).await?;
            say(&mut channel, &request).await.map_err(LinkError::Answer)?;
            hear(&mut channel).await.map_err(LinkError::Answer)
        });
        let late = |expired: deadline::Expired| LinkError::Answer(expired.into());
        Ok(match asked.await.map_err(late)?? {
            Reply::Nothing => None,
            Reply::Ours => {
                channel.stream_mut().stop_tls();
                let peer = owner.name.clone();
                Some(Link { channel, peer })
            }
        })
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
        Ok(crate::wire::packet::Packet::Message(text)) => Ok(serde_json::from_slice(&text)?),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}
