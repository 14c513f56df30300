//! Number tokens, and which of them servers read differently.

use super::Value;
use super::string::{Literal, find_quote};
use super::value::skip_scalar;
use std::fmt::Write;

/// The largest integer n such that n and n + 1 are both exact in a double: 2^53 - 1
/// ([RFC 8259, section 6](https://www.rfc-editor.org/rfc/rfc8259#section-6)).
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Characters kept of a token or of a key in an [`UnsafeNumber`].
const EXCERPT: usize = 128;

/// A number as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<'a> {
    raw: &'a str,
}

impl<'a> Number<'a> {
    /// `raw` must be a validated number.
    pub(crate) const fn new(raw: &'a str) -> Self {
        Number { raw }
    }

    /// The token as received.
    pub const fn raw(&self) -> &'a str {
        self.raw
    }

    /// Whether the token has neither fraction nor exponent. (`1.0` and `1e0` have.)
    pub fn is_integer_token(&self) -> bool {
        !self.raw.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    }

    /// The value of an integer token that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.raw.parse().ok()
    }

    /// The nearest double; `None` if the number is too large for one.
    pub fn as_f64(&self) -> Option<f64> {
        self.raw.parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// Whether the token is an integer within ±(2^53 - 1), which every reader reads alike.
    pub fn is_safe_integer(&self) -> bool {
        self.is_integer_token() && self.magnitude().is_some_and(|value| value <= MAX_SAFE_INTEGER)
    }

    /// The absolute value of an integer token, if it fits 64 bits.
    fn magnitude(&self) -> Option<u64> {
        self.raw.strip_prefix('-').unwrap_or(self.raw).parse().ok()
    }

    fn is_unsafe(self, big_integers: bool) -> bool {
        if !self.is_integer_token() {
            return self.as_f64().is_none();
        }
        match self.magnitude() {
            None => true,
            Some(value) if value <= MAX_SAFE_INTEGER => false,
            Some(_) => !(big_integers && (self.as_i64().is_some() || !self.raw.starts_with('-'))),
        }
    }
}

/// A number that servers read differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsafeNumber {
    /// Where it is, as a JSON Pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) from
    /// the value that was searched. Each key is cut off after 128 characters.
    pub pointer: String,
    /// The token, cut off after 128 characters.
    pub token: String,
}

/// The first number within `value` that servers read differently: an integer beyond ±(2^53 - 1)
/// (with `big_integers`: one that fits neither a signed nor an unsigned 64-bit integer), or a
/// number that overflows a double. One pass over the text, however deep it is.
pub fn unsafe_number(value: Value<'_>, big_integers: bool) -> Option<UnsafeNumber> {
    let text = value.raw();
    let bytes = text.as_bytes();
    let mut path: Vec<Step<'_>> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let (end, escaped) = find_quote(bytes, at + 1);
                if let Some(Step::Key(key)) = path.last_mut() {
                    // A value overwrites its key, which is then no longer needed: the next number
                    // of this object comes after the next key.
                    *key = Literal {
                        raw: text.get(at + 1..end).unwrap_or(""),
                        escaped,
                    };
                }
                at = end + 1;
            }
            b'-' | b'0'..=b'9' => {
                let end = skip_scalar(bytes, at);
                let token = text.get(at..end).unwrap_or("");
                if Number::new(token).is_unsafe(big_integers) {
                    return Some(UnsafeNumber {
                        pointer: pointer(&path),
                        token: excerpt(token).to_owned(),
                    });
                }
                at = end;
            }
            _ => {
                match byte {
                    b'{' => path.push(Step::Key(Literal {
                        raw: "",
                        escaped: false,
                    })),
                    b'[' => path.push(Step::Index(0)),
                    b'}' | b']' => drop(path.pop()),
                    b',' => {
                        if let Some(Step::Index(index)) = path.last_mut() {
                            *index += 1;
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
        }
    }
    None
}

/// Where an open object or array currently is.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(Literal<'a>),
    Index(usize),
}

fn pointer(path: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in path {
        out.push('/');
        match step {
            Step::Key(key) => out.push_str(&excerpt(&key.decode()).replace('~', "~0").replace('/', "~1")),
            // Writing to a String cannot fail.
            Step::Index(index) => drop(write!(out, "{index}")),
        }
    }
    out
}

fn excerpt(text: &str) -> &str {
    let end = text.char_indices().nth(EXCERPT).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}
