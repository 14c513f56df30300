//! The way back: which answers pass, which are filtered, which cannot be used.

mod head;

use head::{Action, bind_session, body_edits, is_success, judge_head, stamp, status, unstamp};

use super::stream::{Replacement, Stream, starts_like_message};
use super::tasks;
use super::{
    Asked, ChunkStep, Engine, Exchange, Forwarded, HeaderEdit, LocalReply, ResponseHead, ResponseStep,
    ResultStep, State, UnixNanos,
};
use crate::answer::Answers;
use crate::binding::tasks::Rewritten;
use crate::decide::item_access;
use crate::json::{self, Kind, Value};
use crate::list::{self, Filtered, Keep};
use crate::mcp::method::List;
use crate::mcp::revision::Era;
use crate::outcome::{self, Outcome, Reply};
use crate::policy::{Hold, Schemas};
use crate::reason::Reason;
use crate::store::Store;

impl Exchange {
    /// The head of the response, whoever wrote it.
    pub fn response_head(&mut self, head: &ResponseHead<'_>, now: UnixNanos) -> ResponseStep {
        let engine = std::rc::Rc::clone(&self.engine);
        let policy = engine.policy();
        let (decision_header, hold) = (policy.decision_header(), policy.hold());
        let result_bytes = policy.limits().result_bytes;
        let forwarded = match &mut self.state {
            State::Forwarded(forwarded) => forwarded,
            // The body is still here. Whoever refuses the request without it may do so; but nobody can have served it.
            State::Waiting(_) | State::Asking(_) if is_success(head) => {
                let reply = self.upstream_fault(Outcome::Malformed, "it came before the request had arrived");
                return ResponseStep::Replace(reply);
            }
            State::Waiting(_) | State::Asking(_) => return ResponseStep::Pass(unstamp(head)),
            State::New | State::Finished => return ResponseStep::Pass(Vec::new()),
        };
        forwarded.learned.head(status(head), now);
        let mut edits = stamp(head, decision_header);
        if let Some((session, edit)) = bind_session(&engine, head, forwarded) {
            self.record.session = self.record.session.take().or(session);
            edits.push(edit);
        }
        let action = match judge_head(head, forwarded, result_bytes) {
            Ok(action) => action,
            Err((outcome, fault)) => {
                forwarded.learned.useless(outcome);
                let reply = self.upstream_fault(outcome, fault);
                return ResponseStep::Replace(reply);
            }
        };
        match action {
            Action::Pass => ResponseStep::Pass(edits),
            Action::Read => {
                forwarded.learned.read(forwarded.id.as_deref());
                ResponseStep::Stream(edits)
            }
            Action::Stream => {
                forwarded.stream = Some(stream_for(&engine, forwarded));
                edits.extend(body_edits(head, true));
                ResponseStep::Stream(edits)
            }
            Action::Await => {
                edits.extend(body_edits(head, hold == Hold::Body));
                ResponseStep::Await { edits, hold }
            }
        }
    }

    /// The held response body has grown to this many bytes.
    pub fn response_size(&mut self, held: usize) -> Option<ResultStep> {
        let limit = self.engine.policy().limits().result_bytes;
        (held > limit).then(|| self.unusable(Outcome::TooLarge, TOO_LARGE))
    }

    /// The whole held response body.
    pub fn response_body(&mut self, body: &[u8], store: &dyn Store, now: UnixNanos) -> ResultStep {
        if let Some(step) = self.response_size(body.len()) {
            return step;
        }
        let engine = std::rc::Rc::clone(&self.engine);
        let State::Forwarded(forwarded) = &mut self.state else {
            return self.unusable(Outcome::Malformed, "it came unasked");
        };
        let refused = forwarded.learned.refused();
        let Ok(message) = json::parse_answer(body, &list::LIMITS) else {
            // What a refusal says in words of its own is for whoever reads them. But what looks like a message may be a list
            // to a client that reads less strictly.
            let why = "it is not valid JSON";
            return match refused {
                Some(_) if !starts_like_message(body) => ResultStep::Keep,
                // What came of the request is what its status says.
                Some(_) => self.replaced(Outcome::Malformed, why),
                None => self.unusable(Outcome::Malformed, why),
            };
        };
        let outcome = match outcome::reply(message, forwarded.id.as_deref()) {
            Reply::Own(outcome) => outcome,
            // Some clients take it all the same.
            Reply::Foreign => Outcome::Malformed,
            Reply::None if refused.is_some() => Outcome::Malformed,
            Reply::None => return self.unusable(Outcome::Malformed, "it is not a JSON-RPC response"),
        };
        if refused.is_none() && !answers(forwarded.asked, message) {
            return self.unusable(Outcome::Malformed, "it is not a list");
        }
        // What comes with a refusal is an error or nothing.
        if refused.is_none_or(|status| status < 500 && matches!(outcome, Outcome::RpcError(_))) {
            forwarded.learned.answer(outcome, body.len() as u64, now);
        }
        match filter_message(&engine, forwarded, message, store) {
            Filtered::Unchanged => ResultStep::Keep,
            Filtered::Dropped => self.unusable(Outcome::Malformed, "it came unasked"),
            Filtered::Changed(body) => {
                let edits = match engine.policy().hold() {
                    Hold::Headers => {
                        let length = body.len().to_string().into_bytes();
                        vec![HeaderEdit::Set("content-length".to_owned(), length)]
                    }
                    Hold::Body => Vec::new(),
                };
                ResultStep::Rewrite { edits, body }
            }
        }
    }

    /// One window of a streamed response body.
    pub fn response_chunk(&mut self, window: &[u8], store: &dyn Store, now: UnixNanos) -> ChunkStep {
        let engine = std::rc::Rc::clone(&self.engine);
        let State::Forwarded(forwarded) = &mut self.state else {
            return ChunkStep::Rewrite(Vec::new());
        };
        if let Some(reader) = &mut forwarded.learned.reader {
            reader.push(window);
            forwarded.learned.latest = Some(now);
            return ChunkStep::Keep;
        }
        let Some(mut stream) = forwarded.stream.take() else {
            return ChunkStep::Rewrite(Vec::new());
        };
        let forwarded: &Forwarded = forwarded;
        let bytes = engine.policy.limits().result_bytes;
        let fault = |outcome| stream_fault(forwarded, outcome, bytes);
        let replacement: Option<Replacement<'_>> = (forwarded.asked != Asked::Listen).then_some(&fault);
        let step = stream.push(window, replacement, |message| {
            filter_message(&engine, forwarded, message, store)
        });
        if stream.failed() {
            self.record.decision = Some(Reason::Upstream);
        }
        self.take_stream_in(stream, store, now);
        step
    }

    /// Learns what a stream has shown so far.
    fn take_stream_in(&mut self, stream: Stream, store: &dyn Store, now: UnixNanos) {
        let State::Forwarded(mut forwarded) = std::mem::replace(&mut self.state, State::Finished) else {
            return;
        };
        let answer = stream.answer();
        // Before the report, which asks it whether the client was asked.
        forwarded.stream = Some(stream);
        if let Some((outcome, bytes)) = answer
            && forwarded.learned.known().is_none()
            && forwarded.learned.refused().is_none()
        {
            forwarded.learned.answer(outcome, bytes, now);
            // The stream may stay open for long.
            let took = now.since(forwarded.started);
            self.report(&mut forwarded, Some((outcome, took)), store, now);
        }
        self.state = State::Forwarded(forwarded);
    }

    /// The answer cannot be used; the head may be gone already.
    fn unusable(&mut self, outcome: Outcome, why: &str) -> ResultStep {
        if let State::Forwarded(forwarded) = &mut self.state {
            forwarded.learned.useless(outcome);
        }
        self.replaced(outcome, why)
    }

    /// Something else goes out in place of an answer that cannot be used.
    fn replaced(&mut self, outcome: Outcome, why: &str) -> ResultStep {
        let hold = self.engine.policy().hold();
        let reply = self.upstream_fault(outcome, why);
        match hold {
            Hold::Headers => ResultStep::Replace(reply),
            Hold::Body => ResultStep::Rewrite {
                edits: Vec::new(),
                body: reply.body,
            },
        }
    }

    fn upstream_fault(&mut self, outcome: Outcome, why: &str) -> LocalReply {
        let limit = self.engine.policy().limits().result_bytes;
        let (era, id, is_call) = match &self.state {
            State::Forwarded(f) => (f.era, f.id.clone(), f.asked.is_tool_result()),
            State::New | State::Waiting(_) | State::Asking(_) | State::Finished => (Era::Legacy, None, false),
        };
        let reply = self
            .answers(era, id.as_deref())
            .upstream_fault(is_call, &fault_text(outcome, why, limit));
        self.record.detail = Some(format!("the server's answer was refused: {why}"));
        self.answered(Reason::Upstream, reply)
    }
}

const TOO_LARGE: &str = "it is too large";

/// Whether a result has the shape that was asked for, as far as filtering depends on it: a list
/// that is none cannot be filtered. An error always answers.
fn answers(asked: Asked, message: Value<'_>) -> bool {
    let (Asked::List(list), Some(result)) = (asked, message.get("result")) else {
        return true;
    };
    let items = result.get(list.member()).map_or(Kind::Null, |items| items.kind());
    result.kind() == Kind::Object && matches!(items, Kind::Array | Kind::Null)
}

fn fault_text(outcome: Outcome, why: &str, limit: usize) -> String {
    match outcome {
        Outcome::TooLarge => format!(
            "The server's answer could not be used: it is too large, more than {limit} bytes. Ask for less at once."
        ),
        _ => format!("The server's answer could not be used: {why}. Try again later."),
    }
}

/// What a request's stream carries in place of an event that cannot be used.
fn stream_fault(forwarded: &Forwarded, outcome: Outcome, limit: usize) -> Vec<u8> {
    let answers = Answers {
        decision_header: false,
        era: forwarded.era,
        id: forwarded.id.as_deref(),
    };
    let text = fault_text(outcome, "an event is not valid JSON", limit);
    answers
        .upstream_fault(forwarded.asked.is_tool_result(), &text)
        .body
}

fn filter_message(engine: &Engine, forwarded: &Forwarded, message: Value<'_>, store: &dyn Store) -> Filtered {
    let for_caller = ForCaller {
        engine,
        forwarded,
        store,
    };
    let filtered = list::filter(message, &for_caller, forwarded.era == Era::Modern);
    if filtered != Filtered::Unchanged {
        return filtered;
    }
    match tasks::tag(engine, forwarded, message, store) {
        Rewritten::Unchanged => Filtered::Unchanged,
        Rewritten::Changed(message) => Filtered::Changed(message),
        Rewritten::Dropped => Filtered::Dropped,
    }
}

/// A stream of answers, and of the requests that the server may make.
fn stream_for(engine: &Engine, forwarded: &Forwarded) -> Stream {
    let policy = &engine.policy;
    let capabilities = policy.server(forwarded.server).client_capabilities;
    let stream = Stream::new(policy.limits().result_bytes).without(capabilities.stripped_methods());
    match &forwarded.id {
        Some(id) if forwarded.asked.expects_answer() => stream.of_request(id),
        _ => stream,
    }
}

struct ForCaller<'a> {
    engine: &'a Engine,
    forwarded: &'a Forwarded,
    store: &'a dyn Store,
}

impl Keep for ForCaller<'_> {
    fn keeps(&self, list: List, name: &str) -> bool {
        let policy = self.engine.policy();
        let server = policy.server(self.forwarded.server);
        item_access(policy, &self.forwarded.caller, server, list, name).is_listed()
    }

    /// Remembers what a server advertises, whoever asked: calls are judged by it.
    fn sees(&self, list: List, items: Value<'_>) {
        let server = self.engine.policy().server(self.forwarded.server);
        if list != List::Tools || server.schemas != Schemas::Advertised {
            return;
        }
        let tools: Vec<_> = items
            .as_array()
            .into_iter()
            .flat_map(|items| items.elements())
            .filter_map(|item| {
                let name = item.get("name").and_then(|name| name.as_str())?;
                Some((name, item.get("inputSchema").map(|schema| schema.raw())))
            })
            .collect();
        let tools = tools.iter().map(|(name, schema)| (&**name, *schema));
        self.engine.advertised.learn(self.store, &server.name, tools);
    }
}
