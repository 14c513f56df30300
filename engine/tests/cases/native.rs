//! Runs a case through the engine the way a host does.

use std::rc::Rc;

use toolgate_engine::exchange::{
    BodyStep, ChunkStep, Engine, Exchange, HeadStep, HeaderEdit, LocalReply, RequestHead, ResponseHead,
    ResponseStep, ResultStep, UnixNanos,
};
use toolgate_engine::policy::Policy;
use toolgate_engine::store::MemoryStore;

use super::{Case, Outcome, POLICY, Received, Response, bound};

/// 2026-01-01T00:00:00Z.
pub const NOW: UnixNanos = UnixNanos(1_767_225_600_000_000_000);

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

pub fn engine() -> Rc<Engine> {
    Engine::new(
        Policy::compile(POLICY.as_bytes()).unwrap_or_else(|e| panic!("{e}")),
        bound::secrets(),
    )
}

/// Runs one case; `window` bytes of a streamed response at a time.
pub fn run(engine: &Rc<Engine>, store: &MemoryStore, case: &Case, window: usize) -> Outcome {
    let mut exchange = Exchange::new(Rc::clone(engine));
    let mut outcome = drive(&mut exchange, store, case, window);
    let record = exchange.record();
    outcome.decision = record.decision.map(|r| r.as_str().to_owned());
    outcome.would_deny = Some(record.would_deny.map(|r| r.as_str().to_owned()));
    outcome
}

fn drive(exchange: &mut Exchange, store: &MemoryStore, case: &Case, window: usize) -> Outcome {
    let request = &case.request;
    let mut body = request.bytes();
    let mut lines: Lines = vec![
        (b":method".to_vec(), request.method.clone().into_bytes()),
        (b":path".to_vec(), request.path.clone().into_bytes()),
        (
            b":authority".to_vec(),
            request
                .host
                .clone()
                .unwrap_or_else(|| "127.0.0.1:1".to_owned())
                .into_bytes(),
        ),
    ];
    lines.extend(
        request
            .header_lines()
            .into_iter()
            .map(|(n, v)| (n.to_ascii_lowercase().into_bytes(), v.into_bytes())),
    );
    let end_of_stream = body.is_empty();
    match exchange.request_head(
        &RequestHead {
            headers: &borrowed(&lines),
            end_of_stream,
            jwt: None,
        },
        store,
        NOW,
    ) {
        HeadStep::Ignore(_) => panic!("{}: ignored", case.name),
        HeadStep::Reply(reply) => return replied(reply),
        HeadStep::Forward(edits) => apply(&mut lines, edits),
        HeadStep::Await { edits, .. } => {
            apply(&mut lines, edits);
            if let Some(reply) = exchange.request_size(body.len()) {
                return replied(reply);
            }
            match exchange.request_body(&body, store, NOW) {
                BodyStep::Reply(reply) => return replied(reply),
                BodyStep::Ask(_) => panic!("{}: asks the rate limit service", case.name),
                BodyStep::Forward(edits) => apply(&mut lines, edits),
                BodyStep::Rewrite { edits, body: new } => {
                    apply(&mut lines, edits);
                    assert_eq!(new.len(), body.len(), "{}", case.name);
                    body = new;
                }
            }
        }
    }
    let received = lines
        .into_iter()
        .map(|(n, v)| (String::from_utf8(n).unwrap(), v))
        .collect();
    let response = case.response.clone().unwrap_or_default();
    let outcome = respond(exchange, store, &response, window);
    Outcome {
        upstream: Some(Received {
            headers: received,
            body,
        }),
        ..outcome
    }
}

fn respond(exchange: &mut Exchange, store: &MemoryStore, response: &Response, window: usize) -> Outcome {
    let body = response.bytes();
    let mut lines: Lines = vec![(b":status".to_vec(), response.status.to_string().into_bytes())];
    lines.extend(
        response
            .header_lines()
            .into_iter()
            .map(|(n, v)| (n.into_bytes(), v.into_bytes())),
    );
    let end_of_stream = body.is_empty();
    let head = ResponseHead {
        headers: &borrowed(&lines),
        end_of_stream,
    };
    let body = match exchange.response_head(&head, NOW) {
        ResponseStep::Replace(reply) => return replied(reply),
        ResponseStep::Pass(edits) => {
            apply(&mut lines, edits);
            body
        }
        ResponseStep::Stream(edits) => {
            apply(&mut lines, edits);
            let mut out = Vec::new();
            for chunk in body.chunks(window.max(1)) {
                match exchange.response_chunk(chunk, store, NOW) {
                    ChunkStep::Keep => out.extend_from_slice(chunk),
                    ChunkStep::Splice { front, keep } => {
                        out.extend_from_slice(&front);
                        out.extend_from_slice(&chunk[..keep]);
                    }
                    ChunkStep::Rewrite(bytes) => out.extend_from_slice(&bytes),
                }
            }
            out
        }
        ResponseStep::Await { edits, .. } => {
            apply(&mut lines, edits);
            match exchange.response_body(&body, store, NOW) {
                ResultStep::Keep => body,
                ResultStep::Rewrite { edits, body } => {
                    apply(&mut lines, edits);
                    body
                }
                ResultStep::Replace(reply) => return replied(reply),
            }
        }
    };
    Outcome {
        status: response.status,
        headers: text(lines),
        body,
        ..Outcome::default()
    }
}

fn replied(reply: LocalReply) -> Outcome {
    Outcome {
        status: reply.status,
        headers: reply.headers,
        body: reply.body,
        ..Outcome::default()
    }
}

fn apply(lines: &mut Lines, edits: Vec<HeaderEdit>) {
    for edit in edits {
        match edit {
            HeaderEdit::Remove(name) => lines.retain(|(n, _)| n != name.as_bytes()),
            HeaderEdit::Set(name, value) => {
                lines.retain(|(n, _)| n != name.as_bytes());
                lines.push((name.into_bytes(), value));
            }
        }
    }
}

fn text(lines: Lines) -> Vec<(String, String)> {
    let to_text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    lines.into_iter().map(|(n, v)| (to_text(n), to_text(v))).collect()
}

fn borrowed(lines: &Lines) -> Vec<(&[u8], &[u8])> {
    lines.iter().map(|(n, v)| (&**n, &**v)).collect()
}
