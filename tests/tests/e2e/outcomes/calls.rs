//! Calls, and every answer to them.

use std::time::Duration;

use serde_json::json;
use toolgate_tests::run;
use toolgate_tests::upstream::{Action, Answer};

use super::stand::{Stand, all, body, event, headers, number, ok};
use super::{PRIMED, Script, chunked, events, json_of, note, rpc_error, tool_error};

/// An answer, what the client gets as status, and the outcome with its code.
type Case = (&'static str, Script, u16, (&'static str, &'static str));

/// In every Envoy.
const EVERYWHERE: [Case; 14] = [
    ("json", |id| Answer::json(&ok(id)), 200, ("ok", "")),
    ("chunked json", |id| chunked(ok(id).to_string()), 200, ("ok", "")),
    (
        "events",
        |id| events(note() + &event(ok(id)) + &note()),
        200,
        ("ok", ""),
    ),
    (
        "tool error",
        |id| Answer::json(&tool_error(id)),
        200,
        ("tool_error", ""),
    ),
    (
        "tool error in events",
        |id| events(event(tool_error(id))),
        200,
        ("tool_error", ""),
    ),
    (
        "error",
        |id| Answer::json(&rpc_error(id)),
        200,
        ("rpc_error", "-32603"),
    ),
    (
        "500",
        |_| Answer::new(500).header("content-type", "text/html").body("<p>"),
        500,
        ("http_error", "500"),
    ),
    ("503", |_| Answer::new(503), 503, ("http_error", "503")),
    ("reset at once", |_| Answer::reset(), 503, ("reset", "")),
    (
        "cut",
        |id| json_of("").declared(500, ok(id).to_string()[..30].to_owned()),
        200,
        ("truncated", ""),
    ),
    (
        "short",
        |id| json_of("").declared(500, ok(id).to_string()),
        200,
        ("truncated", ""),
    ),
    (
        "events reset",
        |_| {
            events(note())
                .then(Action::Wait(Duration::from_millis(30)))
                .then(Action::Reset)
        },
        200,
        ("truncated", ""),
    ),
    (
        "events with an id reset",
        |_| {
            events(PRIMED)
                .then(Action::Wait(Duration::from_millis(30)))
                .then(Action::Reset)
        },
        200,
        ("accepted", ""),
    ),
    ("202", |_| Answer::new(202), 200, ("accepted", "")),
];

const ONCE: [Case; 27] = [
    (
        "error in events",
        |id| events(event(rpc_error(id))),
        200,
        ("rpc_error", "-32603"),
    ),
    (
        "more input",
        |id| {
            Answer::json(&json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "input_required" } }))
        },
        200,
        ("input_required", ""),
    ),
    (
        "task",
        |id| Answer::json(&json!({ "id": id, "result": { "task": { "taskId": "t", "status": "working" } } })),
        200,
        ("task", ""),
    ),
    ("204", |_| Answer::new(204), 200, ("malformed", "")),
    ("404", |_| Answer::new(404), 404, ("http_error", "404")),
    (
        "405",
        |_| Answer::new(405).header("allow", "GET"),
        405,
        ("http_error", "405"),
    ),
    (
        "400 with an error",
        |id| Answer::json(&rpc_error(id)).status(400),
        400,
        ("rpc_error", "-32603"),
    ),
    (
        "500 with an error",
        |id| Answer::json(&rpc_error(id)).status(500),
        500,
        ("http_error", "500"),
    ),
    (
        "500 with events",
        |id| events(event(ok(id))).status(500),
        500,
        ("http_error", "500"),
    ),
    (
        "html",
        |_| Answer::new(200).header("content-type", "text/html").body("<p>"),
        200,
        ("malformed", ""),
    ),
    (
        "gzip",
        |id| Answer::json(&ok(id)).header("content-encoding", "gzip"),
        200,
        ("malformed", ""),
    ),
    (
        "not http",
        |_| Answer::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        502,
        ("reset", ""),
    ),
    ("no json", |_| json_of("this is not JSON"), 200, ("malformed", "")),
    (
        "chunked no json",
        |_| chunked("this is not JSON"),
        200,
        ("malformed", ""),
    ),
    (
        "an array",
        |id| json_of(json!([ok(id)]).to_string()),
        200,
        ("malformed", ""),
    ),
    (
        "foreign",
        |id| Answer::json(&ok(id + 1_000_000)),
        200,
        ("malformed", ""),
    ),
    (
        "foreign event",
        |id| events(event(ok(id + 1_000_000))),
        200,
        ("truncated", ""),
    ),
    (
        "foreign event before",
        |id| events(event(ok(7)) + &event(tool_error(id))),
        200,
        ("tool_error", ""),
    ),
    (
        "half",
        |id| json_of(&ok(id).to_string()[..40]),
        200,
        ("truncated", ""),
    ),
    ("no answer in events", |_| events(note()), 200, ("truncated", "")),
    (
        "closed after an id",
        |_| events(format!("{}{}", note(), PRIMED)),
        200,
        ("accepted", ""),
    ),
    (
        "no json in events",
        |_| events(note() + "data: {\n\n"),
        200,
        ("malformed", ""),
    ),
    // What is behind the announced length is not part of it.
    (
        "long",
        |id| json_of("").declared(ok(id).to_string().len(), ok(id).to_string() + "tail"),
        200,
        ("ok", ""),
    ),
    (
        "a mark",
        |id| json_of(format!("\u{feff}{}", ok(id))),
        200,
        ("malformed", ""),
    ),
    (
        "events with a mark",
        |id| events(format!("\u{feff}{}", event(ok(id)))),
        200,
        ("ok", ""),
    ),
    (
        "events with CR",
        |id| events(event(tool_error(id)).replace('\n', "\r")),
        200,
        ("tool_error", ""),
    ),
    (
        "surrogates",
        |id| {
            json_of(format!(
                r#"{{"id":{id},"result":{{"isErr\u006fr":true,"x":"\ud83d \udc00\ud83d"}}}}"#
            ))
        },
        200,
        ("tool_error", ""),
    ),
];

#[test]
fn every_call_has_an_outcome() {
    run(async {
        for stand in all().await {
            for case in EVERYWHERE {
                call(stand, case).await;
            }
            stand.alive().await;
        }
        for stand in [headers().await, body().await] {
            for case in ONCE {
                call(stand, case).await;
            }
            stand.alive().await;
        }
    });
}

async fn call(stand: &Stand, (name, script, status, expected): Case) {
    let went = stand.went("docs", "tools/call", script).await;
    let what = format!("{name} in {}: {}", stand.name, went.line);
    assert_eq!(went.outcome(), expected, "{what}");
    // An answer that breaks off while its head is held is Envoy's to report.
    let held = stand.hold == "headers" && went.answer.status == 502;
    assert!(
        went.answer.status == status || (held && expected.0 == "truncated"),
        "{what}: {:?}",
        went.answer
    );
    assert!(number(&went.line, "result_bytes").is_some(), "{what}");
    assert!(number(&went.line, "call_duration_ms").is_some(), "{what}");
    let is_answer = ["ok", "tool_error", "rpc_error", "input_required", "task"].contains(&expected.0);
    assert_eq!(number(&went.line, "result_tokens").is_some(), is_answer, "{what}");
}
