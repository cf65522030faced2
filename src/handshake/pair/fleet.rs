//! Two sdgroups against each other.

use super::*;
use crate::types::PeerName;

/// Two sdgroups.
fn fleet(passwords: (&str, &str), meddler: Meddler<'_>) -> Report<peer::Calling, peer::BeingCalled> {
    let mut outbox = Outbox::new();
    let [ours, theirs] = ["a", "b"].map(|name| PeerName::new(name).unwrap());
    let caller = peer::Calling::start(&ours, &key(passwords.0), [1; 16], &mut outbox);
    let caller = Peer::new(Ok(Step::Expect(caller)), &mut Outbox::new());
    let first = packets(&mut outbox).remove(0);
    let Ok(Hello::Peer(hello)) = Hello::parse(text(&first)) else {
        panic!("not a peer: {first:?}")
    };
    let called = peer::BeingCalled::start(&hello, &key(passwords.1), &theirs, [2; 16], &mut outbox);
    let called = Peer::new(called, &mut outbox);
    drive(caller, called, outbox, meddler)
}

#[test]
fn sdgroups_know_each_other_by_the_password_and_in_tls_alone() {
    let report = fleet(("secret", "secret"), &mut honest);
    let told = dialogue(&report);
    let (Fate::Verified(a), Fate::Verified(b)) = (&report.0, &report.1) else {
        panic!("not verified: {told}")
    };
    assert_eq!((a.version, b.version), (peer::VERSION, peer::VERSION));
    assert!(told.contains("PSK"), "{told}");

    let report = fleet(("secret", "another"), &mut honest);
    assert!(!matches!(report.0, Fate::Verified(_)) && !matches!(report.1, Fate::Verified(_)));
    // Somebody in between who answers without TLS gets no proof of the password.
    let mut strip = |_, _, packet| {
        let begins = matches!(&packet, Packet::Message(text) if text.starts_with(b"starttls"));
        let challenge = Packet::Message(Bytes::from("auth cram-md5 <1.1@b> ssl=0\n"));
        vec![if begins { challenge } else { packet }]
    };
    let report = fleet(("secret", "secret"), &mut strip);
    assert!(
        matches!(&report.0, Fate::Failed(HandshakeError::Tls(_))),
        "{}",
        dialogue(&report)
    );
}
