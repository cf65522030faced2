//! What a Director's FreeSpace policies ask of a storage, answered for the group.

use crate::SDGROUP;
use crate::lab::Plan;
use crate::lab::resources::GROUP_DEVICE;
use crate::peer::Peer;

#[test]
fn a_group_tells_how_much_room_its_roomiest_storage_has() {
    let mut lab = Plan::new().start(SDGROUP);
    lab.storage("File5").kill();
    let mut director = Peer::director(&mut lab);

    director.send("store_mngr query\n");
    assert_eq!(director.receive_text().as_deref(), Some("3000 OK query store\n"));
    director.send(&format!("store_mngr freespace device={GROUP_DEVICE}\n"));
    let answer = director.receive_text().expect("an answer");

    let bytes: u64 = answer
        .strip_prefix("3000 OK size=")
        .and_then(|rest| rest.trim_end().parse().ok())
        .unwrap_or_else(|| panic!("{answer}"));
    assert!(bytes > 1_000_000, "{bytes} bytes are free");
}
