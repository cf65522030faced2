//! We are the Director; we have called a storage (Bacula `src/dird/authenticate.c`).

use super::cram_md5::DirectorKey;
use super::login::{Caller, Progress, TlsPolicy};
use super::proof::StorageProof;
use super::{HandshakeError, Machine, Step, storage_version};
use crate::types::{DirectorName, Release};
use crate::wire::hello::DirectorHello;
use crate::wire::packet::{Outbox, Packet};

/// Our login at a storage.
pub struct Login(Expects);

enum Expects {
    Exchange(Caller),
    Admission,
}

/// A storage that has proved the password, and that lets us in.
#[derive(Debug)]
pub struct Verified {
    /// The storage's number, see [`Release::from_storage`].
    pub storage_version: u32,
    /// The witness.
    pub proof: StorageProof,
}

impl Login {
    /// Says that we are the Director `name` of `release`, and what we want of TLS. `random` must never come twice.
    #[must_use]
    pub fn start(
        name: &DirectorName,
        key: &DirectorKey,
        release: Release,
        random: [u8; 16],
        policy: TlsPolicy,
        outbox: &mut Outbox,
    ) -> Self {
        let hello = DirectorHello {
            name: name.clone(),
            version: Some(release.director_version()),
            tls_psk: (release != Release::V9).then_some(policy.needs.number()),
        };
        outbox.message(hello.to_line());
        Self(Expects::Exchange(Caller::start(
            key.secret(),
            name.as_str(),
            random,
            policy,
        )))
    }
}

impl Machine for Login {
    type Verified = Verified;

    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        match self.0 {
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
            Expects::Admission => Ok(Step::Expect(self)),
        }
    }
}

impl Login {
    fn step(progress: Progress<Caller>) -> Result<Step<Self>, HandshakeError> {
        let admission = || Ok(Step::Expect(Self(Expects::Admission)));
        Step::of(progress, |caller| Self(Expects::Exchange(caller)), admission)
    }
}
