//! `sdgroup reload`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::client::Client;
use super::handover::hand_over;
use super::{Failure, counted};
use crate::admin::api::process::ProcessShown;
use crate::admin::api::reload::ReloadShown;

#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Hands over instead when the program's file has been replaced since the daemon began, as an upgrade does.
    #[arg(long)]
    upgrade: bool,
    /// Where the daemon listens for commands, when the configuration says another AdminSocket by now.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Has the running daemon read its configuration anew.
pub(super) fn run(reload: Reload, config: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let daemon = reload.socket.map_or_else(|| Client::of(config), Client::at)?;
    if reload.upgrade && daemon.get::<ProcessShown>("/api/v1/process")?.is_replaced {
        return hand_over(&daemon, out);
    }
    let ReloadShown { changes, warnings } = daemon.post("/api/v1/reload", &())?;
    for warning in &warnings {
        writeln!(io::stderr().lock(), "{warning}\n")?;
    }
    match changes.len() {
        0 => writeln!(out, "reloaded; nothing is different but perhaps what other files hold")?,
        count => writeln!(out, "reloaded, {}:", counted(count, "change"))?,
    }
    for change in &changes {
        writeln!(out, "  {change}")?;
    }
    Ok(())
}
