//! Texts that must never be seen: they have no `Display`, their `Debug` hides them, and dropping them wipes them.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A password as the operator wrote it.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes `text` as a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The text itself. Only what proves or checks the secret may call this.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
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
