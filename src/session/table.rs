//! The group's own part of the answer to `status storage`: what it is, and a line for each member.

use std::fmt::Write as _;
use std::time::Instant;

use super::director::Caller;
use crate::group::{Spoken, StorageView};

/// The lines, each with its end.
pub(super) fn lines(caller: &Caller) -> Vec<String> {
    let group = &caller.group;
    let mut lines = vec![format!(
        "\n{} Version: {}  group {} by {}\n",
        caller.context.model.name,
        env!("CARGO_PKG_VERSION"),
        group.name,
        group.policy
    )];
    let now = Instant::now();
    let members = caller.context.directory.group(&group.name);
    let warning = members.iter().find_map(|group| group.releases().warning());
    let members = members.iter().flat_map(|group| group.members());
    lines.extend(members.map(|live| line(&live.view(now))));
    lines.extend(warning.map(|warning| format!("  Warning: {warning}\n")));
    lines
}

/// The group as an object among those of its storages (`.status header api=2`).
pub(super) fn object(caller: &Caller) -> String {
    let group = &caller.group;
    let now = Instant::now();
    let live = caller.context.directory.group(&group.name);
    let members = live.iter().flat_map(|group| group.members());
    let running: u32 = members.map(|live| live.view(now).running).sum();
    format!(
        "\nname={}\nversion={}\ngroup={}\npolicy={}\nstorages={}\njobs_running={running}\njobs_waiting={}\n\n",
        caller.context.model.name,
        env!("CARGO_PKG_VERSION"),
        group.name,
        group.policy,
        group.members.len(),
        live.as_ref().map_or(0, |group| group.waiting()),
    )
}

fn line(view: &StorageView) -> String {
    let mut line = format!(
        "  {}: {} of {} jobs, {}, {}",
        view.storage, view.running, view.limit, view.state, view.availability
    );
    if let Some(room) = &view.room {
        let space = room.space;
        let _ = write!(
            line,
            ", {} of {} free {} ago",
            space.free,
            space.total,
            Spoken(room.age)
        );
    }
    if let Some(trouble) = &view.trouble {
        let _ = write!(line, ", {}", trouble.text);
    }
    line.push('\n');
    line
}
