//! Certificates for labs: an authority, and what it has issued, as files.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::BasicConstraints;
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder, X509NameRef};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// One that issues certificates.
pub(crate) struct Authority {
    certificate: X509,
    key: PKey<Private>,
    folder: PathBuf,
    /// Its own certificate.
    pub(crate) file: String,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

fn named(common_name: &str) -> X509Name {
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)
        .expect("a common name");
    name.build()
}

fn begin(common_name: &str, issuer: &X509NameRef, key: &PKey<Private>, days: i64) -> X509Builder {
    let mut builder = X509::builder().expect("a certificate");
    let mut serial = BigNum::new().expect("a number");
    serial.rand(64, MsbOption::MAYBE_ZERO, false).expect("a random number");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let now = i64::try_from(now).expect("a time");
    let at = |days: i64| Asn1Time::from_unix(now + days * DAY).expect("a time");
    builder.set_version(2).expect("version 3");
    builder
        .set_serial_number(&serial.to_asn1_integer().expect("a serial number"))
        .expect("a serial number");
    builder.set_subject_name(&named(common_name)).expect("a subject");
    builder.set_issuer_name(issuer).expect("an issuer");
    builder.set_pubkey(key).expect("a key");
    builder.set_not_before(&at(-100)).expect("a beginning");
    builder.set_not_after(&at(days)).expect("an end");
    builder
}

fn new_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key")
}

fn write(path: &Path, bytes: &[u8]) -> String {
    fs::write(path, bytes).expect("a file of the certificates");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode: it may be a key");
    path.display().to_string()
}

impl Authority {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join("certificates");
        fs::create_dir_all(&folder).expect("the certificates' folder");
        let key = new_key();
        let mut builder = begin(name, &named(name), &key, 365);
        let constraints = BasicConstraints::new().critical().ca().build().expect("an extension");
        builder.append_extension(constraints).expect("an extension");
        builder.sign(&key, MessageDigest::sha256()).expect("a signature");
        let certificate = builder.build();
        let file = write(&folder.join(format!("{name}.pem")), &certificate.to_pem().expect("PEM"));
        Self {
            certificate,
            key,
            folder,
            file,
        }
    }

    /// A certificate for `common_name` that is good for `days` more, or has not been for as many.
    pub(crate) fn issue(&self, common_name: &str, days: i64) -> Issued {
        let key = new_key();
        let mut builder = begin(common_name, self.certificate.subject_name(), &key, days);
        builder.sign(&self.key, MessageDigest::sha256()).expect("a signature");
        let certificate = builder.build();
        let serial = certificate.serial_number().to_bn().expect("a number");
        let name = serial.to_hex_str().expect("a number").to_string();
        let path = |what: &str| self.folder.join(format!("{name}.{what}"));
        Issued {
            certificate: write(&path("pem"), &certificate.to_pem().expect("PEM")),
            key: write(&path("key"), &key.private_key_to_pem_pkcs8().expect("PEM")),
        }
    }

    /// Bacula's directives for a side that trusts this authority and shows `own`.
    pub(crate) fn directives(&self, own: &Issued) -> Vec<(&'static str, String)> {
        vec![
            ("TLS Enable", "yes".to_owned()),
            ("TLS Require", "yes".to_owned()),
            ("TLS CA Certificate File", format!("{:?}", self.file)),
            ("TLS Certificate", format!("{:?}", own.certificate)),
            ("TLS Key", format!("{:?}", own.key)),
        ]
    }

    /// The same for a table of sdgroup's.
    pub(crate) fn lines(&self, own: &Issued) -> String {
        format!(
            "TlsEnable = true\nTlsRequire = true\nTlsCaCertificateFile = {:?}\nTlsCertificate = {:?}\nTlsKey = {:?}\n",
            self.file, own.certificate, own.key
        )
    }
}
