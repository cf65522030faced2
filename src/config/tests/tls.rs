//! What Bacula's directives for TLS mean here, and what is wrong with them.

use super::*;

#[test]
fn tls_means_what_baculas_directives_mean() {
    use crate::types::{Need, Needs};
    let needs = |lines: &str| {
        let text = SMALL.replacen("Password = \"hush\"", &format!("Password = \"hush\"\n{lines}"), 1);
        let Loaded { model, .. } = compiled(&text).unwrap_or_else(|problems| panic!("{}", problems[0]));
        assert_eq!(model.storages[0].tls, model::Tls::default());
        let tls = model.directors[0].tls.clone();
        (tls.needs, tls.only_login)
    };
    let psk = |psk| Needs {
        certificate: Need::None,
        psk,
    };
    assert_eq!(needs(""), (psk(Need::Possible), false));
    assert_eq!(needs("TlsRequire = true"), (psk(Need::Required), false));
    assert_eq!(needs("TlsPskEnable = false"), (psk(Need::None), false));
    assert_eq!(needs("TlsAuthenticate = true"), (psk(Need::Required), true));
    let both_off = changed(
        "Password = \"hush\"",
        "Password = \"hush\"\nTlsPskEnable = false\nTlsRequire = true",
    );
    assert!(
        both_off.contains("TlsRequire demands TLS, but TlsEnable and TlsPskEnable are both off"),
        "{both_off}"
    );
}

#[test]
fn what_is_wrong_with_certificates_is_told_at_its_line() {
    let told = |lines: &str| changed("Password = \"hush\"", &format!("Password = \"hush\"\n{lines}"));
    let all = told("TlsEnable = true");
    assert!(all.contains("TlsEnable needs authorities to trust"), "{all}");
    assert!(all.contains("TlsEnable needs a certificate to show"), "{all}");
    let unreadable =
        told("TlsEnable = true\nTlsCaCertificateFile = \"/nowhere/ca\"\nTlsCertificate = \"c\"\nTlsKey = \"k\"");
    assert!(
        unreadable.contains("error: cannot read /nowhere/ca: No such file"),
        "{unreadable}"
    );
    assert!(unreadable.contains("| TlsCaCertificateFile = "), "{unreadable}");
    let half = told("TlsEnable = true\nTlsCaCertificateFile = \"/nowhere/ca\"\nTlsCertificate = \"c\"");
    assert!(half.contains("TlsCertificate is of no use without its key"), "{half}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, "no certificate").unwrap();
    let lines = format!(
        "TlsEnable = true\nTlsVerifyPeer = false\nTlsCaCertificateFile = \"{}\"",
        path.display()
    );
    let garbage = changed("Password = \"hush4\"", &format!("Password = \"hush4\"\n{lines}"));
    assert!(garbage.contains("holds no certificate in PEM form"), "{garbage}");
    let idle = told("TlsKey = \"k\"");
    assert!(
        idle.contains("warning: this has no effect without TlsEnable = true"),
        "{idle}"
    );
    let wrong = told("TlsEnable = \"yes\"");
    assert!(
        wrong.contains("TlsEnable is a text") && wrong.contains("write true"),
        "{wrong}"
    );
}
