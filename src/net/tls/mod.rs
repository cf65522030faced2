//! TLS as Bacula's daemons do it: with the key that both sides share ([`psk`]), or with certificates
//! ([`certificate`]). The library is OpenSSL, as theirs: no other has external keys for TLS 1.2 and 1.3.

pub mod certificate;
mod error;
pub(super) mod handshake;
pub(super) mod psk;
#[cfg(test)]
mod tests;

pub use certificate::{CertificateContext, CertificateError, CertificateFiles, Validity};
pub use error::TlsError;

/// Which end of a TLS connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that begins.
    Client,
    /// The other one.
    Server,
}
