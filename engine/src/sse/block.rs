//! The lines and fields of one complete block.

use super::{Event, Item};
use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// Tells an event from a block without data.
pub(super) fn classify(raw: &[u8]) -> Item<'_> {
    let mut data: Option<Cow<'_, [u8]>> = None;
    let mut name: &[u8] = b"";
    let mut id = None;
    for line in lines(raw) {
        let (field, value) = field(line.text);
        match field {
            b"data" => match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"event" => name = value,
            b"id" if memchr(0, value).is_none() => id = Some(value),
            _ => {}
        }
    }
    let name = (!name.is_empty()).then(|| String::from_utf8_lossy(name));
    match data {
        Some(data) => Item::Event(Event { raw, name, data, id }),
        None => Item::Other(raw),
    }
}

/// A line and its line end: CR, LF, CRLF, or nothing at the end of the text.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    pub(super) end: &'a [u8],
}

/// The lines of `text`. Text that ends with a line end has no further, empty line.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let len = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (text, tail) = rest.split_at_checked(len)?;
        let end_len = if tail.starts_with(b"\r\n") {
            2
        } else {
            tail.len().min(1)
        };
        let (end, tail) = tail.split_at_checked(end_len)?;
        rest = tail;
        Some(Line { text, end })
    })
}

/// The name and value of a field; comments have an empty name.
pub(super) fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some((name, value)) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) else {
        return (line, b"");
    };
    let value = value.strip_prefix(b":").unwrap_or(value);
    (name, value.strip_prefix(b" ").unwrap_or(value))
}
