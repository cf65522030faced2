//! Reads the transcripts of real daemons: see tests/transcripts/README.md.

use std::collections::BTreeSet;

/// One packet of a transcript.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The connection, `#3`.
    pub(crate) connection: String,
    /// Who sent it, `DIR`, `FD`, `SD4`.
    pub(crate) from: String,
    /// To whom.
    pub(crate) to: String,
    /// The message, or the number of a signal. Long binary ones are not shown whole and left out.
    pub(crate) said: Result<Vec<u8>, i32>,
    /// Where it stands, for a failed assertion.
    pub(crate) place: String,
}

/// The transcripts that are kept, by folder.
pub(crate) const TRANSCRIPTS: &[(&str, &[&str])] = &[
    (
        "9.6.7",
        &["backup-attributes-sent", "restore", "copy", "label", "vault", "cancel"],
    ),
    ("15.0.3-tls-off", &["backup", "copy", "group-freespace"]),
];

/// Reads one.
pub(crate) fn read(folder: &str, name: &str) -> Vec<Line> {
    let path = format!("{}/tests/transcripts/{folder}/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| packet(line, format!("{folder}/{name}.txt:{}", at + 1)));
    lines.collect()
}

/// All messages of all transcripts, each once.
pub(crate) fn all_messages() -> Vec<Vec<u8>> {
    let mut once = BTreeSet::new();
    for (folder, names) in TRANSCRIPTS {
        for line in names.iter().flat_map(|name| read(folder, name)) {
            if let Ok(text) = line.said {
                once.insert(text);
            }
        }
    }
    once.into_iter().collect()
}

fn packet(line: &str, place: String) -> Option<Line> {
    let mut rest = line.trim_start();
    let mut word = || {
        let (word, after) = rest.split_once(' ')?;
        rest = after.trim_start();
        Some(word)
    };
    let (_seconds, connection, direction, head) = (word()?, word()?, word()?, word()?);
    let head = u32::from_str_radix(head, 16).ok().filter(|_| head.len() == 8)?;
    let (from, to) = direction.split_once('>')?;
    // The text may begin with blanks of its own: it stands one blank behind the length word.
    let (_, text) = line.split_once(&format!("{head:08x} "))?;
    let said = if head >> 31 == 1 {
        Err(head.cast_signed())
    } else {
        Ok(message(head, text, &place)?)
    };
    Some(Line {
        connection: connection.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        said,
        place,
    })
}

fn message(head: u32, text: &str, place: &str) -> Option<Vec<u8>> {
    let mut length = (head & 0x1fff_ffff) as usize;
    let mut shown = text;
    if head & 1 << 30 != 0 {
        let (note, after) = text.strip_prefix("(lz4 ")?.split_once(") ")?;
        length = note.split_once("->")?.1.parse().ok()?;
        shown = after;
    }
    let bytes = match shown.strip_prefix('<').and_then(|rest| rest.split_once(" bytes> ")) {
        Some((_, hex)) if hex.ends_with("...") => return None,
        Some((_, hex)) => (0..hex.len())
            .step_by(2)
            .filter_map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
            .collect(),
        None => unescaped(shown),
    };
    assert_eq!(bytes.len(), length, "{place}: {shown:?}");
    Some(bytes)
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'\\', [b'n', after @ ..]) => {
                bytes.push(b'\n');
                rest = after;
            }
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("hexadecimal digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("a byte"));
                rest = after;
            }
            _ => bytes.push(byte),
        }
    }
    bytes
}
