//! TLS with certificates: what is read from files, what is checked of a peer (Bacula `src/lib/tls.c`,
//! `src/lib/bnet.c`).

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslRef, SslVerifyMode, SslVersion};
use openssl::stack::Stack;
use openssl::x509::store::{X509Lookup, X509StoreBuilder};
use openssl::x509::{X509, X509Ref};

use zeroize::Zeroizing;

use super::{Side, TlsError};

/// Ciphers below TLS 1.3: Bacula's, without those that nobody should use any more.
const CIPHERS: &str = "ALL:!ADH:!LOW:!EXP:!MD5:!PSK:!aNULL:!eNULL:@STRENGTH";

/// Where certificates are, and what is expected of those of others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateFiles {
    /// The authorities that are trusted, in one file (PEM).
    pub ca_file: Option<PathBuf>,
    /// The authorities that are trusted, in a directory of files that are named by their hash (`openssl rehash`).
    pub ca_directory: Option<PathBuf>,
    /// Our certificate, and those between it and the authority (PEM).
    pub certificate: Option<PathBuf>,
    /// Its key (PEM, without a passphrase).
    pub key: Option<PathBuf>,
    /// Whether the other side has to show a certificate of a trusted authority.
    pub verify_peer: bool,
    /// The common names that are let in; any if there is none.
    pub allowed_common_names: Vec<String>,
    /// It ends with the login, and clear text follows at once: so nothing above TLS 1.2, where the server says more
    /// after the handshake, and no reading ahead.
    pub only_login: bool,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what} in PEM form{}", .path.display(), .found.as_ref().map(|found| format!(" ({found})")).unwrap_or_default())]
    NotPem {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What the library said.
        found: Option<String>,
    },
    /// The key is another certificate's.
    #[error("the key {} does not belong to the certificate {}", .key.display(), .certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The library could not be set up.
    #[error("TLS cannot be set up here: {0}")]
    Setup(#[from] ErrorStack),
}

/// Certificates, read and ready for both sides.
#[derive(Clone)]
pub struct CertificateContext {
    server: SslContext,
    client: SslContext,
    verify_peer: bool,
    allowed_common_names: Vec<String>,
    validity: Option<Validity>,
}

/// How long our own certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Not any more.
    Expired,
    /// Not yet.
    NotYet,
    /// For this many days.
    Days(i32),
}

impl fmt::Debug for CertificateContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateContext")
            .field("verify_peer", &self.verify_peer)
            .field("allowed_common_names", &self.allowed_common_names)
            .finish_non_exhaustive()
    }
}

impl CertificateContext {
    /// Reads the files, by means of `load`.
    ///
    /// # Errors
    /// When one of them cannot be used, the first one that it is.
    pub fn read(
        files: &CertificateFiles,
        load: impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, CertificateError> {
        let load = |path: &Path| {
            let loaded = load(path).map(Zeroizing::new);
            loaded.map_err(|source| CertificateError::Unreadable {
                path: path.to_owned(),
                source,
            })
        };
        let certificates = |path: &Path| certificates(path, &load(path)?);
        let authorities = files.ca_file.as_deref().map(&certificates).transpose()?;
        let chain = files.certificate.as_deref().map(&certificates).transpose()?;
        let key = files
            .key
            .as_deref()
            .map(|path| private_key(path, &load(path)?))
            .transpose()?;
        let own = chain.as_deref().and_then(<[X509]>::first);
        if let (Some(own), Some(key)) = (own, &key)
            && !own.public_key().is_ok_and(|public| public.public_eq(key))
        {
            return Err(CertificateError::Mismatch {
                key: files.key.clone().unwrap_or_default(),
                certificate: files.certificate.clone().unwrap_or_default(),
            });
        }
        let validity = own.map(validity).transpose()?;
        let build = |side| build(side, files, authorities.as_deref(), chain.as_deref(), key.as_ref());
        Ok(Self {
            server: build(Side::Server)?,
            client: build(Side::Client)?,
            verify_peer: files.verify_peer,
            allowed_common_names: files.allowed_common_names.clone(),
            validity,
        })
    }

    /// How long our own certificate is good, if there is one.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        self.validity
    }

    pub(in crate::net) fn prepare(&self, side: Side) -> Result<Ssl, ErrorStack> {
        Ssl::new(match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        })
    }

    /// Whether the peer is who it should be. That its certificate comes from a trusted authority has been checked in
    /// the handshake.
    pub(in crate::net) fn check(&self, side: Side, ssl: &SslRef, host: Option<&str>) -> Result<(), TlsError> {
        if !self.verify_peer {
            return Ok(());
        }
        let Some(certificate) = ssl.peer_certificate() else {
            return Err(TlsError::NoCertificate);
        };
        let common_names = common_names(&certificate);
        if !self.allowed_common_names.is_empty() {
            let allowed = |name: &String| {
                self.allowed_common_names
                    .iter()
                    .any(|one| one.eq_ignore_ascii_case(name))
            };
            if common_names.iter().any(allowed) {
                return Ok(());
            }
            return Err(TlsError::WrongName {
                found: listed(&common_names),
                expected: listed(&self.allowed_common_names),
            });
        }
        match (side, host) {
            (Side::Client, Some(host)) => check_host(&certificate, common_names, host),
            _ => Ok(()),
        }
    }
}

/// The certificate has to carry the name of the host that was dialled, among its alternative names or as its common
/// name. The loopback address is `localhost`, too.
fn check_host(certificate: &X509Ref, common_names: Vec<String>, host: &str) -> Result<(), TlsError> {
    let mut names = common_names;
    let mut addresses = Vec::new();
    for name in certificate.subject_alt_names().iter().flatten() {
        names.extend(name.dnsname().map(str::to_owned));
        addresses.extend(name.ipaddress().and_then(address));
    }
    let dialled: Option<IpAddr> = host.parse().ok();
    let local = dialled.is_some_and(|address| address.is_loopback());
    let fits = |name: &String| name_fits(name, host) || (local && name_fits(name, "localhost"));
    if names.iter().any(fits) || dialled.is_some_and(|address| addresses.contains(&address)) {
        return Ok(());
    }
    names.extend(addresses.iter().map(ToString::to_string));
    Err(TlsError::WrongName {
        found: listed(&names),
        expected: host.to_owned(),
    })
}

/// Whether the name in a certificate is the host's: the same without case, or with `*` for its first label.
fn name_fits(name: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    if let Some(domain) = name.strip_prefix("*.") {
        return host
            .split_once('.')
            .is_some_and(|(first, rest)| !first.is_empty() && rest.eq_ignore_ascii_case(domain));
    }
    name.eq_ignore_ascii_case(host)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn common_names(certificate: &X509Ref) -> Vec<String> {
    let entries = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    entries.filter_map(|entry| entry.data().to_string().ok()).collect()
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nobody".to_owned();
    }
    names.join(", ")
}

fn not_pem(path: &Path, what: &'static str, error: Option<&ErrorStack>) -> CertificateError {
    CertificateError::NotPem {
        path: path.to_owned(),
        what,
        found: error
            .and_then(|stack| stack.errors().last()?.reason())
            .map(str::to_owned),
    }
}

fn certificates(path: &Path, text: &[u8]) -> Result<Vec<X509>, CertificateError> {
    let found = X509::stack_from_pem(text).map_err(|error| not_pem(path, "certificate", Some(&error)))?;
    if found.is_empty() {
        return Err(not_pem(path, "certificate", None));
    }
    Ok(found)
}

fn private_key(path: &Path, text: &[u8]) -> Result<PKey<Private>, CertificateError> {
    // Without this the library would ask for a passphrase at the terminal.
    let key = PKey::private_key_from_pem_callback(text, |_| Ok(0));
    key.map_err(|error| not_pem(path, "private key without a passphrase", Some(&error)))
}

fn validity(certificate: &X509) -> Result<Validity, ErrorStack> {
    let now = Asn1Time::days_from_now(0)?;
    if certificate.not_before() > now.as_ref() {
        return Ok(Validity::NotYet);
    }
    if certificate.not_after() <= now.as_ref() {
        return Ok(Validity::Expired);
    }
    Ok(Validity::Days(now.diff(certificate.not_after())?.days))
}

fn build(
    side: Side,
    files: &CertificateFiles,
    authorities: Option<&[X509]>,
    chain: Option<&[X509]>,
    key: Option<&PKey<Private>>,
) -> Result<SslContext, CertificateError> {
    let mut builder = SslContextBuilder::new(SslMethod::tls())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    if files.only_login {
        builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    }
    builder.set_cipher_list(CIPHERS)?;
    super::psk::read_and_write_well(&mut builder);
    if files.only_login {
        builder.set_read_ahead(false);
    }
    builder.set_num_tickets(0)?;
    let mut store = X509StoreBuilder::new()?;
    let mut names = Stack::new()?;
    for authority in authorities.unwrap_or_default() {
        names.push(authority.subject_name().to_owned()?)?;
        store.add_cert(authority.clone())?;
    }
    if let Some(directory) = files.ca_directory.as_ref().and_then(|path| path.to_str()) {
        store
            .add_lookup(X509Lookup::hash_dir())?
            .add_dir(directory, SslFiletype::PEM)?;
    }
    builder.set_cert_store(store.build());
    if let Some((own, between)) = chain.and_then(<[X509]>::split_first) {
        builder.set_certificate(own)?;
        for certificate in between {
            builder.add_extra_chain_cert(certificate.clone())?;
        }
    }
    if let Some(key) = key {
        builder.set_private_key(key)?;
    }
    let mode = match side {
        _ if !files.verify_peer => SslVerifyMode::NONE,
        Side::Client => SslVerifyMode::PEER,
        Side::Server => {
            builder.set_client_ca_list(names);
            SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT
        }
    };
    builder.set_verify(mode);
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(name_fits("*.example.org", "sd1.example.org"));
        assert!(name_fits("SD1.example.org", "sd1.Example.org."));
        assert!(!name_fits("*.example.org", "example.org"));
        assert!(!name_fits("*.example.org", "a.b.example.org"));
        assert!(!name_fits("*.example.org", ".example.org"));
        assert!(!name_fits("example.org", "sd1.example.org"));
    }
}
