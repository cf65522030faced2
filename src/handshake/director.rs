//! We are the storage; a Director has called and said its name (Bacula `src/stored/authenticate.c`).

use super::cram_md5::{Called, DirectorKey, Progress};
use super::proof::DirectorProof;
use super::{HandshakeError, Machine, Step, admit};
use crate::types::DirectorName;
use crate::wire::hello::DirectorHello;
use crate::wire::packet::{Outbox, Packet, Signal};
use crate::wire::refusal::Refusal;

/// Whether `configured` is the Director that calls itself `said`. A storage compares without case.
#[must_use]
pub fn is_called(configured: &DirectorName, said: &DirectorName) -> bool {
    configured.as_str().eq_ignore_ascii_case(said.as_str())
}

/// A Director's login at us.
pub struct Login {
    called: Called,
    verified: Verified,
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
    /// Challenges the Director that sent `hello` and whose password gives `key`. `our_name` stands in the challenge;
    /// `random` must never come twice; `announced` is the number which we will say is ours.
    #[must_use]
    pub fn start(
        hello: &DirectorHello,
        key: &DirectorKey,
        our_name: &str,
        random: [u8; 16],
        announced: u32,
        outbox: &mut Outbox,
    ) -> Self {
        let proof = DirectorProof::witness();
        let verified = Verified {
            director: hello.name.clone(),
            version: hello.version,
            proof,
        };
        Self {
            called: Called::start(key.secret(), our_name, random, outbox),
            verified,
            announced,
        }
    }
}

impl Machine for Login {
    type Verified = Verified;

    /// After a failure the outbox holds `3999 No go` and TERMINATE, as a storage sends them.
    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        match self.called.on_packet(packet, outbox) {
            Ok(Progress::Expect(called)) => Ok(Step::Expect(Self { called, ..self })),
            Ok(Progress::Proved) => {
                admit(self.announced, outbox);
                Ok(Step::Done(self.verified))
            }
            Err(error) => {
                outbox.message(Refusal::NoGo.to_line());
                outbox.signal(Signal::Terminate);
                Err(error)
            }
        }
    }
}
