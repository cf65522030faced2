//! What one side of a connection wants of TLS, in Bacula's numbers (`src/lib/authenticatebase.cc`).

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
