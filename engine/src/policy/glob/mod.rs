//! Globs: `*` stands for any run of bytes, `/` included; everything else is literal. Matching is
//! byte for byte, case-sensitive, and linear in the length of the text.

mod index;
mod set;
#[cfg(test)]
mod tests;

use std::rc::Rc;

pub(super) use index::PatternIndex;
pub use set::GlobSet;

/// One pattern.
#[derive(Clone, Debug)]
pub struct Glob {
    pattern: Rc<str>,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Exact,
    /// What stands before the first `*`, between `*`s (empty parts left out), and after the last.
    Stars {
        prefix: Box<str>,
        middle: Box<[Box<str>]>,
        suffix: Box<str>,
    },
}

impl Glob {
    /// Reads a pattern; every string is one.
    pub fn new(pattern: impl Into<Rc<str>>) -> Self {
        let pattern = pattern.into();
        let form = match pattern.split_once('*') {
            None => Form::Exact,
            Some((prefix, rest)) => {
                let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
                Form::Stars {
                    prefix: prefix.into(),
                    middle: middle
                        .split('*')
                        .filter(|part| !part.is_empty())
                        .map(Into::into)
                        .collect(),
                    suffix: suffix.into(),
                }
            }
        };
        Glob { pattern, form }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the pattern has no `*`.
    pub fn is_exact(&self) -> bool {
        matches!(self.form, Form::Exact)
    }

    /// Whether the pattern matches the whole of `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.matches_in(Text::whole(text))
    }

    /// What every text that the pattern matches begins with.
    pub(super) fn prefix(&self) -> &str {
        match &self.form {
            Form::Exact => &self.pattern,
            Form::Stars { prefix, .. } => prefix,
        }
    }

    fn matches_in(&self, text: Text<'_>) -> bool {
        match &self.form {
            Form::Exact => text.len() == self.pattern.len() && text.has(self.pattern.as_bytes(), 0),
            Form::Stars {
                prefix,
                middle,
                suffix,
            } => {
                let Some(end) = text.len().checked_sub(suffix.len()) else {
                    return false;
                };
                let mut at = prefix.len();
                if at > end || !text.has(prefix.as_bytes(), 0) || !text.has(suffix.as_bytes(), end) {
                    return false;
                }
                // The leftmost place for each part leaves the most room for those that follow, so
                // nothing is ever tried twice.
                for part in middle {
                    match text.find(part.as_bytes(), at, end) {
                        Some(start) => at = start + part.len(),
                        None => return false,
                    }
                }
                true
            }
        }
    }

    /// Whether some text matches both patterns.
    pub(super) fn intersects(&self, other: &Glob) -> bool {
        let (a, b) = (self.pattern.as_bytes(), other.pattern.as_bytes());
        // reachable[j]: some text is matched by the first i bytes of `a` and the first j of `b`.
        let mut reachable = vec![false; b.len() + 1];
        for i in 0..=a.len() {
            let mut row = vec![false; b.len() + 1];
            let last = i.checked_sub(1).and_then(|i| a.get(i));
            for j in 0..=b.len() {
                let other_last = j.checked_sub(1).and_then(|j| b.get(j));
                let get =
                    |row: &[bool], j: Option<usize>| j.and_then(|j| row.get(j)).copied().unwrap_or(false);
                let left = get(&row, j.checked_sub(1));
                let up = i > 0 && get(&reachable, Some(j));
                let diagonal = i > 0 && get(&reachable, j.checked_sub(1));
                let meets = match (last, other_last) {
                    (None, None) => true,
                    (Some(b'*'), _) | (_, Some(b'*')) => up || left,
                    (Some(x), Some(y)) => x == y && diagonal,
                    (None, Some(_)) | (Some(_), None) => false,
                };
                if let Some(cell) = row.get_mut(j) {
                    *cell = meets;
                }
            }
            reachable = row;
        }
        reachable.last().copied().unwrap_or(false)
    }
}

/// A text in up to three pieces, so that `server/name` need not be put together to be matched.
#[derive(Clone, Copy)]
struct Text<'a> {
    head: &'a [u8],
    separator: &'static [u8],
    tail: &'a [u8],
}

impl<'a> Text<'a> {
    fn whole(text: &'a str) -> Self {
        Text {
            head: b"",
            separator: b"",
            tail: text.as_bytes(),
        }
    }

    fn pair(server: &'a str, name: &'a str) -> Self {
        Text {
            head: server.as_bytes(),
            separator: b"/",
            tail: name.as_bytes(),
        }
    }

    fn len(&self) -> usize {
        self.head.len() + self.separator.len() + self.tail.len()
    }

    /// Whether `part` stands at `at`.
    fn has(&self, part: &[u8], at: usize) -> bool {
        let mut skip = at;
        let mut rest = part;
        for piece in [self.head, self.separator, self.tail] {
            let Some(here) = piece.get(skip..) else {
                skip -= piece.len();
                continue;
            };
            skip = 0;
            let (first, later) = rest.split_at(here.len().min(rest.len()));
            if !here.starts_with(first) {
                return false;
            }
            rest = later;
        }
        rest.is_empty()
    }

    /// The first place from `from` on where `part` stands and ends by `end`.
    fn find(&self, part: &[u8], from: usize, end: usize) -> Option<usize> {
        let last = end.checked_sub(part.len())?;
        // The head is a server's name, which is short; the tail can be as long as a request.
        let tail_start = self.head.len() + self.separator.len();
        let in_head = (from..tail_start.min(last + 1)).find(|at| self.has(part, *at));
        in_head.or_else(|| {
            let start = from.max(tail_start);
            let tail = self.tail.get(start - tail_start..end.checked_sub(tail_start)?)?;
            memchr::memmem::find(tail, part).map(|at| start + at)
        })
    }
}
