//! The challenge of a CRAM-MD5 login and the verdict on its answer (Bacula `src/lib/cram-md5.c`).

use super::line::{LineError, LineWriter, Scanner};

/// What the challenger says when the answer was right.
pub const PASSED: &[u8] = b"1000 OK auth\n";

/// What the challenger says when it was wrong.
pub const FAILED: &[u8] = b"1999 Authorization failed.\n";

/// A question that only who knows the key can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The text that the answer is made from, `<R.T@N>` with its brackets. No blanks.
    pub text: Vec<u8>,
    /// The sender's need of TLS with certificates, to be negotiated after the login: 0 none, 1 possible, 2 required.
    pub ssl: u32,
    /// The challenger reads standard base64 (`auth cram-md5c`). No daemon of 9.6 to 15 sends this.
    pub standard_base64: bool,
}

impl Challenge {
    /// A challenge of ours: `random` must never come twice. The place of a clock's time is taken by random bits, which
    /// serve the same purpose better. A blank in `name` would break the login, so it becomes `_`.
    #[must_use]
    pub fn mint(random: [u8; 16], name: &str) -> Self {
        let number = u128::from_be_bytes(random);
        let (high, low) = (number >> 32, number & u128::from(u32::MAX));
        let name: String = name
            .chars()
            .map(|c| if c.is_whitespace() || c.is_control() { '_' } else { c })
            .collect();
        Self {
            text: format!("<{high}.{low}@{name}>").into_bytes(),
            ssl: 0,
            standard_base64: false,
        }
    }

    /// Reads a challenge; without `ssl=` the need is none.
    ///
    /// # Errors
    /// When the line is not a challenge.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut scanner = Scanner::new(line);
        scanner.literal("auth cram-md5")?;
        let standard_base64 = scanner.accepts("c ");
        scanner.literal(" ")?;
        let text = scanner.word().to_vec();
        if text.is_empty() {
            return Err(LineError::Expected {
                expected: "a challenge",
                found: String::new(),
            });
        }
        let ssl = if scanner.accepts(" ssl=") { scanner.number()? } else { 0 };
        Ok(Self {
            text,
            ssl,
            standard_base64,
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        LineWriter::new()
            .raw(if self.standard_base64 {
                "auth cram-md5c "
            } else {
                "auth cram-md5 "
            })
            .raw(&self.text)
            .raw(" ssl=")
            .number(self.ssl)
            .raw("\n")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms_that_daemons_accept() {
        let plain = Challenge::parse(b"auth cram-md5 <103973265.1795389597@t-sd> ssl=0\n").unwrap();
        assert_eq!(plain.text, b"<103973265.1795389597@t-sd>");
        assert!(!plain.standard_base64);
        assert!(
            Challenge::parse(b"auth cram-md5c <1.2@x> ssl=2\n")
                .unwrap()
                .standard_base64
        );
        assert_eq!(Challenge::parse(b"auth cram-md5 <1.2@x>\n").unwrap().ssl, 0);
        assert!(Challenge::parse(b"auth cram-md5 \n").is_err());
        assert!(Challenge::parse(b"starttls tlspsk=100\n").is_err());
    }

    #[test]
    fn a_challenge_is_one_word_whatever_the_name() {
        let challenge = Challenge::mint([0xff; 16], "my\tgroup of\nstorages");
        assert_eq!(Challenge::parse(&challenge.to_line()), Ok(challenge));
    }

    proptest! {
        #[test]
        fn a_challenge_reads_back(text in "<[0-9]{1,10}\\.[0-9]{1,10}@[!-~]{0,30}>", ssl in 0_u32..3, standard_base64: bool) {
            let challenge = Challenge { text: text.into_bytes(), ssl, standard_base64 };
            prop_assert_eq!(Challenge::parse(&challenge.to_line()), Ok(challenge));
        }
    }
}
