//! We are the storage; a Director has called and said its name (Bacula `src/stored/authenticate.c`).

use super::cram_md5::DirectorKey;
use super::login::{Called, Progress, TlsPolicy};
use super::proof::DirectorProof;
use super::{HandshakeError, Machine, Step, admit};
use crate::types::DirectorName;
use crate::wire::hello::DirectorHello;
use crate::wire::packet::{Outbox, Packet, Signal};
use crate::wire::refusal::Refusal;
use crate::wire::starttls::Needs;

/// Whether `configured` is the Director that calls itself `said`. A storage compares without case.
#[must_use]
pub fn is_called(configured: &DirectorName, said: &DirectorName) -> bool {
    configured.as_str().eq_ignore_ascii_case(said.as_str())
}

/// A Director's login at us.
pub struct Login {
    called: Called,
    hello: DirectorHello,
    announced: u32,
}

/// A Director that has proved its password, and to which we have proved that we know it.
#[derive(Debug)]
pub struct Verified {
    /// The name in its Hello, in its own spelling.
    pub director: DirectorName,
    /// Its number.
    pub version: Option<u32>,
    /// The witness.
    pub proof: DirectorProof,
}

impl Login {
    /// Begins TLS with the Director that sent `hello` and whose password gives `key`, or challenges it at once, by
    /// what `policy` says. `our_name` stands in the challenge; `random` must never come twice; `announced` is the
    /// number which we will say is ours.
    ///
    /// # Errors
    /// [`HandshakeError::Tls`] when the two sides' demands for TLS do not come together. The outbox holds what a
    /// storage says then.
    pub fn start(
        hello: &DirectorHello,
        key: &DirectorKey,
        our_name: &str,
        random: [u8; 16],
        announced: u32,
        policy: TlsPolicy,
        outbox: &mut Outbox,
    ) -> Result<Step<Self>, HandshakeError> {
        let theirs = hello.tls_psk.map(Needs::from_number);
        let progress = Called::start(key.secret(), our_name, random, policy, theirs, outbox);
        Self::step(hello.clone(), announced, progress, outbox)
    }

    fn step(
        hello: DirectorHello,
        announced: u32,
        progress: Result<Progress<Called>, HandshakeError>,
        outbox: &mut Outbox,
    ) -> Result<Step<Self>, HandshakeError> {
        match progress {
            Ok(Progress::Proved) => {
                admit(announced, outbox);
                Ok(Step::Done(Verified {
                    director: hello.name,
                    version: hello.version,
                    proof: DirectorProof::witness(),
                }))
            }
            Ok(progress) => {
                let wrap = |called| Self {
                    called,
                    hello,
                    announced,
                };
                Step::of(progress, wrap, || Err(HandshakeError::Early))
            }
            Err(error) => {
                outbox.message(Refusal::NoGo.to_line());
                outbox.signal(Signal::Terminate);
                Err(error)
            }
        }
    }
}

impl Machine for Login {
    type Verified = Verified;

    /// After a failure the outbox holds `3999 No go` and TERMINATE, as a storage sends them.
    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        let progress = self.called.on_packet(packet, outbox);
        Self::step(self.hello, self.announced, progress, outbox)
    }

    fn resume(self, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        let progress = self.called.resume(outbox);
        Self::step(self.hello, self.announced, Ok(progress), outbox)
    }
}
