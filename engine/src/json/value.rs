//! Lazy views into validated text.

use super::Number;
use super::string::{Literal, find_quote, first_byte, splat};
use std::borrow::Cow;

/// A value of a validated document: its text, without surrounding white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    raw: &'a str,
}

/// The kinds of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> Value<'a> {
    /// `raw` must be one validated value without surrounding white space.
    pub(super) const fn new(raw: &'a str) -> Self {
        Value { raw }
    }

    /// The text as received.
    pub const fn raw(&self) -> &'a str {
        self.raw
    }

    /// Which kind of value this is.
    pub fn kind(&self) -> Kind {
        match self.raw.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// The truth value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind() == Kind::Bool).then_some(self.raw == "true")
    }

    /// The token of a number.
    pub fn as_number(&self) -> Option<Number<'a>> {
        (self.kind() == Kind::Number).then_some(Number::new(self.raw))
    }

    /// The text of a string, unescaped; borrowed if it has no escapes.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        let inside = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        Some(
            Literal {
                raw: inside,
                escaped: inside.contains('\\'),
            }
            .decode(),
        )
    }

    /// The view of an object.
    pub fn as_object(&self) -> Option<Object<'a>> {
        (self.kind() == Kind::Object).then_some(Object { raw: self.raw })
    }

    /// The view of an array.
    pub fn as_array(&self) -> Option<Array<'a>> {
        (self.kind() == Kind::Array).then_some(Array { raw: self.raw })
    }

    /// The member `key` of an object; `None` if there is none or this is no object. Reads the
    /// object up to that member.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.as_object()?.get(key)
    }

    /// The value as a tree. Fails for a number that overflows a double, and for more than 127
    /// levels.
    pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_str(self.raw)
    }
}

/// A view of an object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    raw: &'a str,
}

impl<'a> Object<'a> {
    /// The members in the order of the text, keys unescaped. Allocates only for keys with escapes.
    pub fn members(&self) -> Members<'a> {
        Members {
            cursor: Cursor::inside(self.raw),
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        let mut cursor = Cursor::inside(self.raw);
        while let Some((name, value)) = cursor.member() {
            if name.equals(key) {
                return Some(value);
            }
        }
        None
    }
}

/// A view of an array.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    raw: &'a str,
}

impl<'a> Array<'a> {
    /// The elements in order.
    pub fn elements(&self) -> Elements<'a> {
        Elements {
            cursor: Cursor::inside(self.raw),
        }
    }
}

/// Iterates over the members of an [`Object`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.member().map(|(key, value)| (key.decode(), value))
    }
}

/// Iterates over the elements of an [`Array`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.value()
    }
}

/// A position in the validated text of an object or array. On any other text it ends early; it
/// never fails.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Cursor<'a> {
    /// After the opening bracket.
    fn inside(text: &'a str) -> Self {
        Cursor { text, pos: 1 }
    }

    fn member(&mut self) -> Option<(Literal<'a>, Value<'a>)> {
        self.skip_separators();
        if self.text.as_bytes().get(self.pos) != Some(&b'"') {
            return None;
        }
        let start = self.pos + 1;
        let (end, escaped) = find_quote(self.text.as_bytes(), start);
        self.pos = end + 1;
        let key = Literal {
            raw: self.text.get(start..end)?,
            escaped,
        };
        Some((key, self.value()?))
    }

    fn value(&mut self) -> Option<Value<'a>> {
        self.skip_separators();
        let bytes = self.text.as_bytes();
        let start = self.pos;
        let end = match bytes.get(start)? {
            b'"' => find_quote(bytes, start + 1).0 + 1,
            b'{' | b'[' => skip_nested(bytes, start),
            b'}' | b']' => return None,
            _ => skip_scalar(bytes, start),
        };
        self.pos = end;
        self.text.get(start..end).map(Value::new)
    }

    /// The text is valid, so what separates need not be told apart.
    fn skip_separators(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':') = bytes.get(self.pos) {
            self.pos += 1;
        }
    }
}

/// The end of the number, `true`, `false` or `null` that starts at `from`.
pub(crate) fn skip_scalar(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or(&[]);
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
    from + rest.iter().position(ends).unwrap_or(rest.len())
}

/// The end of the object or array that starts at `from`.
fn skip_nested(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = from;
    loop {
        at = find_structure(bytes, at);
        match bytes.get(at) {
            Some(b'"') => at = find_quote(bytes, at + 1).0,
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => depth = depth.saturating_sub(1),
            Some(_) => {}
            None => return bytes.len(),
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
}

/// The first bracket or quote at or after `from`, outside of strings.
fn find_structure(bytes: &[u8], from: usize) -> usize {
    let mut rest = bytes.get(from..).unwrap_or(&[]);
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let mask = structure_mask(u64::from_le_bytes(*chunk));
        if mask != 0 {
            return bytes.len() - rest.len() + first_byte(mask);
        }
        rest = tail;
    }
    let found = rest
        .iter()
        .position(|byte| matches!(byte, b'{' | b'}' | b'[' | b']' | b'"'));
    bytes.len() - rest.len() + found.unwrap_or(rest.len())
}

/// Sets the high bit of the first byte of `word` that is a bracket or a quote (see
/// `special_mask` for why only the first is exact). The four brackets are the bytes that valid
/// JSON has outside of strings for which `byte | 0x26` is 0x7f; the others are `Y`, `_`, `y` and
/// U+007F.
const fn structure_mask(word: u64) -> u64 {
    const ONES: u64 = splat(1);
    let bracket = ((word | splat(0x26)) ^ splat(0x7f)).wrapping_sub(ONES);
    let quote = (word ^ splat(b'"')).wrapping_sub(ONES);
    (bracket | quote) & !word & splat(0x80)
}
