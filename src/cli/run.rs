//! `sdgroup run`.

use std::io;
use std::path::Path;

use super::{Failure, tell, unusable};
use crate::config;
use crate::process;

/// Runs the daemon until it has ended.
pub(super) fn run(path: &Path) -> Result<(), Failure> {
    let loaded = config::load(path).map_err(|problems| unusable(path, problems))?;
    tell(&loaded.warnings, &mut io::stderr().lock())?;
    process::run(loaded, path).map_err(|error| Failure::text(error.to_string()))
}
