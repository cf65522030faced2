//! `status` and `.status`: what sdgroup itself adds, and which words it knows (Bacula `src/stored/status.c`).

use super::{After, Asked};
use crate::session::director::Caller;
use crate::session::table;
use crate::types::Release;
use crate::wire::command::Command;
use crate::wire::line::{self, shown};
use crate::wire::packet::{Outbox, Signal};
use crate::wire::refusal::Refusal;

/// What may follow `.status` in every release.
const WORDS: &[&str] = &[
    "current",
    "last",
    "header",
    "running",
    "waitreservation",
    "devices",
    "volumes",
    "spooling",
    "terminated",
    "resources",
    "statistics",
    "cloud",
];

/// What may since 13.0.
const WORDS_SINCE_13: &[&str] = &["dedupengine", "dedupengineandzerostats", "shstore"];

/// Whether storages of `release` know the word.
pub(super) fn is_known(what: &[u8], release: Release) -> bool {
    let newer = WORDS_SINCE_13.iter().filter(|_| release != Release::V9);
    WORDS
        .iter()
        .chain(newer)
        .any(|word| what.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether the word asks for jobs, one a line, behind a line that says that it was understood.
pub(super) fn is_list_of_jobs(what: &[u8]) -> bool {
    what.eq_ignore_ascii_case(b"current") || what.eq_ignore_ascii_case(b"last")
}

/// Refuses a word that storages do not know as they do: behind an unknown one come two EODs, behind none one.
pub(super) fn refuse(to_director: &mut Outbox, what: &[u8], line: &[u8]) -> After {
    let found = shown(line);
    let (reason, eods) = if what.is_empty() {
        (format!("No arg in .status command: {found}"), 1)
    } else {
        (format!("Unknown arg in .status command: {found}"), 2)
    };
    to_director.message(Refusal::Coded { code: 3900, reason }.to_line());
    for _ in 0..eods {
        to_director.signal(Signal::Eod);
    }
    After::Close
}

/// In which form a `.status` is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// For people.
    Text,
    /// Objects, in Bacula's own form or one that the Director's console chose.
    Objects {
        /// Bacula's own: a line `key=value` for each field, and an empty one between objects.
        default: bool,
    },
}

impl Api {
    /// Of a `.status` line. Without `api=` a storage takes 1.
    pub(super) fn of(command: &[u8]) -> Self {
        match line::field(command, "api") {
            Some(b"0") => Self::Text,
            _ => Self::Objects {
                default: line::field(command, "api_opts").is_none_or(<[u8]>::is_empty),
            },
        }
    }
}

/// Puts what is to be said of the group before what its storages say.
pub(super) fn before(caller: &Caller, to_director: &mut Outbox, asked: &Asked<'_>) {
    let lines = match &asked.command {
        Command::Status => table::lines(caller),
        Command::DotStatus { what, line, .. } if what.eq_ignore_ascii_case(b"header") => match Api::of(line) {
            Api::Text => table::lines(caller),
            Api::Objects { default: true } => vec![table::object(caller)],
            Api::Objects { default: false } => return,
        },
        _ => return,
    };
    for line in lines {
        to_director.message_with_nul(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::{Frame, MAX_WIRE_BYTES, Packet};
    use bytes::BytesMut;

    fn said(outbox: &mut Outbox) -> Vec<Packet> {
        let mut bytes = BytesMut::from(&outbox.take()[..]);
        let mut packets = Vec::new();
        while let Ok(Some(frame)) = Frame::take(&mut bytes, MAX_WIRE_BYTES) {
            packets.push(frame.decode().unwrap());
        }
        packets
    }

    #[test]
    fn words_are_known_by_release_and_without_case() {
        assert!(is_known(b"Header", Release::V9));
        assert!(is_known(b"shstore", Release::V13));
        assert!(!is_known(b"shstore", Release::V9));
        assert!(!is_known(b"heading", Release::V15));
        assert!(!is_known(b"", Release::V15));
    }

    #[test]
    fn an_unknown_word_is_refused_with_two_eods() {
        let mut outbox = Outbox::new();
        assert_eq!(
            refuse(&mut outbox, b"nonsense", b".status nonsense api=0"),
            After::Close
        );
        let text = Packet::Message("3900 Unknown arg in .status command: .status nonsense api=0\n".into());
        let eod = Packet::Signal(Signal::Eod);
        assert_eq!(said(&mut outbox), [text, eod.clone(), eod.clone()]);
        refuse(&mut outbox, b"", b".status");
        let text = Packet::Message("3900 No arg in .status command: .status\n".into());
        assert_eq!(said(&mut outbox), [text, eod]);
    }

    #[test]
    fn the_form_is_the_directors() {
        for (line, form) in [
            (&b".status header api=0 api_opts="[..], Api::Text),
            (b".status header api=2 api_opts=", Api::Objects { default: true }),
            (b".status header", Api::Objects { default: true }),
            (b".status header api=2 api_opts=j", Api::Objects { default: false }),
        ] {
            assert_eq!(Api::of(line), form, "{}", shown(line));
        }
    }
}
