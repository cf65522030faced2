use std::path::Path;

use bytes::Bytes;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslContextBuilder, SslMethod, SslVersion};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::certificate::Validity;
use super::*;
use crate::net::stream::Stream;

const KEY: &[u8] = b"17b0e77943e0f8025737818a726756ed";

fn read(files: &CertificateFiles) -> Result<CertificateContext, CertificateError> {
    CertificateContext::read(files, |path| std::fs::read(path))
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap());
    let (dialled, accepted) = tokio::join!(dialled, listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

async fn with_keys(client: &[u8], server: &[u8]) -> (Result<Stream, TlsError>, Result<Stream, TlsError>) {
    let (near, far) = pair().await;
    let (mut near, mut far) = (Stream::from(near), Stream::from(far));
    let client = async {
        let done = near.start_psk(Side::Client, client, Bytes::new()).await;
        done.map(|()| near)
    };
    let server = async {
        let done = far.start_psk(Side::Server, server, Bytes::new()).await;
        done.map(|()| far)
    };
    tokio::join!(client, server)
}

#[tokio::test]
async fn one_key_makes_a_connection_in_tls_and_bytes_pass_both_ways() {
    let (client, server) = with_keys(KEY, KEY).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    assert_eq!(client.tls_in_words().unwrap(), "TLSv1.3 TLS_AES_128_GCM_SHA256");
    let sent: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut got = vec![0; sent.len()];
    let (written, read) = tokio::join!(client.write_all(&sent), server.read_exact(&mut got));
    written.unwrap();
    read.unwrap();
    assert_eq!(got, sent);
    server.write_all(b"back").await.unwrap();
    server.shutdown().await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"back");
    assert!(
        client.into_tcp().is_err(),
        "the socket below cannot be had while it is in TLS"
    );
}

#[tokio::test]
async fn two_keys_make_none_and_both_sides_know_why() {
    let (client, server) = with_keys(KEY, b"ffffffffffffffffffffffffffffffff").await;
    assert_eq!(client.unwrap_err().label(), "tls_wrong_key");
    assert_eq!(server.unwrap_err().label(), "tls_wrong_key");
}

#[tokio::test]
async fn a_connection_goes_back_into_the_clear_without_a_word() {
    let (client, server) = with_keys(KEY, KEY).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    client.write_all(b"secret").await.unwrap();
    let mut got = [0; 6];
    server.read_exact(&mut got).await.unwrap();
    client.stop_tls();
    server.stop_tls();
    let (mut client, mut server) = (client.into_tcp().unwrap(), server.into_tcp().unwrap());
    server.write_all(b"open").await.unwrap();
    let mut got = [0; 4];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"open");
}

#[tokio::test]
async fn what_was_read_before_tls_began_is_the_beginning_of_it() {
    let (near, far) = pair().await;
    let (mut near, mut far) = (Stream::from(near), Stream::from(far));
    let server = async {
        let mut ahead = vec![0; 20];
        far.read_exact(&mut ahead).await.unwrap();
        far.start_psk(Side::Server, KEY, ahead.into()).await
    };
    let (client, server) = tokio::join!(near.start_psk(Side::Client, KEY, Bytes::new()), server);
    client.unwrap();
    server.unwrap();
}

/// A peer of another making, as old Bacula's are: only TLS 1.2, only its one cipher, an empty identity.
fn old_peer(server: bool) -> Ssl {
    let mut builder = SslContextBuilder::new(SslMethod::tls()).unwrap();
    builder.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    builder.set_cipher_list("PSK-AES256-CBC-SHA").unwrap();
    if server {
        builder.set_psk_server_callback(|_, _, buffer| {
            buffer[..KEY.len()].copy_from_slice(KEY);
            Ok(KEY.len())
        });
    } else {
        builder.set_psk_client_callback(|_, _, identity, buffer| {
            identity[0] = 0;
            buffer[..KEY.len()].copy_from_slice(KEY);
            Ok(KEY.len())
        });
    }
    Ssl::new(&builder.build()).unwrap()
}

#[tokio::test]
async fn an_old_client_and_an_old_server_get_tls_1_2() {
    let (near, far) = pair().await;
    let mut client = tokio_openssl::SslStream::new(old_peer(false), near).unwrap();
    let mut far = Stream::from(far);
    let (old, ours) = tokio::join!(
        std::pin::Pin::new(&mut client).connect(),
        far.start_psk(Side::Server, KEY, Bytes::new())
    );
    old.unwrap();
    ours.unwrap();
    assert_eq!(far.tls_in_words().unwrap(), "TLSv1.2 PSK-AES256-CBC-SHA");

    let (near, far) = pair().await;
    let mut near = Stream::from(near);
    let mut server = tokio_openssl::SslStream::new(old_peer(true), far).unwrap();
    let (ours, old) = tokio::join!(
        near.start_psk(Side::Client, KEY, Bytes::new()),
        std::pin::Pin::new(&mut server).accept()
    );
    old.unwrap();
    ours.unwrap();
    assert_eq!(near.tls_in_words().unwrap(), "TLSv1.2 PSK-AES256-CBC-SHA");
}

#[tokio::test]
async fn a_server_that_has_a_certificate_instead_of_the_key_is_found_out() {
    let authority = Authority::new("ca");
    let (certificate, key) = authority.issue("localhost", "localhost", 30);
    let mut builder = SslContextBuilder::new(SslMethod::tls()).unwrap();
    builder.set_certificate(&certificate).unwrap();
    builder.set_private_key(&key).unwrap();
    let ssl = Ssl::new(&builder.build()).unwrap();
    let (near, far) = pair().await;
    let mut near = Stream::from(near);
    let mut server = tokio_openssl::SslStream::new(ssl, far).unwrap();
    let (ours, _) = tokio::join!(
        near.start_psk(Side::Client, KEY, Bytes::new()),
        std::pin::Pin::new(&mut server).accept()
    );
    assert!(
        matches!(ours, Err(TlsError::NotPsk | TlsError::Failed { .. })),
        "{ours:?}"
    );
    assert!(!near.is_tls());
}

#[tokio::test]
async fn whoever_speaks_no_tls_or_leaves_is_told_apart() {
    let (near, mut far) = pair().await;
    far.write_all(b"1999 Authorization failed.\n").await.unwrap();
    let error = Stream::from(near)
        .start_psk(Side::Client, KEY, Bytes::new())
        .await
        .unwrap_err();
    assert_eq!(error.label(), "tls_failed");
    let (near, far) = pair().await;
    drop(far);
    let error = Stream::from(near)
        .start_psk(Side::Client, KEY, Bytes::new())
        .await
        .unwrap_err();
    assert_eq!(error.label(), "tls_closed", "{error}");
}

struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn begin(common_name: &str, key: &PKey<Private>, days: i64) -> X509Builder {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, openssl::bn::MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    let now = Asn1Time::days_from_now(0).unwrap();
    let now = now.diff(&Asn1Time::from_unix(0).unwrap()).unwrap();
    let now = -(i64::from(now.days) * 86_400 + i64::from(now.secs));
    let at = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
    builder.set_not_before(&at(-100)).unwrap();
    builder.set_not_after(&at(days)).unwrap();
    builder
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = new_key();
        let mut builder = begin(name, &key, 365);
        let constraints = BasicConstraints::new().critical().ca().build().unwrap();
        builder.append_extension(constraints).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self {
            certificate: builder.build(),
            key,
        }
    }

    fn issue(&self, common_name: &str, host: &str, days: i64) -> (X509, PKey<Private>) {
        let key = new_key();
        let mut builder = begin(common_name, &key, days);
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        if !host.is_empty() {
            let mut names = SubjectAlternativeName::new();
            match host.parse::<std::net::IpAddr>() {
                Ok(_) => names.ip(host),
                Err(_) => names.dns(host),
            };
            let names = names
                .build(&builder.x509v3_context(Some(&self.certificate), None))
                .unwrap();
            builder.append_extension(names).unwrap();
        }
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        (builder.build(), key)
    }

    /// Files of a side that trusts this authority and has a certificate of `issuer`'s.
    fn files(&self, folder: &Path, issuer: &Self, names: (&str, &str), days: i64) -> CertificateFiles {
        let (certificate, key) = issuer.issue(names.0, names.1, days);
        let unique = certificate
            .serial_number()
            .to_bn()
            .unwrap()
            .to_hex_str()
            .unwrap()
            .to_string();
        let write = |name: &str, bytes: Vec<u8>| {
            let path = folder.join(format!("{unique}-{name}"));
            std::fs::write(&path, bytes).unwrap();
            Some(path)
        };
        CertificateFiles {
            ca_file: write("ca.pem", self.certificate.to_pem().unwrap()),
            certificate: write("certificate.pem", certificate.to_pem().unwrap()),
            key: write("key.pem", key.private_key_to_pem_pkcs8().unwrap()),
            verify_peer: true,
            ..CertificateFiles::default()
        }
    }
}

async fn meet(
    client: &CertificateFiles,
    server: &CertificateFiles,
    host: &str,
) -> (Result<(), TlsError>, Result<(), TlsError>) {
    let (near, far) = pair().await;
    let (mut near, mut far) = (Stream::from(near), Stream::from(far));
    let (client, server) = (read(client).unwrap(), read(server).unwrap());
    let near = async move {
        near.start_certificates(Side::Client, &client, Some(host), Bytes::new())
            .await?;
        // In TLS 1.3 the client is done before the server has judged its certificate.
        near.write_all(b"x").await.unwrap();
        let mut back = [0];
        match near.read(&mut back).await {
            Ok(1) => Ok(()),
            other => Err(TlsError::Failed {
                found: format!("{other:?}"),
            }),
        }
    };
    let far = async move {
        far.start_certificates(Side::Server, &server, None, Bytes::new())
            .await?;
        far.write_all(b"y").await.unwrap();
        Ok(())
    };
    tokio::join!(near, far)
}

#[tokio::test]
async fn certificates_of_one_authority_make_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ca");
    let client = authority.files(folder.path(), &authority, ("dir", ""), 30);
    for (names, host) in [
        (("sd", "localhost"), "localhost"),
        (("sd", "localhost"), "127.0.0.1"),
        (("sd", "192.0.2.7"), "192.0.2.7"),
        (("sd1.example.org", ""), "SD1.example.org"),
    ] {
        let server = authority.files(folder.path(), &authority, names, 30);
        let (near, far) = meet(&client, &server, host).await;
        assert!(near.is_ok() && far.is_ok(), "{names:?} {host}: {near:?} {far:?}");
    }
}

#[tokio::test]
async fn a_failure_says_what_is_wrong_with_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, strange) = (Authority::new("ca"), Authority::new("another ca"));
    let client = ours.files(folder.path(), &ours, ("dir", ""), 30);
    for (issuer, names, days, expected) in [
        (
            &strange,
            ("sd", "localhost"),
            30,
            "unable to get local issuer certificate",
        ),
        (&ours, ("sd", "localhost"), -1, "certificate has expired"),
        (
            &ours,
            ("sd", "elsewhere.example"),
            30,
            "the peer's certificate is for sd, elsewhere.example, expected was localhost",
        ),
    ] {
        let server = ours.files(folder.path(), issuer, names, days);
        let (near, far) = meet(&client, &server, "localhost").await;
        let error = near.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(days > 0 && issuer.certificate == ours.certificate || far.is_err());
    }
    // The other way round: what the server does not like about the client's.
    let server = ours.files(folder.path(), &ours, ("sd", "localhost"), 30);
    let client = ours.files(folder.path(), &strange, ("dir", ""), 30);
    let (_, far) = meet(&client, &server, "localhost").await;
    let error = far.unwrap_err().to_string();
    assert!(error.contains("unable to get local issuer certificate"), "{error}");
    let nobody = CertificateFiles {
        certificate: None,
        key: None,
        ..client
    };
    let (_, far) = meet(&nobody, &server, "localhost").await;
    assert!(matches!(far, Err(TlsError::NoCertificate)), "{far:?}");
}

#[tokio::test]
async fn only_allowed_common_names_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ca");
    let mut server = authority.files(folder.path(), &authority, ("sd", "localhost"), 30);
    server.allowed_common_names = vec!["Dir".to_owned(), "other".to_owned()];
    let client = authority.files(folder.path(), &authority, ("dir", ""), 30);
    let (near, far) = meet(&client, &server, "localhost").await;
    assert!(near.is_ok() && far.is_ok(), "{near:?} {far:?}");
    let client = authority.files(folder.path(), &authority, ("mallory", ""), 30);
    let (_, far) = meet(&client, &server, "localhost").await;
    let error = far.unwrap_err().to_string();
    assert_eq!(error, "the peer's certificate is for mallory, expected was Dir, other");
}

#[test]
fn files_that_cannot_be_used_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ca");
    let files = authority.files(folder.path(), &authority, ("sd", "localhost"), 30);
    let other = authority.files(folder.path(), &authority, ("sd", "localhost"), 30);
    let told = |files: CertificateFiles| read(&files).unwrap_err().to_string();
    assert!(
        told(CertificateFiles {
            key: other.key,
            ..files.clone()
        })
        .contains("does not belong to the certificate")
    );
    assert!(
        told(CertificateFiles {
            ca_file: Some("/nowhere".into()),
            ..files.clone()
        })
        .contains("cannot read /nowhere")
    );
    assert!(
        told(CertificateFiles {
            certificate: files.key.clone(),
            ..files.clone()
        })
        .contains("holds no certificate")
    );
    let locked = folder.path().join("locked.pem");
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    std::fs::write(
        &locked,
        new_key().private_key_to_pem_pkcs8_passphrase(cipher, b"hush").unwrap(),
    )
    .unwrap();
    assert!(
        told(CertificateFiles {
            key: Some(locked),
            ..files.clone()
        })
        .contains("without a passphrase")
    );
    let days = |days| {
        let files = authority.files(folder.path(), &authority, ("sd", "localhost"), days);
        read(&files).unwrap().validity()
    };
    assert_eq!(days(-1), Some(Validity::Expired));
    assert!(matches!(days(30), Some(Validity::Days(29..=30))));
}
