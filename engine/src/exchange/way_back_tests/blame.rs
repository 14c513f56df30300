//! What a client can do to a breaker that others share, and to what is looked at.

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::{
    BodyStep, Cause, Ended, Engine, Exchange, HeadStep, HeaderEdit, RequestHead, ResponseHead, UnixNanos,
};
use super::world::{self, Answer, Asked, Era};
use crate::binding::Secrets;
use crate::outcome::Outcome;
use crate::policy::{Hold, Policy};
use crate::reason::Reason;
use crate::store::MemoryStore;

/// 2026-11-20T12:34:56Z.
const NOW: u64 = 1_795_178_096_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// A server with a breaker that all its clients share, and a client of it.
struct Shared {
    engine: Rc<Engine>,
    store: MemoryStore,
}

impl Shared {
    fn new(breaker: &Value) -> Shared {
        let policy = json!({
            "version": 1,
            "identity": { "anonymous": "k" },
            "servers": { "docs": { "path": "/mcp", "breaker": breaker, "methods": ["*"] } },
            "roles": { "all": { "allow": ["docs/*"] } },
            "keys": { "k": { "roles": ["all"] } },
        });
        let policy = Policy::compile(policy.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        Shared {
            engine: Engine::new(policy, Secrets::random([7; 32])),
            store: MemoryStore::new(),
        }
    }

    fn post(&self, headers: &[(&str, &str)], body: &Value, at: u64) -> (Exchange, HeadStep, BodyStep) {
        let mut exchange = Exchange::new(Rc::clone(&self.engine));
        let mut lines: Vec<(&[u8], &[u8])> = vec![
            (b":method", b"POST"),
            (b":path", b"/mcp"),
            (b"content-type", b"application/json"),
        ];
        lines.extend(
            headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        );
        let head = RequestHead {
            headers: &lines,
            end_of_stream: false,
            jwt: None,
        };
        let head = exchange.request_head(&head, &self.store, UnixNanos(at));
        let step = exchange.request_body(body.to_string().as_bytes(), &self.store, UnixNanos(at));
        (exchange, head, step)
    }

    fn call(&self, at: u64) -> Exchange {
        self.post(&[], &call(), at).0
    }

    fn listen(&self, at: u64) -> Exchange {
        let headers = [
            ("mcp-method", "subscriptions/listen"),
            ("mcp-protocol-version", "2026-07-28"),
        ];
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": {
            "notifications": { "toolsListChanged": true },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        } });
        self.post(&headers, &body, at).0
    }

    fn is_open(&self, at: u64) -> bool {
        let mut probe = self.call(at);
        let refused = probe.record().decision == Some(Reason::Breaker);
        self.end(&mut probe, Cause::ClientGone, at);
        refused
    }

    fn begin(&self, exchange: &mut Exchange, media_type: &str, body: &str, at: u64) {
        let length = body.len().to_string();
        let mut headers: Vec<(&[u8], &[u8])> =
            vec![(b":status", b"200"), (b"content-type", media_type.as_bytes())];
        if media_type == "application/json" {
            headers.push((b"content-length", length.as_bytes()));
        }
        let head = ResponseHead {
            headers: &headers,
            end_of_stream: false,
        };
        let _ = exchange.response_head(&head, UnixNanos(at));
        let _ = exchange.response_chunk(body.as_bytes(), &self.store, UnixNanos(at));
    }

    fn end(&self, exchange: &mut Exchange, cause: Cause, at: u64) {
        let ended = Ended {
            result_bytes: 50,
            reached: true,
            cause,
        };
        exchange.finish(&ended, &self.store, UnixNanos(at));
    }
}

fn call() -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "search" } })
}

const EVENTS: &str = "text/event-stream";
const QUESTION: &str =
    "data: {\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"elicitation/create\",\"params\":{}}\n\n";
const NEWS: &str = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";

#[test]
fn subscriptions_say_nothing_about_a_server_however_they_end() {
    for cause in [Cause::Timeout, Cause::Complete, Cause::Reset, Cause::ClientGone] {
        let shared = Shared::new(&json!({ "each": "server", "failures": 2 }));
        for n in 0..5 {
            let mut listen = shared.listen(NOW + n);
            shared.begin(&mut listen, EVENTS, NEWS, NOW + n);
            shared.end(&mut listen, cause, NOW + n);
        }
        assert!(!shared.is_open(NOW + 10), "{cause:?}");
    }
}

#[test]
fn a_subscription_is_no_probe() {
    let shared = Shared::new(&json!({ "each": "server", "failures": 1, "open": "10s" }));
    let mut failing = shared.call(NOW);
    shared.end(&mut failing, Cause::Reset, NOW);
    assert!(shared.is_open(NOW + SECOND));
    let later = NOW + 11 * SECOND;
    assert_eq!(shared.listen(later).record().decision, Some(Reason::Breaker));
    assert!(!shared.is_open(later), "the place is free for a call");
}

#[test]
fn who_does_not_answer_read_or_wait_is_not_held_against_the_server() {
    let ends = [
        ("asked and silent", QUESTION, Cause::Timeout),
        ("asked and gone on", QUESTION, Cause::Complete),
        ("cancelled", NEWS, Cause::Complete),
        ("not read", NEWS, Cause::Timeout),
    ];
    for (what, events, cause) in ends {
        let shared = Shared::new(&json!({ "each": "server", "failures": 2 }));
        for n in 0..5 {
            let mut call = shared.call(NOW + n);
            shared.begin(&mut call, EVENTS, events, NOW + n);
            shared.end(&mut call, cause, NOW + n);
        }
        assert!(!shared.is_open(NOW + 10), "{what}");
    }
    // A stream that breaks off is the server's.
    let shared = Shared::new(&json!({ "each": "server", "failures": 2 }));
    for n in 0..2 {
        let mut call = shared.call(NOW + n);
        shared.begin(&mut call, EVENTS, NEWS, NOW + n);
        shared.end(&mut call, Cause::Reset, NOW + n);
    }
    assert!(shared.is_open(NOW + 10));
}

#[test]
fn a_slow_reader_makes_no_slow_server() {
    let shared = Shared::new(&json!({ "each": "server", "failures": 1, "slow": "10s" }));
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#;
    let mut call = shared.call(NOW);
    shared.begin(&mut call, "application/json", body, NOW + SECOND);
    shared.end(&mut call, Cause::Complete, NOW + 60 * SECOND);
    assert_eq!(call.record().outcome, Some(Outcome::Ok));
    assert_eq!(call.record().duration_ms, Some(1_000));
    assert!(!shared.is_open(NOW + 61 * SECOND));
}

/// Whatever the answer is that people thought about.
#[test]
fn a_person_who_thinks_makes_no_slow_server() {
    let answers = [
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"isError":true}}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"task":{"taskId":"t","status":"working"}}}"#,
    ];
    for answer in answers {
        for (question, slow) in [(QUESTION, false), (NEWS, true)] {
            let shared = Shared::new(&json!({ "each": "server", "failures": 1, "slow": "10s" }));
            let mut call = shared.call(NOW);
            shared.begin(&mut call, EVENTS, question, NOW + SECOND);
            let last = format!("data: {answer}\n\n");
            let later = NOW + 60 * SECOND;
            let _ = call.response_chunk(last.as_bytes(), &shared.store, UnixNanos(later));
            shared.end(&mut call, Cause::Complete, later);
            assert_eq!(shared.is_open(later), slow, "{answer} {question}");
        }
    }
    // It is asked, and the server fails all the same.
    let shared = Shared::new(&json!({ "each": "server", "failures": 1, "slow": "10s" }));
    let mut call = shared.call(NOW);
    shared.begin(&mut call, EVENTS, QUESTION, NOW + SECOND);
    let failure = "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32603,\"message\":\"x\"}}\n\n";
    let _ = call.response_chunk(failure.as_bytes(), &shared.store, UnixNanos(NOW + SECOND));
    shared.end(&mut call, Cause::Complete, NOW + SECOND);
    assert!(shared.is_open(NOW + SECOND));
}

#[test]
fn clients_do_not_steer_the_router_nor_spell_headers_twice() {
    let shared = Shared::new(&json!({ "each": "server" }));
    let names = [
        "x-envoy-upstream-rq-timeout-ms",
        "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-expected-rq-timeout-ms",
        "x-envoy-retry-on",
        "x-envoy-max-retries",
        "x-envoy-hedge-on-per-try-timeout",
        "x-envoy-retriable-status-codes",
        "mcp_session_id",
        "mcp_name",
        "x_toolgate_tool",
        "x_http_method_override",
        "x_envoy_max_retries",
    ];
    let sent = names.iter().chain(&["x_harmless"]);
    let headers: Vec<(&str, &str)> = sent.map(|name| (*name, "1")).collect();
    let (_, head, _) = shared.post(&headers, &call(), NOW);
    let HeadStep::Await { edits, .. } = head else {
        panic!("{head:?}");
    };
    for name in names {
        assert!(edits.contains(&HeaderEdit::Remove(name.to_owned())), "{name}");
    }
    assert!(!edits.contains(&HeaderEdit::Remove("x_harmless".to_owned())));
}

#[test]
fn extensions_about_tasks_name_ones_own() {
    let shared = Shared::new(&json!({ "each": "server" }));
    let pause = json!({ "jsonrpc": "2.0", "id": 1, "method": "tasks/pause", "params": { "taskId": "raw" } });
    let (exchange, _, step) = shared.post(&[], &pause, NOW);
    assert!(matches!(step, BodyStep::Reply(_)), "{step:?}");
    assert_eq!(exchange.record().decision, Some(Reason::Session));
}

#[test]
fn a_length_beyond_every_number_is_too_large() {
    let engine = world::engine(Hold::Headers);
    for length in ["18446744073709551616", "4294967296", "99999999999999999999999999"] {
        let answer = Answer::json("{}").header("content-length", length);
        let came = world::answered(&engine, Era::Legacy, Asked::Call, &answer, &[1000]);
        assert_eq!(came.outcome(), Some(Outcome::TooLarge), "{length}");
    }
}

#[test]
fn a_list_is_filtered_under_any_status() {
    let engine = world::engine(Hold::Headers);
    let list = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"hidden"}]}}"#;
    for status in [400, 404, 500] {
        let came = world::answered(
            &engine,
            Era::Legacy,
            Asked::List,
            &Answer::json(list).status(status),
            &[1000],
        );
        assert!(!came.text().contains("hidden"), "{status}: {}", came.text());
        // What is no list passes in the server's own words.
        let own = Answer::json(r#"{"message":"no"}"#).status(status);
        let came = world::answered(&engine, Era::Legacy, Asked::List, &own, &[1000]);
        assert_eq!(came.text(), r#"{"message":"no"}"#, "{status}");
        assert_eq!(came.outcome(), Some(Outcome::HttpError(status)));
    }
}

/// A client that takes the first of two members, or the last, sees a list in what we cannot read.
#[test]
fn a_list_that_cannot_be_read_does_not_pass_under_any_status() {
    let list = r#""id":7,"result":{"tools":[{"name":"hidden"}]}"#;
    for hold in [Hold::Headers, Hold::Body] {
        let engine = world::engine(hold);
        for status in [400, 404, 500] {
            let came = |body: &str| {
                let answer = Answer::json(body).status(status);
                world::answered(&engine, Era::Legacy, Asked::List, &answer, &[1000])
            };
            for body in [
                &format!(r#"{{{list},"x":1,"x":2}}"#),
                &format!("\n{{{list}}} trailing"),
                &format!("\u{feff}{{{list}}}"),
                &format!("[{{{list}}}"),
            ] {
                let came = came(body);
                assert!(
                    !came.text().contains("hidden"),
                    "{status} {body}: {}",
                    came.text()
                );
                assert!(came.text().contains("could not be used"), "{}", came.text());
                assert_eq!(came.outcome(), Some(Outcome::HttpError(status)), "{body}");
            }
            for own in ["no", "<p>no</p>", "", "\"no\"extra", "502 Bad Gateway"] {
                let came = came(own);
                assert_eq!(came.text(), own, "{status}");
                assert_eq!(came.outcome(), Some(Outcome::HttpError(status)));
            }
        }
    }
}
