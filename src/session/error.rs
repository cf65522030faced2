//! What a storage can do wrong, decided where it is noticed: at which step, whether its health suffers, and the word
//! for the metric.

use std::time::Duration;

use crate::channel::{ChannelError, LoginError};
use crate::handshake::{Blame, HandshakeError};
use crate::net::dial::DialError;
use crate::net::tls::TlsError;
use crate::volumes::Lack;

/// At which step a storage failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Logging in.
    Login,
    /// Its answer to a command outside jobs.
    Command,
    /// Its answer to `JobId=`.
    Job,
    /// Its answer to `use storage`.
    Reserve,
    /// Its answer to `bootstrap`.
    Bootstrap,
    /// Its answer to `storage address`.
    Storage,
    /// Its answer to `client address`.
    Client,
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
            Self::Command => "command",
            Self::Job => "job",
            Self::Reserve => "reserve",
            Self::Bootstrap => "bootstrap",
            Self::Storage => "storage",
            Self::Client => "client",
            Self::Between => "between commands",
            Self::Running => "running",
        }
    }
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
    /// It is of another release than the Director: the two would part at the job's first catalog request.
    #[error("it is of another release than the Director (its number is {version})")]
    Release {
        /// The number in its Hello answer.
        version: u32,
    },
    /// The login failed.
    #[error("login failed: {0}")]
    Login(#[source] HandshakeError),
    /// TLS did not come about.
    #[error("login failed: {0}")]
    Tls(#[source] TlsError),
    /// TLS with certificates was agreed on, and there are none.
    #[error("login failed: the storage wants TLS with certificates, and none are configured for it")]
    NoCertificates,
    /// The connection ended.
    #[error("connection lost ({}): {source}", .stage.as_str())]
    Lost {
        /// The step at which it ended.
        stage: Stage,
        /// How.
        #[source]
        source: ChannelError,
    },
    /// It took the job, but under an identity of its own: what it wrote could not be restored.
    #[error("it did not take over the session identity that it was given")]
    Identity,
    /// All its devices are busy, or it waits for something else and does not say so.
    #[error("no device within {} s", .within.as_secs_f32())]
    Busy {
        /// How long it was given.
        within: Duration,
    },
    /// It has a device, but nothing to write on.
    #[error("{}", match .0 {
        Lack::Volumes => "it has no volume of its own for the job",
        Lack::Room => "its file system is full",
    })]
    Lacks(Lack),
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
            LoginError::Tls(source) => Self::Tls(source),
            LoginError::NoCertificates => Self::NoCertificates,
        }
    }

    /// Whether this counts against the storage's health. A refusal of one job or of one Director's password does not,
    /// nor does a lack of our own; silence and loss do.
    pub(super) fn ejects(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::NoPassword
            | Self::Release { .. }
            | Self::NoCertificates
            | Self::Identity
            | Self::Busy { .. }
            | Self::Lacks(_) => false,
            Self::Tls(error) => matches!(error, TlsError::Closed | TlsError::Failed { .. }),
            Self::Login(error) => error.blame() == Blame::Peer,
            Self::Dial(error) => !error.is_ours(),
            Self::Silent { .. } | Self::Lost { .. } => true,
        }
    }

    /// One of a fixed set of words, for metrics.
    #[must_use]
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Dial(error) => error.label(),
            Self::Silent { .. } => "silent",
            Self::NoPassword => "no_password",
            Self::Release { .. } => "release",
            Self::Login(_) => "login",
            Self::Tls(error) => error.label(),
            Self::NoCertificates => "tls_setup",
            Self::Lost { .. } => "lost",
            Self::Refused { .. } => "refused",
            Self::Identity => "identity",
            Self::Busy { .. } => "busy",
            Self::Lacks(Lack::Volumes) => "no_volume",
            Self::Lacks(Lack::Room) => "no_room",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const TARGET: &str = "file4:9103";

    fn dial(number: i32) -> StorageError {
        let source = io::Error::from_raw_os_error(number);
        StorageError::Dial(DialError::Other {
            target: TARGET.to_owned(),
            address: ([127, 0, 0, 1], 9103).into(),
            source,
        })
    }

    #[test]
    fn only_a_storages_own_faults_eject_it() {
        let lost = StorageError::Lost {
            stage: Stage::Login,
            source: ChannelError::Reset,
        };
        let refused = StorageError::Refused {
            stage: Stage::Job,
            line: "3915 no".to_owned(),
        };
        assert!(lost.ejects());
        assert!(dial(rustix::io::Errno::PIPE.raw_os_error()).ejects());
        let lack = StorageError::Dial(DialError::Exhausted {
            target: TARGET.to_owned(),
            advice: "raise it",
            source: rustix::io::Errno::MFILE.into(),
        });
        assert!(!lack.ejects(), "a lack of our own");
        assert!(!StorageError::Login(HandshakeError::Refused).ejects(), "a password");
        assert!(!StorageError::Login(HandshakeError::WrongAnswer).ejects(), "a password");
        assert!(!refused.ejects(), "one job");
    }
}
