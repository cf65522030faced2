//! An operator's commands (Bacula `src/stored/dircmd.c`): enough of each for its replies to have their real form.

use sdgroup::types::DeviceName;
use sdgroup::wire::command::{Command, Place};
use sdgroup::wire::line;
use sdgroup::wire::packet::{Packet, Signal};
use sdgroup::wire::verb::{CloudVerb, DeviceVerb};

use super::ask::{Told, update_line};
use super::volume::{Figures, LABEL_BYTES, Volume};
use super::{Core, Point};
use crate::harness::wire::{Wire, WireError};

/// Slots of the changer.
const SLOTS: usize = 4;

/// Answers one of them; `None` for another command.
pub(super) async fn answer(core: &Core, wire: &mut Wire, command: Command<'_>) -> Option<Result<(), WireError>> {
    core.pass(Point::Console).await;
    Some(match command {
        Command::SetDebug(line) => {
            let level = String::from_utf8_lossy(line::field(line, "setdebug").unwrap_or_default()).into_owned();
            wire.put(format!("3000 OK setdebug={level} trace=0 options= tags=\n"));
            Ok(())
        }
        other => match listed(core, wire, other).await? {
            Ok(()) => {
                wire.put_signal(Signal::Eod);
                Ok(())
            }
            Err(error) => Err(error),
        },
    })
}

/// Those whose replies end with an EOD.
async fn listed(core: &Core, wire: &mut Wire, command: Command<'_>) -> Option<Result<(), WireError>> {
    match command {
        Command::Label {
            place,
            volume,
            media_type,
            ..
        } if has(core, &place.device, Some(media_type.as_str())) => {
            return Some(label(core, wire, volume.as_str()).await);
        }
        Command::Relabel { old, new, .. } => return Some(relabel(core, wire, old.as_str(), new.as_str()).await),
        Command::Cloud { verb, volume, .. } => return Some(cloud(core, wire, verb, volume.as_str()).await),
        Command::Device { verb, place } => device(core, wire, verb, &place),
        Command::Autochanger { action, device } if has(core, &device, None) => changer(core, wire, action),
        Command::ReadLabel(place) if has(core, &place.device, None) => {
            let slot = place.slot;
            wire.put(format!("3001 Volume=Slot-{slot} Slot={slot}\n"));
        }
        Command::CloudList { volume: None, .. } => {
            for name in core.state().volumes.keys() {
                wire.put(format!("volume={name}\n"));
            }
        }
        Command::CloudList { volume: Some(_), .. } => wire.put("part=1 size=10 mtime=1795393239\n"),
        Command::Statistics(line) => statistics(core, wire, line),
        Command::Label { place, .. } | Command::ReadLabel(place) => not_found(wire, &place.device),
        Command::Autochanger { device, .. } => not_found(wire, &device),
        _ => return None,
    }
    Some(Ok(()))
}

fn has(core: &Core, device: &DeviceName, media_type: Option<&str>) -> bool {
    let name = device.as_str();
    let known = name == core.settings.changer || core.devices.iter().any(|device| device.name == name);
    known && media_type.is_none_or(|media_type| media_type == core.settings.media_type)
}

fn not_found(wire: &mut Wire, device: &DeviceName) {
    wire.put(format!("3999 Device \"{device}\" not found or could not be opened.\n"));
}

async fn label(core: &Core, wire: &mut Wire, name: &str) -> Result<(), WireError> {
    if core.state().volumes.contains_key(name) {
        wire.put(format!(
            "3920 Cannot label Volume because it is already labeled: \"{name}\"\n"
        ));
        return Ok(());
    }
    make(core, name);
    labelled(core, wire, name).await
}

fn make(core: &Core, name: &str) {
    let mut state = core.state();
    state.labelled.push(name.to_owned());
    state
        .volumes
        .insert(name.to_owned(), Volume::labelled(Figures::default()));
}

async fn relabel(core: &Core, wire: &mut Wire, old: &str, new: &str) -> Result<(), WireError> {
    if core.state().volumes.remove(old).is_none() {
        wire.put("3921 Wrong volume mounted.\n");
        return Ok(());
    }
    make(core, new);
    labelled(core, wire, new).await
}

/// What the catalog is told of a fresh label, and then the operator.
async fn labelled(core: &Core, wire: &mut Wire, name: &str) -> Result<(), WireError> {
    update(core, wire, name, true).await?;
    wire.put(format!(
        "3000 OK label. VolBytes={LABEL_BYTES} VolABytes=0 VolType=1 Volume=\"{name}\" Device=\"{}\"\n",
        core.devices[0].name
    ));
    Ok(())
}

async fn cloud(core: &Core, wire: &mut Wire, verb: CloudVerb, name: &str) -> Result<(), WireError> {
    if !core.state().volumes.contains_key(name) {
        wire.put(format!("3908 Error reserving volume \"{name}\": no such volume\n"));
        return Ok(());
    }
    wire.put("Jmsg JobId=0 type=6 level=1795393239 a part is on its way\n");
    update(core, wire, name, false).await?;
    wire.put(match verb {
        CloudVerb::Truncate => format!("3000 OK truncate cache for volume \"{name}\" 1 part(s) 10 B. \n"),
        CloudVerb::Upload => "3000 OK upload.\n".to_owned(),
    });
    Ok(())
}

/// Tells the catalog of a volume on this very connection, and waits for its answer.
async fn update(core: &Core, wire: &mut Wire, name: &str, relabel: bool) -> Result<(), WireError> {
    let told = Told {
        bytes: LABEL_BYTES,
        writes: 1,
        ..Told::default()
    };
    wire.put(format!("CatReq JobId=0 {}\n", update_line(name, relabel, told)));
    wire.flush().await?;
    match wire.packet().await? {
        Packet::Message(text) if text.first() == Some(&b'1') => {}
        other => core
            .state()
            .broken_rules
            .push(format!("{other:?} where the catalog's answer is due")),
    }
    Ok(())
}

fn device(core: &Core, wire: &mut Wire, verb: DeviceVerb, place: &Place) {
    let name = &place.device;
    let known = has(core, name, None);
    match verb {
        DeviceVerb::Mount if known => wire.put(format!("3906 File device \"{name}\" is always mounted.\n")),
        DeviceVerb::Unmount if known => wire.put(format!("3002 Device \"{name}\" unmounted.\n")),
        DeviceVerb::Release if known => wire.put(format!("3022 Device \"{name}\" released.\n")),
        DeviceVerb::Enable if known => wire.put(format!("3003 Device \"{name}\" already enabled.\n")),
        DeviceVerb::Disable if known => wire.put(format!("3002 Device \"{name}\" disabled.\n")),
        DeviceVerb::Enable | DeviceVerb::Disable => {}
        _ => not_found(wire, name),
    }
}

fn changer(core: &Core, wire: &mut Wire, action: &[u8]) {
    if action == b"drives" {
        return wire.put(format!("drives={}\n", core.devices.len()));
    }
    let action = String::from_utf8_lossy(action).into_owned();
    wire.put(format!("3306 Issuing autochanger \"{action}\" command.\n"));
    if action == "slots" {
        return wire.put(format!("slots={SLOTS}\n"));
    }
    for slot in 1..=SLOTS {
        wire.put(format!("{slot}:{}-{slot}\n", core.settings.name));
    }
}

fn statistics(core: &Core, wire: &mut Wire, line: &[u8]) {
    let name = &core.settings.name;
    if line::field(line, "format") != Some(b"json") {
        return wire.put(format!("bacula.storage.{name}.jobs={}\n\0", core.state().jobs.len()));
    }
    wire.put("[");
    for (at, metric) in ["jobs", "devices"].iter().enumerate() {
        let comma = if at == 0 { "\n" } else { ",\n" };
        wire.put(format!("{comma}  {{ \"name\": \"{name}.{metric}\" }}\0"));
    }
    wire.put("\n]\n");
}
