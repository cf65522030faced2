//! Two machines against each other without a socket, and a meddler between them that may change each packet.

#![expect(clippy::similar_names, reason = "caller and called are what the two sides are")]

mod fleet;

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::types::{DirectorName, JobName, Release, Secret, SessionKey};
use crate::wire::challenge::Challenge;
use crate::wire::hello::{ClientHello, Hello};
use crate::wire::packet::{Frame, MAX_LOGIN_BYTES};
use crate::wire::starttls::Needs;

/// Who sent a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Caller,
    Called,
}

/// What came of one side.
#[derive(Debug, PartialEq, Eq)]
enum Fate<V> {
    Verified(V),
    Failed(HandshakeError),
    /// It still waits.
    Waiting,
}

/// What came of the caller and of the side that was called, and what each sent.
type Report<A, B> = (
    Fate<<A as Machine>::Verified>,
    Fate<<B as Machine>::Verified>,
    Vec<(Side, Packet)>,
);

/// Changes the packet with this number (of all packets after the Hello, from 0) into others; none is a loss.
type Meddler<'a> = &'a mut dyn FnMut(usize, Side, Packet) -> Vec<Packet>;

fn honest(_: usize, _: Side, packet: Packet) -> Vec<Packet> {
    vec![packet]
}

fn packets(outbox: &mut Outbox) -> Vec<Packet> {
    let mut buffer = BytesMut::from(outbox.take());
    let mut packets = Vec::new();
    while let Some(frame) = Frame::take(&mut buffer, MAX_LOGIN_BYTES).unwrap() {
        packets.push(frame.decode_within(MAX_LOGIN_BYTES).unwrap());
    }
    assert!(buffer.is_empty());
    packets
}

fn text(packet: &Packet) -> &[u8] {
    let Packet::Message(text) = packet else {
        panic!("a signal")
    };
    text
}

/// One side: a machine until it has ended.
struct Peer<M: Machine> {
    machine: Option<M>,
    fate: Fate<M::Verified>,
    /// What was done to its connection.
    secured: Vec<String>,
}

impl<M: Machine> Peer<M> {
    fn new(first: Result<Step<M>, HandshakeError>, outbox: &mut Outbox) -> Self {
        let mut peer = Self {
            machine: None,
            fate: Fate::Waiting,
            secured: Vec::new(),
        };
        peer.step(first, outbox);
        peer
    }

    /// Follows the machine until it wants a packet. TLS is noted, not done.
    fn step(&mut self, step: Result<Step<M>, HandshakeError>, outbox: &mut Outbox) {
        let resumed = match step {
            Ok(Step::Expect(machine)) => return self.machine = Some(machine),
            Ok(Step::StartTls(machine, plan)) => {
                let kind = match plan.kind {
                    TlsKind::Psk(key) => format!("PSK {}", key.reveal()),
                    TlsKind::Certificate => "certificates".to_owned(),
                };
                self.secured.push(format!("{:?}: {kind}", plan.side));
                machine.resume(outbox)
            }
            Ok(Step::StopTls(machine)) => {
                self.secured.push("over".to_owned());
                machine.resume(outbox)
            }
            Ok(Step::Done(verified)) => return self.fate = Fate::Verified(verified),
            Err(error) => return self.fate = Fate::Failed(error),
        };
        self.step(resumed, outbox);
    }

    fn take(&mut self, packet: &Packet, outbox: &mut Outbox) {
        let Some(machine) = self.machine.take() else { return };
        let step = machine.on_packet(packet, outbox);
        self.step(step, outbox);
    }
}

/// Drives both until nothing is under way. The log has what each sent and, in angle brackets, what it did to the
/// connection.
fn drive<A: Machine, B: Machine>(
    mut caller: Peer<A>,
    mut called: Peer<B>,
    mut outbox: Outbox,
    meddler: Meddler<'_>,
) -> Report<A, B> {
    let mut log = Vec::new();
    let mut under_way = packets(&mut outbox)
        .into_iter()
        .map(|packet| (Side::Called, packet))
        .collect::<Vec<_>>();
    loop {
        for (side, done) in [(Side::Caller, &mut caller.secured), (Side::Called, &mut called.secured)] {
            log.extend(
                done.drain(..)
                    .map(|what| (side, Packet::Message(format!("<{what}>").into()))),
            );
        }
        if under_way.is_empty() {
            return (caller.fate, called.fate, log);
        }
        let (sender, packet) = under_way.remove(0);
        let number = log.len();
        log.push((sender, packet.clone()));
        for packet in meddler(number, sender, packet) {
            let receiver = if sender == Side::Called {
                Side::Caller
            } else {
                Side::Called
            };
            match receiver {
                Side::Caller => caller.take(&packet, &mut outbox),
                Side::Called => called.take(&packet, &mut outbox),
            }
            under_way.extend(packets(&mut outbox).into_iter().map(|packet| (receiver, packet)));
        }
    }
}

fn key(password: &str) -> DirectorKey {
    DirectorKey::new(&Secret::new(password.to_owned()))
}

fn policy(number: u32) -> TlsPolicy {
    TlsPolicy {
        needs: Needs::from_number(number),
        only_login: false,
    }
}

/// A Director (caller) and a storage, each with its own idea of the password.
fn control(passwords: (&str, &str), release: Release, meddler: Meddler<'_>) -> Report<storage::Login, director::Login> {
    secured_control(passwords, release, [TlsPolicy::default(); 2], meddler)
}

/// The same, each with its own idea of TLS.
fn secured_control(
    passwords: (&str, &str),
    release: Release,
    policies: [TlsPolicy; 2],
    meddler: Meddler<'_>,
) -> Report<storage::Login, director::Login> {
    let mut outbox = Outbox::new();
    let name = DirectorName::new("lab dir").unwrap();
    let caller = storage::Login::start(&name, &key(passwords.0), release, [1; 16], policies[0], &mut outbox);
    let caller = Peer::new(Ok(Step::Expect(caller)), &mut Outbox::new());
    let first = packets(&mut outbox).remove(0);
    let Ok(Hello::Director(hello)) = Hello::parse(text(&first)) else {
        panic!("not a Director: {first:?}")
    };
    let (key, announced) = (key(passwords.1), release.storage_version());
    let called = director::Login::start(&hello, &key, "our group", [2; 16], announced, policies[1], &mut outbox);
    let called = Peer::new(called, &mut outbox);
    drive(caller, called, outbox, meddler)
}

fn hello(fd_version: u32) -> ClientHello {
    ClientHello {
        job: JobName::new("J.2026-11-23_00.20.37_03").unwrap(),
        fd_version,
        sd_version: None,
        tls_psk: matches!(fd_version, 12..100).then_some(100),
    }
}

/// A Client (caller) and a storage.
fn data(keys: ([u8; 16], [u8; 16]), meddler: Meddler<'_>) -> Report<bridge::Login, client::Login> {
    secured_data(214, keys, [TlsPolicy::default(); 2], meddler)
}

/// The same, of that version, each with its own idea of TLS.
fn secured_data(
    fd_version: u32,
    keys: ([u8; 16], [u8; 16]),
    policies: [TlsPolicy; 2],
    meddler: Meddler<'_>,
) -> Report<bridge::Login, client::Login> {
    let mut outbox = Outbox::new();
    let (hello, key) = (hello(fd_version), SessionKey::mint(keys.0));
    let caller = bridge::Login::start(&hello, &key, "lab-fd", [1; 16], policies[0], None, &mut outbox);
    let caller = Peer::new(caller.map(Step::Expect), &mut Outbox::new());
    let first = packets(&mut outbox).remove(0);
    let Ok(Hello::Client(hello)) = Hello::parse(text(&first)) else {
        panic!("not a Client: {first:?}")
    };
    let key = SessionKey::mint(keys.1);
    let called = client::Login::start(&hello, &key, "lab-sd4", [2; 16], 306, policies[1], &mut outbox);
    let called = Peer::new(called, &mut outbox);
    drive(caller, called, outbox, meddler)
}

fn said(log: &[(Side, Packet)], side: Side) -> Vec<String> {
    let of_side = log.iter().filter(|(sender, _)| *sender == side);
    of_side
        .map(|(_, packet)| match packet {
            Packet::Message(text) => String::from_utf8_lossy(text).into_owned(),
            Packet::Signal(signal) => format!("{signal:?}"),
        })
        .collect()
}

#[test]
fn a_director_and_a_storage_with_one_password_verify_each_other() {
    for release in [Release::V9, Release::V13, Release::V15] {
        let (director, storage, log) = control(("secret", "secret"), release, &mut honest);
        let Fate::Verified(storage::Verified { storage_version, .. }) = director else {
            panic!("{director:?}")
        };
        assert_eq!(storage_version, release.storage_version());
        let Fate::Verified(verified) = storage else {
            panic!("{storage:?}")
        };
        assert_eq!(verified.director.as_str(), "lab dir");
        assert_eq!(verified.version, Some(release.director_version()));
        assert_eq!(log.len(), 7);
        let Packet::Message(answer) = &log[1].1 else {
            panic!("a signal")
        };
        assert_eq!((answer.len(), answer[22]), (23, 0), "the answer's NUL is in its length");
    }
}

#[test]
fn a_director_with_another_password_is_told_as_a_storage_tells_it() {
    let (director, storage, log) = control(("secret", "other"), Release::V9, &mut honest);
    assert!(
        matches!(director, Fate::Failed(HandshakeError::Refused)),
        "{director:?}"
    );
    assert!(
        matches!(storage, Fate::Failed(HandshakeError::WrongAnswer)),
        "{storage:?}"
    );
    assert_eq!(
        said(&log, Side::Called)[1..],
        ["1999 Authorization failed.\n", "3999 No go\n", "Terminate"]
    );
}

#[test]
fn a_storage_that_lets_anyone_in_does_not_deceive_a_director() {
    // The storage's verdict is forged; its own answer is wrong all the same.
    let (director, storage, log) = control(("secret", "other"), Release::V9, &mut |_, side, packet| match side {
        Side::Called if text_is(&packet, b"1999") => vec![Packet::Message(Bytes::from_static(b"1000 OK auth\n"))],
        _ => vec![packet],
    });
    assert!(matches!(director, Fate::Failed(_)), "{director:?}");
    assert!(
        matches!(storage, Fate::Failed(HandshakeError::WrongAnswer)),
        "{storage:?}"
    );
    assert!(said(&log, Side::Caller).last().unwrap().starts_with("1999"));
}

fn text_is(packet: &Packet, start: &[u8]) -> bool {
    matches!(packet, Packet::Message(text) if text.starts_with(start))
}

#[test]
fn our_own_challenge_is_not_answered() {
    // The called side gets its own challenge as the caller's.
    let mut own = None;
    let (_, storage, log) = control(("secret", "secret"), Release::V9, &mut |number, side, packet| {
        if number == 0 {
            own = Some(packet.clone());
        }
        match own.clone() {
            Some(own) if side == Side::Caller && text_is(&packet, b"auth cram-md5 ") => vec![own],
            _ => vec![packet],
        }
    });
    assert!(
        matches!(storage, Fate::Failed(HandshakeError::Reflected)),
        "{storage:?}"
    );
    assert_eq!(
        said(&log, Side::Called)[2..],
        ["1999 Authorization failed.\n", "3999 No go\n", "Terminate"]
    );
}

#[test]
fn a_client_and_a_storage_with_one_key_verify_each_other() {
    let (client, storage, log) = data(([7; 16], [7; 16]), &mut honest);
    assert!(
        matches!(
            client,
            Fate::Verified(bridge::Verified {
                storage_version: 306,
                ..
            })
        ),
        "{client:?}"
    );
    assert!(matches!(storage, Fate::Verified(_)), "{storage:?}");
    assert_eq!(said(&log, Side::Called).last().unwrap(), "3000 OK Hello 306\n");
}

#[test]
fn a_client_with_another_key_is_not_let_in() {
    let (client, storage, log) = data(([7; 16], [8; 16]), &mut honest);
    assert!(matches!(client, Fate::Failed(HandshakeError::Refused)), "{client:?}");
    assert!(
        matches!(storage, Fate::Failed(HandshakeError::WrongAnswer)),
        "{storage:?}"
    );
    assert_eq!(said(&log, Side::Called)[1..], ["1999 Authorization failed.\n"]);
}

/// What was said and done, a line each, answers and random parts left out.
fn dialogue<V, W>(report: &(Fate<V>, Fate<W>, Vec<(Side, Packet)>)) -> String {
    let mut told = String::new();
    for (side, packet) in &report.2 {
        let said = match packet {
            Packet::Message(text) if text.ends_with(&[0]) => "(the answer)".to_owned(),
            Packet::Message(text) => String::from_utf8_lossy(text).trim_end().to_owned(),
            Packet::Signal(signal) => format!("{signal:?}"),
        };
        let _ = writeln!(told, "{side:?}: {said}");
    }
    for (side, error) in [(Side::Caller, report.0.error()), (Side::Called, report.1.error())] {
        if let Some(error) = error {
            let _ = writeln!(told, "{side:?} fails: {error}");
        }
    }
    told
}

impl<V> Fate<V> {
    fn error(&self) -> Option<&HandshakeError> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

#[test]
fn tls_begins_before_the_login_where_both_can() {
    let report = secured_control(
        ("secret", "secret"),
        Release::V15,
        [policy(100), policy(200)],
        &mut honest,
    );
    insta::assert_snapshot!(dialogue(&report));
    assert!(matches!((report.0, report.1), (Fate::Verified(_), Fate::Verified(_))));
}

#[test]
fn certificates_come_after_the_login_with_9_6() {
    let report = secured_control(("secret", "secret"), Release::V9, [policy(1), policy(102)], &mut honest);
    insta::assert_snapshot!(dialogue(&report));
    assert!(matches!((report.0, report.1), (Fate::Verified(_), Fate::Verified(_))));
}

#[test]
fn a_tls_for_the_login_only_ends_with_it() {
    for (release, number) in [(Release::V9, 2), (Release::V15, 101), (Release::V15, 100)] {
        let policy = TlsPolicy {
            only_login: true,
            ..policy(number)
        };
        let report = secured_control(("secret", "secret"), release, [policy; 2], &mut honest);
        let log = said(&report.2, Side::Called);
        let over = log.iter().position(|said| said == "<over>").unwrap();
        assert!(over > 4 - usize::from(release == Release::V9), "{log:?}");
        assert!(log[over + 1].starts_with("3000 OK Hello "), "{log:?}");
        assert!(matches!((report.0, report.1), (Fate::Verified(_), Fate::Verified(_))));
    }
}

#[test]
fn whoever_demands_tls_does_not_go_on_without() {
    // A meddler that strips the numbers: from the Hello (9.6 has none), or by leaving `starttls` out.
    for (release, policies) in [
        (Release::V9, [policy(0), policy(200)]),
        (Release::V15, [policy(0), policy(200)]),
        (Release::V15, [policy(200), policy(0)]),
        (Release::V15, [policy(2), policy(100)]),
        (Release::V15, [policy(100), policy(2)]),
        (Release::V9, [policy(2), policy(0)]),
        (Release::V9, [policy(0), policy(2)]),
    ] {
        let report = secured_control(("secret", "secret"), release, policies, &mut honest);
        let told = dialogue(&report);
        assert!(
            matches!(&report.0, Fate::Failed(_)) && matches!(&report.1, Fate::Failed(_) | Fate::Waiting),
            "{release:?} {policies:?} {told}"
        );
        assert!(told.contains("demands TLS"), "{told}");
    }
}

#[test]
fn capabilities_come_first_and_then_tls() {
    let report = secured_data(15, ([7; 16], [7; 16]), [policy(100); 2], &mut honest);
    insta::assert_snapshot!(dialogue(&report));
    let (Fate::Verified(_), Fate::Verified(verified)) = (report.0, report.1) else {
        panic!("not verified")
    };
    assert_eq!(
        verified.capabilities,
        Some(crate::wire::capabilities::ClientCapabilities::COMMUNITY)
    );
    let report = secured_data(15, ([7; 16], [7; 16]), [policy(0), policy(100)], &mut honest);
    assert!(
        !dialogue(&report).contains("TLS"),
        "a Client in the clear stays in the clear"
    );
    assert!(matches!((report.0, report.1), (Fate::Verified(_), Fate::Verified(_))));
}

#[test]
fn a_client_that_waits_for_no_admission_is_not_played() {
    let mut outbox = Outbox::new();
    let key = SessionKey::mint([7; 16]);
    let refused = bridge::Login::start(&hello(3), &key, "us", [2; 16], policy(0), None, &mut outbox).err();
    assert_eq!(refused, Some(HandshakeError::Unsupported { fd_version: 3 }));
    assert!(outbox.is_empty());
}

#[test]
fn what_a_storage_says_instead_of_a_challenge_has_its_own_error() {
    for (text, expected) in [
        ("starttls tlspsk=100\n", "tls"),
        ("3999 No go\n", "not_admitted"),
        ("1999 Authorization failed.\n", "refused"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "unexpected"),
    ] {
        let (director, _, _) = control(("secret", "secret"), Release::V15, &mut |number, _, packet| {
            vec![if number == 0 {
                Packet::Message(Bytes::from(text))
            } else {
                packet
            }]
        });
        let Fate::Failed(error) = director else {
            panic!("{director:?}")
        };
        assert_eq!(error.label(), expected);
    }
    let (director, _, _) = control(("secret", "secret"), Release::V15, &mut |_, _, _| {
        vec![Packet::Signal(Signal::Terminate)]
    });
    assert!(
        matches!(director, Fate::Failed(HandshakeError::Ended { .. })),
        "{director:?}"
    );
}

#[test]
fn a_directors_name_has_no_case() {
    let name = |text| DirectorName::new(text).unwrap();
    assert!(director::is_called(&name("Lab-Dir"), &name("lab-dir")));
    assert!(!director::is_called(&name("lab-dir"), &name("lab-dir2")));
}

/// What a meddler does to one packet.
#[derive(Debug, Clone)]
enum Change {
    Flip { at: usize, bit: u8 },
    Cut { to: usize },
    Replace(Vec<u8>),
    Signal(i32),
    Lose,
    Twice,
    Empty,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), 0_u8..8).prop_map(|(at, bit)| Change::Flip { at, bit }),
        (0_usize..60).prop_map(|to| Change::Cut { to }),
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(Change::Replace),
        (i32::MIN..0).prop_map(Change::Signal),
        Just(Change::Lose),
        Just(Change::Twice),
        Just(Change::Empty),
    ]
}

fn changed(change: &Change, packet: Packet) -> Vec<Packet> {
    let Packet::Message(text) = &packet else {
        return vec![packet];
    };
    let message = |text: Vec<u8>| vec![Packet::Message(text.into())];
    match change {
        Change::Flip { at, bit } => {
            let mut text = text.to_vec();
            let at = at % text.len();
            text[at] ^= 1 << bit;
            message(text)
        }
        Change::Cut { to } => message(text[..text.len().min(*to)].to_vec()),
        Change::Replace(text) => message(text.clone()),
        Change::Signal(code) => vec![Packet::Signal(Signal::from_code(*code))],
        Change::Lose => Vec::new(),
        Change::Twice => vec![packet.clone(), packet],
        Change::Empty => message(Vec::new()),
    }
}

/// What counts in a packet: a challenge's text without its flags, an answer without its NUL.
fn essence(packet: &Packet) -> Vec<u8> {
    match packet {
        Packet::Message(text) => match Challenge::parse(text) {
            Ok(challenge) => challenge.text,
            Err(_) => text.strip_suffix(&[0]).unwrap_or(text).to_vec(),
        },
        Packet::Signal(signal) => signal.code().to_be_bytes().to_vec(),
    }
}

proptest! {
    /// One packet is changed between two honest sides: nobody is verified when a challenge, a proof or a verdict was
    /// touched, and neither side panics.
    #[test]
    fn a_meddler_gains_nothing(at in 0_usize..7, change in change()) {
        let mut touched = false;
        let (caller, called, _) = control(("secret", "secret"), Release::V9, &mut |number, _, packet| {
            if number != at {
                return vec![packet];
            }
            let given = changed(&change, packet.clone());
            touched = given.first().map(essence) != Some(essence(&packet));
            given
        });
        // Packet 5 is the caller's last word, packet 6 the called side's number.
        prop_assert!(!touched || at > 5 || !matches!(called, Fate::Verified(_)), "called: {:?}", called);
        prop_assert!(!touched || at > 4 || !matches!(caller, Fate::Verified(_)), "caller: {:?}", caller);
    }

    /// Whoever does not know the password is never verified, whatever is said.
    #[test]
    fn a_stranger_is_never_verified(said in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..6)) {
        let mut outbox = Outbox::new();
        let hello = crate::wire::hello::DirectorHello { name: DirectorName::new("lab-dir").unwrap(), version: Some(103), tls_psk: None };
        let first = director::Login::start(&hello, &key("secret"), "us", [2; 16], 306, policy(0), &mut outbox);
        let mut peer = Peer::new(first, &mut outbox);
        for text in said {
            peer.take(&Packet::Message(text.into()), &mut outbox);
        }
        prop_assert!(matches!(peer.fate, Fate::Failed(HandshakeError::WrongAnswer | HandshakeError::Refused)), "{:?}", peer.fate);
    }
}
