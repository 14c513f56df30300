//! The canonical form of JSON, of which digests are made: [RFC 8785].
//!
//! Members in the order of their UTF-16 code units, no white space, shortest escapes, numbers as ECMAScript writes
//! doubles. One thing differs on purpose: an integer beyond ±(2^53 - 1), and a number that overflows a double, is written
//! digit by digit as it came. RFC 8785 would round it, and two calls that a server tells apart would look the same.
//!
//! The text is read once, without recursion. Members are only moved where they are out of order, so the work is
//! O(n log m) for n bytes and m members of an object, plus one copy of n bytes for each level whose members are.
//!
//! [RFC 8785]: https://www.rfc-editor.org/rfc/rfc8785

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::json::{Literal, Number, Value, find_quote, skip_scalar};

/// The SHA-256 of a call's arguments in canonical form. No arguments are an empty object, as in
/// <https://modelcontextprotocol.io/specification/2026-07-28/schema>. Each extra follows as NUL, its name, NUL and its
/// value; NUL occurs in no canonical form, and must occur in no name.
pub fn digest(arguments: Option<Value<'_>>, extras: &[(&str, Value<'_>)]) -> [u8; 32] {
    let mut out = Vec::new();
    match arguments {
        Some(arguments) => write(arguments, &mut out),
        None => out.extend_from_slice(b"{}"),
    }
    for (name, value) in extras {
        out.push(0);
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        write(*value, &mut out);
    }
    Sha256::digest(&out).into()
}

/// Appends the canonical form of a value: at most about five times as long as its text (`1e20`).
pub fn write(value: Value<'_>, out: &mut Vec<u8>) {
    write_with(value, Integers::AsTheyCome, out);
}

/// Appends RFC 8785's own form, in which every number is a double. (One that overflows a double has none, and is written
/// as it came.)
pub fn write_rounded(value: Value<'_>, out: &mut Vec<u8>) {
    write_with(value, Integers::Rounded, out);
}

/// What becomes of integers that a double does not hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Integers {
    AsTheyCome,
    Rounded,
}

fn write_with(value: Value<'_>, integers: Integers, out: &mut Vec<u8>) {
    let text = value.raw();
    let bytes = text.as_bytes();
    out.reserve(bytes.len());
    let mut writer = Writer {
        out,
        integers,
        open: Vec::new(),
        members: Vec::new(),
        scratch: Vec::new(),
    };
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b'"' => {
                let (end, escaped) = find_quote(bytes, at + 1);
                let raw = text.get(at + 1..end).unwrap_or_default();
                writer.string(Literal { raw, escaped });
                end + 1
            }
            b'{' | b'[' => {
                writer.begin(byte);
                at + 1
            }
            b'}' | b']' => {
                writer.end(byte);
                at + 1
            }
            b',' => {
                writer.comma();
                at + 1
            }
            b' ' | b'\n' | b'\r' | b'\t' | b':' => at + 1,
            _ => {
                let end = skip_scalar(bytes, at);
                writer.scalar(text.get(at..end).unwrap_or_default());
                end
            }
        };
    }
}

/// Writes values as they come, and puts the members of each object in order at its end.
struct Writer<'o, 'a> {
    out: &'o mut Vec<u8>,
    integers: Integers,
    /// The objects and arrays that are open.
    open: Vec<Open>,
    /// The members of all objects that are open.
    members: Vec<Member<'a>>,
    /// Where members are put in order.
    scratch: Vec<u8>,
}

enum Open {
    Array,
    Object {
        /// Its first member in `members`.
        first: usize,
        /// Where its first member is in `out`.
        start: usize,
        /// Whether a string is a key.
        key_next: bool,
        /// Whether no member came too late so far.
        sorted: bool,
    },
}

struct Member<'a> {
    /// Bytes that are in the order of the key's UTF-16 code units.
    order: Cow<'a, [u8]>,
    /// Where it is in `out`, without commas.
    start: usize,
    end: usize,
}

impl<'a> Writer<'_, 'a> {
    fn begin(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.open.push(if bracket == b'[' {
            Open::Array
        } else {
            Open::Object {
                first: self.members.len(),
                start: self.out.len(),
                key_next: true,
                sorted: true,
            }
        });
    }

    fn comma(&mut self) {
        self.end_member();
        self.out.push(b',');
        if let Some(Open::Object { key_next, .. }) = self.open.last_mut() {
            *key_next = true;
        }
    }

    fn end(&mut self, bracket: u8) {
        self.end_member();
        if let Some(Open::Object {
            first, start, sorted, ..
        }) = self.open.pop()
        {
            if !sorted {
                self.sort(first, start);
            }
            self.members.truncate(first);
        }
        self.out.push(bracket);
    }

    fn end_member(&mut self) {
        let Some(Open::Object { first, .. }) = self.open.last() else {
            return;
        };
        if let Some(member) = self.members.get_mut(*first..).and_then(<[_]>::last_mut) {
            member.end = self.out.len();
        }
    }

    /// Puts the members of an object in order that are the last thing written.
    fn sort(&mut self, first: usize, start: usize) {
        let Some(members) = self.members.get_mut(first..) else {
            return;
        };
        members.sort_unstable_by(|a, b| a.order.cmp(&b.order));
        self.scratch.clear();
        for member in members.iter() {
            if !self.scratch.is_empty() {
                self.scratch.push(b',');
            }
            self.scratch
                .extend_from_slice(self.out.get(member.start..member.end).unwrap_or_default());
        }
        self.out.truncate(start);
        self.out.extend_from_slice(&self.scratch);
    }

    fn string(&mut self, literal: Literal<'a>) {
        let start = self.out.len();
        let text = literal.decode();
        self.out.push(b'"');
        if literal.escaped {
            escape(&text, self.out);
        } else {
            // What needs an escape has one.
            self.out.extend_from_slice(text.as_bytes());
        }
        self.out.push(b'"');
        let Some(Open::Object {
            first,
            key_next,
            sorted,
            ..
        }) = self.open.last_mut()
        else {
            return;
        };
        if std::mem::take(key_next) {
            self.out.push(b':');
            let order = utf16_order(text);
            let before = self.members.get(*first..).and_then(<[_]>::last);
            *sorted &= before.is_none_or(|before| before.order < order);
            let end = self.out.len();
            self.members.push(Member { order, start, end });
        }
    }

    fn scalar(&mut self, token: &str) {
        if !token.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            self.out.extend_from_slice(token.as_bytes());
            return;
        }
        let number = Number::new(token);
        // A safe integer is its own canonical form, but for -0.
        let kept = match self.integers {
            Integers::AsTheyCome => number.is_integer_token(),
            Integers::Rounded => number.is_safe_integer(),
        };
        let double = if kept && token != "-0" {
            None
        } else {
            number.as_f64()
        };
        match double {
            Some(double) => {
                let mut buffer = ryu_js::Buffer::new();
                self.out
                    .extend_from_slice(buffer.format_finite(double).as_bytes());
            }
            None => self.out.extend_from_slice(token.as_bytes()),
        }
    }
}

/// The inside of a string literal, with the escapes of RFC 8785, section 3.2.2.2.
fn escape(text: &str, out: &mut Vec<u8>) {
    let digit = |nibble: u8| {
        if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        }
    };
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..0x20 => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]),
            _ => out.push(byte),
        }
    }
}

/// Bytes that are in the order of the text's UTF-16 code units (RFC 8785, section 3.2.3). UTF-8 is, except that U+E000 to
/// U+FFFF come after what UTF-16 writes as surrogates; their first bytes are the only ones that are 0xEE or 0xEF.
fn utf16_order(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    let late = |byte: &u8| matches!(byte, 0xee | 0xef);
    match text {
        Cow::Borrowed(text) if !text.bytes().any(|byte| late(&byte)) => Cow::Borrowed(text.as_bytes()),
        text => {
            let mut bytes = text.into_owned().into_bytes();
            bytes
                .iter_mut()
                .filter(|byte| late(byte))
                .for_each(|byte| *byte |= 0xf8);
            Cow::Owned(bytes)
        }
    }
}

#[cfg(test)]
mod tests;
