//! Edits of a JSON text: in place and of equal length, or by splicing.
//!
//! A request's body may not change its length once its head has gone on, so what is taken out of it becomes white
//! space, which JSON allows around every token ([RFC 8259, section 2]).
//!
//! Both kinds name the places they change by views ([`Value`]) into the text itself.
//!
//! [RFC 8259, section 2]: https://www.rfc-editor.org/rfc/rfc8259#section-2

mod splice;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::json::{Kind, Value, write_str};

pub use splice::Splices;

/// A text that changes without changing its length.
///
/// Edits may be made in any order and may overlap: what is blanked stays blank.
#[derive(Clone, Debug)]
pub struct Edits<'a> {
    body: &'a [u8],
    /// As edited; `None` until something changes.
    edited: Option<Vec<u8>>,
}

/// Why an edit was not made. The text must then not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The new string, with its escapes, is longer than the old one.
    #[error("the new text does not fit in the place of the old one")]
    TooLong,
    /// The value is no part of the text, or not of the kind to be edited.
    #[error("the value to be edited is not in the text")]
    Elsewhere,
}

impl<'a> Edits<'a> {
    /// No edits yet. `body` must be a validated JSON text.
    pub fn new(body: &'a [u8]) -> Self {
        Edits { body, edited: None }
    }

    /// Blanks every member of `object` whose key, unescaped, is to be removed, and as many commas. Says how many members
    /// went that were not blank before.
    ///
    /// Work is linear in the length of `object`.
    pub fn blank_members(
        &mut self,
        object: Value<'a>,
        removes: impl Fn(&str) -> bool,
    ) -> Result<usize, EditError> {
        let members = self.members_of(object)?;
        let mut removed = 0;
        let mut kept_before = false;
        for (key, member) in members {
            let gone = self.is_blank(member.range.start);
            let remove = !gone && removes(&key);
            if remove {
                self.blank(member.range.clone());
                removed += 1;
            }
            let keep = !gone && !remove;
            // A comma is left where a member stays and one before it does.
            if let Some(comma) = member.comma
                && !(keep && kept_before)
                && !self.is_blank(comma)
            {
                self.blank(comma..comma + 1);
            }
            kept_before |= keep;
        }
        Ok(removed)
    }

    /// Puts `new` in the place of a string, with spaces after it. Nothing happens where the string is blank by now.
    pub fn replace_string(&mut self, string: Value<'a>, new: &str) -> Result<(), EditError> {
        let range = range_in(self.body, string).ok_or(EditError::Elsewhere)?;
        if string.kind() != Kind::String {
            return Err(EditError::Elsewhere);
        }
        let mut literal = Vec::with_capacity(range.len());
        write_str(&mut literal, new);
        if literal.len() > range.len() {
            return Err(EditError::TooLong);
        }
        if self.is_blank(range.start) || literal == string.raw().as_bytes() {
            return Ok(());
        }
        literal.resize(range.len(), b' ');
        if let Some(place) = self.edited().get_mut(range) {
            place.copy_from_slice(&literal);
        }
        Ok(())
    }

    /// The text as edited, of the same length; `None` if nothing changed.
    pub fn finish(self) -> Option<Vec<u8>> {
        self.edited
    }

    /// The members of an object that lies in the body, in order.
    fn members_of(
        &self,
        object: Value<'a>,
    ) -> Result<impl Iterator<Item = (std::borrow::Cow<'a, str>, Span)> + use<'a>, EditError> {
        let outer = range_in(self.body, object).ok_or(EditError::Elsewhere)?;
        let view = object.as_object().ok_or(EditError::Elsewhere)?;
        let body = self.body;
        // After the opening bracket.
        let mut from = outer.start + 1;
        Ok(view.members().map_while(move |(key, value)| {
            let value = range_in(body, value)?;
            let gap = body.get(from..value.start)?;
            let quote = from + gap.iter().position(|&byte| byte == b'"')?;
            let comma = body.get(from..quote)?.iter().position(|&byte| byte == b',');
            let span = Span {
                range: quote..value.end,
                comma: comma.map(|at| from + at),
            };
            from = value.end;
            Some((key, span))
        }))
    }

    fn is_blank(&self, at: usize) -> bool {
        let edited = self.edited.as_deref();
        edited.is_some_and(|edited| edited.get(at) == Some(&b' '))
    }

    fn blank(&mut self, range: Range<usize>) {
        if let Some(place) = self.edited().get_mut(range) {
            place.fill(b' ');
        }
    }

    fn edited(&mut self) -> &mut Vec<u8> {
        self.edited.get_or_insert_with(|| self.body.to_vec())
    }
}

/// Where a member is.
struct Span {
    /// From the quote of the key to the end of the value.
    range: Range<usize>,
    /// The comma before it; the first member has none.
    comma: Option<usize>,
}

/// Where in `text` a view into it lies; `None` if it is no view into it.
fn range_in(text: &[u8], value: Value<'_>) -> Option<Range<usize>> {
    let raw = value.raw();
    let start = raw.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start.checked_add(raw.len())?;
    (end <= text.len()).then_some(start..end)
}
