//! Server-sent events, read and rewritten incrementally, as the
//! [WHATWG standard](https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)
//! has it.
//!
//! The stream is cut into blocks, each ending with its blank line. A block with data is an event;
//! all others (comments, lone `id` or `retry` lines, extra blank lines) dispatch nothing in a
//! client and travel as they are. What is never completed by a blank line is never handed out: a
//! client would discard it too. Do not forward it either: not every client follows the standard.
//!
//! A byte order mark counts at the very start of the stream only. Whoever removes an event puts
//! [`PLACEHOLDER`] in its place (or an event of their own, for one that was too large), so that a
//! later block cannot become the start of the stream and a mark in front of it come to be skipped.

mod block;
mod rewrite;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use block::Ends;
use memchr::memchr2;
use std::borrow::Cow;

pub use rewrite::rewrite;

/// What to send instead of an event that is removed: an empty comment.
pub const PLACEHOLDER: &[u8] = b":\n\n";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A block with at least one `data` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The block as received, its blank line included.
    pub raw: &'a [u8],
    /// The last `event` line; `None` if absent or empty, which both mean `message`. Invalid UTF-8
    /// is replaced by U+FFFD, as clients do.
    pub name: Option<Cow<'a, str>>,
    /// The `data` lines joined with LF. Need not be UTF-8: clients replace what is not by U+FFFD.
    pub data: Cow<'a, [u8]>,
    /// The last `id` line without U+0000; present and empty resets the client's last event id.
    pub id: Option<&'a [u8]>,
}

/// One piece of the stream. The raw bytes of all of them, in order, are the stream up to its last
/// complete block, except for oversized blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An event.
    Event(Event<'a>),
    /// Bytes that make no client dispatch anything: to be passed on.
    Other(&'a [u8]),
    /// A block exceeded the bound. It is skipped to its end; then decoding resumes.
    TooLarge,
}

/// An incremental decoder that holds at most one incomplete block.
#[derive(Clone, Debug)]
pub struct Decoder {
    max_event_bytes: usize,
    /// The start of the current block, from earlier windows.
    held: Vec<u8>,
    /// What was held when the last window came, and what that completed of its block.
    spent: Vec<u8>,
    /// Where the lines of the current block end.
    ends: Ends,
    /// Still within what may be a byte order mark at the start of the stream.
    at_start: bool,
    /// The current line has at least one byte so far.
    in_line: bool,
    /// The current block is too large and being skipped.
    skipping: bool,
    last: Last,
}

/// What the window before ended with, for a line feed at the start of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Not with a carriage return.
    Other,
    /// With a carriage return that ended a line within the current block.
    LineEnd,
    /// With one that ended a block, which was handed out without waiting for what follows.
    BlockEnd,
    /// With one that ended a skipped block.
    SkippedEnd,
}

impl Decoder {
    /// `max_event_bytes` bounds a block without its blank line.
    pub const fn new(max_event_bytes: usize) -> Self {
        Decoder {
            max_event_bytes,
            held: Vec::new(),
            spent: Vec::new(),
            ends: Ends::new(),
            at_start: true,
            in_line: false,
            skipping: false,
            last: Last::Other,
        }
    }

    /// Bytes held of an incomplete block. What is still held when the stream ends is no event.
    pub fn pending(&self) -> usize {
        self.held.len()
    }

    /// What was held when the last window came, and then as much of that window as completed the block: the block as it
    /// was handed out. Empty if nothing was held. Whoever does not take it has it kept until the next window.
    pub fn take_spent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spent)
    }

    /// Reads the next window of the stream, of any size, and hands out what it completes. Events
    /// within one window are not copied.
    pub fn push(&mut self, window: &[u8], sink: &mut dyn FnMut(Item<'_>)) {
        self.spent = Vec::new();
        let window = if self.at_start {
            self.skip_mark(window, sink)
        } else {
            window
        };
        if window.is_empty() {
            return;
        }
        let window = self.skip_line_feed(window, sink);
        let mut start = 0;
        let mut pos = 0;
        while let Some(line) = self.next_line(window, pos) {
            pos = line.end;
            self.ends.push(self.held.len() + pos - start);
            if !line.blank {
                continue;
            }
            let block = window.get(start..pos).unwrap_or(&[]);
            self.finish(block, block.len() - line.terminator, sink);
            if line.may_continue {
                self.last = if self.skipping {
                    Last::SkippedEnd
                } else {
                    Last::BlockEnd
                };
            }
            self.skipping = false;
            start = pos;
        }
        self.hold(window.get(start..).unwrap_or(&[]), sink);
    }

    /// Hands out a byte order mark on its own; holds a part of one until it is decided.
    fn skip_mark<'w>(&mut self, window: &'w [u8], sink: &mut dyn FnMut(Item<'_>)) -> &'w [u8] {
        let expected = BYTE_ORDER_MARK.get(self.held.len()..).unwrap_or(&[]);
        let matching = expected.iter().zip(window).take_while(|(a, b)| a == b).count();
        let (mark, rest) = window.split_at_checked(matching).unwrap_or((window, &[]));
        if matching == expected.len() {
            self.at_start = false;
            self.release();
            sink(Item::Other(BYTE_ORDER_MARK));
            return rest;
        }
        self.held.extend_from_slice(mark);
        if !rest.is_empty() {
            self.at_start = false;
            self.in_line = !self.held.is_empty();
        }
        rest
    }

    /// A line feed that completes a CRLF whose carriage return ended the window before.
    fn skip_line_feed<'w>(&mut self, window: &'w [u8], sink: &mut dyn FnMut(Item<'_>)) -> &'w [u8] {
        let last = std::mem::replace(&mut self.last, Last::Other);
        let Some(rest) = window.strip_prefix(b"\n") else {
            return window;
        };
        match last {
            Last::Other => return window,
            Last::LineEnd => {
                self.ends.lengthen();
                self.hold(b"\n", sink);
            }
            Last::BlockEnd => sink(Item::Other(b"\n")),
            Last::SkippedEnd => {}
        }
        rest
    }

    /// The line that ends first at or after `pos`; `None` if none does in this window.
    fn next_line(&mut self, window: &[u8], pos: usize) -> Option<Line> {
        let rest = window.get(pos..)?;
        let Some(len) = memchr2(b'\r', b'\n', rest) else {
            self.in_line |= !rest.is_empty();
            return None;
        };
        let blank = len == 0 && !self.in_line;
        self.in_line = false;
        let carriage_return = rest.get(len) == Some(&b'\r');
        let pair = carriage_return && rest.get(len + 1) == Some(&b'\n');
        let terminator = if pair { 2 } else { 1 };
        let end = pos + len + terminator;
        let may_continue = carriage_return && end == window.len() && !pair;
        if may_continue && !blank {
            self.last = Last::LineEnd;
        }
        Some(Line {
            end,
            terminator,
            blank,
            may_continue,
        })
    }

    /// The current block ends with `block`, of which `size` bytes count against the bound.
    fn finish(&mut self, block: &[u8], size: usize, sink: &mut dyn FnMut(Item<'_>)) {
        if self.skipping {
            // Has been told.
        } else if self.held.len() + size > self.max_event_bytes {
            self.skipping = true;
            sink(Item::TooLarge);
        } else if self.held.is_empty() {
            sink(block::classify(block, &self.ends));
        } else {
            self.held.extend_from_slice(block);
            sink(block::classify(&self.held, &self.ends));
        }
        self.release();
    }

    /// Keeps the rest of a window until its block is complete or too large.
    fn hold(&mut self, rest: &[u8], sink: &mut dyn FnMut(Item<'_>)) {
        if self.skipping {
            return;
        }
        if self.held.len() + rest.len() > self.max_event_bytes {
            self.skipping = true;
            self.release();
            sink(Item::TooLarge);
        } else {
            self.held.extend_from_slice(rest);
        }
    }

    fn release(&mut self) {
        self.ends.clear();
        if !self.held.is_empty() {
            self.spent = std::mem::take(&mut self.held);
        }
    }
}

/// A line that ends within the window.
struct Line {
    /// Where the next line starts.
    end: usize,
    /// Bytes of its line end: 1 or 2.
    terminator: usize,
    blank: bool,
    /// It ends with a carriage return at the end of the window: a line feed may follow.
    may_continue: bool,
}
