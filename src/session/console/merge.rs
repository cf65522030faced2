//! Several storages' replies as one: what a Director and those who read its console expect of a single storage.

use super::Asked;
use super::status::{self, Api};
use crate::config::model;
use crate::types::StorageName;
use crate::wire::command::Command;
use crate::wire::line;
use crate::wire::packet::{Frame, Outbox};
use crate::wire::refusal::Refusal;

/// How the replies to a command are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// There is one.
    Plain,
    /// Lines that begin with a code get the storage's name behind it; others stay.
    Named,
    /// Each storage's text has its name above it.
    Texts,
    /// Objects in Bacula's own form stand one after another.
    Objects {
        /// The form is the default one, so that sdgroup can add to it.
        default: bool,
    },
    /// A first line, which is said once, and the lines of all.
    OneHead,
    /// The lists in JSON become one.
    Json,
    /// One message with a line for each.
    OneMessage,
    /// `drives=` with the most that one has.
    MostDrives,
}

impl Form {
    pub(super) fn of(asked: &Asked<'_>) -> Self {
        match &asked.command {
            Command::Status => Self::Texts,
            Command::DotStatus { what, .. } if status::is_list_of_jobs(what) => Self::OneHead,
            Command::DotStatus { line, .. } => match Api::of(line) {
                Api::Text => Self::Texts,
                Api::Objects { default } => Self::Objects { default },
            },
            Command::SetDebug(_) => Self::OneMessage,
            Command::Autochanger { .. } => Self::MostDrives,
            Command::Statistics(line) if line::field(line, "format") == Some(b"json") => Self::Json,
            _ => Self::Named,
        }
    }
}

/// What has become of the replies so far.
#[derive(Debug)]
pub(super) struct Merge {
    form: Form,
    /// Storages whose replies have begun.
    storages: usize,
    /// The first line was said.
    headed: bool,
    /// The lines that make one message.
    lines: Vec<u8>,
    drives: Option<u32>,
    /// The last message ended with an empty line.
    bordered: bool,
    /// Elements of the list in JSON that were passed on: of all, and of the current storage.
    elements: (usize, usize),
}

impl Merge {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            storages: 0,
            headed: false,
            lines: Vec::new(),
            drives: None,
            bordered: true,
            elements: (0, 0),
        }
    }

    /// The reply of `storage` begins.
    pub(super) fn begin(&mut self, storage: &model::Storage, to_director: &mut Outbox) {
        self.storages += 1;
        self.elements.1 = 0;
        match self.form {
            Form::Texts => {
                let heading = format!("\n==== {} ({}:{})\n", storage.name, storage.address, storage.port);
                to_director.message_with_nul(heading);
            }
            Form::Json if self.storages == 1 => to_director.message("["),
            _ => {}
        }
    }

    /// A message of the current storage; `text` is what `frame` says.
    pub(super) fn message(&mut self, storage: &StorageName, frame: &Frame, text: &[u8], to_director: &mut Outbox) {
        match self.form {
            Form::OneHead if text.starts_with(b"3000 ") && std::mem::replace(&mut self.headed, true) => {}
            Form::Plain | Form::Texts | Form::OneHead => to_director.frame(frame),
            Form::Objects { .. } => {
                self.bordered = text.strip_suffix(b"\0").unwrap_or(text).ends_with(b"\n\n");
                to_director.frame(frame);
            }
            Form::Named => match named(storage, text) {
                Some(line) => to_director.message(line),
                None => to_director.frame(frame),
            },
            Form::OneMessage => {
                let line = named(storage, text).unwrap_or_else(|| text.to_vec());
                self.lines.extend_from_slice(&line);
            }
            Form::MostDrives => {
                let drives = line::field(text, "drives").and_then(|word| line::number(word).ok());
                self.drives = self.drives.max(drives);
            }
            Form::Json => self.element(frame, text, to_director),
        }
    }

    /// A part of a storage's list: a bracket, or an element, the first of them without a comma before it.
    fn element(&mut self, frame: &Frame, text: &[u8], to_director: &mut Outbox) {
        if matches!(text.trim_ascii(), b"[" | b"]" | b"") {
            return;
        }
        let (all, own) = &mut self.elements;
        if *all > 0 && *own == 0 {
            to_director.message(",");
        }
        *all += 1;
        *own += 1;
        to_director.frame(frame);
    }

    /// The reply of the current storage has ended.
    pub(super) fn end(&mut self, to_director: &mut Outbox) {
        if !self.bordered {
            self.bordered = true;
            to_director.message_with_nul("\n");
        }
    }

    /// `storage` has not replied, or not to the end.
    pub(super) fn failed(&mut self, storage: &StorageName, why: &str, to_director: &mut Outbox) {
        self.end(to_director);
        let code = super::FAILED;
        let reason = format!("{storage}: {why}");
        match self.form {
            Form::Texts => to_director.message_with_nul(format!("\nStorage {storage}: {why}\n")),
            Form::Objects { default: true } => {
                to_director.message_with_nul(format!("\nname={storage}\nerror=1\nerrmsg={why}\n\n"));
            }
            Form::OneMessage => self.lines.extend_from_slice(&Refusal::Coded { code, reason }.to_line()),
            Form::Plain | Form::Named | Form::OneHead => to_director.message(Refusal::Coded { code, reason }.to_line()),
            // Nothing can be added to what a program reads.
            Form::Objects { default: false } | Form::Json | Form::MostDrives => {}
        }
    }

    /// All have had their turn.
    pub(super) fn finish(&mut self, to_director: &mut Outbox) {
        match self.form {
            Form::OneMessage => to_director.message(&self.lines),
            Form::MostDrives => to_director.message(format!("drives={}\n", self.drives.unwrap_or(1))),
            Form::Json => to_director.message("\n]\n"),
            _ => {}
        }
    }
}

/// A line that begins with a code, with the storage's name behind the code.
fn named(storage: &StorageName, text: &[u8]) -> Option<Vec<u8>> {
    let (code, rest) = text.split_at_checked(4)?;
    let rest = rest.strip_prefix(b" ")?;
    if !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some([code, b" ", storage.as_str().as_bytes(), b": ", rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::{MAX_WIRE_BYTES, Packet};
    use bytes::BytesMut;

    fn frames(outbox: &mut Outbox) -> Vec<Frame> {
        let mut bytes = BytesMut::from(&outbox.take()[..]);
        std::iter::from_fn(|| Frame::take(&mut bytes, MAX_WIRE_BYTES).unwrap()).collect()
    }

    /// What a Director prints of the replies of File4, File5 ..., `None` being a storage that does not answer.
    fn printed(form: Form, replies: &[Option<&[&str]>]) -> String {
        let mut merge = Merge::new(form);
        let mut to_director = Outbox::new();
        for (at, reply) in replies.iter().enumerate() {
            let name = StorageName::new(&format!("File{}", at + 4)).unwrap();
            let storage = model::Storage::new(name.clone(), "192.0.2.4".to_owned());
            merge.begin(&storage, &mut to_director);
            for text in reply.unwrap_or_default() {
                let mut said = Outbox::new();
                said.message(text);
                merge.message(&name, &frames(&mut said)[0], text.as_bytes(), &mut to_director);
            }
            match reply {
                Some(_) => merge.end(&mut to_director),
                None => merge.failed(&name, "no answer", &mut to_director),
            }
        }
        merge.finish(&mut to_director);
        let printed = frames(&mut to_director)
            .into_iter()
            .map(|frame| match frame.decode().unwrap() {
                Packet::Message(text) => String::from_utf8_lossy(&text).replace('\0', ""),
                Packet::Signal(signal) => panic!("{signal:?}"),
            });
        printed.collect()
    }

    #[test]
    fn a_storages_name_stands_behind_the_code_and_nowhere_else() {
        let replies: [Option<&[&str]>; 3] = [
            Some(&["3304 Issuing autochanger\n", "3001 Mounted\n", "30011\n", "text\n"]),
            None,
            Some(&[]),
        ];
        assert_eq!(
            printed(Form::Named, &replies),
            "3304 File4: Issuing autochanger\n3001 File4: Mounted\n30011\ntext\n3999 File5: no answer\n"
        );
    }

    #[test]
    fn texts_have_a_heading() {
        assert_eq!(
            printed(Form::Texts, &[Some(&["\n", "file4-sd Version: 15.0.3\n"]), None]),
            "\n==== File4 (192.0.2.4:9103)\n\nfile4-sd Version: 15.0.3\n\n==== File5 (192.0.2.4:9103)\n\n\
             Storage File5: no answer\n"
        );
    }

    #[test]
    fn an_empty_line_is_between_objects() {
        let replies: [Option<&[&str]>; 4] = [
            Some(&["\nname=A\n\n"]),
            Some(&["\nname=B\n"]),
            None,
            Some(&["\nname=D\n\n"]),
        ];
        let default = Form::Objects { default: true };
        assert_eq!(
            printed(default, &replies),
            "\nname=A\n\n\nname=B\n\n\nname=File6\nerror=1\nerrmsg=no answer\n\n\nname=D\n\n"
        );
        assert_eq!(
            printed(Form::Objects { default: false }, &[Some(&["{}\n\n"]), None]),
            "{}\n\n"
        );
    }

    #[test]
    fn the_first_line_of_jobs_is_said_once_whoever_says_it() {
        let replies: [Option<&[&str]>; 3] = [
            None,
            Some(&["3000 OK .status\n", "JobId=1 JobStatus=R JobErrors=0\n"]),
            Some(&["3000 OK .status\n", "JobId=2 JobStatus=R JobErrors=0\n"]),
        ];
        assert_eq!(
            printed(Form::OneHead, &replies),
            "3999 File4: no answer\n3000 OK .status\nJobId=1 JobStatus=R JobErrors=0\nJobId=2 JobStatus=R JobErrors=0\n"
        );
    }

    #[test]
    fn lists_become_one_list() {
        let replies: [Option<&[&str]>; 4] = [
            Some(&["[", "\n  {\"a\": 1}", ",\n  {\"b\": 2}", "\n]\n"]),
            Some(&["[", "\n]\n"]),
            None,
            Some(&["[", "\n  {\"c\": 3}", "\n]\n"]),
        ];
        let list: serde_json::Value = serde_json::from_str(&printed(Form::Json, &replies)).unwrap();
        assert_eq!(list, serde_json::json!([{"a": 1}, {"b": 2}, {"c": 3}]));
        let none: [Option<&[&str]>; 2] = [None, Some(&["[", "\n]\n"])];
        assert_eq!(printed(Form::Json, &none), "[\n]\n");
    }

    #[test]
    fn one_message_has_all_and_drives_are_the_most() {
        let replies: [Option<&[&str]>; 3] = [Some(&["3000 OK setdebug=5\n"]), None, Some(&["3991 Bad\n"])];
        assert_eq!(
            printed(Form::OneMessage, &replies),
            "3000 File4: OK setdebug=5\n3999 File5: no answer\n3991 File6: Bad\n"
        );
        let replies: [Option<&[&str]>; 3] = [Some(&["drives=1\n", "3993 Device\n"]), Some(&["drives=3\n"]), None];
        assert_eq!(printed(Form::MostDrives, &replies), "drives=3\n");
        assert_eq!(printed(Form::MostDrives, &[None]), "drives=1\n");
    }
}
