//! One HTTP exchange, from the request's head to the end of the response.
//!
//! The host feeds heads, bytes and time; every answer is a `#[must_use]` step that says what the
//! host must do next. An exchange that has answered or was told to ignore its request does
//! nothing more.

mod arguments;
#[cfg(test)]
mod chain_tests;
mod context;
mod edits;
mod ending;
mod engine;
mod explain;
mod guard;
mod head;
mod learned;
mod message;
mod outcome;
mod record;
mod request;
mod response;
mod state;
mod step;
mod stream;
mod tasks;
mod usage;
#[cfg(test)]
mod usage_tests;
#[cfg(test)]
mod verdict_tests;
#[cfg(test)]
mod way_back_tests;

use std::rc::Rc;

pub use engine::Engine;
pub use explain::{Explained, explain};
pub use record::{FIELDS, Field, Record};
pub use step::{
    BodyStep, Cause, ChunkStep, Ended, Ending, HeadStep, RateLimitCall, RateLimitReply, RequestHead,
    ResponseHead, ResponseStep, ResultStep,
};

pub use crate::http::{HeaderEdit, HeaderLines, LocalReply};
pub use crate::identity::VerifiedJwt;
pub use crate::time::UnixNanos;

use state::{Asked, Asking, Charged, Forwarded, State, Verb, Waiting};

use crate::answer::Answers;
use crate::chain::Chain;
use crate::decide::Refusal;
use crate::mcp::revision::Era;
use crate::policy::Mode;
use crate::reason::Reason;
use crate::telemetry::{Measure, Measures, Text, Verdict};

/// The state machine of one exchange.
#[derive(Debug)]
pub struct Exchange {
    engine: Rc<Engine>,
    state: State,
    /// What was charged when it was answered here.
    unsettled: Option<State>,
    /// The chain that its record continues when it has ended.
    chain: Option<Chain>,
    record: Record,
    /// Whether what is refused is only recorded; `None` before the caller is known.
    mode: Option<Mode>,
    /// The tool's label, if it is a call.
    called: Text,
    /// The verdict was measured.
    counted: bool,
    measures: Measures,
}

impl Exchange {
    /// An exchange that has seen nothing yet.
    pub fn new(engine: Rc<Engine>) -> Exchange {
        let record = Record {
            policy: Some(engine.policy.hash().clone()),
            ..Record::default()
        };
        Exchange {
            engine,
            state: State::New,
            unsettled: None,
            chain: None,
            record,
            mode: None,
            called: Text::Nothing,
            counted: false,
            measures: Measures::default(),
        }
    }

    /// What is known so far.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What is to be measured and was not taken yet: the verdict, as soon as there is one, once; what was charged; what
    /// came of it. There can be something after each step that decides ([`Exchange::request_head`],
    /// [`Exchange::request_size`], [`Exchange::request_body`], [`Exchange::request_timeout`],
    /// [`Exchange::rate_limit_reply`], [`Exchange::fault`], [`Exchange::response_head`]), after
    /// [`Exchange::response_chunk`], which can change the state of a breaker, and after [`Exchange::finish`]. What is not
    /// taken stays until it is.
    pub fn take_measures(&mut self) -> Vec<Measure> {
        self.measures.take()
    }

    /// Has the verdict measured, if there is one: every call, and what else is refused.
    fn count(&mut self) {
        let Some(decision) = self.record.decision.filter(|_| !self.counted) else {
            return;
        };
        self.counted = true;
        if decision == Reason::Allowed && self.called.is_nothing() {
            return;
        }
        let record = &self.record;
        let mode = match record.would_deny {
            // That of a role, too.
            Some(_) => Mode::Shadow,
            None => self.mode.unwrap_or_else(|| self.mode_of_key()),
        };
        let per_key = self.engine.policy.telemetry().per_key;
        self.measures.verdict(&Verdict {
            server: record.server.as_ref(),
            tool: &self.called,
            key: record.key.as_ref().filter(|_| per_key),
            team: record.team.as_ref(),
            reason: record
                .would_deny
                .filter(|_| decision == Reason::Allowed)
                .unwrap_or(decision),
            mode,
        });
    }

    /// The mode of the key that was refused by its head.
    fn mode_of_key(&self) -> Mode {
        let policy = &self.engine.policy;
        let key = self.record.key.as_ref().and_then(|name| policy.key_by_name(name));
        key.and_then(|key| policy.key(key).mode)
            .unwrap_or_else(|| policy.mode())
    }

    fn note_would_deny(&mut self, refusal: Option<&Refusal>) {
        if let Some(refusal) = refusal {
            self.record.would_deny = Some(refusal.reason);
            self.record.detail.get_or_insert_with(|| refusal.detail.clone());
        }
    }

    fn answers<'a>(&self, era: Era, id: Option<&'a str>) -> Answers<'a> {
        Answers {
            decision_header: self.engine.policy.decision_header(),
            era,
            id,
        }
    }

    fn answered(&mut self, reason: Reason, reply: LocalReply) -> LocalReply {
        self.record.decision = Some(reason);
        self.count();
        let ended = std::mem::replace(&mut self.state, State::Finished);
        // What was charged is settled at the end, whoever answers.
        self.unsettled = Some(ended).filter(State::settles).or(self.unsettled.take());
        reply
    }
}
