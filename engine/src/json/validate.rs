//! The validating pass.

use super::string::{find_special, hex_unit, unescape_into};
use super::{Error, ErrorKind, Limits, Member, Message, Value};
use std::borrow::Cow;

/// Up to this many keys are compared pairwise; more are sorted first. Neither depends on hashing,
/// so there is nothing to flood.
const PAIRWISE: usize = 8;

/// Members of all open objects together, as a multiple of [`Limits::members`].
const OPEN_OBJECTS: usize = 4;

/// Bytes of unescaped key text held at once, over all open objects.
const DECODED_BYTES: usize = 256 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Validates `bytes`; with `record`, also keeps the members of the root and of its `params`.
pub(super) fn validate(bytes: &[u8], limits: Limits, record: bool) -> Result<Message<'_>, Error> {
    let error = |kind, offset| Err(Error { kind, offset });
    if u32::try_from(bytes.len()).is_err() {
        return error(ErrorKind::TooLong, 0);
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return error(ErrorKind::ByteOrderMark, 0);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(invalid) => return error(ErrorKind::NotUtf8, invalid.valid_up_to()),
    };
    let mut scanner = Scanner {
        text,
        bytes,
        pos: 0,
        limits,
        frames: Vec::new(),
        keys: Vec::new(),
        decoded: String::new(),
        record,
        members: Vec::new(),
        params: None,
    };
    let root = scanner.document()?;
    Ok(Message {
        root,
        members: scanner.members,
        params: scanner.params,
    })
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
    limits: Limits,
    /// The open objects and arrays, outermost first; at most `limits.depth`.
    frames: Vec<Frame>,
    /// The keys of all open objects, outermost first.
    keys: Vec<Key>,
    /// The unescaped text of those keys that have escapes.
    decoded: String,
    record: bool,
    members: Vec<Member<'a>>,
    params: Option<Vec<Member<'a>>>,
}

/// An open object or array.
#[derive(Clone, Copy)]
struct Frame {
    object: bool,
    /// The object that is the value of `params` in the root.
    params: bool,
    /// Where its keys start in [`Scanner::keys`].
    keys: usize,
    /// Where its unescaped keys start in [`Scanner::decoded`].
    decoded: usize,
    /// Where the value of its current member starts in the text.
    value: usize,
}

/// Offsets are 32 bits wide to halve the scratch; longer texts are refused up front.
#[derive(Clone, Copy)]
struct Key {
    /// Offset of its first byte in the text, after the quote.
    at: u32,
    /// Bytes after unescaping.
    len: u32,
    /// Offset in [`Scanner::decoded`] if it has escapes.
    decoded: Option<std::num::NonZeroU32>,
}

impl<'a> Scanner<'a> {
    /// Iterative, so that depth costs heap (bounded) and no stack.
    fn document(&mut self) -> Result<Value<'a>, Error> {
        self.white();
        let start = self.pos;
        if start == self.bytes.len() {
            return self.syntax("the text is empty");
        }
        while self.value()? || self.next_value()? {}
        let root = self.slice(start, self.pos);
        self.white();
        if self.pos < self.bytes.len() {
            return self.fail(ErrorKind::TrailingBytes);
        }
        Ok(Value::new(root))
    }

    /// Reads a scalar or an empty object or array whole; or opens one and stops in front of its
    /// first value, returning true.
    fn value(&mut self) -> Result<bool, Error> {
        match self.peek() {
            Some(b'"') => {
                self.pos += 1;
                self.string(false)?;
            }
            Some(b'{') => return self.open(true),
            Some(b'[') => return self.open(false),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            _ => return self.syntax("a value was expected"),
        }
        Ok(false)
    }

    /// After a value: closes what ends here, and stops in front of the next value, or returns
    /// false after the root.
    fn next_value(&mut self) -> Result<bool, Error> {
        loop {
            let Some(&frame) = self.frames.last() else {
                return Ok(false);
            };
            if self.record && frame.object && self.frames.len() <= 2 {
                self.record_member(frame);
            }
            self.white();
            match (self.peek(), frame.object) {
                (Some(b','), object) => {
                    self.pos += 1;
                    self.white();
                    if object {
                        self.key()?;
                    }
                    return Ok(true);
                }
                (Some(b'}'), true) => {
                    self.refuse_duplicates(frame)?;
                    self.keys.truncate(frame.keys);
                    self.decoded.truncate(frame.decoded);
                }
                (Some(b']'), false) => {}
                (_, true) => return self.syntax("a comma or the end of the object was expected"),
                (_, false) => return self.syntax("a comma or the end of the array was expected"),
            }
            self.pos += 1;
            self.frames.pop();
        }
    }

    fn open(&mut self, object: bool) -> Result<bool, Error> {
        if self.frames.len() >= self.limits.depth {
            return self.fail(ErrorKind::Depth);
        }
        let params = self.record && object && self.at_params();
        if params {
            self.params = Some(Vec::new());
        }
        self.pos += 1;
        self.white();
        if self.peek() == Some(if object { b'}' } else { b']' }) {
            self.pos += 1;
            return Ok(false);
        }
        let (keys, decoded) = (self.keys.len(), self.decoded.len());
        self.frames.push(Frame {
            object,
            params,
            keys,
            decoded,
            value: 0,
        });
        if object {
            self.key()?;
        }
        Ok(true)
    }

    /// Whether the value here is that of `params` in the root object.
    fn at_params(&self) -> bool {
        matches!(self.frames.as_slice(), [root] if root.object)
            && self
                .keys
                .last()
                .is_some_and(|key| self.key_bytes(key) == b"params")
    }

    /// Reads a key and its colon, and stops in front of the value.
    fn key(&mut self) -> Result<(), Error> {
        if self.peek() != Some(b'"') {
            return self.syntax("a key in double quotes was expected");
        }
        self.pos += 1;
        let start = self.pos;
        let escaped = self.string(true)?;
        let end = self.pos - 1;
        self.push_key(start, end, escaped)?;
        self.white();
        if self.peek() != Some(b':') {
            return self.syntax("a colon was expected");
        }
        self.pos += 1;
        self.white();
        let pos = self.pos;
        if let Some(frame) = self.frames.last_mut() {
            frame.value = pos;
        }
        Ok(())
    }

    fn push_key(&mut self, start: usize, end: usize, escaped: bool) -> Result<(), Error> {
        let own = self.frames.last().map_or(0, |frame| frame.keys);
        let too_many = self.keys.len() - own >= self.limits.members
            || self.keys.len() >= self.limits.members.saturating_mul(OPEN_OBJECTS);
        if too_many || (escaped && self.decoded.len() + (end - start) > DECODED_BYTES) {
            return Err(Error {
                kind: ErrorKind::Members,
                offset: start,
            });
        }
        let mut len = end - start;
        let mut decoded = None;
        if escaped {
            if self.decoded.is_empty() {
                // Offset 0 stands for "not there".
                self.decoded.push('\0');
            }
            let from = self.decoded.len();
            unescape_into(self.slice(start, end), &mut self.decoded);
            len = self.decoded.len() - from;
            decoded = std::num::NonZeroU32::new(narrow(from));
        }
        self.keys.push(Key {
            at: narrow(start),
            len: narrow(len),
            decoded,
        });
        Ok(())
    }

    fn refuse_duplicates(&mut self, frame: Frame) -> Result<(), Error> {
        let mut keys = std::mem::take(&mut self.keys);
        let duplicate = self.find_duplicate(keys.get_mut(frame.keys..).unwrap_or(&mut []));
        self.keys = keys;
        match duplicate {
            None => Ok(()),
            Some(at) => Err(Error {
                kind: ErrorKind::DuplicateKey,
                offset: at as usize,
            }),
        }
    }

    /// The offset of a key that another one in front of it equals.
    fn find_duplicate(&self, keys: &mut [Key]) -> Option<u32> {
        if keys.len() <= PAIRWISE {
            let mut rest = &*keys;
            while let Some((key, later)) = rest.split_first() {
                if let Some(same) = later.iter().find(|other| self.same_key(key, other)) {
                    return Some(same.at);
                }
                rest = later;
            }
            return None;
        }
        // By length first: cheaper, and any total order will do. Comparing costs at most the
        // shorter key, so sorting costs at most the text of the keys times log(members).
        let order = |key: &Key| (key.len, self.key_bytes(key));
        keys.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        let mut pairs = keys.iter().zip(keys.iter().skip(1));
        pairs
            .find(|(a, b)| self.same_key(a, b))
            .map(|(a, b)| a.at.max(b.at))
    }

    #[inline]
    fn same_key(&self, a: &Key, b: &Key) -> bool {
        a.len == b.len && self.key_bytes(a) == self.key_bytes(b)
    }

    fn key_bytes(&self, key: &Key) -> &[u8] {
        let (bytes, start) = match key.decoded {
            None => (self.bytes, key.at as usize),
            Some(from) => (self.decoded.as_bytes(), from.get() as usize),
        };
        bytes.get(start..start + key.len as usize).unwrap_or(&[])
    }

    fn record_member(&mut self, frame: Frame) {
        let Some(key) = self.keys.last() else { return };
        let (start, len) = (key.at as usize, key.len as usize);
        let key = match key.decoded {
            None => Cow::Borrowed(self.slice(start, start + len)),
            Some(from) => {
                let from = from.get() as usize;
                Cow::Owned(self.decoded.get(from..from + len).unwrap_or("").to_owned())
            }
        };
        let member = Member {
            key,
            value: Value::new(self.slice(frame.value, self.pos)),
        };
        if self.frames.len() == 1 {
            self.members.push(member);
        } else if let (true, Some(params)) = (frame.params, &mut self.params) {
            params.push(member);
        }
    }

    /// Reads the rest of a string literal after its opening quote; tells whether it has escapes.
    #[inline]
    fn string(&mut self, key: bool) -> Result<bool, Error> {
        let mut escaped = false;
        loop {
            self.pos = find_special(self.bytes, self.pos);
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => self.escape(key)?,
                Some(_) => return self.syntax("a control character in a string is not escaped"),
                None => return self.syntax("a string does not end"),
            }
            escaped = true;
        }
    }

    /// [RFC 8259, section 7](https://www.rfc-editor.org/rfc/rfc8259#section-7)
    fn escape(&mut self, key: bool) -> Result<(), Error> {
        let start = self.pos;
        let (len, control) = match self.bytes.get(start + 1) {
            Some(b'"' | b'\\' | b'/') => (2, false),
            Some(b'b' | b'f' | b'n' | b'r' | b't') => (2, true),
            Some(b'u') => {
                let unit = self.unit(start)?;
                let len = match unit {
                    0xd800..=0xdbff => {
                        let paired = self.bytes.get(start + 6..start + 8) == Some(b"\\u")
                            && matches!(self.unit(start + 6)?, 0xdc00..=0xdfff);
                        if !paired {
                            return self.fail(ErrorKind::LoneSurrogate);
                        }
                        12
                    }
                    0xdc00..=0xdfff => return self.fail(ErrorKind::LoneSurrogate),
                    _ => 6,
                };
                (len, unit < 0x20)
            }
            _ => return self.syntax("an escape is not one of JSON's"),
        };
        if key && control {
            return self.fail(ErrorKind::ControlInKey);
        }
        self.pos = start + len;
        Ok(())
    }

    /// The UTF-16 unit of the `\uXXXX` that starts at `at`.
    fn unit(&self, at: usize) -> Result<u16, Error> {
        let digits = self.bytes.get(at + 2..).and_then(|rest| rest.first_chunk::<4>());
        let error = Error {
            kind: ErrorKind::Syntax("four hexadecimal digits were expected"),
            offset: at,
        };
        digits.copied().and_then(hex_unit).ok_or(error)
    }

    /// [RFC 8259, section 6](https://www.rfc-editor.org/rfc/rfc8259#section-6)
    fn number(&mut self) -> Result<(), Error> {
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        if self.peek() == Some(b'0') {
            self.pos += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return self.syntax("a number has a leading zero");
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.pos += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.pos += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.pos;
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
        if self.pos == start {
            self.syntax("a digit was expected")
        } else {
            Ok(())
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Error> {
        if !self
            .bytes
            .get(self.pos..)
            .is_some_and(|rest| rest.starts_with(word))
        {
            return self.syntax("a value was expected");
        }
        self.pos += word.len();
        Ok(())
    }

    #[inline]
    fn white(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.pos += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or("")
    }

    #[cold]
    fn syntax<T>(&self, what: &'static str) -> Result<T, Error> {
        self.fail(ErrorKind::Syntax(what))
    }

    #[cold]
    fn fail<T>(&self, kind: ErrorKind) -> Result<T, Error> {
        Err(Error {
            kind,
            offset: self.pos,
        })
    }
}

/// Offsets fit because longer texts are refused up front.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
