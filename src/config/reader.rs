//! Reads tables of a TOML document by declaration: which keys there are, which type each has. What does not fit
//! becomes a problem and reading goes on, so that one run shows everything.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{Problems, Span};
use super::spelling::{folded, nearest};

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> At<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At {
            value: change(self.value),
            span: self.span,
        }
    }
}

/// Why a value is not what its key wants: a predicate that follows the key's name, and what to do.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) text: String,
    pub(crate) advice: String,
}

impl Fault {
    pub(crate) fn new(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn wrong_type(wanted: &str, found: &DeValue<'_>, advice: impl Into<String>) -> Self {
        Self::new(format!("must be {wanted}, not {}", type_in_words(found)), advice)
    }
}

fn type_in_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The keys of one kind of table.
#[derive(Debug)]
pub(crate) struct Schema {
    /// How its header is written.
    pub(crate) header: &'static str,
    /// Its keys in their documented spelling.
    pub(crate) keys: &'static [&'static str],
}

/// What tables are read with.
#[derive(Debug)]
pub(crate) struct Reader<'p, 's> {
    /// Where problems go.
    pub(crate) problems: &'p mut Problems<'s>,
    /// Every table there is, to tell where a misplaced key belongs.
    pub(crate) schemas: &'static [&'static Schema],
    /// Words that are used elsewhere (folded), and the key that is meant.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
    /// Whether the document has errors of syntax: then what is missing proves nothing.
    pub(crate) partial: bool,
}

impl Reader<'_, '_> {
    pub(crate) fn error(&mut self, span: &Span, text: impl Into<String>, advice: impl Into<String>) {
        if !(self.partial && self.problems.has_on_line_of(span)) {
            self.problems.error(span, text, advice);
        }
    }
}

/// One table of the document.
#[derive(Debug)]
pub(crate) struct Table<'t, 'i> {
    schema: &'static Schema,
    span: Span,
    entries: &'t DeTable<'i>,
    /// Keys that an unknown key was probably meant to be; they are not missing as well.
    meant: Vec<&'static str>,
}

impl<'t, 'i> Table<'t, 'i> {
    /// Takes a table and reports the keys that it should not have.
    pub(crate) fn open(
        schema: &'static Schema,
        span: Span,
        entries: &'t DeTable<'i>,
        reader: &mut Reader<'_, '_>,
    ) -> Self {
        let mut meant = Vec::new();
        for key in entries.keys() {
            let written: &str = key.get_ref();
            if schema.keys.contains(&written) {
                continue;
            }
            let (advice, key_meant) = advice_for(written, schema, reader);
            meant.extend(key_meant);
            reader.error(
                &key.span(),
                format!("unknown key {written} in {}", schema.header),
                advice,
            );
        }
        Self {
            schema,
            span,
            entries,
            meant,
        }
    }

    /// Where its header is.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    fn find(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        debug_assert!(
            self.schema.keys.contains(&key),
            "{key} is missing in the schema of {}",
            self.schema.header
        );
        self.entries
            .iter()
            .find(|(written, _)| written.get_ref() == key)
            .map(|(_, value)| value)
    }

    /// Whether the key is written, well or badly.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some() || self.meant.contains(&key)
    }

    /// The key's value; `None` when it is not written, or not well.
    pub(crate) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
        reader: &mut Reader<'_, '_>,
    ) -> Option<At<T>> {
        let written = self.find(key)?;
        match read(written.get_ref()) {
            Ok(value) => Some(At {
                value,
                span: written.span(),
            }),
            Err(fault) => {
                reader.error(&written.span(), format!("{key} {}", fault.text), fault.advice);
                None
            }
        }
    }

    /// The same, and a problem when it is not written.
    pub(crate) fn required<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
        reader: &mut Reader<'_, '_>,
    ) -> Option<At<T>> {
        self.report_if_missing(key, reader);
        self.optional(key, read, reader)
    }

    fn report_if_missing(&self, key: &'static str, reader: &mut Reader<'_, '_>) {
        if !self.has(key) && !reader.partial {
            let header = self.schema.header;
            reader.error(
                &self.span,
                format!("{key} is missing in {header}"),
                format!("add a line {key} = ..."),
            );
        }
    }

    /// A list's elements, each with its place; the bad ones are reported and left out. A problem when it is not
    /// written.
    pub(crate) fn required_list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
        reader: &mut Reader<'_, '_>,
    ) -> Option<At<Vec<At<T>>>> {
        self.report_if_missing(key, reader);
        self.optional_list(key, read, reader)
    }

    /// The same without a problem when it is not written.
    pub(crate) fn optional_list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
        reader: &mut Reader<'_, '_>,
    ) -> Option<At<Vec<At<T>>>> {
        let written = self.find(key)?;
        let DeValue::Array(elements) = written.get_ref() else {
            let advice = format!("write {key} = [\"...\", \"...\"]");
            let fault = Fault::wrong_type("a list", written.get_ref(), advice);
            reader.error(&written.span(), format!("{key} {}", fault.text), fault.advice);
            return None;
        };
        let mut value = Vec::new();
        for element in elements {
            match read(element.get_ref()) {
                Ok(one) => value.push(At {
                    value: one,
                    span: element.span(),
                }),
                Err(fault) => {
                    reader.error(
                        &element.span(),
                        format!("an element of {key} {}", fault.text),
                        fault.advice,
                    );
                }
            }
        }
        Some(At {
            value,
            span: written.span(),
        })
    }

    /// The table of this name, of which there is one at most.
    pub(crate) fn table(
        &self,
        key: &'static str,
        schema: &'static Schema,
        reader: &mut Reader<'_, '_>,
    ) -> Option<Table<'t, 'i>> {
        let written = self.find(key)?;
        let (entries, span) = match written.get_ref() {
            DeValue::Table(entries) => (entries, written.span()),
            DeValue::Array(elements) => {
                let advice = format!("there is one only: write its header {}", schema.header);
                let first = elements
                    .iter()
                    .find_map(|element| Some((element.get_ref().as_table()?, element.span())));
                let span = first.as_ref().map_or(written.span(), |(_, span)| span.clone());
                reader.error(&span, format!("{key} is written as a list"), advice);
                first?
            }
            other => {
                self.not_a_table(key, schema, &written.span(), other, reader);
                return None;
            }
        };
        Some(Table::open(schema, span, entries, reader))
    }

    /// The tables of this name, in order.
    pub(crate) fn tables(
        &self,
        key: &'static str,
        schema: &'static Schema,
        reader: &mut Reader<'_, '_>,
    ) -> Vec<Table<'t, 'i>> {
        let Some(written) = self.find(key) else {
            return Vec::new();
        };
        match written.get_ref() {
            DeValue::Array(elements) => {
                let mut tables = Vec::new();
                for element in elements {
                    match element.get_ref() {
                        DeValue::Table(entries) => tables.push(Table::open(schema, element.span(), entries, reader)),
                        other => self.not_a_table(key, schema, &element.span(), other, reader),
                    }
                }
                tables
            }
            DeValue::Table(entries) => {
                let advice = format!("there can be several: write its header {}", schema.header);
                reader.error(&written.span(), format!("{key} is written as a single table"), advice);
                vec![Table::open(schema, written.span(), entries, reader)]
            }
            other => {
                self.not_a_table(key, schema, &written.span(), other, reader);
                Vec::new()
            }
        }
    }

    fn not_a_table(
        &self,
        key: &'static str,
        schema: &'static Schema,
        span: &Span,
        found: &DeValue<'_>,
        reader: &mut Reader<'_, '_>,
    ) {
        let fault = Fault::wrong_type("a table", found, "");
        let advice = format!(
            "write the header {} on a line of its own and its keys below it",
            schema.header
        );
        reader.error(span, format!("{key} in {} {}", self.schema.header, fault.text), advice);
    }
}

/// What to do about an unknown key, and the key of this table that was probably meant.
fn advice_for(written: &str, schema: &Schema, reader: &Reader<'_, '_>) -> (String, Option<&'static str>) {
    let plain = folded(written);
    let spelled = |key: &&'static str| folded(key) == plain;
    if let Some(key) = schema.keys.iter().copied().find(spelled) {
        return (format!("write it exactly as {key}"), Some(key));
    }
    let alias = reader
        .aliases
        .iter()
        .find(|(alias, key)| *alias == plain && schema.keys.contains(key));
    if let Some((_, key)) = alias {
        return (format!("did you mean {key}?"), Some(key));
    }
    let elsewhere = reader
        .schemas
        .iter()
        .find_map(|other| Some((other.header, other.keys.iter().copied().find(spelled)?)));
    if let Some((header, key)) = elsewhere {
        return (format!("{key} belongs to {header}"), None);
    }
    if let Some(key) = nearest(written, schema.keys.iter().copied()) {
        return (
            format!("did you mean {key}?"),
            schema.keys.iter().copied().find(|known| *known == key),
        );
    }
    let like = |other: &&Schema| Some((other.header, nearest(written, other.keys.iter().copied())?));
    let advice = match reader.schemas.iter().copied().find_map(|other| like(&other)) {
        Some((header, key)) => format!("did you mean {key}, which belongs to {header}?"),
        None => format!("{} has: {}", schema.header, schema.keys.join(", ")),
    };
    (advice, None)
}
