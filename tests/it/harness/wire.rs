//! Packets over a socket, for the simulated daemons. It shares the crate's framing and login machines and nothing
//! else: no deadline, no order of reading or writing that sdgroup has.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sdgroup::handshake::{HandshakeError, Machine, Step};
use sdgroup::wire::packet::{Frame, MAX_WIRE_BYTES, Outbox, Packet, PacketError, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::wait::PATIENCE;

/// A daemon compresses a message that is longer than this...
const WORTH_COMPRESSING: usize = 20;
/// ... and gets shorter by this (Bacula `src/lib/bsock.c`).
const WORTH_SAVING: usize = 10;
const COMPRESSED: u32 = 1 << 30;

/// What ended a conversation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// In order.
    #[error("the peer closed the connection")]
    Closed,
    /// In disorder.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error(transparent)]
    Packet(#[from] PacketError),
    #[error("the peer said nothing for {0:?}")]
    Silent(Duration),
    #[error("expected a message, got the signal {0:?}")]
    Signal(Signal),
}

/// What ended a login.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginFailed {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    inbox: BytesMut,
    unsent: Vec<u8>,
    compresses: bool,
    /// While this is true nothing is read or written: the process has been stopped.
    frozen: Option<watch::Receiver<bool>>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Dialogues of small packets would stall in the kernel otherwise.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            inbox: BytesMut::with_capacity(8192),
            unsent: Vec::new(),
            compresses: false,
            frozen: None,
        }
    }

    pub(crate) async fn dial(address: SocketAddr) -> Result<Self, WireError> {
        let dialled = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await;
        Ok(Self::new(dialled.map_err(|_| WireError::Silent(PATIENCE))??))
    }

    /// Stands still while `frozen` says so.
    pub(crate) fn freezes_with(mut self, frozen: watch::Receiver<bool>) -> Self {
        self.frozen = Some(frozen);
        self
    }

    /// Compresses what is worth it from now on, as daemons do by default.
    pub(crate) fn compress(&mut self) {
        self.compresses = true;
    }

    async fn thawed(&mut self) {
        if let Some(frozen) = &mut self.frozen {
            // The sender lives as long as the daemon does.
            let _ = frozen.wait_for(|frozen| !frozen).await;
        }
    }

    /// The next packet, and how it was packed.
    pub(crate) async fn frame(&mut self) -> Result<Frame, WireError> {
        self.frame_within(PATIENCE).await
    }

    pub(crate) async fn frame_within(&mut self, patience: Duration) -> Result<Frame, WireError> {
        self.thawed().await;
        loop {
            if let Some(frame) = Frame::take(&mut self.inbox, MAX_WIRE_BYTES)? {
                self.thawed().await;
                return Ok(frame);
            }
            let read = tokio::time::timeout(patience, self.stream.read_buf(&mut self.inbox)).await;
            match read.map_err(|_| WireError::Silent(patience))?? {
                0 => return Err(WireError::Closed),
                _ => self.thawed().await,
            }
        }
    }

    /// The next packet.
    pub(crate) async fn packet(&mut self) -> Result<Packet, WireError> {
        Ok(self.frame().await?.decode()?)
    }

    /// The next packet, which must be a message.
    pub(crate) async fn message(&mut self) -> Result<Bytes, WireError> {
        match self.packet().await? {
            Packet::Message(text) => Ok(text),
            Packet::Signal(signal) => Err(WireError::Signal(signal)),
        }
    }

    /// Adds a message to what the next [`flush`](Self::flush) sends.
    pub(crate) fn put(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        if self.compresses && text.len() > WORTH_COMPRESSING {
            let block = lz4_flex::block::compress(text);
            if block.len() + WORTH_SAVING <= text.len() {
                return self.put_packed(COMPRESSED, &block);
            }
        }
        self.put_packed(0, text);
    }

    fn put_packed(&mut self, flags: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a message of less than a megabyte");
        self.unsent.extend_from_slice(&(length | flags).to_be_bytes());
        self.unsent.extend_from_slice(payload);
    }

    /// Adds a signal.
    pub(crate) fn put_signal(&mut self, signal: Signal) {
        self.unsent.extend_from_slice(&signal.code().to_be_bytes());
    }

    /// Adds bytes that need not be a packet.
    pub(crate) fn put_raw(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    pub(crate) async fn flush(&mut self) -> Result<(), WireError> {
        self.thawed().await;
        let sent = tokio::time::timeout(PATIENCE, self.stream.write_all(&self.unsent)).await;
        self.unsent.clear();
        Ok(sent.map_err(|_| WireError::Silent(PATIENCE))??)
    }

    /// How much waits for the next flush, in bytes.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Sends a message now.
    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) -> Result<(), WireError> {
        self.put(text);
        self.flush().await
    }

    /// Sends a signal now.
    pub(crate) async fn signal(&mut self, signal: Signal) -> Result<(), WireError> {
        self.put_signal(signal);
        self.flush().await
    }

    /// Runs a login; `outbox` holds what its start has to say.
    pub(crate) async fn log_in<M: Machine>(
        &mut self,
        first: Result<Step<M>, HandshakeError>,
        mut outbox: Outbox,
    ) -> Result<M::Verified, LoginFailed> {
        let mut step = first;
        loop {
            self.put_raw(&outbox.take());
            step = match step {
                Ok(Step::Expect(machine)) => {
                    self.flush().await?;
                    let packet = self.packet().await?;
                    machine.on_packet(&packet, &mut outbox)
                }
                // Nobody in the simulation has TLS.
                Ok(Step::StartTls(..) | Step::StopTls(_)) => return Err(HandshakeError::Early.into()),
                Ok(Step::Done(verified)) => {
                    self.flush().await?;
                    return Ok(verified);
                }
                Err(error) => {
                    // The refusal; whether it arrives is the peer's affair.
                    let _ = self.flush().await;
                    return Err(error.into());
                }
            };
        }
    }

    /// Ends the connection in order: says nothing more, and waits for the peer to close, so that what was said last
    /// arrives.
    pub(crate) async fn close(mut self) {
        if self.flush().await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        let mut rest = [0; 4096];
        let drained = async { while matches!(self.stream.read(&mut rest).await, Ok(1..)) {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), drained).await;
    }

    /// Breaks the connection off.
    pub(crate) fn reset(self) {
        let _ = sdgroup::net::options::reset_on_close(&self.stream);
    }

    /// Says a last signal and waits until the peer has ended the connection.
    pub(crate) async fn until_closed_after(&mut self, signal: Signal) -> (Vec<Packet>, WireError) {
        match self.signal(signal).await {
            Ok(()) => self.until_closed().await,
            Err(error) => (Vec::new(), error),
        }
    }

    /// Waits until the peer has ended the connection; returns what it said until then, and how it ended.
    pub(crate) async fn until_closed(&mut self) -> (Vec<Packet>, WireError) {
        let mut said = Vec::new();
        loop {
            match self.packet().await {
                Ok(packet) => said.push(packet),
                Err(error) => return (said, error),
            }
        }
    }
}

/// Bits for a challenge or a key.
pub(crate) fn random() -> [u8; 16] {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the system's random source");
    bits
}

/// A message as text, for people.
pub(crate) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim_end_matches(['\n', '\0']).to_owned()
}
