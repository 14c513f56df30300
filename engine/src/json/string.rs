//! String literals: finding their end, unescaping, writing.

use std::borrow::Cow;

/// Appends `s` as a JSON string literal, quotes included. Escapes only what [RFC 8259, section 7]
/// demands.
///
/// [RFC 8259, section 7]: https://www.rfc-editor.org/rfc/rfc8259#section-7
pub fn write_str(out: &mut Vec<u8>, s: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.reserve(s.len().saturating_add(2));
    out.push(b'"');
    let mut rest = s.as_bytes();
    loop {
        let (plain, tail) = rest
            .split_at_checked(find_special(rest, 0))
            .unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((&byte, tail)) = tail.split_first() else {
            break;
        };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(control >> 4), digit(control & 15)]);
            }
        }
        rest = tail;
    }
    out.push(b'"');
}

/// The inside of a validated string literal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal<'a> {
    /// Between the quotes.
    pub(crate) raw: &'a str,
    /// Whether there is a backslash in `raw`.
    pub(crate) escaped: bool,
}

impl<'a> Literal<'a> {
    pub(crate) fn decode(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut out = String::with_capacity(self.raw.len());
        unescape_into(self.raw, &mut out);
        Cow::Owned(out)
    }

    pub(super) fn equals(self, text: &str) -> bool {
        if self.escaped {
            self.decode() == text
        } else {
            self.raw == text
        }
    }
}

/// The position of the first quote, backslash or control character at or after `from`; the length
/// of `bytes` if there is none.
#[inline]
pub(crate) fn find_special(bytes: &[u8], from: usize) -> usize {
    let mut rest = bytes.get(from..).unwrap_or(&[]);
    while let Some((block, tail)) = rest.split_first_chunk::<16>() {
        if let Some(at) = first_special(block) {
            return bytes.len() - rest.len() + at;
        }
        rest = tail;
    }
    let skip = rest
        .iter()
        .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    bytes.len() - rest.len() + skip.unwrap_or(rest.len())
}

/// The position of the first quote, backslash or control character. In so many words, because the module is optimised
/// for size as a whole, and then the compiler makes no vector instructions of a loop.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn first_special(block: &[u8; 16]) -> Option<usize> {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, u64x2, v128_or, v128_xor};
    let (low, high) = block.split_first_chunk::<8>()?;
    let high = high.first_chunk::<8>()?;
    let block = u64x2(u64::from_le_bytes(*low), u64::from_le_bytes(*high));
    // With this bit flipped a quote is 0x20, a space is not, and control characters stay below.
    let low = u8x16_le(v128_xor(block, u8x16_splat(2)), u8x16_splat(0x20));
    let backslash = u8x16_eq(block, u8x16_splat(b'\\'));
    let bits = u8x16_bitmask(v128_or(low, backslash));
    (bits != 0).then_some(bits.trailing_zeros() as usize)
}

/// The position of the first quote, backslash or control character.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
fn first_special(block: &[u8; 16]) -> Option<usize> {
    let (low, high) = block.split_first_chunk::<8>()?;
    let mask = special_mask(u64::from_le_bytes(*low));
    if mask != 0 {
        return Some(first_byte(mask));
    }
    let mask = special_mask(u64::from_le_bytes(*high.first_chunk::<8>()?));
    (mask != 0).then_some(8 + first_byte(mask))
}

/// The position of the closing quote of a validated literal whose inside starts at `from`, and
/// whether there is a backslash before it.
#[inline]
pub(crate) fn find_quote(bytes: &[u8], from: usize) -> (usize, bool) {
    let mut at = from;
    let mut escaped = false;
    loop {
        at = find_special(bytes, at);
        if bytes.get(at) != Some(&b'\\') {
            return (at, escaped);
        }
        escaped = true;
        at += 2;
    }
}

/// Eight times `byte`.
pub(super) const fn splat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The index of the first byte whose high bit is set in a non-zero `mask`.
pub(super) const fn first_byte(mask: u64) -> usize {
    mask.trailing_zeros() as usize / 8
}

/// Sets the high bit of the first byte of `word` that is a quote, a backslash or below U+0020 (and
/// perhaps of later bytes: a borrow only travels upwards, so the first one is exact).
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
const fn special_mask(word: u64) -> u64 {
    const ONES: u64 = splat(1);
    let control = word.wrapping_sub(splat(0x20));
    let quote = (word ^ splat(b'"')).wrapping_sub(ONES);
    let backslash = (word ^ splat(b'\\')).wrapping_sub(ONES);
    (control | quote | backslash) & !word & splat(0x80)
}

/// Appends the inside of a validated literal, unescaped.
pub(super) fn unescape_into(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut tail = escape.chars();
        let Some(letter) = tail.next() else { return };
        rest = tail.as_str();
        let simple = match letter {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (decoded, after) = unescape_unit(rest);
                rest = after;
                decoded
            }
            same => same,
        };
        out.push(simple);
    }
    out.push_str(rest);
}

/// Decodes what follows `\u`, a second escape included if the first is half a pair.
fn unescape_unit(rest: &str) -> (char, &str) {
    let (Some(high), after) = (hex4(rest), rest.get(4..).unwrap_or("")) else {
        return (char::REPLACEMENT_CHARACTER, rest);
    };
    if let Some(simple) = char::from_u32(u32::from(high)) {
        return (simple, after);
    }
    let low = after.strip_prefix("\\u").and_then(hex4);
    let pair = low.and_then(|low| char::decode_utf16([high, low]).next()?.ok());
    match pair {
        Some(pair) => (pair, after.get(6..).unwrap_or("")),
        None => (char::REPLACEMENT_CHARACTER, after),
    }
}

fn hex4(text: &str) -> Option<u16> {
    hex_unit(*text.as_bytes().first_chunk::<4>()?)
}

/// The number that four hexadecimal digits stand for; `None` if one of them is not a digit.
pub(super) fn hex_unit(digits: [u8; 4]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |unit, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some((unit << 4) | u16::try_from(digit).ok()?)
    })
}
