//! A JSON text read in pieces, once, in constant memory.
//!
//! The grammar is that of [RFC 8259] without these checks, which would cost time or memory and change no outcome: that
//! the text is UTF-8, what is in strings that nobody wants (only their end is looked for, so control characters and
//! escapes that are none pass), and that a key does not come twice, except for the members that decide.
//!
//! [RFC 8259]: https://www.rfc-editor.org/rfc/rfc8259

mod digits;
mod parts;
mod text;

use digits::{Digits, after_number};
use parts::{Id, Open};

use super::found::{Expected, Found, Member, Place, SHORT, Seen};
use super::quote::after_text;
use super::unescape::{Short, Unescape};
use crate::json::find_special;

/// Outer objects whose place is kept: `result.error` is the innermost one that matters.
const PLACES: usize = 4;

/// Reads one object.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    state: State,
    open: Open,
    places: [Place; PLACES],
    /// Of the innermost open object or array.
    place: Place,
    /// Whose value is being read, or read next.
    member: Option<Member>,
    /// Who wants the text of the string or number that is being read.
    wanted: Wanted,
    text: Short,
    unescape: Unescape,
    id: Id,
    found: Found,
    /// Bytes of the windows so far, the current one included.
    end: u64,
    result: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In front of the root.
    Start,
    /// In front of a value.
    Value,
    /// After `[`: in front of a value or `]`.
    FirstValue,
    /// After `{`: in front of a key or `}`.
    FirstKey,
    /// In front of a key.
    Key,
    /// After a key.
    Colon,
    /// After a value.
    Next,
    /// Within a string.
    Text { key: bool },
    /// After a backslash.
    Escape { key: bool },
    /// Within `\uXXXX`.
    Unit { key: bool, digits: u8, unit: u16 },
    /// Within a number.
    Number(Digits),
    /// Within a word, of which this is left.
    Word(&'static [u8]),
    /// After the root.
    End,
    /// It is no JSON, or not of the shape that was looked for.
    Broken,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u64,
    end: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Short,
    Id,
}

impl Scan {
    pub(super) fn new(root: Place, expected: Expected) -> Scan {
        Scan {
            state: State::Start,
            open: Open::new(),
            places: [root, Place::Elsewhere, Place::Elsewhere, Place::Elsewhere],
            place: Place::Elsewhere,
            member: None,
            wanted: Wanted::Nothing,
            text: Short::new(),
            unescape: Unescape::new(),
            id: Id::new(expected),
            found: Found::default(),
            end: 0,
            result: Span::default(),
        }
    }

    /// What was found so far; `None` if the text is not what was looked for.
    pub(super) fn found(&self) -> Option<&Found> {
        (self.state != State::Broken).then_some(&self.found)
    }

    /// Whether the root is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::End
    }

    /// Whether the id is the one that was expected.
    pub(super) const fn is_expected(&self) -> bool {
        self.id.is_expected
    }

    /// Bytes of the value of `result` so far.
    pub(super) fn result_bytes(&self) -> u64 {
        if self.found.has(Member::Result) {
            self.result
                .end
                .unwrap_or(self.end)
                .saturating_sub(self.result.start)
        } else {
            0
        }
    }

    /// Reads the next window of the text, of any size.
    pub(super) fn push(&mut self, window: &[u8]) {
        self.end = self.end.saturating_add(window.len() as u64);
        let mut rest = window;
        while !rest.is_empty() {
            rest = match self.state {
                State::Text { key } => self.in_text(rest, key),
                State::Escape { key } => self.escape(rest, key),
                State::Unit { key, digits, unit } => self.unit(rest, key, digits, unit),
                State::Number(digits) => self.number(rest, digits),
                State::Word(letters) => self.word(rest, letters),
                State::Broken => return,
                _ => self.between(rest),
            };
        }
    }

    /// White space, punctuation, the first byte of a value, and whole values that nobody wants.
    fn between<'w>(&mut self, mut rest: &'w [u8]) -> &'w [u8] {
        let mut state = self.state;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            state = match (state, byte) {
                (_, b' ' | b'\n' | b'\r' | b'\t') => state,
                (State::Next, b',') if self.open.object => State::Key,
                (State::Next, b',') => State::Value,
                (State::Colon, b':') => State::Value,
                (State::FirstKey | State::Key, b'"') => match self.whole_key(tail) {
                    Some((after, next)) => {
                        rest = after;
                        next
                    }
                    None => {
                        self.begin_key();
                        return tail;
                    }
                },
                (State::Value | State::FirstValue, b'"') => match self.whole_text(tail) {
                    Some(after) => {
                        rest = after;
                        State::Next
                    }
                    None => {
                        self.begin_text();
                        return tail;
                    }
                },
                (State::Value | State::FirstValue, b'-' | b'0'..=b'9') => {
                    match self.skip(tail, |tail| after_number(byte, tail)) {
                        Some(after) => {
                            rest = after;
                            State::Next
                        }
                        None => {
                            self.begin_number(byte);
                            return tail;
                        }
                    }
                }
                (State::Value | State::FirstValue, b't' | b'f' | b'n') => {
                    self.begin_word(byte);
                    return tail;
                }
                (State::Start | State::Value | State::FirstValue, b'{') => self.begin(true, tail),
                (State::Value | State::FirstValue, b'[') => self.begin(false, tail),
                (State::FirstKey, b'}') => self.close(tail),
                (State::Next, b'}') if self.open.object => self.close(tail),
                (State::FirstValue, b']') => self.close(tail),
                (State::Next, b']') if !self.open.object => self.close(tail),
                _ => State::Broken,
            };
            if state == State::Broken {
                break;
            }
        }
        self.state = state;
        rest
    }

    /// Reads a key that ends in this window and has no escapes, unless nobody wants it.
    fn whole_key<'w>(&mut self, rest: &'w [u8]) -> Option<(&'w [u8], State)> {
        if self.place == Place::Elsewhere {
            return Some((after_text(rest)?, State::Colon));
        }
        let (key, after) = whole(rest)?;
        Some((after, self.key(Some(key).filter(|key| key.len() <= SHORT))))
    }

    /// Reads a text that ends in this window and has no escapes, unless nobody wants it.
    fn whole_text<'w>(&mut self, rest: &'w [u8]) -> Option<&'w [u8]> {
        let Some(member) = self.member else {
            return after_text(rest);
        };
        let (text, after) = whole(rest)?;
        self.member = None;
        match member {
            Member::Id => {
                self.id.push(text);
                self.id.end();
            }
            _ if text.len() <= SHORT => self.found.value(member, Seen::Text(text)),
            _ => self.found.value(member, Seen::LongText),
        }
        Some(after)
    }

    /// Skips a value of which nothing matters, if it ends in this window.
    fn skip<'w>(&self, rest: &'w [u8], after: impl FnOnce(&'w [u8]) -> Option<&'w [u8]>) -> Option<&'w [u8]> {
        self.member.is_none().then(|| after(rest))?
    }

    /// `tail` follows the bracket.
    fn begin(&mut self, object: bool, tail: &[u8]) -> State {
        let mut place = Place::Elsewhere;
        if let Some(member) = self.member.take() {
            if object {
                self.found.value(member, Seen::Object);
                place = member.inside();
            }
            if member == Member::Result {
                self.result.start = self.end.saturating_sub(tail.len() as u64 + 1);
            }
        }
        let depth = self.open.depth;
        if !self.open.push(object) {
            return State::Broken;
        }
        self.place = match self.places.get_mut(depth) {
            None => Place::Elsewhere,
            // The root has its place from the start.
            Some(root) if depth == 0 => *root,
            Some(inner) => {
                *inner = place;
                place
            }
        };
        if object {
            State::FirstKey
        } else {
            State::FirstValue
        }
    }

    /// `tail` follows the bracket.
    fn close(&mut self, tail: &[u8]) -> State {
        if self.place == Place::Result {
            self.result.end = Some(self.end.saturating_sub(tail.len() as u64));
        }
        let depth = self.open.pop();
        let outer = depth.checked_sub(1).and_then(|outer| self.places.get(outer));
        self.place = outer.copied().unwrap_or(Place::Elsewhere);
        if depth == 0 { State::End } else { State::Next }
    }

    fn begin_key(&mut self) {
        self.state = State::Text { key: true };
        self.want(if self.place == Place::Elsewhere {
            Wanted::Nothing
        } else {
            Wanted::Short
        });
    }

    fn end_key(&mut self) {
        if self.wanted == Wanted::Nothing {
            self.state = State::Colon;
            return;
        }
        let text = self.text.clone();
        self.state = self.key(text.get());
    }

    /// The key is this, if it is not too long to matter.
    fn key(&mut self, key: Option<&[u8]>) -> State {
        self.member = key.and_then(|key| self.place.member(key));
        match self.member {
            Some(Member::Foreign) => State::Broken,
            Some(member) if !self.found.begin(member) => State::Broken,
            // Readers that drop what is no UTF-8 could make another key of it.
            None if self.place.is_plain() && !key.is_some_and(<[u8]>::is_ascii) => State::Broken,
            Some(_) | None => State::Colon,
        }
    }

    fn begin_number(&mut self, first: u8) {
        self.want(if self.member.is_some() {
            Wanted::Short
        } else {
            Wanted::Nothing
        });
        if self.wanted != Wanted::Nothing {
            self.text.push(&[first]);
        }
        self.state = State::Number(Digits::new(first));
    }

    fn number<'w>(&mut self, window: &'w [u8], mut digits: Digits) -> &'w [u8] {
        let mut rest = window;
        while let Some((&byte, tail)) = rest.split_first() {
            let Some(next) = digits.next(byte) else {
                self.end_number(digits);
                return rest;
            };
            digits = next;
            if self.wanted != Wanted::Nothing {
                self.text.push(&[byte]);
            }
            rest = tail;
        }
        self.state = State::Number(digits);
        rest
    }

    fn end_number(&mut self, digits: Digits) {
        if !digits.is_complete() {
            self.state = State::Broken;
            return;
        }
        self.state = State::Next;
        let (Some(member), text) = (self.member.take(), self.text.get()) else {
            return;
        };
        match (member, text) {
            (Member::Id, Some(token)) => self.id.is_expected |= self.id.expected.is_number(token),
            (_, Some(token)) => self.found.value(member, Seen::Number(token)),
            (_, None) => self.found.value(member, Seen::Other),
        }
    }

    fn begin_word(&mut self, first: u8) {
        self.state = State::Word(match first {
            b't' => b"rue",
            b'f' => b"alse",
            _ => b"ull",
        });
        if let Some(member) = self.member.take()
            && first == b't'
        {
            self.found.value(member, Seen::True);
        }
    }

    fn word<'w>(&mut self, rest: &'w [u8], letters: &'static [u8]) -> &'w [u8] {
        let common = letters.iter().zip(rest).take_while(|(a, b)| a == b).count();
        let (Some(left), Some(tail)) = (letters.get(common..), rest.get(common..)) else {
            return &[];
        };
        self.state = match (left, tail) {
            ([], _) => State::Next,
            (left, []) => State::Word(left),
            _ => State::Broken,
        };
        tail
    }
}

/// A string without escapes that ends in this window, and what follows it.
fn whole(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, tail) = rest.split_at_checked(find_special(rest, 0))?;
    Some((text, tail.strip_prefix(b"\"")?))
}
