//! A Client's one read session, fed by several storages one after the other.
//!
//! For each storage sdgroup is the Client: it opens a session, asks for the data and closes it again. The Client sees
//! one session: what is around the data is said by sdgroup, the records pass as they come, and the EOD behind the last
//! storage's is the only one. A Client has no expectation of who delivers a record (Bacula `src/filed/restore.c`).

use std::time::Instant;

use tokio::sync::mpsc;

use super::super::couple::BURST_BYTES;
use super::super::end;
use super::super::error::StorageError;
use super::super::rates;
use super::super::routes::{Counted, Turn};
use super::shown::Shown;
use super::{Call, Hangs, Taken};
use crate::channel::{Channel, ChannelError};
use crate::handshake;
use crate::net::options;
use crate::types::{JobStatus, StorageName};
use crate::wire::line::{LineError, shown};
use crate::wire::packet::{Frame, PacketError, Signal};
use crate::wire::read_session::{self, ReadRequest};

/// Why the session came to a bad end.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("the caller: {0}")]
    Client(#[source] ChannelError),
    #[error("the caller said something else than expected: {0}")]
    Request(#[source] LineError),
    #[error("storage {storage}: {source}")]
    Unreached {
        storage: StorageName,
        #[source]
        source: StorageError,
    },
    #[error("storage {storage}: {source}")]
    Storage {
        storage: StorageName,
        #[source]
        source: ChannelError,
    },
    #[error("storage {storage} said something else than expected: {line}")]
    Reply { storage: StorageName, line: String },
    #[error("the job's control connection has ended")]
    Stopped,
    #[error("{0}")]
    Hangs(Hangs),
}

impl ReadError {
    fn label(&self) -> &'static str {
        match self {
            Self::Client(_) => "client_gone",
            Self::Request(_) => "protocol",
            Self::Unreached { source, .. } => source.label(),
            Self::Storage { .. } => "storage_lost",
            Self::Reply { .. } => "storage_refused",
            Self::Stopped | Self::Hangs(_) => "stopped",
        }
    }
}

impl Call<'_> {
    /// Serves the Client from one storage after the other.
    pub(super) async fn read_in_turn(
        &self,
        mut client: Channel,
        verified: &handshake::client::Verified,
        turns: mpsc::UnboundedReceiver<Turn>,
        taken: Taken,
    ) {
        let session = Session {
            call: self,
            verified,
            ticket: 1,
        };
        let read = tokio::select! {
            read = session.run(&mut client, turns) => read,
            () = self.route.stop.cancelled() => Err(ReadError::Stopped),
            hangs = self.forgotten() => Err(ReadError::Hangs(hangs)),
        };
        match read {
            Ok(()) => {
                self.tell_end(None, "ended", None);
                end::part(client).await;
            }
            Err(error) => {
                // An orderly close would look like the end of the data.
                let _ = options::reset_on_close(client.stream().tcp());
                self.tell_end(None, error.label(), Some(&error.to_string()));
            }
        }
        drop(taken);
    }
}

struct Session<'a> {
    call: &'a Call<'a>,
    verified: &'a handshake::client::Verified,
    /// The session's number, as the Client knows it.
    ticket: u32,
}

impl Session<'_> {
    async fn run(&self, client: &mut Channel, mut turns: mpsc::UnboundedReceiver<Turn>) -> Result<(), ReadError> {
        let asked = self.open(client).await?;
        let mut status = JobStatus::Terminated;
        let mut first = true;
        loop {
            // The control session ends the turns when it ends itself.
            let turn = turns.recv().await.ok_or(ReadError::Stopped)?;
            let closed = self.take_turn(client, &turn, &asked, first).await?;
            if status == JobStatus::Terminated {
                status = closed;
            }
            if turn.last {
                break;
            }
            first = false;
        }
        client.outbox().signal(Signal::Eod);
        self.close(client, status).await
    }

    /// The Client opens its session and asks for the data; returns its words for the storages.
    async fn open(&self, client: &mut Channel) -> Result<Vec<Frame>, ReadError> {
        let mut asked = Vec::new();
        loop {
            let frame = receive(client).await?;
            match request(&frame)? {
                ReadRequest::Open if asked.is_empty() => {
                    client.outbox().message(read_session::ticket_line(self.ticket));
                    client.flush().await.map_err(ReadError::Client)?;
                    asked.push(frame);
                }
                ReadRequest::Control if asked.len() == 1 => asked.push(frame),
                ReadRequest::Data if !asked.is_empty() => return Ok(asked),
                _ => return Err(out_of_order(&frame)),
            }
        }
    }

    /// The Client closes its session.
    async fn close(&self, client: &mut Channel, status: JobStatus) -> Result<(), ReadError> {
        client.flush().await.map_err(ReadError::Client)?;
        let frame = receive(client).await?;
        if request(&frame)? != ReadRequest::Close {
            return Err(out_of_order(&frame));
        }
        client.outbox().message(read_session::closed_line(status));
        client.outbox().signal(Signal::Eod);
        client.outbox().signal(Signal::Terminate);
        Ok(())
    }

    /// One storage's session from its beginning to its end; returns the status that it gave.
    async fn take_turn(
        &self,
        client: &mut Channel,
        turn: &Turn,
        asked: &[Frame],
        first: bool,
    ) -> Result<JobStatus, ReadError> {
        let (call, has_tls, far) = (self.call, client.stream().is_tls(), &turn.far);
        let reached = call.log_in_at_storage(far, has_tls, self.verified.capabilities).await;
        let channel = reached.map_err(|source| ReadError::Unreached {
            storage: far.storage.name.clone(),
            source,
        })?;
        let name = &far.storage.name;
        let mut storage = Source { name, channel };
        let (open, controls) = asked.split_first().ok_or(ReadError::Stopped)?;
        storage.channel.outbox().frame(open);
        let reply = storage.reply(client).await?;
        let ticket = read_session::parse_ticket(&reply).map_err(|_| storage.unexpected(&reply))?;
        for control in controls {
            storage.channel.outbox().frame(control);
        }
        storage.channel.outbox().message(read_session::data_line(ticket));
        let reply = storage.reply(client).await?;
        if reply != read_session::DATA {
            return Err(storage.unexpected(&reply));
        }
        if first {
            client.outbox().message(read_session::DATA);
        }
        storage.pass_records(client, call, turn.counted.clone()).await?;
        storage.channel.outbox().message(read_session::close_line(ticket));
        let reply = storage.reply(client).await?;
        let status = read_session::parse_closed(&reply).map_err(|_| storage.unexpected(&reply))?;
        storage.channel.outbox().signal(Signal::Terminate);
        end::part(storage.channel).await;
        Ok(status)
    }
}

/// A storage that is read from.
struct Source<'a> {
    name: &'a StorageName,
    channel: Channel,
}

impl Source<'_> {
    /// Sends what is to be asked and waits for the reply. A storage that waits for a volume gives signs of life, which
    /// are for the Client; one whose Client goes away is not waited for.
    async fn reply(&mut self, client: &mut Channel) -> Result<Vec<u8>, ReadError> {
        let sent = self.channel.flush().await;
        sent.map_err(|source| self.lost(source))?;
        loop {
            let frame = self.receive(client).await?;
            let mut scratch = Vec::new();
            match frame.text(&mut scratch).map_err(|error| self.garbled(error))? {
                Some(text) => return Ok(text.to_vec()),
                None if frame.signal() == Some(Signal::Heartbeat) => {
                    client.outbox().frame(&frame);
                    client.flush().await.map_err(ReadError::Client)?;
                }
                None => return Err(self.unexpected(format!("{:?}", frame.signal()).as_bytes())),
            }
        }
    }

    /// Passes records until the storage's EOD, which is not passed.
    async fn pass_records(&mut self, client: &mut Channel, call: &Call<'_>, counted: Counted) -> Result<(), ReadError> {
        let tally = &call.route.tally;
        let mut shown = Shown::new(call.context, self.name, tally, counted);
        let mut next_show = Instant::now();
        loop {
            let mut frame = self.receive(client).await?;
            loop {
                if frame.signal() == Some(Signal::Eod) {
                    return client.flush().await.map_err(ReadError::Client);
                }
                tally.add_to_near(frame.as_bytes().len());
                client.outbox().frame(&frame);
                if client.outbox().len() >= BURST_BYTES {
                    break;
                }
                match self.channel.buffered().map_err(|error| self.lost(error))? {
                    Some(next) => frame = next,
                    None => break,
                }
            }
            client.flush().await.map_err(ReadError::Client)?;
            if next_show <= Instant::now() {
                shown.show();
                next_show = Instant::now() + rates::ADD_EVERY;
            }
        }
    }

    /// The storage's next packet. A Client has nothing to say meanwhile, so anything from it is its end.
    async fn receive(&mut self, client: &mut Channel) -> Result<Frame, ReadError> {
        tokio::select! {
            received = self.channel.receive() => received.map_err(|source| self.lost(source)),
            gone = client.receive() => Err(match gone {
                Ok(frame) => out_of_order(&frame),
                Err(error) => ReadError::Client(error),
            }),
        }
    }

    fn lost(&self, source: ChannelError) -> ReadError {
        ReadError::Storage {
            storage: self.name.clone(),
            source,
        }
    }

    fn garbled(&self, error: PacketError) -> ReadError {
        self.lost(error.into())
    }

    fn unexpected(&self, line: &[u8]) -> ReadError {
        ReadError::Reply {
            storage: self.name.clone(),
            line: shown(line).trim_end().to_owned(),
        }
    }
}

/// The Client's next message.
async fn receive(client: &mut Channel) -> Result<Frame, ReadError> {
    loop {
        let frame = client.receive().await.map_err(ReadError::Client)?;
        // As a storage does: signals and empty messages between requests say nothing.
        match frame.signal() {
            Some(Signal::Terminate) => return Err(ReadError::Client(ChannelError::Closed)),
            Some(_) => {}
            None if frame.payload().is_empty() => {}
            None => return Ok(frame),
        }
    }
}

fn request(frame: &Frame) -> Result<ReadRequest, ReadError> {
    let mut scratch = Vec::new();
    let text = frame
        .text(&mut scratch)
        .map_err(|error| ReadError::Client(error.into()))?;
    ReadRequest::parse(text.unwrap_or_default()).map_err(ReadError::Request)
}

fn out_of_order(frame: &Frame) -> ReadError {
    let mut scratch = Vec::new();
    let text = frame.text(&mut scratch).ok().flatten().unwrap_or_default();
    let found = if text.is_empty() {
        format!("{:?}", frame.signal())
    } else {
        shown(text)
    };
    ReadError::Request(LineError::Expected {
        expected: "another request",
        found,
    })
}
