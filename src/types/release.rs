//! The releases of Bacula that differ on the wire, and the numbers by which their daemons tell.
//!
//! The numbers are not ordered by age: a Client of 9.6 says 214, one of 15.0 says 15.

use std::fmt;

/// A family of releases that speak alike between Director and storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Release {
    /// 9.6.
    V9,
    /// 13.0.
    V13,
    /// 15.0.
    V15,
}

/// How much a job's message matters, as far as we write some ourselves (Bacula `src/lib/message.h`, `M_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The job cannot go on.
    Fatal,
    /// Something failed; the job goes on.
    Error,
    /// Something is odd.
    Warning,
    /// For the record.
    Info,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V9 => "9.6",
            Self::V13 => "13.0",
            Self::V15 => "15.0",
        })
    }
}

impl Release {
    /// The release of a storage, by the number in its `3000 OK Hello`; `None` for one that no release we know says.
    #[must_use]
    pub fn from_storage(version: u32) -> Option<Self> {
        match version {
            // 305 was 7.4 to 9.4; what they say in a job is what 9.6 says.
            305 | 306 => Some(Self::V9),
            30007 => Some(Self::V13),
            30008 => Some(Self::V15),
            _ => None,
        }
    }

    /// The release of a Director, by the number in its Hello. 13.0 and 15.0 say the same number: `V15` stands for
    /// both, and the number of the storages behind us decides between them.
    #[must_use]
    pub fn from_director(version: u32) -> Option<Self> {
        match version {
            103 => Some(Self::V9),
            10002 => Some(Self::V15),
            _ => None,
        }
    }

    /// Whether a Director of this release and a storage with this number understand each other in a job. The number
    /// of a Director does not tell 13 from 15.
    #[must_use]
    pub fn agrees_with(self, storage_version: u32) -> bool {
        match (self, Self::from_storage(storage_version)) {
            (_, None) => false,
            (Self::V9, Some(storage)) => storage == Self::V9,
            (Self::V13 | Self::V15, Some(storage)) => storage != Self::V9,
        }
    }

    /// What a storage of this release says of itself after a login.
    #[must_use]
    pub fn storage_version(self) -> u32 {
        match self {
            Self::V9 => 306,
            Self::V13 => 30007,
            Self::V15 => 30008,
        }
    }

    /// What the storages say whose control connections understand this release's.
    #[must_use]
    pub fn storage_versions(self) -> &'static [u32] {
        match self {
            Self::V9 => &[305, 306],
            Self::V13 => &[30007],
            Self::V15 => &[30008],
        }
    }

    /// What a Director of this release says in its Hello.
    #[must_use]
    pub fn director_version(self) -> u32 {
        match self {
            Self::V9 => 103,
            Self::V13 | Self::V15 => 10002,
        }
    }

    /// What a Client of this release says in its Hello.
    #[must_use]
    pub fn client_version(self) -> u32 {
        match self {
            Self::V9 => 214,
            Self::V13 => 14,
            Self::V15 => 15,
        }
    }

    /// The `type=` of a job's message. In 13.0 a new type was put in front of these, so each is one higher.
    #[must_use]
    pub fn message_type(self, severity: Severity) -> u32 {
        let number = match severity {
            Severity::Fatal => 3,
            Severity::Error => 4,
            Severity::Warning => 5,
            Severity::Info => 6,
        };
        match self {
            Self::V9 => number,
            Self::V13 | Self::V15 => number + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_knows_its_own_numbers() {
        for release in [Release::V9, Release::V13, Release::V15] {
            assert_eq!(Release::from_storage(release.storage_version()), Some(release));
            for version in release.storage_versions() {
                assert_eq!(Release::from_storage(*version), Some(release));
            }
        }
        assert_eq!(Release::from_director(103), Some(Release::V9));
        assert_eq!(Release::from_director(10002), Some(Release::V15));
        assert_eq!(Release::from_director(0), None);
        assert_eq!(Release::from_storage(3), None);
        assert_eq!(Release::V9.message_type(Severity::Info), 6);
        assert_eq!(Release::V15.message_type(Severity::Fatal), 4);
    }
}
