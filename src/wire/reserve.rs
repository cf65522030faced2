//! `use storage=` and `use device=`, by which a Director asks for a device, and the storage's answer (Bacula
//! `src/dird/msgchan.c`, `src/stored/reserve.c`).
//!
//! The releases have different numbers of fields; what a message has beyond those known here is kept.

use super::line::{LineError, LineWriter, Scanner, word_text};
use crate::types::{DeviceName, MediaType, PoolName};

/// One storage of the Director's list: what the job needs there. Its devices follow, each as a [`UseDevice`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseStorage {
    /// `storage`: the name of the Director's Storage resource. A storage uses it in messages only.
    pub storage: String,
    /// `media_type`.
    pub media_type: MediaType,
    /// `pool_name`.
    pub pool: PoolName,
    /// `pool_type`.
    pub pool_type: String,
    /// `append`: to write; otherwise to read.
    pub append: bool,
    /// `copy`; always 0.
    pub copy: i32,
    /// `stripe`; always 0.
    pub stripe: i32,
    /// `wait`: whether to wait for a busy device. 9.6 does not have it.
    pub wait: Option<bool>,
    /// What follows, with the blank before it.
    pub more: Vec<u8>,
}

impl UseStorage {
    /// Reads the command.
    ///
    /// # Errors
    /// When a field is missing or is not what it should be. A storage answers 3913 and closes.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut s = Scanner::new(line);
        Ok(Self {
            storage: word_text(s.literal("use storage=")?.word())?,
            media_type: s.literal(" media_type=")?.name(MediaType::new)?,
            pool: s.literal(" pool_name=")?.name(PoolName::new)?,
            pool_type: word_text(s.literal(" pool_type=")?.word())?,
            append: s.literal(" append=")?.flag()?,
            copy: s.literal(" copy=")?.number()?,
            stripe: s.literal(" stripe=")?.number()?,
            wait: if s.accepts(" wait=") { Some(s.flag()?) } else { None },
            more: more(&s),
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let line = LineWriter::new()
            .raw("use storage=")
            .name(&self.storage)
            .raw(" media_type=")
            .name(self.media_type.as_str())
            .raw(" pool_name=")
            .name(self.pool.as_str())
            .raw(" pool_type=")
            .name(&self.pool_type)
            .raw(" append=")
            .flag(self.append)
            .raw(" copy=")
            .number(self.copy)
            .raw(" stripe=")
            .number(self.stripe);
        let line = match self.wait {
            Some(wait) => line.raw(" wait=").flag(wait),
            None => line,
        };
        line.raw(&self.more).raw("\n").finish()
    }
}

/// One device of a [`UseStorage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseDevice {
    /// `device`: a Device or Autochanger resource of the storage.
    pub device: DeviceName,
}

impl UseDevice {
    /// Reads the command.
    ///
    /// # Errors
    /// When it is another one.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        Ok(Self {
            device: Scanner::new(line).literal("use device=")?.name(DeviceName::new)?,
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        LineWriter::new()
            .raw("use device=")
            .name(self.device.as_str())
            .raw("\n")
            .finish()
    }
}

/// The storage's consent: the device that the job has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAnswer {
    /// `device`.
    pub device: DeviceName,
    /// What the device does to volumes. Only 15.0 tells.
    pub features: Option<DeviceFeatures>,
    /// What follows, with the blank before it.
    pub more: Vec<u8>,
}

/// What a device does to volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFeatures {
    /// `protect`: full volumes are made immutable.
    pub protect: bool,
    /// `encrypt`: volumes are encrypted.
    pub encrypt: bool,
}

impl DeviceAnswer {
    /// Reads the answer.
    ///
    /// # Errors
    /// When it is another one, as a rule a refusal.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut s = Scanner::new(line);
        let device = s.literal("3000 OK use device device=")?.name(DeviceName::new)?;
        let features = if s.accepts(" protect=") {
            Some(DeviceFeatures {
                protect: s.flag()?,
                encrypt: s.literal(" encrypt=")?.flag()?,
            })
        } else {
            None
        };
        Ok(Self {
            device,
            features,
            more: more(&s),
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let line = LineWriter::new()
            .raw("3000 OK use device device=")
            .name(self.device.as_str());
        let line = match self.features {
            Some(features) => line
                .raw(" protect=")
                .flag(features.protect)
                .raw(" encrypt=")
                .flag(features.encrypt),
            None => line,
        };
        line.raw(&self.more).raw("\n").finish()
    }
}

/// What a line has after the fields that are known, without the end of the line.
fn more(scanner: &Scanner<'_>) -> Vec<u8> {
    let rest = scanner.rest();
    rest.strip_suffix(b"\n").unwrap_or(rest).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms_of_all_releases() {
        for line in [
            "use storage=File4 media_type=File4 pool_name=Pool4 pool_type=Backup append=1 copy=0 stripe=0\n",
            "use storage=My\x01File media_type=File4 pool_name=Pool4 pool_type=Backup append=0 copy=0 stripe=0 wait=1\n",
            "use storage=F media_type=F pool_name=P pool_type=Backup append=1 copy=0 stripe=0 wait=0 later=7 x\n",
        ] {
            let read = UseStorage::parse(line.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(read.to_line()).unwrap(), line);
        }
        for line in [
            "3000 OK use device device=FileDev4\n",
            "3000 OK use device device=FileDev4 protect=0 encrypt=1\n",
            "3000 OK use device device=FileDev4 protect=0 encrypt=1 later=3\n",
        ] {
            let read = DeviceAnswer::parse(line.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(read.to_line()).unwrap(), line);
        }
        assert!(DeviceAnswer::parse(b"3924 Device \"FileDev4\" not in SD Device resources\n").is_err());
        assert!(
            UseStorage::parse(b"use storage=F media_type= pool_name=P pool_type=B append=1 copy=0 stripe=0\n").is_err()
        );
    }

    proptest! {
        #[test]
        fn a_reservation_reads_back(
            names in ("[A-Za-z0-9 _.-]{1,40}", "[A-Za-z][A-Za-z0-9 _.-]{0,40}", "[A-Za-z]{0,9}"),
            append: bool,
            numbers: (i32, i32),
            wait: Option<bool>,
            features in proptest::option::of((any::<bool>(), any::<bool>())),
            more in "( [a-v]{1,5}=[!-~]{0,5}){0,3}",
        ) {
            let command = UseStorage {
                storage: names.0,
                media_type: MediaType::new(&names.1).unwrap(),
                pool: PoolName::new(&names.1).unwrap(),
                pool_type: names.2,
                append,
                copy: numbers.0,
                stripe: numbers.1,
                wait,
                more: more.clone().into_bytes(),
            };
            prop_assume!(!more.contains("wait=") && !more.contains("protect="));
            prop_assert_eq!(UseStorage::parse(&command.to_line()), Ok(command));
            let device = UseDevice { device: DeviceName::new(&names.1).unwrap() };
            prop_assert_eq!(UseDevice::parse(&device.to_line()), Ok(device));
            let answer = DeviceAnswer {
                device: DeviceName::new(&names.1).unwrap(),
                features: features.map(|(protect, encrypt)| DeviceFeatures { protect, encrypt }),
                more: more.into_bytes(),
            };
            prop_assert_eq!(DeviceAnswer::parse(&answer.to_line()), Ok(answer));
        }
    }
}
