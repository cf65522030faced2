//! Lines of text: words and `key=value` fields between blanks, as Bacula's own scanner reads them
//! (`src/lib/scan.c`), and the escape for blanks inside a name (`bash_spaces`).

use std::borrow::Cow;
use std::str::FromStr;

use crate::types::NameError;

/// What stands for a blank inside a name.
const BLANK: u8 = 1;

/// The longest part of a peer's text that an error repeats, in bytes.
const SHOWN_BYTES: usize = 60;

/// Why a line is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The line does not go on as the command or answer does.
    #[error("expected {expected:?} at {found:?}")]
    Expected {
        /// What the message has there.
        expected: &'static str,
        /// The beginning of what came.
        found: String,
    },
    /// A number is missing, has other characters than digits, or is too large.
    #[error("{found:?} is not a number that fits here")]
    Number {
        /// What came.
        found: String,
    },
    /// A name cannot be a name.
    #[error("{found:?} is not a name: {source}")]
    Name {
        /// What came.
        found: String,
        /// Why not.
        source: NameError,
    },
    /// A name is not UTF-8.
    #[error("the name {found:?} is not UTF-8")]
    Encoding {
        /// What came, with the bad bytes replaced.
        found: String,
    },
}

/// The beginning of `bytes` as text for an error: short whatever a peer sent, and never a job's key.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let part = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    let keys = [&b"Authorization="[..], b"Authentication="];
    let key = (0..part.len()).find(|&at| {
        keys.iter()
            .any(|key| part.get(at..).is_some_and(|rest| rest.starts_with(key)))
    });
    String::from_utf8_lossy(key.and_then(|at| part.get(..at)).unwrap_or(part)).into_owned()
}

/// `name` with each blank written as byte 1, as it goes into a line.
#[must_use]
pub fn escape(name: &[u8]) -> Cow<'_, [u8]> {
    swap(name, b' ', BLANK)
}

/// A name from a line, byte 1 read as a blank.
#[must_use]
pub fn unescape(word: &[u8]) -> Cow<'_, [u8]> {
    swap(word, BLANK, b' ')
}

fn swap(bytes: &[u8], from: u8, to: u8) -> Cow<'_, [u8]> {
    if !bytes.contains(&from) {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().map(|&byte| if byte == from { to } else { byte }).collect())
}

/// Whether Bacula's scanner takes the byte for a blank.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// A word of a line as text, blanks as blanks.
///
/// # Errors
/// When it is not UTF-8.
pub fn word_text(word: &[u8]) -> Result<String, LineError> {
    String::from_utf8(unescape(word).into_owned()).map_err(|error| LineError::Encoding {
        found: shown(error.as_bytes()),
    })
}

/// A word of a line as a name, blanks as blanks. `make` is the name type's `new`.
///
/// # Errors
/// When it is not UTF-8 or not a name.
pub fn name<T>(word: &[u8], make: impl FnOnce(&str) -> Result<T, NameError>) -> Result<T, LineError> {
    let text = word_text(word)?;
    make(&text).map_err(|source| LineError::Name {
        found: shown(text.as_bytes()),
        source,
    })
}

/// A word of a line as a number of decimal digits.
///
/// # Errors
/// When it has no digit, another character, or does not fit.
pub fn number<T: FromStr>(word: &[u8]) -> Result<T, LineError> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    std::str::from_utf8(word)
        .ok()
        .filter(|_| digits.iter().all(u8::is_ascii_digit))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| LineError::Number { found: shown(word) })
}

/// Reads a line from left to right.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// Reads `line`.
    #[must_use]
    pub fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// Takes `text`, which must come next. A blank in it stands for any number of blanks, also for none, as in
    /// Bacula's scanner.
    ///
    /// # Errors
    /// When something else comes next; nothing is taken then.
    pub fn literal(&mut self, text: &'static str) -> Result<&mut Self, LineError> {
        let mut rest = self.rest;
        for &byte in text.as_bytes() {
            if is_blank(byte) {
                rest = without_blanks(rest);
                continue;
            }
            rest = match rest.split_first() {
                Some((&first, after)) if first == byte => after,
                _ => {
                    return Err(LineError::Expected {
                        expected: text,
                        found: shown(self.rest),
                    });
                }
            };
        }
        self.rest = rest;
        Ok(self)
    }

    /// Whether `text` came next; if so it is taken.
    pub fn accepts(&mut self, text: &'static str) -> bool {
        self.literal(text).is_ok()
    }

    /// Takes the bytes up to the next blank; there may be none.
    pub fn word(&mut self) -> &'a [u8] {
        let end = self
            .rest
            .iter()
            .position(|&byte| is_blank(byte))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        word
    }

    /// Takes a number of decimal digits and leaves what follows it.
    ///
    /// # Errors
    /// When no digit comes next or the number does not fit.
    pub fn number<T: FromStr>(&mut self) -> Result<T, LineError> {
        let sign = usize::from(self.rest.first() == Some(&b'-'));
        let digits = self
            .rest
            .iter()
            .skip(sign)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (word, rest) = self.rest.split_at_checked(sign + digits).unwrap_or((self.rest, &[]));
        let value = number(word)?;
        self.rest = rest;
        Ok(value)
    }

    /// Takes a number that stands for yes (not 0) or no (0).
    ///
    /// # Errors
    /// When no number comes next.
    pub fn flag(&mut self) -> Result<bool, LineError> {
        Ok(self.number::<i32>()? != 0)
    }

    /// Takes a number of 32 bits, which some senders print as a signed one.
    ///
    /// # Errors
    /// When no number comes next or it has more than 32 bits.
    pub fn word32(&mut self) -> Result<u32, LineError> {
        let rest = self.rest;
        let value: i64 = self.number()?;
        u32::try_from(value)
            .or_else(|_| i32::try_from(value).map(i32::cast_unsigned))
            .map_err(|_| LineError::Number { found: shown(rest) })
    }

    /// Takes a word as a name, blanks as blanks.
    ///
    /// # Errors
    /// When it is not a name.
    pub fn name<T>(&mut self, make: impl FnOnce(&str) -> Result<T, NameError>) -> Result<T, LineError> {
        name(self.word(), make)
    }

    /// What has not been taken.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

fn without_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|&&byte| is_blank(byte)).count();
    bytes.get(blanks..).unwrap_or_default()
}

/// Where the value of `key=` is in `line`: after the first word that begins with it.
fn value_range(line: &[u8], key: &str) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    loop {
        let rest = line.get(at..)?;
        let blanks = rest.iter().take_while(|&&byte| is_blank(byte)).count();
        let word = rest.get(blanks..)?;
        if word.is_empty() {
            return None;
        }
        let length = word.iter().position(|&byte| is_blank(byte)).unwrap_or(word.len());
        let start = at + blanks;
        let value = word
            .get(..length)
            .and_then(|word| word.strip_prefix(key.as_bytes()))
            .and_then(|word| word.strip_prefix(b"="));
        if let Some(value) = value {
            return Some(start + length - value.len()..start + length);
        }
        at = start + length;
    }
}

/// The value of `key=` in a line of fields, as it stands there (names escaped). `None` when the line has no such
/// field.
#[must_use]
pub fn field<'a>(line: &'a [u8], key: &str) -> Option<&'a [u8]> {
    line.get(value_range(line, key)?)
}

/// `line` with another value for `key=` and every other byte as it was; `None` when it has no such field. `value` is
/// written as it is: a name must be [`escape`]d.
#[must_use]
pub fn with_field(line: &[u8], key: &str, value: &[u8]) -> Option<Vec<u8>> {
    let range = value_range(line, key)?;
    let (before, after) = (line.get(..range.start)?, line.get(range.end..)?);
    Some([before, value, after].concat())
}

/// Writes a line from left to right.
#[derive(Debug, Clone, Default)]
pub struct LineWriter(Vec<u8>);

impl LineWriter {
    /// An empty line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes` as they are.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// Adds a name, blanks as byte 1.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.0.extend_from_slice(&escape(name.as_bytes()));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, number: impl Into<i128>) -> Self {
        self.raw(number.into().to_string())
    }

    /// Adds 1 or 0.
    #[must_use]
    pub fn flag(self, flag: bool) -> Self {
        self.raw(if flag { "1" } else { "0" })
    }

    /// The line.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::VolumeName;
    use proptest::prelude::*;

    #[test]
    fn a_blank_in_a_pattern_stands_for_any_number_of_blanks() {
        let mut scanner = Scanner::new(b"level = full  mtime_only=0 \n");
        scanner.literal("level  =").unwrap();
        scanner.literal(" ").unwrap();
        assert_eq!(scanner.word(), b"full");
        scanner.literal(" mtime_only = ").unwrap();
        assert_eq!(scanner.number::<u32>(), Ok(0));
        scanner.literal(" \n").unwrap();
        assert_eq!(scanner.rest(), b"");
    }

    #[test]
    fn a_mismatch_takes_nothing() {
        let mut scanner = Scanner::new(b"use stor=x");
        assert!(scanner.literal("use storage=").is_err());
        assert_eq!(scanner.rest(), b"use stor=x");
    }

    #[test]
    fn a_number_has_digits_and_fits() {
        assert_eq!(number::<u32>(b"4294967295"), Ok(u32::MAX));
        assert!(number::<u32>(b"4294967296").is_err());
        assert!(number::<u32>(b"").is_err());
        assert!(number::<u32>(b"+1").is_err());
        assert!(number::<u32>(b"1x").is_err());
        assert_eq!(number::<i64>(b"-1"), Ok(-1));
        assert!(number::<i64>(b"-").is_err());
        assert!(Scanner::new(b"").number::<u8>().is_err());
    }

    #[test]
    fn a_field_is_a_whole_word() {
        let line = b"CatReq JobId=1 UpdateMedia VolName=a VolBytes=5 MaxVolBytes=7 Slot=\n";
        assert_eq!(field(line, "VolBytes"), Some(&b"5"[..]));
        assert_eq!(field(line, "Slot"), Some(&b""[..]));
        assert_eq!(field(line, "Bytes"), None);
        assert_eq!(
            with_field(line, "VolBytes", b"123").unwrap(),
            b"CatReq JobId=1 UpdateMedia VolName=a VolBytes=123 MaxVolBytes=7 Slot=\n"
        );
        assert_eq!(with_field(line, "Gone", b"1"), None);
    }

    #[test]
    fn an_error_never_shows_a_key() {
        let error = Scanner::new(b"SDid=1 Authorization=HABA-MPLP\n")
            .literal("SDtime=")
            .unwrap_err();
        assert_eq!(error.to_string(), r#"expected "SDtime=" at "SDid=1 ""#);
    }

    #[test]
    fn a_name_that_is_not_text_is_an_error() {
        assert!(matches!(
            name(b"a\xffb", VolumeName::new),
            Err(LineError::Encoding { .. })
        ));
        assert!(matches!(name(b"", VolumeName::new), Err(LineError::Name { .. })));
        assert_eq!(name(b"a\x01b", VolumeName::new).unwrap().as_str(), "a b");
    }

    proptest! {
        #[test]
        fn a_name_survives_the_escape(name in "[ -~]{0,40}") {
            let escaped = escape(name.as_bytes()).into_owned();
            prop_assert!(!escaped.contains(&b' '));
            prop_assert_eq!(unescape(&escaped).into_owned(), name.as_bytes());
        }

        #[test]
        fn a_rewritten_field_reads_back(before in "[a-z =]{0,20}", value in "[!-~]{0,10}", after in "[ -~]{0,20}") {
            let line = format!("{before} key=old {after}\n");
            let rewritten = with_field(line.as_bytes(), "key", value.as_bytes()).unwrap();
            prop_assert_eq!(field(&rewritten, "key"), Some(value.as_bytes()));
        }

        #[test]
        fn any_bytes_can_be_scanned(line in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut scanner = Scanner::new(&line);
            let mut words = 0;
            while !scanner.rest().is_empty() {
                words += scanner.word().len();
                let _ = scanner.accepts(" ");
            }
            prop_assert_eq!(words, line.iter().filter(|&&byte| !is_blank(byte)).count());
            let _ = field(&line, "a");
            let _ = with_field(&line, "a", b"1");
        }
    }
}
