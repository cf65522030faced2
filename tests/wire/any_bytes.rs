//! The bodies of the fuzz targets, on a few thousand inputs each time the tests run.

use proptest::prelude::*;

use crate::bodies;
use crate::transcript::all_messages;

fn text(starts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        "[ -~]{0,30}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..60),
        "( ?[A-Za-z_]{1,12}=[0-9]{0,12}){0,6}\n?".prop_map(String::into_bytes),
    ];
    (proptest::sample::select(starts), word).prop_map(|(start, rest)| [start.as_bytes(), &rest].concat())
}

/// A real message with a few of its bytes changed, or cut.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let messages: Vec<Vec<u8>> = all_messages();
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4);
    (
        proptest::sample::select(messages),
        changes,
        any::<proptest::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(mut message, changes, end, cut)| {
            for (at, byte) in changes {
                let length = message.len();
                if let Some(place) = message.get_mut(at.index(length.max(1))) {
                    *place = byte;
                }
            }
            if cut {
                message.truncate(end.index(message.len() + 1));
            }
            message
        })
}

/// Bytes that are often several frames.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        0_u32..40,
        any::<u32>(),
        (0_u32..40).prop_map(|n| n | 1 << 30),
        (0_u32..40).prop_map(|n| n | 1 << 29)
    ];
    let frame = (head, proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(head, payload)| [&head.to_be_bytes()[..], &payload].concat());
    proptest::collection::vec(frame, 0..6).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn every_parser_takes_a_mutated_message(bytes in mutated()) {
        for body in [
            bodies::hello, bodies::challenge, bodies::command, bodies::job, bodies::reserve, bodies::bootstrap,
            bodies::catalog, bodies::progress, bodies::packet, bodies::lz4, bodies::status,
        ] {
            body(&bytes);
        }
    }

    #[test]
    fn packets(bytes in frames()) {
        bodies::packet(&bytes);
    }

    #[test]
    fn blocks(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        bodies::lz4(&bytes);
    }

    #[test]
    fn hellos(bytes in text(&["Hello SD: Bacula Director ", "Hello Bacula SD: Start Job ", "Hello Start Job ", ""])) {
        bodies::hello(&bytes);
    }

    #[test]
    fn challenges(bytes in text(&["auth cram-md5 ", "auth cram-md5c ", "auth cram-md5", ""])) {
        bodies::challenge(&bytes);
    }

    #[test]
    fn commands(bytes in text(&["label ", "mount ", "autochanger list ", "cloudlist Storage=", ".status ", "cancel Job=", ""])) {
        bodies::command(&bytes);
    }

    #[test]
    fn jobs(bytes in text(&["JobId=1 job=", "3000 OK Job SDid=1 SDtime=2 Authorization=", "3000 OK Job SDid=", ""])) {
        bodies::job(&bytes);
    }

    #[test]
    fn reservations(bytes in text(&["use storage=", "use device=", "3000 OK use device device=", "3000 OK use device device=D protect=", ""])) {
        bodies::reserve(&bytes);
    }

    #[test]
    fn bootstraps(bytes in text(&["Volume=\"", "Volume=V\nMediaType=", "Storage=", ""])) {
        bodies::bootstrap(&bytes);
    }

    #[test]
    fn catalog_requests(bytes in text(&["CatReq JobId=1 FindMedia=", "CatReq JobId=1 UpdateMedia VolName=", "1000 OK VolName=", "CatReq ", ""])) {
        bodies::catalog(&bytes);
    }

    #[test]
    fn what_storages_tell(bytes in text(&["Jmsg JobId=1 type=", "Status JobId=", "3099 Job J end JobStatus=84 JobFiles=1 JobBytes=", "3010 Job ", "BlastAttr JobId=1 File=", ""])) {
        bodies::progress(&bytes);
    }

    #[test]
    fn devices(bytes in text(&[
        "autochanger=C\nname=D\ndevice=/a\nname=D\narchive_device=/a\ntype=File\nfree_space=512\ntotal_space=",
        "name=D\narchive_device=/a\ntype=File\ntotal_space=1024\nfree_space=",
        "",
    ])) {
        bodies::status(&bytes);
    }
}
