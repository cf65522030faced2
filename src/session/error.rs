//! What can go wrong in a session, decided where it is made: who is to blame, whether another storage may be
//! tried, what the peer is told, and the word for the metric.

use std::time::Duration;

use crate::channel::{ChannelError, LoginError};
use crate::handshake::HandshakeError;
use crate::net::dial::DialError;

/// At which step a storage failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Logging in.
    Login,
    /// Its answer to `JobId=`.
    Job,
    /// Its answer to `use storage`.
    Reserve,
    /// Its answer to `bootstrap`.
    Bootstrap,
    /// Between two commands.
    Between,
    /// After `run`.
    Running,
}

impl Stage {
    /// A word for the step.
    #[must_use]
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Job => "job",
            Self::Reserve => "reserve",
            Self::Bootstrap => "bootstrap",
            Self::Between => "between commands",
            Self::Running => "running",
        }
    }
}

/// Whether another attempt makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// No: the job is what is wrong, or it is too late.
    Never,
    /// Yes, on the next storage of the ranking.
    NextStorage,
}

/// A storage that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum StorageError {
    /// It could not be reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It did not answer in time.
    #[error("no answer within {} s ({})", .within.as_secs_f32(), .stage.as_str())]
    Silent {
        /// The step at which it fell silent.
        stage: Stage,
        /// How long it was given.
        within: Duration,
    },
    /// There is no password for it in the configuration.
    #[error("the configuration has no password for this Director there")]
    NoPassword,
    /// The login failed.
    #[error("login failed: {0}")]
    Login(#[source] HandshakeError),
    /// The connection ended.
    #[error("connection lost ({}): {source}", .stage.as_str())]
    Lost {
        /// The step at which it ended.
        stage: Stage,
        /// How.
        #[source]
        source: ChannelError,
    },
    /// It refused, in its own words.
    #[error("refused ({}): {line}", .stage.as_str())]
    Refused {
        /// The step that it refused.
        stage: Stage,
        /// What it said, without the newline.
        line: String,
    },
}

impl StorageError {
    /// A failed login, by what failed.
    #[must_use]
    pub(super) fn login(error: LoginError) -> Self {
        match error {
            LoginError::Channel(source) => Self::Lost {
                stage: Stage::Login,
                source,
            },
            LoginError::Handshake(source) => Self::Login(source),
        }
    }

    /// Whether the next storage may be asked: always before the Director has an answer, unless it is the
    /// configuration that is wrong everywhere alike.
    #[must_use]
    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::Lost {
                stage: Stage::Running, ..
            } => Retry::Never,
            _ => Retry::NextStorage,
        }
    }

    /// Whether this counts against the storage's health: a refusal of one job does not, silence and loss do.
    #[must_use]
    pub(super) fn ejects(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::NoPassword)
    }

    /// One of a fixed set of words, for metrics.
    #[must_use]
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Dial(error) => error.label(),
            Self::Silent { .. } => "silent",
            Self::NoPassword => "no_password",
            Self::Login(_) => "login",
            Self::Lost { .. } => "lost",
            Self::Refused { .. } => "refused",
        }
    }
}
