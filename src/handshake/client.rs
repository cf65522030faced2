//! We are the storage; a Client, or a storage that calls another one, has called for a job and proves the job's key
//! (Bacula `src/stored/hello.c`, `src/stored/authenticate.c`).

use super::cram_md5::{Called, Progress, session_secret};
use super::proof::ClientProof;
use super::{HandshakeError, Machine, Step, admit};
use crate::types::SessionKey;
use crate::wire::hello::ClientHello;
use crate::wire::packet::{Outbox, Packet};

/// A Client's login at us.
pub struct Login {
    called: Called,
    announced: Option<u32>,
}

/// A Client that has proved the job's key, and to which we have proved that we know it.
#[derive(Debug)]
pub struct Verified {
    /// The witness.
    pub proof: ClientProof,
}

impl Login {
    /// Challenges the Client that sent `hello` for a job whose key is `key`. `our_name` stands in the challenge;
    /// `random` must never come twice; `announced` is the number which we will say is ours.
    ///
    /// # Errors
    /// [`HandshakeError::Unsupported`] when the Client's release begins with an exchange of capabilities. Nothing is
    /// to be sent then.
    pub fn start(
        hello: &ClientHello,
        key: &SessionKey,
        our_name: &str,
        random: [u8; 16],
        announced: u32,
        outbox: &mut Outbox,
    ) -> Result<Self, HandshakeError> {
        if hello.exchanges_capabilities() {
            return Err(HandshakeError::Unsupported {
                fd_version: hello.fd_version,
            });
        }
        let called = Called::start(session_secret(key), our_name, random, outbox);
        Ok(Self {
            called,
            announced: hello.awaits_admission().then_some(announced),
        })
    }
}

impl Machine for Login {
    type Verified = Verified;

    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        match self.called.on_packet(packet, outbox)? {
            Progress::Expect(called) => Ok(Step::Expect(Self { called, ..self })),
            Progress::Proved => {
                if let Some(announced) = self.announced {
                    admit(announced, outbox);
                }
                Ok(Step::Done(Verified {
                    proof: ClientProof::witness(),
                }))
            }
        }
    }
}
