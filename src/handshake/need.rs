//! What two sides make of their needs of TLS: one table for every connection (Bacula
//! `src/lib/authenticatebase.cc`, `TestTLSRequirement` and `HandleTLS`).
//!
//! Certificates come before the shared key. Without a kind of TLS that both have, the connection is in the clear, and
//! then nobody may have demanded TLS. Bacula's own test leaves some of its rows out by mistake: there a daemon that
//! requires certificates goes on in the clear with a peer that has none. Here no demand is ever passed over, also not
//! when a peer is silent about its needs.

use std::fmt;

pub use crate::types::{Need, Needs};

/// Which side of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// We dialled. The other side has said its needs if it began TLS, and else has none that it says.
    Caller,
    /// We were dialled. The other side's needs were in its Hello, unless it is too old to have any.
    Called,
}

/// How a connection goes on before the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plan {
    /// In the clear.
    Clear,
    /// In the clear, and after the login with certificates if both sides' challenges say so: the only way that 9.6
    /// has.
    ClearThenAsk,
    /// With the shared key.
    Psk,
    /// With certificates.
    Certificate,
}

/// One side of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// We.
    Ours,
    /// The other one.
    Theirs,
}

/// Why two sides do not come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NeedError {
    /// One side demands TLS of a kind that the other does not have.
    #[error("{}", demand_text(*.by, *.demanded))]
    Demanded {
        /// Who demands it.
        by: Side,
        /// What it demands.
        demanded: Demand,
    },
    /// The called side began TLS of a kind that we have not offered.
    #[error("the peer began TLS although sdgroup had offered none that it has")]
    Unasked,
}

/// A demand for TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Demand {
    /// With the shared key.
    Psk,
    /// With certificates.
    Certificate,
    /// Either.
    Either,
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Psk => "TLS-PSK",
            Self::Certificate => "TLS with certificates",
            Self::Either => "TLS (PSK or certificates)",
        })
    }
}

fn demand_text(by: Side, demanded: Demand) -> String {
    match by {
        Side::Ours => format!(
            "sdgroup demands {demanded} here (TlsRequire), which the peer does not offer: set it up there, or relax \
             TlsRequire here"
        ),
        Side::Theirs => {
            format!("the peer demands {demanded}, which sdgroup does not offer here: see TlsEnable, TlsPskEnable")
        }
    }
}

/// What a side demands, if it does.
fn demand(needs: Needs) -> Option<Demand> {
    match (needs.certificate, needs.psk) {
        (Need::Required, Need::None) => Some(Demand::Certificate),
        (Need::None, Need::Required) => Some(Demand::Psk),
        (Need::Required, _) | (_, Need::Required) => Some(Demand::Either),
        _ => None,
    }
}

/// Whether both can, whatever they demand.
fn both(one: Need, other: Need) -> bool {
    one != Need::None && other != Need::None
}

/// What becomes of our needs and theirs; `None` when the other side has said nothing of any.
///
/// # Errors
/// When a demand cannot be met.
pub fn decide(ours: Needs, theirs: Option<Needs>, role: Role) -> Result<Plan, NeedError> {
    let Some(said) = theirs else {
        return silent(ours);
    };
    if both(ours.certificate, said.certificate) {
        return Ok(Plan::Certificate);
    }
    if both(ours.psk, said.psk) {
        return Ok(Plan::Psk);
    }
    if let Some(demanded) = demand(ours) {
        return Err(NeedError::Demanded {
            by: Side::Ours,
            demanded,
        });
    }
    if let Some(demanded) = demand(said) {
        return Err(NeedError::Demanded {
            by: Side::Theirs,
            demanded,
        });
    }
    match role {
        Role::Caller => Err(NeedError::Unasked),
        Role::Called => Ok(Plan::Clear),
    }
}

/// The other side has said nothing: it is of 9.6, or goes on in the clear.
fn silent(ours: Needs) -> Result<Plan, NeedError> {
    match demand(ours) {
        _ if ours.certificate != Need::None => Ok(Plan::ClearThenAsk),
        Some(demanded) => Err(NeedError::Demanded {
            by: Side::Ours,
            demanded,
        }),
        None => Ok(Plan::Clear),
    }
}

/// What becomes of it after a login in the clear, when both challenges (`ssl=`) have told of certificates.
///
/// # Errors
/// When a demand cannot be met.
pub fn decide_late(ours: Needs, theirs: Need) -> Result<Plan, NeedError> {
    if both(ours.certificate, theirs) {
        return Ok(Plan::Certificate);
    }
    let refused = |by, demanded| Err(NeedError::Demanded { by, demanded });
    match (demand(ours), theirs) {
        (Some(demanded), _) => refused(Side::Ours, demanded),
        (None, Need::Required) => refused(Side::Theirs, Demand::Certificate),
        (None, _) => Ok(Plan::Clear),
    }
}

#[cfg(test)]
#[expect(clippy::similar_names, reason = "caller and called are what the two sides are")]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const NEEDS: [Need; 3] = [Need::None, Need::Possible, Need::Required];

    fn all() -> impl Iterator<Item = Needs> {
        NEEDS
            .into_iter()
            .flat_map(|certificate| NEEDS.map(|psk| Needs { certificate, psk }))
    }

    fn word(decision: Result<Plan, NeedError>) -> String {
        match decision {
            Ok(plan) => format!("{plan:?}"),
            Err(NeedError::Unasked) => "refused: unasked".to_owned(),
            Err(NeedError::Demanded { by, demanded }) => format!("refused: {by:?} demand {demanded:?}"),
        }
    }

    #[test]
    fn the_whole_table() {
        let mut table = String::from("ours theirs called | caller\n");
        for ours in all() {
            for theirs in std::iter::once(None).chain(all().map(Some)) {
                let said = theirs.map_or_else(|| "-".to_owned(), |needs| needs.number().to_string());
                let called = word(decide(ours, theirs, Role::Called));
                let caller = word(decide(ours, theirs, Role::Caller));
                writeln!(table, "{:>4} {said:>6} {called} | {caller}", ours.number()).unwrap();
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn the_whole_table_after_a_login() {
        let mut table = String::from("ours ssl=\n");
        for ours in all() {
            for theirs in NEEDS {
                let late = word(decide_late(ours, theirs));
                writeln!(table, "{:>4} {:>4} {late}", ours.number(), theirs.number()).unwrap();
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn nobody_who_demands_tls_ends_in_the_clear() {
        for ours in all() {
            for theirs in std::iter::once(None).chain(all().map(Some)) {
                for role in [Role::Called, Role::Caller] {
                    let demanded = ours.is_required() || theirs.is_some_and(Needs::is_required);
                    assert!(
                        !demanded || decide(ours, theirs, role) != Ok(Plan::Clear),
                        "{ours:?} {theirs:?}"
                    );
                }
            }
            for theirs in NEEDS {
                let demanded = ours.is_required() || theirs == Need::Required;
                assert!(
                    !demanded || decide_late(ours, theirs) != Ok(Plan::Clear),
                    "{ours:?} {theirs:?}"
                );
            }
        }
    }

    #[test]
    fn both_sides_come_to_the_same() {
        for one in all() {
            for other in all() {
                let called = decide(one, Some(other), Role::Called);
                let caller = decide(other, Some(one), Role::Caller);
                match called {
                    // The called side begins no TLS then, and the caller hears nothing of its needs.
                    Ok(Plan::Clear) => assert_eq!(caller, Err(NeedError::Unasked)),
                    Ok(_) => assert_eq!(called, caller),
                    Err(_) => assert!(caller.is_err()),
                }
            }
        }
    }

    #[test]
    fn a_refusal_says_who_demands_what() {
        let required = Needs {
            certificate: Need::None,
            psk: Need::Required,
        };
        let none = Needs::default();
        let ours = decide(required, Some(none), Role::Called).unwrap_err().to_string();
        assert!(ours.starts_with("sdgroup demands TLS-PSK here"), "{ours}");
        let theirs = decide(none, Some(required), Role::Called).unwrap_err().to_string();
        assert!(theirs.starts_with("the peer demands TLS-PSK"), "{theirs}");
        assert!(
            decide(required, None, Role::Called).is_err(),
            "the field was stripped from the Hello"
        );
    }
}
