//! Where strings end that nobody wants.
//!
//! A bit for each byte tells quotes and backslashes, and some arithmetic on these which quotes are escaped, so that a
//! text full of escapes costs no more than any other. The idea is that of [simdjson].
//!
//! [simdjson]: https://arxiv.org/abs/1902.08318

/// What follows a string whose inside starts here; `None` if it does not end here. What is escaped is not looked at.
pub(super) fn after_text(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    let mut escapes = Escapes { before: 0 };
    // Most strings are short.
    if let Some((block, tail)) = rest.split_first_chunk::<16>() {
        let ends = escapes.ends(Marks::of(block), 16);
        if ends != 0 {
            return first_end(text, 0, ends).or_else(|| slowly(text));
        }
        rest = tail;
    }
    while let Some((block, tail)) = rest.split_first_chunk::<64>() {
        let ends = escapes.ends(Marks::of_four(block), 64);
        if ends != 0 {
            return first_end(text, text.len() - rest.len(), ends).or_else(|| slowly(text));
        }
        rest = tail;
    }
    // What is left starts behind what may be a backslash.
    let from = text.len() - rest.len();
    let mut escaped = is_escaping(text.get(..from)?);
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return rest.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// Whether the byte behind `inside`, of a string from a place that is not escaped, is escaped.
pub(super) fn is_escaping(inside: &[u8]) -> bool {
    let backslashes = inside.iter().rev().take_while(|byte| **byte == b'\\').count();
    backslashes % 2 == 1
}

/// What follows the first of some quotes, if that one is not escaped: it could be by three backslashes.
fn first_end(text: &[u8], from: usize, ends: u64) -> Option<&[u8]> {
    let at = from + ends.trailing_zeros() as usize;
    let (inside, tail) = text.split_at_checked(at)?;
    (!is_escaping(inside)).then(|| tail.get(1..))?
}

/// [`after_text`] for texts with several backslashes in front of a quote.
#[cold]
fn slowly(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest)?;
        let tail = rest.get(at + 1..)?;
        match rest.get(at) {
            Some(b'"') => return Some(tail),
            _ => rest = tail.get(1..)?,
        }
    }
}

/// Backslashes in front of a block.
struct Escapes {
    /// The byte before it in bit 1, the one before that in bit 0.
    before: u64,
}

impl Escapes {
    /// The quotes of the next block, of so many bytes, without those behind a single backslash.
    fn ends(&mut self, marks: Marks, width: u32) -> u64 {
        let next_to_last = (marks.backslashes << 2) | self.before;
        let last = (marks.backslashes << 1) | (self.before >> 1);
        self.before = (marks.backslashes >> (width - 2)) & 3;
        marks.quotes & !(last & !next_to_last)
    }
}

/// One bit for each byte of a block, the first one lowest.
#[derive(Clone, Copy, Default)]
struct Marks {
    quotes: u64,
    backslashes: u64,
}

impl Marks {
    #[inline]
    fn of_four(block: &[u8; 64]) -> Marks {
        let ([first, second, third, fourth], _) = block.as_chunks::<16>() else {
            return Marks::default();
        };
        let high = Marks::of(third).and(Marks::of(fourth), 16);
        Marks::of(first).and(Marks::of(second), 16).and(high, 32)
    }

    /// Those of this block, which has so many bytes, and of the next.
    #[inline]
    const fn and(self, next: Marks, width: u32) -> Marks {
        Marks {
            quotes: self.quotes | (next.quotes << width),
            backslashes: self.backslashes | (next.backslashes << width),
        }
    }

    /// Spelled out, because the module is optimised for size as a whole, and then the compiler makes no vector
    /// instructions of a loop.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[inline]
    fn of(block: &[u8; 16]) -> Marks {
        use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_splat, u64x2};
        let [low, high] = words(block);
        let block = u64x2(low, high);
        let marks = |byte: u8| u64::from(u8x16_bitmask(u8x16_eq(block, u8x16_splat(byte))));
        Marks {
            quotes: marks(b'"'),
            backslashes: marks(b'\\'),
        }
    }

    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    #[inline]
    fn of(block: &[u8; 16]) -> Marks {
        let [low, high] = words(block);
        let marks = |byte: u8| equal(low, byte) | (equal(high, byte) << 8);
        Marks {
            quotes: marks(b'"'),
            backslashes: marks(b'\\'),
        }
    }
}

fn words(block: &[u8; 16]) -> [u64; 2] {
    let word = |chunk: Option<&[u8; 8]>| chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk));
    [word(block.first_chunk()), word(block.last_chunk())]
}

/// One bit for each byte of `word` that is `byte`.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
const fn equal(word: u64, byte: u8) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    let differs = word ^ u64::from_le_bytes([byte; 8]);
    // The high bit of each byte that is zero, without carries from one to the next.
    let high = !(((differs & LOW) + LOW) | differs | LOW);
    // Collects the eight bits in the highest byte.
    (high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn strings_end_where_they_do_byte_by_byte(text in "([\"\\\\\\\\a\u{e9}]{0,3}[a-z\u{ff}]{0,40}){0,8}") {
            let text = text.as_bytes();
            for from in 0..text.len().min(20) {
                let text = &text[from..];
                prop_assert_eq!(after_text(text), slowly(text));
            }
        }
    }
}
