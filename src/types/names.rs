//! Names of Bacula's resources and records, one type per kind, cheap to clone.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest name that Bacula's daemons accept, in bytes (`MAX_NAME_LENGTH` less the terminating NUL).
pub const MAX_NAME_BYTES: usize = 127;

/// Why a text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("the name is empty")]
    Empty,
    /// The text has more than [`MAX_NAME_BYTES`] bytes.
    #[error("the name is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// The text holds a control character, which no daemon could send.
    #[error("the name holds a control character")]
    Control,
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes `text` as a name.
            ///
            /// # Errors
            /// When it is empty, longer than [`MAX_NAME_BYTES`] or holds a control character.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(Arc::from(text)))
            }

            /// The name as text, blanks as blanks.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// A Director's name, as it gives it in its Hello. Storages compare it without case.
    DirectorName
}
name! {
    /// The name of one real storage (Storage Daemon) in sdgroup's configuration.
    StorageName
}
name! {
    /// The name of a group of storages.
    GroupName
}
name! {
    /// The name of a Device or Autochanger resource.
    DeviceName
}
name! {
    /// A Volume's name. One namespace for all storages behind one sdgroup.
    VolumeName
}
name! {
    /// A media type.
    MediaType
}
name! {
    /// A Pool's name.
    PoolName
}
name! {
    /// A Client's (File Daemon's) name.
    ClientName
}
name! {
    /// The name of one sdgroup among those that share a store.
    PeerName
}
name! {
    /// A FileSet's name.
    FileSetName
}
name! {
    /// The unique name of one run of a job (`Job=`, for example `Nightly.2026-11-23_00.20.37_03`): unique for one
    /// Director, compared byte by byte.
    JobName
}
name! {
    /// The name of the Job resource (`job_name=`), the same for every run.
    JobResourceName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_length_and_no_control_characters() {
        assert_eq!(StorageName::new(""), Err(NameError::Empty));
        assert_eq!(StorageName::new(&"x".repeat(128)), Err(NameError::TooLong));
        assert_eq!(StorageName::new("a\nb"), Err(NameError::Control));
        assert_eq!(StorageName::new("My Storage").unwrap().as_str(), "My Storage");
    }
}
