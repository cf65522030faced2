//! A control connection to a storage, on which sdgroup is the Director.

use std::future::Future;
use std::time::{Duration, Instant};

use super::error::{Stage, StorageError};
use crate::channel::{Certificates, Channel, drive};
use crate::config::model;
use crate::handshake::{self, Step, TlsPolicy};
use crate::net::{deadline, dial, options};
use crate::telemetry::event::StorageLoggedIn;
use crate::types::{DirectorName, Release};
use crate::wire::packet::{Frame, Signal};

/// The most bytes that a storage's answer to one command may have.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// A storage that has accepted our login.
#[derive(Debug)]
pub(super) struct StorageLink {
    pub(super) channel: Channel,
    /// The number in its Hello answer.
    pub(super) version: u32,
}

/// How long a storage is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// To be reached.
    pub(super) connect: Duration,
    /// For the login, and for each answer to a command that a storage gives at once.
    pub(super) login: Duration,
}

impl From<&model::Group> for Patience {
    fn from(group: &model::Group) -> Self {
        Self {
            connect: group.connect_timeout,
            login: group.login_timeout,
        }
    }
}

/// Dials `storage` and logs in as `director`, of the same release as the real one.
pub(super) async fn call(
    storage: &model::Storage,
    director: &DirectorName,
    release: Release,
    patience: Patience,
) -> Result<StorageLink, StorageError> {
    let began = Instant::now();
    let password = storage.password_for(director).ok_or(StorageError::NoPassword)?;
    let stream = dial::dial(&storage.address, storage.port, patience.connect).await?;
    // A socket option that cannot be set makes the connection slower, not wrong.
    let _ = options::tune(&stream);
    let mut channel = Channel::new(stream.into());
    let key = handshake::DirectorKey::new(password);
    let random = super::dice::challenge_random();
    let login =
        handshake::storage::Login::start(director, &key, release, random, policy(&storage.tls), channel.outbox());
    let first = Ok(Step::Expect(login));
    let certificates = certificates(&storage.tls, Some(&storage.address));
    let verified = within(Stage::Login, patience.login, async {
        drive(&mut channel, first, certificates)
            .await
            .map_err(StorageError::login)
    })
    .await?;
    StorageLoggedIn {
        storage: &storage.name,
        duration: began.elapsed(),
    }
    .emit();
    Ok(StorageLink {
        channel,
        version: verified.storage_version,
    })
}

/// Gives `storage` one command on a connection of its own, and returns what it says up to its EOD; it has
/// `time` to begin and as much again to end.
pub(super) async fn command(
    storage: &model::Storage,
    director: &DirectorName,
    release: Release,
    patience: Patience,
    command: &[u8],
    time: Duration,
) -> Result<Vec<Frame>, StorageError> {
    let stage = Stage::Command;
    let mut link = call(storage, director, release, patience).await?;
    let mut frames = vec![link.ask(command, stage, time).await?];
    let mut bytes = 0_usize;
    within(stage, time, async {
        while frames.last().is_none_or(|frame| frame.signal().is_none()) && bytes < MAX_ANSWER_BYTES {
            let frame = link
                .channel
                .receive()
                .await
                .map_err(|source| StorageError::Lost { stage, source })?;
            bytes = bytes.saturating_add(frame.as_bytes().len());
            frames.push(frame);
        }
        Ok(())
    })
    .await?;
    // The storage is told that this was all; whether it hears it does not matter.
    link.channel.outbox().signal(Signal::Terminate);
    let _ = link.channel.flush().await;
    frames.retain(|frame| frame.signal().is_none());
    Ok(frames)
}

impl StorageLink {
    /// Sends one line and waits for the one message that answers it.
    pub(super) async fn ask(&mut self, line: &[u8], stage: Stage, patience: Duration) -> Result<Frame, StorageError> {
        let channel = &mut self.channel;
        within(stage, patience, async {
            channel.outbox().message(line);
            channel
                .flush()
                .await
                .map_err(|source| StorageError::Lost { stage, source })?;
            channel
                .receive()
                .await
                .map_err(|source| StorageError::Lost { stage, source })
        })
        .await
    }
}

/// What the configuration allows and demands of TLS.
pub(super) fn policy(tls: &model::Tls) -> TlsPolicy {
    TlsPolicy {
        needs: tls.needs,
        only_login: tls.only_login,
    }
}

/// The certificates of the configuration; `host` is the address that was dialled, if we dialled.
pub(super) fn certificates<'a>(tls: &'a model::Tls, host: Option<&'a str>) -> Option<Certificates<'a>> {
    let certificates = tls.certificates.as_ref()?;
    Some(Certificates {
        context: &certificates.context,
        host,
    })
}

/// Gives `future` its time, and says at which step it ran out.
pub(super) async fn within<T>(
    stage: Stage,
    time: Duration,
    future: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    match deadline::within(time, future).await {
        Ok(result) => result,
        Err(_) => Err(StorageError::Silent { stage, within: time }),
    }
}
