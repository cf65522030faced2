//! The command line, with the real binary: what it prints, where, and the exit code.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const GOOD: &str = r#"
[[Listen]]
Group = "Files"
[[Director]]
Name = "lab-dir"
Password = "hunter2"
[[Storage]]
Name = "File4"
Address = "192.0.2.4"
Password = "hunter2"
[[Storage]]
Name = "File5"
Address = "192.0.2.5"
Password = "hunter2"
[[Group]]
Name = "Files"
Storages = ["File4", "File5"]
"#;

/// A directory with a configuration in it, whose state is kept there too.
struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    fn new(text: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;

        let site = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let state = format!("[Sdgroup]\nStateDirectory = \"{}\"\n", site.directory.path().display());
        std::fs::write(site.config(), state + text).unwrap();
        std::fs::set_permissions(site.config(), PermissionsExt::from_mode(0o640)).unwrap();
        site
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("sdgroup.toml")
    }

    fn sdgroup(&self, words: &[&str]) -> Ran {
        sdgroup(&[words, &["-c", self.config().to_str().unwrap()]].concat())
    }
}

#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn sdgroup(words: &[&str]) -> Ran {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_sdgroup"))
        .args(words)
        .env_remove("CREDENTIALS_DIRECTORY")
        .output()
        .unwrap();
    Ran {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

#[test]
fn a_good_configuration_is_ok() {
    let site = Site::new(GOOD);
    for words in [&["check"][..], &["-t"]] {
        let ran = site.sdgroup(words);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        let shown = site.config().display().to_string();
        assert_eq!(
            ran.out,
            format!("{shown}: ok: 1 listener, 1 Director, 2 storages, 1 group\n")
        );
    }
    let ran = sdgroup(&["-c", site.config().to_str().unwrap(), "check"]);
    assert_eq!(ran.code, 0);
}

#[test]
fn warnings_are_told_and_do_not_fail() {
    let site = Site::new(&GOOD.replace("\"File4\", \"File5\"", "\"File4\""));
    let ran = site.sdgroup(&["check"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.err.starts_with("warning: the storage \"File5\" is in no group\n"),
        "{ran:?}"
    );
    assert!(ran.out.ends_with("2 storages, 1 group, 1 warning\n"), "{ran:?}");
}

#[test]
fn a_credential_is_left_to_the_service_when_checking_and_missed_when_running() {
    let site = Site::new(&GOOD.replacen("Password = \"hunter2\"", "PasswordCredential = \"lab\"", 1));
    let ran = site.sdgroup(&["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("warning: PasswordCredential lab"), "{ran:?}");
    let ran = site.sdgroup(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err
            .contains("error: PasswordCredential lab: $CREDENTIALS_DIRECTORY is not set"),
        "{ran:?}"
    );
}

#[test]
fn a_bad_configuration_fails_with_every_problem() {
    let bad = GOOD
        .replacen("Address", "Adress", 1)
        .replacen("[\"File4\"", "[\"Fiel4\"", 1);
    let site = Site::new(&bad);
    for words in [&["check"][..], &["-t"], &["run"]] {
        let ran = site.sdgroup(words);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        assert!(ran.err.contains("unknown key Adress in [[Storage]]"), "{ran:?}");
        assert!(ran.err.contains("there is no [[Storage]] \"Fiel4\""), "{ran:?}");
        assert!(
            ran.err.ends_with("sdgroup.toml cannot be used: 2 errors, 1 warning\n"),
            "{ran:?}"
        );
        assert!(!ran.err.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn a_missing_configuration_fails() {
    let ran = sdgroup(&["check", "-c", "/nowhere/sdgroup.toml"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err
            .contains("cannot read the configuration: No such file or directory"),
        "{ran:?}"
    );
}

#[test]
fn what_cannot_be_understood_is_2() {
    for words in [&[][..], &["chekc"], &["-t", "check"], &["check", "-x"], &["-c", "x"]] {
        assert_eq!(sdgroup(words).code, 2, "{words:?}");
    }
    assert_eq!(
        sdgroup(&["--version"]).out,
        concat!("sdgroup ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_example_passes() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/sdgroup.toml");
    let ran = sdgroup(&["check", "-c", example.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
}
