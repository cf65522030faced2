//! What can be read on the wire, with daemons that are left as they come.

use crate::SDGROUP;
use crate::lab::Plan;
use crate::lab::tap::Recording;
use crate::lab::tree::checksum;
use bytes::BytesMut;
use sdgroup::wire::packet::{Frame, MAX_WIRE_BYTES, Packet};

/// What one side said, parted where its TLS begins: the messages before, and the records.
struct Said {
    clear: Vec<String>,
    records: Vec<u8>,
}

impl Said {
    fn of(bytes: &[u8]) -> Self {
        let mut rest = BytesMut::from(bytes);
        let mut clear = Vec::new();
        // A TLS record begins like a packet that is far too long.
        while let Ok(Some(frame)) = Frame::take(&mut rest, MAX_WIRE_BYTES) {
            let Packet::Message(text) = frame.decode().expect("a packet") else {
                panic!("a signal in the clear, after {clear:?}");
            };
            clear.push(String::from_utf8_lossy(&text).into_owned());
        }
        Self {
            clear,
            records: rest.to_vec(),
        }
    }

    /// The types of its TLS records: 22 is a handshake's, 23 an encrypted one. The last record may be cut short.
    fn types(&self) -> Vec<u8> {
        let mut types = Vec::new();
        let mut rest = self.records.as_slice();
        while let [kind, 3, _, high, low, body @ ..] = rest {
            types.push(*kind);
            rest = body
                .get(usize::from(u16::from_be_bytes([*high, *low]))..)
                .unwrap_or_default();
        }
        assert!(rest.len() < 5, "{} bytes that are no record", rest.len());
        types
    }

    fn must_end_in_tls(&self) -> &Self {
        let types = self.types();
        assert_eq!(types.first(), Some(&22), "{:?}", self.clear);
        assert!(types.contains(&23), "{:?}: {types:?}", self.clear);
        assert!(types.iter().all(|kind| (20..=23).contains(kind)), "{types:?}");
        self
    }

    fn must_say(&self, beginnings: &[&str]) {
        assert_eq!(self.clear.len(), beginnings.len(), "{:?}", self.clear);
        for (text, beginning) in self.clear.iter().zip(beginnings) {
            assert!(text.starts_with(beginning), "{:?}", self.clear);
        }
    }
}

/// Checks one connection, and says whether it was a data connection.
fn is_data(recording: &Recording) -> bool {
    let (caller, daemon) = (Said::of(&recording.caller), Said::of(&recording.daemon));
    caller.must_end_in_tls();
    daemon.must_end_in_tls();
    let is_data = caller
        .clear
        .first()
        .is_some_and(|hello| hello.starts_with("Hello Bacula SD: Start Job"));
    if is_data {
        caller.must_say(&["Hello Bacula SD: Start Job ", "fdcaps: "]);
        daemon.must_say(&["sdcaps: ", "starttls tlspsk="]);
    } else {
        caller.must_say(&["Hello SD: Bacula Director "]);
        daemon.must_say(&["starttls tlspsk="]);
    }
    is_data
}

#[test]
fn on_every_leg_only_the_beginning_is_in_the_clear() {
    let mut plan = Plan::with_policy("ListedOrder");
    plan.taps = true;
    // One at the start; a later one could be under way when it is looked at.
    plan.settings = plan.settings.without_probes();
    let source = plan.tree("Docs", 95);
    let lab = plan.start(SDGROUP);

    let report = lab.job("Docs", "Full");
    assert_eq!(report.must_be_ok().only_storage(), "File4");
    lab.must_restore(&[report.id], &source, &checksum(&source));

    // The Director's and the Client's legs, then those of the storage that has the job, its probes among them.
    for (name, least_control) in [("sdgroup", 2), ("File4", 3)] {
        let recordings = lab.tap(name).recordings();
        let data = recordings.iter().filter(|recording| is_data(recording)).count();
        assert_eq!(data, 2, "{name}: one of the backup, one of the restore");
        assert!(recordings.len() - data >= least_control, "{name}: {}", recordings.len());
    }
}
