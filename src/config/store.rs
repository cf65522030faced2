//! `[Store]`: the PostgreSQL database that several sdgroups share. Its keys are those of Bacula's Catalog resource.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::assemble::written;
use super::diagnostics::{Problems, Span};
use super::file::password;
use super::model::{self, DbHost, PostgreSql, SslMode};
use super::reader::{At, Fault, Reader, Schema, Table};
use super::secret_source::{Resolver, SecretSource};
use super::value;

pub(super) const STORE: Schema = Schema {
    header: "[Store]",
    keys: &[
        "DbAddress",
        "DbPort",
        "DbName",
        "DbUser",
        "Password",
        "PasswordFile",
        "PasswordCredential",
        "DbSslMode",
        "DbSslCa",
    ],
};

/// libpq's words for it.
const SSL_MODES: &[(&str, SslMode)] = &[
    (SslMode::Disable.as_str(), SslMode::Disable),
    (SslMode::Prefer.as_str(), SslMode::Prefer),
    (SslMode::Require.as_str(), SslMode::Require),
    (SslMode::VerifyCa.as_str(), SslMode::VerifyCa),
    (SslMode::VerifyFull.as_str(), SslMode::VerifyFull),
];

/// What the table says.
#[derive(Debug)]
pub(super) struct StoreTable {
    span: Span,
    addresses: Option<At<Vec<At<String>>>>,
    port: Option<At<u16>>,
    name: Option<At<String>>,
    user: Option<At<String>>,
    password: Option<At<SecretSource>>,
    ssl_mode: Option<At<SslMode>>,
    ssl_ca: Option<At<PathBuf>>,
}

pub(super) fn read(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> StoreTable {
    StoreTable {
        span: table.span().clone(),
        addresses: table.required_list("DbAddress", address, reader),
        port: table.optional("DbPort", value::port, reader),
        name: table.optional("DbName", value::text, reader),
        user: table.optional("DbUser", value::text, reader),
        password: password(table, reader),
        ssl_mode: table.optional("DbSslMode", value::one_of(SSL_MODES), reader),
        ssl_ca: table.optional("DbSslCa", value::path, reader),
    }
}

/// A host, perhaps with a port, or the folder of a socket.
fn address(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = value::text(value)?;
    parse(&text, 0).map(|_| text).ok_or_else(|| {
        let advice = "write it like db1.example.com, db1.example.com:5433, [2001:db8::1]:5433 or /var/run/postgresql";
        Fault::new("is no address", advice)
    })
}

fn parse(text: &str, default_port: u16) -> Option<DbHost> {
    let is_host = |host: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        !host.is_empty() && host.chars().all(allowed)
    };
    let (host, port) = if text.starts_with('/') || text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        host.parse::<Ipv6Addr>().ok()?;
        (
            host,
            if rest.is_empty() {
                None
            } else {
                Some(rest.strip_prefix(':')?)
            },
        )
    } else {
        let (host, port) = text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port)));
        if !is_host(host) {
            return None;
        }
        (host, port)
    };
    let port = match port {
        None => default_port,
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
    };
    Some(DbHost {
        host: host.to_owned(),
        port,
    })
}

/// What it comes to.
pub(super) fn compile(
    table: Option<&StoreTable>,
    resolver: &mut Resolver<'_>,
    problems: &mut Problems<'_>,
) -> Option<PostgreSql> {
    let table = table?;
    let port = written(table.port.as_ref(), model::DEFAULT_DB_PORT);
    let addresses = table.addresses.as_ref()?;
    if addresses.value.is_empty() {
        let advice = "name the hosts of the database, the standby's too, or leave [Store] out";
        problems.error(&addresses.span, "DbAddress is an empty list", advice);
    }
    let ssl_mode = written(table.ssl_mode.as_ref(), SslMode::default());
    let ssl_ca = table.ssl_ca.as_ref().map(|at| beside(resolver.file, &at.value));
    check_ca(table, ssl_mode, ssl_ca.as_deref(), problems);
    Some(PostgreSql {
        hosts: addresses.value.iter().filter_map(|at| parse(&at.value, port)).collect(),
        name: written(table.name.as_ref(), model::DEFAULT_DB_NAME.to_owned()),
        user: written(table.user.as_ref(), model::DEFAULT_DB_USER.to_owned()),
        password: table
            .password
            .as_ref()
            .and_then(|source| resolver.resolve(source, problems)),
        ssl_mode,
        ssl_ca,
    })
}

fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

fn check_ca(table: &StoreTable, mode: SslMode, ca: Option<&Path>, problems: &mut Problems<'_>) {
    let verifies = matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull);
    match (&table.ssl_ca, ca) {
        (Some(at), Some(path)) => {
            if !verifies {
                let text = "DbSslCa has no effect unless DbSslMode is \"verify-ca\" or \"verify-full\"";
                problems.warning(&at.span, text, "set DbSslMode");
            }
            let certificates = std::fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|pem| openssl::x509::X509::stack_from_pem(&pem).map_err(|error| error.to_string()));
            match certificates {
                Ok(certificates) if !certificates.is_empty() => {}
                Ok(_) => problems.error(
                    &at.span,
                    format!("{} holds no certificate", path.display()),
                    "name the file of the authority's certificates, in PEM",
                ),
                Err(error) => problems.error(
                    &at.span,
                    format!("cannot read DbSslCa {}: {error}", path.display()),
                    "the user that sdgroup runs as must be able to read it; it holds certificates in PEM",
                ),
            }
        }
        _ if verifies => {
            let span = table.ssl_mode.as_ref().map_or(&table.span, |at| &at.span);
            let text = "DbSslMode verifies the server's certificate, but DbSslCa is missing";
            problems.error(span, text, "add DbSslCa, the authority that has signed it");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_perhaps_with_a_port_or_a_folder() {
        for (text, host, port) in [
            ("db1", "db1", 5432),
            ("db1.example.com:5433", "db1.example.com", 5433),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("::1", "::1", 5432),
            ("[::1]", "::1", 5432),
            ("[::1]:7", "::1", 7),
            ("/var/run/postgresql", "/var/run/postgresql", 5432),
        ] {
            let expected = DbHost {
                host: host.to_owned(),
                port,
            };
            assert_eq!(parse(text, 5432), Some(expected), "{text}");
        }
        for wrong in [
            "", "db1:", "db1:0", "db1:x", "db 1", "[::1", "[::1]7", "db1,db2", "host=db1",
        ] {
            assert_eq!(parse(wrong, 5432), None, "{wrong}");
        }
    }
}
