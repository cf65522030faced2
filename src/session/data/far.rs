//! The storage's leg of a data connection.

use super::super::error::{Stage, StorageError};
use super::super::storage::within;
use super::super::{dice, storage};
use super::{Call, FarEnd};
use crate::channel::{Channel, drive};
use crate::config::model;
use crate::handshake::{self, Step, TlsPolicy};
use crate::net::{dial, options};
use crate::types::Need;
use crate::wire::capabilities::ClientCapabilities;
use crate::wire::packet::Frame;

impl Call<'_> {
    async fn dial(&self, far: &FarEnd) -> Result<Channel, StorageError> {
        let storage = &far.storage;
        let stream = dial::dial(&storage.address, storage.port, self.route.connect_timeout).await?;
        let _ = options::tune(&stream);
        Ok(Channel::new(stream.into()))
    }

    /// Reaches the storage with the caller's Hello alone: the caller speaks to it itself.
    pub(super) async fn reach_storage(&self, far: &FarEnd, hello: &Frame) -> Result<Channel, StorageError> {
        let mut channel = self.dial(far).await?;
        channel.outbox().frame(hello);
        let stage = Stage::Login;
        let sent = channel.flush().await;
        sent.map_err(|source| StorageError::Lost { stage, source })?;
        Ok(channel)
    }

    /// Reaches the storage and logs in there as the caller, which may be in TLS itself.
    pub(super) async fn log_in_at_storage(
        &self,
        far: &FarEnd,
        caller_has_tls: bool,
        capabilities: Option<ClientCapabilities>,
    ) -> Result<Channel, StorageError> {
        // What a storage wants of its Directors says nothing of what it wants of Clients.
        let tls = &self.context.model.tls;
        let mut channel = self.dial(far).await?;
        let login = handshake::bridge::Login::start(
            self.hello,
            &far.key,
            &self.context.model.name,
            dice::challenge_random(),
            towards_storage(tls, caller_has_tls),
            capabilities,
            channel.outbox(),
        );
        let first = login.map(Step::Expect);
        let certificates = storage::certificates(tls, Some(&far.storage.address));
        within(Stage::Login, self.route.login_timeout, async {
            drive(&mut channel, first, certificates)
                .await
                .map_err(StorageError::login)
        })
        .await?;
        Ok(channel)
    }
}

/// What is wanted of TLS towards the storage: what the configuration says, but a caller in the clear is not made to
/// pay for an encryption that it has not asked for.
fn towards_storage(tls: &model::Tls, caller_has_tls: bool) -> TlsPolicy {
    let mut policy = storage::policy(tls);
    if !caller_has_tls {
        for need in [&mut policy.needs.certificate, &mut policy.needs.psk] {
            if *need == Need::Possible {
                *need = Need::None;
            }
        }
    }
    policy
}
