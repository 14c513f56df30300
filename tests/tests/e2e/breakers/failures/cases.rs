//! Ways to answer, and the outcomes that they are.

use std::time::Duration;

use serde_json::json;
use toolgate_tests::messages::Era::{self, Legacy, Modern};
use toolgate_tests::upstream::{Action, Answer};

use crate::breakers::{RESULT_BYTES, error, response, result};

/// A way to answer: name of the tool, server, era, answer, and the outcome in the access log.
pub(super) type Case = (&'static str, &'static str, Era, Answer, &'static str);

/// What a breaker counts.
pub(super) fn failures() -> Vec<Case> {
    let internal = error(-32_603);
    let whole = response(&json!({ "content": [] })).to_string();
    let half = whole[..whole.len() / 2].to_owned();
    let foreign = json!({ "jsonrpc": "2.0", "id": 2, "result": {} });
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } });
    let events = |text: String| Answer::sse([(Duration::ZERO, text)]);
    let unfinished = |text: &str| {
        Answer::new(200)
            .header("content-type", "application/json")
            .chunked([text.to_owned()])
    };
    let json = |text: &str| {
        Answer::new(200)
            .header("content-type", "application/json")
            .body(text.to_owned())
    };
    let never = || Action::Wait(Duration::from_hours(1));
    vec![
        ("bad_500", "docs", Modern, Answer::new(500), "http_error"),
        ("bad_502", "docs", Legacy, Answer::new(502), "http_error"),
        (
            "bad_503",
            "docs",
            Modern,
            Answer::json(&error(-32_601)).status(503),
            "http_error",
        ),
        (
            "bad_504",
            "docs",
            Legacy,
            Answer::new(504).body("<html>"),
            "http_error",
        ),
        ("bad_reset", "docs", Modern, Answer::reset(), "reset"),
        ("bad_closed", "docs", Legacy, Answer::raw(""), "reset"),
        (
            "bad_no_http",
            "docs",
            Modern,
            Answer::raw("220 mail.example\r\n\r\n"),
            "reset",
        ),
        ("bad_silent", "hurried", Modern, Answer::silence(), "timeout"),
        (
            "bad_silent_in_json",
            "hurried",
            Modern,
            unfinished(&half).then(never()),
            "timeout",
        ),
        (
            "bad_short",
            "docs",
            Modern,
            json("").declared(whole.len(), half.clone()),
            "truncated",
        ),
        (
            "bad_cut",
            "docs",
            Legacy,
            unfinished(&half).then(Action::Close),
            "truncated",
        ),
        (
            "bad_cut_by_reset",
            "docs",
            Modern,
            unfinished(&half).then(Action::Reset),
            "truncated",
        ),
        ("bad_half", "docs", Modern, json(&half), "truncated"),
        ("bad_half_chunked", "docs", Legacy, unfinished(&half), "malformed"),
        ("bad_no_json", "docs", Modern, json("Hello, world"), "malformed"),
        (
            "bad_more",
            "docs",
            Modern,
            json(&format!("{whole}{whole}")),
            "malformed",
        ),
        (
            "bad_html",
            "docs",
            Legacy,
            json("<p>").header("content-type", "text/html"),
            "malformed",
        ),
        ("bad_empty", "docs", Modern, json(""), "malformed"),
        ("bad_no_content", "docs", Legacy, Answer::new(204), "malformed"),
        (
            "bad_gzip",
            "docs",
            Modern,
            json("\x1f").header("content-encoding", "gzip"),
            "malformed",
        ),
        ("bad_foreign", "docs", Modern, Answer::json(&foreign), "malformed"),
        (
            "bad_batch",
            "docs",
            Legacy,
            Answer::json(&json!([response(&json!({}))])),
            "malformed",
        ),
        (
            "bad_notification",
            "docs",
            Modern,
            Answer::json(&progress),
            "malformed",
        ),
        (
            "bad_internal",
            "docs",
            Legacy,
            Answer::json(&internal),
            "rpc_error",
        ),
        (
            "bad_internal_chunked",
            "docs",
            Legacy,
            unfinished(&internal.to_string()),
            "rpc_error",
        ),
        (
            "bad_internal_400",
            "docs",
            Modern,
            Answer::json(&internal).status(400),
            "rpc_error",
        ),
        (
            "bad_internal_event",
            "docs",
            Modern,
            Answer::sse_messages([&progress, &internal]),
            "rpc_error",
        ),
        (
            "bad_events_end",
            "docs",
            Modern,
            Answer::sse_messages([&progress]),
            "truncated",
        ),
        // 2026-07-28 has no resumption.
        (
            "bad_events_end_with_id",
            "docs",
            Modern,
            events(format!("id: 1\ndata: {progress}\n\n")),
            "truncated",
        ),
        (
            "bad_events_reset",
            "docs",
            Legacy,
            Answer::sse_messages([&progress]).then(Action::Reset),
            "truncated",
        ),
        (
            "bad_events_malformed",
            "docs",
            Modern,
            events("data: {\"jsonrpc\":\n\n".to_owned()),
            "malformed",
        ),
    ]
}

/// What it does not count.
pub(super) fn harmless() -> Vec<Case> {
    let content = json!([{ "type": "text", "text": "no" }]);
    let tool_error = json!({ "content": content, "isError": true, "resultType": "complete" });
    let input_required = json!({ "resultType": "input_required", "requestState": "s", "inputRequests": {
        "name": { "method": "elicitation/create", "params": { "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } } },
    } });
    let legacy_task = json!({ "task": { "taskId": "t", "status": "working", "createdAt": "2026-01-01T00:00:00Z", "ttl": 1000 } });
    let modern_task = json!({ "resultType": "task", "taskId": "t", "status": "working", "createdAt": "2026-01-01T00:00:00Z",
        "lastUpdatedAt": "2026-01-01T00:00:00Z", "ttlMs": null });
    let large = json!({ "content": [{ "type": "text", "text": "x".repeat(RESULT_BYTES) }] });
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } });
    let mut cases: Vec<Case> = vec![
        // The client may not have read on.
        (
            "fine_silent_in_events",
            "hurried",
            Legacy,
            Answer::sse_messages([&progress]).then(Action::Wait(Duration::from_hours(1))),
            "timeout",
        ),
        // The client may have cancelled it.
        (
            "fine_events_end",
            "docs",
            Legacy,
            Answer::sse_messages([&progress]),
            "truncated",
        ),
        (
            "fine_tool_error",
            "docs",
            Modern,
            result(&tool_error),
            "tool_error",
        ),
        (
            "fine_tool_error_event",
            "docs",
            Legacy,
            Answer::sse_messages([&response(&tool_error)]),
            "tool_error",
        ),
        (
            "fine_invalid_params",
            "docs",
            Legacy,
            Answer::json(&error(-32_602)),
            "rpc_error",
        ),
        (
            "fine_own_error",
            "docs",
            Modern,
            Answer::sse_messages([&error(-32_000)]),
            "rpc_error",
        ),
        (
            "fine_no_method",
            "docs",
            Modern,
            Answer::json(&error(-32_601)).status(404),
            "rpc_error",
        ),
        (
            "fine_input",
            "docs",
            Modern,
            result(&input_required),
            "input_required",
        ),
        ("fine_task", "docs", Legacy, result(&legacy_task), "task"),
        ("fine_task_modern", "docs", Modern, result(&modern_task), "task"),
        // It answers elsewhere, or comes back: 2025-11-25 lets a client resume after an event id.
        (
            "fine_resumable",
            "docs",
            Legacy,
            Answer::sse([(Duration::ZERO, "id: 1\ndata:\n\n")]),
            "accepted",
        ),
        (
            "fine_resumable_cut",
            "docs",
            Legacy,
            Answer::sse([(Duration::ZERO, "id: 1\ndata:\n\n")]).then(Action::Close),
            "accepted",
        ),
        ("fine_accepted", "docs", Legacy, Answer::new(202), "accepted"),
        ("fine_large", "docs", Modern, result(&large), "too_large"),
        // That the stream stays open says nothing once the answer is there.
        (
            "fine_answered_then_cut",
            "docs",
            Modern,
            Answer::sse_messages([&response(&json!({}))]).then(Action::Reset),
            "ok",
        ),
        (
            "fine_answered_then_silent",
            "hurried",
            Modern,
            Answer::sse_messages([&response(&json!({}))]).then(Action::Wait(Duration::from_hours(1))),
            "ok",
        ),
    ];
    for (name, status) in [
        ("fine_400", 400),
        ("fine_401", 401),
        ("fine_403", 403),
        ("fine_404", 404),
        ("fine_405", 405),
        ("fine_429", 429),
        ("fine_302", 302),
    ] {
        cases.push((name, "docs", Modern, Answer::new(status), "http_error"));
    }
    cases
}
