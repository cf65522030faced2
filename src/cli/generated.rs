//! `sdgroup completions`, `sdgroup man`: what is made of the command line itself.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};

use super::{CommandLine, Failure, counted};

/// Commands for those who run a system.
const SECTION: &str = "8";

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Where the pages go; the folder is made if it is not there.
    directory: PathBuf,
}

pub(super) fn completions(command: &Completions, out: &mut dyn Write) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(command.shell, &mut CommandLine::command(), "sdgroup", &mut text);
    Ok(out.write_all(&text)?)
}

pub(super) fn man(command: &Man, out: &mut dyn Write) -> Result<(), Failure> {
    let mut root = CommandLine::command().disable_help_subcommand(true);
    root.build();
    let directory = &command.directory;
    let failed = |error: io::Error| Failure::text(format!("cannot write below {}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    let count = pages(&root, directory).map_err(failed)?;
    writeln!(out, "{} in {}", counted(count, "page"), directory.display())?;
    Ok(())
}

/// Writes the page of `command` and those of the commands below it; returns how many.
fn pages(command: &clap::Command, directory: &Path) -> io::Result<usize> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let page = clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .section(SECTION)
        .manual("sdgroup");
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(directory.join(format!("{name}.{SECTION}")), text)?;
    let mut count = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        count += pages(below, directory)?;
    }
    Ok(count)
}
