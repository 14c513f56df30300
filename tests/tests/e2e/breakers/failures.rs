//! Which answers are failures and which are not: after three of the former in a row the server is spared, after any
//! number of the latter it is not.

mod cases;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::{JoinSet, LocalSet};
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::run;
use toolgate_tests::upstream::{Action, Answer, Door, Upstream, mcp_server};

use self::cases::{Case, failures, harmless};
use super::{Stand, Tool, path, response, result, stand};

/// One that holds bodies instead of heads, in the other release.
async fn other_stand() -> &'static Stand {
    static STAND: OnceCell<Stand> = OnceCell::const_new();
    let options = Options {
        release: Release::V1_36,
        concurrency: 2,
    };
    STAND.get_or_init(|| super::start(options, "body")).await
}

/// Later than what the policy takes for slow.
const LATE: Duration = Duration::from_millis(800);

/// Holds every case to the same, all at once, on both stands.
async fn each<F>(cases: impl Fn() -> Vec<Case>, holds: impl Fn(Tool<'static>, Case) -> F)
where
    F: Future<Output = ()> + 'static,
{
    // On this thread, so that what a check that fails has to say is said by this test.
    let here = LocalSet::new();
    let mut checks = JoinSet::new();
    let (one, other) = tokio::join!(stand(), other_stand());
    for stand in [one, other] {
        for case in cases() {
            checks.spawn_local_on(holds(Tool::new(stand, case.1, case.0).era(case.2), case), &here);
        }
    }
    here.run_until(checks.join_all()).await;
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

#[test]
fn what_is_no_failure_leaves_it_closed() {
    run(each(harmless, |tool, (name, _, _, answer, outcome)| async move {
        tool.answers(answer);
        tool.passes_times(4).await;
        for line in tool.stand.logged(name, 4).await {
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
        let late = Answer::json(&answer).after(LATE);
        let tool = Tool::new(stand, "docs", "slow");
        tool.works().passes_times(3).await;
        tool.answers(late.clone()).passes_times(3).await;
        tool.is_spared().await;
        // Not without being told so.
        let tool = Tool::new(stand, "docs", "unhurried");
        tool.answers(late).passes_times(4).await;
        // What counts is when the answer is there, not how long its stream stays open.
        let tool = Tool::new(stand, "docs", "slow_stream");
        let lasting = Answer::sse_messages([&answer]).then(Action::Wait(LATE));
        tool.answers(lasting).passes_times(4).await;
        let late_event = (LATE, format!("data: {answer}\n\n"));
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
    tool.waits_for_arrivals(before + 1).await;
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
