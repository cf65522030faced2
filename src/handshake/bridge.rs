//! We are the Client; we have called a storage for a job and prove the job's key to it (Bacula
//! `src/filed/authenticate.c`).

use super::cram_md5::{Caller, Progress, session_secret};
use super::proof::StorageProof;
use super::{HandshakeError, Machine, Step, storage_version};
use crate::types::SessionKey;
use crate::wire::hello::ClientHello;
use crate::wire::packet::{Outbox, Packet};

/// Our login at a storage, for a job.
pub struct Login(Expects);

enum Expects {
    Exchange(Caller),
    Admission,
}

/// A storage that has proved the job's key, and that lets us in.
#[derive(Debug)]
pub struct Verified {
    /// The storage's number, see [`Release::from_storage`](crate::wire::release::Release::from_storage).
    pub storage_version: u32,
    /// The witness.
    pub proof: StorageProof,
}

impl Login {
    /// Sends `hello`, as a rule what the real Client said of itself, and proves `key`, the one that the storage made.
    /// `our_name` stands in our challenge; `random` must never come twice.
    ///
    /// # Errors
    /// [`HandshakeError::Unsupported`] when a storage would begin with an exchange of capabilities, or never say that
    /// it lets us in. Nothing is to be sent then.
    pub fn start(
        hello: &ClientHello,
        key: &SessionKey,
        our_name: &str,
        random: [u8; 16],
        outbox: &mut Outbox,
    ) -> Result<Self, HandshakeError> {
        if hello.exchanges_capabilities() || !hello.awaits_admission() {
            return Err(HandshakeError::Unsupported {
                fd_version: hello.fd_version,
            });
        }
        outbox.message(hello.to_line());
        Ok(Self(Expects::Exchange(Caller::start(
            session_secret(key),
            our_name,
            random,
        ))))
    }
}

impl Machine for Login {
    type Verified = Verified;

    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        let next = match self.0 {
            Expects::Exchange(caller) => match caller.on_packet(packet, outbox)? {
                Progress::Expect(caller) => Expects::Exchange(caller),
                Progress::Proved => Expects::Admission,
            },
            Expects::Admission => {
                let storage_version = storage_version(packet)?;
                return Ok(Step::Done(Verified {
                    storage_version,
                    proof: StorageProof::witness(),
                }));
            }
        };
        Ok(Step::Expect(Self(next)))
    }
}
