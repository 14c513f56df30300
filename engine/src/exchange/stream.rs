//! A response stream, filtered event by event.

use super::ChunkStep;
use crate::json::{self, Value};
use crate::list::{self, Filtered};
use crate::sse::{Decoder, Event, Item, PLACEHOLDER, rewrite};

/// The state of one stream.
#[derive(Debug)]
pub(super) struct Stream {
    decoder: Decoder,
    /// The request was answered in the server's stead: nothing more goes out.
    closed: bool,
    failed: bool,
}

impl Stream {
    /// A stream whose events have at most this many bytes.
    pub(super) fn new(max_event_bytes: usize) -> Stream {
        Stream {
            decoder: Decoder::new(max_event_bytes),
            closed: false,
            failed: false,
        }
    }

    /// Whether an event could not be used.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// One window: complete events go out, filtered; an incomplete one waits for its rest, and at
    /// the end of the stream is dropped, as every client would.
    ///
    /// An event that cannot be used is replaced by `replacement`, the answer to the request, and
    /// ends the stream; without one (a stream that belongs to no request) only it is dropped.
    pub(super) fn push(
        &mut self,
        window: &[u8],
        replacement: Option<&[u8]>,
        mut filter: impl FnMut(Value<'_>) -> Filtered,
    ) -> ChunkStep {
        if self.closed {
            return ChunkStep::Rewrite(Vec::new());
        }
        let mut out = Vec::with_capacity(window.len());
        let (mut closed, mut failed) = (false, self.failed);
        self.decoder.push(window, &mut |item| {
            if closed {
                return;
            }
            let usable = match &item {
                Item::Other(raw) => {
                    out.extend_from_slice(raw);
                    true
                }
                Item::TooLarge => false,
                Item::Event(event) => pass_event(event, &mut filter, &mut out),
            };
            if usable {
                return;
            }
            failed = true;
            match replacement {
                Some(answer) => {
                    out.extend_from_slice(b"event: message\ndata: ");
                    out.extend_from_slice(answer);
                    out.extend_from_slice(b"\n\n");
                    closed = true;
                }
                None => out.extend_from_slice(PLACEHOLDER),
            }
        });
        (self.closed, self.failed) = (closed, failed);
        if out == window {
            ChunkStep::Keep
        } else {
            ChunkStep::Rewrite(out)
        }
    }
}

/// Writes an event out; `false` if it cannot be used.
fn pass_event(event: &Event<'_>, filter: &mut impl FnMut(Value<'_>) -> Filtered, out: &mut Vec<u8>) -> bool {
    // Clients dispatch MCP messages only from events without a name or named "message"; an empty
    // one only carries its id.
    let is_message = event.name.as_deref().is_none_or(|name| name == "message");
    if event.data.is_empty() {
        out.extend_from_slice(event.raw);
        return true;
    }
    match json::parse_answer(&event.data, &list::LIMITS) {
        Ok(message) => {
            match filter(message) {
                Filtered::Unchanged => out.extend_from_slice(event.raw),
                Filtered::Changed(data) => rewrite(event, &data, out),
            }
            true
        }
        // Some clients do not look at the name: to them, this could be the list that we cannot read.
        Err(_) if !is_message => {
            let harmless = !starts_like_message(&event.data);
            out.extend_from_slice(if harmless { event.raw } else { PLACEHOLDER });
            true
        }
        Err(_) => false,
    }
}

/// An object or an array, perhaps behind a byte order mark.
fn starts_like_message(data: &[u8]) -> bool {
    let first = data.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[' | 0xef))
}
