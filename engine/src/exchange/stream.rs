//! A response stream, filtered event by event.

#[cfg(test)]
mod tests;

use super::ChunkStep;
use crate::json::{self, Value};
use crate::list::{self, Filtered};
use crate::outcome::{Outcome, Reader, Reply, is_plain_notification};
use crate::sse::{Decoder, Event, Item, PLACEHOLDER, rewrite};

/// Writes the answer to a request in place of an event of which this came.
pub(super) type Replacement<'a> = &'a dyn Fn(Outcome) -> Vec<u8>;

/// The state of one stream.
#[derive(Debug)]
pub(super) struct Stream {
    decoder: Decoder,
    watch: Watch,
}

impl Stream {
    /// A stream whose events have at most this many bytes.
    pub(super) fn new(max_event_bytes: usize) -> Stream {
        Stream {
            decoder: Decoder::new(max_event_bytes),
            watch: Watch {
                reader: Reader::new(None),
                has_request: false,
                stripped: Box::default(),
                answer: None,
                asks: false,
                event_id: false,
                dropped_return: false,
                closed: false,
                failed: false,
            },
        }
    }

    /// It is the stream of the request with this id token: it carries one response, to that.
    pub(super) fn of_request(mut self, id: &str) -> Stream {
        self.watch.reader = Reader::new(Some(id));
        self.watch.has_request = true;
        self
    }

    /// Requests of the server with these methods are left out.
    pub(super) fn without(mut self, methods: impl Iterator<Item = &'static str>) -> Stream {
        self.watch.stripped = methods.collect();
        self
    }

    /// Whether an event could not be used.
    pub(super) fn failed(&self) -> bool {
        self.watch.failed
    }

    /// What came of the request whose stream this is, as soon as that is known, and the bytes of the message that
    /// said so: 0 if that could not be used.
    pub(super) fn answer(&self) -> Option<(Outcome, u64)> {
        self.watch.answer
    }

    /// Whether the server has asked the client something.
    pub(super) fn asks_the_client(&self) -> bool {
        self.watch.asks
    }

    /// Whether the stream can be resumed behind an event.
    /// <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery>
    pub(super) fn saw_event_id(&self) -> bool {
        self.watch.event_id
    }

    /// One window: complete events go out, filtered; an incomplete one waits for its rest, and at
    /// the end of the stream is dropped, as every client would.
    ///
    /// The filter is asked about whatever could hold something that depends on who asked: lists, tasks,
    /// metadata of responses, requests, arrays. It is not asked about other responses, nor about
    /// notifications that name no task ([`is_plain_notification`]).
    ///
    /// An event that cannot be used is replaced by `replacement`, the answer to the request, and
    /// ends the stream; without one (a stream that belongs to no request), and where the request has
    /// its answer, only it is dropped.
    pub(super) fn push(
        &mut self,
        window: &[u8],
        replacement: Option<Replacement<'_>>,
        mut filter: impl FnMut(Value<'_>) -> Filtered,
    ) -> ChunkStep {
        if self.watch.closed {
            return ChunkStep::Rewrite(Vec::new());
        }
        let mut out = Output::new(window, self.decoder.pending());
        let Stream { decoder, watch } = self;
        decoder.push(window, &mut |item| {
            watch.item(item, replacement, &mut filter, &mut out);
        });
        out.step(decoder.take_spent())
    }
}

/// What is known of a stream besides its incomplete event.
#[derive(Debug)]
struct Watch {
    /// Knows the responses to the request whose stream this is.
    reader: Reader,
    /// It is the stream of a request.
    has_request: bool,
    /// Methods of requests that are left out.
    stripped: Box<[&'static str]>,
    answer: Option<(Outcome, u64)>,
    /// A request of the server has passed.
    asks: bool,
    /// The last event with an id did not take it back.
    event_id: bool,
    /// An event that was left out ended with a carriage return, whose line feed may follow.
    dropped_return: bool,
    /// The request was answered in the server's stead: nothing more goes out.
    closed: bool,
    failed: bool,
}

/// What becomes of an event.
enum Fate {
    Pass,
    /// The caller's filter knows.
    Filter,
    Rewrite(Vec<u8>),
    Drop,
    /// It cannot be used.
    Fail,
}

impl Watch {
    fn item(
        &mut self,
        item: Item<'_>,
        replacement: Option<Replacement<'_>>,
        filter: &mut impl FnMut(Value<'_>) -> Filtered,
        out: &mut Output<'_>,
    ) {
        if self.closed {
            return;
        }
        let dropped_return = std::mem::take(&mut self.dropped_return);
        let event = match item {
            Item::Other(b"\n") if dropped_return => return out.skip(),
            Item::Other(raw) => return out.same(raw),
            Item::TooLarge => return self.fail(Outcome::TooLarge, replacement, out),
            Item::Event(event) => event,
        };
        if let Some(id) = event.id {
            self.event_id = !id.is_empty();
        }
        match self.judge(&event, filter) {
            Fate::Pass | Fate::Filter => return out.same(event.raw),
            Fate::Rewrite(data) => return rewrite(&event, &data, out.different(event.raw.len())),
            Fate::Drop => out.different(0).extend_from_slice(PLACEHOLDER),
            Fate::Fail => self.fail(Outcome::Malformed, replacement, out),
        }
        self.dropped_return = event.raw.ends_with(b"\r");
    }

    fn judge(&mut self, event: &Event<'_>, filter: &mut impl FnMut(Value<'_>) -> Filtered) -> Fate {
        // An empty event only carries its id. And of notifications, which are most of a long stream,
        // none is left out or changed unless it is about a task.
        if event.data.is_empty() || is_plain_notification(&event.data) {
            return Fate::Pass;
        }
        // Clients dispatch MCP messages only from events without a name or named "message".
        let is_message = event.name.as_deref().is_none_or(|name| name == "message");
        let Ok(message) = json::parse_answer(&event.data, &list::LIMITS) else {
            return match is_message {
                true => Fate::Fail,
                // Some clients do not look at the name: to them, this could be the list that we cannot read.
                false if starts_like_message(&event.data) => Fate::Drop,
                false => Fate::Pass,
            };
        };
        match self.learn(message, is_message, event.data.len() as u64) {
            Fate::Filter => match filter(message) {
                Filtered::Unchanged => Fate::Pass,
                Filtered::Changed(data) => Fate::Rewrite(data),
                Filtered::Dropped => Fate::Drop,
            },
            fate => fate,
        }
    }

    /// Whether a message may come at all, and what it says about the request. Of an array, which is
    /// no message of a revision that is spoken here, all goes or nothing.
    fn learn(&mut self, message: Value<'_>, is_message: bool, bytes: u64) -> Fate {
        let batch = message.as_array();
        let mut plain = batch.is_none();
        let mut own = None;
        let elements = batch.into_iter().flat_map(|batch| batch.elements());
        for message in elements.chain(batch.is_none().then_some(message)) {
            let look = self.reader.look(message);
            plain &= look.plain_response;
            if !look.plain_response && self.is_stripped(message) {
                return Fate::Drop;
            }
            let request = || message.get("method").is_some() && message.get("id").is_some();
            self.asks |= !look.plain_response && request();
            match look.reply {
                _ if !self.has_request => {}
                Reply::None => {}
                // It has its answer: what else looks like one is not for this request.
                _ if self.answer.is_some() => return Fate::Drop,
                Reply::Foreign => {}
                Reply::Own(_) if own.is_some() => return Fate::Fail,
                Reply::Own(outcome) => own = Some(outcome),
            }
        }
        if let (Some(outcome), true) = (own, is_message) {
            self.answer = Some((outcome, bytes));
        }
        if plain { Fate::Pass } else { Fate::Filter }
    }

    fn is_stripped(&self, message: Value<'_>) -> bool {
        if self.stripped.is_empty() {
            return false;
        }
        let method = message.get("method").and_then(|method| method.as_str());
        method.is_some_and(|method| self.stripped.contains(&&*method)) && message.get("id").is_some()
    }

    /// An event cannot be used.
    fn fail(&mut self, outcome: Outcome, replacement: Option<Replacement<'_>>, out: &mut Output<'_>) {
        self.failed = true;
        let out = out.different(PLACEHOLDER.len());
        match replacement {
            Some(answer) if self.answer.is_none() => {
                out.extend_from_slice(b"event: message\ndata: ");
                out.extend_from_slice(&answer(outcome));
                out.extend_from_slice(b"\n\n");
                self.closed = true;
                self.answer = Some((outcome, 0));
            }
            _ => out.extend_from_slice(PLACEHOLDER),
        }
    }
}

/// An object or an array, perhaps behind a byte order mark.
pub(super) fn starts_like_message(data: &[u8]) -> bool {
    let first = data.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[' | 0xef))
}

/// What goes out for one window, not copied as long as it is what was held, if anything, and then the window itself.
struct Output<'w> {
    window: &'w [u8],
    /// Bytes of earlier windows that were held when this one came.
    held: usize,
    /// They go out as they are.
    front: bool,
    /// So many bytes of the window go out as they are, after those.
    same: usize,
    /// Everything that goes out after `front`, once that differs.
    copy: Option<Vec<u8>>,
}

impl<'w> Output<'w> {
    fn new(window: &'w [u8], held: usize) -> Self {
        Output {
            window,
            held,
            front: false,
            same: 0,
            copy: None,
        }
    }

    /// Appends bytes of the stream, which usually are the next ones of the window.
    fn same(&mut self, bytes: &[u8]) {
        if self.copy.is_none() && (self.is_next(bytes) || self.is_first(bytes)) {
            return;
        }
        self.different(bytes.len()).extend_from_slice(bytes);
    }

    fn is_next(&mut self, bytes: &[u8]) -> bool {
        let end = self.same + bytes.len();
        let next = self.window.get(self.same..end);
        let is_next = next.is_some_and(|next| std::ptr::eq(next, bytes) || (next.len() < 4 && next == bytes));
        if is_next {
            self.same = end;
        }
        is_next
    }

    /// Whether it is what was held and then the start of the window.
    fn is_first(&mut self, bytes: &[u8]) -> bool {
        let Some((_, rest)) = bytes.split_at_checked(self.held) else {
            return false;
        };
        let is_first = self.same == 0 && self.held > 0 && !self.front && self.window.starts_with(rest);
        if is_first {
            self.front = true;
            self.same = rest.len();
        }
        is_first
    }

    /// Leaves out bytes of the stream.
    fn skip(&mut self) {
        self.different(0);
    }

    /// Where to append about `more` bytes that are not the next ones of the window.
    fn different(&mut self, more: usize) -> &mut Vec<u8> {
        let (same, rest) = self.window.split_at_checked(self.same).unwrap_or_default();
        self.copy.get_or_insert_with(|| {
            let mut copy = Vec::with_capacity(same.len() + more + rest.len());
            copy.extend_from_slice(same);
            copy
        })
    }

    /// `spent` begins with what was held.
    fn step(self, mut spent: Vec<u8>) -> ChunkStep {
        spent.truncate(if self.front { self.held } else { 0 });
        match self.copy {
            Some(copy) if spent.is_empty() => ChunkStep::Rewrite(copy),
            Some(copy) => {
                spent.extend_from_slice(&copy);
                ChunkStep::Rewrite(spent)
            }
            None if spent.is_empty() && self.same == self.window.len() => ChunkStep::Keep,
            None => ChunkStep::Splice {
                front: spent,
                keep: self.same,
            },
        }
    }
}
