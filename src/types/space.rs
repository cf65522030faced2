//! Amounts of data, and the room that a storage has for it.

use std::fmt;

/// A number of bytes. `Display` rounds it for people: "76.8 GB", in powers of 1000 as Bacula's GB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Bytes(pub u64);

impl Bytes {
    /// The sum, or the most that there is.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
        let mut unit = "bytes";
        // Tenths of the unit.
        let mut tenths = u128::from(self.0) * 10;
        for larger in UNITS {
            if tenths < 10_000 {
                break;
            }
            unit = larger;
            tenths = (tenths + 500) / 1_000;
        }
        match tenths % 10 {
            0 => write!(f, "{} {unit}", tenths / 10),
            tenth => write!(f, "{}.{tenth} {unit}", tenths / 10),
        }
    }
}

/// The room on a storage's file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What can still be written.
    pub free: Bytes,
    /// All there is, written or not; never less than `free`.
    pub total: Bytes,
}

impl Space {
    /// The share of all there is that is written, from 0.0 to 1.0.
    #[must_use]
    // Shares are compared with percentages that people write; 53 bits are more than enough for that.
    #[allow(clippy::cast_precision_loss)]
    pub fn fill(self) -> f64 {
        if self.total.0 == 0 {
            return 1.0;
        }
        self.total.saturating_sub(self.free).0 as f64 / self.total.0 as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1 kB"),
            (1_550, "1.6 kB"),
            (76_768_718_848, "76.8 GB"),
            (999_960_000, "1 GB"),
            (20_000_000_000_000, "20 TB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn the_fill_is_a_share_of_all() {
        let space = |free, total| Space {
            free: Bytes(free),
            total: Bytes(total),
        };
        assert!((space(25, 100).fill() - 0.75).abs() < f64::EPSILON);
        assert!((space(0, 100).fill() - 1.0).abs() < f64::EPSILON);
        assert!((space(0, 0).fill() - 1.0).abs() < f64::EPSILON, "nothing has no room");
    }
}
