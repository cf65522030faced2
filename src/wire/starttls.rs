//! What two daemons of 11 and later tell each other of TLS before they log in: the number behind `tlspsk=` in a Hello,
//! and the line with which the called side begins TLS (Bacula `src/lib/authenticatebase.cc`).

use super::line::{LineError, LineWriter, Scanner};

pub use crate::types::{Need, Needs};

/// The called side's word that TLS begins now, with its own needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartTls {
    /// What the called side wants.
    pub needs: Needs,
}

/// How the line begins. What begins otherwise is a challenge already.
pub const START: &[u8] = b"starttls ";

impl StartTls {
    /// Reads the line.
    ///
    /// # Errors
    /// When it is another one.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let number = Scanner::new(line).literal("starttls tlspsk=")?.number()?;
        Ok(Self {
            needs: Needs::from_number(number),
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(self) -> Vec<u8> {
        LineWriter::new()
            .raw("starttls tlspsk=")
            .number(self.needs.number())
            .raw("\n")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lines_of_real_daemons() {
        for (line, certificate, psk) in [
            ("starttls tlspsk=100\n", Need::None, Need::Possible),
            ("starttls tlspsk=202\n", Need::Required, Need::Required),
            ("starttls tlspsk=1\n", Need::Possible, Need::None),
        ] {
            let start = StartTls::parse(line.as_bytes()).unwrap();
            assert_eq!(start.needs, Needs { certificate, psk });
            assert_eq!(start.to_line(), line.as_bytes());
        }
        assert!(StartTls::parse(b"auth cram-md5 <1.2@x> ssl=0\n").is_err());
        assert!(StartTls::parse(b"starttls tlspsk=\n").is_err());
    }

    proptest! {
        #[test]
        fn any_number_is_a_need(number: u32) {
            let needs = Needs::from_number(number);
            prop_assert_eq!(Needs::from_number(needs.number()), needs);
            prop_assert_eq!(needs.is_required(), number % 100 > 1 || number / 100 > 1);
        }
    }
}
