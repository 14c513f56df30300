//! One HTTP stream: turns Envoy's callbacks into questions to the engine, and its steps into host calls.
//!
//! Three facts about Envoy shape this module:
//!
//! * A body ends with `end_of_stream` **or** with trailers, whichever comes first; a filter that only
//!   looks at the former can be bypassed with HTTP/2 trailers.
//! * Header maps are gone once their head went on; nothing here touches a header after that.
//! * What we hold by pausing, Envoy buffers: sizes are cumulative, and the buffer is ours to read and
//!   to replace, in the trailers callback too. What went on is gone, and each callback brings only
//!   what is new.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use toolgate_engine::exchange::{HeaderEdit, LocalReply, UnixNanos};
use toolgate_engine::policy::Hold;

use crate::deadlines;
use crate::exported::Exported;
use crate::host::{Direction, Host, HostResult, HostStatus, Level};
use crate::judge::Judge;
use crate::jwt::JwtClaims;
use crate::metrics;

mod asking;
mod end;
mod export;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// What a callback returns to Envoy.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// What this callback is about, and what was held before it, goes on.
    Continue,
    /// It stays here.
    Pause,
}

/// What all streams of one plugin configuration share.
#[derive(Debug, Default)]
pub struct Settings {
    /// Where `jwt_authn` left the claims; `None` when the policy does not use them.
    pub jwt: Option<JwtClaims>,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// The time at which a body is judged matters.
    pub needs_time: bool,
    /// The root context, to which calls to the rate limit service belong.
    pub root_id: u32,
    /// A body callback came while a head was held: the host has `allow_on_headers_stop_iteration`.
    pub body_callback_seen: Cell<bool>,
    /// The numbers of metrics.
    pub metrics: metrics::Ids,
    /// A failure to export the record was logged.
    pub export_failure_logged: Cell<bool>,
}

/// One HTTP stream and its verdicts.
#[derive(Debug)]
pub struct Stream<H, J> {
    host: H,
    judge: J,
    settings: Rc<Settings>,
    context_id: u32,
    this: Weak<RefCell<Self>>,
    request: RequestPhase,
    response: ResponsePhase,
    /// The latest time that is known: at first when the request's head came.
    latest: UnixNanos,
    /// Bytes of the request body in Envoy's buffer; `None` until a callback spoke of them.
    request_held: Option<usize>,
    /// Bytes of the response body in Envoy's buffer, or that were there when it was judged.
    response_held: usize,
    /// Bytes of the response body that came in windows.
    response_passed: u64,
    /// The response is Envoy's own and not a server's.
    response_foreign: bool,
    /// The last byte of the response came, or its trailers did.
    response_ended: bool,
    /// The exchange was told how it ended.
    settled: bool,
    /// The decision whose record filter state has.
    exported_decision: Option<&'static str>,
    exported: Exported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestPhase {
    /// No head yet.
    Start,
    /// Waiting for the whole body.
    Held(Hold),
    /// The body is here; waiting for the rate limit service.
    Asking(Question),
    /// The verdict let it go.
    Passing,
    /// Not ours, in both directions.
    Ignored,
    /// Answered or closed: not one more byte goes on.
    Stopped,
}

/// A call to the rate limit service that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    /// What waits for the answer.
    hold: Hold,
    token: u32,
    /// When the call should have ended, or nearly: the host's timer counts from the beginning of its round.
    due: UnixNanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResponsePhase {
    /// No head yet.
    Start,
    /// Goes on untouched.
    Passing,
    /// Waiting for the whole body.
    Held(Hold),
    /// Each window is judged.
    Streaming,
    /// A complete body of ours went out; the rest of the upstream's is dropped.
    Dropping,
    /// Our own local reply, which comes back through our own callbacks.
    Own,
    /// Closed: not one more byte goes on.
    Stopped,
}

/// A host call that failed: what it was for, and how.
struct Fault(&'static str, HostStatus);

type Outcome = Result<Flow, Fault>;

impl<H: Host + 'static, J: Judge + 'static> Stream<H, J> {
    /// A stream before its first callback. `context_id` is the one that the host gave it.
    pub fn new(host: H, judge: J, settings: Rc<Settings>, context_id: u32) -> Rc<RefCell<Self>> {
        Rc::new_cyclic(|this| {
            RefCell::new(Self {
                host,
                judge,
                settings,
                context_id,
                this: this.clone(),
                request: RequestPhase::Start,
                response: ResponsePhase::Start,
                latest: UnixNanos::default(),
                request_held: None,
                response_held: 0,
                response_passed: 0,
                response_foreign: false,
                response_ended: false,
                settled: false,
                exported_decision: None,
                exported: Exported::default(),
            })
        })
    }

    /// The request's head.
    pub fn request_headers(&mut self, end_of_stream: bool) -> Flow {
        let outcome = match self.request {
            RequestPhase::Start => self.judge_request_head(end_of_stream),
            RequestPhase::Passing | RequestPhase::Ignored => Ok(Flow::Continue),
            RequestPhase::Held(_) | RequestPhase::Asking(_) | RequestPhase::Stopped => Ok(Flow::Pause),
        };
        outcome.unwrap_or_else(|fault| self.request_fault(&fault))
    }

    /// More of the request body. While it is held, `size` counts all of it.
    pub fn request_body(&mut self, size: usize, end_of_stream: bool) -> Flow {
        let outcome = match self.request {
            RequestPhase::Held(hold) => self.hold_request_body(hold, size, end_of_stream),
            RequestPhase::Passing | RequestPhase::Ignored => Ok(Flow::Continue),
            // Going on here would not wait for the answer: Envoy would let go all that is held.
            RequestPhase::Start | RequestPhase::Asking(_) | RequestPhase::Stopped => Ok(Flow::Pause),
        };
        outcome.unwrap_or_else(|fault| self.request_fault(&fault))
    }

    /// The request's trailers: the end of its body.
    pub fn request_trailers(&mut self) -> Flow {
        let outcome = match self.request {
            RequestPhase::Held(hold) => self.judge_request_body(hold),
            RequestPhase::Passing | RequestPhase::Ignored => Ok(Flow::Continue),
            RequestPhase::Start | RequestPhase::Asking(_) | RequestPhase::Stopped => Ok(Flow::Pause),
        };
        outcome.unwrap_or_else(|fault| self.request_fault(&fault))
    }

    /// The response's head, from the upstream, from Envoy, or our own local reply.
    pub fn response_headers(&mut self, end_of_stream: bool) -> Flow {
        self.response_ended |= end_of_stream;
        let outcome = match (self.response, self.request) {
            // Not ours; or a filter in front of us answered before we saw the request.
            (ResponsePhase::Start, RequestPhase::Ignored | RequestPhase::Start) => {
                self.response = ResponsePhase::Passing;
                Ok(Flow::Continue)
            }
            // An answer before the verdict: Envoy's own (a limit, a timeout) or, with its head gone ahead, the
            // upstream's. What it answers, whoever it is, is not the body that nobody has judged: that stays here.
            (ResponsePhase::Start, RequestPhase::Held(_) | RequestPhase::Asking(_)) => {
                deadlines::forget(self.context_id);
                self.request = RequestPhase::Stopped;
                self.judge_response_head(end_of_stream)
            }
            (ResponsePhase::Start, RequestPhase::Passing) => self.judge_response_head(end_of_stream),
            (ResponsePhase::Own | ResponsePhase::Passing, _) => Ok(Flow::Continue),
            _ => Ok(Flow::Pause),
        };
        outcome.unwrap_or_else(|fault| self.response_fault(&fault))
    }

    /// More of the response body: all of it while it is held, else a window.
    pub fn response_body(&mut self, size: usize, end_of_stream: bool) -> Flow {
        self.response_ended |= end_of_stream;
        match self.response {
            ResponsePhase::Passing | ResponsePhase::Streaming | ResponsePhase::Dropping => {
                self.response_passed = self.response_passed.saturating_add(size as u64);
            }
            ResponsePhase::Start | ResponsePhase::Held(_) | ResponsePhase::Own | ResponsePhase::Stopped => {}
        }
        let outcome = match self.response {
            ResponsePhase::Passing | ResponsePhase::Own => Ok(Flow::Continue),
            ResponsePhase::Start | ResponsePhase::Stopped => Ok(Flow::Pause),
            ResponsePhase::Held(hold) => self.hold_response_body(hold, size, end_of_stream),
            ResponsePhase::Streaming => self.judge_window(size, end_of_stream),
            ResponsePhase::Dropping => self.drop_window(size),
        };
        outcome.unwrap_or_else(|fault| self.response_fault(&fault))
    }

    /// The response's trailers: the end of its body.
    pub fn response_trailers(&mut self) -> Flow {
        self.response_ended = true;
        let outcome = match self.response {
            ResponsePhase::Passing | ResponsePhase::Own | ResponsePhase::Dropping => Ok(Flow::Continue),
            ResponsePhase::Start | ResponsePhase::Stopped => Ok(Flow::Pause),
            ResponsePhase::Held(hold) => self.judge_response_body(hold, response::End::Trailers),
            ResponsePhase::Streaming => Ok(self.pass()),
        };
        outcome.unwrap_or_else(|fault| self.response_fault(&fault))
    }

    /// The wall clock; where it fails, the latest time that is known, which is close.
    fn time(&mut self) -> UnixNanos {
        if let Ok(now) = self.host.wall_clock() {
            self.latest = UnixNanos(now);
        }
        self.latest
    }

    /// Takes to Envoy's metrics what the verdict has measured.
    fn measure(&mut self) {
        metrics::report(&self.host, &self.settings.metrics, &self.judge.take_measures());
    }

    fn apply(&self, direction: Direction, edits: &[HeaderEdit]) -> Result<(), Fault> {
        for edit in edits {
            match edit {
                HeaderEdit::Remove(name) => self.host.remove_header(direction, name),
                HeaderEdit::Set(name, value) => self.host.set_header(direction, name, value),
            }
            .during("editing a header")?;
        }
        Ok(())
    }

    /// Everything that Envoy's buffer holds of a body. It must be what the callbacks announced:
    /// what is judged and what goes on are the same bytes.
    fn whole_body(&self, direction: Direction, announced: usize) -> Result<Vec<u8>, Fault> {
        let body = if announced == 0 {
            Vec::new()
        } else {
            self.host.body(direction).during("reading the body")?
        };
        if body.len() == announced {
            Ok(body)
        } else {
            Err(Fault("reading the whole body", HostStatus::INTERNAL_FAILURE))
        }
    }

    /// Answers the client instead of whatever else would have gone out; nothing more goes on.
    fn reply(&mut self, direction: Direction, reply: &LocalReply) -> Flow {
        deadlines::forget(self.context_id);
        self.measure();
        self.export();
        self.request = RequestPhase::Stopped;
        let details = format!("toolgate_{}", self.judge.reason());
        match self.host.send_local_reply(reply, &details) {
            Ok(()) => self.response = ResponsePhase::Own,
            Err(status) => {
                self.warn(&Fault("answering", status));
                self.close(direction);
            }
        }
        Flow::Pause
    }

    /// The last resort. If even this fails, everything stays paused until Envoy's timeouts end it.
    fn close(&mut self, direction: Direction) {
        deadlines::forget(self.context_id);
        self.request = RequestPhase::Stopped;
        self.response = ResponsePhase::Stopped;
        if let Err(status) = self.host.close_stream(direction) {
            self.warn(&Fault("closing the stream", status));
        }
    }

    fn warn(&self, Fault(what, status): &Fault) {
        let text = format!(
            "toolgate: context {}: {what} failed ({status:?})",
            self.context_id
        );
        self.host.log(Level::Warn, &text);
    }
}

trait During<T> {
    /// Says what a host call was for.
    fn during(self, what: &'static str) -> Result<T, Fault>;
}

impl<T> During<T> for HostResult<T> {
    fn during(self, what: &'static str) -> Result<T, Fault> {
        self.map_err(|status| Fault(what, status))
    }
}
