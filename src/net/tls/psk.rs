//! TLS that rests on a key which both sides know, as Bacula's `src/lib/tls.c` does it.

use std::sync::LazyLock;

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef, SslVerifyMode, SslVersion,
};
use zeroize::Zeroizing;

use super::{Side, TlsError};

/// The only cipher that Bacula offers below TLS 1.3.
const CIPHERS: &str = "PSK-AES256-CBC-SHA";

/// Those of TLS 1.3 whose hash is SHA-256, for a key from outside is bound to it. The first is the quickest wherever
/// the processor knows AES.
const SUITES: &str = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

/// What Bacula's clients call themselves. Nobody checks it, but in TLS 1.3 it must not be empty.
const IDENTITY: &[u8] = b"Client_identity\0";

/// The key of one connection, beside its `Ssl`.
type Key = Zeroizing<Vec<u8>>;

/// Both contexts. A server's must never hold a certificate: with one the library prefers a suite of another hash,
/// drops the key without a word, and lets in whoever calls.
struct Contexts {
    server: SslContext,
    client: SslContext,
    key: Index<Ssl, Key>,
}

static CONTEXTS: LazyLock<Result<Contexts, ErrorStack>> = LazyLock::new(|| {
    let key = Ssl::new_ex_index()?;
    let mut server = builder()?;
    server.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    // Nobody resumes a session; and a ticket would arrive after the login of a connection that drops TLS with it.
    server.set_num_tickets(0)?;
    server.set_psk_server_callback(move |ssl, identity, buffer| {
        if identity.is_none() {
            return Ok(0);
        }
        Ok(give(ssl.ex_data(key).map(|key: &Key| key.as_slice()), buffer))
    });
    let mut client = builder()?;
    client.set_psk_client_callback(move |ssl, _, identity, buffer| {
        if give(Some(IDENTITY), identity) == 0 {
            return Ok(0);
        }
        Ok(give(ssl.ex_data(key).map(|key: &Key| key.as_slice()), buffer))
    });
    Ok(Contexts {
        server: server.build(),
        client: client.build(),
        key,
    })
});

/// Copies the whole of `what`, or nothing: a key that does not fit is no key.
fn give(what: Option<&[u8]>, buffer: &mut [u8]) -> usize {
    let Some(what) = what else { return 0 };
    let Some(room) = buffer.get_mut(..what.len()) else {
        return 0;
    };
    room.copy_from_slice(what);
    what.len()
}

fn builder() -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::tls())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_ciphersuites(SUITES)?;
    builder.set_verify(SslVerifyMode::NONE);
    read_and_write_well(&mut builder);
    Ok(builder)
}

/// Sets how connections are read and written, with whatever key: a record with one system call, and no buffers for
/// those on which nothing moves.
pub(super) fn read_and_write_well(builder: &mut SslContextBuilder) {
    builder.set_mode(
        SslMode::AUTO_RETRY
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::RELEASE_BUFFERS,
    );
    builder.set_read_ahead(true);
}

fn contexts() -> Result<&'static Contexts, ErrorStack> {
    CONTEXTS.as_ref().map_err(Clone::clone)
}

/// A connection that has the key, not begun yet.
pub(in crate::net) fn prepare(side: Side, key: &[u8]) -> Result<Ssl, ErrorStack> {
    let contexts = contexts()?;
    let mut ssl = Ssl::new(match side {
        Side::Server => &contexts.server,
        Side::Client => &contexts.client,
    })?;
    ssl.set_ex_data(contexts.key, Zeroizing::new(key.to_vec()));
    Ok(ssl)
}

/// Whether the connection was to rest on a key.
pub(super) fn is_prepared(ssl: &SslRef) -> bool {
    contexts().is_ok_and(|contexts| ssl.ex_data(contexts.key).is_some())
}

/// Whether the connection rests on the key, in fact: in TLS 1.3 the library counts it as a session resumed, before
/// that the cipher tells.
pub(in crate::net) fn check(ssl: &SslRef) -> Result<(), TlsError> {
    let rests = match ssl.version2() {
        Some(SslVersion::TLS1_3) => ssl.session_reused(),
        _ => ssl
            .current_cipher()
            .is_some_and(|cipher| cipher.name().starts_with("PSK-")),
    };
    if rests { Ok(()) } else { Err(TlsError::NotPsk) }
}
