//! The socket below a stream's TLS, with room to read and write in large pieces.
//!
//! A TLS library reads and writes a record of 16 KiB with each system call. Where much passes, room lent to the socket
//! makes that one call for many records. Without it every call goes to the socket, and nothing is held back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What TLS reads and writes: the socket that it shares with the stream around it, which uses it in the clear only.
#[derive(Debug)]
pub(super) struct Tcp {
    socket: Arc<TcpStream>,
    /// What comes before the socket's next bytes.
    ahead: Bytes,
    pub(super) incoming: Room,
    pub(super) outgoing: Room,
}

/// Bytes between the socket and whoever reads or writes.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Empty when none is lent.
    buffer: Box<[u8]>,
    /// Where what it holds begins and ends.
    start: usize,
    end: usize,
}

impl Room {
    /// Gives it a buffer. It must have none.
    pub(super) fn lend(&mut self, buffer: Box<[u8]>) {
        *self = Self {
            buffer,
            start: 0,
            end: 0,
        };
    }

    /// Takes the buffer back, unless it holds something or there is none.
    pub(super) fn take_back(&mut self) -> Option<Box<[u8]>> {
        (self.is_lent() && self.is_empty()).then(|| std::mem::take(&mut self.buffer))
    }

    pub(super) fn is_lent(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn free(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    fn filled(&mut self, bytes: usize) {
        self.end += bytes;
    }

    fn used(&mut self, bytes: usize) {
        self.start += bytes;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.free().len());
        if let (Some(to), Some(from)) = (self.free().get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.filled(count);
        count
    }
}

impl Tcp {
    pub(super) fn new(socket: Arc<TcpStream>, ahead: Bytes) -> Self {
        Self {
            socket,
            ahead,
            incoming: Room::default(),
            outgoing: Room::default(),
        }
    }
}

pub(super) fn poll_read(socket: &TcpStream, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    loop {
        ready!(socket.poll_read_ready(cx))?;
        match socket.try_read_buf(buffer) {
            Ok(_) => return Poll::Ready(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

pub(super) fn poll_write(socket: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        match socket.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// What comes next for TLS, which asks for more only while the other side has not said its farewell: the connection's
/// end is a cut then. (The library itself asks its connection whether this is the end, and ours cannot answer.)
fn poll_more(socket: &TcpStream, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    let before = buffer.filled().len();
    ready!(poll_read(socket, cx, buffer))?;
    if buffer.filled().len() == before {
        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
    }
    Poll::Ready(Ok(()))
}

/// Tells the other side that no more comes.
pub(super) fn shut_down(socket: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::shutdown(socket, rustix::net::Shutdown::Write)?)
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let part = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(part));
            return Poll::Ready(Ok(()));
        }
        if !self.incoming.is_lent() {
            return poll_more(&self.socket, cx, buffer);
        }
        if self.incoming.is_empty() {
            let Self { socket, incoming, .. } = &mut *self;
            let mut room = ReadBuf::new(incoming.free());
            ready!(poll_more(socket, cx, &mut room))?;
            let read = room.filled().len();
            incoming.filled(read);
        }
        let held = self.incoming.held();
        let part = held.len().min(buffer.remaining());
        buffer.put_slice(held.get(..part).unwrap_or_default());
        self.incoming.used(part);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.outgoing.is_lent() {
            return poll_write(&self.socket, cx, bytes);
        }
        if self.outgoing.free().len() < bytes.len() {
            ready!(self.as_mut().poll_flush(cx))?;
        }
        Poll::Ready(Ok(self.outgoing.put(bytes)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let sent = ready!(poll_write(&self.socket, cx, self.outgoing.held()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.used(sent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Poll::Ready(shut_down(&self.socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_taken_back_only_when_it_holds_nothing() {
        let mut room = Room::default();
        assert!(room.take_back().is_none());
        room.lend(vec![0; 4].into());
        assert_eq!(room.put(b"three"), 4);
        assert_eq!(room.held(), b"thre");
        room.used(1);
        assert_eq!(room.held(), b"hre");
        assert!(room.is_lent() && room.take_back().is_none());
        room.used(3);
        assert_eq!(room.free().len(), 4);
        assert_eq!(room.take_back().map(|buffer| buffer.len()), Some(4));
        assert!(!room.is_lent());
    }
}
