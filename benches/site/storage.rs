//! A storage: lets Directors in, takes every job, and hands data connections to whoever wants them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use sdgroup::channel::{Channel, drive};
use sdgroup::handshake::{TlsPolicy, director};
use sdgroup::net::stream::Stream;
use sdgroup::types::{JobName, SessionKey};
use sdgroup::wire::hello::{DirectorHello, Hello};
use sdgroup::wire::job::{JobAnswer, JobCommand};
use sdgroup::wire::packet::{Packet, Signal};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{RELEASE, key, random};

/// What a Client opened, from behind its Hello on.
#[derive(Debug)]
pub(crate) struct DataConnection {
    pub(crate) job: JobName,
    pub(crate) stream: TcpStream,
    /// What was read behind the Hello.
    pub(crate) ahead: Bytes,
}

/// What is wanted of a storage besides its part in a job.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Where data connections go.
    pub(crate) data: mpsc::UnboundedSender<DataConnection>,
    /// Where the control connections of jobs go once they are answered; else they are kept here until their Directors
    /// end them.
    pub(crate) control: Option<mpsc::UnboundedSender<TcpStream>>,
}

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, wanted: Wanted) {
    loop {
        let (stream, _) = listener.accept().await.expect("a caller");
        tokio::spawn(live(stream, wanted.clone()));
    }
}

/// A port of the system's choice, with room for many callers at once.
pub(crate) fn listen(address: [u8; 4]) -> (TcpListener, SocketAddr) {
    let listener = sdgroup::net::listen::bind(SocketAddr::from((address, 0))).expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

async fn live(stream: TcpStream, wanted: Wanted) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut channel = Channel::new(Stream::from(stream));
    let Packet::Message(first) = channel.receive_packet().await.ok()? else {
        return None;
    };
    match Hello::parse(&first).ok()? {
        Hello::Client(hello) => {
            let (stream, ahead) = channel.into_parts();
            let stream = stream.into_tcp().ok()?;
            let job = hello.job;
            // Nobody may want it.
            wanted.data.send(DataConnection { job, stream, ahead }).ok()
        }
        Hello::Director(hello) => command(channel, &hello, wanted.control).await,
        Hello::StorageCalling(_) | Hello::Peer(_) => None,
    }
}

/// A Director's connection, with one command.
async fn command(
    mut channel: Channel,
    hello: &DirectorHello,
    control: Option<mpsc::UnboundedSender<TcpStream>>,
) -> Option<()> {
    let (version, tls) = (RELEASE.storage_version(), TlsPolicy::default());
    let login = director::Login::start(hello, &key(), "bench-sd", random(), version, tls, channel.outbox());
    drive(&mut channel, login, None).await.ok()?;
    let Packet::Message(line) = channel.receive_packet().await.ok()? else {
        return None;
    };
    if line.starts_with(b"JobId=") {
        begin(&mut channel, &JobCommand::parse(&line).ok()?).await?;
        if let Some(control) = control {
            let (stream, _) = channel.into_parts();
            return control.send(stream.into_tcp().ok()?).ok();
        }
        while !matches!(channel.receive_packet().await.ok()?, Packet::Signal(Signal::Terminate)) {}
    } else {
        // A probe.
        channel.outbox().message_with_nul("3000 OK .status\n");
        channel.outbox().signal(Signal::Eod);
        channel.flush().await.ok()?;
        channel.receive().await.ok()?;
    }
    channel.outbox().signal(Signal::Terminate);
    channel.flush().await.ok()
}

/// Takes a job, under the session identity that it comes with if it does.
async fn begin(channel: &mut Channel, job: &JobCommand) -> Option<()> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let (sd_id, sd_time) = if job.rerunning {
        (job.vol_session_id, job.vol_session_time)
    } else {
        (LAST.fetch_add(1, Ordering::Relaxed) + 1, 1_795_393_237)
    };
    let answer = JobAnswer {
        sd_id,
        sd_time,
        key: SessionKey::mint(random()),
    };
    channel.outbox().message(answer.to_line());
    channel.flush().await.ok()
}
