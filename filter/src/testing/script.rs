//! Scripted verdicts.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use toolgate_engine::exchange::{
    BodyStep, ChunkStep, Ended, Ending, HeadStep, LocalReply, RateLimitReply, RequestHead, ResponseHead,
    ResponseStep, ResultStep, UnixNanos,
};
use toolgate_engine::policy::Hold;
use toolgate_engine::store::Store;
use toolgate_engine::telemetry::Measure;

use crate::judge::Judge;

/// Verdicts as written down beforehand.
pub(crate) struct Script {
    pub(crate) head: HeadStep,
    pub(crate) max_request: usize,
    pub(crate) body: BodyStep,
    pub(crate) response: ResponseStep,
    pub(crate) max_result: usize,
    pub(crate) too_large: ResultStep,
    pub(crate) result: ResultStep,
    pub(crate) chunk: fn(&[u8]) -> ChunkStep,
    /// The reason once the response was asked about.
    pub(crate) response_reason: &'static str,
    /// What was asked, in order.
    pub(crate) asked: Rc<RefCell<Vec<String>>>,
    /// The steps after answers of the rate limit service, in order; then it is a refusal.
    pub(crate) after_replies: Vec<BodyStep>,
    /// The time of each question about a body, a response or such an answer, and of the end.
    pub(crate) times: Rc<RefCell<Vec<u64>>>,
    /// After which questions it was asked what is to be measured.
    pub(crate) measured: Rc<RefCell<Vec<String>>>,
    pub(crate) settles: bool,
    /// Whether it wants to know how it ended.
    pub(crate) asks_ending: bool,
    pub(crate) endings: Rc<RefCell<Vec<Ended>>>,
}

impl Default for Script {
    fn default() -> Self {
        Script {
            head: HeadStep::Await {
                edits: Vec::new(),
                hold: Hold::Headers,
            },
            max_request: 1000,
            body: BodyStep::Forward(Vec::new()),
            response: ResponseStep::Pass(Vec::new()),
            max_result: 1000,
            too_large: ResultStep::Keep,
            result: ResultStep::Keep,
            chunk: |_| ChunkStep::Keep,
            response_reason: "reason",
            asked: Rc::default(),
            after_replies: Vec::new(),
            times: Rc::default(),
            measured: Rc::default(),
            settles: false,
            asks_ending: true,
            endings: Rc::default(),
        }
    }
}

impl Script {
    fn ask(&self, what: String) {
        self.asked.borrow_mut().push(what);
    }
}

pub(crate) fn reply(status: u16) -> LocalReply {
    LocalReply {
        status,
        headers: vec![("x-own".into(), "1".into())],
        body: b"no".to_vec(),
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

impl Judge for Script {
    fn request_head(&mut self, head: &RequestHead<'_>, _store: &dyn Store, _now: UnixNanos) -> HeadStep {
        self.ask(format!(
            "head end={} jwt={}",
            head.end_of_stream,
            head.jwt.is_some()
        ));
        self.head.clone()
    }
    fn request_size(&mut self, held: usize) -> Option<LocalReply> {
        (held > self.max_request).then(|| reply(413))
    }
    fn request_body(&mut self, body: &[u8], _store: &dyn Store, now: UnixNanos) -> BodyStep {
        self.ask(format!("body {}", text(body)));
        self.times.borrow_mut().push(now.0);
        self.body.clone()
    }
    fn rate_limit_reply(
        &mut self,
        answer: &RateLimitReply<'_>,
        _store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        self.ask(match answer {
            RateLimitReply::Answer(message) => format!("answer {}", text(message)),
            other => format!("{other:?}"),
        });
        self.times.borrow_mut().push(now.0);
        if self.after_replies.is_empty() {
            BodyStep::Reply(reply(429))
        } else {
            self.after_replies.remove(0)
        }
    }
    fn request_timeout(&mut self) -> LocalReply {
        self.ask("timeout".into());
        reply(408)
    }
    fn response_head(&mut self, head: &ResponseHead<'_>, now: UnixNanos) -> ResponseStep {
        self.times.borrow_mut().push(now.0);
        self.ask(format!("response end={}", head.end_of_stream));
        self.response.clone()
    }
    fn response_size(&mut self, held: usize) -> Option<ResultStep> {
        (held > self.max_result).then(|| self.too_large.clone())
    }
    fn response_body(&mut self, body: &[u8], _store: &dyn Store, now: UnixNanos) -> ResultStep {
        self.times.borrow_mut().push(now.0);
        self.ask(format!("result {}", text(body)));
        self.result.clone()
    }
    fn response_chunk(&mut self, window: &[u8], _store: &dyn Store, now: UnixNanos) -> ChunkStep {
        self.times.borrow_mut().push(now.0);
        self.ask(format!("chunk {}", text(window)));
        (self.chunk)(window)
    }
    fn fault(&mut self) -> LocalReply {
        self.ask("fault".into());
        reply(500)
    }
    fn settles(&self) -> bool {
        self.settles
    }
    fn finish(&mut self, ending: &dyn Ending, _store: &dyn Store, now: UnixNanos) {
        self.ask("finish".into());
        self.times.borrow_mut().push(now.0);
        if self.asks_ending {
            self.endings.borrow_mut().push(Ended {
                result_bytes: ending.result_bytes(),
                reached: ending.reached(),
                cause: ending.cause(),
            });
        }
    }
    fn take_measures(&mut self) -> Vec<Measure> {
        let last = self.asked.borrow().last().cloned();
        self.measured.borrow_mut().extend(last);
        Vec::new()
    }
    fn reason(&self) -> &'static str {
        let about_response = self
            .asked
            .borrow()
            .last()
            .is_some_and(|asked| asked.starts_with("response"));
        if about_response {
            self.response_reason
        } else {
            "reason"
        }
    }
    fn fields(&self, field: &mut dyn FnMut(&'static str, &[u8])) {
        let asked = self.asked.borrow();
        let last = asked.last().cloned().unwrap_or_default();
        field("toolgate.constant", b"c");
        field("toolgate.last", last.as_bytes());
    }
}
