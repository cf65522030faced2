//! The bootstrap: which volumes a read job reads, and what of them.
//!
//! The Director sends it line by line (in pieces of 999 bytes where a line is longer), so the messages are joined
//! before they are cut into lines. The text is kept as it came; a [`Group`] is a stretch of it. Sources: Bacula
//! `src/dird/bsr.c` (writer), `src/stored/parse_bsr.c` and `src/lib/lex.c` (reader). The storages' reader takes more
//! than the writer writes (several statements in a line, includes); such a text is refused here, since a volume
//! that we did not see would be looked for in the wrong place.

use bytes::{Bytes, BytesMut};

use crate::types::{DeviceName, MediaType, NameError, VolumeName};

/// The largest bootstrap that is taken, in bytes: some three million single files.
pub const MAX_BOOTSTRAP_BYTES: usize = 64 << 20;

/// The longest line, in bytes, so that each fits one packet with room to spare.
pub const MAX_LINE_BYTES: usize = 64 << 10;

/// The keywords of a storage's reader, in lower case.
const KEYWORDS: [&str; 21] = [
    "client",
    "count",
    "device",
    "exclude",
    "fileindex",
    "fileregex",
    "include",
    "job",
    "jobid",
    "joblevel",
    "jobtype",
    "mediatype",
    "slot",
    "storage",
    "stream",
    "voladdr",
    "volblock",
    "volume",
    "volfile",
    "volsessionid",
    "volsessiontime",
];

/// Why a bootstrap cannot be used. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// More than [`MAX_BOOTSTRAP_BYTES`].
    #[error("the bootstrap is larger than {MAX_BOOTSTRAP_BYTES} bytes; restore in smaller parts")]
    TooLarge,
    /// A line of more than [`MAX_LINE_BYTES`].
    #[error("line {0} of the bootstrap is longer than {MAX_LINE_BYTES} bytes")]
    LongLine(usize),
    /// Not text.
    #[error("line {0} of the bootstrap is not UTF-8 text")]
    Text(usize),
    /// No `keyword=value`.
    #[error("line {0} of the bootstrap is not of the form keyword=value")]
    NoStatement(usize),
    /// A keyword that no storage knows.
    #[error("line {line} of the bootstrap has the unknown keyword \"{keyword}\"")]
    Keyword {
        /// The line.
        line: usize,
        /// The keyword, cut to a sensible length.
        keyword: String,
    },
    /// A quoted value without its end, or text after the value.
    #[error("line {0} of the bootstrap holds more than one keyword=value; write each on a line of its own")]
    Trailing(usize),
    /// A name that cannot be one.
    #[error("line {line} of the bootstrap does not name a {what}: {source}")]
    Name {
        /// The line.
        line: usize,
        /// What it should name.
        what: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
}

/// Collects the messages that make up a bootstrap.
#[derive(Debug, Default)]
pub struct BootstrapReader {
    text: BytesMut,
}

impl BootstrapReader {
    /// Nothing collected yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one message after the `bootstrap` command.
    ///
    /// # Errors
    /// [`BootstrapError::TooLarge`].
    pub fn push(&mut self, message: &[u8]) -> Result<(), BootstrapError> {
        if message.len() > MAX_BOOTSTRAP_BYTES.saturating_sub(self.text.len()) {
            return Err(BootstrapError::TooLarge);
        }
        self.text.extend_from_slice(message);
        Ok(())
    }

    /// The signal that ends the list has come.
    ///
    /// # Errors
    /// When the text is not a bootstrap; the storage's answer to that is `3904 Error bootstrap`.
    pub fn finish(self) -> Result<Bootstrap, BootstrapError> {
        Bootstrap::parse(self.text.freeze())
    }
}

/// A bootstrap: its text and the groups in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    text: Bytes,
    groups: Vec<Group>,
}

/// One group: a volume, or several, and what to read of it. Groups do not depend on each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    text: Bytes,
    volumes: Vec<VolumeName>,
    media_type: Option<MediaType>,
    device: Option<DeviceName>,
}

/// A line whose value may be another word at a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// `MediaType=`.
    MediaType(&'a str),
    /// `Device=`.
    Device(&'a str),
}

impl Bootstrap {
    /// Reads a whole bootstrap.
    ///
    /// # Errors
    /// When it is too large, has an unknown keyword or a form that could hide a volume.
    pub fn parse(text: Bytes) -> Result<Self, BootstrapError> {
        if text.len() > MAX_BOOTSTRAP_BYTES {
            return Err(BootstrapError::TooLarge);
        }
        let mut cutter = Cutter::default();
        let mut at = 0_usize;
        for (number, line) in lines(&text).enumerate() {
            cutter.line(&text, at, number.saturating_add(1), line)?;
            at = at.saturating_add(line.len());
        }
        cutter.close(&text, at);
        Ok(Self {
            text,
            groups: cutter.groups,
        })
    }

    /// The groups, in their order. None when no line names a volume.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The text as it came.
    #[must_use]
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The lines as they came, each with its end of line.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        lines(&self.text)
    }

    /// Each volume once, in order of first appearance, as a storage reads them.
    #[must_use]
    pub fn volumes(&self) -> Vec<VolumeName> {
        let mut seen = std::collections::HashSet::new();
        let all = self.groups.iter().flat_map(|group| group.volumes.iter());
        all.filter(|volume| seen.insert((*volume).clone())).cloned().collect()
    }

    /// The text with other words for media types and devices; see [`with_names`].
    #[must_use]
    pub fn with_names<F>(&self, map: F) -> Bytes
    where
        F: FnMut(Named<'_>) -> Option<String>,
    {
        with_names(&self.text, map)
    }
}

impl Group {
    /// The volumes which it names: one, or several that were written with `|` between them.
    #[must_use]
    pub fn volumes(&self) -> &[VolumeName] {
        &self.volumes
    }

    /// The media type, if the group has one.
    #[must_use]
    pub fn media_type(&self) -> Option<&MediaType> {
        self.media_type.as_ref()
    }

    /// The Director's device name, if the group has one.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceName> {
        self.device.as_ref()
    }

    /// Its stretch of the text as it came.
    #[must_use]
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// Its lines as they came, each with its end of line.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        lines(&self.text)
    }
}

/// `text` with the values of `MediaType=` and `Device=` lines replaced where `map` gives another word. Every other
/// line, `Storage=` among them, stays as it is byte for byte; so does a line for which `map` gives none.
#[must_use]
pub fn with_names<F>(text: &Bytes, mut map: F) -> Bytes
where
    F: FnMut(Named<'_>) -> Option<String>,
{
    let mut changed = BytesMut::with_capacity(text.len());
    for line in lines(text) {
        let statement = Statement::read(1, line).ok().flatten();
        let replaced = statement.and_then(|statement| {
            let (keyword, word) = match (statement.keyword, statement.value.as_deref()) {
                (Keyword::MediaType, Some(value)) => ("MediaType", map(Named::MediaType(value))),
                (Keyword::Device, Some(value)) => ("Device", map(Named::Device(value))),
                _ => return None,
            };
            word.map(|word| format!("{keyword}=\"{}\"\n", word.replace('\\', "\\\\").replace('"', "\\\"")))
        });
        match replaced {
            Some(line) => changed.extend_from_slice(line.as_bytes()),
            None => changed.extend_from_slice(line),
        }
    }
    changed.freeze()
}

/// The lines of `text`, each with its end of line; the last may lack it.
pub fn lines(text: &Bytes) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n')
}

/// Cuts the text into groups while it goes through the lines.
#[derive(Debug, Default)]
struct Cutter {
    groups: Vec<Group>,
    /// Where the open group begins.
    start: usize,
    open: Vec<VolumeName>,
    media_type: Option<MediaType>,
    device: Option<DeviceName>,
    /// Where the `Storage=` line stands that belongs to the next `Volume=` line.
    storage: Option<usize>,
}

impl Cutter {
    fn line(&mut self, text: &Bytes, at: usize, number: usize, line: &[u8]) -> Result<(), BootstrapError> {
        let Some(statement) = Statement::read(number, line)? else {
            return Ok(());
        };
        let value = statement.value.as_deref().unwrap_or_default();
        match statement.keyword {
            Keyword::Storage => {
                self.storage.get_or_insert(at);
                return Ok(());
            }
            Keyword::Volume => {
                if !self.open.is_empty() {
                    self.close(text, self.storage.unwrap_or(at));
                }
                self.open = volumes(number, value)?;
            }
            // Before a volume these two are an error line to the storage and nothing more.
            Keyword::MediaType if !self.open.is_empty() && !value.is_empty() => {
                let name = MediaType::new(value);
                self.media_type = Some(name.map_err(|source| named(number, "media type", source))?);
            }
            Keyword::Device if !self.open.is_empty() && !value.is_empty() => {
                let name = DeviceName::new(value);
                self.device = Some(name.map_err(|source| named(number, "device", source))?);
            }
            Keyword::MediaType | Keyword::Device | Keyword::Other => {}
        }
        self.storage = None;
        Ok(())
    }

    /// Ends the open group at `end`, where the next one begins.
    fn close(&mut self, text: &Bytes, end: usize) {
        if self.open.is_empty() {
            return;
        }
        self.groups.push(Group {
            text: text.slice(self.start..end),
            volumes: std::mem::take(&mut self.open),
            media_type: self.media_type.take(),
            device: self.device.take(),
        });
        self.start = end;
    }
}

fn named(line: usize, what: &'static str, source: NameError) -> BootstrapError {
    BootstrapError::Name { line, what, source }
}

/// The volumes of one `Volume=` value.
fn volumes(line: usize, value: &str) -> Result<Vec<VolumeName>, BootstrapError> {
    value
        .split('|')
        .map(|name| VolumeName::new(name).map_err(|source| named(line, "volume", source)))
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Storage,
    Volume,
    MediaType,
    Device,
    Other,
}

/// One `keyword=value`.
struct Statement {
    keyword: Keyword,
    /// The value of the four keywords that matter here.
    value: Option<String>,
}

impl Statement {
    /// Reads line `number`; `None` for an empty line or a comment.
    fn read(number: usize, line: &[u8]) -> Result<Option<Self>, BootstrapError> {
        if line.len() > MAX_LINE_BYTES {
            return Err(BootstrapError::LongLine(number));
        }
        let line = std::str::from_utf8(line).map_err(|_| BootstrapError::Text(number))?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        if line.contains('\0') {
            return Err(BootstrapError::Text(number));
        }
        let line = line.trim_matches(blank);
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (keyword, value) = line.split_once('=').ok_or(BootstrapError::NoStatement(number))?;
        // A storage takes blanks inside a keyword, as Bacula's daemons do in their configurations.
        let keyword = keyword.replace(blank, "").to_ascii_lowercase();
        if !KEYWORDS.contains(&keyword.as_str()) {
            return Err(BootstrapError::Keyword {
                line: number,
                keyword: keyword.chars().take(40).collect(),
            });
        }
        let value = value.trim_start_matches(blank);
        let keyword = match keyword.as_str() {
            "storage" => Keyword::Storage,
            "volume" => Keyword::Volume,
            "mediatype" => Keyword::MediaType,
            "device" => Keyword::Device,
            _ => Keyword::Other,
        };
        if keyword == Keyword::Other {
            return if hides_more(value) {
                Err(BootstrapError::Trailing(number))
            } else {
                Ok(Some(Self { keyword, value: None }))
            };
        }
        match word(value) {
            Some((value, rest)) if ends_here(rest) => Ok(Some(Self {
                keyword,
                value: Some(value),
            })),
            _ => Err(BootstrapError::Trailing(number)),
        }
    }
}

fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// A further statement stands behind the value of a keyword whose value does not matter here: a storage ends the
/// statement at a `;`, and goes on over the end of a line in a quoted text that is not closed.
fn hides_more(value: &str) -> bool {
    if value.starts_with('"') {
        return word(value).is_none_or(|(_, rest)| rest.split_once(';').is_some_and(|(_, rest)| !ends_here(rest)));
    }
    value.split_once(';').is_some_and(|(_, rest)| !ends_here(rest))
}

/// Nothing but blanks, empty statements and a comment is left of the line.
fn ends_here(rest: &str) -> bool {
    let rest = rest.trim_start_matches(|c| blank(c) || c == ';');
    rest.is_empty() || rest.starts_with('#')
}

/// The first word of `text`, quoted or plain, and what stands behind it. `None` if a quote is not closed.
fn word(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c| blank(c) || matches!(c, ';' | ',' | '#' | '=' | '{' | '}' | '"'))
            .unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        return Some((word.to_owned(), rest));
    };
    let mut word = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                word.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return quoted.get(at.checked_add(1)?..).map(|rest| (word, rest)),
            _ => word.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO: &str = "Storage=\"File4\"\nVolume=\"dir-File4-0001\"\nMediaType=\"File4\"\nDevice=\"FileDev4\"\n\
        VolSessionId=1\nVolSessionTime=1795393237\nVolAddr=217-3414\nFileIndex=1-5\nCount=5\n\
        Storage=\"File4\"\nVolume=\"B\"\nMediaType=\"File4\"\nVolSessionId=2\nFileIndex=7\nCount=1\n";

    fn parse(text: &str) -> Result<Bootstrap, BootstrapError> {
        Bootstrap::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn names(group: &Group) -> Vec<&str> {
        group.volumes().iter().map(VolumeName::as_str).collect()
    }

    #[test]
    fn groups_are_cut_before_their_storage_line() {
        let bootstrap = parse(TWO).unwrap();
        let [first, second] = bootstrap.groups() else {
            panic!("{bootstrap:?}")
        };
        assert_eq!((names(first), first.lines().count()), (vec!["dir-File4-0001"], 9));
        assert_eq!(first.media_type().map(MediaType::as_str), Some("File4"));
        assert_eq!(first.device().map(DeviceName::as_str), Some("FileDev4"));
        assert_eq!((names(second), second.device()), (vec!["B"], None));
        assert_eq!(second.lines().next(), Some(&b"Storage=\"File4\"\n"[..]));
        assert_eq!([&first.text()[..], &second.text()[..]].concat(), TWO.as_bytes());
    }

    #[test]
    fn groups_without_a_storage_line_are_cut_before_their_volume() {
        let bootstrap =
            parse("# by hand\nvolume = A|B\nVolFile=0-3\n\nVolume=C # the rest\nSTORAGE=\"\"\nslot=3\n").unwrap();
        let [first, second] = bootstrap.groups() else {
            panic!("{bootstrap:?}")
        };
        assert_eq!(names(first), ["A", "B"]);
        assert_eq!(&first.text()[..], b"# by hand\nvolume = A|B\nVolFile=0-3\n\n");
        assert_eq!((names(second), second.lines().count()), (vec!["C"], 3));
    }

    #[test]
    fn a_line_may_come_in_pieces() {
        let mut reader = BootstrapReader::new();
        for piece in TWO.as_bytes().chunks(7) {
            reader.push(piece).unwrap();
        }
        assert_eq!(reader.finish().unwrap(), parse(TWO).unwrap());
    }

    #[test]
    fn names_are_rewritten_and_nothing_else() {
        let mapped = parse(TWO).unwrap().with_names(|name| match name {
            Named::MediaType("File4") => Some("Disk \"4\"".into()),
            Named::Device("FileDev4") => Some("Drive".into()),
            _ => None,
        });
        let expected = TWO
            .replace("MediaType=\"File4\"", "MediaType=\"Disk \\\"4\\\"\"")
            .replace("FileDev4", "Drive");
        assert_eq!(mapped, expected.as_bytes());
        let again = Bootstrap::parse(mapped).unwrap();
        assert_eq!(
            again.groups()[0].media_type().map(MediaType::as_str),
            Some("Disk \"4\"")
        );
        assert_eq!(parse(TWO).unwrap().with_names(|_| None), TWO.as_bytes());
    }

    #[test]
    fn a_volume_is_listed_once_in_order_of_appearance() {
        let bootstrap = parse("Volume=B\nVolume=A|B\nVolume=C\n").unwrap();
        let all = bootstrap.volumes();
        assert_eq!(all.iter().map(VolumeName::as_str).collect::<Vec<_>>(), ["B", "A", "C"]);
    }

    #[test]
    fn what_could_hide_a_volume_is_refused() {
        assert_eq!(parse("Volume=A; Volume=B\n"), Err(BootstrapError::Trailing(1)));
        assert_eq!(parse("Volume=A\nSlot=1; Volume=B\n"), Err(BootstrapError::Trailing(2)));
        assert_eq!(parse("Volume=\"A\n"), Err(BootstrapError::Trailing(1)));
        assert_eq!(
            parse("Volume=A\nFileRegex=\"x\nVolume=B\n"),
            Err(BootstrapError::Trailing(2))
        );
        assert_eq!(parse("Volume=\"A\" B\n"), Err(BootstrapError::Trailing(1)));
        assert_eq!(parse("@/etc/more.bsr\n"), Err(BootstrapError::NoStatement(1)));
        assert_eq!(parse("Volume\n"), Err(BootstrapError::NoStatement(1)));
        assert_eq!(
            parse("Volume=A\nSize=3\n"),
            Err(BootstrapError::Keyword {
                line: 2,
                keyword: "size".into()
            })
        );
        assert!(matches!(
            parse("Volume=A||B\n"),
            Err(BootstrapError::Name {
                line: 1,
                what: "volume",
                ..
            })
        ));
        assert_eq!(
            Bootstrap::parse(Bytes::from_static(b"Volume=\xff\n")),
            Err(BootstrapError::Text(1))
        );
        assert!(parse("Volume=\"A;B#C\";\nFileRegex=\"a;b\"\nFileRegex=.*\\.txt$\n").is_ok());
    }

    #[test]
    fn sizes_are_bounded() {
        let long = format!("Volume={}\n", "A|".repeat(MAX_LINE_BYTES));
        assert_eq!(parse(&long), Err(BootstrapError::LongLine(1)));
        let mut reader = BootstrapReader::new();
        let chunk = vec![b'\n'; 1 << 20];
        let taken = (0..100).take_while(|_| reader.push(&chunk).is_ok()).count();
        assert_eq!(taken, MAX_BOOTSTRAP_BYTES >> 20);
    }

    #[test]
    fn an_empty_bootstrap_has_no_groups() {
        assert_eq!(parse("").unwrap().groups(), []);
        assert_eq!(parse("Storage=\"File4\"\n").unwrap().groups(), []);
    }

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "[A-Za-z0-9.-]{1,12}".prop_map(|name| format!("Volume=\"{name}\"\n")),
            "[A-Za-z0-9|]{0,5}[a-z]".prop_map(|name| format!("Volume={name}\n")),
            Just("Storage=\"S\"\n".to_owned()),
            Just("MediaType=\"File\"\n".to_owned()),
            Just("# a comment\n".to_owned()),
            Just("FileIndex=1-9\n".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn groups_joined_are_the_text(lines in prop::collection::vec(line(), 0..40)) {
            let text = lines.concat();
            if let Ok(bootstrap) = parse(&text) {
                let joined: Vec<u8> = bootstrap.groups().iter().flat_map(|group| group.text().to_vec()).collect();
                if bootstrap.groups().is_empty() {
                    prop_assert!(!text.contains("Volume"));
                } else {
                    prop_assert_eq!(&joined, text.as_bytes());
                }
                for group in bootstrap.groups() {
                    let alone = Bootstrap::parse(group.text().clone()).unwrap();
                    prop_assert_eq!(alone.groups().len(), 1);
                    prop_assert_eq!(alone.groups()[0].volumes(), group.volumes());
                }
                prop_assert_eq!(bootstrap.with_names(|_| None), text.as_bytes());
            }
        }

        #[test]
        fn no_bytes_make_the_reader_fail_in_another_way_than_by_an_error(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let text = Bytes::from(text);
            let changed = with_names(&text, |_| None);
            prop_assert_eq!(&changed, &text);
            if let Ok(bootstrap) = Bootstrap::parse(text.clone()) {
                prop_assert_eq!(bootstrap.lines().map(<[u8]>::len).sum::<usize>(), text.len());
            }
        }
    }
}
