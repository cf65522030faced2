//! Packets: a four-byte signed length in front of each message, or a negative number that is a signal.
//!
//! A [`Frame`] is a packet as it came, ready to be passed on unchanged; a [`Packet`] is what it says. An [`Outbox`]
//! collects packets to send. Bacula: `src/lib/bsock.c`, `src/lib/bsock.h`.

use std::fmt;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::line::shown;
use super::lz4::{self, Lz4Error};

/// The largest payload that a daemon's receiver takes, in bytes on the wire.
pub const MAX_WIRE_BYTES: usize = 1_000_000;

/// The largest message that a daemon's sender makes, in bytes before compression.
pub const MAX_MESSAGE_BYTES: usize = 4_000_000;

/// The largest payload worth taking from a peer that has not logged in: a Hello has at most 500 bytes, and a
/// challenge or a capability line fewer.
pub const MAX_LOGIN_BYTES: usize = 512;

const LENGTH_BYTES: usize = 4;
const EXTENSION_BYTES: usize = 4;
/// The payload is one LZ4 block.
const COMPRESSED: u32 = 1 << 30;
/// A second word follows the length.
const EXTENDED: u32 = 1 << 29;
/// In the extension word: only a part of the payload is compressed, and not for the communication line. A receiver
/// leaves such a message as it is.
const PARTLY: u32 = 1 << 27;

/// Why bytes are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The length word announces more than the reader takes.
    #[error("a packet of {length} bytes, more than the {limit} allowed here: is the peer a Bacula daemon?")]
    TooLong {
        /// Bytes announced.
        length: usize,
        /// Bytes that are allowed at this point of the conversation.
        limit: usize,
    },
    /// The payload is compressed and cannot be decompressed.
    #[error(transparent)]
    Compression(#[from] Lz4Error),
}

/// A packet that is only a negative number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The end of a list, a stream, a reply or a job's dialogue.
    Eod,
    /// The end of the data, and an answer is wanted at once.
    EodPoll,
    /// A short status is wanted.
    Status,
    /// The sender is about to close.
    Terminate,
    /// An answer is wanted.
    Poll,
    /// A sign of life; no answer.
    Heartbeat,
    /// The answer to a sign of life.
    HeartbeatResponse,
    /// The peer's clock is wanted.
    Btime,
    /// A signal that never passes between a Director, a storage and a Client. Always negative on the wire.
    Other(i32),
}

impl Signal {
    /// From the number on the wire.
    #[must_use]
    pub fn from_code(code: i32) -> Self {
        match code {
            -1 => Self::Eod,
            -2 => Self::EodPoll,
            -3 => Self::Status,
            -4 => Self::Terminate,
            -5 => Self::Poll,
            -6 => Self::Heartbeat,
            -7 => Self::HeartbeatResponse,
            -9 => Self::Btime,
            other => Self::Other(other),
        }
    }

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Eod => -1,
            Self::EodPoll => -2,
            Self::Status => -3,
            Self::Terminate => -4,
            Self::Poll => -5,
            Self::Heartbeat => -6,
            Self::HeartbeatResponse => -7,
            Self::Btime => -9,
            Self::Other(code) => code,
        }
    }
}

/// One packet as it came: length word, extension word, payload. A clone shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl fmt::Debug for Frame {
    /// Without the payload: it may be a key, or a file's content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.signal() {
            Some(signal) => write!(f, "Frame({signal:?})"),
            None => write!(f, "Frame({} bytes)", self.payload().len()),
        }
    }
}

impl Frame {
    /// Splits one whole frame off the front of `buffer`; `None` when more bytes are needed, for which there is room
    /// in `buffer` then. The size is judged by the length word alone, before anything is allocated.
    ///
    /// # Errors
    /// When the payload is longer than `limit` or [`MAX_WIRE_BYTES`]. The connection is of no use after that.
    pub fn take(buffer: &mut BytesMut, limit: usize) -> Result<Option<Self>, PacketError> {
        let Some(&word) = buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let head = Head::of(word);
        let limit = limit.min(MAX_WIRE_BYTES);
        if head.payload > limit {
            return Err(PacketError::TooLong {
                length: head.payload,
                limit,
            });
        }
        let whole = head.bytes() + head.payload;
        if buffer.len() < whole {
            buffer.reserve(whole - buffer.len());
            return Ok(None);
        }
        Ok(Some(Self(buffer.split_to(whole).freeze())))
    }

    /// The signal that this is, if it is one.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        let code = i32::from_be_bytes(self.word());
        (code < 0).then(|| Signal::from_code(code))
    }

    /// Whether the payload is compressed for the communication line.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.head().compressed && !self.is_partly_compressed()
    }

    /// The whole packet, to pass on unchanged.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The payload as it came, compressed or not; empty for a signal.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.0.get(self.head().bytes()..).unwrap_or_default()
    }

    /// What the packet says.
    ///
    /// # Errors
    /// When the payload is compressed and damaged, or holds more than [`MAX_MESSAGE_BYTES`].
    pub fn decode(&self) -> Result<Packet, PacketError> {
        self.decode_within(MAX_MESSAGE_BYTES)
    }

    /// What the packet says, if that is at most `limit` bytes. For a peer that has not logged in.
    ///
    /// # Errors
    /// When the payload is compressed and damaged, or holds more than `limit` bytes.
    pub fn decode_within(&self, limit: usize) -> Result<Packet, PacketError> {
        if let Some(signal) = self.signal() {
            return Ok(Packet::Signal(signal));
        }
        if self.is_compressed() {
            let mut text = Vec::new();
            lz4::decompress(self.payload(), limit, &mut text)?;
            return Ok(Packet::Message(text.into()));
        }
        let mut payload = self.0.clone();
        payload.advance(self.head().bytes().min(payload.len()));
        Ok(Packet::Message(payload))
    }

    /// The message's bytes, or `None` for a signal. A compressed one is decompressed into `scratch`, which allocates
    /// nothing once it has grown.
    ///
    /// # Errors
    /// As [`Frame::decode`].
    pub fn text<'a>(&'a self, scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, PacketError> {
        if self.signal().is_some() {
            return Ok(None);
        }
        if self.is_compressed() {
            lz4::decompress(self.payload(), MAX_MESSAGE_BYTES, scratch)?;
            return Ok(Some(scratch));
        }
        Ok(Some(self.payload()))
    }

    /// The first bytes of the message, as many as `room` takes: what a message is can be told from those, at a cost
    /// that does not grow with the message. Empty for a signal.
    ///
    /// # Errors
    /// When the payload is compressed and its beginning is damaged.
    pub fn beginning<'a>(&'a self, room: &'a mut [u8]) -> Result<&'a [u8], PacketError> {
        if self.is_compressed() {
            let filled = lz4::peek(self.payload(), room)?;
            return Ok(room.get(..filled).unwrap_or_default());
        }
        let payload = self.payload();
        Ok(payload.get(..room.len()).unwrap_or(payload))
    }

    fn word(&self) -> [u8; LENGTH_BYTES] {
        self.0.first_chunk().copied().unwrap_or_default()
    }

    fn head(&self) -> Head {
        Head::of(self.word())
    }

    fn is_partly_compressed(&self) -> bool {
        let extension = self.0.get(LENGTH_BYTES..).and_then(<[u8]>::first_chunk);
        self.head().extended && extension.is_some_and(|&word| u32::from_be_bytes(word) & PARTLY != 0)
    }
}

/// What the length word says.
struct Head {
    payload: usize,
    compressed: bool,
    extended: bool,
}

impl Head {
    fn of(word: [u8; LENGTH_BYTES]) -> Self {
        let word = u32::from_be_bytes(word);
        // A negative number is a signal, and its bits are not flags.
        if word >> 31 == 1 {
            return Self {
                payload: 0,
                compressed: false,
                extended: false,
            };
        }
        Self {
            payload: (word & (EXTENDED - 1)) as usize,
            compressed: word & COMPRESSED != 0,
            extended: word & EXTENDED != 0,
        }
    }

    fn bytes(&self) -> usize {
        LENGTH_BYTES + if self.extended { EXTENSION_BYTES } else { 0 }
    }
}

/// What a packet says.
#[derive(Clone, PartialEq, Eq)]
pub enum Packet {
    /// A negative length.
    Signal(Signal),
    /// Text or binary, decompressed. It may be empty: a length of 0 is a message without bytes.
    Message(Bytes),
}

impl fmt::Debug for Packet {
    /// The beginning of the text, and never a job's key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => write!(f, "Signal({signal:?})"),
            Self::Message(text) => write!(f, "Message({:?})", shown(text)),
        }
    }
}

/// Packets to send, in order.
#[derive(Default)]
pub struct Outbox(BytesMut);

impl fmt::Debug for Outbox {
    /// Without the packets: a key may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({} bytes)", self.0.len())
    }
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty outbox that uses the room of `buffer`.
    #[must_use]
    pub fn over(mut buffer: BytesMut) -> Self {
        buffer.clear();
        Self(buffer)
    }

    /// The buffer, with whatever room it has.
    #[must_use]
    pub fn into_room(self) -> BytesMut {
        self.0
    }

    /// Whether anything more would have to be allocated.
    #[must_use]
    pub fn has_no_room(&self) -> bool {
        self.0.capacity() == 0
    }

    /// Adds a message. What goes beyond [`MAX_WIRE_BYTES`] is cut off, since a packet with it would end the
    /// connection at the other side.
    pub fn message(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let text = text.get(..MAX_WIRE_BYTES).unwrap_or(text);
        self.word(text.len());
        self.0.put_slice(text);
    }

    /// Adds a message that carries a NUL in its length, as the answer to a challenge and lines of a status do.
    pub fn message_with_nul(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let text = text.get(..MAX_WIRE_BYTES - 1).unwrap_or(text);
        self.word(text.len() + 1);
        self.0.put_slice(text);
        self.0.put_u8(0);
    }

    /// Adds a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.0.put_i32(signal.code());
    }

    /// Adds a packet as it came.
    pub fn frame(&mut self, frame: &Frame) {
        self.0.put_slice(frame.as_bytes());
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes to send.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What is to be sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first `count` bytes have been sent.
    pub fn sent(&mut self, count: usize) {
        self.0.advance(count.min(self.0.len()));
    }

    /// Takes all that is to be sent; the outbox is empty after that and keeps its room where it can.
    #[must_use]
    pub fn take(&mut self) -> Bytes {
        self.0.split().freeze()
    }

    fn word(&mut self, length: usize) {
        // At most MAX_WIRE_BYTES, which fits.
        self.0.put_u32(u32::try_from(length).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take(bytes: &[u8]) -> Result<Option<Frame>, PacketError> {
        Frame::take(&mut BytesMut::from(bytes), MAX_WIRE_BYTES)
    }

    fn compressed(text: &[u8], flags: u32, extension: Option<u32>) -> Frame {
        let block = lz4_flex::block::compress(text);
        let mut bytes = BytesMut::new();
        bytes.put_u32(u32::try_from(block.len()).unwrap() | COMPRESSED | flags);
        if let Some(word) = extension {
            bytes.put_u32(word);
        }
        bytes.put_slice(&block);
        Frame::take(&mut bytes, MAX_WIRE_BYTES).unwrap().unwrap()
    }

    #[test]
    fn an_empty_message_is_not_a_signal() {
        let frame = take(&[0, 0, 0, 0]).unwrap().unwrap();
        assert_eq!(frame.signal(), None);
        assert_eq!(frame.decode().unwrap(), Packet::Message(Bytes::new()));
        assert_eq!(frame.text(&mut Vec::new()).unwrap(), Some(&b""[..]));
    }

    #[test]
    fn a_signal_is_four_bytes() {
        let mut bytes = BytesMut::from(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, b'x'][..]);
        let frame = Frame::take(&mut bytes, 10).unwrap().unwrap();
        assert_eq!(frame.signal(), Some(Signal::Eod));
        assert_eq!(frame.decode().unwrap(), Packet::Signal(Signal::Eod));
        assert_eq!(frame.payload(), b"");
        let next = Frame::take(&mut bytes, 10).unwrap().unwrap();
        assert_eq!(next.payload(), b"x");
    }

    #[test]
    fn a_length_is_refused_by_its_word_alone() {
        assert_eq!(
            Frame::take(&mut BytesMut::from(&[0, 0, 2, 1][..]), MAX_LOGIN_BYTES),
            Err(PacketError::TooLong {
                length: 513,
                limit: 512
            })
        );
        assert_eq!(
            take(&[0x1f, 0xff, 0xff, 0xff]),
            Err(PacketError::TooLong {
                length: (1 << 29) - 1,
                limit: MAX_WIRE_BYTES
            })
        );
        // What a web browser says first.
        assert!(take(b"GET / HTTP/1.1\r\n").is_err());
    }

    #[test]
    fn a_frame_is_taken_when_its_last_byte_has_come() {
        let mut buffer = BytesMut::new();
        let wire = [0, 0, 0, 3, b'r', b'u', b'n'];
        for (at, &byte) in wire.iter().enumerate() {
            buffer.put_u8(byte);
            let frame = Frame::take(&mut buffer, 3).unwrap();
            assert_eq!(frame.is_some(), at + 1 == wire.len());
        }
        assert!(buffer.is_empty());
    }

    #[test]
    fn the_extension_word_stays_and_is_not_text() {
        let wire = [0x20, 0, 0, 3, 0x10, 0, 0, 0, b'r', b'u', b'n'];
        let frame = take(&wire).unwrap().unwrap();
        assert_eq!(frame.as_bytes(), wire);
        assert_eq!(frame.decode().unwrap(), Packet::Message(Bytes::from_static(b"run")));
    }

    #[test]
    fn a_partly_compressed_message_is_left_as_it_is() {
        let frame = compressed(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", EXTENDED, Some(PARTLY | 7));
        assert!(!frame.is_compressed());
        assert_eq!(
            frame.decode().unwrap(),
            Packet::Message(Bytes::copy_from_slice(frame.payload()))
        );
    }

    #[test]
    fn a_compressed_message_is_bounded_before_a_login() {
        let frame = compressed(&[b'a'; 5000], 0, None);
        assert!(frame.decode().is_ok());
        assert_eq!(
            frame.decode_within(500),
            Err(PacketError::Compression(Lz4Error::TooLong {
                bytes: 5000,
                limit: 500
            }))
        );
    }

    #[test]
    fn a_key_is_not_shown() {
        let mut outbox = Outbox::new();
        outbox.message(b"3000 OK Job SDid=1 SDtime=2 Authorization=HABA\n");
        assert!(!format!("{outbox:?}").contains("HABA"));
        let frame = take(&outbox.take()).unwrap().unwrap();
        assert!(!format!("{frame:?} {:?}", frame.decode()).contains("HABA"));
    }

    #[test]
    fn a_long_message_is_cut() {
        let mut outbox = Outbox::new();
        outbox.message(vec![b'x'; MAX_WIRE_BYTES + 5]);
        outbox.message_with_nul(vec![b'x'; MAX_WIRE_BYTES + 5]);
        let mut bytes = BytesMut::from(outbox.take());
        for _ in 0..2 {
            let frame = Frame::take(&mut bytes, MAX_WIRE_BYTES).unwrap().unwrap();
            assert_eq!(frame.payload().len(), MAX_WIRE_BYTES);
        }
        assert!(bytes.is_empty() && outbox.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_sent_is_taken(texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8), code in i32::MIN..0) {
            let mut outbox = Outbox::new();
            for text in &texts {
                outbox.message(text);
                outbox.message_with_nul(text);
                outbox.signal(Signal::from_code(code));
            }
            let sent = outbox.take();
            let mut buffer = BytesMut::from(&sent[..]);
            let mut again = Outbox::new();
            let mut scratch = Vec::new();
            for text in &texts {
                let frame = Frame::take(&mut buffer, MAX_WIRE_BYTES).unwrap().unwrap();
                prop_assert_eq!(frame.text(&mut scratch).unwrap(), Some(&text[..]));
                again.frame(&frame);
                let frame = Frame::take(&mut buffer, MAX_WIRE_BYTES).unwrap().unwrap();
                let with_nul = [&text[..], &[0]].concat();
                prop_assert_eq!(frame.decode().unwrap(), Packet::Message(with_nul.into()));
                again.frame(&frame);
                let frame = Frame::take(&mut buffer, MAX_WIRE_BYTES).unwrap().unwrap();
                prop_assert_eq!(frame.signal().map(Signal::code), Some(code));
                again.frame(&frame);
            }
            prop_assert!(buffer.is_empty());
            prop_assert_eq!(again.take(), sent);
        }

        #[test]
        fn a_compressed_message_reads_like_a_plain_one(text in proptest::collection::vec(0_u8..3, 0..3000), extended: bool) {
            let frame = if extended { compressed(&text, EXTENDED, Some(0)) } else { compressed(&text, 0, None) };
            prop_assert!(frame.is_compressed());
            let mut scratch = Vec::new();
            prop_assert_eq!(frame.text(&mut scratch).unwrap(), Some(&text[..]));
            prop_assert_eq!(frame.decode().unwrap(), Packet::Message(text.clone().into()));
            let mut room = [0; 32];
            prop_assert_eq!(frame.beginning(&mut room).unwrap(), &text[..text.len().min(32)]);
        }
    }
}
