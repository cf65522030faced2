//! What a storage answers to `.status devices api=2`: its changers and its devices, with the room on their file
//! systems (Bacula `src/stored/status.c`, `src/lib/output.c`).
//!
//! Every release gives one message for each changer and device, in lines `key=value`; 15.0 puts lists of them into
//! brackets on lines of their own, which are passed over here.

use crate::types::{Bytes, DeviceName, Space};

/// What is asked. A Director with `Monitor = yes` may ask it.
pub const DEVICES: &str = ".status devices api=2 api_opts=";

/// `type=` of a device that writes files, whose room is that of a file system. A cloud's is that of its cache, and a
/// tape of 15.0 says what happens to be in memory.
const FILE: &str = "File";

/// File systems give their room in blocks of at least so many bytes. A device that has no file system to look at says
/// in 15.0 what happens to be in memory; an address is hardly ever a multiple of this.
const BLOCK: u64 = 512;

/// How much the free room of one file system differs between two looks within one answer: a thousandth of all.
const DRIFT: u64 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Device {
    name: String,
    archive: String,
    kind: String,
    read_only: bool,
    disabled: bool,
    free: u64,
    total: u64,
    /// The number of its file system; 0 before the device was first opened.
    number: u64,
}

impl Device {
    /// Whether what it says of its room is the room for data that could be written on it.
    fn tells_room(&self) -> bool {
        self.kind == FILE
            && !self.read_only
            && !self.disabled
            && self.total > 0
            && self.free <= self.total
            && self.free.is_multiple_of(BLOCK)
            && self.total.is_multiple_of(BLOCK)
    }

    /// Whether both are on one file system. Where its number is not known yet, two of one size which are as full are
    /// taken for one: to count one file system twice does more harm than to count two as one.
    fn shares_with(&self, other: &Self) -> bool {
        if self.archive == other.archive {
            return true;
        }
        if self.number != 0 && other.number != 0 {
            return self.number == other.number;
        }
        self.total == other.total && self.free.abs_diff(other.free) <= self.total / DRIFT
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Changer {
    name: String,
    drives: Vec<String>,
}

/// The changers and devices of one storage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Devices {
    devices: Vec<Device>,
    changers: Vec<Changer>,
}

impl Devices {
    /// The room that `device` has, which may be a changer, or all devices where none is named: the sum over its file
    /// systems, each counted once. `None` when nothing is known of it: it is no file device, or not there.
    #[must_use]
    pub fn space(&self, device: Option<&DeviceName>) -> Option<Space> {
        let drives = device.map(|device| self.drives(device.as_str()));
        let counts = |device: &&Device| {
            drives
                .as_ref()
                .is_none_or(|drives| drives.contains(&device.name.as_str()))
        };
        let mut counted: Vec<&Device> = Vec::new();
        for device in self.devices.iter().filter(counts).filter(|device| device.tells_room()) {
            match counted.iter_mut().find(|other| other.shares_with(device)) {
                // The one of the two that was looked at when less was free.
                Some(other) if device.free < other.free => *other = device,
                Some(_) => {}
                None => counted.push(device),
            }
        }
        let sum = |part: fn(&Device) -> u64| {
            let parts = counted.iter().map(|device| Bytes(part(device)));
            parts.fold(Bytes(0), Bytes::saturating_add)
        };
        (!counted.is_empty()).then(|| Space {
            free: sum(|device| device.free),
            total: sum(|device| device.total),
        })
    }

    fn drives<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        match self.changers.iter().find(|changer| changer.name == name) {
            Some(changer) => changer.drives.iter().map(String::as_str).collect(),
            None => vec![name],
        }
    }
}

/// Reads the answer message by message.
#[derive(Debug, Default)]
pub struct DevicesReader {
    read: Devices,
    /// Begun by `name=`: a device, or a drive of the changer before.
    begun: Option<Device>,
}

impl DevicesReader {
    /// Nothing is read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one message. What is no line that is looked for is passed over.
    pub fn push(&mut self, message: &[u8]) {
        for line in String::from_utf8_lossy(message).split(['\n', '\0']) {
            if let Some((key, value)) = line.split_once('=') {
                self.line(key, value);
            }
        }
    }

    fn line(&mut self, key: &str, value: &str) {
        match key {
            "autochanger" => {
                self.end_device();
                self.read.changers.push(Changer {
                    name: value.to_owned(),
                    drives: Vec::new(),
                });
            }
            "name" => {
                self.end_device();
                self.begun = Some(Device {
                    name: value.to_owned(),
                    ..Device::default()
                });
            }
            "device" => {
                if let (Some(drive), Some(changer)) = (self.begun.take(), self.read.changers.last_mut()) {
                    changer.drives.push(drive.name);
                }
            }
            _ => {
                if let Some(device) = &mut self.begun {
                    fill(device, key, value);
                }
            }
        }
    }

    fn end_device(&mut self) {
        let device = self.begun.take();
        self.read
            .devices
            .extend(device.filter(|device| !device.archive.is_empty()));
    }

    /// All that was read.
    #[must_use]
    pub fn finish(mut self) -> Devices {
        self.end_device();
        self.read
    }
}

fn fill(device: &mut Device, key: &str, value: &str) {
    // What is no number is as unknown as what is not there.
    let number = || value.parse().unwrap_or(0);
    match key {
        "archive_device" => value.clone_into(&mut device.archive),
        "type" => value.clone_into(&mut device.kind),
        "read_only" => device.read_only = value == "1",
        "enabled" => device.disabled = value == "0",
        "free_space" => device.free = number(),
        "total_space" => device.total = number(),
        "devno" => device.number = number(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, archive: &str, free: u64, total: u64, number: u64) -> String {
        format!(
            "\nname={name}\narchive_device={archive}\ntype=File\nmedia_type=File\nread_only=0\nautoselect=1\nenabled=1\n\
             free_space={free}\ntotal_space={total}\ndevno={number}\nmounted=0\nvolume=\nblock=0\n\n\0"
        )
    }

    fn space(messages: &[String], device: Option<&str>) -> Option<(u64, u64)> {
        let mut reader = DevicesReader::new();
        for message in messages {
            reader.push(message.as_bytes());
        }
        let device = device.map(|name| DeviceName::new(name).unwrap());
        let space = reader.finish().space(device.as_ref())?;
        Some((space.free.0, space.total.0))
    }

    #[test]
    fn the_answer_of_9_6_is_read() {
        let messages = [
            "\nautochanger=Changer\ndevices:\n\nname=Drive1\ndevice=/a\n\n\nname=Drive2\ndevice=/a\n\n\n\n\0"
                .to_owned(),
            device("Drive1", "/a", 512_000, 1_024_000, 0),
            device("Drive2", "/a", 511_488, 1_024_000, 65_024),
            device("Other", "/b", 51_200, 102_400, 7),
        ];
        assert_eq!(space(&messages, Some("Changer")), Some((511_488, 1_024_000)));
        assert_eq!(space(&messages, Some("Drive1")), Some((512_000, 1_024_000)));
        assert_eq!(space(&messages, None), Some((562_688, 1_126_400)));
        assert_eq!(space(&messages, Some("Nobody")), None);
    }

    #[test]
    fn the_answer_of_15_0_is_read() {
        let messages = [
            "\ndevices:\n\nautochanger: [\n\0".to_owned(),
            "\nautochanger=Changer\ndevices: [\n\n\nname=Drive1\ndevice=/a\n]\n\n\0".to_owned(),
            "]\ndevice: [\n\0".to_owned(),
            device("Drive1", "/a", 512_000, 1_024_000, 5).replace("type=File", "type=File\ndriver="),
            "]\n\n\nerror=0\nerrmsg=\n\n\0".to_owned(),
        ];
        assert_eq!(space(&messages, Some("Changer")), Some((512_000, 1_024_000)));
    }

    #[test]
    fn one_file_system_is_counted_once() {
        let two = |first: u64, second: u64, free: u64| {
            let messages = [
                device("A", "/a", 512_000, 1_024_000, first),
                device("B", "/b", free, 1_024_000, second),
            ];
            space(&messages, None)
        };
        assert_eq!(two(5, 5, 102_400), Some((102_400, 1_024_000)), "the same number");
        assert_eq!(two(5, 6, 512_000), Some((1_024_000, 2_048_000)), "two numbers");
        assert_eq!(
            two(0, 6, 511_488),
            Some((511_488, 1_024_000)),
            "not known, of one size and as full"
        );
        assert_eq!(
            two(0, 6, 102_400),
            Some((614_400, 2_048_000)),
            "not known, of one size and fuller"
        );
    }

    #[test]
    fn what_tells_no_room_is_unknown() {
        let good = device("A", "/a", 512_000, 1_024_000, 5);
        assert!(space(std::slice::from_ref(&good), None).is_some());
        for (from, to) in [
            ("type=File", "type=Tape"),
            ("type=File", "type=Cloud"),
            ("read_only=0", "read_only=1"),
            ("enabled=1", "enabled=0"),
            ("total_space=1024000", "total_space=0"),
            ("total_space=1024000", "total_space=511488"),
            // Two addresses on a stack.
            ("free_space=512000", "free_space=139883022845104"),
            ("total_space=1024000", "total_space=139883022845112"),
            ("archive_device=/a", "x="),
        ] {
            assert_eq!(space(&[good.replace(from, to)], None), None, "{to}");
        }
        assert_eq!(space(&[], None), None);
    }
}
