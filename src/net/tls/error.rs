//! Why a connection does not get its TLS.

use openssl::error::ErrorStack;

/// Why a connection does not get its TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The two sides have different keys.
    #[error("TLS-PSK failed, the two sides have different passwords: compare it in both configurations ({found})")]
    WrongKey {
        /// What the library said.
        found: String,
    },
    /// The session does not rest on the shared key: somebody else may be at the other end.
    #[error("the TLS connection does not rest on the shared key: somebody may be meddling with the connection")]
    NotPsk,
    /// The other side's certificate is not accepted here.
    #[error("the peer's certificate is not accepted: {reason}")]
    Certificate {
        /// Why, in the library's words: expired, unknown issuer ...
        reason: String,
    },
    /// The other side has no certificate to show.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The other side's certificate is somebody else's.
    #[error("the peer's certificate is for {found}, expected was {expected}")]
    WrongName {
        /// The names that it carries.
        found: String,
        /// The host, or the allowed common names.
        expected: String,
    },
    /// The other side does not accept ours, and says why.
    #[error("the peer does not accept our certificate: {reason}")]
    Refused {
        /// Its alert.
        reason: String,
    },
    /// The other side ended the connection in the middle of it.
    #[error("the peer closed the connection during the TLS handshake")]
    Closed,
    /// Anything else.
    #[error("the TLS handshake failed: {found}")]
    Failed {
        /// What the library said.
        found: String,
    },
    /// The library could not be set up.
    #[error("TLS cannot be set up here: {0}")]
    Setup(#[from] ErrorStack),
}

impl TlsError {
    /// One of a fixed set of words, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::WrongKey { .. } => "tls_wrong_key",
            Self::NotPsk => "tls_not_psk",
            Self::Certificate { .. } | Self::NoCertificate | Self::WrongName { .. } => "tls_certificate",
            Self::Refused { .. } => "tls_refused",
            Self::Closed => "tls_closed",
            Self::Failed { .. } => "tls_failed",
            Self::Setup(_) => "tls_setup",
        }
    }
}
