//! Which answers are failures and which are not: after three of the former in a row the server is spared, after any
//! number of the latter it is not.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::messages::Era::{self, Legacy, Modern};
use toolgate_tests::run;
use toolgate_tests::upstream::{Action, Answer, Door, Upstream, mcp_server};

use super::{RESULT_BYTES, Stand, Tool, error, path, response, result, stand, until};

/// One that holds bodies instead of heads, in the other release.
async fn other_stand() -> &'static Stand {
    static STAND: OnceCell<Stand> = OnceCell::const_new();
    let options = Options {
        release: Release::V1_36,
        concurrency: 2,
    };
    STAND.get_or_init(|| super::start(options, "body")).await
}

/// A way to fail: name, server, era, answer, and the outcome in the access log.
type Case = (&'static str, &'static str, Era, Answer, &'static str);

fn failures() -> Vec<Case> {
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
    let never = || Action::Wait(Duration::from_secs(3600));
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
            "bad_silent_in_events",
            "hurried",
            Legacy,
            events(format!("data: {progress}\n\n")).then(never()),
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
        (
            "bad_events_end_legacy",
            "docs",
            Legacy,
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
            "bad_events_empty",
            "docs",
            Legacy,
            events(": nothing\n\n".to_owned()),
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

/// Holds every case to the same, all at once, on both stands.
async fn each<F>(cases: impl Fn() -> Vec<Case>, holds: impl Fn(Tool<'static>, Case) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut checks = JoinSet::new();
    let (one, other) = tokio::join!(stand(), other_stand());
    for stand in [one, other] {
        for case in cases() {
            checks.spawn(holds(Tool::new(stand, case.1, case.0).era(case.2), case));
        }
    }
    checks.join_all().await;
}

#[test]
fn every_kind_of_failure_opens_it() {
    run(each(failures, |tool, (name, _, _, answer, outcome)| async move {
        tool.answers(answer);
        tool.passes_times(3).await;
        tool.is_spared().await;
        assert_eq!(tool.arrived(), 3, "{name}");
        let lines = tool.stand.logged(name, 4).await;
        let outcomes: Vec<&Value> = lines.iter().map(|line| &line["outcome"]).collect();
        let outcome = json!(outcome);
        assert_eq!(
            outcomes,
            [&outcome, &outcome, &outcome, &Value::Null],
            "{lines:?}"
        );
    }));
}

fn harmless() -> Vec<Case> {
    let content = json!([{ "type": "text", "text": "no" }]);
    let tool_error = json!({ "content": content, "isError": true, "resultType": "complete" });
    let input_required = json!({ "resultType": "input_required", "requestState": "s", "inputRequests": {
        "name": { "method": "elicitation/create", "params": { "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } } },
    } });
    let legacy_task = json!({ "task": { "taskId": "t", "status": "working", "createdAt": "2026-01-01T00:00:00Z", "ttl": 1000 } });
    let modern_task = json!({ "resultType": "task", "taskId": "t", "status": "working", "createdAt": "2026-01-01T00:00:00Z",
        "lastUpdatedAt": "2026-01-01T00:00:00Z", "ttlMs": null });
    let large = json!({ "content": [{ "type": "text", "text": "x".repeat(RESULT_BYTES) }] });
    let mut cases: Vec<Case> = vec![
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
            Answer::sse_messages([&response(&json!({}))]).then(Action::Wait(Duration::from_secs(3600))),
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

#[test]
fn what_is_no_failure_leaves_it_closed() {
    run(each(harmless, |tool, (name, _, _, answer, outcome)| async move {
        tool.answers(answer);
        tool.passes_times(7).await;
        for line in tool.stand.logged(name, 7).await {
            assert_eq!(line["outcome"], outcome, "{name}: {line}");
        }
    }));
}

#[test]
fn tool_errors_count_where_the_policy_says_so() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "docs", "tool_errors");
        tool.answers(result(&json!({ "content": [], "isError": true })));
        tool.passes_times(3).await;
        tool.is_spared().await;
    });
}

#[test]
fn slow_answers_count_where_the_policy_says_so() {
    run(async {
        let stand = stand().await;
        let answer = response(&json!({ "content": [] }));
        let late = Answer::json(&answer).after(Duration::from_millis(400));
        let tool = Tool::new(stand, "docs", "slow");
        tool.works().passes_times(3).await;
        tool.answers(late.clone()).passes_times(3).await;
        tool.is_spared().await;
        // Not without being told so.
        let tool = Tool::new(stand, "docs", "unhurried");
        tool.answers(late).passes_times(4).await;
        // What counts is when the answer is there, not how long its stream stays open.
        let tool = Tool::new(stand, "docs", "slow_stream");
        let lasting = Answer::sse_messages([&answer]).then(Action::Wait(Duration::from_millis(400)));
        tool.answers(lasting).passes_times(4).await;
        let late_event = (Duration::from_millis(400), format!("data: {answer}\n\n"));
        tool.answers(Answer::sse([late_event])).passes_times(3).await;
        tool.is_spared().await;
    });
}

#[test]
fn only_failures_in_a_row_count() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "docs", "in_a_row");
        for _ in 0..3 {
            tool.fails().passes_times(2).await;
            tool.works().passes().await;
        }
        tool.fails().passes_times(3).await;
        tool.works().is_spared().await;
    });
}

#[test]
fn a_server_that_refuses_connections_is_spared_and_found_again() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "gone", "known");
        let answer = tool.send(&tool.request()).await;
        assert_eq!(
            (answer.status, answer.header("x-toolgate-decision")),
            (503, "allowed".to_owned())
        );
        tool.waits_for_probes().await;
        // Still nobody: one probe, and the next call is refused.
        let answer = tool.send(&tool.request()).await;
        assert_eq!(answer.status, 503);
        tool.waits_for_probes().await;
        let whole = Tool::new(stand, "whole_gone", "any");
        for _ in 0..2 {
            assert_eq!(whole.send(&whole.request()).await.status, 503);
        }
        whole.is_spared().await;
        let lines = stand.logged("any", 3).await;
        assert_eq!(
            (&lines[0]["outcome"], &lines[2]["outcome"]),
            (&json!("reset"), &Value::Null)
        );

        let upstream = Upstream::start_at(stand.gone, mcp_server(json!([]))).await;
        for _ in 0..3 {
            let answer = tool.send(&tool.request()).await;
            assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{answer:?}");
        }
        assert_eq!(upstream.received_for(&tool.label()).len(), 3);
        assert!(upstream.received_for(&whole.label()).is_empty());
    });
}

/// A caller that leaves says nothing about the server: neither that it fails nor that it works.
#[test]
fn callers_that_leave_count_neither_way() {
    run(async {
        let stand = stand().await;
        let door = Door::closed();
        let tool = Tool::new(stand, "docs", "left");
        tool.answers(Answer::new(500).behind(&door));
        for transport in [Transport::Length, Transport::Http2] {
            leave(&tool, transport).await;
            leave(&tool, transport).await;
        }
        for line in stand.logged("left", 4).await {
            assert_eq!(line["outcome"], "client_gone", "{line}");
        }
        tool.fails().passes_times(2).await;
        tool.answers(Answer::new(500).behind(&door));
        leave(&tool, Transport::Length).await;
        stand.logged("left", 7).await;
        tool.fails().passes().await;
        tool.is_spared().await;
    });
}

/// Calls, and leaves while the server thinks.
async fn leave(tool: &Tool<'static>, transport: Transport) {
    let before = tool.arrived();
    let caller = tool.clone();
    let call = tokio::spawn(async move { caller.send_over(&caller.request(), transport).await });
    until("the call arrives", async || tool.arrived() > before).await;
    call.abort();
}

/// What expects no answer can neither fail nor succeed.
#[test]
fn notifications_and_verbs_without_answers_do_not_count() {
    run(async {
        let stand = stand().await;
        let server = "whole_harmless";
        let post =
            |body: &Value| Request::json(&path(server), body).header("mcp-protocol-version", "2025-11-25");
        let bare = |method: &str| {
            Request::new(method, &path(server))
                .header("accept", "text/event-stream")
                .header("mcp-protocol-version", "2025-11-25")
        };
        let requests = [
            post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })),
            post(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} })),
            bare("GET"),
            bare("DELETE"),
        ];
        for status in [202, 405, 500] {
            for (number, request) in requests.iter().enumerate() {
                let label = format!("whole_harmless/{status}-{number}.");
                stand.gate.upstream.answer(&label, move |_| Answer::new(status));
                let request = request.clone().key("ada-key").header("x-label", &label);
                for _ in 0..3 {
                    stand.gate.send(&request, Transport::Length).await;
                }
                assert_eq!(stand.gate.upstream.labelled(&label).len(), 3, "{label}");
            }
        }
        Tool::new(stand, server, "after").passes().await;
    });
}
