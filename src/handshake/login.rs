//! The middle of every login, the same for all four: TLS if both sides want it, CRAM-MD5 both ways, and the
//! certificates of 9.6 after it (Bacula `src/lib/authenticatebase.cc`; 9.6 `src/stored/authenticate.c`).

use super::cram_md5::{self, Exchange};
use super::need::{Plan, Role, decide, decide_late};
use super::{HandshakeError, TlsKind, TlsPlan, TlsSide, message};
use crate::types::Secret;
use crate::wire::packet::{Outbox, Packet};
use crate::wire::starttls::{Needs, START, StartTls};

/// What is allowed and demanded of TLS on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TlsPolicy {
    /// Our needs.
    pub needs: Needs,
    /// TLS ends with the login (`TlsAuthenticate`). Both ends must be told so; they do not negotiate it.
    pub only_login: bool,
}

/// Where one side of the exchange stands.
pub(super) enum Progress<S> {
    Expect(S),
    StartTls(S, TlsPlan),
    StopTls(S),
    /// Both sides have proved the key.
    Proved,
}

impl<S> Progress<S> {
    pub(super) fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Progress<T> {
        match self {
            Self::Expect(state) => Progress::Expect(wrap(state)),
            Self::StartTls(state, plan) => Progress::StartTls(wrap(state), plan),
            Self::StopTls(state) => Progress::StopTls(wrap(state)),
            Self::Proved => Progress::Proved,
        }
    }
}

/// What both sides hold.
struct Shared {
    exchange: Exchange,
    policy: TlsPolicy,
    side: TlsSide,
    has_tls: bool,
}

/// What follows the last proof.
enum Last {
    StartTls(TlsPlan),
    StopTls,
    Nothing,
}

impl Shared {
    fn new(key: Secret, our_name: &str, random: [u8; 16], policy: TlsPolicy, side: TlsSide) -> Self {
        Self {
            exchange: Exchange::new(key, our_name, random, policy.needs.certificate),
            policy,
            side,
            has_tls: false,
        }
    }

    /// What `plan` asks of the socket; `None` when it stays as it is.
    fn tls(&mut self, plan: Plan) -> Option<TlsPlan> {
        let kind = match plan {
            Plan::Clear | Plan::ClearThenAsk => return None,
            Plan::Psk => TlsKind::Psk(self.exchange.key()),
            Plan::Certificate => TlsKind::Certificate,
        };
        self.has_tls = true;
        Some(TlsPlan { side: self.side, kind })
    }

    /// After the last proof: certificates if there is no TLS yet and both sides said so in their challenges, and the
    /// end of a TLS that was for the login only.
    fn last(&mut self) -> Result<Last, HandshakeError> {
        if !self.has_tls {
            let plan = decide_late(self.policy.needs, self.exchange.their_certificate_need())?;
            return Ok(self.tls(plan).map_or(Last::Nothing, Last::StartTls));
        }
        Ok(self.after_tls())
    }

    fn after_tls(&self) -> Last {
        if self.policy.only_login {
            Last::StopTls
        } else {
            Last::Nothing
        }
    }
}

/// The side that was called.
pub(super) struct Called {
    shared: Shared,
    state: CalledState,
}

enum CalledState {
    /// TLS begins, then the challenge goes out.
    Secures,
    Exchange(cram_md5::CalledExpects),
    /// TLS begins after the login.
    SecuresLate,
    /// TLS ends after the login.
    Unsecures,
}

impl Called {
    pub(super) fn start(
        key: Secret,
        our_name: &str,
        random: [u8; 16],
        policy: TlsPolicy,
        theirs: Option<Needs>,
        outbox: &mut Outbox,
    ) -> Result<Progress<Self>, HandshakeError> {
        let mut shared = Shared::new(key, our_name, random, policy, TlsSide::Server);
        let plan = decide(policy.needs, theirs, Role::Called)?;
        if let Some(tls) = shared.tls(plan) {
            outbox.message(StartTls { needs: policy.needs }.to_line());
            let state = CalledState::Secures;
            return Ok(Progress::StartTls(Self { shared, state }, tls));
        }
        Ok(Progress::Expect(Self::challenge(shared, outbox)))
    }

    fn challenge(shared: Shared, outbox: &mut Outbox) -> Self {
        shared.exchange.challenge(outbox);
        let state = CalledState::Exchange(cram_md5::CalledExpects::Answer);
        Self { shared, state }
    }

    pub(super) fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Progress<Self>, HandshakeError> {
        let Self { mut shared, state } = self;
        let CalledState::Exchange(expects) = state else {
            return Err(HandshakeError::Early);
        };
        if let Some(expects) = expects.on_packet(&mut shared.exchange, packet, outbox)? {
            let state = CalledState::Exchange(expects);
            return Ok(Progress::Expect(Self { shared, state }));
        }
        Ok(match shared.last()? {
            Last::Nothing => Progress::Proved,
            Last::StopTls => Progress::StopTls(Self {
                shared,
                state: CalledState::Unsecures,
            }),
            Last::StartTls(plan) => {
                let state = CalledState::SecuresLate;
                Progress::StartTls(Self { shared, state }, plan)
            }
        })
    }

    /// The socket has been changed as it was asked to be.
    pub(super) fn resume(self, outbox: &mut Outbox) -> Progress<Self> {
        let Self { shared, state } = self;
        match state {
            CalledState::Secures => Progress::Expect(Self::challenge(shared, outbox)),
            CalledState::SecuresLate if shared.policy.only_login => Progress::StopTls(Self {
                shared,
                state: CalledState::Unsecures,
            }),
            CalledState::SecuresLate | CalledState::Unsecures => Progress::Proved,
            CalledState::Exchange(expects) => Progress::Expect(Self {
                shared,
                state: CalledState::Exchange(expects),
            }),
        }
    }
}

/// The side that calls.
pub(super) struct Caller {
    shared: Shared,
    state: CallerState,
}

enum CallerState {
    /// The first message begins TLS, or is the challenge already.
    First,
    Exchange(cram_md5::CallerExpects),
    /// TLS begins after the login.
    SecuresLate,
    /// TLS ends after the login.
    Unsecures,
}

impl Caller {
    pub(super) fn start(key: Secret, our_name: &str, random: [u8; 16], policy: TlsPolicy) -> Self {
        Self {
            shared: Shared::new(key, our_name, random, policy, TlsSide::Client),
            state: CallerState::First,
        }
    }

    pub(super) fn on_packet(self, packet: &Packet, outbox: &mut Outbox) -> Result<Progress<Self>, HandshakeError> {
        let Self { mut shared, state } = self;
        let expects = match state {
            CallerState::First => {
                let text = message(packet, "a challenge, or the beginning of TLS")?;
                if text.starts_with(START) {
                    return Self::begin_tls(shared, text);
                }
                // Whoever says that it refuses us has not been silent about TLS.
                if text.starts_with(b"auth cram-md5") {
                    decide(shared.policy.needs, None, Role::Caller)?;
                }
                cram_md5::CallerExpects::Challenge
            }
            CallerState::Exchange(expects) => expects,
            CallerState::SecuresLate | CallerState::Unsecures => return Err(HandshakeError::Early),
        };
        if let Some(expects) = expects.on_packet(&mut shared.exchange, packet, outbox)? {
            let state = CallerState::Exchange(expects);
            return Ok(Progress::Expect(Self { shared, state }));
        }
        Ok(match shared.last()? {
            Last::Nothing => Progress::Proved,
            Last::StopTls => Progress::StopTls(Self {
                shared,
                state: CallerState::Unsecures,
            }),
            Last::StartTls(plan) => {
                let state = CallerState::SecuresLate;
                Progress::StartTls(Self { shared, state }, plan)
            }
        })
    }

    fn begin_tls(mut shared: Shared, text: &[u8]) -> Result<Progress<Self>, HandshakeError> {
        let theirs = StartTls::parse(text)
            .map_err(|_| super::unexpected("the beginning of TLS", text))?
            .needs;
        let plan = decide(shared.policy.needs, Some(theirs), Role::Caller)?;
        let tls = shared.tls(plan);
        let state = CallerState::Exchange(cram_md5::CallerExpects::Challenge);
        let caller = Self { shared, state };
        Ok(match tls {
            Some(tls) => Progress::StartTls(caller, tls),
            None => Progress::Expect(caller),
        })
    }

    /// The socket has been changed as it was asked to be.
    pub(super) fn resume(self) -> Progress<Self> {
        let Self { shared, state } = self;
        match state {
            CallerState::First | CallerState::Exchange(_) => Progress::Expect(Self { shared, state }),
            CallerState::SecuresLate if shared.policy.only_login => Progress::StopTls(Self {
                shared,
                state: CallerState::Unsecures,
            }),
            CallerState::SecuresLate | CallerState::Unsecures => Progress::Proved,
        }
    }
}
