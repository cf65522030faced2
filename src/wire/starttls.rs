//! What two daemons of 11 and later tell each other of TLS before they log in: the number behind `tlspsk=` in a Hello,
//! and the line with which the called side begins TLS (Bacula `src/lib/authenticatebase.cc`).

use super::line::{LineError, LineWriter, Scanner};

/// How much one side wants a kind of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Need {
    /// It cannot, or is not allowed to.
    #[default]
    None,
    /// It can.
    Possible,
    /// It does not talk in the clear.
    Required,
}

impl Need {
    /// As a number in a message; whatever is above 1 is a demand.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Possible,
            _ => Self::Required,
        }
    }

    /// The number for it.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Possible => 1,
            Self::Required => 2,
        }
    }
}

/// What one side wants of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Needs {
    /// TLS with certificates.
    pub certificate: Need,
    /// TLS with the key that both sides share anyway.
    pub psk: Need,
}

impl Needs {
    /// The number behind `tlspsk=`: that of certificates and 100 times that of the shared key.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        Self {
            certificate: Need::from_number(number % 100),
            psk: Need::from_number(number / 100),
        }
    }

    /// The same from the two needs.
    #[must_use]
    pub fn number(self) -> u32 {
        self.certificate.number() + 100 * self.psk.number()
    }

    /// Whether this side refuses to talk in the clear.
    #[must_use]
    pub fn is_required(self) -> bool {
        self.certificate == Need::Required || self.psk == Need::Required
    }
}

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
