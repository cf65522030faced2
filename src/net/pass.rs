//! Messages between processes of one machine, and with them open sockets (`SCM_RIGHTS` of unix(7)).
//!
//! A message is its length in four bytes, the lowest first, and its bytes; what is passed with it goes with the length.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// How many sockets may go with a message; the kernel lets no more pass than 253.
pub const MOST_PASSED: usize = 128;

/// How large a message may be, in bytes.
pub const MOST_BYTES: usize = 16 << 20;

const HEAD: usize = 4;

fn wrong(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Sends a message, and `passed` with it.
///
/// # Errors
/// When the other end does not take it, or it is too large.
pub async fn send(stream: &mut UnixStream, message: &[u8], passed: &[BorrowedFd<'_>]) -> io::Result<()> {
    let head = head(message)?;
    if passed.len() > MOST_PASSED {
        return Err(wrong("too many sockets are passed at once"));
    }
    let sent = stream
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PASSED))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !passed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(passed)) {
                return Err(wrong("too many sockets are passed at once"));
            }
            let flags = SendFlags::NOSIGNAL;
            Ok(rustix::net::sendmsg(
                &*stream,
                &[IoSlice::new(&head)],
                &mut control,
                flags,
            )?)
        })
        .await?;
    stream.write_all(head.get(sent..).unwrap_or_default()).await?;
    stream.write_all(message).await
}

/// Sends a message on one half of a connection.
///
/// # Errors
/// As [`send`].
pub async fn write(to: &mut OwnedWriteHalf, message: &[u8]) -> io::Result<()> {
    to.write_all(&head(message)?).await?;
    to.write_all(message).await
}

/// The next message on one half of a connection. What is passed with it is lost.
///
/// # Errors
/// As [`receive`].
pub async fn read(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut head = [0_u8; HEAD];
    from.read_exact(&mut head).await?;
    let mut message = vec![0; length(head)?];
    from.read_exact(&mut message).await?;
    Ok(message)
}

/// What goes before `message`. Nothing has been sent of one that the other end would not take.
fn head(message: &[u8]) -> io::Result<[u8; HEAD]> {
    match u32::try_from(message.len()) {
        Ok(length) if message.len() <= MOST_BYTES => Ok(length.to_le_bytes()),
        _ => Err(wrong("the message is too large")),
    }
}

fn length(head: [u8; HEAD]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if length > MOST_BYTES {
        return Err(wrong("the message is too large"));
    }
    Ok(length)
}

/// The next message, and what was passed with it.
///
/// # Errors
/// When the other end has closed, or sends something else.
pub async fn receive(stream: &mut UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut head = [0_u8; HEAD];
    let (read, passed) = stream
        .async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PASSED))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC;
            let mut room = [IoSliceMut::new(&mut head)];
            let received = rustix::net::recvmsg(&*stream, &mut room, &mut control, flags)?;
            let mut passed = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(sockets) = message {
                    passed.extend(sockets);
                }
            }
            Ok((received.bytes, passed))
        })
        .await?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.read_exact(head.get_mut(read..).unwrap_or_default()).await?;
    let mut message = vec![0; length(head)?];
    stream.read_exact(&mut message).await?;
    Ok((message, passed))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_passed_is_the_same_one() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        send(&mut one, b"first", &[]).await.unwrap();
        let large = vec![7; 100_000];
        send(&mut one, &large, &[listener.as_fd()]).await.unwrap();
        drop(listener);
        assert_eq!(receive(&mut other).await.unwrap().0, b"first");
        let (message, mut passed) = receive(&mut other).await.unwrap();
        assert_eq!(message, large);
        let listener = std::net::TcpListener::from(passed.pop().unwrap());
        assert!(passed.is_empty());
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let (called, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        assert!(called.is_ok() && accepted.is_ok());
        drop(one);
        let ended = receive(&mut other).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_the_other_end_would_not_take_is_not_sent_and_the_connection_goes_on() {
        let (mut one, other) = UnixStream::pair().unwrap();
        let (mut from, _) = other.into_split();
        let too_large = vec![0; MOST_BYTES + 1];
        let ends = vec![from.as_ref().as_fd(); MOST_PASSED + 1];
        assert!(send(&mut one, &too_large, &[]).await.is_err());
        assert!(send(&mut one, b"too many", &ends).await.is_err());
        let (_, mut to) = one.into_split();
        assert!(write(&mut to, &too_large).await.is_err());
        write(&mut to, b"the next").await.unwrap();
        assert_eq!(read(&mut from).await.unwrap(), b"the next");
    }
}
