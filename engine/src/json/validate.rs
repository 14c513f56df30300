//! The validating pass.

use super::keys::{Keys, Mark};
use super::string::{find_special, hex_unit};
use super::{Error, ErrorKind, Limits, Member, Message, Value};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a pass does besides validating.
#[derive(Clone, Copy, Default)]
pub(super) struct Pass {
    /// Keeps the members of the root and of its `params`.
    pub(super) record: bool,
    /// Lets an escape for half a surrogate pair pass.
    pub(super) lone_surrogates: bool,
}

/// Validates `bytes`.
pub(super) fn validate(bytes: &[u8], limits: Limits, pass: Pass) -> Result<Message<'_>, Error> {
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
        depth: limits.depth,
        frames: Vec::new(),
        keys: Keys::new(text, limits.members),
        pass,
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
    depth: usize,
    /// The open objects and arrays, outermost first; at most `depth`.
    frames: Vec<Frame>,
    keys: Keys<'a>,
    pass: Pass,
    members: Vec<Member<'a>>,
    params: Option<Vec<Member<'a>>>,
}

/// An open object or array.
#[derive(Clone, Copy)]
struct Frame {
    object: bool,
    /// The object that is the value of `params` in the root.
    params: bool,
    /// Where its keys start.
    keys: Mark,
    /// Where the value of its current member starts in the text.
    value: usize,
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
            if self.pass.record && (frame.params || self.frames.len() == 1) && frame.object {
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
                (Some(b'}'), true) => self.keys.end(frame.keys)?,
                (Some(b']'), false) => {}
                (_, true) => return self.syntax("a comma or the end of the object was expected"),
                (_, false) => return self.syntax("a comma or the end of the array was expected"),
            }
            self.pos += 1;
            self.frames.pop();
        }
    }

    fn open(&mut self, object: bool) -> Result<bool, Error> {
        if self.frames.len() >= self.depth {
            return self.fail(ErrorKind::Depth);
        }
        let params = self.pass.record && object && self.at_params();
        if params {
            self.params = Some(Vec::new());
        }
        self.pos += 1;
        self.white();
        if self.peek() == Some(if object { b'}' } else { b']' }) {
            self.pos += 1;
            return Ok(false);
        }
        self.frames.push(Frame {
            object,
            params,
            keys: self.keys.mark(),
            value: 0,
        });
        if object {
            self.key()?;
        }
        Ok(true)
    }

    /// Whether the value here is that of `params` in the root object.
    fn at_params(&self) -> bool {
        matches!(self.frames.as_slice(), [root] if root.object) && self.keys.last_is("params")
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
        let Some(frame) = self.frames.last() else {
            return Ok(());
        };
        self.keys.push(frame.keys, start, end, escaped)?;
        self.white();
        if self.peek() != Some(b':') {
            return self.syntax("a colon was expected");
        }
        self.pos += 1;
        self.white();
        if let Some(frame) = self.frames.last_mut() {
            frame.value = self.pos;
        }
        Ok(())
    }

    fn record_member(&mut self, frame: Frame) {
        let Some(key) = self.keys.last() else { return };
        let value = Value::new(self.slice(frame.value, self.pos));
        if self.frames.len() == 1 {
            self.members.push(Member { key, value });
        } else if let (true, Some(params)) = (frame.params, &mut self.params) {
            params.push(Member { key, value });
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
                        if !paired && !self.pass.lone_surrogates {
                            return self.fail(ErrorKind::LoneSurrogate);
                        }
                        if paired { 12 } else { 6 }
                    }
                    0xdc00..=0xdfff if !self.pass.lone_surrogates => {
                        return self.fail(ErrorKind::LoneSurrogate);
                    }
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
