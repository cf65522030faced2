//! The configuration file, compiled to a checked model, or every problem at once.
//!
//! `file` holds what is written (read by the declarations of `reader` and `value`), `check` what it means together,
//! `assemble` puts in the defaults, [`model`] what the rest of the program uses. `sdgroup check` and the daemon run the
//! same code.

mod assemble;
mod check;
pub mod diagnostics;
mod diff;
mod file;
mod limits;
pub mod model;
mod peers;
pub(crate) mod policies;
mod reader;
mod rules;
pub mod secret_source;
pub mod spelling;
mod store;
mod tls;
pub mod units;
mod value;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use diagnostics::{Problems, Source, Span};
use secret_source::Resolver;

pub use diagnostics::{Problem, Severity};
pub use diff::{Differences, differences};
pub use model::Model;
pub use peers::machine_name;
pub use secret_source::{MachineSecrets, SecretReader};

/// Far more than any configuration; a file that is larger has been named by mistake.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A configuration that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub model: Model,
    /// What is probably not meant as it is written, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// Reads and compiles the configuration at `path`, with this machine's secrets.
///
/// # Errors
/// Every problem of the file, warnings included, in the order of the file; at least one is an error.
pub fn load(path: &Path) -> Result<Loaded, Vec<Problem>> {
    load_with(path, &MachineSecrets::new())
}

/// The same with other secrets, for example those of [`MachineSecrets::only_checking`].
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, secrets: &dyn SecretReader) -> Result<Loaded, Vec<Problem>> {
    compile(&read(path)?, path, secrets)
}

/// The operator's socket, as far as the file at `path` says where it is, whatever else is wrong with it: the daemon
/// runs with an earlier one.
///
/// # Errors
/// When the file cannot be read.
pub fn admin_socket(path: &Path) -> Result<PathBuf, Vec<Problem>> {
    let text = read(path)?;
    let (document, syntax) = DeTable::parse_recoverable(&text);
    let mut problems = Problems::new(Source::new(path, &text, Vec::new()));
    let written = file::read(&document, !syntax.is_empty(), &mut problems);
    Ok(assemble::admin_socket(written.sdgroup.as_ref()))
}

fn read(path: &Path) -> Result<String, Vec<Problem>> {
    let refuse = |text: String, advice: &str| vec![Problem::of_file(path, text, advice)];
    let unreadable = |error: std::io::Error| {
        let advice = "name the configuration file with -c FILE; the user that sdgroup runs as must be able to read it";
        refuse(format!("cannot read the configuration: {error}"), advice)
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > MAX_FILE_BYTES) {
        return Err(refuse(
            "this is no configuration: it is larger than 16 MiB".to_owned(),
            "name another file",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = valid.filter(|byte| **byte == b'\n').count() + 1;
        refuse(
            format!("line {line} holds bytes that are not UTF-8"),
            "save the file as UTF-8",
        )
    })
}

/// Compiles a configuration's text. Nothing outside of it is looked at but the secrets and certificates that it names.
///
/// # Errors
/// Every problem, warnings included, in the order of the file; at least one is an error.
pub fn compile(source: &str, file: &Path, secrets: &dyn SecretReader) -> Result<Loaded, Vec<Problem>> {
    let (document, syntax) = DeTable::parse_recoverable(source);
    let mut hidden = file::secrets_of(document.get_ref());
    hidden.extend(syntax.iter().filter_map(|error| {
        let line = line_around(source, error.span()?.start);
        file::secret_of_broken_line(source.get(line.clone())?, line.start)
    }));
    let mut problems = Problems::new(Source::new(file, source, hidden));
    for error in &syntax {
        let advice = "a line is Key = \"value\"; a table begins with a line [Name] or [[Name]]";
        match error.span() {
            Some(span) if problems.has_on_line_of(&span) => {}
            Some(span) => problems.error(&span, format!("this is not TOML: {}", error.message()), advice),
            None => problems.error_of_file(format!("this is not TOML: {}", error.message()), advice),
        }
    }
    let partial = !syntax.is_empty();
    let written = file::read(&document, partial, &mut problems);
    let model = if partial {
        None
    } else {
        let mut resolver = Resolver {
            file,
            secrets,
            told_exposed: false,
        };
        check::compile(&written, &mut resolver, &mut problems)
    };
    let problems = problems.into_sorted();
    match model {
        Some(model) if !problems.iter().any(Problem::is_error) => Ok(Loaded {
            model,
            warnings: problems,
        }),
        _ => Err(problems),
    }
}

fn line_around(text: &str, at: usize) -> Span {
    let start = text
        .get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1);
    let end = text
        .get(at..)
        .and_then(|after| after.find('\n'))
        .map_or(text.len(), |newline| at + newline);
    start..end
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
