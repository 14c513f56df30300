//! The keys of the open objects, kept to find those given twice.
//!
//! Equal means equal after unescaping
//! ([RFC 8259, section 8.3](https://www.rfc-editor.org/rfc/rfc8259#section-8.3)). Nothing here
//! depends on hashing, so there is nothing to flood: few keys are compared pairwise, many are
//! sorted first.

use super::string::unescape_into;
use super::{Error, ErrorKind};
use std::borrow::Cow;
use std::num::NonZeroU32;

/// Up to this many keys are compared pairwise.
const PAIRWISE: usize = 8;

/// Members of all open objects together, as a multiple of those of one.
const OPEN_OBJECTS: usize = 4;

/// Bytes of unescaped key text held at once, over all open objects.
const DECODED_BYTES: usize = 256 * 1024;

/// The keys of all open objects, outermost first.
pub(super) struct Keys<'a> {
    text: &'a str,
    /// Members allowed in one object.
    members: usize,
    open: Vec<Key>,
    /// The unescaped text of those keys that have escapes.
    decoded: String,
}

/// Offsets are 32 bits wide to halve the memory; longer texts are refused up front.
#[derive(Clone, Copy)]
struct Key {
    /// Offset of its first byte in the text, after the quote.
    at: u32,
    /// Bytes after unescaping.
    len: u32,
    /// Offset in [`Keys::decoded`] if it has escapes.
    decoded: Option<NonZeroU32>,
}

/// Where the keys of an object start.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    keys: usize,
    decoded: usize,
}

impl<'a> Keys<'a> {
    pub(super) const fn new(text: &'a str, members: usize) -> Self {
        Keys {
            text,
            members,
            open: Vec::new(),
            decoded: String::new(),
        }
    }

    /// A new object starts here.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            keys: self.open.len(),
            decoded: self.decoded.len(),
        }
    }

    /// Adds the key at `start..end` of the text to the object of `mark`, the innermost one.
    pub(super) fn push(&mut self, mark: Mark, start: usize, end: usize, escaped: bool) -> Result<(), Error> {
        let len = end - start;
        let too_many = self.open.len() - mark.keys >= self.members
            || self.open.len() >= self.members.saturating_mul(OPEN_OBJECTS);
        if too_many || (escaped && self.decoded.len() + len > DECODED_BYTES) {
            return Err(Error {
                kind: ErrorKind::Members,
                offset: start,
            });
        }
        let at = narrow(start);
        if !escaped {
            self.open.push(Key {
                at,
                len: narrow(len),
                decoded: None,
            });
            return Ok(());
        }
        if self.decoded.is_empty() {
            // Offset 0 stands for "not there".
            self.decoded.push('\0');
        }
        let from = self.decoded.len();
        unescape_into(self.text.get(start..end).unwrap_or(""), &mut self.decoded);
        let len = narrow(self.decoded.len() - from);
        self.open.push(Key {
            at,
            len,
            decoded: NonZeroU32::new(narrow(from)),
        });
        Ok(())
    }

    /// The key added last, unescaped.
    pub(super) fn last(&self) -> Option<Cow<'a, str>> {
        let key = self.open.last()?;
        Some(match key.decoded {
            None => Cow::Borrowed(slice(self.text, key.at, key.len)),
            Some(from) => Cow::Owned(slice(&self.decoded, from.get(), key.len).to_owned()),
        })
    }

    /// Whether the key added last is `name`.
    pub(super) fn last_is(&self, name: &str) -> bool {
        self.open
            .last()
            .is_some_and(|key| view(self.text, &self.decoded, key) == name.as_bytes())
    }

    /// Ends the object of `mark`, the innermost one: refuses a key given twice, forgets all keys.
    pub(super) fn end(&mut self, mark: Mark) -> Result<(), Error> {
        let own = self.open.get_mut(mark.keys..).unwrap_or(&mut []);
        if let Some(at) = find_duplicate(self.text, &self.decoded, own) {
            return Err(Error {
                kind: ErrorKind::DuplicateKey,
                offset: at as usize,
            });
        }
        self.open.truncate(mark.keys);
        self.decoded.truncate(mark.decoded);
        Ok(())
    }
}

/// The offset of a key that another one in front of it equals.
fn find_duplicate(text: &str, decoded: &str, keys: &mut [Key]) -> Option<u32> {
    let same = |a: &Key, b: &Key| a.len == b.len && view(text, decoded, a) == view(text, decoded, b);
    if keys.len() <= PAIRWISE {
        let mut rest = &*keys;
        while let Some((key, later)) = rest.split_first() {
            if let Some(other) = later.iter().find(|other| same(key, other)) {
                return Some(other.at);
            }
            rest = later;
        }
        return None;
    }
    // By length first: cheaper, and any total order will do. A comparison costs at most the
    // shorter key, so sorting costs at most the text of the keys times log(members).
    let order = |key: &Key| (key.len, view(text, decoded, key));
    keys.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
    let mut pairs = keys.iter().zip(keys.iter().skip(1));
    pairs.find(|(a, b)| same(a, b)).map(|(a, b)| a.at.max(b.at))
}

/// The unescaped bytes of `key`.
fn view<'t>(text: &'t str, decoded: &'t str, key: &Key) -> &'t [u8] {
    let (text, start) = match key.decoded {
        None => (text, key.at),
        Some(from) => (decoded, from.get()),
    };
    let start = start as usize;
    text.as_bytes()
        .get(start..start + key.len as usize)
        .unwrap_or(&[])
}

fn slice(text: &str, start: u32, len: u32) -> &str {
    let start = start as usize;
    text.get(start..start + len as usize).unwrap_or("")
}

/// Offsets fit because longer texts are refused up front.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
