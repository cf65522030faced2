//! Runs one handshake machine over a channel.

use std::os::fd::AsFd;

use tokio::io::{AsyncRead, AsyncWrite};

use super::packets::{Channel, ChannelError};
use crate::handshake::{HandshakeError, Machine, Step};

/// Why a login came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The connection ended, or what came was not a packet.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The other end did not prove what it had to, or refused our proof.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl LoginError {
    /// One of a fixed set of words, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Channel(error) => error.label(),
            Self::Handshake(error) => error.label(),
        }
    }
}

/// Gives the machine each packet and sends what it answers, until it is done. It has no deadline of its own.
///
/// # Errors
/// When the connection ends or the machine refuses; what the machine wants to be said then has been sent.
pub async fn drive<M, S>(channel: &mut Channel<S>, mut machine: M) -> Result<M::Verified, LoginError>
where
    M: Machine,
    S: AsyncRead + AsyncWrite + AsFd + Unpin,
{
    loop {
        channel.flush().await?;
        let packet = channel.receive_packet().await?;
        match machine.on_packet(&packet, channel.outbox()) {
            Ok(Step::Expect(next)) => machine = next,
            Ok(Step::Done(verified)) => {
                channel.flush().await?;
                channel.trust();
                return Ok(verified);
            }
            Err(error) => {
                // The login has failed already: that its refusal does not arrive changes nothing.
                let _ = channel.flush().await;
                return Err(error.into());
            }
        }
    }
}
