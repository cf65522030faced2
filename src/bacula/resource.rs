//! A resource as both forms of a configuration have it: a kind, and directives with their values.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::{ReadError, unfit};
use crate::config::spelling::folded;
use crate::config::units;

/// One resource. Kinds and directives are kept as Bacula compares them: without case, blanks, `_` and `-`.
pub(super) struct Resource {
    kind: String,
    directives: Vec<(String, Vec<String>)>,
}

impl fmt::Debug for Resource {
    /// The values are left out: some of them are passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.directives.iter().map(|(name, _)| name).collect();
        f.debug_struct("Resource")
            .field("kind", &self.kind)
            .field("directives", &names)
            .finish_non_exhaustive()
    }
}

impl Resource {
    pub(super) fn new(kind: &str) -> Self {
        Self {
            kind: folded(kind),
            directives: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, directive: &str, values: Vec<String>) {
        self.directives.push((folded(directive), values));
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// The values of a directive (its name folded), in the order in which they are written.
    pub(super) fn texts(&self, directive: &str) -> Vec<&str> {
        let written = self.directives.iter().filter(|(name, _)| name == directive);
        written
            .flat_map(|(_, values)| values.iter().map(String::as_str))
            .collect()
    }

    /// The value of a directive that has one; where it is written twice the last counts, as in Bacula.
    pub(super) fn text(&self, directive: &str) -> Option<&str> {
        self.texts(directive).last().copied()
    }

    pub(super) fn name(&self, file: &Path) -> Result<&str, ReadError> {
        self.required("name", file)
    }

    pub(super) fn required(&self, directive: &str, file: &Path) -> Result<&str, ReadError> {
        self.text(directive).ok_or_else(|| {
            let name = self.text("name").map(|name| format!(" \"{name}\"")).unwrap_or_default();
            let text = format!("the {} resource{name} has no {directive}", self.kind);
            unfit(file, text)
        })
    }

    /// A whole number; a problem when it is none.
    pub(super) fn whole<N: std::str::FromStr>(&self, directive: &str, file: &Path) -> Result<Option<N>, ReadError> {
        let Some(text) = self.text(directive) else {
            return Ok(None);
        };
        let number = text.parse().map_err(|_| {
            let text = format!(
                "{directive} = {text} of the {} resource is no number in its range",
                self.kind
            );
            unfit(file, text)
        })?;
        Ok(Some(number))
    }

    /// Bacula's yes and no, which JSON has as `true` and `false`.
    pub(super) fn flag(&self, directive: &str) -> Option<bool> {
        let text = self.text(directive)?;
        match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Some(true),
            "no" | "false" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    /// A time; nothing when it is none that we read.
    pub(super) fn time(&self, directive: &str) -> Option<Duration> {
        units::duration(self.text(directive)?).ok()
    }
}
