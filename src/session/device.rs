//! A Director's words for what it writes on, Device and MediaType, and a member's own.
//!
//! A Director names the group's Device and MediaType, which each member may have under names of its own. It can also
//! address one member: `File5/FileChgr1` is the device `FileChgr1` of the member `File5`. The slash has this meaning
//! only behind a member's name; anywhere else it belongs to the device's name.

use crate::config::model;
use crate::types::{DeviceName, MediaType, StorageName};

/// A Director's word for a device, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// The member that it names, if it names one.
    pub(super) member: Option<&'a StorageName>,
    /// The device: the group's word for it, or one of the member's own as it stands.
    pub(super) device: DeviceName,
}

impl<'a> Address<'a> {
    /// Reads `said`, which a Director says to a group of these members.
    pub(super) fn read(members: &'a [StorageName], said: &DeviceName) -> Self {
        let addressed = said.as_str().split_once('/').and_then(|(member, device)| {
            let member = members.iter().find(|name| name.as_str() == member)?;
            Some((member, DeviceName::new(device).ok()?))
        });
        match addressed {
            Some((member, device)) => Self {
                member: Some(member),
                device,
            },
            None => Self {
                member: None,
                device: said.clone(),
            },
        }
    }
}

/// How the words of a group become those of one of its members.
#[derive(Debug, Clone)]
pub(super) struct Words {
    members: Vec<StorageName>,
    group_device: Option<DeviceName>,
    group_media_type: Option<MediaType>,
    device: Option<DeviceName>,
    media_type: Option<MediaType>,
}

impl Words {
    /// For this member of this group.
    pub(super) fn new(group: &model::Group, storage: &model::Storage) -> Self {
        Self {
            members: group.members.clone(),
            group_device: group.device.clone(),
            group_media_type: group.media_type.clone(),
            device: storage.device.clone(),
            media_type: storage.media_type.clone(),
        }
    }

    /// The member's word for the device that the Director calls `said`. Which member that addresses is not looked at:
    /// a volume can have moved since the Director learned its device.
    pub(super) fn device(&self, said: &DeviceName) -> DeviceName {
        let Address { device, .. } = Address::read(&self.members, said);
        own(self.group_device.as_ref(), self.device.as_ref(), device)
    }

    /// The member's word for the media type that the Director calls `said`.
    pub(super) fn media_type(&self, said: &MediaType) -> MediaType {
        own(self.group_media_type.as_ref(), self.media_type.as_ref(), said.clone())
    }

    /// The Director's word for the device, where the configuration has one.
    pub(super) fn group_device(&self) -> Option<&DeviceName> {
        self.group_device.as_ref()
    }

    /// A member with words of its own, in a group that has none.
    #[cfg(test)]
    pub(super) fn own_words(device: &str, media_type: &str) -> Self {
        Self {
            members: Vec::new(),
            group_device: None,
            group_media_type: None,
            device: DeviceName::new(device).ok(),
            media_type: MediaType::new(media_type).ok(),
        }
    }
}

/// The member's own word where the Director said the group's; any other stays as it is.
fn own<T: Clone + PartialEq>(groups: Option<&T>, own: Option<&T>, said: T) -> T {
    match own {
        Some(own) if groups.is_none_or(|word| *word == said) => own.clone(),
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members() -> Vec<StorageName> {
        ["File4", "File5"].map(|name| StorageName::new(name).unwrap()).to_vec()
    }

    fn device(name: &str) -> DeviceName {
        DeviceName::new(name).unwrap()
    }

    /// The words of File5, which calls FileGroup `FileChgr1`.
    fn words() -> Words {
        Words {
            members: members(),
            group_device: Some(device("FileGroup")),
            group_media_type: Some(MediaType::new("File").unwrap()),
            device: Some(device("FileChgr1")),
            media_type: Some(MediaType::new("File5").unwrap()),
        }
    }

    #[test]
    fn only_a_members_name_before_the_first_slash_addresses_one() {
        for (said, member, word) in [
            ("File5/FileChgr1", Some("File5"), "FileChgr1"),
            ("File5/rack/drive-1", Some("File5"), "rack/drive-1"),
            ("FileChgr1", None, "FileChgr1"),
            ("File5", None, "File5"),
            ("File5/", None, "File5/"),
            ("/File5", None, "/File5"),
            ("file5/FileChgr1", None, "file5/FileChgr1"),
            ("File6/FileChgr1", None, "File6/FileChgr1"),
            ("rack/File5/drive-1", None, "rack/File5/drive-1"),
        ] {
            let members = members();
            let address = Address::read(&members, &device(said));
            assert_eq!(address.member.map(StorageName::as_str), member, "{said}");
            assert_eq!(address.device.as_str(), word, "{said}");
        }
    }

    #[test]
    fn the_groups_word_becomes_the_members_and_any_other_stays() {
        for (said, told) in [
            ("FileGroup", "FileChgr1"),
            ("File5/FileGroup", "FileChgr1"),
            ("File5/File5-drive2", "File5-drive2"),
            ("File5-drive2", "File5-drive2"),
            // The ledger found the volume on another member than the catalog has it.
            ("File4/FileGroup", "FileChgr1"),
        ] {
            assert_eq!(words().device(&device(said)).as_str(), told, "{said}");
        }
        for (said, told) in [("File", "File5"), ("LTO", "LTO")] {
            assert_eq!(words().media_type(&MediaType::new(said).unwrap()).as_str(), told);
        }
    }

    #[test]
    fn a_member_without_words_of_its_own_is_told_the_directors() {
        let plain = Words {
            device: None,
            media_type: None,
            ..words()
        };
        assert_eq!(plain.device(&device("File5/FileGroup")).as_str(), "FileGroup");
        assert_eq!(plain.media_type(&MediaType::new("File").unwrap()).as_str(), "File");
        // Without a word of the group's whatever the Director says is meant.
        let unnamed = Words {
            group_device: None,
            ..words()
        };
        assert_eq!(unnamed.device(&device("Anything")).as_str(), "FileChgr1");
    }

    proptest! {
        #[test]
        fn an_address_reads_back(word in "[!-~]{1,60}") {
            let members = members();
            let said = device(&format!("File4/{word}"));
            let address = Address::read(&members, &said);
            prop_assert_eq!(address.member, Some(&members[0]));
            prop_assert_eq!(address.device.as_str(), word);
        }
    }
}
