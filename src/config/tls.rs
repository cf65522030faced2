//! The TLS keys, which mean what Bacula's directives of the same names mean. They are the same in three tables: a
//! `[[Director]]`'s are for its connections to sdgroup, a `[[Storage]]`'s for sdgroup's to it, those of `[Sdgroup]` for
//! data connections that sdgroup is one end of.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assemble::written;
use super::diagnostics::{Problems, Span};
use super::model::{Certificates, Tls};
use super::reader::{At, Reader, Table};
use super::value;
use crate::net::tls::{CertificateContext, CertificateError, CertificateFiles, Validity};
use crate::types::{Need, Needs};

/// The keys, for the schemas.
macro_rules! with_tls_keys {
    ($($key:literal),* $(,)?) => {
        &[
            $($key,)*
            "TlsEnable",
            "TlsRequire",
            "TlsPskEnable",
            "TlsVerifyPeer",
            "TlsCaCertificateFile",
            "TlsCaCertificateDir",
            "TlsCertificate",
            "TlsKey",
            "TlsAllowedCn",
            "TlsAuthenticate",
        ]
    };
}
pub(super) use with_tls_keys;

/// Far more than any file of certificates.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// "Others may read" in a file's mode.
const READ_BY_OTHERS: u32 = 0o004;
/// A certificate that ends within this many days is warned of.
const SOON_DAYS: i32 = 14;

/// What a table says of TLS.
#[derive(Debug, Default)]
pub(super) struct TlsTable {
    enable: Option<At<bool>>,
    require: Option<At<bool>>,
    psk_enable: Option<At<bool>>,
    verify_peer: Option<At<bool>>,
    ca_file: Option<At<PathBuf>>,
    ca_directory: Option<At<PathBuf>>,
    certificate: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
    allowed_cn: Option<At<Vec<String>>>,
    authenticate: Option<At<bool>>,
}

/// Who the other side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// One that calls us: we are the server, which must have a certificate.
    Caller,
    /// One that we call.
    Called,
}

pub(super) fn read(table: &Table<'_, '_>, reader: &mut Reader<'_, '_>) -> TlsTable {
    TlsTable {
        enable: table.optional("TlsEnable", value::flag, reader),
        require: table.optional("TlsRequire", value::flag, reader),
        psk_enable: table.optional("TlsPskEnable", value::flag, reader),
        verify_peer: table.optional("TlsVerifyPeer", value::flag, reader),
        ca_file: table.optional("TlsCaCertificateFile", value::path, reader),
        ca_directory: table.optional("TlsCaCertificateDir", value::path, reader),
        certificate: table.optional("TlsCertificate", value::path, reader),
        key: table.optional("TlsKey", value::path, reader),
        allowed_cn: table.optional("TlsAllowedCn", value::texts, reader),
        authenticate: table.optional("TlsAuthenticate", value::flag, reader),
    }
}

/// What it comes to. `file` is the configuration file, beside which relative paths begin. Problems leave the defaults.
pub(super) fn compile(table: &TlsTable, peer: Peer, file: &Path, problems: &mut Problems<'_>) -> Tls {
    let on = |at: &Option<At<bool>>, default| written(at.as_ref(), default);
    let (enable, psk) = (on(&table.enable, false), on(&table.psk_enable, true));
    let only_login = on(&table.authenticate, false);
    for (key, at) in [("TlsRequire", &table.require), ("TlsAuthenticate", &table.authenticate)] {
        if let Some(At { value: true, span }) = at
            && !enable
            && !psk
        {
            let text = format!("{key} demands TLS, but TlsEnable and TlsPskEnable are both off");
            problems.error(span, text, "switch one of them on");
        }
    }
    // TLS that ends with the login is not negotiated: a side that expects it must not do without.
    let wanted = if on(&table.require, false) || only_login {
        Need::Required
    } else {
        Need::Possible
    };
    let need = |on: bool| if on { wanted } else { Need::None };
    let certificates = if let Some(At { value: true, span }) = &table.enable {
        certificates(table, peer, span, file, problems)
    } else {
        idle(table, problems);
        None
    };
    Tls {
        needs: Needs {
            certificate: need(enable),
            psk: need(psk),
        },
        only_login,
        certificates: certificates.map(Arc::new),
    }
}

/// Files are named and nobody is going to use them.
fn idle(table: &TlsTable, problems: &mut Problems<'_>) {
    let files = [&table.ca_file, &table.ca_directory, &table.certificate, &table.key];
    if let Some(at) = files.into_iter().flatten().next() {
        problems.warning(&at.span, "this has no effect without TlsEnable = true", "");
    }
}

fn certificates(
    table: &TlsTable,
    peer: Peer,
    enable: &Span,
    file: &Path,
    problems: &mut Problems<'_>,
) -> Option<Certificates> {
    let beside = |at: &Option<At<PathBuf>>| {
        let path = &at.as_ref()?.value;
        Some(file.parent().unwrap_or(Path::new("")).join(path))
    };
    let files = CertificateFiles {
        ca_file: beside(&table.ca_file),
        ca_directory: beside(&table.ca_directory),
        certificate: beside(&table.certificate),
        key: beside(&table.key),
        verify_peer: written(table.verify_peer.as_ref(), true),
        allowed_common_names: written(table.allowed_cn.as_ref(), Vec::new()),
        only_login: written(table.authenticate.as_ref(), false),
    };
    if !is_complete(table, &files, peer, enable, problems) {
        return None;
    }
    if let Some((directory, at)) = files.ca_directory.as_ref().zip(table.ca_directory.as_ref())
        && let Err(error) = fs::read_dir(directory)
    {
        let text = format!("cannot read TlsCaCertificateDir {}: {error}", directory.display());
        problems.error(&at.span, text, "the user that sdgroup runs as must be able to read it");
        return None;
    }
    match CertificateContext::read(&files, load) {
        Ok(context) => {
            warn(table, &files, &context, problems);
            Some(Certificates { files, context })
        }
        Err(error) => {
            let span = place(table, &files, &error).unwrap_or(enable);
            let advice = match error {
                CertificateError::Unreadable { .. } => "the user that sdgroup runs as must be able to read it",
                CertificateError::NotPem { .. } => "name a file in PEM form (-----BEGIN ...)",
                CertificateError::Mismatch { .. } => "name the key that the certificate was made for",
                CertificateError::Setup(_) => "",
            };
            problems.error(span, error.to_string(), advice);
            None
        }
    }
}

/// Whether everything is there that the rest needs.
fn is_complete(
    table: &TlsTable,
    files: &CertificateFiles,
    peer: Peer,
    enable: &Span,
    problems: &mut Problems<'_>,
) -> bool {
    let mut complete = true;
    let mut lacks = |span: &Span, text: &str, advice: &str| {
        complete = false;
        problems.error(span, text, advice);
    };
    if files.verify_peer && files.ca_file.is_none() && files.ca_directory.is_none() {
        let advice =
            "add TlsCaCertificateFile or TlsCaCertificateDir: the authorities that peers' certificates come from";
        lacks(enable, "TlsEnable needs authorities to trust", advice);
    }
    match (&table.certificate, &table.key) {
        (Some(at), None) => lacks(&at.span, "TlsCertificate is of no use without its key", "add TlsKey"),
        (None, Some(at)) => lacks(
            &at.span,
            "TlsKey is of no use without its certificate",
            "add TlsCertificate",
        ),
        (None, None) if peer == Peer::Caller => {
            let text = "TlsEnable needs a certificate to show to those who call";
            lacks(enable, text, "add TlsCertificate and TlsKey");
        }
        _ => {}
    }
    complete
}

fn place<'t>(table: &'t TlsTable, files: &CertificateFiles, error: &CertificateError) -> Option<&'t Span> {
    let (CertificateError::Unreadable { path, .. } | CertificateError::NotPem { path, .. }) = error else {
        return table.key.as_ref().map(|at| &at.span);
    };
    let named = [
        (&files.ca_file, &table.ca_file),
        (&files.certificate, &table.certificate),
        (&files.key, &table.key),
    ];
    let (_, at) = named.into_iter().find(|(file, _)| file.as_ref() == Some(path))?;
    at.as_ref().map(|at| &at.span)
}

fn warn(table: &TlsTable, files: &CertificateFiles, context: &CertificateContext, problems: &mut Problems<'_>) {
    if let Some(at) = &table.certificate {
        let text = match context.validity() {
            Some(Validity::Expired) => "this certificate has expired: whoever checks it refuses it".to_owned(),
            Some(Validity::NotYet) => "this certificate is not good yet: whoever checks it refuses it".to_owned(),
            Some(Validity::Days(days)) if days < SOON_DAYS => format!("this certificate expires in {days} days"),
            _ => String::new(),
        };
        if !text.is_empty() {
            problems.warning(&at.span, text, "have it renewed");
        }
    }
    if let Some((path, at)) = files.key.as_ref().zip(table.key.as_ref())
        && fs::metadata(path).is_ok_and(|metadata| metadata.mode() & READ_BY_OTHERS != 0)
    {
        let text = format!("every user of this machine can read {}", path.display());
        problems.warning(&at.span, text, format!("chmod o-r {}", path.display()));
    }
    if let Some(At { value: false, span }) = &table.verify_peer {
        let text =
            "with TlsVerifyPeer off anybody's certificate is taken: the connection is encrypted, and that is all";
        problems.warning(
            span,
            text,
            "leave it on wherever peers' certificates come from an authority",
        );
    }
}

fn load(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
