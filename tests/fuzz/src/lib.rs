//! What the fuzz targets do with any bytes, one function for each family of parsers. Nothing may panic; what was read
//! and is written again must read the same.

use bytes::{Bytes, BytesMut};
use sdgroup::wire::bootstrap::{Bootstrap, with_names};
use sdgroup::wire::catalog::{self, CatalogRequest, MediaAnswer};
use sdgroup::wire::challenge::Challenge;
use sdgroup::wire::command::{self, Command};
use sdgroup::wire::hello::Hello;
use sdgroup::wire::job::{JobAnswer, JobCommand};
use sdgroup::wire::packet::{Frame, Outbox, Packet};
use sdgroup::wire::progress::{Kind, StorageMessage};
use sdgroup::wire::reserve::{DeviceAnswer, UseDevice, UseStorage};
use sdgroup::wire::status::DevicesReader;
use sdgroup::wire::{line, lz4};

const LIMIT: usize = 100_000;

/// Frames: those taken are the bytes that were given, and all ways to read one agree.
pub fn packet(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    let mut outbox = Outbox::new();
    let mut scratch = Vec::new();
    while let Ok(Some(frame)) = Frame::take(&mut buffer, LIMIT) {
        outbox.frame(&frame);
        assert!(frame.payload().len() <= LIMIT);
        let mut room = [0; 32];
        let beginning = frame.beginning(&mut room);
        match frame.decode() {
            Ok(Packet::Signal(signal)) => assert_eq!(frame.signal(), Some(signal)),
            Ok(Packet::Message(text)) => {
                assert_eq!(frame.text(&mut scratch), Ok(Some(&text[..])));
                assert_eq!(beginning, Ok(&text[..text.len().min(32)]));
            }
            Err(error) => assert_eq!(frame.text(&mut scratch), Err(error)),
        }
    }
    let taken = outbox.take();
    assert_eq!(&bytes[..taken.len()], &taken[..]);
}

/// Compressed blocks: never more than the limit, and a peek sees the beginning.
pub fn lz4(bytes: &[u8]) {
    let mut output = Vec::new();
    let mut room = [0; 32];
    let peeked = lz4::peek(bytes, &mut room);
    match lz4::decompress(bytes, LIMIT, &mut output) {
        Ok(()) => {
            assert!(output.len() <= LIMIT);
            assert_eq!(peeked, Ok(output.len().min(32)));
            assert!(output.starts_with(&room[..output.len().min(32)]));
        }
        Err(_) => assert!(output.len() <= LIMIT),
    }
}

/// Hellos.
pub fn hello(bytes: &[u8]) {
    if let Ok(read) = Hello::parse(bytes) {
        let line = read.to_line();
        // Names may grow no further than they came, but numbers may lose leading zeros and a Hello may get too short.
        if sdgroup::wire::hello::HELLO_BYTES.contains(&line.len()) {
            assert_eq!(Hello::parse(&line), Ok(read));
        }
    }
}

/// Challenges.
pub fn challenge(bytes: &[u8]) {
    if let Ok(read) = Challenge::parse(bytes) {
        assert_eq!(Challenge::parse(&read.to_line()), Ok(read));
    }
}

/// A Director's commands, and their renaming; also the scanner of fields below them.
pub fn command(bytes: &[u8]) {
    let before = Command::parse(bytes);
    let device = sdgroup::types::DeviceName::new("Other Device").ok();
    if let Some(renamed) = device.and_then(|device| command::with_device(bytes, &device, None)) {
        let after = Command::parse(&renamed);
        if let (Ok(before), Ok(after)) = (before, after) {
            assert_eq!(before.label(), after.label());
        }
    }
    if let Some(changed) = line::with_field(bytes, "Volume", b"other") {
        assert_eq!(line::field(&changed, "Volume"), Some(&b"other"[..]));
    }
}

/// The announcement of a job and its answer.
pub fn job(bytes: &[u8]) {
    if let Ok(read) = JobCommand::parse(bytes) {
        assert_eq!(JobCommand::parse(&read.to_line()), Ok(read));
    }
    if let Ok(read) = JobAnswer::parse(bytes) {
        assert_eq!(JobAnswer::parse(&read.to_line()), Ok(read));
    }
}

/// Reservations and their answer.
pub fn reserve(bytes: &[u8]) {
    if let Ok(read) = UseStorage::parse(bytes) {
        assert_eq!(UseStorage::parse(&read.to_line()), Ok(read));
    }
    if let Ok(read) = UseDevice::parse(bytes) {
        assert_eq!(UseDevice::parse(&read.to_line()), Ok(read));
    }
    if let Ok(read) = DeviceAnswer::parse(bytes) {
        assert_eq!(DeviceAnswer::parse(&read.to_line()), Ok(read));
    }
}

/// Bootstraps: a text is kept byte for byte, and renaming nothing changes nothing.
pub fn bootstrap(bytes: &[u8]) {
    let text = Bytes::copy_from_slice(bytes);
    if let Ok(read) = Bootstrap::parse(text.clone()) {
        assert_eq!(read.lines().collect::<Vec<_>>().concat(), bytes);
        assert!(read.groups().iter().all(|group| !group.volumes().is_empty()));
    }
    assert_eq!(with_names(&text, |_| None), text);
}

/// Catalog requests and answers: another index changes the index and nothing else.
pub fn catalog(bytes: &[u8]) {
    let _ = MediaAnswer::parse(bytes);
    let Ok(CatalogRequest::FindMedia(mut find)) = catalog::parse(bytes) else {
        return;
    };
    if let Ok(changed) = catalog::find_media_with_index(bytes, 77) {
        find.index = 77;
        assert_eq!(catalog::parse(&changed), Ok(CatalogRequest::FindMedia(find)));
    }
}

/// What a storage tells: the kind by the first bytes is the kind of the whole.
pub fn progress(bytes: &[u8]) {
    let kind = Kind::of_text(bytes);
    assert_eq!(kind, Kind::of_text(&bytes[..bytes.len().min(16)]));
    match StorageMessage::parse(bytes) {
        Ok(StorageMessage::End(end)) => {
            assert_eq!(kind, Kind::End);
            let line = end.to_line();
            assert!(matches!(StorageMessage::parse(&line), Ok(StorageMessage::End(again)) if again.to_line() == line));
        }
        Ok(StorageMessage::Reply { code, .. }) => assert_eq!(kind, Kind::Reply(code)),
        Ok(_) | Err(_) => {}
    }
}

/// The devices of a storage: what they have free is never more than what there is.
pub fn status(bytes: &[u8]) {
    let mut reader = DevicesReader::new();
    bytes.split(|&byte| byte == 0).for_each(|message| reader.push(message));
    if let Some(space) = reader.finish().space(None) {
        assert!(space.free <= space.total && space.total.0 > 0);
    }
}
