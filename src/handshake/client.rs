//! We are the storage; a Client, or a storage that calls another one, has called for a job and proves the job's key
//! (Bacula `src/stored/hello.c`, `src/stored/authenticate.c`).

use super::cram_md5::session_secret;
use super::login::{Called, Progress, TlsPolicy};
use super::proof::ClientProof;
use super::{HandshakeError, Machine, Step, admit, message, unexpected};
use crate::types::{Secret, SessionKey};
use crate::wire::capabilities::{ClientCapabilities, StorageCapabilities};
use crate::wire::hello::ClientHello;
use crate::wire::packet::{Outbox, Packet};
use crate::wire::starttls::Needs;

/// A Client's login at us.
pub struct Login {
    expects: Expects,
    verified: Verified,
    /// The number that we will say is ours, if the Client waits for it.
    announced: Option<u32>,
}

enum Expects {
    /// The Client's capabilities; then the exchange begins.
    Capabilities {
        key: Secret,
        our_name: String,
        random: [u8; 16],
        policy: TlsPolicy,
        theirs: Option<Needs>,
    },
    Exchange(Called),
}

/// A Client that has proved the job's key, and to which we have proved that we know it.
#[derive(Debug)]
pub struct Verified {
    /// What it can, if its release says so.
    pub capabilities: Option<ClientCapabilities>,
    /// The witness.
    pub proof: ClientProof,
}

impl Login {
    /// Tells the Client that sent `hello` what we can, if its release asks for that, and then begins TLS or challenges
    /// it, by what `policy` says, for a job whose key is `key`. `our_name` stands in the challenge; `random` must never
    /// come twice; `announced` is the number which we will say is ours. We say that we can nothing special.
    ///
    /// # Errors
    /// [`HandshakeError::Tls`] when the two sides' demands for TLS do not come together. Nothing is to be sent then.
    pub fn start(
        hello: &ClientHello,
        key: &SessionKey,
        our_name: &str,
        random: [u8; 16],
        announced: u32,
        policy: TlsPolicy,
        outbox: &mut Outbox,
    ) -> Result<Step<Self>, HandshakeError> {
        let theirs = hello.tls_psk.map(Needs::from_number);
        let verified = Verified {
            capabilities: None,
            proof: ClientProof::witness(),
        };
        let announced = hello.awaits_admission().then_some(announced);
        let key = session_secret(key);
        if hello.exchanges_capabilities() {
            outbox.message(StorageCapabilities::COMMUNITY.to_line());
            let expects = Expects::Capabilities {
                key,
                our_name: our_name.to_owned(),
                random,
                policy,
                theirs,
            };
            return Ok(Step::Expect(Self {
                expects,
                verified,
                announced,
            }));
        }
        let progress = Called::start(key, our_name, random, policy, theirs, outbox)?;
        Self::step(verified, announced, progress, outbox)
    }

    fn step(
        verified: Verified,
        announced: Option<u32>,
        progress: Progress<Called>,
        outbox: &mut Outbox,
    ) -> Result<Step<Self>, HandshakeError> {
        if matches!(progress, Progress::Proved) {
            if let Some(announced) = announced {
                admit(announced, outbox);
            }
            return Ok(Step::Done(verified));
        }
        let wrap = |called| Self {
            expects: Expects::Exchange(called),
            verified,
            announced,
        };
        Step::of(progress, wrap, || Err(HandshakeError::Early))
    }
}

impl Machine for Login {
    type Verified = Verified;

    fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        let Self {
            expects,
            mut verified,
            announced,
        } = self;
        let progress = match expects {
            Expects::Capabilities {
                key,
                our_name,
                random,
                policy,
                theirs,
            } => {
                let expected = "the Client's capabilities";
                let text = message(packet, expected)?;
                let said = ClientCapabilities::parse(text).map_err(|_| unexpected(expected, text))?;
                verified.capabilities = Some(said);
                Called::start(key, &our_name, random, policy, theirs, outbox)?
            }
            Expects::Exchange(called) => called.on_packet(packet, outbox)?,
        };
        Self::step(verified, announced, progress, outbox)
    }

    fn resume(self, outbox: &mut Outbox) -> Result<Step<Self>, HandshakeError> {
        match self.expects {
            Expects::Capabilities { .. } => Ok(Step::Expect(self)),
            Expects::Exchange(called) => Self::step(self.verified, self.announced, called.resume(outbox), outbox),
        }
    }
}
