//! The Director's words and the member's, where they differ (Device and MediaType).

use bytes::Bytes;

use crate::config::model;
use crate::session::error::Stage;
use crate::types::{DeviceName, MediaType, StorageName};
use crate::wire::bootstrap::{self, Named};
use crate::wire::line;

/// How one member's words differ from the Director's.
#[derive(Debug)]
pub(super) struct Translation {
    storage: StorageName,
    device: Option<DeviceName>,
    media_type: Option<MediaType>,
    /// The Director's word for the device, where the configuration fixes one.
    group_device: Option<DeviceName>,
}

impl Translation {
    pub(super) fn new(group: &model::Group, storage: &model::Storage) -> Self {
        Self {
            storage: storage.name.clone(),
            device: storage.device.clone(),
            media_type: storage.media_type.clone(),
            group_device: group.device.clone(),
        }
    }

    /// A line of the Director's in the member's words, or `None` when it stays as it is.
    pub(super) fn to_storage(&self, stage: Stage, text: &[u8]) -> Option<Vec<u8>> {
        if stage == Stage::Reserve {
            if text.starts_with(b"use storage=") {
                let media_type = self.media_type.as_ref()?;
                return line::with_field(text, "media_type", &line::escape(media_type.as_str().as_bytes()));
            }
            if text.starts_with(b"use device=") {
                let device = self.device.as_ref()?;
                return line::with_field(text, "device", &line::escape(device.as_str().as_bytes()));
            }
        }
        None
    }

    /// A bootstrap in the member's words.
    pub(super) fn bootstrap(&self, text: &Bytes) -> Bytes {
        bootstrap::with_names(text, |named| match named {
            Named::MediaType(_) => self.media_type.as_ref().map(|name| name.as_str().to_owned()),
            Named::Device(_) => self.device.as_ref().map(|name| name.as_str().to_owned()),
        })
    }

    /// A reply of the member's in words that tell the Director where the device is, or `None` when it stays as it
    /// is. The Director only prints this name.
    pub(super) fn to_director(&self, text: &[u8]) -> Option<Vec<u8>> {
        if !text.starts_with(b"3000 OK use device device=") {
            return None;
        }
        let device = line::field(text, "device")?;
        let told = match &self.group_device {
            Some(name) => name.as_str().as_bytes().to_vec(),
            None => line::unescape(device).into_owned(),
        };
        let mut word = self.storage.as_str().as_bytes().to_vec();
        word.push(b'/');
        word.extend_from_slice(&told);
        line::with_field(text, "device", &line::escape(&word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translation() -> Translation {
        Translation {
            storage: StorageName::new("File 5").unwrap(),
            device: Some(DeviceName::new("File Dev5").unwrap()),
            media_type: Some(MediaType::new("File5").unwrap()),
            group_device: None,
        }
    }

    #[test]
    fn a_reservation_is_made_in_the_members_words() {
        let asked = b"use storage=Group media_type=File pool_name=Default pool_type=Backup append=1 copy=0 stripe=0\n";
        let told = translation().to_storage(Stage::Reserve, asked).unwrap();
        assert_eq!(
            String::from_utf8(told).unwrap(),
            "use storage=Group media_type=File5 pool_name=Default pool_type=Backup append=1 copy=0 stripe=0\n"
        );
        let told = translation()
            .to_storage(Stage::Reserve, b"use device=GroupDev\n")
            .unwrap();
        assert_eq!(told, b"use device=File\x01Dev5\n");
        assert_eq!(translation().to_storage(Stage::Job, b"use device=GroupDev\n"), None);
    }

    #[test]
    fn the_director_is_told_on_which_storage_the_device_is() {
        let told = translation()
            .to_director(b"3000 OK use device device=File\x01Dev5 protect=0 encrypt=0\n")
            .unwrap();
        assert_eq!(
            told,
            b"3000 OK use device device=File\x015/File\x01Dev5 protect=0 encrypt=0\n"
        );
        assert_eq!(translation().to_director(b"3000 OK bootstrap\n"), None);
    }

    #[test]
    fn a_bootstrap_is_told_in_the_members_words() {
        let text =
            Bytes::from_static(b"Storage=\"G\"\nVolume=\"V\"\nMediaType=\"File\"\nDevice=\"GroupDev\"\nSlot=1\n");
        let told = translation().bootstrap(&text);
        assert_eq!(
            told,
            "Storage=\"G\"\nVolume=\"V\"\nMediaType=\"File5\"\nDevice=\"File Dev5\"\nSlot=1\n".as_bytes()
        );
    }
}
