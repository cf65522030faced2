//! Two machines against each other without a socket, and a meddler between them that may change each packet.

#![expect(clippy::similar_names, reason = "caller and called are what the two sides are")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::types::{DirectorName, JobName, Secret, SessionKey};
use crate::wire::challenge::Challenge;
use crate::wire::hello::{ClientHello, Hello};
use crate::wire::packet::{Frame, MAX_LOGIN_BYTES};
use crate::wire::release::Release;

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
}

impl<M: Machine> Peer<M> {
    fn new(machine: M) -> Self {
        Self {
            machine: Some(machine),
            fate: Fate::Waiting,
        }
    }

    fn take(&mut self, packet: &Packet, outbox: &mut Outbox) {
        let Some(machine) = self.machine.take() else { return };
        match machine.on_packet(packet, outbox) {
            Ok(Step::Expect(machine)) => self.machine = Some(machine),
            Ok(Step::Done(verified)) => self.fate = Fate::Verified(verified),
            Err(error) => self.fate = Fate::Failed(error),
        }
    }
}

/// Drives both until nothing is under way.
fn drive<A: Machine, B: Machine>(caller: A, called: B, mut outbox: Outbox, meddler: Meddler<'_>) -> Report<A, B> {
    let (mut caller, mut called) = (Peer::new(caller), Peer::new(called));
    let mut log = Vec::new();
    let mut under_way = packets(&mut outbox)
        .into_iter()
        .map(|packet| (Side::Called, packet))
        .collect::<Vec<_>>();
    while !under_way.is_empty() {
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
    (caller.fate, called.fate, log)
}

fn key(password: &str) -> DirectorKey {
    DirectorKey::new(&Secret::new(password.to_owned()))
}

/// A Director (caller) and a storage, each with its own idea of the password.
fn control(passwords: (&str, &str), release: Release, meddler: Meddler<'_>) -> Report<storage::Login, director::Login> {
    let mut outbox = Outbox::new();
    let name = DirectorName::new("lab dir").unwrap();
    let caller = storage::Login::start(&name, &key(passwords.0), release, [1; 16], &mut outbox);
    let first = packets(&mut outbox).remove(0);
    let Ok(Hello::Director(hello)) = Hello::parse(text(&first)) else {
        panic!("not a Director: {first:?}")
    };
    let announced = release.storage_version();
    let called = director::Login::start(&hello, &key(passwords.1), "our group", [2; 16], announced, &mut outbox);
    drive(caller, called, outbox, meddler)
}

fn hello(fd_version: u32) -> ClientHello {
    ClientHello {
        job: JobName::new("J.2026-11-23_00.20.37_03").unwrap(),
        fd_version,
        sd_version: None,
        tls_psk: None,
    }
}

/// A Client (caller) and a storage.
fn data(keys: ([u8; 16], [u8; 16]), meddler: Meddler<'_>) -> Report<bridge::Login, client::Login> {
    let mut outbox = Outbox::new();
    let caller = bridge::Login::start(&hello(214), &SessionKey::mint(keys.0), "lab-fd", [1; 16], &mut outbox).unwrap();
    let first = packets(&mut outbox).remove(0);
    let Ok(Hello::Client(hello)) = Hello::parse(text(&first)) else {
        panic!("not a Client: {first:?}")
    };
    let called = client::Login::start(&hello, &SessionKey::mint(keys.1), "lab-sd4", [2; 16], 306, &mut outbox).unwrap();
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

#[test]
fn a_client_whose_release_begins_otherwise_is_refused_before_anything_is_sent() {
    for fd_version in [12, 14, 15] {
        let mut outbox = Outbox::new();
        let key = SessionKey::mint([7; 16]);
        let refused = client::Login::start(&hello(fd_version), &key, "us", [2; 16], 306, &mut outbox).err();
        assert_eq!(refused, Some(HandshakeError::Unsupported { fd_version }));
        let refused = bridge::Login::start(&hello(fd_version), &key, "us", [2; 16], &mut outbox).err();
        assert_eq!(refused, Some(HandshakeError::Unsupported { fd_version }));
        assert!(outbox.is_empty());
    }
}

#[test]
fn what_a_storage_says_instead_of_a_challenge_has_its_own_error() {
    for (text, expected) in [
        ("starttls tlspsk=100\n", "tls_demanded"),
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
        let mut peer = Peer::new(director::Login::start(&hello, &key("secret"), "us", [2; 16], 306, &mut outbox));
        for text in said {
            peer.take(&Packet::Message(text.into()), &mut outbox);
        }
        prop_assert!(matches!(peer.fate, Fate::Failed(HandshakeError::WrongAnswer | HandshakeError::Refused)), "{:?}", peer.fate);
    }
}
