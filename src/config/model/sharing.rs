//! What several sdgroups share, and how they find each other.

use std::path::PathBuf;

use crate::types::{PeerName, Secret};

/// What an sdgroup says of itself to the others with which it shares a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// What this one is called among them.
    pub name: PeerName,
    /// Where the others reach this one: host name or address.
    pub address: String,
    /// The port there, one at which it listens.
    pub port: u16,
    /// What all of them know.
    pub password: Secret,
}

/// A PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgreSql {
    /// Where it may be; at least one. The one that takes writes is used.
    pub hosts: Vec<DbHost>,
    /// The database.
    pub name: String,
    /// As whom to log in.
    pub user: String,
    /// The password, where the server wants one.
    pub password: Option<Secret>,
    /// TLS with the server.
    pub ssl_mode: SslMode,
    /// Whose certificates are believed, where they are verified.
    pub ssl_ca: Option<PathBuf>,
}

/// One of the machines that a database may be on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbHost {
    /// Host name, address, or the folder of a socket.
    pub host: String,
    /// The port; with a socket it is part of its name.
    pub port: u16,
}

/// TLS with a PostgreSQL server, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server can.
    #[default]
    Prefer,
    /// Always, with whomever.
    Require,
    /// Always, with a server whose certificate an authority has signed.
    VerifyCa,
    /// The same, and the certificate names the host.
    VerifyFull,
}

impl SslMode {
    /// Its word, which is libpq's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}
