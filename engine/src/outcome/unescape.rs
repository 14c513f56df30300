//! The inside of a JSON string that comes in pieces.

use super::found::SHORT;

/// Unescapes a string byte by byte into whoever wants its text.
#[derive(Clone, Debug)]
pub(super) struct Unescape {
    /// The first half of a surrogate pair, whose second may follow.
    high: Option<u16>,
}

impl Unescape {
    pub(super) const fn new() -> Self {
        Unescape { high: None }
    }

    /// Bytes that are no escape.
    pub(super) fn plain(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) {
        if !bytes.is_empty() {
            self.end(&mut sink);
            sink(bytes);
        }
    }

    /// A UTF-16 unit: `\uXXXX`. Half a pair reads as U+FFFD, as elsewhere in the engine.
    pub(super) fn unit(&mut self, unit: u16, mut sink: impl FnMut(&[u8])) {
        let high = self.high.take();
        if let (Some(high), 0xdc00..=0xdfff) = (high, unit) {
            for pair in char::decode_utf16([high, unit]) {
                emit(pair.unwrap_or(char::REPLACEMENT_CHARACTER), &mut sink);
            }
            return;
        }
        if high.is_some() {
            emit(char::REPLACEMENT_CHARACTER, &mut sink);
        }
        if let 0xd800..=0xdbff = unit {
            self.high = Some(unit);
        } else {
            let c = char::from_u32(u32::from(unit));
            emit(c.unwrap_or(char::REPLACEMENT_CHARACTER), &mut sink);
        }
    }

    /// The string ends here, or something that is no second half follows.
    pub(super) fn end(&mut self, mut sink: impl FnMut(&[u8])) {
        if self.high.take().is_some() {
            emit(char::REPLACEMENT_CHARACTER, &mut sink);
        }
    }
}

fn emit(c: char, sink: &mut impl FnMut(&[u8])) {
    sink(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What a simple escape stands for.
pub(super) const fn simple(letter: u8) -> Option<u8> {
    Some(match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

/// A text of at most [`SHORT`] bytes.
#[derive(Clone, Debug)]
pub(super) struct Short {
    bytes: [u8; SHORT],
    /// Bytes pushed; more than [`SHORT`] if they did not fit.
    len: usize,
}

impl Short {
    pub(super) const fn new() -> Self {
        Short {
            bytes: [0; SHORT],
            len: 0,
        }
    }

    pub(super) const fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn push(&mut self, more: &[u8]) {
        let end = self.len.saturating_add(more.len());
        if let Some(space) = self.bytes.get_mut(self.len..end) {
            space.copy_from_slice(more);
        }
        self.len = end;
    }

    /// The text, if it fitted.
    pub(super) fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.len)
    }
}
