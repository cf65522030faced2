//! Problems of a configuration, shown as a compiler shows its own: what, where, the line, and what to do.
//!
//! The line that is shown never holds a password: [`Source`] is told which stretches of the text are secret, and
//! nothing else may quote the text.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A stretch of the configuration's text, in bytes.
pub(crate) type Span = Range<usize>;

/// What stands in a shown line for a stretch that is secret.
const MASK: &str = "***";

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but probably not as it was meant.
    Warning,
}

impl Severity {
    /// The word that begins the text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// Where in the file; `None` for what concerns the file as a whole.
    pub place: Option<Place>,
    /// What is wrong, in one sentence without a full stop.
    pub text: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line itself, its secrets masked.
    excerpt: String,
    /// Where the caret stands in the excerpt, in characters, and how many there are.
    caret: (usize, usize),
}

impl Problem {
    /// A problem of the file as a whole.
    #[must_use]
    pub fn of_file(file: &Path, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            place: None,
            text: text.into(),
            advice: Some(advice.into()),
        }
    }

    /// Whether the configuration cannot be used because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        writeln!(f, "{}: {}", self.severity.as_str(), self.text)?;
        let mut margin = " ".to_owned();
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            margin = " ".repeat(number.len());
            let (caret, width) = place.caret;
            writeln!(f, "{margin}--> {file}:{}:{}", place.line, place.column)?;
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {}", place.excerpt)?;
            writeln!(f, "{margin} | {}{}", " ".repeat(caret), "^".repeat(width))?;
        } else {
            writeln!(f, " --> {file}")?;
        }
        match &self.advice {
            Some(advice) => writeln!(f, "{margin} = advice: {advice}"),
            None => Ok(()),
        }
    }
}

/// The text that problems point into.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    file: &'a Path,
    text: &'a str,
    secrets: Vec<Span>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &'a Path, text: &'a str, secrets: Vec<Span>) -> Self {
        Self { file, text, secrets }
    }

    /// The number of the line, from 1, and its stretch without the line's end.
    fn line(&self, at: usize) -> (usize, Span) {
        let at = at.min(self.text.len());
        let before = self.text.get(..at).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = self.text.get(start..).unwrap_or_default();
        let length = rest.find('\n').unwrap_or(rest.len());
        (before.matches('\n').count() + 1, start..start + length)
    }

    fn place(&self, span: &Span) -> Place {
        let (line, stretch) = self.line(span.start);
        let mut excerpt = String::new();
        let mut columns = (0, 0);
        let mut caret = None;
        let mut width = 0;
        let mut masked_until = 0;
        for (offset, character) in self
            .text
            .get(stretch.clone())
            .unwrap_or_default()
            .trim_end()
            .char_indices()
        {
            let at = stretch.start + offset;
            columns.0 += usize::from(at < span.start);
            if at >= span.start && caret.is_none() {
                caret = Some(columns.1);
            }
            if at < masked_until {
                continue;
            }
            let shown = if let Some(secret) = self.secrets.iter().find(|secret| secret.contains(&at)) {
                masked_until = secret.end;
                MASK.len()
            } else {
                1
            };
            if masked_until > at {
                excerpt.push_str(MASK);
            } else {
                excerpt.push(if character.is_control() { ' ' } else { character });
            }
            columns.1 += shown;
            if span.contains(&at) {
                width += shown;
            }
        }
        Place {
            line,
            column: columns.0 + 1,
            excerpt,
            caret: (caret.unwrap_or(columns.1), width.max(1)),
        }
    }
}

/// Problems as they are found.
#[derive(Debug)]
pub(crate) struct Problems<'a> {
    source: Source<'a>,
    found: Vec<Problem>,
    spans: Vec<Span>,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        Self {
            source,
            found: Vec::new(),
            spans: Vec::new(),
        }
    }

    fn add(&mut self, severity: Severity, span: Option<&Span>, text: String, advice: String) {
        self.spans.extend(span.cloned());
        self.found.push(Problem {
            severity,
            file: self.source.file.to_owned(),
            place: span.map(|span| self.source.place(span)),
            text,
            advice: Some(advice).filter(|advice| !advice.is_empty()),
        });
    }

    /// Adds an error at `span`. An empty advice is none.
    pub(crate) fn error(&mut self, span: &Span, text: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Error, Some(span), text.into(), advice.into());
    }

    /// Adds a warning at `span`.
    pub(crate) fn warning(&mut self, span: &Span, text: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Warning, Some(span), text.into(), advice.into());
    }

    /// Adds an error of the file as a whole.
    pub(crate) fn error_of_file(&mut self, text: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Error, None, text.into(), advice.into());
    }

    /// Whether a line of `span` has a problem already.
    pub(crate) fn has_on_line_of(&self, span: &Span) -> bool {
        let (line, _) = self.source.line(span.start);
        self.found
            .iter()
            .any(|problem| problem.place.as_ref().is_some_and(|place| place.line == line))
    }

    /// Whether one of them is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(Problem::is_error)
    }

    /// Whether there is a problem inside of `span`.
    pub(crate) fn has_within(&self, span: &Span) -> bool {
        self.spans
            .iter()
            .any(|found| span.start <= found.start && found.end <= span.end)
    }

    /// All of them in the order of the file, those of the file as a whole last.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| {
            problem
                .place
                .as_ref()
                .map_or((usize::MAX, usize::MAX), |place| (place.line, place.column))
        });
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Span, secret: Option<Span>) -> String {
        let secrets = secret.into_iter().collect();
        let mut problems = Problems::new(Source::new(Path::new("a.toml"), text, secrets));
        problems.error(&span, "it is wrong", "right it");
        problems.into_sorted().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_caret_stands_below_what_is_wrong() {
        assert_eq!(
            shown("A = 1\nBê = 22\n", 12..14, None),
            "error: it is wrong\n --> a.toml:2:6\n  |\n2 | Bê = 22\n  |      ^^\n  = advice: right it\n"
        );
    }

    #[test]
    fn a_secret_is_masked_and_the_caret_moves_with_it() {
        let text = "x = { Password = \"hunter2\", Nam = 1 }";
        let shown = shown(text, 28..31, Some(17..26));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            shown.contains("1 | x = { Password = ***, Nam = 1 }\n  |                       ^^^\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_place_beyond_the_end_is_the_end() {
        assert!(shown("A = 1", 99..100, None).contains(":1:6\n"));
    }
}
