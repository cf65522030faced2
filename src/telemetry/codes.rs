//! Codes of messages, as Bacula has them (`[DE0031]`): one for each thing that is told, in the log and in the messages
//! of a job. `deploy/docs/troubleshooting.md` explains every one of them, and keeps the number when the words change.

/// A message's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `SG` and four digits.
    pub text: &'static str,
    /// The `event` of the log line, or a word for what is told in a job's messages alone.
    pub event: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal $event:literal,)*) => {
        $($(#[$doc])* pub const $name: Code = Code { text: $text, event: $event };)*

        /// Every code there is.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    // The process.
    /// It runs.
    STARTED = "SG0001" "started",
    /// A configuration is in force.
    CONFIG_LOADED = "SG0002" "config_loaded",
    /// A configuration was refused.
    CONFIG_REFUSED = "SG0003" "config_refused",
    /// Another configuration came into force.
    CONFIG_RELOADED = "SG0004" "config_reloaded",
    /// It is in another phase of its life.
    PROCESS_PHASE = "SG0005" "process_phase",
    /// It waits for jobs to end.
    DRAIN_PROGRESS = "SG0006" "drain_progress",
    /// A connection could not be accepted.
    ACCEPT_FAILED = "SG0007" "accept_failed",
    /// The state directory failed.
    STORE_FAILED = "SG0008" "store_failed",
    /// A fault of its own.
    PANICKED = "SG0009" "panicked",
    /// Something in a configuration is probably not meant.
    CONFIG_WARNING = "SG0010" "config_warning",
    /// The shared store is away.
    STORE_AWAY = "SG0011" "store_away",
    /// It is back.
    STORE_BACK = "SG0012" "store_back",
    /// A successor was started.
    HANDOVER_BEGUN = "SG0013" "handover_begun",
    /// There was no handover.
    HANDOVER_FAILED = "SG0014" "handover_failed",
    /// It has taken over from another process.
    HANDOVER_DONE = "SG0015" "handover_done",
    /// Another sdgroup was heard of.
    PEER_HEARD = "SG0016" "peer_heard",
    /// It is not heard of any more.
    PEER_SILENT = "SG0017" "peer_silent",
    /// Two have one name.
    PEER_NAMESAKE = "SG0018" "peer_namesake",

    // Jobs.
    /// A job has its storage.
    JOB_PLACED = "SG0101" "job_placed",
    /// A storage did not take a job.
    JOB_FAILED_OVER = "SG0102" "job_failed_over",
    /// A job waits.
    JOB_QUEUED = "SG0103" "job_queued",
    /// A job was refused.
    JOB_REFUSED = "SG0104" "job_refused",
    /// What was weighed for a job.
    JOB_EXPLAINED = "SG0105" "job_explained",
    /// What another policy would have done.
    SHADOW_ASKED = "SG0106" "shadow_asked",
    /// A job was asked to end.
    JOB_STOPPED = "SG0107" "job_stopped",
    /// A storage vanished, or failed, while it had a job.
    STORAGE_LOST = "SG0108" "storage_lost",
    /// A job names its storage by the device.
    DEVICE_ADDRESSED = "SG0109" "device_addressed",
    /// A copy may lie beside its original.
    COPY_BESIDE_ORIGINAL = "SG0110" "copy_beside_original",
    /// A job cannot go on for what one of its sides said.
    JOB_BROKEN = "SG0111" "job_broken",

    // Sessions.
    /// A connection was accepted.
    SESSION_STARTED = "SG0201" "session_started",
    /// A session has ended.
    SESSION_ENDED = "SG0202" "session_ended",
    /// A login failed.
    LOGIN_REFUSED = "SG0203" "login_refused",
    /// A connection was closed for what came on it.
    PACKET_REFUSED = "SG0204" "packet_refused",
    /// A data connection for a job that nobody knows.
    ROUTE_MISSING = "SG0205" "route_missing",
    /// A second data connection for a job.
    ROUTE_TAKEN = "SG0206" "route_taken",
    /// Data is copied for want of pipes.
    RELAY_FELL_BACK_TO_COPY = "SG0207" "relay_fell_back_to_copy",
    /// A request at the operator's address did not show the token.
    TOKEN_REFUSED = "SG0208" "token_refused",
    /// A data connection went to the sdgroup that has its job.
    CONNECTION_PASSED = "SG0209" "connection_passed",
    /// A data connection came by way of another sdgroup.
    CONNECTION_RECEIVED = "SG0210" "connection_received",
    /// Another sdgroup does not take a data connection.
    PEER_FAILED = "SG0211" "peer_failed",

    // Storages.
    /// A login at a storage.
    STORAGE_LOGGED_IN = "SG0301" "storage_logged_in",
    /// A storage gets no jobs for a while.
    STORAGE_EJECTED = "SG0302" "storage_ejected",
    /// It gets jobs again.
    STORAGE_READMITTED = "SG0303" "storage_readmitted",
    /// A storage is up, or down.
    STORAGE_FLIPPED = "SG0304" "storage_flipped",
    /// The operator wants something else of a storage.
    STATE_CHANGED = "SG0305" "state_changed",
    /// A probe is done.
    PROBE_DONE = "SG0306" "probe_done",
    /// A probe could not be made for want of something here.
    PROBE_NOT_MADE = "SG0307" "probe_not_made",

    // Volumes.
    /// A volume is known now.
    VOLUME_LEARNED = "SG0401" "volume_learned",
    /// Two storages have a volume of one name.
    VOLUME_CONFLICT = "SG0402" "volume_conflict",
    /// An offer was swallowed.
    VOLUME_GUARDED = "SG0403" "volume_guarded",
    /// A volume's place has changed.
    VOLUME_MOVED = "SG0404" "volume_moved",
    /// A volume has another name.
    VOLUME_FORGOTTEN = "SG0405" "volume_forgotten",
    /// A storage gets no volume of the pool.
    VOLUME_REFUSED = "SG0406" "volume_refused",
    /// A volume with content goes to a storage without anybody knowing that it has it.
    VOLUME_UNKNOWN = "SG0407" "volume_unknown",
}

/// The code of a log line with this `event`.
#[must_use]
pub fn of_event(event: &str) -> Option<Code> {
    ALL.iter().find(|code| code.event == event).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    const PAGE: &str = include_str!("../../deploy/docs/troubleshooting.md");

    #[test]
    fn every_code_is_one_and_stands_on_the_page() {
        let mut seen = BTreeSet::new();
        for code in ALL {
            assert!(
                seen.insert(code.text) && seen.insert(code.event),
                "{code:?} is there twice"
            );
            let digits = code.text.strip_prefix("SG").unwrap();
            assert!(
                digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()),
                "{code:?}"
            );
            let line = format!("| {} | `{}` | ", code.text, code.event);
            assert!(
                PAGE.contains(&line),
                "troubleshooting.md has no line that begins with {line}"
            );
        }
        for line in PAGE.lines().filter(|line| line.starts_with("| SG")) {
            let text = line.get(2..8).unwrap();
            assert!(
                ALL.iter().any(|code| code.text == text),
                "there is no code {text} any more"
            );
        }
    }

    #[test]
    fn every_event_has_a_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry/event");
        let mut events = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for (_, rest) in source
                .split("event = \"")
                .skip(1)
                .filter_map(|rest| rest.split_once('"').map(|it| (rest, it.0)))
            {
                assert!(of_event(rest).is_some(), "the event {rest} has no code");
                events += 1;
            }
        }
        assert!(events > 20, "{events} events were found");
    }
}
