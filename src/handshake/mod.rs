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

use crate::wire::line::{Scanner, shown};
use crate::wire::packet::{Outbox, Packet, Signal};

pub mod bridge;
pub mod client;
pub mod cram_md5;
pub mod director;
pub mod need;
pub mod proof;
pub mod storage;

#[cfg(test)]
mod pair;

pub use cram_md5::DirectorKey;

/// One side of a login. Each state is consumed by the packet that it waited for.
pub trait Machine: Sized {
    /// What is known of the peer in the end.
    type Verified;

    /// Takes the peer's next packet. What is to be sent is added to `outbox`, also when an error is returned.
    ///
    /// # Errors
    /// When the login has failed. There is no second try on the same connection.
    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError>;
}

/// Where a login stands.
#[derive(Debug)]
pub enum Step<M: Machine> {
    /// The peer's next packet is needed.
    Expect(M),
    /// The login has succeeded. Nothing of what follows on the connection has been read.
    Done(M::Verified),
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
    /// The peer wants TLS.
    #[error("the peer demands TLS, which is not set up for this connection")]
    TlsDemanded,
    /// The caller is of a release whose data connection begins with a step that is not spoken here.
    #[error(
        "a Client of version {fd_version} cannot be logged in here: its release is not supported on this connection"
    )]
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
            Self::NotAdmitted { .. } | Self::TlsDemanded | Self::Unsupported { .. } => Blame::Settings,
            Self::Reflected | Self::Ended { .. } | Self::Unexpected { .. } => Blame::Peer,
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
            Self::TlsDemanded => "tls_demanded",
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
    if text.starts_with(b"starttls ") {
        return HandshakeError::TlsDemanded;
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
