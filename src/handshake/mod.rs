//! Messages to a verified peer: pure state machines for every login that the protocol knows.
//!
//! A machine is started, gets each packet of its peer, puts its own packets into an [`Outbox`] and ends with what was
//! verified or with an error. Whoever drives it owns the socket, the deadline and the random bits. What an outbox
//! holds after an error is still to be sent: it is the refusal that the peer expects.
//!
//! | module | we are | the peer is |
//! |---|---|---|
//! | [`director`] | the storage | a Director that calls |
//! | [`client`] | the storage | a Client or a storage that calls for a job |
//! | [`storage`] | the Director | the storage that we call |
//! | [`bridge`] | the Client | the storage that we call |
//! | [`peer`] | an sdgroup | another one, whichever calls |

use login::Progress;
use need::NeedError;

use crate::types::Secret;
use crate::wire::line::{Scanner, shown};
use crate::wire::packet::{Outbox, Packet, Signal};

pub mod bridge;
pub mod client;
pub mod cram_md5;
pub mod director;
mod login;
pub mod need;
pub mod peer;
pub mod proof;
pub mod storage;

#[cfg(test)]
mod pair;

pub use cram_md5::DirectorKey;
pub use login::TlsPolicy;

/// One side of a login. Each state is consumed by the packet that it waited for.
pub trait Machine: Sized {
    /// What is known of the peer in the end.
    type Verified;

    /// Takes the peer's next packet. What is to be sent is added to `outbox`, also when an error is returned.
    ///
    /// # Errors
    /// When the login has failed. There is no second try on the same connection.
    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError>;

    /// Goes on after [`Step::StartTls`] or [`Step::StopTls`], when that has been done. What is to be sent is added to
    /// `outbox`.
    ///
    /// # Errors
    /// As [`Self::on_packet`].
    fn resume(self, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError>;
}

/// Where a login stands.
#[derive(Debug)]
pub enum Step<M: Machine> {
    /// The peer's next packet is needed.
    Expect(M),
    /// What is in the outbox is to be sent; then TLS is to begin, and the machine to be resumed. What has been read
    /// already of the peer's is the beginning of its TLS, and must not be taken for anything else.
    StartTls(M, TlsPlan),
    /// What is in the outbox is to be sent; then TLS is to end without a word, and the machine to be resumed.
    StopTls(M),
    /// The login has succeeded. Nothing of what follows on the connection has been read.
    Done(M::Verified),
}

impl<M: Machine> Step<M> {
    fn of<S>(
        progress: Progress<S>,
        wrap: impl FnOnce(S) -> M,
        proved: impl FnOnce() -> Result<Step<M>, HandshakeError>,
    ) -> Result<Self, HandshakeError> {
        Ok(match progress.map(wrap) {
            Progress::Expect(machine) => Self::Expect(machine),
            Progress::StartTls(machine, plan) => Self::StartTls(machine, plan),
            Progress::StopTls(machine) => Self::StopTls(machine),
            Progress::Proved => return proved(),
        })
    }
}

/// Which TLS a connection goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPlan {
    /// Which end of it we are: the caller is the client.
    pub side: TlsSide,
    /// What it rests on.
    pub kind: TlsKind,
}

/// An end of a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsSide {
    /// The one that begins.
    Client,
    /// The other one.
    Server,
}

/// What a TLS connection rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsKind {
    /// A key that both know: the one that the login is going to prove.
    Psk(Secret),
    /// Certificates, which whoever drives the machine has.
    Certificate,
}

/// Whom an operator has to look at after a failed login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The two sides have different passwords or keys; or the peer is a stranger.
    Keys,
    /// The peer does not speak as a daemon does.
    Peer,
    /// The settings of the two sides, or their releases, do not fit.
    Settings,
}

/// Why a login failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The peer's answer to our challenge is wrong.
    #[error("the peer does not know the password: compare it in both configurations")]
    WrongAnswer,
    /// The peer says that our answer is wrong.
    #[error("the peer refused our password: compare it in both configurations")]
    Refused,
    /// The peer does not let us in, whatever our password.
    #[error("the peer does not let us in ({found}): is our name in its configuration?")]
    NotAdmitted {
        /// What it said.
        found: String,
    },
    /// The peer sent our own challenge back.
    #[error("the peer sent our own challenge back: it is not a Bacula daemon, or the connection leads back to us")]
    Reflected,
    /// The two sides' demands for TLS do not come together.
    #[error(transparent)]
    Tls(#[from] NeedError),
    /// The peer sent a message while TLS was to begin or to end.
    #[error("the peer sent a message where TLS was to begin: somebody may be meddling with the connection")]
    Early,
    /// The caller is of a release whose logins have no end that can be waited for.
    #[error("a Client of version {fd_version} cannot be logged in here: its release is too old")]
    Unsupported {
        /// The number in its Hello.
        fd_version: u32,
    },
    /// The peer ended the conversation.
    #[error("the peer ended the login before {expected}")]
    Ended {
        /// What was to come.
        expected: &'static str,
    },
    /// The peer sent something else.
    #[error("expected {expected}, but the peer sent {found:?}")]
    Unexpected {
        /// What was to come.
        expected: &'static str,
        /// The beginning of what came.
        found: String,
    },
}

impl HandshakeError {
    /// Whom to look at.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::WrongAnswer | Self::Refused => Blame::Keys,
            Self::NotAdmitted { .. } | Self::Tls(_) | Self::Unsupported { .. } => Blame::Settings,
            Self::Reflected | Self::Early | Self::Ended { .. } | Self::Unexpected { .. } => Blame::Peer,
        }
    }

    /// A word for metrics; one of a fixed set.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::WrongAnswer => "wrong_answer",
            Self::Refused => "refused",
            Self::NotAdmitted { .. } => "not_admitted",
            Self::Reflected => "reflected",
            Self::Tls(_) => "tls",
            Self::Early => "early",
            Self::Unsupported { .. } => "unsupported",
            Self::Ended { .. } => "ended",
            Self::Unexpected { .. } => "unexpected",
        }
    }
}

/// The text of a packet where a message is due.
fn message<'a>(packet: &'a Packet, expected: &'static str) -> Result<&'a [u8], HandshakeError> {
    match packet {
        Packet::Message(text) => Ok(text),
        Packet::Signal(Signal::Terminate) => Err(HandshakeError::Ended { expected }),
        Packet::Signal(signal) => Err(HandshakeError::Unexpected {
            expected,
            found: format!("{signal:?}"),
        }),
    }
}

/// The error for a message that is not the one which was due.
fn unexpected(expected: &'static str, text: &[u8]) -> HandshakeError {
    if text.starts_with(b"1999 ") {
        return HandshakeError::Refused;
    }
    if text.starts_with(b"3999 ") {
        return HandshakeError::NotAdmitted {
            found: shown(text).trim_end().to_owned(),
        };
    }
    HandshakeError::Unexpected {
        expected,
        found: shown(text),
    }
}

/// The number in a storage's `3000 OK Hello`, the last message of every login with one.
fn storage_version(packet: &Packet) -> Result<u32, HandshakeError> {
    let expected = "the storage's `3000 OK Hello`";
    let text = message(packet, expected)?;
    let mut scanner = Scanner::new(text);
    scanner
        .literal("3000 OK Hello ")
        .and_then(Scanner::number)
        .map_err(|_| unexpected(expected, text))
}

/// The last message of a login with us: we let the caller in and say our number.
fn admit(announced: u32, outbox: &mut Outbox) {
    outbox.message(format!("3000 OK Hello {announced}\n"));
}
