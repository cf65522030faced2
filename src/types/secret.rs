//! Texts that must never be seen: they have no `Display`, their `Debug` hides them, and dropping them wipes them.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A password as the operator wrote it.
#[derive(Clone)]
pub struct Secret(Option<Arc<Zeroizing<String>>>);

impl Secret {
    /// Takes `text` as a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Some(Arc::new(Zeroizing::new(text))))
    }

    /// What stands for a secret that this process does not get, in a model that nobody logs in with.
    #[must_use]
    pub fn stand_in() -> Self {
        Self(None)
    }

    /// Whether it only stands for one.
    #[must_use]
    pub fn is_stand_in(&self) -> bool {
        self.0.is_none()
    }

    /// The text itself, empty where something stands for it. Only what proves or checks the secret may call this.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.as_ref().map_or("", |text| text.as_str())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let is_equal = self.reveal().as_bytes().ct_eq(other.reveal().as_bytes());
        self.is_stand_in() == other.is_stand_in() && is_equal.into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The authorization key of one job's data connection (`Authorization=`), which both ends of it prove.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey(Secret);

impl SessionKey {
    /// Takes `text`, as a storage sent it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// A key for 16 random bytes, in the form in which storages write theirs: each byte as two letters `A` to
    /// `P`, a `-` after every fourth letter but the last (Bacula `src/stored/job.c`, `make_session_key`).
    #[must_use]
    pub fn mint(random: [u8; 16]) -> Self {
        let mut text = String::with_capacity(39);
        for (at, byte) in random.iter().enumerate() {
            if at > 0 && at % 2 == 0 {
                text.push('-');
            }
            text.push(char::from(b'A' + (byte >> 4)));
            text.push(char::from(b'A' + (byte & 15)));
        }
        Self::new(text)
    }

    /// The key itself. Only what sends or proves it may call this.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hush".into())), "Secret(..)");
        assert_eq!(format!("{:?}", SessionKey::new("hush".into())), "SessionKey(..)");
    }

    #[test]
    fn what_stands_for_a_secret_is_none() {
        assert!(Secret::stand_in().is_stand_in() && !Secret::new(String::new()).is_stand_in());
        assert_ne!(Secret::stand_in(), Secret::new(String::new()));
        assert_ne!(Secret::stand_in(), Secret::new("hush".into()));
    }

    #[test]
    fn a_minted_key_has_the_form_of_a_storages() {
        let mut random = [0_u8; 16];
        random[0] = 0x70;
        random[15] = 0xfc;
        assert_eq!(
            SessionKey::mint(random).reveal(),
            "HAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAPM"
        );
    }
}
