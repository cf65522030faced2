//! The group's own part of the answer to `status storage`: what it is, and a row for each member.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::director::Caller;
use super::fleet;
use super::rates::Rate;
use crate::group::{Availability, Spoken, State, StorageView};
use crate::types::Release;

/// What is told of a room that is older than this, since a storage that is down tells no new one.
const FRESH: Duration = Duration::from_secs(60);

/// Bytes of a megabyte, as Bacula counts them in rates.
const MEGABYTE: u64 = 1_000_000;

/// The lines, each with its end.
pub(super) fn lines(caller: &Caller) -> Vec<String> {
    let group = &caller.group;
    let now = Instant::now();
    let live = caller.context.directory.group(&group.name);
    let members = live.iter().flat_map(|group| group.members());
    let views: Vec<_> = members
        .map(|member| (member.view(now), caller.context.rates.of(member.name(), now)))
        .collect();
    let mut lines = vec![format!(
        "\n{} Version: {}  group {} by {}, {} jobs running, {} waiting\n",
        caller.context.model.name,
        env!("CARGO_PKG_VERSION"),
        group.name,
        group.policy,
        views.iter().map(|(view, _)| view.running).sum::<u32>(),
        live.as_ref().map_or(0, |group| group.waiting()),
    )];
    lines.extend(rows(&views));
    let warning = live.iter().find_map(|group| group.releases().warning());
    lines.extend(warning.map(|warning| format!(" Warning: {warning}\n")));
    lines.extend(peers(caller));
    lines.extend(
        caller
            .context
            .store_remark()
            .map(|remark| format!(" Warning: {remark}\n")),
    );
    lines
}

/// The other sdgroups, whose jobs are among those that were told.
fn peers(caller: &Caller) -> Vec<String> {
    let Some(fleet) = &caller.context.fleet else {
        return Vec::new();
    };
    let line = |peer: fleet::Peer| {
        let (name, address, port, jobs) = (&peer.name, &peer.address, peer.port, peer.jobs);
        if peer.is_alive() {
            format!(
                " Peer {name} at {address}:{port}: {jobs} jobs, {} waiting\n",
                peer.queued
            )
        } else {
            format!(
                " Peer {name} at {address}:{port}: not heard of for {}\n",
                Spoken(peer.silent())
            )
        }
    };
    fleet.peers().into_iter().map(line).collect()
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

const COLUMNS: usize = 7;
/// Numbers stand to the right.
const TO_THE_RIGHT: [bool; COLUMNS] = [false, false, true, true, false, true, true];
const HEADINGS: [&str; COLUMNS] = ["Storage", "State", "Jobs", "Free", "Bacula", "MB/s to", "MB/s from"];

/// A heading, and each member's row, with what there is to say of it on lines of their own.
fn rows(members: &[(StorageView, Rate)]) -> Vec<String> {
    let cells: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned))
        .chain(members.iter().map(|(view, rate)| row(view, *rate)))
        .collect();
    let mut widths = [0; COLUMNS];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut lines = Vec::new();
    for (at, row) in cells.iter().enumerate() {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(widths).zip(TO_THE_RIGHT) {
            let _ = if right {
                write!(line, " {cell:>width$} ")
            } else {
                write!(line, " {cell:<width$} ")
            };
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        lines.push(line);
        let member = at.checked_sub(1).and_then(|at| members.get(at));
        lines.extend(member.into_iter().flat_map(|(view, _)| notes(view)));
    }
    lines
}

/// What stands below a member's row: what the operator wants of it, and what is wrong with it.
fn notes(view: &StorageView) -> impl Iterator<Item = String> {
    let decision = view.decision.as_ref().map(|decision| format!("    {decision}\n"));
    let trouble = view.trouble.as_ref().map(|trouble| format!("    {}\n", trouble.text));
    decision.into_iter().chain(trouble)
}

fn row(view: &StorageView, rate: Rate) -> [String; COLUMNS] {
    let free = view.room.as_ref().map_or_else(String::new, |room| {
        let mut free = format!("{} of {}", room.space.free, room.space.total);
        if room.age > FRESH {
            let _ = write!(free, " {} ago", Spoken(room.age));
        }
        free
    });
    let release = view.storage_version.map_or_else(String::new, |version| {
        Release::from_storage(version).map_or_else(|| version.to_string(), |release| release.to_string())
    });
    [
        view.storage.to_string(),
        state(view),
        match view.limit {
            u32::MAX => view.running.to_string(),
            limit => format!("{} of {limit}", view.running),
        },
        free,
        release,
        megabytes(rate.to_storage),
        megabytes(rate.from_storage),
    ]
}

/// What the operator wants, if that is not all there is, and what probes and traffic see.
fn state(view: &StorageView) -> String {
    let mut state = String::new();
    if view.state() != State::Ready {
        let _ = write!(state, "{}, ", view.state());
    }
    let _ = write!(state, "{}", view.availability);
    if view.availability == Availability::Down {
        let _ = write!(state, " for {}", Spoken(view.availability_length));
    }
    if let Some(left) = view.ejected_for {
        let _ = write!(state, ", ejected for {}", Spoken(left));
    }
    if view.too_full {
        state.push_str(", too full");
    }
    state
}

/// With one digit behind the point.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).saturating_add(MEGABYTE / 2) / MEGABYTE;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::group::{Cause, Decision, Room};
    use crate::types::{Bytes, Space, StorageName};

    fn view(name: &str) -> StorageView {
        StorageView {
            storage: StorageName::new(name).unwrap(),
            running: 3,
            reading: 0,
            limit: 20,
            placed_total: 10,
            decision: None,
            availability: Availability::Up,
            availability_length: Duration::from_secs(70),
            ejected_for: None,
            ejections_total: 0,
            too_full: false,
            storage_version: Some(30_008),
            room: Some(Room {
                space: Space {
                    free: Bytes(69_700_000_000),
                    total: Bytes(270_600_000_000),
                },
                age: Duration::from_secs(3),
            }),
            trouble: None,
        }
    }

    #[test]
    fn the_table_is_read_at_a_glance() {
        let down = StorageView {
            running: 0,
            availability: Availability::Down,
            trouble: Some(Arc::new(Cause::new("connect", "connection refused by 192.0.2.5:9103"))),
            room: Some(Room {
                age: Duration::from_secs(300),
                ..view("x").room.unwrap()
            }),
            ..view("File5")
        };
        let draining = StorageView {
            decision: Some(Arc::new(Decision {
                state: State::Draining,
                reason: Some("moves to the cellar".to_owned()),
                by: "ann".to_owned(),
                ..Decision::default()
            })),
            ejected_for: Some(Duration::from_secs(9)),
            storage_version: None,
            room: None,
            ..view("Archive-of-2026")
        };
        let rate = |to_storage, from_storage| Rate {
            to_storage,
            from_storage,
        };
        let members = [
            (view("File4"), rate(112_349_999, 49_999)),
            (down, Rate::default()),
            (draining, rate(0, 1_250_000_000)),
        ];
        insta::assert_snapshot!(rows(&members).concat(), @r"
        Storage          State                             Jobs                           Free  Bacula  MB/s to  MB/s from
        File4            up                             3 of 20            69.7 GB of 270.6 GB  15.0      112.3        0.0
        File5            down for 1 min 10 s            0 of 20  69.7 GB of 270.6 GB 5 min ago  15.0        0.0        0.0
           connection refused by 192.0.2.5:9103
        Archive-of-2026  draining, up, ejected for 9 s  3 of 20                                             0.0     1250.0
           draining by ann (moves to the cellar)
        ");
    }
}
