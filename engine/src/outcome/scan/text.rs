//! Texts and keys, which may be cut anywhere and spelled in escapes.

use super::{Scan, State, Wanted};
use crate::json::find_special;
use crate::outcome::found::{Member, Seen};
use crate::outcome::quote::{after_text, is_escaping};
use crate::outcome::unescape::{Unescape, simple};

impl Scan {
    pub(super) fn begin_text(&mut self) {
        self.state = State::Text { key: false };
        self.want(match self.member {
            None => Wanted::Nothing,
            Some(Member::Id) => Wanted::Id,
            Some(_) => Wanted::Short,
        });
    }

    pub(super) fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
        if wanted != Wanted::Nothing {
            self.text.clear();
            self.unescape = Unescape::new();
        }
    }

    pub(super) fn in_text<'w>(&mut self, window: &'w [u8], key: bool) -> &'w [u8] {
        if self.wanted == Wanted::Nothing {
            return self.skip_text(window, key);
        }
        let special = find_special(window, 0);
        let (plain, tail) = window.split_at_checked(special).unwrap_or((window, &[]));
        self.take(|unescape, sink| unescape.plain(plain, sink));
        match tail {
            [b'"', tail @ ..] => {
                self.end_text(key);
                tail
            }
            [b'\\', tail @ ..] => {
                self.state = State::Escape { key };
                tail
            }
            // A control character.
            [_, ..] => {
                self.state = State::Broken;
                &[]
            }
            [] => &[],
        }
    }

    /// The inside of a string that nobody wants.
    fn skip_text<'w>(&mut self, window: &'w [u8], key: bool) -> &'w [u8] {
        if let Some(tail) = after_text(window) {
            self.end_text(key);
            return tail;
        }
        if is_escaping(window) {
            self.state = State::Escape { key };
        }
        &[]
    }

    pub(super) fn escape<'w>(&mut self, rest: &'w [u8], key: bool) -> &'w [u8] {
        let Some((&letter, tail)) = rest.split_first() else {
            return rest;
        };
        self.state = match (self.wanted, letter) {
            (Wanted::Nothing, _) => State::Text { key },
            // Spelled to be read otherwise: whoever reads more closely may look.
            _ if key && self.place.is_plain() => State::Broken,
            (_, b'u') => State::Unit {
                key,
                digits: 0,
                unit: 0,
            },
            _ => match simple(letter) {
                Some(byte) => {
                    self.take(|unescape, sink| unescape.plain(&[byte], sink));
                    State::Text { key }
                }
                None => State::Broken,
            },
        };
        tail
    }

    pub(super) fn unit<'w>(&mut self, rest: &'w [u8], key: bool, digits: u8, unit: u16) -> &'w [u8] {
        let Some((&byte, tail)) = rest.split_first() else {
            return rest;
        };
        let Some(digit) = char::from(byte)
            .to_digit(16)
            .and_then(|digit| u16::try_from(digit).ok())
        else {
            self.state = State::Broken;
            return &[];
        };
        let unit = (unit << 4) | digit;
        self.state = if digits < 3 {
            State::Unit {
                key,
                digits: digits + 1,
                unit,
            }
        } else {
            self.take(|unescape, sink| unescape.unit(unit, sink));
            State::Text { key }
        };
        tail
    }

    pub(super) fn end_text(&mut self, key: bool) {
        self.take(|unescape, sink| unescape.end(sink));
        if key {
            self.end_key();
            return;
        }
        self.state = State::Next;
        match self.wanted {
            Wanted::Nothing => {}
            Wanted::Id => {
                self.id.end();
                self.member = None;
            }
            Wanted::Short => {
                // Apart, because the text is not to be copied.
                if let Some(member) = self.member.take() {
                    let seen = self.text.get().map_or(Seen::LongText, Seen::Text);
                    self.found.value(member, seen);
                }
            }
        }
    }

    /// Hands text on to who wants it.
    fn take(&mut self, read: impl FnOnce(&mut Unescape, &mut dyn FnMut(&[u8]))) {
        match self.wanted {
            Wanted::Nothing => {}
            Wanted::Short => read(&mut self.unescape, &mut |bytes| self.text.push(bytes)),
            Wanted::Id => read(&mut self.unescape, &mut |bytes| self.id.push(bytes)),
        }
    }
}
