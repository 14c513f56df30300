//! What becomes of half-open breakers: who takes a probe's place, who gives it back, and which reports count.

use std::time::Duration;

use serde_json::json;
use toolgate_tests::client::{Connection, Request, Transport};
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::upstream::{Answer, Door};

use super::{OPEN, Tool, retry_after, stand, until};

#[test]
fn a_probe_that_succeeds_closes_it() {
    run(async {
        let tool = Tool::new(stand().await, "quick", "recovers");
        let told = tool.opens_after(1).await;
        assert!(u128::from(retry_after(&told)) <= OPEN.as_millis());
        tool.waits_for_probes().await;
        tool.works().passes_times(3).await;
    });
}

#[test]
fn a_probe_that_fails_opens_it_for_the_whole_time_again() {
    run(async {
        let tool = Tool::new(stand().await, "quick", "fails_again");
        tool.opens_after(1).await;
        tool.waits_for_probes().await;
        tool.passes().await;
        let told = retry_after(&tool.is_spared().await);
        assert!(Duration::from_millis(told) > OPEN / 2, "{told}");
        tool.waits_for_probes().await;
        tool.works().passes_times(2).await;
    });
}

#[test]
fn one_of_three_probes_that_fails_is_enough() {
    run(async {
        let tool = Tool::new(stand().await, "quick3", "one_of_three");
        tool.opens_after(1).await;
        tool.waits_for_probes().await;
        tool.works().passes_times(2).await;
        tool.fails().passes().await;
        tool.works().is_spared().await;
        tool.waits_for_probes().await;
        tool.passes_times(5).await;
        // Closed, it counts from the beginning.
        tool.opens_after(1).await;
    });
}

/// A failure that would not be one says enough: the server answers.
#[test]
fn any_answer_that_is_no_failure_closes_it() {
    run(async {
        let tool = Tool::new(stand().await, "quick", "harmless_probe");
        tool.opens_after(1).await;
        tool.waits_for_probes().await;
        tool.answers(Answer::new(404)).passes_times(2).await;
        tool.opens_after(1).await;
        tool.waits_for_probes().await;
        let tool_error = json!({ "content": [], "isError": true });
        tool.answers(super::result(&tool_error)).passes_times(2).await;
    });
}

#[test]
fn a_probe_whose_caller_leaves_gives_its_place_back() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "quick", "probe_left");
        tool.opens_after(1).await;
        tool.waits_for_probes().await;
        for transport in [Transport::Length, Transport::Http2] {
            let door = Door::closed();
            tool.answers(Answer::new(200).behind(&door));
            let before = tool.arrived();
            let probe = tool.clone();
            let call = tokio::spawn(async move { probe.send_over(&probe.request(), transport).await });
            tool.waits_for_arrivals(before + 1).await;
            tool.is_spared().await;
            call.abort();
            until("Envoy notices", async || {
                let received = stand.gate.upstream.labelled(&tool.label());
                received.last().is_some_and(|last| last.abandoned)
            })
            .await;
        }
        tool.works();
        let before = tool.arrived();
        until("its place is free", async || {
            let answer = tool.send(&tool.request()).await;
            answer.header("x-toolgate-decision") == "allowed"
        })
        .await;
        assert_eq!(tool.arrived(), before + 1);
        tool.passes_times(2).await;
    });
}

/// Checks that come after the breaker refuse calls that it let pass.
#[test]
fn a_quota_that_refuses_a_probe_gives_its_place_back() {
    run(async {
        let tool = Tool::new(stand().await, "quick", "probe_poor");
        let poor = tool.request().with("authorization", "Bearer poor-key");
        tool.works();
        assert_eq!(tool.send(&poor).await.header("x-toolgate-decision"), "allowed");
        tool.opens_after(1).await;
        tool.waits_for_probes().await;
        let before = tool.arrived();
        for _ in 0..3 {
            assert_eq!(tool.send(&poor).await.header("x-toolgate-decision"), "quota");
        }
        assert_eq!(tool.arrived(), before);
        tool.works().passes_times(2).await;
    });
}

#[test]
fn a_probe_that_leaves_while_the_rate_limit_service_is_asked_gives_its_place_back() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "quick", "probe_asking");
        // One that has nothing left, so that it never goes on as the probe.
        let spent = tool.request().with("authorization", "Bearer spent-key");
        tool.works();
        assert_eq!(tool.send(&spent).await.header("x-toolgate-decision"), "allowed");
        tool.opens_after(1).await;
        tool.waits_for_probes().await;
        tool.works();
        let before = tool.arrived();
        let asking = tool.request().with("authorization", "Bearer asking-key");
        let mut connection = Connection::open(stand.gate.envoy.address())
            .await
            .expect("connects");
        connection
            .request(&asking, Transport::Length)
            .await
            .expect("sent");
        // As long as it asks, it is the probe.
        until("it has passed the breaker", async || {
            tool.send(&spent).await.header("x-toolgate-decision") == "breaker"
        })
        .await;
        drop(connection);
        until("its place is free", async || {
            let answer = tool.send(&tool.request()).await;
            answer.header("x-toolgate-decision") == "allowed"
        })
        .await;
        assert_eq!(tool.arrived(), before + 1);
    });
}

/// Checks that come before the breaker take no place.
#[test]
fn what_is_refused_before_the_breaker_is_no_probe() {
    run(async {
        let tool = Tool::new(stand().await, "quick", "strict");
        let fitting = Era::Modern.call("/quick/mcp", "strict", &json!({ "needed": 1 }));
        let fitting = fitting.key("ada-key").header("x-label", tool.label());
        tool.fails();
        assert_eq!(tool.send(&fitting).await.status, 500);
        let told = retry_after(&tool.send(&fitting).await);
        tokio::time::sleep(Duration::from_millis(told + 50)).await;
        for _ in 0..3 {
            assert_eq!(
                tool.send(&tool.request()).await.header("x-toolgate-decision"),
                "schema"
            );
        }
        tool.works();
        for _ in 0..2 {
            assert_eq!(tool.send(&fitting).await.header("x-toolgate-decision"), "allowed");
        }
        assert_eq!(tool.arrived(), 3);
    });
}

/// A call as it waits in the server.
async fn under_way(tool: &Tool<'_>, request: &Request, answer: Answer, door: &Door) -> Connection {
    tool.answers(answer.behind(door));
    let before = tool.arrived();
    let mut connection = Connection::open(tool.stand.gate.envoy.address())
        .await
        .expect("connects");
    connection
        .request(request, Transport::Length)
        .await
        .expect("sent");
    tool.waits_for_arrivals(before + 1).await;
    connection
}

#[test]
fn late_reports_of_earlier_calls_do_not_count() {
    run(async {
        let tool = Tool::new(stand().await, "quick", "late");
        let request = tool.request();
        let doors = [Door::closed(), Door::closed(), Door::closed(), Door::closed()];
        let mut late = Vec::new();
        // Two that will fail, and one that will succeed.
        for (door, status) in doors.iter().zip([500, 500, 404]) {
            late.push(under_way(&tool, &request, Answer::new(status), door).await);
        }
        tool.opens_after(1).await;
        // A success of before does not close it.
        doors[2].open();
        assert_eq!(late[2].response().await.expect("an answer").status, 404);
        tool.is_spared().await;
        tool.waits_for_probes().await;
        // A failure of before does not end the probe, nor does it free its place.
        late.push(under_way(&tool, &request, Answer::new(404), &doors[3]).await);
        doors[0].open();
        assert_eq!(late[0].response().await.expect("an answer").status, 500);
        tool.is_spared().await;
        doors[3].open();
        assert_eq!(late[3].response().await.expect("an answer").status, 404);
        tool.works().passes().await;
        // Nor does it count once it is closed.
        doors[1].open();
        assert_eq!(late[1].response().await.expect("an answer").status, 500);
        tool.passes_times(2).await;
    });
}

/// What expects no answer cannot be a probe: it is refused until a request has found the server working.
#[test]
fn a_stream_takes_no_probe_of_a_tool() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "quick", "no_stream");
        tool.opens_after(1).await;
        tool.waits_for_probes().await;
        let get = Request::new("GET", "/quick/mcp")
            .header("accept", "text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .header("x-label", "quick/stream.")
            .key("ada-key");
        assert_eq!(stand.gate.send(&get, Transport::Length).await.status, 405);
        assert_eq!(stand.gate.upstream.labelled("quick/stream.").len(), 1);
        tool.works().passes_times(2).await;
    });
}
