//! Where passwords come from: the configuration itself, a file, or a systemd credential.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::diagnostics::{Problems, Span};
use super::reader::At;
use crate::types::Secret;

/// No password is longer; a file that is has been named by mistake.
const MAX_SECRET_BYTES: u64 = 4_096;
/// "Others may read" in a file's mode.
const READ_BY_OTHERS: u32 = 0o004;
/// Where systemd puts the credentials of a unit (systemd.exec(5)).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where a password is, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretSource {
    /// `Password`, `AdminToken`: it stands there.
    Inline(Secret),
    /// `PasswordFile`: it is what the file holds; a relative path begins at the configuration file's directory.
    File(PathBuf),
    /// `PasswordCredential`: it is what systemd handed to the unit under this name.
    Credential(String),
}

/// What a file or credential holds.
pub struct SecretBytes {
    /// The content as it is.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Whether every user of the machine can read it.
    pub exposed: bool,
}

/// Why there is no such credential.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The process was not started with credentials at all.
    #[error("$CREDENTIALS_DIRECTORY is not set: this process was not started by systemd with credentials")]
    NotStartedWithCredentials,
    /// The same, and it does not matter, since nobody is going to log in.
    #[error("the credential was not looked at: only the service itself gets it from systemd")]
    NotLookedAt,
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Unreadable(#[from] io::Error),
}

/// How the compiler of the configuration gets at what is outside of the text.
pub trait SecretReader {
    /// The content of a file.
    fn file(&self, path: &Path) -> io::Result<SecretBytes>;

    /// The content of a systemd credential.
    fn credential(&self, name: &str) -> Result<SecretBytes, CredentialError>;

    /// Whether every user of the machine can read `path`, which is the configuration file.
    fn is_exposed(&self, path: &Path) -> bool;
}

/// The secrets of this machine.
#[derive(Debug, Clone)]
pub struct MachineSecrets {
    credentials: Option<PathBuf>,
    only_checking: bool,
}

impl MachineSecrets {
    /// For a process that is going to use them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            credentials: std::env::var_os(CREDENTIALS_DIRECTORY).map(PathBuf::from),
            only_checking: false,
        }
    }

    /// For a process that only checks: an operator at a terminal has no credentials, and that is no error.
    #[must_use]
    pub fn only_checking() -> Self {
        Self {
            only_checking: true,
            ..Self::new()
        }
    }
}

impl Default for MachineSecrets {
    fn default() -> Self {
        Self::new()
    }
}

impl SecretReader for MachineSecrets {
    fn file(&self, path: &Path) -> io::Result<SecretBytes> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(SecretBytes {
            bytes,
            exposed: metadata.mode() & READ_BY_OTHERS != 0,
        })
    }

    fn credential(&self, name: &str) -> Result<SecretBytes, CredentialError> {
        match &self.credentials {
            // Its directory is closed to others, whatever the mode of the file.
            Some(directory) => Ok(SecretBytes {
                exposed: false,
                ..self.file(&directory.join(name))?
            }),
            None if self.only_checking => Err(CredentialError::NotLookedAt),
            None => Err(CredentialError::NotStartedWithCredentials),
        }
    }

    fn is_exposed(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & READ_BY_OTHERS != 0)
    }
}

/// Turns sources into secrets, and what is wrong with them into problems.
pub(super) struct Resolver<'r> {
    /// The configuration file.
    pub(super) file: &'r Path,
    /// How to get at files and credentials.
    pub(super) secrets: &'r dyn SecretReader,
    /// Whether the configuration file's own exposure was told: once is enough.
    pub(super) told_exposed: bool,
}

impl Resolver<'_> {
    /// The secret; `None` when there is none, which is then among the problems.
    pub(super) fn resolve(&mut self, source: &At<SecretSource>, problems: &mut Problems<'_>) -> Option<Secret> {
        self.resolve_as("Password", source, problems)
    }

    /// The same of a secret that is written as `key`.
    pub(super) fn resolve_as(
        &mut self,
        key: &str,
        source: &At<SecretSource>,
        problems: &mut Problems<'_>,
    ) -> Option<Secret> {
        let span = &source.span;
        match &source.value {
            SecretSource::Inline(secret) => {
                if !self.told_exposed && self.secrets.is_exposed(self.file) {
                    self.told_exposed = true;
                    let text = "this file holds passwords and every user of this machine can read it";
                    let file = self.file.display();
                    problems.warning(
                        span,
                        text,
                        format!("chmod o-r {file}, or use {key}File or {key}Credential"),
                    );
                }
                Some(secret.clone())
            }
            SecretSource::File(path) => {
                let path = self.file.parent().unwrap_or(Path::new("")).join(path);
                match self.secrets.file(&path) {
                    Ok(content) => {
                        if content.exposed {
                            let text = format!("every user of this machine can read {}", path.display());
                            problems.warning(span, text, format!("chmod o-r {}", path.display()));
                        }
                        accept(&content.bytes, &format!("{key}File"), span, problems)
                    }
                    Err(error) => {
                        let text = format!("cannot read {key}File {}: {error}", path.display());
                        problems.error(span, text, "the user that sdgroup runs as must be able to read it");
                        None
                    }
                }
            }
            SecretSource::Credential(name) => self.credential(key, name, span, problems),
        }
    }

    fn credential(&self, key: &str, name: &str, span: &Span, problems: &mut Problems<'_>) -> Option<Secret> {
        if name.contains('/') || name == "." || name == ".." {
            let advice = "write the name that LoadCredential= gives it in the unit, not a path";
            problems.error(span, format!("{key}Credential is no credential's name"), advice);
            return None;
        }
        match self.secrets.credential(name) {
            Ok(content) => accept(&content.bytes, &format!("{key}Credential"), span, problems),
            Err(error @ CredentialError::NotLookedAt) => {
                problems.warning(span, format!("{key}Credential {name}: {error}"), "");
                Some(Secret::stand_in())
            }
            Err(error) => {
                let advice = format!("add LoadCredential={name}:/path/to/the/file to the unit, or use {key}File");
                problems.error(span, format!("{key}Credential {name}: {error}"), advice);
                None
            }
        }
    }
}

/// The content of a file as a password: one line, without its end.
fn accept(bytes: &[u8], key: &str, span: &Span, problems: &mut Problems<'_>) -> Option<Secret> {
    let too_long = u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_SECRET_BYTES);
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let fault = match std::str::from_utf8(line) {
        _ if too_long => "is longer than any password",
        Err(_) => "holds bytes that are not UTF-8",
        Ok("") => "is empty",
        Ok(text) if text.contains(char::is_control) => "holds more than one line, or control characters",
        Ok(text) => return Some(Secret::new(text.to_owned())),
    };
    problems.error(
        span,
        format!("what {key} names {fault}"),
        "it must hold the secret and nothing else, on one line",
    );
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::diagnostics::Source;
    use super::*;

    fn resolve(source: SecretSource, secrets: &MachineSecrets, file: &Path) -> (Option<Secret>, String) {
        let mut problems = Problems::new(Source::new(file, "Password = 1", Vec::new()));
        let mut resolver = Resolver {
            file,
            secrets,
            told_exposed: false,
        };
        let secret = resolver.resolve(
            &At {
                value: source,
                span: 0..8,
            },
            &mut problems,
        );
        (secret, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    fn from_file(content: &[u8], mode: u32) -> (Option<Secret>, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let source = SecretSource::File("password".into());
        resolve(source, &MachineSecrets::new(), &directory.path().join("sdgroup.toml"))
    }

    #[test]
    fn a_file_is_read_beside_the_configuration_and_loses_its_line_end() {
        for content in [&b"hunter2"[..], b"hunter2\n", b"hunter2\r\n"] {
            let (secret, problems) = from_file(content, 0o640);
            assert_eq!(secret, Some(Secret::new("hunter2".into())));
            assert_eq!(problems, "");
        }
        assert_eq!(
            from_file(b" hunter2 \n", 0o600).0,
            Some(Secret::new(" hunter2 ".into()))
        );
    }

    #[test]
    fn a_file_that_everybody_can_read_is_warned_of() {
        let (secret, problems) = from_file(b"hunter2", 0o644);
        assert!(secret.is_some());
        assert!(
            problems.starts_with("warning: every user of this machine can read "),
            "{problems}"
        );
        assert!(!problems.contains("hunter2"));
    }

    #[test]
    fn what_is_no_password_is_refused_without_being_shown() {
        let long = vec![b'x'; 5_000];
        for (content, why) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"hunter2\nhunter3\n", "more than one line"),
            (b"hunter\xff", "not UTF-8"),
            (&long, "longer than any password"),
        ] {
            let (secret, problems) = from_file(content, 0o600);
            assert_eq!(secret, None);
            assert!(problems.contains(why) && !problems.contains("hunter"), "{problems}");
        }
    }

    #[test]
    fn a_missing_file_says_which() {
        let (secret, problems) = resolve(
            SecretSource::File("/nowhere/x".into()),
            &MachineSecrets::new(),
            Path::new("/etc/a.toml"),
        );
        assert_eq!(secret, None);
        assert!(
            problems.contains("cannot read PasswordFile /nowhere/x: No such file"),
            "{problems}"
        );
    }

    #[test]
    fn a_credential_comes_from_systemd_or_is_left_to_the_service() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("lab"), "hunter2\n").unwrap();
        let file = Path::new("/etc/a.toml");
        let secrets = |credentials: Option<&Path>, only_checking| MachineSecrets {
            credentials: credentials.map(Path::to_owned),
            only_checking,
        };
        let lab = || SecretSource::Credential("lab".into());
        let (secret, problems) = resolve(lab(), &secrets(Some(directory.path()), false), file);
        assert_eq!((secret, problems.as_str()), (Some(Secret::new("hunter2".into())), ""));
        let (secret, problems) = resolve(lab(), &secrets(None, false), file);
        assert!(
            secret.is_none() && problems.contains("error: PasswordCredential lab: $CREDENTIALS_DIRECTORY is not set")
        );
        let (secret, problems) = resolve(lab(), &secrets(None, true), file);
        assert!(
            secret.is_some_and(|secret| secret.is_stand_in())
                && problems.contains("warning: PasswordCredential lab: the credential was not looked at")
        );
        let climb = SecretSource::Credential("../lab".into());
        let (secret, problems) = resolve(climb, &secrets(Some(directory.path()), false), file);
        assert!(
            secret.is_none() && problems.contains("is no credential's name"),
            "{problems}"
        );
    }
}
