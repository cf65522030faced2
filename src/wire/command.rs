//! What a Director sends to a storage: which command a line is, and what it names (Bacula `src/stored/dircmd.c`).

use std::fmt;

use super::line::{LineError, LineWriter, Scanner, escape, field, name, number, shown, with_field};
use super::verb::{CloudVerb, DeviceVerb, Verb};
use crate::types::{DeviceName, JobName, MediaType, NameError, PoolName, VolumeName};

/// A command, with what it names.
#[derive(Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// `JobId=`; see [`JobCommand`](super::job::JobCommand).
    Job(&'a [u8]),
    /// `use storage=`; see [`UseStorage`](super::reserve::UseStorage). Devices follow, and two EODs.
    UseStorage(&'a [u8]),
    /// `bootstrap`. Lines follow, and an EOD.
    Bootstrap,
    /// `run`: the job's dialogue begins.
    Run,
    /// `storage address=`: call another storage (copy, migration).
    Storage(StorageAddress<'a>),
    /// `client address=`: call a Client (`SDCallsClient`).
    Client(ClientAddress<'a>),
    /// `sendprogress` (15.0). There is no reply.
    SendProgress,
    /// `cancel Job=`.
    Cancel {
        /// The job.
        job: JobName,
    },
    /// `stop Job=`.
    Stop {
        /// The job.
        job: JobName,
    },
    /// `label`.
    Label {
        /// Where.
        place: Place,
        /// The new volume.
        volume: VolumeName,
        /// `PoolName`.
        pool: PoolName,
        /// `MediaType`.
        media_type: MediaType,
    },
    /// `relabel`; also how a purged volume is truncated (with both names the same).
    Relabel {
        /// Where.
        place: Place,
        /// `OldName`.
        old: VolumeName,
        /// `NewName`.
        new: VolumeName,
        /// `PoolName`.
        pool: PoolName,
        /// `MediaType`.
        media_type: MediaType,
    },
    /// `readlabel`.
    ReadLabel(Place),
    /// `mount`, `unmount`, `release`, `enable`, `disable`.
    Device {
        /// Which of them.
        verb: DeviceVerb,
        /// Where.
        place: Place,
    },
    /// `autochanger`.
    Autochanger {
        /// `list`, `listall`, `slots` or `drives`.
        action: &'a [u8],
        /// The changer.
        device: DeviceName,
    },
    /// `truncate cache`, `upload`.
    Cloud {
        /// Which of them.
        verb: CloudVerb,
        /// `Storage`: a device.
        device: DeviceName,
        /// `Volume`.
        volume: VolumeName,
        /// `PoolName`.
        pool: PoolName,
        /// `MediaType`.
        media_type: MediaType,
    },
    /// `cloudlist`.
    CloudList {
        /// `Storage`: a device.
        device: DeviceName,
        /// `Volume`; without one all are listed.
        volume: Option<VolumeName>,
        /// `MediaType`.
        media_type: MediaType,
    },
    /// `prunecache`, which no storage does.
    PruneCache,
    /// `volumeprotect` (15.0). One message is the reply, without EOD.
    VolumeProtect {
        /// `device`.
        device: DeviceName,
        /// `volume`.
        volume: VolumeName,
        /// `mediatype`.
        media_type: MediaType,
    },
    /// `setdebug=`. One message is the reply, without EOD.
    SetDebug(&'a [u8]),
    /// `status`.
    Status,
    /// `.status`.
    DotStatus {
        /// What is wanted; a word without case. Empty if there is none.
        what: &'a [u8],
        /// `device`.
        device: Option<DeviceName>,
        /// The whole line, for `api=` and others.
        line: &'a [u8],
    },
    /// `statistics`.
    Statistics(&'a [u8]),
    /// `store_mngr` (15.0): free space is asked for.
    FreeSpace(&'a [u8]),
    /// `.die`, which only a developer's storage does.
    Die,
    /// Not a command. It must not be passed on: a storage repeats it through a format string.
    Unknown(&'a [u8]),
}

/// A device, its drive and slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The Device or Autochanger.
    pub device: DeviceName,
    /// `drive`; 0 without one.
    pub drive: i32,
    /// `slot` or `Slot`; 0 without one.
    pub slot: i32,
}

/// Where a storage is told to call.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageAddress<'a> {
    /// Host name or address.
    pub address: &'a [u8],
    /// 0: the connection that an earlier `client address=` made.
    pub port: u16,
    /// The job that waits there.
    pub job: JobName,
    /// The whole line, with the key in it.
    pub line: &'a [u8],
}

/// Which Client a storage is told to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress<'a> {
    /// Host name or address.
    pub address: &'a [u8],
    /// Where it listens for Directors.
    pub port: u16,
}

impl fmt::Debug for StorageAddress<'_> {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageAddress({:?})", shown(self.line))
    }
}

impl fmt::Debug for Command<'_> {
    /// Which command it is: the line of some has a key in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", self.label())
    }
}

impl<'a> Command<'a> {
    /// Reads a command. A line that is none is [`Command::Unknown`].
    ///
    /// # Errors
    /// When it begins like a command and lacks what that command names.
    pub fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        Ok(match Verb::of(line) {
            Verb::Job => Self::Job(line),
            Verb::UseStorage => Self::UseStorage(line),
            Verb::Bootstrap => Self::Bootstrap,
            Verb::Run => Self::Run,
            Verb::Storage => Self::Storage(StorageAddress::parse(line)?),
            Verb::Client => Self::Client(ClientAddress::parse(line)?),
            Verb::SendProgress => Self::SendProgress,
            Verb::Cancel => Self::Cancel {
                job: named(line, "Job", JobName::new)?,
            },
            Verb::Stop => Self::Stop {
                job: named(line, "Job", JobName::new)?,
            },
            Verb::Label => Self::Label {
                place: Place::parse(line)?,
                volume: named(line, "VolumeName", VolumeName::new)?,
                pool: named(line, "PoolName", PoolName::new)?,
                media_type: named(line, "MediaType", MediaType::new)?,
            },
            Verb::Relabel => Self::Relabel {
                place: Place::parse(line)?,
                old: named(line, "OldName", VolumeName::new)?,
                new: named(line, "NewName", VolumeName::new)?,
                pool: named(line, "PoolName", PoolName::new)?,
                media_type: named(line, "MediaType", MediaType::new)?,
            },
            Verb::ReadLabel => Self::ReadLabel(Place::parse(line)?),
            Verb::Device(verb) => Self::Device {
                verb,
                place: Place::parse(line)?,
            },
            Verb::Autochanger => Self::Autochanger {
                action: word(line, 1),
                device: name(word(line, 2), DeviceName::new)?,
            },
            Verb::Cloud(verb) => Self::Cloud {
                verb,
                device: named(line, "Storage", DeviceName::new)?,
                volume: named(line, "Volume", VolumeName::new)?,
                pool: named(line, "PoolName", PoolName::new)?,
                media_type: named(line, "MediaType", MediaType::new)?,
            },
            Verb::CloudList => Self::CloudList {
                device: named(line, "Storage", DeviceName::new)?,
                volume: optional(line, "Volume", VolumeName::new)?,
                media_type: named(line, "MediaType", MediaType::new)?,
            },
            Verb::PruneCache => Self::PruneCache,
            Verb::VolumeProtect => Self::VolumeProtect {
                device: named(line, "device", DeviceName::new)?,
                volume: named(line, "volume", VolumeName::new)?,
                media_type: named(line, "mediatype", MediaType::new)?,
            },
            Verb::SetDebug => Self::SetDebug(line),
            Verb::Status => Self::Status,
            Verb::DotStatus => Self::DotStatus {
                what: word(line, 1),
                device: optional(line, "device", DeviceName::new)?,
                line,
            },
            Verb::Statistics => Self::Statistics(line),
            Verb::FreeSpace => Self::FreeSpace(line),
            Verb::Die => Self::Die,
            Verb::Unknown => Self::Unknown(line),
        })
    }

    /// Which command it is.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Job(_) => Verb::Job,
            Self::UseStorage(_) => Verb::UseStorage,
            Self::Bootstrap => Verb::Bootstrap,
            Self::Run => Verb::Run,
            Self::Storage(_) => Verb::Storage,
            Self::Client(_) => Verb::Client,
            Self::SendProgress => Verb::SendProgress,
            Self::Cancel { .. } => Verb::Cancel,
            Self::Stop { .. } => Verb::Stop,
            Self::Label { .. } => Verb::Label,
            Self::Relabel { .. } => Verb::Relabel,
            Self::ReadLabel(_) => Verb::ReadLabel,
            Self::Device { verb, .. } => Verb::Device(*verb),
            Self::Autochanger { .. } => Verb::Autochanger,
            Self::Cloud { verb, .. } => Verb::Cloud(*verb),
            Self::CloudList { .. } => Verb::CloudList,
            Self::PruneCache => Verb::PruneCache,
            Self::VolumeProtect { .. } => Verb::VolumeProtect,
            Self::SetDebug(_) => Verb::SetDebug,
            Self::Status => Verb::Status,
            Self::DotStatus { .. } => Verb::DotStatus,
            Self::Statistics(_) => Verb::Statistics,
            Self::FreeSpace(_) => Verb::FreeSpace,
            Self::Die => Verb::Die,
            Self::Unknown(_) => Verb::Unknown,
        }
    }

    /// A word for logs and metrics; one of a fixed set.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.verb().label()
    }

    /// The device that it names.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceName> {
        match self {
            Self::Label { place, .. }
            | Self::Relabel { place, .. }
            | Self::ReadLabel(place)
            | Self::Device { place, .. } => Some(&place.device),
            Self::Autochanger { device, .. }
            | Self::Cloud { device, .. }
            | Self::CloudList { device, .. }
            | Self::VolumeProtect { device, .. } => Some(device),
            Self::DotStatus { device, .. } => device.as_ref(),
            _ => None,
        }
    }

    /// The media type that it names.
    #[must_use]
    pub fn media_type(&self) -> Option<&MediaType> {
        match self {
            Self::Label { media_type, .. }
            | Self::Relabel { media_type, .. }
            | Self::Cloud { media_type, .. }
            | Self::CloudList { media_type, .. }
            | Self::VolumeProtect { media_type, .. } => Some(media_type),
            _ => None,
        }
    }

    /// The volume that it names and that exists before it: not the new one of a `label`.
    #[must_use]
    pub fn volume(&self) -> Option<&VolumeName> {
        match self {
            Self::Relabel { old, .. } => Some(old),
            Self::Cloud { volume, .. } | Self::VolumeProtect { volume, .. } => Some(volume),
            Self::CloudList { volume, .. } => volume.as_ref(),
            _ => None,
        }
    }
}

impl Place {
    fn parse(line: &[u8]) -> Result<Self, LineError> {
        let count = |keys: [&str; 2]| match keys.iter().find_map(|key| field(line, key)) {
            Some(word) => number(word),
            None => Ok(0),
        };
        Ok(Self {
            device: name(word(line, 1), DeviceName::new)?,
            drive: count(["drive", "Drive"])?,
            slot: count(["slot", "Slot"])?,
        })
    }
}

impl<'a> StorageAddress<'a> {
    /// Reads the command.
    ///
    /// # Errors
    /// When a field is missing or is not what it should be.
    pub fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        let mut s = Scanner::new(line);
        let address = s.literal("storage address=")?.word();
        let port = s.literal(" port=")?.number()?;
        Ok(Self {
            address,
            port,
            job: named(line, "Job", JobName::new)?,
            line,
        })
    }
}

impl<'a> ClientAddress<'a> {
    /// Reads the command. Its `ssl=` says nothing that anybody goes by.
    ///
    /// # Errors
    /// When a field is missing or is not what it should be.
    pub fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        let mut s = Scanner::new(line);
        let address = s.literal("client address=")?.word();
        let port = s.literal(" port=")?.number()?;
        Ok(Self { address, port })
    }
}

/// `line`, a command that names a device, with another device and, where it has a media type, another of those. `None`
/// when the command names no device.
#[must_use]
pub fn with_device(line: &[u8], device: &DeviceName, media_type: Option<&MediaType>) -> Option<Vec<u8>> {
    let device = escape(device.as_str().as_bytes());
    let renamed = match Verb::of(line) {
        Verb::Label | Verb::Relabel | Verb::ReadLabel | Verb::Device(_) => with_word(line, 1, &device)?,
        Verb::Autochanger => with_word(line, 2, &device)?,
        Verb::Cloud(_) | Verb::CloudList => with_field(line, "Storage", &device)?,
        Verb::VolumeProtect | Verb::DotStatus => with_field(line, "device", &device)?,
        _ => return None,
    };
    let Some(media_type) = media_type else {
        return Some(renamed);
    };
    let media_type = escape(media_type.as_str().as_bytes());
    let retyped = ["MediaType", "mediatype"]
        .iter()
        .find_map(|key| with_field(&renamed, key, &media_type));
    Some(retyped.unwrap_or(renamed))
}

/// The word number `at` of `line`, counted from 0; empty when there are fewer.
fn word(line: &[u8], at: usize) -> &[u8] {
    let mut scanner = Scanner::new(line);
    for _ in 0..at {
        scanner.word();
        scanner.accepts(" ");
    }
    scanner.word()
}

fn with_word(line: &[u8], at: usize, value: &[u8]) -> Option<Vec<u8>> {
    let mut scanner = Scanner::new(line);
    for _ in 0..at {
        scanner.word();
        scanner.accepts(" ");
    }
    let before = line.get(..line.len().checked_sub(scanner.rest().len())?)?;
    if scanner.word().is_empty() {
        return None;
    }
    Some(LineWriter::new().raw(before).raw(value).raw(scanner.rest()).finish())
}

fn named<T>(line: &[u8], key: &'static str, make: impl FnOnce(&str) -> Result<T, NameError>) -> Result<T, LineError> {
    let word = field(line, key).ok_or_else(|| LineError::Expected {
        expected: key,
        found: shown(line),
    })?;
    name(word, make)
}

fn optional<T>(
    line: &[u8],
    key: &'static str,
    make: impl FnOnce(&str) -> Result<T, NameError>,
) -> Result<Option<T>, LineError> {
    field(line, key)
        .filter(|word| !word.is_empty())
        .map(|word| name(word, make))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn label(line: &str) -> &'static str {
        Command::parse(line.as_bytes()).unwrap().label()
    }

    #[test]
    fn every_command_is_known() {
        for (line, expected) in [
            ("JobId=1 job=J\n", "job"),
            ("use storage=File4 media_type=File4\n", "use_storage"),
            ("bootstrap\n", "bootstrap"),
            ("run", "run"),
            (
                "storage address=127.0.0.1 port=9103 ssl=0 Job=J.1 Authentication=K\n",
                "storage",
            ),
            ("client address=127.0.0.1 port=9102 ssl=0\n", "client"),
            ("sendprogress\n", "sendprogress"),
            ("cancel Job=J.1\n", "cancel"),
            ("stop Job=J.1\n", "stop"),
            ("label Dev VolumeName=V PoolName=P MediaType=M Slot=0 drive=0", "label"),
            (
                "relabel Dev OldName=V NewName=W PoolName=P MediaType=M Slot=0 drive=0",
                "relabel",
            ),
            ("readlabel Dev Slot=1 drive=0\n", "readlabel"),
            ("mount Dev drive=0 slot=1\n", "mount"),
            ("unmount Dev drive=0 slot=1\n", "unmount"),
            ("release Dev drive=0 slot=1\n", "release"),
            ("enable Dev drive=0 slot=1\n", "enable"),
            ("disable Dev drive=0 slot=1\n", "disable"),
            ("autochanger list Dev \n", "autochanger"),
            (
                "truncate cache Storage=D Volume=V PoolName=P MediaType=M Slot=0 drive=0 CacheRetention=0\n",
                "truncate",
            ),
            (
                "upload Storage=D Volume=V PoolName=P MediaType=M Slot=0 drive=0 CacheRetention=0\n",
                "upload",
            ),
            ("cloudlist Storage=D Volume= MediaType=M Slot=0 drive=0\n", "cloudlist"),
            ("prunecache\n", "prunecache"),
            (
                "volumeprotect mediatype=M device=D volume=V drive=0 retention=1\n",
                "volumeprotect",
            ),
            ("setdebug=1 trace=0 hangup=0 blowup=0 options= tags=\n", "setdebug"),
            ("status", "status"),
            (".status header api=2 api_opts=o", "dot_status"),
            ("statistics all format=x\n", "statistics"),
            ("store_mngr query\n", "store_mngr"),
            (".die\n", "die"),
            ("GET / HTTP/1.1\r\n", "unknown"),
            ("use device=X\n", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(label(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_command_says_what_it_names() {
        let Command::Label {
            place,
            volume,
            pool,
            media_type,
        } = Command::parse(b"label My\x01Dev VolumeName=V\x011 PoolName=P MediaType=M Slot=3 drive=-1").unwrap()
        else {
            panic!("not a label");
        };
        assert_eq!((place.device.as_str(), place.drive, place.slot), ("My Dev", -1, 3));
        assert_eq!((volume.as_str(), pool.as_str(), media_type.as_str()), ("V 1", "P", "M"));
        let Command::DotStatus { what, device, .. } = Command::parse(b".status devices api=2 device=Dev").unwrap()
        else {
            panic!("not a status");
        };
        assert_eq!((what, device.unwrap().as_str()), (&b"devices"[..], "Dev"));
        assert_eq!(
            Command::parse(b"cancel Job=J.1\n").unwrap(),
            Command::Cancel {
                job: JobName::new("J.1").unwrap()
            }
        );
    }

    #[test]
    fn what_lacks_its_names_is_an_error() {
        for line in [
            "cancel\n",
            "mount\n",
            "mount \n",
            "label Dev VolumeName=V",
            "autochanger list\n",
            "storage\n",
        ] {
            assert!(Command::parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let command = Command::parse(b"storage address=h port=1 ssl=0 Job=J.1 Authentication=HABA\n").unwrap();
        let Command::Storage(address) = &command else {
            panic!("not a storage's address")
        };
        assert!(!format!("{command:?} {address:?}").contains("HABA"));
    }

    #[test]
    fn a_device_is_renamed_wherever_it_stands() {
        let device = DeviceName::new("New Dev").unwrap();
        let media_type = MediaType::new("T").unwrap();
        for (line, expected) in [
            ("mount Dev drive=0 slot=1\n", Some("mount New\x01Dev drive=0 slot=1\n")),
            (
                "label Dev VolumeName=V MediaType=M drive=0",
                Some("label New\x01Dev VolumeName=V MediaType=T drive=0"),
            ),
            ("autochanger list Dev \n", Some("autochanger list New\x01Dev \n")),
            (
                "cloudlist Storage=D Volume= MediaType=M\n",
                Some("cloudlist Storage=New\x01Dev Volume= MediaType=T\n"),
            ),
            (
                "volumeprotect mediatype=M device=D\n",
                Some("volumeprotect mediatype=T device=New\x01Dev\n"),
            ),
            (".status devices device=Dev", Some(".status devices device=New\x01Dev")),
            (".status header", None),
            ("status", None),
            ("mount", None),
        ] {
            let renamed = with_device(line.as_bytes(), &device, Some(&media_type));
            assert_eq!(
                renamed.map(|line| String::from_utf8(line).unwrap()).as_deref(),
                expected,
                "{line:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_may_follow_a_command(verb in proptest::sample::select(Verb::all().filter(|verb| *verb != Verb::Unknown).collect::<Vec<_>>()), rest in proptest::collection::vec(any::<u8>(), 0..80)) {
            let line = [verb.prefix(), &rest].concat();
            prop_assert_ne!(Command::parse(&line).map_or("malformed", |command| command.label()), "unknown");
            let device = DeviceName::new("Dev").unwrap();
            if let Some(renamed) = with_device(&line, &device, None) {
                prop_assert_eq!(Verb::of(&renamed), Verb::of(&line));
            }
        }
    }
}
