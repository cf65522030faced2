//! We are the Director; we have called a storage (Bacula `src/dird/authenticate.c`).

use super::cram_md5::{Caller, DirectorKey, Progress};
use super::proof::StorageProof;
use super::{HandshakeError, Machine, Step, storage_version};
use crate::types::DirectorName;
use crate::wire::hello::DirectorHello;
use crate::wire::packet::{Outbox, Packet};
use crate::wire::release::Release;

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
    /// Says that we are the Director `name` of `release`. `random` must never come twice.
    #[must_use]
    pub fn start(
        name: &DirectorName,
        key: &DirectorKey,
        release: Release,
        random: [u8; 16],
        outbox: &mut Outbox,
    ) -> Self {
        let hello = DirectorHello {
            name: name.clone(),
            version: Some(release.director_version()),
            tls_psk: (release != Release::V9).then_some(0),
        };
        outbox.message(hello.to_line());
        Self(Expects::Exchange(Caller::start(key.secret(), name.as_str(), random)))
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
