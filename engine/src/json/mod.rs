//! Strict JSON ([RFC 8259]) over raw bytes: one validating pass, then borrowed views.
//!
//! What passes here is read alike by every JSON parser we know of, because whatever two parsers
//! could read differently is refused: a key given twice, control characters in keys, lone
//! surrogates, a byte order mark, anything that is not UTF-8, anything after the document.
//! Accepted bytes can therefore be forwarded as they are.
//!
//! ```text
//! bytes ──parse──────────▶ Value      lazy views into the text
//!       ──parse_message──▶ Message    the same, plus the members of the root and of `params`
//! ```
//!
//! Work is O(n log m) for n bytes with at most m members per object. Memory is bounded by
//! [`Limits`], never by the size of the text.
//!
//! [RFC 8259]: https://www.rfc-editor.org/rfc/rfc8259

mod keys;
mod number;
pub mod reserved;
mod string;
mod validate;
mod value;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod view_tests;

use std::borrow::Cow;
use std::fmt;

use validate::Pass;

pub use number::{Number, UnsafeNumber, unsafe_number};
pub use string::write_str;
pub(crate) use string::{Literal, find_quote, find_special};
pub(crate) use value::skip_scalar;
pub use value::{Array, Elements, Kind, Members, Object, Value};

/// Bounds on the shape of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Objects and arrays that may be open at once; the root is the first.
    pub depth: usize,
    /// Members of one object. All objects that are open at once may have four times as many.
    pub members: usize,
}

impl Default for Limits {
    /// 64 levels, 4096 members.
    fn default() -> Self {
        Limits {
            depth: 64,
            members: 4096,
        }
    }
}

/// Validates the whole of `bytes` and returns a view of the root value.
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, Error> {
    validate::validate(bytes, *limits, Pass::default()).map(|message| message.root)
}

/// Like [`parse`] for what a server sends, where an escape for half a surrogate pair passes and
/// reads as U+FFFD: JavaScript writes such escapes for texts that were cut in two, and clients read
/// them alike.
pub fn parse_answer<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, Error> {
    let pass = Pass {
        lone_surrogates: true,
        ..Pass::default()
    };
    validate::validate(bytes, *limits, pass).map(|message| message.root)
}

/// Like [`parse`], and records the members of the root object and of its `params` object on the
/// way, so that the envelope needs no second scan.
pub fn parse_message<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Message<'a>, Error> {
    validate::validate(
        bytes,
        *limits,
        Pass {
            record: true,
            ..Pass::default()
        },
    )
}

/// A validated document with its outer members, in the order of the text.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The root value, of any kind.
    pub root: Value<'a>,
    /// The members of the root; empty if it is not an object.
    pub members: Vec<Member<'a>>,
    /// The members of the root's `params`; `None` if that is absent or not an object.
    pub params: Option<Vec<Member<'a>>>,
}

/// One member of an object.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// The value.
    pub value: Value<'a>,
}

/// Why a text was refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Bytes from the start of the text to the offending place.
    pub offset: usize,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Some bytes are not UTF-8.
    NotUtf8,
    /// The text starts with a byte order mark, which some parsers skip and others refuse.
    ByteOrderMark,
    /// Not JSON; the text says what is wrong there.
    Syntax(&'static str),
    /// A complete document, and then more than white space.
    TrailingBytes,
    /// A `\u` escape for one half of a surrogate pair.
    LoneSurrogate,
    /// Nested deeper than [`Limits::depth`].
    Depth,
    /// More members than [`Limits::members`], or too much text in escaped keys.
    Members,
    /// An object has the same key twice, after unescaping.
    DuplicateKey,
    /// A key holds a character below U+0020, which some readers cut off or strip.
    ControlInKey,
    /// 4 GiB or more.
    TooLong,
}

impl ErrorKind {
    /// Whether the text is JSON by RFC 8259 and was refused because readers disagree about its
    /// meaning. (A lone surrogate cannot be written in UTF-8 and counts as a parse error.)
    pub const fn is_ambiguity(self) -> bool {
        matches!(self, ErrorKind::DuplicateKey | ErrorKind::ControlInKey)
    }

    /// Whether the text was refused for its size or shape only.
    pub const fn is_limit(self) -> bool {
        matches!(self, ErrorKind::Depth | ErrorKind::Members | ErrorKind::TooLong)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::NotUtf8 => "the text is not UTF-8",
            ErrorKind::ByteOrderMark => "the text starts with a byte order mark",
            ErrorKind::Syntax(what) => what,
            ErrorKind::TrailingBytes => "something follows the end of the document",
            ErrorKind::LoneSurrogate => "an escape stands for half a surrogate pair",
            ErrorKind::Depth => "objects and arrays are nested too deeply",
            ErrorKind::Members => "an object has too many members",
            ErrorKind::DuplicateKey => "an object has the same key twice",
            ErrorKind::ControlInKey => "a key contains a control character",
            ErrorKind::TooLong => "the text is too long",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind, self.offset)
    }
}

impl std::error::Error for Error {}
