//! What a Director's FreeSpace policies ask of a storage, answered for the group.

use crate::SDGROUP;
use crate::lab::resources::GROUP_DEVICE;
use crate::lab::{Lab, Plan};
use crate::peer::Peer;

#[test]
fn a_group_tells_how_much_room_its_roomiest_storage_has() {
    let mut lab = Plan::new().start(SDGROUP);
    lab.storage("File5").kill();

    assert!(free(&mut lab, GROUP_DEVICE) > 1_000_000);
    assert!(free(&mut lab, &format!("File6/{GROUP_DEVICE}")) > 1_000_000);
    // One that is not there to tell has an unknown room.
    assert_eq!(free(&mut lab, &format!("File5/{GROUP_DEVICE}")), 0);
}

fn free(lab: &mut Lab, device: &str) -> u64 {
    let mut director = Peer::director(lab);
    director.send("store_mngr query\n");
    assert_eq!(director.receive_text().as_deref(), Some("3000 OK query store\n"));
    director.send(&format!("store_mngr freespace device={device}\n"));
    let answer = director.receive_text().expect("an answer");
    let bytes = answer
        .strip_prefix("3000 OK size=")
        .and_then(|rest| rest.trim_end().parse().ok());
    bytes.unwrap_or_else(|| panic!("{answer}"))
}
