//! The command table: for each command of a Director, to which storage it goes, how its reply ends and how long that
//! may take. The page `deploy/docs/commands.md` is made of it.
//!
//! Three rules stand before the route of a command that names a device or a volume, and are not repeated in it: a
//! device that addresses a member (`File5/FileChgr1`) is asked of that member, a group of one has only that one to ask,
//! and a `mount` behind a `label` on one connection goes where the label went.

use std::time::Duration;

use crate::types::Release;
use crate::wire::verb::{CloudVerb, DeviceVerb, Verb};

/// What is to be known of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which command.
    pub verb: Verb,
    /// What makes a Director send it, for people: a line typed at its console, or what it does by itself.
    pub typed: &'static str,
    /// The releases that have it. To any other it is an unknown command.
    pub releases: &'static [Release],
    /// Where it goes.
    pub route: Route,
    /// How its reply ends.
    pub ends: End,
    /// How long that may take.
    pub takes: Takes,
    /// The code with which a storage answers a command of this kind that it cannot read.
    pub unreadable: u16,
    /// What else is to be known, for people.
    pub note: &'static str,
}

/// Where a command goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Nowhere: it makes the connection a job's.
    Job,
    /// To the storage that runs the job which it names.
    Runner,
    /// To the storage that its device addresses, and to none without.
    Addressed,
    /// To the storage that holds the volume which it names.
    Holder,
    /// To the holder of the volume, or to one that the policy chooses when there is none.
    HolderElsePlaced,
    /// To the holder of the volume, or to all when it names none.
    HolderElseAll,
    /// To all, one after another.
    All,
    /// Nowhere: sdgroup answers for the group.
    Group,
    /// Nowhere: it is refused, as a storage refuses it.
    Refused,
}

impl Route {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Job => "the connection becomes the job's",
            Self::Runner => "the storage that runs the job",
            Self::Addressed => "only a storage that the device addresses",
            Self::Holder => "the storage that holds the volume",
            Self::HolderElsePlaced => "the storage that holds the volume, else one chosen by the policy",
            Self::HolderElseAll => "the storage that holds the volume; without a volume all, one after another",
            Self::All => "all, one after another",
            Self::Group => "sdgroup answers for the group",
            Self::Refused => "none",
        }
    }
}

/// How a Director knows that a reply is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By an end-of-data signal (EOD) behind any number of messages.
    Eod,
    /// It reads exactly one message.
    Message,
    /// It reads one message, and the connection ends.
    Close,
    /// There is no reply.
    Silence,
    /// By the end of a dialogue.
    Dialogue,
}

impl End {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eod => "messages, EOD",
            Self::Message => "one message, no EOD",
            Self::Close => "one message, the connection ends",
            Self::Silence => "no reply",
            Self::Dialogue => "a dialogue",
        }
    }
}

/// How long a storage may take for its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Some `LoginTimeout`s of the group: it answers from memory, but may wait for a device's lock.
    Moment,
    /// Media are moved, or searched for a label.
    Media,
    /// A volume's parts go to a cloud.
    Transfer,
}

/// How many logins.
const MOMENT_LOGINS: u32 = 6;
/// A changer may be given five minutes for each of several steps (`Maximum Changer Wait`).
const MEDIA_TIME: Duration = Duration::from_secs(30 * 60);
/// As long as somebody would wait for an upload at a console. The upload itself goes on.
const TRANSFER_TIME: Duration = Duration::from_secs(12 * 3600);

impl Takes {
    /// In time, where a login may take `login`.
    #[must_use]
    pub fn time(self, login: Duration) -> Duration {
        let moment = login.saturating_mul(MOMENT_LOGINS);
        match self {
            Self::Moment => moment,
            Self::Media => MEDIA_TIME.max(moment),
            Self::Transfer => TRANSFER_TIME.max(moment),
        }
    }

    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moment => "6 `LoginTimeout`",
            Self::Media => "30 minutes",
            Self::Transfer => "12 hours",
        }
    }
}

const SINCE_9: &[Release] = &[Release::V9, Release::V13, Release::V15];
const SINCE_15: &[Release] = &[Release::V15];

impl Entry {
    /// One that all releases have, with the commonest kind of reply.
    const fn new(verb: Verb, typed: &'static str, route: Route) -> Self {
        Self {
            verb,
            typed,
            releases: SINCE_9,
            route,
            ends: End::Eod,
            takes: Takes::Moment,
            unreadable: 3900,
            note: "",
        }
    }

    const fn since_15(self) -> Self {
        Self {
            releases: SINCE_15,
            ..self
        }
    }

    const fn ends(self, ends: End) -> Self {
        Self { ends, ..self }
    }

    const fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    const fn unreadable(self, unreadable: u16) -> Self {
        Self { unreadable, ..self }
    }

    const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    /// What is to be known of `verb` to a Director of `release`.
    #[must_use]
    pub fn of(verb: Verb, release: Release) -> &'static Self {
        COMMANDS
            .iter()
            .find(|entry| entry.verb == verb && entry.releases.contains(&release))
            .unwrap_or(&UNKNOWN)
    }
}

const UNKNOWN: Entry = Entry::new(Verb::Unknown, "anything else", Route::Refused)
    .ends(End::Close)
    .note(
        "`3900 Invalid command`, also for `dedup`, which no community storage knows. Never passed on: a storage would repeat it \
         through a format string.",
    );

/// Every command.
pub const COMMANDS: &[Entry] = &[
    Entry::new(Verb::Status, "`status storage=Files`", Route::All)
        .note("The group's table first, then each member's own text."),
    Entry::new(Verb::DotStatus, "`.status storage=Files running`", Route::All).note(
        "`current` and `last` begin with one `3000 OK .status`. With `api=2` each member's blocks follow the last one's; \
         `header` begins with one for the group. A word that no storage knows is refused with two EODs, and the connection \
         ends.",
    ),
    Entry::new(Verb::Label, "`label storage=Files pool=P volume=V slot=0`", Route::HolderElsePlaced)
        .takes(Takes::Media)
        .unreadable(3903)
        .note(
            "The ledger learns where the volume is before the Director hears that it is labelled. A slot above 0 means one \
             changer: refused unless the device addresses a member. So is `label barcodes`.",
        ),
    Entry::new(
        Verb::Relabel,
        "`relabel storage=Files oldvolume=V volume=W`, `truncate volume=V storage=Files`",
        Route::Holder,
    )
    .takes(Takes::Media)
    .unreadable(3903)
    .note("The ledger learns the new name and forgets the old one."),
    Entry::new(
        Verb::ReadLabel,
        "`update slots scan storage=Files`",
        Route::Addressed,
    )
    .takes(Takes::Media)
    .unreadable(3909),
    Entry::new(
        Verb::Device(DeviceVerb::Mount),
        "`mount storage=Files`",
        Route::All,
    )
    .takes(Takes::Media)
    .unreadable(3909)
    .note("A slot above 0 means one changer: refused unless the device addresses a member."),
    Entry::new(
        Verb::Device(DeviceVerb::Unmount),
        "`unmount storage=Files`",
        Route::All,
    )
    .takes(Takes::Media)
    .unreadable(3907),
    Entry::new(
        Verb::Device(DeviceVerb::Release),
        "`release storage=Files`",
        Route::All,
    )
    .takes(Takes::Media)
    .unreadable(3927),
    Entry::new(
        Verb::Device(DeviceVerb::Enable),
        "`enable storage=Files drive=0`",
        Route::All,
    )
    .unreadable(3907)
    .note("A storage that does not know the device says nothing but EOD."),
    Entry::new(
        Verb::Device(DeviceVerb::Disable),
        "`disable storage=Files drive=0`",
        Route::All,
    )
    .unreadable(3907)
    .note("A storage that does not know the device says nothing but EOD."),
    Entry::new(
        Verb::Autochanger,
        "`update slots storage=Files`, `status slots`, `label barcodes`",
        Route::Addressed,
    )
    .takes(Takes::Media)
    .unreadable(3909)
    .note("`drives`, which a Director asks before it asks for a drive, is answered with the most that a member has."),
    Entry::new(Verb::Cancel, "`cancel jobid=1`; a job that is run again", Route::Runner)
        .unreadable(3903)
        .note(
            "Whichever group or listener it comes to. A job that waits for its place leaves the queue; one that sdgroup does \
             not know, as after a restart, is looked for on all members of the group that are not down.",
        ),
    Entry::new(Verb::Stop, "`stop jobid=1`", Route::Runner)
        .unreadable(3903)
        .note("As `cancel`."),
    Entry::new(
        Verb::Cloud(CloudVerb::Truncate),
        "`cloud truncate volume=V storage=Files`, `cloud prune`",
        Route::Holder,
    )
    .takes(Takes::Media)
    .unreadable(3911),
    Entry::new(
        Verb::Cloud(CloudVerb::Upload),
        "`cloud upload volume=V storage=Files`",
        Route::Holder,
    )
    .takes(Takes::Transfer)
    .unreadable(3912),
    Entry::new(Verb::CloudList, "`cloud list storage=Files`", Route::HolderElseAll)
        .takes(Takes::Media)
        .unreadable(3912),
    Entry::new(Verb::VolumeProtect, "`update volumeprotect`", Route::Holder)
        .since_15()
        .ends(End::Message)
        .unreadable(3907),
    Entry::new(Verb::SetDebug, "`setdebug level=10 storage=Files`", Route::All)
        .ends(End::Message)
        .unreadable(3991)
        .note("The message has a line for each member."),
    Entry::new(Verb::Statistics, "`statistics storage=Files`", Route::All).note("JSON of all members is one list."),
    Entry::new(Verb::FreeSpace, "a job whose pool has a policy by free space", Route::Group)
        .since_15()
        .ends(End::Dialogue)
        .note("The most that a member has, or what the one has that the device addresses."),
    Entry::new(Verb::PruneCache, "nothing: no Director sends it", Route::Group)
        .ends(End::Message)
        .note("`3900 Not yet implemented`, as a storage says."),
    Entry::new(Verb::SendProgress, "a copy or migration job", Route::Group)
        .since_15()
        .ends(End::Silence)
        .note("In a job it is the job's."),
    Entry::new(Verb::Job, "`run`, `restore` and all that makes a job", Route::Job).ends(End::Dialogue),
    Entry::new(Verb::UseStorage, "a job", Route::Refused)
        .ends(End::Close)
        .note("Outside a job: 3913."),
    Entry::new(Verb::Bootstrap, "a job that reads", Route::Refused)
        .ends(End::Close)
        .note("Outside a job: 3904."),
    Entry::new(Verb::Run, "a job", Route::Refused)
        .ends(End::Close)
        .note("Outside a job: 3900."),
    Entry::new(Verb::Storage, "a copy or migration job", Route::Refused)
        .ends(End::Close)
        .note("Outside a job: 2902."),
    Entry::new(Verb::Client, "a job whose Client has `SD Calls Client`", Route::Refused)
        .ends(End::Close)
        .note("In a job sdgroup calls the Client itself. Outside a job: 3902."),
    Entry::new(Verb::Die, "nothing", Route::Refused)
        .ends(End::Silence)
        .note("Only a developer's storage does it. The connection ends."),
    UNKNOWN,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::path::Path;

    /// Set to write the rows of the page anew instead of comparing them.
    const REWRITE: &str = "SDGROUP_WRITE_DOCS";

    #[test]
    fn every_command_is_in_the_table_once() {
        for verb in Verb::all() {
            let rows = COMMANDS.iter().filter(|entry| entry.verb == verb).count();
            assert_eq!(rows, 1, "{verb:?}");
        }
        assert_eq!(COMMANDS.len(), Verb::all().count());
    }

    #[test]
    fn times_are_what_the_page_says() {
        let login = Duration::from_secs(5);
        assert_eq!(Takes::Moment.time(login), Duration::from_secs(30));
        assert_eq!(Takes::Media.time(login), Duration::from_secs(30 * 60));
        assert_eq!(Takes::Transfer.time(login), Duration::from_secs(12 * 3600));
    }

    #[test]
    fn a_command_of_a_later_release_is_unknown_to_an_earlier_one() {
        assert_eq!(Entry::of(Verb::VolumeProtect, Release::V15).route, Route::Holder);
        for (verb, release) in [
            (Verb::VolumeProtect, Release::V9),
            (Verb::FreeSpace, Release::V13),
            (Verb::SendProgress, Release::V13),
        ] {
            assert_eq!(Entry::of(verb, release).verb, Verb::Unknown, "{verb:?} {release}");
        }
    }

    /// Around what is made of the table; the rest of the page is written by hand.
    const BEGIN: &str = "<!-- made of the table: begin -->\n";
    const END: &str = "<!-- made of the table: end -->\n";

    fn rows() -> String {
        let mut rows = String::from("| command | sent for | releases | goes to | the reply | within | to be known |\n");
        rows.push_str("|---|---|---|---|---|---|---|\n");
        for entry in COMMANDS {
            let word = match entry.verb {
                Verb::Unknown => "others".to_owned(),
                verb => format!("`{}`", String::from_utf8_lossy(verb.prefix()).trim_end_matches('=')),
            };
            let releases = entry
                .releases
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            let (goes, ends) = (entry.route.as_str(), entry.ends.as_str());
            let asks = !matches!(entry.route, Route::Job | Route::Group | Route::Refused);
            let within = if asks { entry.takes.as_str() } else { "" };
            writeln!(
                rows,
                "| {word} | {} | {releases} | {goes} | {ends} | {within} | {} |",
                entry.typed, entry.note
            )
            .unwrap();
        }
        rows
    }

    #[test]
    fn the_page_says_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/docs/commands.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).expect("where the table begins");
        let (written, after) = rest.split_once(END).expect("where the table ends");
        if std::env::var_os(REWRITE).is_some() {
            return std::fs::write(&path, [before, BEGIN, &rows(), END, after].concat()).unwrap();
        }
        assert!(
            written == rows(),
            "{} is not what the table says: {REWRITE}=1 cargo test --lib commands",
            path.display()
        );
    }
}
