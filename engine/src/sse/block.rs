//! The lines and fields of one complete block.

use super::{Event, Item};
use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// Where the lines of a block end, its line ends included: most have few, and so need not be looked for again.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    ends: [usize; Ends::MOST],
    count: usize,
}

impl Ends {
    const MOST: usize = 6;

    pub(super) const fn new() -> Ends {
        Ends {
            ends: [0; Ends::MOST],
            count: 0,
        }
    }

    /// The next line of the block ends here.
    pub(super) fn push(&mut self, end: usize) {
        if let Some(place) = self.ends.get_mut(self.count) {
            *place = end;
        }
        self.count += 1;
    }

    /// The last line's end has another byte.
    pub(super) fn lengthen(&mut self) {
        if let Some(last) = self.count.checked_sub(1).and_then(|last| self.ends.get_mut(last)) {
            *last += 1;
        }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// All of them, if there are not too many.
    fn all(&self) -> Option<&[usize]> {
        self.ends.get(..self.count)
    }
}

/// Tells an event from a block without data. `ends` are those of `raw`.
pub(super) fn classify<'a>(raw: &'a [u8], ends: &Ends) -> Item<'a> {
    let mut fields = Fields::default();
    match ends.all() {
        Some(ends) => {
            let mut rest = raw;
            let mut start = 0;
            for &end in ends {
                let Some((line, tail)) = rest.split_at_checked(end.saturating_sub(start)) else {
                    break;
                };
                fields.line(without_end(line));
                (rest, start) = (tail, end);
            }
        }
        None => lines(raw).for_each(|line| fields.line(line.text)),
    }
    fields.item(raw)
}

/// What the lines of a block say.
#[derive(Default)]
struct Fields<'a> {
    data: Option<Cow<'a, [u8]>>,
    name: &'a [u8],
    id: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn line(&mut self, line: &'a [u8]) {
        let (field, value) = field(line);
        match field {
            b"data" => match &mut self.data {
                None => self.data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"event" => self.name = value,
            b"id" if memchr(0, value).is_none() => self.id = Some(value),
            _ => {}
        }
    }

    fn item(self, raw: &'a [u8]) -> Item<'a> {
        let name = (!self.name.is_empty()).then(|| String::from_utf8_lossy(self.name));
        match self.data {
            Some(data) => Item::Event(Event {
                raw,
                name,
                data,
                id: self.id,
            }),
            None => Item::Other(raw),
        }
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
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
