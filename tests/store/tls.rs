//! TLS with the database: what each `DbSslMode` takes, and what it turns away.

use std::path::PathBuf;

use crate::database::{PATIENCE, migrated_with, options};
use crate::lab::certificates::{Authority, Issued};
use sdgroup::config::model::{PostgreSql, SslMode};
use sdgroup::store::PostgresStore;

/// A server that shows this certificate.
fn configuration(own: &Issued) -> String {
    format!(
        "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
        own.certificate, own.key
    )
}

/// An error, or nothing.
async fn refused(options: &PostgreSql, mode: SslMode, authority: &Authority) -> Option<String> {
    let options = PostgreSql {
        ssl_mode: mode,
        ssl_ca: Some(PathBuf::from(&authority.file)),
        ..options.clone()
    };
    PostgresStore::connect(&options, PATIENCE)
        .await
        .err()
        .map(|error| error.to_string())
}

/// A folder that the server's user may pass through.
fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[tokio::test]
async fn a_certificate_is_believed_from_its_authority_and_for_its_host() {
    let folder = folder();
    let (trusted, other) = (
        Authority::new(folder.path(), "trusted"),
        Authority::new(folder.path(), "other"),
    );
    for (common_name, fits) in [("localhost", true), ("elsewhere.example.com", false)] {
        let machine = migrated_with(&configuration(&trusted.issue(common_name, 30))).await;
        let mut options = options(&[&machine]);
        // A certificate names a host, not an address.
        "localhost".clone_into(&mut options.hosts[0].host);
        assert_eq!(refused(&options, SslMode::Require, &other).await, None, "with whomever");
        assert_eq!(refused(&options, SslMode::VerifyCa, &trusted).await, None);
        let full = refused(&options, SslMode::VerifyFull, &trusted).await;
        assert_eq!(full.is_none(), fits, "{common_name}: {full:?}");
        for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
            let error = refused(&options, mode, &other).await.expect("nobody's authority");
            assert!(error.contains("certificate verify failed"), "{error}");
        }
    }
}

#[tokio::test]
async fn tls_that_is_wanted_is_not_left_out() {
    let folder = folder();
    let authority = Authority::new(folder.path(), "trusted");
    let machine = migrated_with("ssl = off\n").await;
    let options = options(&[&machine]);
    assert_eq!(refused(&options, SslMode::Prefer, &authority).await, None);
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let error = refused(&options, mode, &authority).await.expect("no TLS");
        assert!(error.contains("TLS"), "{error}");
    }
}
