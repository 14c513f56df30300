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
mod explain;
mod guard;
mod head;
mod learned;
mod message;
mod outcome;
mod record;
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

pub use explain::{Explained, explain};
pub use record::{FIELDS, Field, Record};
pub use step::{
    BodyStep, Cause, ChunkStep, Ended, Ending, HeadStep, RateLimitCall, RateLimitReply, RequestHead,
    ResponseHead, ResponseStep, ResultStep,
};

pub use crate::http::{HeaderEdit, HeaderLines, LocalReply};
pub use crate::identity::VerifiedJwt;
pub use crate::time::UnixNanos;

use state::{Asked, Asking, Charged, Forwarded, State, Verb, Waiting, forwarded};

use crate::answer::Answers;
use crate::binding::{Owner, Secrets};
use crate::chain::{Chain, Run};
use crate::decide::{Judgement, Refusal};
use crate::identity::Caller;
use crate::mcp::call::{Object, asks_for_task};
use crate::mcp::envelope::Envelope;
use crate::mcp::revision::Era;
use crate::policy::{Mode, Policy, ServerId};
use crate::quota::Book;
use crate::reason::Reason;
use crate::schema::Advertised;
use crate::store::Store;
use crate::telemetry::{At, LimitsSaid, Measure, Measures, Text, Verdict};

/// A compiled policy and what was learned while it is in force. One per policy and thread.
#[derive(Debug)]
pub struct Engine {
    policy: Policy,
    advertised: Advertised,
    book: Book,
    limits_said: LimitsSaid,
    secrets: Secrets,
}

impl Engine {
    /// An engine for this policy, with what binds sessions and tasks to keys.
    pub fn new(policy: Policy, secrets: Secrets) -> Rc<Engine> {
        Rc::new(Engine {
            book: Book::new(&policy),
            policy,
            advertised: Advertised::new(),
            limits_said: LimitsSaid::default(),
            secrets,
        })
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its quotas and budgets.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Whose a caller's sessions and tasks on a server are.
    fn owner<'a>(&'a self, server: ServerId, caller: &'a Caller) -> Owner<'a> {
        Owner {
            server: &self.policy.server(server).name,
            key: &self.policy.key(caller.key).name,
            subject: caller.subject.as_deref(),
        }
    }

    fn open_session<'v>(&self, server: ServerId, caller: &Caller, presented: &'v [u8]) -> Option<&'v [u8]> {
        self.secrets.open_session(&self.owner(server, caller), presented)
    }

    fn tag_session(&self, server: ServerId, caller: &Caller, id: &[u8]) -> Vec<u8> {
        self.secrets.tag_session(&self.owner(server, caller), id)
    }
}

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

    /// The head of the request.
    pub fn request_head(&mut self, head: &RequestHead<'_>, store: &dyn Store, now: UnixNanos) -> HeadStep {
        let engine = Rc::clone(&self.engine);
        match head::judge(&engine, head, now, &mut self.record) {
            head::Judged::Ignore(edits) => {
                self.state = State::Finished;
                HeadStep::Ignore(edits)
            }
            head::Judged::Reply(reason, reply) => HeadStep::Reply(self.answered(reason, reply)),
            head::Judged::Accepted { edits, waiting } if head.end_of_stream => {
                self.mode = Some(waiting.caller.mode);
                match self.forward_bodiless(&waiting, store, now) {
                    None => HeadStep::Forward(edits),
                    Some(reply) => HeadStep::Reply(reply),
                }
            }
            head::Judged::Accepted { edits, waiting } => {
                self.mode = Some(waiting.caller.mode);
                self.state = State::Waiting(waiting);
                HeadStep::Await {
                    edits,
                    hold: engine.policy.hold(),
                }
            }
        }
    }

    /// The held request body has grown to this many bytes.
    pub fn request_size(&mut self, held: usize) -> Option<LocalReply> {
        let State::Waiting(_) = &self.state else {
            return None;
        };
        (held > self.engine.policy.limits().request_bytes).then(|| self.refuse_size())
    }

    /// The whole request body.
    pub fn request_body(&mut self, body: &[u8], store: &dyn Store, now: UnixNanos) -> BodyStep {
        let State::Waiting(waiting) = std::mem::replace(&mut self.state, State::Finished) else {
            return BodyStep::Reply(self.fault());
        };
        if body.len() > self.engine.policy.limits().request_bytes {
            return BodyStep::Reply(self.refuse_size());
        }
        if waiting.verb != Verb::Post {
            if !body.is_empty() {
                let answers = self.answers(Era::Legacy, None);
                let reply = answers.plain(400, Reason::Malformed, "This HTTP method takes no body.");
                return BodyStep::Reply(self.answered(Reason::Malformed, reply));
            }
            return match self.forward_bodiless(&waiting, store, now) {
                None => BodyStep::Forward(Vec::new()),
                Some(reply) => BodyStep::Reply(reply),
            };
        }
        let engine = Rc::clone(&self.engine);
        let judged = message::judge(&engine, &waiting, body, store, now, &mut ());
        self.conclude(&waiting, body, judged, store, now)
    }

    /// The request body did not arrive in time.
    pub fn request_timeout(&mut self) -> LocalReply {
        let reply = self.answers(Era::Legacy, None).plain(
            408,
            Reason::Timeout,
            "The request body did not arrive in time.",
        );
        self.answered(Reason::Timeout, reply)
    }

    /// A host call failed before the verdict.
    pub fn fault(&mut self) -> LocalReply {
        let reply =
            self.answers(Era::Legacy, None)
                .plain(500, Reason::Internal, "The request could not be judged.");
        self.answered(Reason::Internal, reply)
    }

    fn refuse_size(&mut self) -> LocalReply {
        let reply = head::too_large(&self.engine.policy);
        self.answered(Reason::TooLarge, reply)
    }

    /// Lets a request without a body go, if its verb takes none.
    fn forward_bodiless(
        &mut self,
        waiting: &Waiting,
        store: &dyn Store,
        now: UnixNanos,
    ) -> Option<LocalReply> {
        let asked = match waiting.verb {
            Verb::Get => Asked::Listen,
            Verb::Delete => Asked::End,
            Verb::Post => {
                let reply = self.answers(Era::Legacy, None).rejected(&message::empty_body());
                return Some(self.answered(Reason::Malformed, reply));
            }
        };
        self.note_would_deny(waiting.would_deny.as_ref());
        let mut forwarded = Box::new(forwarded(waiting, Era::Legacy, asked, None));
        let spared = self.spared(&mut forwarded, store, now);
        if spared.is_none() {
            self.forward(forwarded, now);
        }
        spared
    }

    /// Records the verdict on a message and carries it out.
    fn conclude(
        &mut self,
        waiting: &Waiting,
        body: &[u8],
        mut judged: message::Judged<'_>,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        judged.describe(&mut self.record);
        match judged {
            message::Judged::Rejected(rejected) => {
                let reply = self.answers(waiting.declared.era(), None).rejected(&rejected);
                self.record.detail = Some(rejected.message);
                BodyStep::Reply(self.answered(rejected.reason, reply))
            }
            message::Judged::Response { id, envelope } => {
                self.note_would_deny(waiting.would_deny.as_ref());
                let mut forwarded = forwarded(waiting, Era::Legacy, Asked::Nothing, Some(id.to_owned()));
                if let Err(reply) = self.edit(waiting, body, &envelope, &mut forwarded) {
                    return BodyStep::Reply(reply);
                }
                self.send(Box::new(forwarded), store, now)
            }
            message::Judged::Call {
                revision,
                call,
                id,
                envelope,
                judgement,
                trace,
                ..
            } => {
                if let Object::Tool { name, .. } = &call.object {
                    let server = self.engine.policy.server(waiting.server);
                    let tool = Some(&**name);
                    self.called = At { server, tool }.tool();
                    self.chain = chain_of(&self.engine, waiting, trace.as_ref());
                }
                let Judgement { refused, would_deny } = judgement;
                self.note_would_deny(waiting.would_deny.as_ref().or(would_deny.as_ref()));
                if let Some(refusal) = refused {
                    return BodyStep::Reply(self.refused(refusal, revision.era(), id));
                }
                let asked = match (id, call.known) {
                    (None, _) => Asked::Nothing,
                    (Some(_), Some(m)) => Asked::of(m),
                    (Some(_), None) => Asked::Request,
                };
                let mut forwarded = forwarded(waiting, revision.era(), asked, id.map(str::to_owned));
                if let (Object::Tool { name, .. }, Asked::Call) = (&call.object, asked) {
                    forwarded.tool = Some(Rc::from(&**name));
                }
                forwarded.may_make_task =
                    asked == Asked::Call && asks_for_task(&envelope.params, revision.era());
                if let Err(reply) = self.edit(waiting, body, &envelope, &mut forwarded) {
                    return BodyStep::Reply(reply);
                }
                self.send(Box::new(forwarded), store, now)
            }
        }
    }

    /// Has the server see what it may see of a message.
    fn edit(
        &mut self,
        waiting: &Waiting,
        body: &[u8],
        envelope: &Envelope<'_>,
        forwarded: &mut Forwarded,
    ) -> Result<(), LocalReply> {
        match edits::of(&self.engine, waiting, body, envelope) {
            Ok(edited) => {
                if forwarded.asked.fetches_result() {
                    let tool = edited.tasks.first().map(|task| Rc::from(task.tool.as_str()));
                    forwarded.tool = tool.filter(|tool: &Rc<str>| !tool.is_empty());
                }
                self.record.name_task(&edited.tasks);
                forwarded.body = edited.body;
                forwarded.tasks = edited.tasks;
                Ok(())
            }
            Err(edits::Problem::UnknownTask) => {
                let answers = self.answers(forwarded.era, forwarded.id.as_deref());
                let reply = match forwarded.asked {
                    Asked::Nothing => answers.forbidden_notification(Reason::Session),
                    _ => answers.no_such_task(),
                };
                self.record.detail = Some("a task that is not the caller's".to_owned());
                Err(self.answered(Reason::Session, reply))
            }
            Err(edits::Problem::Edit(error)) => {
                let reply = self.fault();
                self.record.detail = Some(format!("editing the body: {error}"));
                Err(reply)
            }
        }
    }

    /// Lets a message go that every check let pass, unless its server is spared or a limit is used up.
    fn send(&mut self, mut forwarded: Box<Forwarded>, store: &dyn Store, now: UnixNanos) -> BodyStep {
        if let Some(reply) = self.spared(&mut forwarded, store, now) {
            return BodyStep::Reply(reply);
        }
        match forwarded.asked {
            Asked::Call => return self.charge(forwarded, store, now),
            asked if asked.fetches_result() => forwarded.charged = self.result_of_task(&forwarded),
            _ => {}
        }
        self.go(forwarded, now)
    }

    fn go(&mut self, mut forwarded: Box<Forwarded>, now: UnixNanos) -> BodyStep {
        let body = forwarded.body.take();
        let edits = context::of_call(&self.engine.policy, &forwarded);
        self.forward(forwarded, now);
        match body {
            None => BodyStep::Forward(edits),
            Some(body) => BodyStep::Rewrite { edits, body },
        }
    }

    /// Answers what policy refuses.
    fn refused(&mut self, refusal: Refusal, era: Era, id: Option<&str>) -> LocalReply {
        let answers = self.answers(era, id);
        let reply = match id {
            Some(_) => answers.refused(refusal.reason, &refusal.telling),
            None => answers.forbidden_notification(refusal.reason),
        };
        self.record.detail = Some(refusal.detail);
        self.answered(refusal.reason, reply)
    }

    fn forward(&mut self, mut forwarded: Box<Forwarded>, now: UnixNanos) {
        forwarded.started = now;
        self.record.decision = Some(Reason::Allowed);
        self.count();
        self.state = State::Forwarded(forwarded);
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

/// The chain of a call that names a session or a trace.
fn chain_of(engine: &Engine, waiting: &Waiting, trace: Option<&[u8; 32]>) -> Option<Chain> {
    if !engine.policy.telemetry().chains {
        return None;
    }
    let server = &engine.policy.server(waiting.server).name;
    let run = match (&waiting.session, trace) {
        (Some(id), _) => Run::Session { server, id },
        (None, Some(id)) => Run::Trace(id),
        (None, None) => return None,
    };
    Some(Chain::of(&engine.policy.key(waiting.caller.key).name, run))
}
