//! Another sdgroup and we: the one that calls says its name, and both prove the password that all have who share a store, in
//! TLS that rests on it. Nothing of this is Bacula's but the way it is done.

use super::cram_md5::DirectorKey;
use super::login::{Called, Caller, Progress, TlsPolicy};
use super::proof::PeerProof;
use super::{HandshakeError, Machine, Step, admit, storage_version};
use crate::types::{Need, Needs, PeerName};
use crate::wire::hello::PeerHello;
use crate::wire::packet::{Outbox, Packet};

/// What is spoken from the login on.
pub const VERSION: u32 = 1;

/// TLS is never left out: what is asked after the login is worth as much as the login.
const POLICY: TlsPolicy = TlsPolicy {
    needs: Needs {
        certificate: Need::None,
        psk: Need::Required,
    },
    only_login: false,
};

/// A peer that has proved the password.
#[derive(Debug)]
pub struct Verified {
    /// What it speaks.
    pub version: u32,
    /// The witness.
    pub proof: PeerProof,
}

/// Our login at a peer that we have called.
pub struct Calling(Expects);

enum Expects {
    Exchange(Caller),
    Admission,
}

impl Calling {
    /// Says that we are the sdgroup `name`. `random` must never come twice.
    #[must_use]
    pub fn start(name: &PeerName, key: &DirectorKey, random: [u8; 16], outbox: &mut Outbox) -> Self {
        let hello = PeerHello {
            name: name.clone(),
            version: VERSION,
        };
        outbox.message(hello.to_line());
        Self(Expects::Exchange(Caller::start(
            key.secret(),
            name.as_str(),
            random,
            POLICY,
        )))
    }

    fn step(progress: Progress<Caller>) -> Result<Step<Self>, HandshakeError> {
        let admission = || Ok(Step::Expect(Self(Expects::Admission)));
        Step::of(progress, |caller| Self(Expects::Exchange(caller)), admission)
    }
}

impl Machine for Calling {
    type Verified = Verified;

    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        match self.0 {
            Expects::Exchange(caller) => Self::step(caller.on_packet(packet, outbox)?),
            Expects::Admission => Ok(Step::Done(Verified {
                version: storage_version(packet)?,
                proof: PeerProof::witness(),
            })),
        }
    }

    fn resume(self, _: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        match self.0 {
            Expects::Exchange(caller) => Self::step(caller.resume()),
            Expects::Admission => Ok(Step::Expect(self)),
        }
    }
}

/// The login of a peer that has called us.
pub struct BeingCalled {
    called: Called,
    version: u32,
}

impl BeingCalled {
    /// Begins TLS with the peer that sent `hello`. `our_name` stands in the challenge; `random` must never come twice.
    ///
    /// # Errors
    /// As [`Machine::on_packet`].
    pub fn start(
        hello: &PeerHello,
        key: &DirectorKey,
        our_name: &PeerName,
        random: [u8; 16],
        outbox: &mut Outbox,
    ) -> Result<Step<Self>, HandshakeError> {
        let theirs = Some(POLICY.needs);
        let progress = Called::start(key.secret(), our_name.as_str(), random, POLICY, theirs, outbox)?;
        Self::step(hello.version, progress, outbox)
    }

    fn step(version: u32, progress: Progress<Called>, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        let wrap = |called| Self { called, version };
        Step::of(progress, wrap, || {
            admit(VERSION, outbox);
            Ok(Step::Done(Verified {
                version,
                proof: PeerProof::witness(),
            }))
        })
    }
}

impl Machine for BeingCalled {
    type Verified = Verified;

    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        let progress = self.called.on_packet(packet, outbox)?;
        Self::step(self.version, progress, outbox)
    }

    fn resume(self, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        let progress = self.called.resume(outbox);
        Self::step(self.version, progress, outbox)
    }
}
