//! A socket that carries packets.
//!
//! A channel reads as much as the socket has and hands out whole packets; what is to be sent is gathered in an
//! outbox and written by [`Channel::flush`], so that a burst of packets costs one system call. It is not an
//! `AsyncRead` on purpose: whoever wants the bytes takes the socket out with [`Channel::into_parts`] and gets what
//! was already read along with it.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::stock;
use crate::net::stream::Stream;
use crate::wire::packet::{Frame, MAX_LOGIN_BYTES, MAX_WIRE_BYTES, Outbox, Packet, PacketError};

/// How much is asked of the socket at once, in bytes.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// With less room than this, in bytes, a buffer is not read into.
const LEAST_ROOM: usize = 16 * 1024;

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
    limit: usize,
    /// The kernel has been told to acknowledge at once, and nothing has passed since.
    acknowledges: bool,
}

impl<S: AsyncRead + AsyncWrite + AsFd + Unpin> Channel<S> {
    /// A channel whose other end has not proved anything yet: packets are held to [`MAX_LOGIN_BYTES`].
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            outbox: Outbox::default(),
            limit: MAX_LOGIN_BYTES,
            acknowledges: false,
        }
    }

    /// One of which so much has been read already.
    pub fn resumed(stream: S, read: BytesMut) -> Self {
        Self {
            incoming: read,
            ..Self::new(stream)
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
        // A copy: the buffer may be far larger, and what is in it may be needed for long.
        let unread = Bytes::copy_from_slice(&self.incoming);
        stock::give_back(std::mem::take(&mut self.incoming));
        unread
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
            if poll_fn(|cx| self.poll_fill(cx)).await? == 0 {
                return Err(if self.incoming.is_empty() {
                    ChannelError::Closed
                } else {
                    ChannelError::Torn
                });
            }
        }
    }

    /// Reads what there is into a buffer that is borrowed for it; while there is nothing, none is held.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.acknowledge();
        self.make_room();
        let filled = {
            let mut room = (&mut self.incoming).limit(READ_BYTES);
            pin!(self.stream.read_buf(&mut room)).poll(cx)
        };
        match &filled {
            Poll::Ready(_) => self.acknowledges = false,
            Poll::Pending if self.incoming.is_empty() => stock::give_back(std::mem::take(&mut self.incoming)),
            Poll::Pending => {}
        }
        filled
    }

    fn make_room(&mut self) {
        if self.limit == MAX_LOGIN_BYTES {
            // Before its login is over nobody makes us hold more than a packet of that kind.
            return self.incoming.reserve(MAX_LOGIN_BYTES * 2);
        }
        if self.incoming.is_empty() && self.incoming.capacity() < READ_BYTES {
            stock::give_back(std::mem::replace(&mut self.incoming, stock::borrow()));
        } else if self.incoming.capacity() - self.incoming.len() < LEAST_ROOM {
            self.incoming.reserve(LEAST_ROOM);
        }
    }

    /// Has the kernel acknowledge what came at once. Bacula's daemons leave Nagle's algorithm on, so the second of
    /// two small packets would wait for a delayed acknowledgement of the first, 40 ms each time. The kernel forgets
    /// the wish when something passes, so it is told again before every wait; that it cannot be told costs time only.
    fn acknowledge(&mut self) {
        if !self.acknowledges {
            self.acknowledges = true;
            let _ = SockRef::from(&self.stream).set_tcp_quickack(true);
        }
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
        if self.outbox.has_no_room() {
            self.outbox = Outbox::over(stock::borrow());
        }
        &mut self.outbox
    }

    /// How much [`Self::flush`] will send, in bytes.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Sends what is in the outbox. Dropping the future loses nothing: the next flush goes on.
    ///
    /// # Errors
    /// When the connection does not take it.
    pub async fn flush(&mut self) -> Result<(), ChannelError> {
        while !self.outbox.is_empty() {
            let sent = self.stream.write(self.outbox.as_bytes()).await?;
            if sent == 0 {
                return Err(ChannelError::Reset);
            }
            self.acknowledges = false;
            self.outbox.sent(sent);
        }
        stock::give_back(std::mem::take(&mut self.outbox).into_room());
        Ok(())
    }

    /// The socket, and what was read from it but not handed out.
    pub fn into_parts(mut self) -> (S, Bytes) {
        let unread = self.take_unread();
        (self.stream, unread)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::net::deadline::within;

    async fn pair() -> (Channel, Channel) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let called = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = listener.accept().await.unwrap().0;
        let [mut one, mut other] = [called, accepted].map(|stream| Channel::new(Stream::from(stream)));
        one.trust();
        other.trust();
        (one, other)
    }

    /// Whether it has memory for packets.
    fn holds(channel: &Channel) -> bool {
        channel.incoming.capacity() > 0 || !channel.outbox.has_no_room()
    }

    async fn waits(channel: &mut Channel) {
        assert!(within(Duration::from_millis(5), channel.receive()).await.is_err());
    }

    #[tokio::test]
    async fn a_channel_that_waits_holds_no_buffer() {
        let (mut one, mut other) = pair().await;
        waits(&mut other).await;
        assert!(!holds(&other));
        one.outbox().message("a word");
        one.outbox().message("another");
        assert!(holds(&one));
        one.flush().await.unwrap();
        assert!(!holds(&one));
        for word in ["a word", "another"] {
            assert_eq!(other.receive().await.unwrap().payload(), word.as_bytes());
        }
        waits(&mut other).await;
        assert!(!holds(&other));
    }

    #[tokio::test]
    async fn a_part_of_a_packet_is_kept_until_the_rest_comes() {
        let (mut one, mut other) = pair().await;
        // Larger than what is read at once.
        let text = vec![b'x'; 3 * READ_BYTES + 5];
        let mut whole = Outbox::new();
        whole.message(&text);
        let (part, rest) = whole.as_bytes().split_at(READ_BYTES + 3);
        one.stream.write_all(part).await.unwrap();
        waits(&mut other).await;
        assert!(holds(&other));
        let (sent, got) = tokio::join!(one.stream.write_all(rest), other.receive());
        sent.unwrap();
        assert_eq!(got.unwrap().payload(), text);
        one.outbox().message("after it");
        one.flush().await.unwrap();
        assert_eq!(other.receive().await.unwrap().payload(), b"after it");
    }

    #[tokio::test]
    async fn a_frame_outlives_the_buffer_that_it_came_in() {
        let (mut one, mut other) = pair().await;
        one.outbox().message("first");
        one.flush().await.unwrap();
        let first = other.receive().await.unwrap();
        waits(&mut other).await;
        one.outbox().message("other");
        one.flush().await.unwrap();
        assert_eq!(other.receive().await.unwrap().payload(), b"other");
        assert_eq!(first.payload(), b"first");
    }

    #[tokio::test]
    async fn what_was_read_and_not_handed_out_comes_with_the_socket() {
        let (mut one, mut other) = pair().await;
        one.outbox().message("a packet");
        one.flush().await.unwrap();
        one.stream.write_all(b"and more").await.unwrap();
        other.receive().await.unwrap();
        let (mut stream, mut ahead) = other.into_parts();
        while ahead.len() < b"and more".len() {
            let mut more = ahead.to_vec();
            stream.read_buf(&mut more).await.unwrap();
            ahead = more.into();
        }
        assert_eq!(ahead, "and more");
    }
}
