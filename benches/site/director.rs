//! A Director: logs in, announces a job, and ends it.

use std::net::SocketAddr;

use sdgroup::channel::{Channel, ChannelError, LoginError, drive};
use sdgroup::handshake::{Step, TlsPolicy, storage};
use sdgroup::types::{
    ClientName, DirectorName, FileSetName, JobId, JobLevel, JobName, JobResourceName, JobType, SessionKey,
};
use sdgroup::wire::job::{JobAnswer, JobCommand};
use sdgroup::wire::packet::{Packet, Signal};
use sdgroup::wire::progress::Kind;
use tokio::net::TcpStream;

use super::{DIRECTOR, RELEASE, job_name, key, random};

/// Why a job did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectorError {
    #[error("cannot reach the storage: {0}")]
    Dial(#[from] std::io::Error),
    #[error("login: {0}")]
    Login(#[from] LoginError),
    #[error("the connection: {0}")]
    Channel(#[from] ChannelError),
    #[error("refused: {0}")]
    Refused(String),
}

/// A job that a storage has taken.
pub(crate) struct Job {
    pub(crate) name: JobName,
    pub(crate) channel: Channel,
}

/// Calls the storage at `address`, or what looks like one, and logs in.
pub(crate) async fn call(address: SocketAddr) -> Result<Channel, DirectorError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut channel = Channel::new(stream.into());
    let name = DirectorName::new(DIRECTOR).expect("a name");
    let tls = TlsPolicy::default();
    let login = storage::Login::start(&name, &key(), RELEASE, random(), tls, channel.outbox());
    drive(&mut channel, Ok(Step::Expect(login)), None).await?;
    Ok(channel)
}

impl Job {
    /// Calls and announces the job with this number; it has begun when the storage has answered.
    pub(crate) async fn begin(address: SocketAddr, number: u32) -> Result<Self, DirectorError> {
        let mut channel = call(address).await?;
        let name = job_name(number);
        channel.outbox().message(command(number, &name).to_line());
        channel.flush().await?;
        loop {
            let frame = channel.receive().await?;
            if !matches!(Kind::of(&frame).map_err(ChannelError::from)?, Some(Kind::Reply(_))) {
                continue;
            }
            let Packet::Message(text) = frame.decode().map_err(ChannelError::from)? else {
                continue;
            };
            return match JobAnswer::parse(&text) {
                Ok(_) => Ok(Self { name, channel }),
                Err(_) => Err(DirectorError::Refused(String::from_utf8_lossy(&text).into_owned())),
            };
        }
    }

    /// Ends the job, and waits until the other side has ended the connection.
    pub(crate) async fn end(mut self) {
        self.channel.outbox().signal(Signal::Terminate);
        if self.channel.flush().await.is_ok() {
            while self.channel.receive().await.is_ok() {}
        }
    }
}

fn command(number: u32, name: &JobName) -> JobCommand {
    JobCommand {
        job_id: JobId(number),
        job: name.clone(),
        job_name: JobResourceName::new("Bench").expect("a name"),
        client: ClientName::new("bench-fd").expect("a name"),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        file_set: FileSetName::new("All files").expect("a name"),
        no_attributes: false,
        spool_attributes: true,
        file_set_md5: b"M0hIyTpZy6Elh9/E9w0x/C".to_vec(),
        spool_data: false,
        write_part_after_job: true,
        prefer_mounted_volumes: true,
        spool_size: 0,
        rerunning: false,
        vol_session_id: 0,
        vol_session_time: 0,
        sd_client: false,
        authorization: Some(SessionKey::new("dummy".to_owned())),
    }
}
