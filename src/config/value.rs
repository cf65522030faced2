//! Single values: from what TOML has to what the model has, or what is wrong with it.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::model::{PolicyName, Threshold};
use super::reader::Fault;
use super::spelling::nearest;
use super::units::{self, UnitError};
use crate::types::{Bytes, NameError};

pub(super) fn text(value: &DeValue<'_>) -> Result<String, Fault> {
    let DeValue::String(text) = value else {
        return Err(Fault::wrong_type("a text", value, "put it in quotes"));
    };
    if text.trim().is_empty() {
        return Err(Fault::new("is empty", "write a text, or leave the line out"));
    }
    Ok(text.clone().into_owned())
}

/// Yes or no.
pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, Fault> {
    match value {
        DeValue::Boolean(flag) => Ok(*flag),
        DeValue::String(text) if text.eq_ignore_ascii_case("yes") => Err(Fault::new("is a text", "write true")),
        DeValue::String(text) if text.eq_ignore_ascii_case("no") => Err(Fault::new("is a text", "write false")),
        _ => Err(Fault::wrong_type("true or false", value, "")),
    }
}

/// A list of texts.
pub(super) fn texts(value: &DeValue<'_>) -> Result<Vec<String>, Fault> {
    let DeValue::Array(elements) = value else {
        let advice = "write it like [\"one\", \"another\"]";
        return Err(Fault::wrong_type("a list", value, advice));
    };
    elements.iter().map(|element| text(element.get_ref())).collect()
}

/// A name of one of the kinds of [`crate::types`].
pub(super) fn name<N>(make: fn(&str) -> Result<N, NameError>) -> impl Fn(&DeValue<'_>) -> Result<N, Fault> {
    move |value| {
        let text = text(value)?;
        if text.trim() != text {
            return Err(Fault::new("begins or ends with a blank", "leave the blank out"));
        }
        make(&text).map_err(|error| Fault::new(format!("is no name: {error}"), ""))
    }
}

/// The name that stands in challenges: no blanks and no brackets, for they end it there.
pub(super) fn challenge_name(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = text(value)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if text.len() > crate::types::MAX_NAME_BYTES || !text.chars().all(allowed) {
        let advice = "use at most 127 letters, digits and . - _ :";
        return Err(Fault::new("holds what a challenge cannot carry", advice));
    }
    Ok(text)
}

/// A storage's name: `/` parts it from a Device's where both are written.
pub(super) fn storage_name(value: &DeValue<'_>) -> Result<crate::types::StorageName, Fault> {
    let name = name(crate::types::StorageName::new)(value)?;
    if name.as_str().contains('/') {
        return Err(Fault::new(
            "holds a /",
            "a Device written File5/FileChgr1 means the Device FileChgr1 of File5",
        ));
    }
    Ok(name)
}

pub(super) fn absolute_path(value: &DeValue<'_>) -> Result<PathBuf, Fault> {
    let path = PathBuf::from(text(value)?);
    if path.is_relative() {
        return Err(Fault::new("must be an absolute path", "begin it with /"));
    }
    Ok(path)
}

pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, Fault> {
    text(value).map(PathBuf::from)
}

/// A whole number within `range`.
pub(super) fn whole<N>(range: RangeInclusive<u32>) -> impl Fn(&DeValue<'_>) -> Result<N, Fault>
where
    N: TryFrom<u32>,
{
    move |value| {
        let DeValue::Integer(written) = value else {
            let advice = match value {
                DeValue::String(text) if text.trim().parse::<u32>().is_ok() => {
                    format!("write {} without quotes", text.trim())
                }
                _ => String::new(),
            };
            return Err(Fault::wrong_type("a whole number", value, advice));
        };
        let (low, high) = (*range.start(), *range.end());
        i64::from_str_radix(written.as_str(), written.radix())
            .ok()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| range.contains(number))
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| {
                Fault::new(
                    format!("is out of range: {}", written.as_str()),
                    format!("write a number from {low} to {high}"),
                )
            })
    }
}

/// A TCP port.
pub(super) fn port(value: &DeValue<'_>) -> Result<u16, Fault> {
    whole(1..=65_535)(value)
}

/// A time within `range`: a text with units, or a number of seconds.
pub(super) fn time(range: RangeInclusive<Duration>) -> impl Fn(&DeValue<'_>) -> Result<Duration, Fault> {
    move |value| {
        let written = match value {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            _ => return Err(Fault::wrong_type("a time", value, "write it like \"5 minutes\"")),
        };
        let time = units::duration(&written).map_err(|error| {
            let advice = match &error {
                UnitError::Ambiguous => "write min, or months: in Bacula's own files m means months".to_owned(),
                UnitError::UnknownUnit(unit) => nearest(unit, ["seconds", "minutes", "hours", "days", "weeks"])
                    .map_or_else(
                        || "units are seconds, minutes, hours, days, weeks".to_owned(),
                        |unit| format!("did you mean {unit}?"),
                    ),
                _ => "write it like \"5 minutes\" or \"1 hour 30 minutes\"".to_owned(),
            };
            Fault::new(format!("is no time: {error}"), advice)
        })?;
        if range.contains(&time) {
            return Ok(time);
        }
        let (low, high) = (units::in_words(*range.start()), units::in_words(*range.end()));
        Err(Fault::new(
            format!("is out of range: {}", units::in_words(time)),
            format!("write a time from {low} to {high}"),
        ))
    }
}

/// A share of at most `most`, written in percent.
pub(super) fn share(most: f64) -> impl Fn(&DeValue<'_>) -> Result<f64, Fault> {
    move |value| {
        let DeValue::String(text) = value else {
            return Err(Fault::wrong_type("a percentage", value, "write it like \"10%\""));
        };
        let share = units::percentage(text)
            .map_err(|error| Fault::new(format!("is no percentage: {error}"), "write it like \"10%\""))?;
        if share > most {
            return Err(Fault::new(
                format!("is out of range: {text}"),
                format!("write at most {}%", most * 100.0),
            ));
        }
        Ok(share)
    }
}

/// A size in bytes: a text with a unit, or a number.
pub(super) fn size(value: &DeValue<'_>) -> Result<Bytes, Fault> {
    let written = match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        _ => return Err(Fault::wrong_type("a size", value, "write it like \"10 GB\"")),
    };
    units::size(&written).map(Bytes).map_err(|error| {
        let advice = match &error {
            UnitError::UnknownUnit(_) => "units are kB, MB, GB, TB (of 1000) and k, m, g, t (of 1024), as in Bacula",
            _ => "write it like \"10 GB\"",
        };
        Fault::new(format!("is no size: {error}"), advice)
    })
}

/// A size, or a share in percent.
pub(super) fn threshold(value: &DeValue<'_>) -> Result<Threshold, Fault> {
    match value {
        DeValue::String(text) if text.contains('%') => share(1.0)(value).map(Threshold::Share),
        _ => size(value).map(Threshold::Bytes),
    }
}

/// An address to listen at, without a port.
pub(super) fn ip(value: &DeValue<'_>) -> Result<IpAddr, Fault> {
    let text = text(value)?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(&text);
    bare.parse().map_err(|_| {
        let advice = if text.parse::<SocketAddr>().is_ok() {
            "the port has a key of its own: SDPort"
        } else {
            "write an IPv4 or IPv6 address; \"0.0.0.0\" is every IPv4 address of this machine, \"::\" every IPv6 one"
        };
        Fault::new(format!("is no IP address: \"{text}\""), advice)
    })
}

/// An address and port to listen at.
pub(super) fn socket_address(value: &DeValue<'_>) -> Result<SocketAddr, Fault> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        let advice = "write an IP address and a port, like \"127.0.0.1:9105\" or \"[::1]:9105\"";
        Fault::new(format!("is no address with a port: \"{text}\""), advice)
    })
}

/// A host's name or address, without a port.
pub(super) fn host(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = text(value)?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(&text);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    let host = text.strip_suffix('.').unwrap_or(&text);
    if host.len() <= 253 && host.split('.').all(label) {
        return Ok(text);
    }
    let advice = if text.contains(':') {
        "the port has a key of its own: SDPort"
    } else {
        "write a host's name or its IP address"
    };
    Err(Fault::new(format!("is no host: \"{text}\""), advice))
}

/// One of a closed set of words, without regard to case.
pub(super) fn one_of<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&DeValue<'_>) -> Result<T, Fault> {
    move |value| {
        let text = text(value)?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Fault::new(
                format!("cannot be \"{text}\""),
                super::spelling::did_you_mean(&text, words),
            )
        })
    }
}

/// A policy's name.
pub(super) fn policy(value: &DeValue<'_>) -> Result<PolicyName, Fault> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        let all = || PolicyName::ALL.iter().map(|policy| policy.as_str());
        let there_are = all().collect::<Vec<_>>().join(", ");
        let advice = match nearest(&text, all()) {
            Some(policy) => format!("did you mean {policy}? There are: {there_are}"),
            None => format!("there are: {there_are}"),
        };
        Fault::new(format!("cannot be \"{text}\": there is no such policy"), advice)
    })
}
