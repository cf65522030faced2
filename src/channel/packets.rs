//! A socket that carries packets.
//!
//! A channel reads as much as the socket has and hands out whole packets; what is to be sent is gathered in an
//! outbox and written by [`Channel::flush`], so that a burst of packets costs one system call. It is not an
//! `AsyncRead` on purpose: whoever wants the bytes takes the socket out with [`Channel::into_parts`] and gets what
//! was already read along with it.

use std::io;
use std::os::fd::AsFd;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::net::stream::Stream;
use crate::wire::packet::{Frame, MAX_LOGIN_BYTES, MAX_WIRE_BYTES, Outbox, Packet, PacketError};

/// How much is asked of the socket at once.
const READ_BYTES: usize = 64 * 1024;

/// Why a channel is over.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other end closed the connection in good order.
    #[error("the connection was closed")]
    Closed,
    /// The other end closed the connection in the middle of a packet.
    #[error("the connection was closed in the middle of a packet")]
    Torn,
    /// The connection was reset.
    #[error("the connection was reset")]
    Reset,
    /// The system refused to read or write.
    #[error("the connection failed: {0}")]
    Failed(io::Error),
    /// What came is not a packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
}

impl ChannelError {
    /// One of a fixed set of words, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Torn => "torn",
            Self::Reset => "reset",
            Self::Failed(_) => "failed",
            Self::Packet(_) => "packet",
        }
    }
}

impl From<io::Error> for ChannelError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::UnexpectedEof => Self::Reset,
            _ => Self::Failed(error),
        }
    }
}

/// Packets over a stream.
#[derive(Debug)]
pub struct Channel<S = Stream> {
    stream: S,
    incoming: BytesMut,
    outbox: Outbox,
    sending: Bytes,
    limit: usize,
}

impl<S: AsyncRead + AsyncWrite + AsFd + Unpin> Channel<S> {
    /// A channel whose other end has not proved anything yet: packets are held to [`MAX_LOGIN_BYTES`].
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            outbox: Outbox::default(),
            sending: Bytes::new(),
            limit: MAX_LOGIN_BYTES,
        }
    }

    /// Lets packets be as large as Bacula's daemons accept them. To be called when the other end is known.
    pub fn trust(&mut self) {
        self.limit = MAX_WIRE_BYTES;
    }

    /// The socket.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The socket, to be changed.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// What has been read and not handed out; it will not be.
    pub fn take_unread(&mut self) -> Bytes {
        self.incoming.split().freeze()
    }

    /// The next packet, as it came. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection ends or what comes is not a packet or larger than allowed.
    pub async fn receive(&mut self) -> Result<Frame, ChannelError> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(frame);
            }
            self.incoming.reserve(self.room());
            self.acknowledge();
            if self.stream.read_buf(&mut self.incoming).await? == 0 {
                return Err(if self.incoming.is_empty() {
                    ChannelError::Closed
                } else {
                    ChannelError::Torn
                });
            }
        }
    }

    /// Has the kernel acknowledge what came at once. Bacula's daemons leave Nagle's algorithm on, so the second of
    /// two small packets would wait for a delayed acknowledgement of the first, 40 ms each time. The kernel forgets
    /// the wish after some packets, so it is told again before every read; that it cannot be told costs time only.
    fn acknowledge(&self) {
        let _ = SockRef::from(&self.stream).set_tcp_quickack(true);
    }

    /// The next packet if the whole of it has been read already.
    ///
    /// # Errors
    /// When what was read is not a packet or larger than allowed.
    pub fn buffered(&mut self) -> Result<Option<Frame>, ChannelError> {
        Ok(Frame::take(&mut self.incoming, self.limit)?)
    }

    /// Receives the next packet and decodes it.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub async fn receive_packet(&mut self) -> Result<Packet, ChannelError> {
        Ok(self.receive().await?.decode()?)
    }

    /// What [`Self::flush`] will send.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Sends what is in the outbox. Dropping the future loses nothing: the next flush goes on.
    ///
    /// # Errors
    /// When the connection does not take it.
    pub async fn flush(&mut self) -> Result<(), ChannelError> {
        loop {
            if self.sending.is_empty() {
                self.sending = self.outbox.take();
                if self.sending.is_empty() {
                    return Ok(());
                }
            }
            if self.stream.write_buf(&mut self.sending).await? == 0 {
                return Err(ChannelError::Reset);
            }
        }
    }

    /// The socket, and what was read from it but not handed out.
    pub fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.incoming.freeze())
    }

    /// Before its login is over nobody makes us hold more than a packet of that kind.
    fn room(&self) -> usize {
        if self.limit == MAX_LOGIN_BYTES {
            MAX_LOGIN_BYTES * 2
        } else {
            READ_BYTES
        }
    }
}
