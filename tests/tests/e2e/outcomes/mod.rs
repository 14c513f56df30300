//! What came of every request, by the access log, and what the client got meanwhile: with servers that work, fail in
//! every way, send too much or too late, and clients that leave.

mod calls;
mod departures;
mod limits;
mod passing;
mod real;
mod stand;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::run;
use toolgate_tests::upstream::{Action, Answer};

use stand::{PATIENCE, Stand, all, event, next_id, number, ok, outcome, request};

/// Makes an answer to the request with this id.
type Script = fn(u64) -> Answer;

fn json_of(body: impl Into<String>) -> Answer {
    Answer::json(&Value::Null).body(body.into())
}

fn chunked(body: impl Into<String>) -> Answer {
    Answer::new(200)
        .header("content-type", "application/json")
        .chunked([body.into()])
}

fn events(text: impl Into<String>) -> Answer {
    Answer::sse([(Duration::ZERO, text.into())])
}

fn tool_error(id: u64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [], "isError": true } })
}

fn rpc_error(id: u64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32603, "message": "broken" } })
}

fn note() -> String {
    event(json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": "x" } }))
}

const PRIMED: &str = "id: 1\ndata:\n\n";

#[test]
fn a_server_that_is_not_there_is_reset() {
    run(async {
        for stand in all().await {
            for (server, flag) in [("gone", "UF"), ("nobody", "UH")] {
                // Where heads are not held, Envoy answers before there is a verdict: nothing went on.
                if (server, stand.hold) == ("nobody", "body") {
                    let request = request(server, "tools/call", next_id());
                    let answer = stand.gate.send(&request, Transport::Length).await;
                    let lines = stand.log.wait_for(1, |line| line["server"] == "nobody").await;
                    assert_eq!(
                        (answer.status, &lines[0]["outcome"]),
                        (503, &Value::Null),
                        "{lines:?}"
                    );
                    continue;
                }
                for method in ["tools/call", "tools/list", "resources/read"] {
                    let went = stand.went(server, method, |_| Answer::new(200)).await;
                    let what = format!("{server}, {method}, {}: {}", stand.name, went.line);
                    assert_eq!(
                        (went.answer.status, went.outcome()),
                        (503, ("reset", "")),
                        "{what}"
                    );
                    assert!(
                        went.line["flags"]
                            .as_str()
                            .is_some_and(|flags| flags.contains(flag)),
                        "{what}"
                    );
                    // What Envoy says in its stead is no result.
                    assert_eq!(number(&went.line, "result_bytes"), Some(0), "{what}");
                }
            }
        }
    });
}

#[test]
fn a_server_that_takes_too_long_is_a_timeout() {
    let cases: [(&str, &str, Script, &str); 11] = [
        ("hasty", "tools/call", |_| Answer::silence(), "timeout"),
        ("hasty", "tools/list", |_| Answer::silence(), "timeout"),
        ("hasty", "tools/call", |_| hanging(events(":\n\n")), "timeout"),
        ("hasty", "tools/call", |_| hanging(events(PRIMED)), "timeout"),
        ("hasty", "tools/call", |_| half_of(hang()), "timeout"),
        // It has answered.
        (
            "hasty",
            "tools/call",
            |id| hanging(events(event(tool_error(id)))),
            "tool_error",
        ),
        ("idle", "tools/call", |_| Answer::silence(), "timeout"),
        ("idle", "resources/read", |_| hanging(events(note())), "timeout"),
        ("idle", "tools/call", |_| half_of(hang()), "timeout"),
        ("idle", "tools/list", |_| half_of(hang()), "timeout"),
        (
            "idle",
            "tools/call",
            |id| hanging(events(event(tool_error(id)))),
            "tool_error",
        ),
    ];
    run(async {
        for stand in all().await {
            let mut running = tokio::task::JoinSet::new();
            for (server, method, script, expected) in cases {
                running.spawn(async move {
                    let went = stand.went(server, method, script).await;
                    let what = format!("{server}, {method}, {}: {}", stand.name, went.line);
                    assert_eq!(went.outcome(), (expected, ""), "{what}");
                    let whole = i64::try_from(PATIENCE.as_millis()).unwrap_or_default();
                    let took = number(&went.line, "call_duration_ms").unwrap_or_default();
                    let took = i64::try_from(took).unwrap_or_default();
                    // Envoy's clock and that of the answer, which ends the call before the stream.
                    assert_eq!(expected == "timeout", took > whole - 50, "{what}");
                    assert_eq!(went.answer.complete, went.answer.status != 200, "{what}");
                });
            }
            while let Some(case) = running.join_next().await {
                case.expect("it is as expected");
            }
            stand.alive().await;
        }
    });
}

/// A length, a part of it, and nothing more.
fn half_of(hang: Action) -> Answer {
    json_of("")
        .declared(500, r#"{"jsonrpc":"2.0","#)
        .before_the_end(hang)
}

fn hang() -> Action {
    Action::Until(Arc::default())
}

fn hanging(answer: Answer) -> Answer {
    answer.then(hang())
}

#[test]
fn other_messages_have_outcomes_too_and_streams_of_the_server_have_none() {
    run(async {
        for stand in all().await {
            for (method, script, expected) in [
                (
                    "tools/list",
                    (|id| Answer::json(&json!({ "id": id, "result": { "tools": [] } }))) as Script,
                    ("ok", ""),
                ),
                (
                    "tools/list",
                    |id| Answer::json(&rpc_error(id)),
                    ("rpc_error", "-32603"),
                ),
                ("tools/list", |_| Answer::new(500), ("http_error", "500")),
                ("tools/list", |_| Answer::reset(), ("reset", "")),
                (
                    "tools/list",
                    |id| json_of("").declared(500, ok(id).to_string()),
                    ("truncated", ""),
                ),
                ("tools/list", |_| json_of("no"), ("malformed", "")),
                ("resources/read", |id| events(event(ok(id))), ("ok", "")),
                ("ping", |_| Answer::new(404), ("http_error", "404")),
                (
                    "initialize",
                    |id| Answer::json(&ok(id)).header("mcp-session-id", "s"),
                    ("ok", ""),
                ),
            ] {
                let went = stand.went("docs", method, script).await;
                assert_eq!(
                    went.outcome(),
                    expected,
                    "{method}, {}: {}",
                    stand.name,
                    went.line
                );
            }
            // Nothing tells these lines apart but that they have no id: one after the other.
            for (scripted, expected) in [
                (Answer::new(202), ("accepted", "")),
                (Answer::new(503), ("http_error", "503")),
                (Answer::reset(), ("reset", "")),
                (events(note()), ("accepted", "")),
            ] {
                let line = nameless(stand, "POST", scripted).await;
                assert_eq!(outcome(&line), expected, "{}: {line}", stand.name);
            }
            for method in ["GET", "DELETE"] {
                for scripted in [events(note()), Answer::new(405), Answer::reset()] {
                    let line = nameless(stand, method, scripted).await;
                    assert_eq!(outcome(&line), ("", ""), "{method}, {}: {line}", stand.name);
                    assert_eq!(line["result_bytes"], Value::Null, "{method}: {line}");
                }
            }
        }
    });
}

/// The line of a request without an id.
async fn nameless(stand: &Stand, method: &str, answer: Answer) -> Value {
    let is_nameless = |line: &Value| line["jsonrpc.request.id"].is_null();
    let before = stand.log.lines().into_iter().filter(is_nameless).count();
    let request = stand.prepare("docs", "notifications/cancelled", next_id(), answer);
    let request = match method {
        "POST" => request,
        _ => Request {
            method: method.to_owned(),
            body: None,
            ..request.without("content-type")
        },
    };
    stand.gate.send(&request, Transport::Length).await;
    let mut lines = stand.log.wait_for(before + 1, is_nameless).await;
    let line = lines.pop().unwrap_or_default();
    assert_eq!(line["method"], method, "{line}");
    line
}

#[test]
fn the_second_response_and_whatever_looks_like_one_is_dropped() {
    run(async {
        for stand in all().await {
            let went = stand
                .went("docs", "tools/call", |id| {
                    events(event(tool_error(id)) + &note() + &event(ok(id)) + &event(ok(7)) + &note())
                })
                .await;
            assert_eq!(
                went.outcome(),
                ("tool_error", ""),
                "{}: {}",
                stand.name,
                went.line
            );
            let messages = went.answer.messages();
            assert_eq!(messages.len(), 3, "{messages:?}");
            assert_eq!(messages[0]["result"]["isError"], true, "{messages:?}");
        }
    });
}

#[test]
fn trailers_after_the_body_change_nothing() {
    run(async {
        for stand in all().await {
            for (method, script, expected) in [
                ("tools/call", (|id| Answer::json(&ok(id))) as Script, ("ok", "")),
                (
                    "tools/call",
                    |id| with_length(&tool_error(id)),
                    ("tool_error", ""),
                ),
                (
                    "tools/call",
                    |id| events(event(rpc_error(id))),
                    ("rpc_error", "-32603"),
                ),
                ("tools/call", |_| events(PRIMED), ("accepted", "")),
                ("tools/call", |_| json_of("half"), ("malformed", "")),
                ("tools/call", |_| Answer::new(503), ("http_error", "503")),
                (
                    "tools/list",
                    |id| Answer::json(&json!({ "id": id, "result": { "tools": [] } })),
                    ("ok", ""),
                ),
            ] {
                let went = stand
                    .went("frames", method, |id| script(id).trailer("x-outcome", "fine"))
                    .await;
                assert_eq!(
                    went.outcome(),
                    expected,
                    "{method}, {}: {}",
                    stand.name,
                    went.line
                );
                assert!(
                    went.answer.complete,
                    "{method}, {}: {:?}",
                    stand.name, went.answer
                );
            }
        }
    });
}

fn with_length(message: &Value) -> Answer {
    Answer::json(message).header("content-length", message.to_string().len().to_string())
}

#[test]
fn bytes_tokens_and_times_are_those_of_the_answer() {
    let pause = Duration::from_millis(60);
    run(async {
        for stand in all().await {
            let size = ok(1000).to_string().len() as u64;
            for (name, form, bytes) in [
                (
                    "json",
                    (|id, pause| Answer::json(&ok(id)).after(pause)) as fn(u64, Duration) -> Answer,
                    size,
                ),
                (
                    "chunked",
                    |id, pause| chunked(ok(id).to_string()).after(pause),
                    size,
                ),
                (
                    "events",
                    |id, pause| events(event(ok(id)) + &note()).after(pause),
                    size + 23 + note().len() as u64,
                ),
            ] {
                let went = stand.went("docs", "tools/call", |id| form(id, pause)).await;
                let what = format!("{name}, {}: {}", stand.name, went.line);
                assert_eq!(number(&went.line, "result_bytes"), Some(bytes), "{what}");
                assert_eq!(
                    number(&went.line, "result_tokens"),
                    Some(size.div_ceil(4)),
                    "{what}"
                );
                let first = number(&went.line, "first_byte_ms").unwrap_or_default();
                let took = number(&went.line, "call_duration_ms").unwrap_or_default();
                assert!((55..=took).contains(&first) && took < 5000, "{what}");
            }
        }
    });
}
