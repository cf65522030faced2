//! A peer of our own on a plain socket, for what no real daemon would do. It knows the framing and nothing else,
//! and leaves proving a password to the machines of the library.

use crate::lab::Lab;
use crate::lab::resources::{DIRECTOR, GROUP_PASSWORD};
use bytes::BytesMut;
use sdgroup::handshake::{DirectorKey, Machine, Step, TlsPolicy, storage};
use sdgroup::types::{DirectorName, Secret};
use sdgroup::wire::packet::{Frame, MAX_WIRE_BYTES, Outbox, Packet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Peer {
    stream: TcpStream,
    received: BytesMut,
}

impl Peer {
    pub(crate) fn call(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("sdgroup listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        Self {
            stream,
            received: BytesMut::new(),
        }
    }

    /// A Director that has proved its password and was let in.
    pub(crate) fn director(lab: &mut Lab) -> Self {
        let mut peer = Self::call(lab.sdgroup().address());
        let mut outbox = Outbox::new();
        let name = DirectorName::new(DIRECTOR).expect("a name");
        let key = DirectorKey::new(&Secret::new(GROUP_PASSWORD.to_owned()));
        let mut login = storage::Login::start(&name, &key, crate::RELEASE, [7; 16], TlsPolicy::default(), &mut outbox);
        loop {
            peer.send_bytes(&outbox.take());
            let packet = peer.receive().expect("an answer to the login");
            match login.on_packet(&packet, &mut outbox).expect("the login to succeed") {
                Step::Expect(next) => login = next,
                Step::Done(_) => return peer,
                Step::StartTls(..) | Step::StopTls(_) => panic!("this Director has no TLS"),
            }
        }
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sending");
    }

    pub(crate) fn send(&mut self, text: &str) {
        let mut outbox = Outbox::new();
        outbox.message(text);
        self.send_bytes(&outbox.take());
    }

    /// The next packet; `None` when the other side has closed or reset the connection.
    pub(crate) fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some(frame) = Frame::take(&mut self.received, MAX_WIRE_BYTES).expect("a frame") {
                return Some(frame.decode().expect("a packet"));
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("neither an answer nor an end within {PATIENCE:?}: {error}"),
            }
        }
    }

    /// The next message as text; `None` as above.
    pub(crate) fn receive_text(&mut self) -> Option<String> {
        loop {
            match self.receive()? {
                Packet::Message(text) => return Some(String::from_utf8_lossy(&text).into_owned()),
                Packet::Signal(_) => {}
            }
        }
    }

    /// All messages until the other side closes.
    pub(crate) fn receive_to_end(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.receive_text()).collect()
    }
}

/// The announcement of a backup job, as a Director of 9.6 makes it.
pub(crate) fn announcement(job: &str) -> String {
    format!(
        "JobId=99 job={job} job_name=Docs client_name=lab-fd type=66 level=70 FileSet=Docs NoAttr=0 SpoolAttr=1 \
         FileSetMD5=M0hIyTpZy6Elh9/E9w0x/C SpoolData=0 WritePartAfterJob=1 PreferMountedVols=1 SpoolSize=0 \
         rerunning=0 VolSessionId=0 VolSessionTime=0 sd_client=0 Authorization=dummy\n"
    )
}
