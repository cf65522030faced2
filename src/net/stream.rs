//! A TCP connection that may go over to TLS and, once, back.
//!
//! It is one type and not two, because Bacula's daemons begin in the clear and negotiate TLS on the open connection;
//! whoever reads and writes does not care.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::tcp::{self, Room, Tcp};
use super::tls::{CertificateContext, Side, TlsError, handshake};

/// A connection, in the clear or in TLS.
#[derive(Debug)]
pub struct Stream {
    socket: Arc<TcpStream>,
    tls: Option<Box<SslStream<Tcp>>>,
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self {
            socket: Arc::new(stream),
            tls: None,
        }
    }
}

impl Stream {
    /// The socket below.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether it is in TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The version and cipher of its TLS, for people.
    #[must_use]
    pub fn tls_in_words(&self) -> Option<String> {
        let ssl = self.tls.as_ref()?.ssl();
        let cipher = ssl.current_cipher().map_or("none", openssl::ssl::SslCipherRef::name);
        Some(format!("{} {cipher}", ssl.version_str()))
    }

    /// Begins TLS that rests on a key which both sides know. `ahead` is what has been read of the other side's TLS.
    ///
    /// # Errors
    /// When the other side has another key, or does not speak TLS. The connection is of no use then.
    pub async fn start_psk(&mut self, side: Side, key: &[u8], ahead: Bytes) -> Result<(), TlsError> {
        let ssl = super::tls::psk::prepare(side, key)?;
        let stream = self.start(side, ssl, ahead).await?;
        super::tls::psk::check(stream.ssl())?;
        self.tls = Some(stream);
        Ok(())
    }

    /// Begins TLS with certificates. `ahead` is what has been read of the other side's TLS; `host` is the address that
    /// was dialled, whose name the other side's certificate has to carry if we are the client.
    ///
    /// # Errors
    /// When one side does not accept the other's certificate, or the other does not speak TLS. The connection is of no
    /// use then.
    pub async fn start_certificates(
        &mut self,
        side: Side,
        context: &CertificateContext,
        host: Option<&str>,
        ahead: Bytes,
    ) -> Result<(), TlsError> {
        let stream = self.start(side, context.prepare(side)?, ahead).await?;
        context.check(side, stream.ssl(), host)?;
        self.tls = Some(stream);
        Ok(())
    }

    async fn start(&self, side: Side, ssl: openssl::ssl::Ssl, ahead: Bytes) -> Result<Box<SslStream<Tcp>>, TlsError> {
        let tcp = Tcp::new(Arc::clone(&self.socket), ahead);
        let mut stream = Box::new(SslStream::new(ssl, tcp)?);
        let done = match side {
            Side::Client => Pin::new(&mut *stream).connect().await,
            Side::Server => Pin::new(&mut *stream).accept().await,
        };
        match done {
            Ok(()) => Ok(stream),
            Err(error) => Err(handshake::failure(&error, stream.ssl())),
        }
    }

    /// Goes on in the clear, without a word to the other side, which does the same.
    pub fn stop_tls(&mut self) {
        self.tls = None;
    }

    /// The socket itself, which only a connection in the clear can give away; else the connection as it was.
    ///
    /// # Errors
    /// When it is in TLS.
    pub fn into_tcp(self) -> Result<TcpStream, Self> {
        let Self { socket, tls: None } = self else {
            return Err(self);
        };
        Arc::try_unwrap(socket).map_err(|socket| Self { socket, tls: None })
    }

    /// A handle on the socket below, to wait beside whoever reads and writes.
    #[must_use]
    pub fn socket(&self) -> Arc<TcpStream> {
        Arc::clone(&self.socket)
    }

    /// Lends TLS `room` to read from the socket in larger pieces than its records. In the clear there is no use for it,
    /// and where it has some already: it comes back then.
    pub fn lend_incoming(&mut self, room: Box<[u8]>) -> Option<Box<[u8]>> {
        lend(self.tls.as_mut().map(|tls| &mut tls.get_mut().incoming), room)
    }

    /// The same for writing. What is written is sent when the room is full, and by a flush.
    pub fn lend_outgoing(&mut self, room: Box<[u8]>) -> Option<Box<[u8]>> {
        lend(self.tls.as_mut().map(|tls| &mut tls.get_mut().outgoing), room)
    }

    /// Takes back what was lent and holds nothing.
    pub fn take_incoming(&mut self) -> Option<Box<[u8]>> {
        self.tls.as_mut()?.get_mut().incoming.take_back()
    }

    /// Takes back what was lent and holds nothing.
    pub fn take_outgoing(&mut self) -> Option<Box<[u8]>> {
        self.tls.as_mut()?.get_mut().outgoing.take_back()
    }
}

fn lend(to: Option<&mut Room>, room: Box<[u8]>) -> Option<Box<[u8]>> {
    match to {
        Some(to) if !to.is_lent() => {
            to.lend(room);
            None
        }
        _ => Some(room),
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsyncRead for Stream {
    /// In TLS an end without its farewell is an [`io::ErrorKind::UnexpectedEof`]: somebody may have cut it off.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            Some(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
            None => tcp::poll_read(&self.socket, cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.tls {
            Some(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            None => tcp::poll_write(&self.socket, cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            Some(stream) => Pin::new(&mut **stream).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Tells the other side that no more comes; in TLS, that this is the end and not a cut.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            Some(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            None => Poll::Ready(tcp::shut_down(&self.socket)),
        }
    }
}
