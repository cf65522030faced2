//! Which command a Director's line is. The table is searched in order and by prefix, as a storage does (Bacula
//! `src/stored/dircmd.c`).

/// Which command a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `JobId=`.
    Job,
    /// `autochanger`.
    Autochanger,
    /// `bootstrap`.
    Bootstrap,
    /// `cancel`.
    Cancel,
    /// `client`.
    Client,
    /// `.die`.
    Die,
    /// `label`.
    Label,
    /// `mount`, `unmount`, `release`, `enable`, `disable`.
    Device(DeviceVerb),
    /// `readlabel`.
    ReadLabel,
    /// `relabel`.
    Relabel,
    /// `setdebug=`.
    SetDebug,
    /// `status`.
    Status,
    /// `.status`.
    DotStatus,
    /// `stop`.
    Stop,
    /// `storage`.
    Storage,
    /// `truncate`, `upload`.
    Cloud(CloudVerb),
    /// `volumeprotect`.
    VolumeProtect,
    /// `prunecache`.
    PruneCache,
    /// `cloudlist`.
    CloudList,
    /// `use storage=`.
    UseStorage,
    /// `run`.
    Run,
    /// `statistics`.
    Statistics,
    /// `store_mngr`.
    FreeSpace,
    /// `sendprogress`.
    SendProgress,
    /// None of these.
    Unknown,
}

/// The commands in a storage's order.
const TABLE: &[(&[u8], Verb)] = &[
    (b"JobId=", Verb::Job),
    (b"autochanger", Verb::Autochanger),
    (b"bootstrap", Verb::Bootstrap),
    (b"cancel", Verb::Cancel),
    (b"client", Verb::Client),
    (b".die", Verb::Die),
    (b"label", Verb::Label),
    (b"mount", Verb::Device(DeviceVerb::Mount)),
    (b"enable", Verb::Device(DeviceVerb::Enable)),
    (b"disable", Verb::Device(DeviceVerb::Disable)),
    (b"readlabel", Verb::ReadLabel),
    (b"release", Verb::Device(DeviceVerb::Release)),
    (b"relabel", Verb::Relabel),
    (b"setdebug=", Verb::SetDebug),
    (b"status", Verb::Status),
    (b".status", Verb::DotStatus),
    (b"stop", Verb::Stop),
    (b"storage", Verb::Storage),
    (b"truncate", Verb::Cloud(CloudVerb::Truncate)),
    (b"upload", Verb::Cloud(CloudVerb::Upload)),
    (b"volumeprotect", Verb::VolumeProtect),
    (b"prunecache", Verb::PruneCache),
    (b"cloudlist", Verb::CloudList),
    (b"unmount", Verb::Device(DeviceVerb::Unmount)),
    (b"use storage=", Verb::UseStorage),
    (b"run", Verb::Run),
    (b"statistics", Verb::Statistics),
    (b"store_mngr", Verb::FreeSpace),
    (b"sendprogress", Verb::SendProgress),
];

impl Verb {
    /// Which command `line` is.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        TABLE
            .iter()
            .find(|(prefix, _)| line.starts_with(prefix))
            .map_or(Self::Unknown, |(_, kind)| *kind)
    }

    /// Every kind, in a storage's order; [`Verb::Unknown`] last.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(_, kind)| *kind).chain([Self::Unknown])
    }

    /// What a line of this kind begins with; nothing for [`Verb::Unknown`].
    #[must_use]
    pub fn prefix(self) -> &'static [u8] {
        TABLE
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or(b"", |(prefix, _)| prefix)
    }

    /// A word for logs and metrics; one of a fixed set.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::UseStorage => "use_storage",
            Self::Bootstrap => "bootstrap",
            Self::Run => "run",
            Self::Storage => "storage",
            Self::Client => "client",
            Self::SendProgress => "sendprogress",
            Self::Cancel => "cancel",
            Self::Stop => "stop",
            Self::Label => "label",
            Self::Relabel => "relabel",
            Self::ReadLabel => "readlabel",
            Self::Device(verb) => verb.label(),
            Self::Autochanger => "autochanger",
            Self::Cloud(CloudVerb::Truncate) => "truncate",
            Self::Cloud(CloudVerb::Upload) => "upload",
            Self::CloudList => "cloudlist",
            Self::PruneCache => "prunecache",
            Self::VolumeProtect => "volumeprotect",
            Self::SetDebug => "setdebug",
            Self::Status => "status",
            Self::DotStatus => "dot_status",
            Self::Statistics => "statistics",
            Self::FreeSpace => "store_mngr",
            Self::Die => "die",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a Director that may only look (`Monitor = yes`) may send it.
    #[must_use]
    pub fn is_for_monitors(self) -> bool {
        matches!(self, Self::Status | Self::DotStatus)
    }
}

/// A command about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceVerb {
    /// `mount`.
    Mount,
    /// `unmount`.
    Unmount,
    /// `release`.
    Release,
    /// `enable`.
    Enable,
    /// `disable`.
    Disable,
}

/// A command about a volume's parts in a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloudVerb {
    /// `truncate cache`.
    Truncate,
    /// `upload`.
    Upload,
}

impl DeviceVerb {
    fn label(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::Unmount => "unmount",
            Self::Release => "release",
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }
}
