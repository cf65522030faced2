//! We are the Client; we have called a storage for a job and prove the job's key to it (Bacula
//! `src/filed/authenticate.c`).

use super::cram_md5::session_secret;
use super::login::{Caller, Progress, TlsPolicy};
use super::proof::StorageProof;
use super::{HandshakeError, Machine, Step, message, storage_version, unexpected};
use crate::types::SessionKey;
use crate::wire::capabilities::{ClientCapabilities, StorageCapabilities};
use crate::wire::hello::ClientHello;
use crate::wire::packet::{Outbox, Packet};

/// Our login at a storage, for a job.
pub struct Login(Expects);

enum Expects {
    /// The storage's capabilities; ours answer them.
    Capabilities(ClientCapabilities, Caller),
    Exchange(Caller),
    Admission,
}

/// A storage that has proved the job's key, and that lets us in.
#[derive(Debug)]
pub struct Verified {
    /// The storage's number, see [`Release::from_storage`](crate::types::Release::from_storage).
    pub storage_version: u32,
    /// The witness.
    pub proof: StorageProof,
}

impl Login {
    /// Sends `hello`, as a rule what the real Client said of itself, but with our own needs of TLS by `policy` if its
    /// release has any; and proves `key`, the one that the storage made. `capabilities` are the real Client's, if its
    /// release says any. `our_name` stands in our challenge; `random` must never come twice.
    ///
    /// # Errors
    /// [`HandshakeError::Unsupported`] when a storage would never say that it lets us in. Nothing is to be sent then.
    pub fn start(
        hello: &ClientHello,
        key: &SessionKey,
        our_name: &str,
        random: [u8; 16],
        policy: TlsPolicy,
        capabilities: Option<ClientCapabilities>,
        outbox: &mut Outbox,
    ) -> Result<Self, HandshakeError> {
        if !hello.awaits_admission() {
            return Err(HandshakeError::Unsupported {
                fd_version: hello.fd_version,
            });
        }
        let hello = ClientHello {
            tls_psk: hello.tls_psk.map(|_| policy.needs.number()),
            ..hello.clone()
        };
        outbox.message(hello.to_line());
        let caller = Caller::start(session_secret(key), our_name, random, policy);
        Ok(Self(if hello.exchanges_capabilities() {
            Expects::Capabilities(capabilities.unwrap_or(ClientCapabilities::COMMUNITY), caller)
        } else {
            Expects::Exchange(caller)
        }))
    }

    fn step(progress: Progress<Caller>) -> Result<Step<Self>, HandshakeError> {
        let admission = || Ok(Step::Expect(Self(Expects::Admission)));
        Step::of(progress, |caller| Self(Expects::Exchange(caller)), admission)
    }
}

impl Machine for Login {
    type Verified = Verified;

    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        match self.0 {
            Expects::Capabilities(ours, caller) => {
                let expected = "the storage's capabilities";
                let text = message(packet, expected)?;
                StorageCapabilities::parse(text).map_err(|_| unexpected(expected, text))?;
                outbox.message(ours.to_line());
                Ok(Step::Expect(Self(Expects::Exchange(caller))))
            }
            Expects::Exchange(caller) => Self::step(caller.on_packet(packet, outbox)?),
            Expects::Admission => {
                let storage_version = storage_version(packet)?;
                Ok(Step::Done(Verified {
                    storage_version,
                    proof: StorageProof::witness(),
                }))
            }
        }
    }

    fn resume(self, _: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        match self.0 {
            Expects::Exchange(caller) => Self::step(caller.resume()),
            waiting => Ok(Step::Expect(Self(waiting))),
        }
    }
}
