//! The way there: what is refused, and what goes on and in which form.

use std::rc::Rc;

use super::state::{Asked, Forwarded, State, Verb, Waiting, forwarded};
use super::{
    BodyStep, Engine, Exchange, HeadStep, LocalReply, RequestHead, UnixNanos, context, edits, head, message,
};
use crate::chain::{Chain, Run};
use crate::decide::{Judgement, Refusal};
use crate::mcp::call::{Object, asks_for_task};
use crate::mcp::envelope::Envelope;
use crate::mcp::revision::Era;
use crate::reason::Reason;
use crate::store::Store;
use crate::telemetry::At;

impl Exchange {
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
            message::Judged::Call(called) => self.conclude_call(waiting, body, called, store, now),
        }
    }

    fn conclude_call(
        &mut self,
        waiting: &Waiting,
        body: &[u8],
        called: message::Called<'_>,
        store: &dyn Store,
        now: UnixNanos,
    ) -> BodyStep {
        let message::Called {
            revision,
            call,
            id,
            envelope,
            judgement,
            trace,
            ..
        } = called;
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
        forwarded.may_make_task = asked == Asked::Call && asks_for_task(&envelope.params, revision.era());
        if let Err(reply) = self.edit(waiting, body, &envelope, &mut forwarded) {
            return BodyStep::Reply(reply);
        }
        self.send(Box::new(forwarded), store, now)
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

    pub(super) fn go(&mut self, mut forwarded: Box<Forwarded>, now: UnixNanos) -> BodyStep {
        let body = forwarded.body.take();
        let edits = context::of_call(&self.engine.policy, &forwarded);
        self.forward(forwarded, now);
        match body {
            None => BodyStep::Forward(edits),
            Some(body) => BodyStep::Rewrite { edits, body },
        }
    }

    /// Answers what policy refuses.
    pub(super) fn refused(&mut self, refusal: Refusal, era: Era, id: Option<&str>) -> LocalReply {
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
