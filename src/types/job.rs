//! What a job is: its number, kind, level and status, with the codes which Bacula's daemons use for them.

use std::fmt;

/// The Director's number of a job. 0 is a console's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct JobId(pub u32);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A code that this version does not know. It is passed on as it came.
            Other(u8),
        }

        impl $name {
            /// Every one that has a word of its own.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// From the ASCII code on the wire.
            #[must_use]
            pub fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The ASCII code on the wire.
            #[must_use]
            pub fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// From Bacula's letter or from its word, in any case, with or without blanks and underscores.
            #[must_use]
            pub fn from_word(text: &str) -> Option<Self> {
                let plain = |text: &str| text.replace(['_', ' '], "").to_ascii_lowercase();
                Self::ALL.iter().copied().find(|one| match text.as_bytes() {
                    [letter] => one.code() == *letter,
                    [] => one.code() == b' ',
                    _ => plain(one.as_str()) == plain(text),
                })
            }

            /// A word for logs, metrics and rules; one of a fixed set.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(_) => "other",
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

code! {
    /// `type=` of a job (Bacula `src/jcr.h`, `JT_*`).
    JobType {
        /// A backup; the writing half of a copy or migration, too.
        Backup = b'B', "backup";
        /// A verify job.
        Verify = b'V', "verify";
        /// A restore.
        Restore = b'R', "restore";
        /// The reading half of a copy.
        Copy = b'c', "copy";
        /// The reading half of a migration.
        Migrate = b'g', "migrate";
        /// A console's connection (`JobId=0`), for example a network test.
        Console = b'U', "console";
        /// The Director's own.
        Internal = b'I', "internal";
    }
}

impl JobType {
    /// A copy, as the catalog has it (`JT_JOB_COPY`). No Director announces one: its writing half is a
    /// [`JobType::Backup`].
    pub const JOB_COPY: Self = Self::Other(b'C');
}

code! {
    /// `level=` of a job (Bacula `src/jcr.h`, `L_*`).
    JobLevel {
        /// Full.
        Full = b'F', "full";
        /// Incremental.
        Incremental = b'I', "incremental";
        /// Differential.
        Differential = b'D', "differential";
        /// A full made of earlier jobs, read and written in one storage.
        VirtualFull = b'f', "virtual_full";
        /// Verify against the catalog.
        VerifyCatalog = b'C', "verify_catalog";
        /// Make the catalog's verify records.
        VerifyInit = b'V', "verify_init";
        /// Verify a volume against the catalog; reads the volume.
        VerifyVolumeToCatalog = b'O', "verify_volume_to_catalog";
        /// Verify the disk against the catalog.
        VerifyDiskToCatalog = b'd', "verify_disk_to_catalog";
        /// Verify the data on a volume; reads the volume.
        VerifyData = b'A', "verify_data";
        /// A job that has no level.
        None = b' ', "none";
    }
}

code! {
    /// A job's status (Bacula `src/jcr.h`, `JS_*`).
    JobStatus {
        /// Ended normally.
        Terminated = b'T', "terminated";
        /// Ended with warnings.
        Warnings = b'W', "warnings";
        /// Ended in error.
        ErrorTerminated = b'E', "error";
        /// Ended in a fatal error.
        FatalError = b'f', "fatal";
        /// Canceled by the operator.
        Canceled = b'A', "canceled";
        /// Stopped, can be resumed.
        Incomplete = b'I', "incomplete";
        /// Running.
        Running = b'R', "running";
        /// Waits for its Client.
        WaitClient = b'F', "wait_client";
        /// Waits for its storage.
        WaitStorage = b'S', "wait_storage";
        /// Waits for a volume to be mounted.
        WaitMount = b'M', "wait_mount";
        /// Waits for a volume to be made.
        WaitMedia = b'm', "wait_media";
    }
}

/// What tells the sessions on a volume apart, and one session's records from all others in the catalog (Bacula's
/// VolSessionId and VolSessionTime, which a storage announces as SDid and SDtime).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionIdentity {
    /// A number.
    pub id: u32,
    /// When the storage was started, in seconds since 1970.
    pub time: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_bacula_s_in_any_form() {
        for text in ["f", "virtual_full", "VirtualFull", "Virtual Full"] {
            assert_eq!(JobLevel::from_word(text), Some(JobLevel::VirtualFull), "{text}");
        }
        assert_eq!(JobLevel::from_word("F"), Some(JobLevel::Full));
        assert_eq!(JobLevel::from_word(""), Some(JobLevel::None));
        assert_eq!(JobType::from_word("Backup"), Some(JobType::Backup));
        assert_eq!(JobType::from_word("Backups"), None);
    }

    #[test]
    fn every_code_survives_the_round_trip() {
        for code in 0..=255 {
            assert_eq!(JobType::from_code(code).code(), code);
            assert_eq!(JobLevel::from_code(code).code(), code);
            assert_eq!(JobStatus::from_code(code).code(), code);
        }
    }
}
