//! What a failed handshake means.

use std::io::ErrorKind;

use openssl::ssl::{Error, ErrorCode, SslRef};
use openssl::x509::X509VerifyResult;

use super::error::TlsError;

/// What OpenSSL adds to the number of an alert that came (`SSL_AD_REASON_OFFSET`).
const ALERTS: i32 = 1000;

/// Reasons and alerts that mean two different keys where TLS rests on one: the binder or the finished message of TLS
/// 1.3, the first encrypted record of 1.2 (RFC 8446 and 5246, section 6 of both, for the alerts).
const OTHER_KEY: [i32; 7] = [
    ALERTS + 20,  // bad_record_mac
    ALERTS + 47,  // illegal_parameter
    ALERTS + 51,  // decrypt_error
    ALERTS + 115, // unknown_psk_identity
    149,          // SSL_R_DIGEST_CHECK_FAILED
    253,          // SSL_R_BINDER_DOES_NOT_VERIFY
    281,          // SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC
];

/// Alerts that are about a certificate: bad, unsupported, revoked, expired, unknown, of an unknown issuer, denied,
/// missing.
const OF_CERTIFICATES: [i32; 8] = [42, 43, 44, 45, 46, 48, 49, 116];

/// What went wrong. Only meant for the time of the handshake.
pub(in crate::net) fn failure(error: &Error, ssl: &SslRef) -> TlsError {
    let verified = ssl.verify_result();
    let psk = super::psk::is_prepared(ssl);
    if verified != X509VerifyResult::OK && !psk {
        return TlsError::Certificate {
            reason: verified.error_string().to_owned(),
        };
    }
    let reasons = error
        .ssl_error()
        .map(openssl::error::ErrorStack::errors)
        .unwrap_or_default();
    for reason in reasons {
        let code = reason.reason_code();
        let found = reason.reason().unwrap_or("unknown").to_owned();
        if psk && OTHER_KEY.contains(&code) {
            return TlsError::WrongKey { found };
        }
        if !psk && code > ALERTS && OF_CERTIFICATES.contains(&(code - ALERTS)) {
            return TlsError::Refused { reason: found };
        }
        // SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE
        if code == 199 {
            return TlsError::NoCertificate;
        }
    }
    if let Some(reason) = reasons.last() {
        return TlsError::Failed {
            found: reason.reason().unwrap_or("unknown").to_owned(),
        };
    }
    match (error.code(), error.io_error()) {
        (ErrorCode::ZERO_RETURN, None) => TlsError::Closed,
        (_, Some(error)) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
            TlsError::Closed
        }
        (_, Some(error)) => TlsError::Failed {
            found: error.to_string(),
        },
        _ => TlsError::Failed {
            found: error.to_string(),
        },
    }
}
