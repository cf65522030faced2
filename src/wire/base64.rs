//! The two forms in which an answer to a challenge is written. Neither has padding.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn digit(value: u32) -> char {
    // Six bits always have a digit.
    DIGITS.get((value & 63) as usize).map_or('A', |&byte| char::from(byte))
}

/// Bacula's own form (`src/lib/base64.c`): a byte of 0x80 or more turns the bits before it that are still waiting into
/// ones, and the last digit's bits stand low. It cannot be read back; it is only ever compared.
#[must_use]
pub fn bacula(bytes: &[u8]) -> String {
    encode(
        bytes,
        |byte| u32::from_ne_bytes(i32::from(byte.cast_signed()).to_ne_bytes()),
        |waiting, _| waiting,
    )
}

/// The standard form, without padding.
#[must_use]
pub fn standard(bytes: &[u8]) -> String {
    encode(bytes, u32::from, |waiting, bits| waiting << (6 - bits))
}

fn encode(bytes: &[u8], widen: fn(u8) -> u32, last: fn(u32, u32) -> u32) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 1);
    let (mut waiting, mut bits) = (0_u32, 0_u32);
    for &byte in bytes {
        waiting = (waiting << 8) | widen(byte);
        bits += 8;
        while bits >= 6 {
            bits -= 6;
            text.push(digit(waiting >> bits));
        }
    }
    if bits > 0 {
        text.push(digit(last(waiting & ((1 << bits) - 1), bits)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Bacula's own routine.
    const VECTORS: &[([u8; 16], &str, &str)] = &[
        ([0; 16], "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA"),
        (
            [
                0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
            ],
            "ABEiM0RVZn+Im6+7z9/u/D",
            "ABEiM0RVZneImaq7zN3u/w",
        ),
        ([0xff; 16], "/////////////////////D", "/////////////////////w"),
        (
            [
                0x6d, 0xf2, 0x84, 0x04, 0x5b, 0x28, 0x82, 0x47, 0x17, 0x7b, 0x36, 0x48, 0x19, 0xd6, 0xf8, 0x25,
            ],
            "b/+EBFsogkcXezZIG9/4JB",
            "bfKEBFsogkcXezZIGdb4JQ",
        ),
    ];

    #[test]
    fn both_forms_are_as_bacula_writes_them() {
        for (bytes, bacula_form, standard_form) in VECTORS {
            assert_eq!(bacula(bytes), *bacula_form);
            assert_eq!(standard(bytes), *standard_form);
        }
    }

    #[test]
    fn a_rest_of_any_length_has_its_digits() {
        assert_eq!(standard(b""), "");
        assert_eq!(standard(b"f"), "Zg");
        assert_eq!(standard(b"fo"), "Zm8");
        assert_eq!(standard(b"foo"), "Zm9v");
        assert_eq!(bacula(b"foo"), "Zm9v");
    }
}
