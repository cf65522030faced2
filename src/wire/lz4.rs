//! Communication-line compression: one raw LZ4 block in place of a message's payload (no frame, no size in front).
//!
//! The size of what a block holds is counted from its sequences before anything is decompressed, so that a small
//! packet cannot make us allocate much.

/// Why a payload could not be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lz4Error {
    /// The bytes are not an LZ4 block.
    #[error("a compressed message is damaged")]
    Damaged,
    /// The block holds more than the reader takes.
    #[error("a compressed message holds {bytes} bytes, more than the {limit} allowed")]
    TooLong {
        /// Bytes that the block would give.
        bytes: usize,
        /// Bytes that the caller takes.
        limit: usize,
    },
}

/// The shortest match of the format; a match length is written less this.
const SHORTEST_MATCH: usize = 4;

/// One step of a block: literal bytes, then a copy of earlier output (the last sequence has none).
struct Sequence<'a> {
    literals: &'a [u8],
    copy: Option<Copy>,
}

struct Copy {
    distance: usize,
    length: usize,
}

/// Walks the sequences of a block without making its output.
struct Sequences<'a> {
    rest: &'a [u8],
}

impl<'a> Sequences<'a> {
    fn byte(&mut self) -> Result<u8, Lz4Error> {
        let (&byte, rest) = self.rest.split_first().ok_or(Lz4Error::Damaged)?;
        self.rest = rest;
        Ok(byte)
    }

    fn length(&mut self, nibble: u8) -> Result<usize, Lz4Error> {
        let mut length = usize::from(nibble);
        if nibble == 15 {
            loop {
                let more = self.byte()?;
                // Bounded by 255 times the packet's size, which no address space runs out of.
                length += usize::from(more);
                if more != u8::MAX {
                    break;
                }
            }
        }
        Ok(length)
    }

    /// The next sequence; `None` at the end of the block.
    fn next(&mut self) -> Result<Option<Sequence<'a>>, Lz4Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let token = self.byte()?;
        let length = self.length(token >> 4)?;
        let (literals, rest) = self.rest.split_at_checked(length).ok_or(Lz4Error::Damaged)?;
        self.rest = rest;
        if self.rest.is_empty() {
            return Ok(Some(Sequence { literals, copy: None }));
        }
        let distance = usize::from(u16::from_le_bytes([self.byte()?, self.byte()?]));
        let length = self.length(token & 15)? + SHORTEST_MATCH;
        // A block ends with literals, if only none of them.
        if distance == 0 || self.rest.is_empty() {
            return Err(Lz4Error::Damaged);
        }
        Ok(Some(Sequence {
            literals,
            copy: Some(Copy { distance, length }),
        }))
    }
}

/// How many bytes `block` holds, by its own account. Nothing is decompressed.
pub fn length(block: &[u8]) -> Result<usize, Lz4Error> {
    if block.is_empty() {
        return Err(Lz4Error::Damaged);
    }
    let mut sequences = Sequences { rest: block };
    let mut bytes = 0_usize;
    while let Some(sequence) = sequences.next()? {
        bytes += sequence.literals.len() + sequence.copy.map_or(0, |copy| copy.length);
    }
    Ok(bytes)
}

/// Decompresses `block` into `output`, whose former content is dropped and whose room is used again.
///
/// # Errors
/// When the block is damaged, or holds more than `limit` bytes: nothing has been allocated then.
pub fn decompress(block: &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), Lz4Error> {
    let bytes = length(block)?;
    if bytes > limit {
        return Err(Lz4Error::TooLong { bytes, limit });
    }
    output.clear();
    output.resize(bytes, 0);
    match lz4_flex::block::decompress_into(block, output) {
        Ok(written) if written == bytes => Ok(()),
        Ok(_) | Err(_) => Err(Lz4Error::Damaged),
    }
}

/// The first bytes of what `block` holds, as many as `output` has room for; how many those are.
///
/// Costs what those few bytes cost, whatever the size of the block: enough to tell what a message is before it is
/// passed on as it came. What follows in the block is not looked at.
pub fn peek(block: &[u8], output: &mut [u8]) -> Result<usize, Lz4Error> {
    if block.is_empty() {
        return Err(Lz4Error::Damaged);
    }
    let mut sequences = Sequences { rest: block };
    let mut filled = 0_usize;
    while filled < output.len() {
        let Some(sequence) = sequences.next()? else { break };
        for (slot, &byte) in output.iter_mut().skip(filled).zip(sequence.literals) {
            *slot = byte;
            filled += 1;
        }
        let Some(copy) = sequence.copy else { continue };
        for _ in 0..copy.length {
            if filled == output.len() {
                break;
            }
            let from = filled.checked_sub(copy.distance).ok_or(Lz4Error::Damaged)?;
            let byte = output.get(from).copied().ok_or(Lz4Error::Damaged)?;
            if let Some(slot) = output.get_mut(filled) {
                *slot = byte;
            }
            filled += 1;
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn repetitive() -> impl Strategy<Value = Vec<u8>> {
        (proptest::collection::vec(0_u8..4, 1..200), 1_usize..40).prop_map(|(part, times)| part.repeat(times))
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_opened() {
        let block = lz4_flex::block::compress(&vec![b'a'; 4_000_000]);
        assert!(block.len() < 20_000);
        let mut output = Vec::new();
        assert_eq!(
            decompress(&block, 1_000_000, &mut output),
            Err(Lz4Error::TooLong {
                bytes: 4_000_000,
                limit: 1_000_000
            })
        );
        assert_eq!(output.capacity(), 0);
    }

    #[test]
    fn an_empty_block_is_damaged() {
        assert_eq!(decompress(b"", 10, &mut Vec::new()), Err(Lz4Error::Damaged));
        assert_eq!(peek(b"", &mut [0; 4]), Err(Lz4Error::Damaged));
    }

    #[test]
    fn a_copy_from_before_the_beginning_is_damaged() {
        // One literal, then a copy from three bytes back, then the closing literals.
        let block = [0x10, b'x', 3, 0, 0x10, b'y'];
        assert_eq!(decompress(&block, 100, &mut Vec::new()), Err(Lz4Error::Damaged));
        assert_eq!(peek(&block, &mut [0; 8]), Err(Lz4Error::Damaged));
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(text in prop_oneof![proptest::collection::vec(any::<u8>(), 0..600), repetitive()]) {
            let block = lz4_flex::block::compress(&text);
            let mut output = vec![7; 3];
            decompress(&block, text.len(), &mut output).unwrap();
            prop_assert_eq!(&output, &text);
            if !text.is_empty() {
                let refused = decompress(&block, text.len() - 1, &mut output);
                prop_assert_eq!(refused, Err(Lz4Error::TooLong { bytes: text.len(), limit: text.len() - 1 }));
            }
        }

        #[test]
        fn a_peek_sees_the_beginning(text in repetitive(), room in 0_usize..64) {
            let block = lz4_flex::block::compress(&text);
            let mut seen = vec![0; room];
            let filled = peek(&block, &mut seen).unwrap();
            prop_assert_eq!(&seen[..filled], &text[..text.len().min(room)]);
        }

        #[test]
        fn peek_and_decompress_agree_about_any_bytes(block in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut output = Vec::new();
            let mut seen = [0; 16];
            if decompress(&block, 100_000, &mut output).is_ok() {
                let filled = peek(&block, &mut seen).unwrap();
                prop_assert_eq!(&seen[..filled], &output[..output.len().min(16)]);
            }
        }
    }
}
