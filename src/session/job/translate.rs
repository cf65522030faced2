//! The Director's words and the member's, where they differ (Device and MediaType), in a job's messages.

use bytes::Bytes;

use crate::config::model;
use crate::session::device::Words;
use crate::session::error::Stage;
use crate::types::{DeviceName, MediaType, StorageName};
use crate::wire::bootstrap::{self, Named};
use crate::wire::line;

/// How one member's words differ from the Director's.
#[derive(Debug)]
pub(super) struct Translation {
    storage: StorageName,
    words: Words,
}

impl Translation {
    pub(super) fn new(group: &model::Group, storage: &model::Storage) -> Self {
        Self {
            storage: storage.name.clone(),
            words: Words::new(group, storage),
        }
    }

    /// A line of the Director's in the member's words, or `None` when it stays as it is.
    pub(super) fn to_storage(&self, stage: Stage, text: &[u8]) -> Option<Vec<u8>> {
        if stage != Stage::Reserve {
            return None;
        }
        if text.starts_with(b"use storage=") {
            let said = line::name(line::field(text, "media_type")?, MediaType::new).ok()?;
            let told = self.words.media_type(&said);
            return line::with_field(text, "media_type", &line::escape(told.as_str().as_bytes()));
        }
        if text.starts_with(b"use device=") {
            let said = line::name(line::field(text, "device")?, DeviceName::new).ok()?;
            let told = self.words.device(&said);
            return line::with_field(text, "device", &line::escape(told.as_str().as_bytes()));
        }
        None
    }

    /// A bootstrap in the member's words.
    pub(super) fn bootstrap(&self, text: &Bytes) -> Bytes {
        bootstrap::with_names(text, |named| match named {
            Named::MediaType(said) => {
                let said = MediaType::new(said).ok()?;
                changed(&said, self.words.media_type(&said)).map(|told| told.as_str().to_owned())
            }
            Named::Device(said) => {
                let said = DeviceName::new(said).ok()?;
                changed(&said, self.words.device(&said)).map(|told| told.as_str().to_owned())
            }
        })
    }

    /// A reply of the member's in words that tell the Director where the device is, or `None` when it stays as it
    /// is. The Director only prints this name.
    pub(super) fn to_director(&self, text: &[u8]) -> Option<Vec<u8>> {
        if !text.starts_with(b"3000 OK use device device=") {
            return None;
        }
        let device = line::field(text, "device")?;
        let told = match self.words.group_device() {
            Some(name) => name.as_str().as_bytes().to_vec(),
            None => line::unescape(device).into_owned(),
        };
        let mut word = self.storage.as_str().as_bytes().to_vec();
        word.push(b'/');
        word.extend_from_slice(&told);
        line::with_field(text, "device", &line::escape(&word))
    }
}

fn changed<T: PartialEq>(said: &T, told: T) -> Option<T> {
    (*said != told).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translation() -> Translation {
        Translation {
            storage: StorageName::new("File 5").unwrap(),
            words: Words::own_words("File Dev5", "File5"),
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
