//! The log: lines on standard error, as text for people and the journal or as JSON for machines.

use std::fmt;
use std::io::{self, IsTerminal as _};

use std::sync::Arc;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, field, fmt as lines};

use super::codes;
use super::event::Panicked;
use super::limit::{Limit, Limited, Summary};

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One line of text: time, level, sentence, fields. Towards the journal without the time, which it has itself.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is no level.
    #[error("LogLevel = {level:?} cannot be used ({why}); write error, warn, info, debug or trace")]
    Level {
        /// What was configured.
        level: String,
        /// What is wrong with it.
        why: String,
    },
    /// The process has a log already.
    #[error("the log was set up twice in one process")]
    Twice,
}

/// Sets the log of the process up: to standard error, from `level` on.
///
/// # Errors
/// [`LogError`], also when it was done before.
pub fn install(format: Format, level: &str) -> Result<(), LogError> {
    let subscriber = subscriber(format, level, to_journal(), io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)
}

/// Has panics told as [`Panicked`](super::event::Panicked) from now on, instead of as bare text.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let formatted = payload.downcast_ref::<String>().map(String::as_str);
        let message = formatted
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        match panic.location() {
            Some(place) => Panicked { message, place }.emit(),
            None => Panicked {
                message,
                place: &"unknown",
            }
            .emit(),
        }
    }));
}

/// Whether systemd says that a stream of ours ends in the journal.
fn to_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal()
}

/// A subscriber that writes to `writer`.
pub(super) fn subscriber<W>(
    format: Format,
    level: &str,
    journal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level).map_err(|error| LogError::Level {
        level: level.to_owned(),
        why: error.to_string(),
    })?;
    let limit = Arc::new(Limit::default());
    let kept = tracing_subscriber::registry()
        .with(filter)
        .with(Limited(Arc::clone(&limit)));
    let layer = lines::layer().with_writer(writer).with_ansi(false).with_target(false);
    let coded = Coded {
        fields: DefaultFields::new(),
        limit: Arc::clone(&limit),
    };
    Ok(match (format, journal) {
        (Format::Text, false) => Box::new(kept.with(layer.fmt_fields(coded))),
        (Format::Text, true) => Box::new(kept.with(layer.fmt_fields(coded).event_format(ForJournal::new()))),
        (Format::Json, _) => {
            let layer = layer.json().flatten_event(true);
            Box::new(kept.with(layer.map_event_format(|format| CodedJson { format, limit })))
        }
    })
}

/// The message's code, then its text and fields, then how many lines like it were left out before.
struct Coded {
    fields: DefaultFields,
    limit: Arc<Limit>,
}

impl<'writer> FormatFields<'writer> for Coded {
    fn format_fields<R: field::RecordFields>(&self, mut writer: Writer<'writer>, record: R) -> fmt::Result {
        let name = Summary::of(|visit| record.record(visit)).name.unwrap_or_default();
        if let Some(code) = codes::of_event(&name) {
            write!(writer, "[{}] ", code.text)?;
        }
        self.fields.format_fields(writer.by_ref(), record)?;
        match self.limit.take_left_out(&name) {
            0 => Ok(()),
            left_out => write!(writer, " left_out={left_out}"),
        }
    }
}

/// The same in JSON: the code and the count are fields.
struct CodedJson {
    format: format::Format<Json>,
    limit: Arc<Limit>,
}

impl<S, N> FormatEvent<S, N> for CodedJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let name = Summary::of(|visit| event.record(visit)).name.unwrap_or_default();
        let Some(fields) = line.strip_prefix('{') else {
            return writer.write_str(&line);
        };
        writer.write_char('{')?;
        if let Some(code) = codes::of_event(&name) {
            write!(writer, "\"code\":\"{}\",", code.text)?;
        }
        match self.limit.take_left_out(&name) {
            0 => {}
            left_out => write!(writer, "\"left_out\":{left_out},")?,
        }
        writer.write_str(fields)
    }
}

/// Text lines that begin with the priority the journal understands (`sd-daemon(3)`) and carry no time.
struct ForJournal(format::Format<Full, ()>);

impl ForJournal {
    fn new() -> Self {
        Self(
            format()
                .without_time()
                .with_level(false)
                .with_target(false)
                .with_ansi(false),
        )
    }
}

impl<S, N> FormatEvent<S, N> for ForJournal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => "<3>",
            Level::WARN => "<4>",
            Level::INFO => "<6>",
            _ => "<7>",
        };
        writer.write_str(priority)?;
        self.0.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::event::{ConfigWarning, LoginRefused, SessionKind};
    use crate::telemetry::testing::LogLines;

    fn warn() {
        ConfigWarning { warning: &"x" }.emit();
    }

    #[test]
    fn the_journal_gets_a_priority_and_no_time() {
        let lines = LogLines::default();
        let subscriber = subscriber(Format::Text, "info", true, lines.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, warn);
        let text = lines.text();
        assert!(text.starts_with("<4>[SG0010] the configuration says"), "{text}");
        assert!(text.contains(r#"event="config_warning""#), "{text}");
    }

    #[test]
    fn a_line_has_its_code_and_what_a_stranger_repeats_is_left_out() {
        for (format, first, later) in [
            (Format::Text, "[SG0203] login refused", " left_out="),
            (Format::Json, "{\"code\":\"SG0203\",", "\"left_out\":"),
        ] {
            let lines = LogLines::default();
            let refuse = || {
                LoginRefused {
                    kind: SessionKind::Director,
                    peer: ([192, 0, 2, 7], 4711).into(),
                    name: None,
                    cause: "wrong_password",
                    error: &"no",
                }
                .emit();
            };
            let subscriber = subscriber(format, "info", false, lines.clone()).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                (0..100).for_each(|_| refuse());
                let written = lines.text();
                assert!(written.lines().all(|line| line.contains(first)), "{written}");
                assert_eq!(written.lines().count(), 30, "{written}");
                let wait = std::time::Instant::now();
                while !lines.text().contains(later) {
                    assert!(wait.elapsed().as_secs() < 30, "{}", lines.text());
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    refuse();
                }
            });
        }
    }

    #[test]
    fn a_line_below_the_level_is_not_written() {
        let lines = LogLines::default();
        let subscriber = subscriber(Format::Json, "error", false, lines.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, warn);
        assert_eq!(lines.text(), "");
    }

    #[test]
    fn a_wrong_level_says_what_to_write() {
        let error = install(Format::Text, "sdgroup=chatty").unwrap_err().to_string();
        assert!(error.contains("chatty") && error.contains("info"), "{error}");
    }
}
