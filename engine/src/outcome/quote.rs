//! Where strings end that nobody wants.

use memchr::memchr;

/// What follows a string whose inside starts here; `None` if it does not end here. What is escaped is not looked at.
pub(super) fn after_text(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (inside, tail) = rest.split_at_checked(find_quote(rest)?)?;
        rest = tail.get(1..)?;
        if !is_escaping(inside) {
            return Some(rest);
        }
    }
}

/// Whether the byte behind `inside`, of a string from a place that is not escaped, is escaped.
pub(super) fn is_escaping(inside: &[u8]) -> bool {
    let backslashes = inside.iter().rev().take_while(|byte| **byte == b'\\').count();
    backslashes % 2 == 1
}

fn find_quote(bytes: &[u8]) -> Option<usize> {
    // Most strings are short, and then the call costs more than the search.
    let Some((block, tail)) = bytes.split_first_chunk::<16>() else {
        return bytes.iter().position(|byte| *byte == b'"');
    };
    first_quote(block).or_else(|| memchr(b'"', tail).map(|at| block.len() + at))
}

/// Spelled out, because the module is optimised for size as a whole, and then the compiler makes no vector instructions
/// of a loop.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn first_quote(block: &[u8; 16]) -> Option<usize> {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_splat, u64x2};
    let (low, high) = block.split_first_chunk::<8>()?;
    let block = u64x2(
        u64::from_le_bytes(*low),
        u64::from_le_bytes(*high.first_chunk::<8>()?),
    );
    let bits = u8x16_bitmask(u8x16_eq(block, u8x16_splat(b'"')));
    (bits != 0).then_some(bits.trailing_zeros() as usize)
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
fn first_quote(block: &[u8; 16]) -> Option<usize> {
    block.iter().position(|byte| *byte == b'"')
}
