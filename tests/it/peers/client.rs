//! A Client (File Daemon): calls a storage for a job and sends it files, or takes them back.

use std::net::SocketAddr;

use sdgroup::handshake::{Step, TlsPolicy, bridge};
use sdgroup::types::{JobName, Release, SessionKey};
use sdgroup::wire::hello::ClientHello;
use sdgroup::wire::packet::{Outbox, Packet, Signal};

use crate::harness::bytes_of_jobs::Record;
use crate::harness::wire::{LoginFailed, Wire, WireError, random, shown};

/// What a Client sends at once.
const BATCH_BYTES: usize = 64 * 1024;

/// How a Director tells a Client where to go.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub(crate) address: SocketAddr,
    pub(crate) job: JobName,
    pub(crate) key: SessionKey,
    pub(crate) sd_id: u32,
    pub(crate) sd_time: u32,
}

/// Why a Client did not do its errand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot reach the storage: {0}")]
    Dial(#[source] WireError),
    #[error("login: {0}")]
    Login(#[from] LoginFailed),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("expected {expected:?}, the storage said {found:?}")]
    Refused { expected: &'static str, found: String },
}

/// The data connection, logged in.
#[derive(Debug)]
pub(crate) struct DataLink {
    pub(crate) wire: Wire,
    ticket: u32,
}

/// The Hello of a Client of 9.6.
pub(crate) fn hello(job: &JobName) -> ClientHello {
    ClientHello {
        job: job.clone(),
        fd_version: Release::V9.client_version(),
        sd_version: None,
        tls_psk: None,
    }
}

impl DataLink {
    /// Calls the storage and proves the key.
    pub(crate) async fn open(errand: &Errand) -> Result<Self, ClientError> {
        let wire = Wire::dial(errand.address).await.map_err(ClientError::Dial)?;
        Self::log_in(wire, errand).await
    }

    /// Proves the key on a connection that is there.
    pub(crate) async fn log_in(mut wire: Wire, errand: &Errand) -> Result<Self, ClientError> {
        let mut outbox = Outbox::new();
        let login = bridge::Login::start(
            &hello(&errand.job),
            &errand.key,
            "sim-fd",
            random(),
            TlsPolicy::default(),
            None,
            &mut outbox,
        );
        wire.log_in(login.map(Step::Expect), outbox).await?;
        Ok(Self::over(wire))
    }

    /// A connection on which the login is done.
    pub(crate) fn over(mut wire: Wire) -> Self {
        wire.compress();
        Self { wire, ticket: 0 }
    }

    /// The next message; a sign of life is none.
    async fn reply(&mut self) -> Result<String, ClientError> {
        loop {
            match self.wire.packet().await? {
                Packet::Signal(Signal::Heartbeat) => {}
                Packet::Signal(signal) => return Err(WireError::Signal(signal).into()),
                Packet::Message(text) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            }
        }
    }

    async fn expect(&mut self, expected: &'static str) -> Result<String, ClientError> {
        let found = self.reply().await?;
        if found.starts_with(expected) {
            return Ok(found);
        }
        let found = shown(found.as_bytes());
        Err(ClientError::Refused { expected, found })
    }

    async fn expect_ticket(&mut self) -> Result<(), ClientError> {
        let expected = "3000 OK open ticket = ";
        let found = self.expect(expected).await?;
        self.ticket = found[expected.len()..].trim().parse().expect("a ticket's number");
        Ok(())
    }

    /// Begins a backup: the storage is ready for the first file when this returns.
    pub(crate) async fn open_append(&mut self) -> Result<(), ClientError> {
        self.wire.send("append open session\n").await?;
        self.expect_ticket().await?;
        let ticket = self.ticket;
        self.wire.send(format!("append data {ticket}\n")).await?;
        self.expect("3000 OK data\n").await?;
        Ok(())
    }

    /// Sends files.
    pub(crate) async fn send(&mut self, records: &[Record]) -> Result<(), ClientError> {
        for (at, record) in records.iter().enumerate() {
            let Record {
                file_index,
                stream,
                bytes,
            } = record;
            let same = |other: Option<&Record>| {
                other.is_some_and(|other| (other.file_index, other.stream) == (*file_index, *stream))
            };
            if !same(at.checked_sub(1).and_then(|at| records.get(at))) {
                self.wire.put(format!("{file_index} {stream} {}", bytes.len()));
            }
            self.wire.put(bytes);
            if !same(records.get(at + 1)) {
                self.wire.put_signal(Signal::Eod);
            }
            if self.wire.unsent() > BATCH_BYTES {
                self.wire.flush().await?;
            }
        }
        Ok(self.wire.flush().await?)
    }

    /// Ends a backup; returns the status that the storage reports.
    pub(crate) async fn close_append(mut self) -> Result<u8, ClientError> {
        let ticket = self.ticket;
        self.wire.signal(Signal::Eod).await?;
        self.expect("3000 OK append data\n").await?;
        self.wire.send(format!("append end session {ticket}\n")).await?;
        self.expect("3000 OK end\n").await?;
        self.wire.send(format!("append close session {ticket}\n")).await?;
        let status = self.closed().await?;
        self.wire.close().await;
        Ok(status)
    }

    async fn closed(&mut self) -> Result<u8, ClientError> {
        let expected = "3000 OK close Status = ";
        let found = self.expect(expected).await?;
        match self.wire.packet().await? {
            Packet::Signal(Signal::Eod) => {}
            other => panic!("after the status comes an EOD, not {other:?}"),
        }
        self.wire.signal(Signal::Terminate).await?;
        Ok(found[expected.len()..].trim().parse().expect("a status"))
    }

    /// Begins to read: the storage has its first volume when this returns.
    pub(crate) async fn open_read(&mut self, errand: &Errand) -> Result<(), ClientError> {
        let (id, time) = (errand.sd_id, errand.sd_time);
        let open = format!("read open session = DummyVolume {id} {time} 0 0 0 0\n");
        self.wire.send(open).await?;
        self.expect_ticket().await?;
        let ticket = self.ticket;
        self.wire.send(format!("read data {ticket}\n")).await?;
        self.expect("3000 OK data\n").await?;
        Ok(())
    }

    /// Takes all files.
    pub(crate) async fn receive(&mut self) -> Result<Vec<Record>, ClientError> {
        let mut records = Vec::new();
        loop {
            let header = match self.wire.packet().await? {
                Packet::Signal(Signal::Heartbeat) => continue,
                Packet::Signal(Signal::Eod) => return Ok(records),
                Packet::Signal(signal) => return Err(WireError::Signal(signal).into()),
                Packet::Message(text) => String::from_utf8_lossy(&text).into_owned(),
            };
            let Some(numbers) = header.strip_prefix("rechdr ") else {
                let expected = "rechdr ";
                let found = shown(header.as_bytes());
                return Err(ClientError::Refused { expected, found });
            };
            let numbers: Vec<u32> = numbers.split(' ').map(|n| n.parse().expect("a number")).collect();
            let [_, _, file_index, stream, length] = numbers[..] else {
                panic!("{} numbers in {header:?}", numbers.len());
            };
            let bytes = self.wire.message().await?;
            assert_eq!(bytes.len(), length as usize, "a record is as long as {header:?} says");
            records.push(Record {
                file_index,
                stream,
                bytes,
            });
        }
    }

    /// Ends reading; returns the status that the storage reports.
    pub(crate) async fn close_read(mut self) -> Result<u8, ClientError> {
        let status = self.end_read().await?;
        self.wire.close().await;
        Ok(status)
    }

    /// The same, and keeps the connection.
    pub(crate) async fn end_read(&mut self) -> Result<u8, ClientError> {
        let ticket = self.ticket;
        self.wire.send(format!("read close session {ticket}\n")).await?;
        self.closed().await
    }
}

/// A whole backup; returns the status that the storage reports.
pub(crate) async fn back_up(errand: Errand, records: Vec<Record>) -> Result<u8, ClientError> {
    let mut link = DataLink::open(&errand).await?;
    link.open_append().await?;
    link.send(&records).await?;
    link.close_append().await
}

/// A whole restore; returns the files.
pub(crate) async fn restore(errand: Errand) -> Result<Vec<Record>, ClientError> {
    let mut link = DataLink::open(&errand).await?;
    link.open_read(&errand).await?;
    let records = link.receive().await?;
    link.close_read().await?;
    Ok(records)
}
