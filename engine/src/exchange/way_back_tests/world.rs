//! A request that went on, an answer in pieces, and what the client gets of it.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use serde_json::{Value, json};

use super::super::{
    BodyStep, Cause, ChunkStep, Ended, Engine, Exchange, HeadStep, LocalReply, Record, RequestHead,
    ResponseHead, ResponseStep, ResultStep, UnixNanos,
};
use crate::binding::Secrets;
use crate::outcome::Outcome;
use crate::policy::{Hold, Policy};
use crate::store::MemoryStore;
use crate::telemetry::Measure;

/// `limits.resultBytes` here.
pub(super) const LIMIT: usize = 4096;

pub(super) const HOLDS: [Hold; 2] = [Hold::Headers, Hold::Body];

/// When the request went on.
const START: UnixNanos = UnixNanos(1_795_178_096_000_000_000);

/// The lifecycle of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    Legacy,
    Modern,
}

pub(super) const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A call of a tool that the policy names.
    Call,
    /// A call of one that it does not.
    Unnamed,
    /// A call that asks for a task, so that its answer is held. (In 2026-07-28, the server decides.)
    Tasked,
    List,
    Read,
    Notification,
    /// The client's answer to a request of the server.
    Response,
    Get,
    Delete,
}

impl Asked {
    pub(super) const REQUESTS: [Asked; 4] = [Asked::Call, Asked::Unnamed, Asked::List, Asked::Read];

    pub(super) fn is_call(self) -> bool {
        matches!(self, Asked::Call | Asked::Unnamed | Asked::Tasked)
    }

    fn verb(self) -> &'static [u8] {
        match self {
            Asked::Get => b"GET",
            Asked::Delete => b"DELETE",
            _ => b"POST",
        }
    }

    /// Its method, the name that is mirrored, and its parameters.
    fn message(self) -> Option<(&'static str, &'static str, Value)> {
        Some(match self {
            Asked::Call => (
                "tools/call",
                "search",
                json!({ "name": "search", "arguments": {} }),
            ),
            Asked::Unnamed => ("tools/call", "find", json!({ "name": "find", "arguments": {} })),
            Asked::Tasked => (
                "tools/call",
                "search",
                json!({ "name": "search", "arguments": {}, "task": {} }),
            ),
            Asked::List => ("tools/list", "", json!({})),
            Asked::Read => ("resources/read", "docs:a", json!({ "uri": "docs:a" })),
            Asked::Notification => ("notifications/cancelled", "", json!({ "requestId": 1 })),
            Asked::Response | Asked::Get | Asked::Delete => return None,
        })
    }
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON with a `content-length`.
    Length,
    /// JSON without.
    Chunked,
    /// A stream of events.
    Events,
}

pub(super) const FORMS: [Form; 3] = [Form::Length, Form::Chunked, Form::Events];

/// What comes back, and how it ends.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) cause: Cause,
    /// No head ever comes.
    pub(super) headless: bool,
}

impl Answer {
    pub(super) fn new(status: u16) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cause: Cause::Complete,
            headless: false,
        }
    }

    /// A message in this form.
    pub(super) fn of(form: Form, message: &str) -> Answer {
        match form {
            Form::Length => Answer::json(message).header("content-length", &message.len().to_string()),
            Form::Chunked => Answer::json(message),
            Form::Events => Answer::events(&event(message)),
        }
    }

    pub(super) fn json(body: &str) -> Answer {
        Answer::new(200)
            .header("content-type", "application/json")
            .body(body)
    }

    pub(super) fn events(body: &str) -> Answer {
        Answer::new(200)
            .header("content-type", "text/event-stream")
            .body(body)
    }

    /// Nothing comes but this end.
    pub(super) fn none(cause: Cause) -> Answer {
        Answer {
            headless: true,
            cause,
            ..Answer::new(0)
        }
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Answer {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Answer {
        self.body = body.into();
        self
    }

    pub(super) fn status(self, status: u16) -> Answer {
        Answer { status, ..self }
    }

    /// It ends so.
    pub(super) fn ends(self, cause: Cause) -> Answer {
        Answer { cause, ..self }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} {:?} {:?}",
            self.status,
            self.headers,
            self.text(),
            self.cause
        )
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) record: Record,
    /// Status and body that the client got, as far as they came; `None` if nothing did.
    pub(super) client: Option<(u16, Vec<u8>)>,
    pub(super) measures: Vec<Measure>,
    /// The body went on piece by piece.
    pub(super) streamed: bool,
}

impl Came {
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.record.outcome
    }

    /// The body that the client got.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.client.as_ref().map_or(&[], |(_, body)| body))
    }

    /// As lines of text: `name{label=value,…} value`.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |measure: &Measure| {
            let labels: Vec<String> = measure.labels().map(|(n, v)| format!("{n}={v}")).collect();
            let name = measure.family().name().trim_start_matches("toolgate_");
            format!("{name}{{{}}} {}", labels.join(","), measure.value())
        };
        self.measures.iter().map(line).collect()
    }
}

pub(super) fn engine(hold: Hold) -> Rc<Engine> {
    let policy = json!({
        "version": 1,
        "hold": match hold { Hold::Headers => "headers", Hold::Body => "body" },
        "limits": { "resultBytes": LIMIT },
        "identity": { "anonymous": "k" },
        "servers": { "docs": { "path": "/mcp", "tools": { "search": {} } } },
        "roles": { "all": { "allow": ["docs/*"], "deny": ["docs/hidden"], "resources": ["docs/*"] } },
        "keys": { "k": { "roles": ["all"] } },
    });
    let policy = Policy::compile(policy.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    Engine::new(policy, Secrets::random([7; 32]))
}

/// What the server is asked, as far as it went on.
pub(super) fn forwarded(engine: &Rc<Engine>, era: Era, asked: Asked) -> (Exchange, MemoryStore) {
    let store = MemoryStore::new();
    let mut exchange = Exchange::new(Rc::clone(engine));
    let mut lines: Vec<(&[u8], &[u8])> = vec![
        (b":method", asked.verb()),
        (b":path", b"/mcp"),
        (b"accept", b"application/json, text/event-stream"),
    ];
    let message = asked.message();
    if let Some((method, name, _)) = &message
        && era == Era::Modern
    {
        lines.push((b"mcp-method", method.as_bytes()));
        if !name.is_empty() {
            lines.push((b"mcp-name", name.as_bytes()));
        }
    }
    lines.push(match era {
        Era::Legacy => (b"mcp-protocol-version", b"2025-11-25"),
        Era::Modern => (b"mcp-protocol-version", b"2026-07-28"),
    });
    let posts = asked.verb() == b"POST";
    if posts {
        lines.push((b"content-type", b"application/json"));
    }
    let head = RequestHead {
        headers: &lines,
        end_of_stream: !posts,
        jwt: None,
    };
    let step = exchange.request_head(&head, &store, START);
    if !posts {
        assert!(
            matches!(step, HeadStep::Forward(_)),
            "{era:?} {asked:?}: {step:?}"
        );
        return (exchange, store);
    }
    assert!(
        matches!(step, HeadStep::Await { .. }),
        "{era:?} {asked:?}: {step:?}"
    );
    let body = body(era, asked, message);
    let step = exchange.request_body(&body, &store, START);
    assert!(
        matches!(step, BodyStep::Forward(_) | BodyStep::Rewrite { .. }),
        "{era:?} {asked:?}: {step:?}"
    );
    assert!(exchange.settles(), "{era:?} {asked:?}");
    exchange.take_measures();
    (exchange, store)
}

fn body(era: Era, asked: Asked, message: Option<(&'static str, &'static str, Value)>) -> Vec<u8> {
    let Some((method, _, mut params)) = message else {
        return br#"{"jsonrpc":"2.0","id":9,"result":{}}"#.to_vec();
    };
    if era == Era::Modern {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
    if asked != Asked::Notification {
        message["id"] = 7.into();
    }
    message.to_string().into_bytes()
}

/// The exchange with this answer, which comes in windows of these sizes, over and over. The head comes 20 ms after the
/// request went on, each window 10 ms later, the end 100 ms after that.
pub(super) fn answered(
    engine: &Rc<Engine>,
    era: Era,
    asked: Asked,
    answer: &Answer,
    sizes: &[usize],
) -> Came {
    let (exchange, store) = forwarded(engine, era, asked);
    Drive {
        exchange,
        store,
        millis: 0,
        client: None,
        streamed: false,
    }
    .run(answer, sizes)
}

/// What a host does, in short.
struct Drive {
    exchange: Exchange,
    store: MemoryStore,
    millis: u64,
    client: Option<(u16, Vec<u8>)>,
    streamed: bool,
}

impl Drive {
    fn run(mut self, answer: &Answer, sizes: &[usize]) -> Came {
        if !answer.headless {
            self.millis += 20;
            self.respond(answer, sizes);
        }
        self.millis += 100;
        let ended = Ended {
            result_bytes: answer.body.len() as u64,
            reached: true,
            cause: answer.cause,
        };
        self.exchange.finish(&ended, &self.store, self.now());
        assert!(!self.exchange.settles());
        Came {
            record: self.exchange.record().clone(),
            measures: self.exchange.take_measures(),
            client: self.client,
            streamed: self.streamed,
        }
    }

    fn now(&self) -> UnixNanos {
        UnixNanos(START.0 + self.millis * 1_000_000)
    }

    fn respond(&mut self, answer: &Answer, sizes: &[usize]) {
        let status = answer.status.to_string();
        let mut lines: Vec<(&[u8], &[u8])> = vec![(b":status", status.as_bytes())];
        let headers = answer.headers.iter();
        lines.extend(headers.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let whole = answer.cause == Cause::Complete;
        let head = ResponseHead {
            headers: &lines,
            end_of_stream: whole && answer.body.is_empty(),
        };
        match self.exchange.response_head(&head, self.now()) {
            ResponseStep::Pass(_) => self.client = Some((answer.status, answer.body.clone())),
            ResponseStep::Replace(reply) => self.reply(reply),
            ResponseStep::Stream(_) => {
                self.streamed = true;
                let mut out = Vec::new();
                for window in windows(&answer.body, sizes) {
                    self.millis += 10;
                    match self.exchange.response_chunk(window, &self.store, self.now()) {
                        ChunkStep::Keep => out.extend_from_slice(window),
                        ChunkStep::Splice { front, keep } => {
                            out.extend_from_slice(&front);
                            out.extend_from_slice(&window[..keep]);
                        }
                        ChunkStep::Rewrite(bytes) => out.extend(bytes),
                    }
                }
                self.client = Some((answer.status, out));
            }
            ResponseStep::Await { hold, .. } => self.hold(answer, sizes, hold, whole),
        }
    }

    fn hold(&mut self, answer: &Answer, sizes: &[usize], hold: Hold, whole: bool) {
        if hold == Hold::Body {
            self.client = Some((answer.status, Vec::new()));
        }
        let mut held = 0;
        for window in windows(&answer.body, sizes) {
            self.millis += 10;
            held += window.len();
            if let Some(step) = self.exchange.response_size(held) {
                return self.conclude(step, answer);
            }
        }
        if whole {
            let step = self.exchange.response_body(&answer.body, &self.store, self.now());
            self.conclude(step, answer);
        }
    }

    fn conclude(&mut self, step: ResultStep, answer: &Answer) {
        match step {
            ResultStep::Keep => self.client = Some((answer.status, answer.body.clone())),
            ResultStep::Rewrite { body, .. } => self.client = Some((answer.status, body)),
            ResultStep::Replace(reply) => self.reply(reply),
        }
    }

    fn reply(&mut self, reply: LocalReply) {
        self.client = Some((reply.status, reply.body));
    }
}

/// A body in windows of these sizes, over and over.
fn windows<'a>(body: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let size = sizes
            .next()
            .map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
        let (window, after) = rest.split_at(size);
        rest = after;
        Some(window)
    })
}

pub(super) fn event(message: &str) -> String {
    format!("event: message\ndata: {message}\n\n")
}
