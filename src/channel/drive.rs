//! Runs one handshake machine over a channel.

use super::packets::{Channel, ChannelError};
use crate::handshake::{HandshakeError, Machine, Step, TlsKind, TlsPlan, TlsSide};
use crate::net::stream::Stream;
use crate::net::tls::{CertificateContext, Side, TlsError};

/// Why a login came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The connection ended, or what came was not a packet.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The other end did not prove what it had to, or refused our proof.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// TLS did not come about.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// TLS with certificates was agreed on, and there are none.
    #[error("TLS with certificates was agreed on, but none are configured: see TlsCertificate, TlsCaCertificateFile")]
    NoCertificates,
}

impl LoginError {
    /// One of a fixed set of words, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Channel(error) => error.label(),
            Self::Handshake(error) => error.label(),
            Self::Tls(error) => error.label(),
            Self::NoCertificates => "tls_setup",
        }
    }
}

/// Certificates for a login that may come to them.
#[derive(Debug, Clone, Copy)]
pub struct Certificates<'a> {
    /// Ours, and what we expect of the other side's.
    pub context: &'a CertificateContext,
    /// The host that was dialled, if we dialled.
    pub host: Option<&'a str>,
}

/// Takes a login from its first step to its end: gives the machine each packet, sends what it answers, and changes
/// the connection to TLS and back where the machine says so. It has no deadline of its own.
///
/// # Errors
/// When the connection ends, the machine refuses, or TLS does not come about; what the machine wants to be said then
/// has been sent.
pub async fn drive<M: Machine>(
    channel: &mut Channel<Stream>,
    first: Result<Step<M>, HandshakeError>,
    certificates: Option<Certificates<'_>>,
) -> Result<M::Verified, LoginError> {
    let mut step = first;
    loop {
        step = match step {
            Ok(Step::Expect(machine)) => {
                channel.flush().await?;
                let packet = channel.receive_packet().await?;
                machine.on_packet(&packet, channel.outbox())
            }
            Ok(Step::StartTls(machine, plan)) => {
                channel.flush().await?;
                start_tls(channel, &plan, certificates).await?;
                machine.resume(channel.outbox())
            }
            Ok(Step::StopTls(machine)) => {
                channel.flush().await?;
                channel.stream_mut().stop_tls();
                machine.resume(channel.outbox())
            }
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
        };
    }
}

async fn start_tls(
    channel: &mut Channel<Stream>,
    plan: &TlsPlan,
    certificates: Option<Certificates<'_>>,
) -> Result<(), LoginError> {
    let side = match plan.side {
        TlsSide::Client => Side::Client,
        TlsSide::Server => Side::Server,
    };
    // A caller of 9.6 begins TLS without waiting, right behind its verdict on our answer.
    let ahead = channel.take_unread();
    let stream = channel.stream_mut();
    match (&plan.kind, certificates) {
        (TlsKind::Psk(key), _) => stream.start_psk(side, key.reveal().as_bytes(), ahead).await?,
        (TlsKind::Certificate, Some(Certificates { context, host })) => {
            stream.start_certificates(side, context, host, ahead).await?;
        }
        (TlsKind::Certificate, None) => return Err(LoginError::NoCertificates),
    }
    Ok(())
}
