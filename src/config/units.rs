//! Times, sizes and shares, written as Bacula's configuration files write them.
//!
//! Bacula `src/lib/edit.c` (`duration_to_utime`, `size_to_uint64`): a number, blanks if one likes, and the
//! beginning of a unit, without regard to case. There, `m` of a time is *months*, since months stand before minutes
//! in its table; here it is an error, so that nobody waits five months for a storage.

use std::time::Duration;

/// The longest time that is taken: a hundred years.
const MAX_SECONDS: u128 = 100 * 365 * 86_400;
/// Digits after the point that are looked at; a nanosecond is the smallest time there is.
const FRACTION_DIGITS: usize = 9;
const FRACTION: u128 = 1_000_000_000;

/// Why a text is not a time, size or share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Nothing is written.
    #[error("nothing is written here")]
    Empty,
    /// A number was expected.
    #[error("expected a number, found \"{0}\"")]
    NotANumber(String),
    /// A number below zero.
    #[error("it cannot be less than zero")]
    Negative,
    /// A unit that does not exist.
    #[error("\"{0}\" is no unit")]
    UnknownUnit(String),
    /// `m`, which is months in Bacula and minutes everywhere else.
    #[error("\"m\" could be minutes or months")]
    Ambiguous,
    /// One of several terms has no unit.
    #[error("the number {0} has no unit")]
    MissingUnit(String),
    /// Something follows where nothing can.
    #[error("nothing can follow here, found \"{0}\"")]
    Trailing(String),
    /// More than can be held.
    #[error("it is too large")]
    TooLarge,
}

/// A number as written: a whole part and billionths.
#[derive(Debug, Clone, Copy)]
struct Number<'a> {
    text: &'a str,
    billionths: u128,
}

/// A time: `5 minutes`, `1 hour 30 minutes`, `1h30min`, `0.5 sec`, or a bare number of seconds.
///
/// Units are the beginnings of `seconds` (and `secs`), `minutes`, `hours`, `days`, `weeks`, `months` (30 days),
/// `quarters` (91 days), `years` (365 days), and `n` for minutes, all as in Bacula.
///
/// # Errors
/// When the text is not a time, and when it is more than a hundred years.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(UnitError::Empty);
    }
    let mut total: u128 = 0;
    let mut terms = 0;
    while !rest.is_empty() {
        let (number, after) = number(rest)?;
        let (unit, after) = word(after.trim_start());
        rest = after.trim_start();
        terms += 1;
        let seconds = if unit.is_empty() {
            if terms > 1 || !rest.is_empty() {
                return Err(missing_unit(number, rest));
            }
            1
        } else {
            seconds_of(unit)?
        };
        total = seconds
            .checked_mul(number.billionths)
            .and_then(|term| term.checked_add(total))
            .ok_or(UnitError::TooLarge)?;
    }
    if total > MAX_SECONDS * FRACTION {
        return Err(UnitError::TooLarge);
    }
    let seconds = u64::try_from(total / FRACTION).map_err(|_| UnitError::TooLarge)?;
    let nanoseconds = u32::try_from(total % FRACTION).map_err(|_| UnitError::TooLarge)?;
    Ok(Duration::new(seconds, nanoseconds))
}

/// A size in bytes: `10 GB`, `512k`, or a bare number of bytes.
///
/// `k`, `m`, `g`, `t` are powers of 1024; `kb`, `mb`, `gb`, `tb` are powers of 1000, as in Bacula.
///
/// # Errors
/// When the text is not a size, and when it does not fit 64 bits.
pub fn size(text: &str) -> Result<u64, UnitError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let (number, after) = number(text)?;
    let (unit, after) = word(after.trim_start());
    let bytes: u128 = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "kb" => 1_000,
        "m" => 1 << 20,
        "mb" => 1_000_000,
        "g" => 1 << 30,
        "gb" => 1_000_000_000,
        "t" => 1 << 40,
        "tb" => 1_000_000_000_000,
        _ => return Err(UnitError::UnknownUnit(unit.to_owned())),
    };
    nothing_more(after)?;
    let bytes = bytes.checked_mul(number.billionths).ok_or(UnitError::TooLarge)? / FRACTION;
    u64::try_from(bytes).map_err(|_| UnitError::TooLarge)
}

/// A share: `10%` is 0.1.
///
/// # Errors
/// When the text is not a number with a percent sign, and when it is more than 100.
pub fn percentage(text: &str) -> Result<f64, UnitError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let (number, after) = number(text)?;
    let Some(after) = after.trim_start().strip_prefix('%') else {
        return Err(UnitError::MissingUnit(number.text.to_owned()));
    };
    nothing_more(after)?;
    if number.billionths > 100 * FRACTION {
        return Err(UnitError::TooLarge);
    }
    number
        .text
        .parse::<f64>()
        .map(|percent| percent / 100.0)
        .map_err(|_| UnitError::NotANumber(number.text.to_owned()))
}

fn missing_unit(number: Number<'_>, rest: &str) -> UnitError {
    if rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()) {
        UnitError::MissingUnit(number.text.to_owned())
    } else {
        UnitError::Trailing(rest.to_owned())
    }
}

fn nothing_more(rest: &str) -> Result<(), UnitError> {
    match rest.trim() {
        "" => Ok(()),
        rest => Err(UnitError::Trailing(rest.to_owned())),
    }
}

/// Splits a number off: digits, and perhaps a point and more digits.
fn number(text: &str) -> Result<(Number<'_>, &str), UnitError> {
    if text.starts_with('-') {
        return Err(UnitError::Negative);
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (written, rest) = text.split_at(end);
    let not_a_number = || UnitError::NotANumber(text.to_owned());
    let (whole, fraction) = written.split_once('.').unwrap_or((written, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(not_a_number());
    }
    let whole: u128 = whole.parse().map_err(|_| UnitError::TooLarge)?;
    let digits: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(FRACTION_DIGITS)
        .collect();
    let fraction: u128 = digits.parse().map_err(|_| not_a_number())?;
    let billionths = whole
        .checked_mul(FRACTION)
        .and_then(|n| n.checked_add(fraction))
        .ok_or(UnitError::TooLarge)?;
    Ok((
        Number {
            text: written,
            billionths,
        },
        rest,
    ))
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len()))
}

fn seconds_of(unit: &str) -> Result<u128, UnitError> {
    const UNITS: [(&str, u128); 11] = [
        ("n", 60),
        ("seconds", 1),
        ("secs", 1),
        ("minutes", 60),
        ("mins", 60),
        ("hours", 3_600),
        ("days", 86_400),
        ("weeks", 7 * 86_400),
        ("months", 30 * 86_400),
        ("quarters", 91 * 86_400),
        ("years", 365 * 86_400),
    ];
    let written = unit.to_ascii_lowercase();
    if written == "m" {
        return Err(UnitError::Ambiguous);
    }
    UNITS
        .into_iter()
        .find(|(name, _)| name.starts_with(&written))
        .map(|(_, seconds)| seconds)
        .ok_or_else(|| UnitError::UnknownUnit(unit.to_owned()))
}

/// A time in words that [`duration`] reads back: `1 hour 30 minutes`.
#[must_use]
pub fn in_words(time: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let mut rest = time.as_secs();
    let mut terms = Vec::new();
    for (name, seconds) in UNITS {
        let count = rest / seconds;
        rest %= seconds;
        if name == "second" && time.subsec_nanos() > 0 {
            let fraction = format!("{:09}", time.subsec_nanos());
            terms.push(format!("{count}.{} seconds", fraction.trim_end_matches('0')));
        } else if count > 0 {
            terms.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    if terms.is_empty() {
        "0 seconds".to_owned()
    } else {
        terms.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_bacula_s() {
        for (text, seconds) in [
            ("5", 5),
            ("0", 0),
            ("5 minutes", 300),
            ("5min", 300),
            ("5 MINS", 300),
            ("5 n", 300),
            ("1 hour 30 minutes", 5_400),
            ("1h30min", 5_400),
            ("2 d", 172_800),
            ("1 week", 604_800),
            ("1 mo", 2_592_000),
            ("1 quarter", 7_862_400),
            ("1 year", 31_536_000),
            ("90 secs", 90),
            (" 90 s ", 90),
            ("1.5 hours", 5_400),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("0.25 seconds"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_time_says_why() {
        assert_eq!(duration("  "), Err(UnitError::Empty));
        assert_eq!(duration("soon"), Err(UnitError::NotANumber("soon".into())));
        assert_eq!(duration("5 m"), Err(UnitError::Ambiguous));
        assert_eq!(
            duration("5 lightyears"),
            Err(UnitError::UnknownUnit("lightyears".into()))
        );
        assert_eq!(duration("-5 minutes"), Err(UnitError::Negative));
        assert_eq!(duration("5 10 minutes"), Err(UnitError::MissingUnit("5".into())));
        assert_eq!(duration("1 hour 10"), Err(UnitError::MissingUnit("10".into())));
        assert_eq!(duration("5%"), Err(UnitError::Trailing("%".into())));
        assert_eq!(duration("1.2.3 s"), Err(UnitError::NotANumber("1.2.3 s".into())));
        assert_eq!(duration("101 years"), Err(UnitError::TooLarge));
        assert_eq!(duration(&"9".repeat(60)), Err(UnitError::TooLarge));
    }

    #[test]
    fn sizes_are_bacula_s() {
        for (text, bytes) in [
            ("10", 10),
            ("1k", 1_024),
            ("1 kb", 1_000),
            ("1M", 1_048_576),
            ("1 MB", 1_000_000),
            ("10 GB", 10_000_000_000),
            ("1 g", 1_073_741_824),
            ("2t", 2_199_023_255_552),
            ("2 tb", 2_000_000_000_000),
            ("1.5k", 1_536),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!(size("10 GiB"), Err(UnitError::UnknownUnit("GiB".into())));
        assert_eq!(size("10 GB 5"), Err(UnitError::Trailing("5".into())));
        assert_eq!(size("99999999999 tb"), Err(UnitError::TooLarge));
    }

    #[test]
    fn shares_have_a_percent_sign() {
        assert_eq!(percentage("12.5 %"), Ok(0.125));
        assert_eq!(percentage("10"), Err(UnitError::MissingUnit("10".into())));
        assert_eq!(percentage("101%"), Err(UnitError::TooLarge));
    }

    proptest! {
        #[test]
        fn a_time_in_words_reads_back(seconds in 0..3_000_000_000_u64, nanoseconds in 0..1_000_000_000_u32) {
            let time = Duration::new(seconds, nanoseconds);
            prop_assert_eq!(duration(&in_words(time)), Ok(time));
        }

        #[test]
        fn terms_add_up(hours in 0..1_000_u64, minutes in 0..1_000_u64, blanks in " {0,3}") {
            let text = format!("{hours}{blanks}h{blanks}{minutes}{blanks}minutes");
            prop_assert_eq!(duration(&text), Ok(Duration::from_secs(hours * 3_600 + minutes * 60)));
        }

        #[test]
        fn a_bare_size_is_itself(bytes in any::<u64>()) {
            prop_assert_eq!(size(&bytes.to_string()), Ok(bytes));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in "[0-9. ]{0,4}\\PC{0,12}") {
            let (time, size) = (duration(&text), size(&text));
            if percentage(&text).is_ok() {
                prop_assert!(text.contains('%') && time.is_err() && size.is_err(), "{:?}", text);
            }
            if let Ok(time) = time {
                prop_assert!(text.contains(|c: char| c.is_ascii_digit()) && time.as_secs() <= 100 * 365 * 86_400);
            }
        }
    }
}
