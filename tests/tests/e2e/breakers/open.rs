//! What callers are told while a breaker is open, and that nothing of it arrives.

use serde_json::{Value, json};
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::upstream::Answer;

use super::{Stand, Tool, path, retry_after, stand};

const HOUR: u64 = 3_600_000;

/// `Retry-After` in seconds says the same as the milliseconds, rounded up.
fn assert_wait(answer: &Response, millis: u64, what: &str) {
    assert!((HOUR - 120_000..=HOUR).contains(&millis), "{what}");
    assert_eq!(
        answer.header("retry-after"),
        millis.div_ceil(1000).to_string(),
        "{what}"
    );
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
}

#[test]
fn a_refused_call_is_an_error_for_the_model_that_says_when_to_retry() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "docs", "refused");
        tool.opens_after(3).await;
        for era in Era::ALL {
            let tool = tool.clone().era(era);
            for transport in Transport::ALL {
                let answer = stand.gate.send(&tool.request(), transport).await;
                let what = format!("{era:?} {transport:?}: {answer:?}");
                assert_eq!((answer.status, answer.complete), (200, true), "{what}");
                assert_eq!(answer.header("content-type"), "application/json", "{what}");
                assert_eq!(answer.header("x-toolgate-decision"), "breaker", "{what}");
                let millis = retry_after(&answer);
                assert_wait(&answer, millis, &what);
                let text = format!(
                    "This tool has failed repeatedly and is not called at the moment. Try again in {} seconds, or go on \
                     without it.",
                    millis.div_ceil(1000)
                );
                let mut result = json!({
                    "content": [{ "type": "text", "text": text }],
                    "isError": true,
                    "_meta": { "toolgate/retryAfterMs": millis },
                });
                if era == Era::Modern {
                    result["resultType"] = "complete".into();
                }
                assert_eq!(
                    answer.json(),
                    json!({ "jsonrpc": "2.0", "id": 1, "result": result }),
                    "{what}"
                );
            }
        }
        assert_eq!(tool.arrived(), 3);
    });
}

#[test]
fn other_tools_lists_and_sessions_go_on() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "docs", "one_of_many");
        tool.opens_after(3).await;
        Tool::new(stand, "docs", "another").passes().await;
        // The same name on another server is another tool.
        Tool::new(stand, "quick", "one_of_many").passes().await;
        for (number, (request, _)) in requests("docs", None).into_iter().enumerate() {
            let label = format!("docs/goes_on_{number}.");
            let answer = stand
                .gate
                .send(&request.header("x-label", &label), Transport::Length)
                .await;
            assert_eq!(stand.gate.upstream.labelled(&label).len(), 1, "{answer:?}");
        }
        tool.is_spared().await;
    });
}

/// Everything but a call that a client may ask of a server, and whether it expects an answer.
fn requests(server: &str, session: Option<&str>) -> Vec<(Request, bool)> {
    let path = path(server);
    let legacy = |method: &str, params: Value| Era::Legacy.request(&path, method, None, params);
    let modern = |method: &str| Era::Modern.request(&path, method, None, json!({}));
    let initialize = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    let mut requests = vec![(legacy("initialize", initialize), true)];
    for method in [
        "ping",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
    ] {
        requests.push((legacy(method, json!({})), true));
    }
    for method in ["server/discover", "tools/list", "prompts/list", "resources/list"] {
        requests.push((modern(method), true));
    }
    requests.push((legacy("resources/read", json!({ "uri": "docs:open" })), true));
    requests.push((legacy("prompts/get", json!({ "name": "p" })), true));
    let post = |body: Value| Request::json(&path, &body).header("mcp-protocol-version", "2025-11-25");
    let bare = |method: &str| {
        Request::new(method, &path)
            .header("accept", "text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
    };
    for request in [
        post(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })),
        post(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } })),
        post(json!({ "jsonrpc": "2.0", "id": 1, "result": { "roots": [] } })),
        bare("GET"),
        bare("DELETE"),
    ] {
        requests.push((request, false));
    }
    requests
        .into_iter()
        .map(|(request, answered)| {
            let request = match session {
                Some(session) if !request.headers.iter().any(|(name, _)| name == b"mcp-method") => {
                    request.header("mcp-session-id", session)
                }
                _ => request,
            };
            (request.key("ada-key"), answered)
        })
        .collect()
}

#[test]
fn a_server_that_is_spared_is_asked_nothing() {
    run(async {
        let stand = stand().await;
        let server = "whole_refusals";
        let session = session(stand, server).await;
        let tool = Tool::new(stand, server, "any");
        let told = tool.opens_after(2).await;
        let text = told.json()["result"]["content"][0]["text"].clone();
        assert!(
            text.as_str()
                .is_some_and(|text| text.starts_with("This tool's server has failed")),
            "{text}"
        );
        Tool::new(stand, server, "other").is_spared().await;
        for (number, (request, answered)) in requests(server, Some(&session)).into_iter().enumerate() {
            for transport in [Transport::Length, Transport::ChunkedTrailers, Transport::Http2] {
                if request.body.is_none() && transport == Transport::ChunkedTrailers {
                    continue;
                }
                let label = format!("{server}/{number}-{transport:?}.");
                let request = request.clone().header("x-label", &label);
                let answer = stand.gate.send(&request, transport).await;
                let what = format!("{request:?}: {answer:?}");
                assert_eq!(answer.status, 503, "{what}");
                assert_eq!(answer.header("x-toolgate-decision"), "breaker", "{what}");
                assert!(stand.gate.upstream.labelled(&label).is_empty(), "{what}");
                if answered {
                    assert_error(&answer, &what);
                } else {
                    assert!(answer.body.is_empty(), "{what}");
                    let seconds: u64 = answer.header("retry-after").parse().expect("seconds");
                    assert!((3_480..=3_600).contains(&seconds), "{what}");
                }
            }
        }
    });
}

fn assert_error(answer: &Response, what: &str) {
    let message = answer.json();
    let millis = message["error"]["data"]["toolgate/retryAfterMs"].as_u64();
    let millis = millis.unwrap_or_else(|| panic!("{what}"));
    assert_wait(answer, millis, what);
    assert_eq!(
        (&message["jsonrpc"], &message["id"]),
        (&json!("2.0"), &json!(1)),
        "{what}"
    );
    assert_eq!(message["error"]["code"], -31_503, "{what}");
    let text = message["error"]["message"].as_str().unwrap_or_default();
    assert!(text.contains("failed repeatedly"), "{what}");
    assert!(message.get("result").is_none(), "{what}");
    assert_eq!(answer.header("content-type"), "application/json", "{what}");
}

/// Begins one, and returns its id as the client knows it.
async fn session(stand: &Stand, server: &str) -> String {
    let (request, _) = requests(server, None).swap_remove(0);
    let answer = stand.gate.send(&request, Transport::Length).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let session = answer.header("mcp-session-id");
    assert!(!session.is_empty(), "{answer:?}");
    session
}

#[test]
fn any_request_that_fails_counts_against_its_server() {
    run(async {
        let stand = stand().await;
        for (server, method) in [
            ("whole_initialize", "initialize"),
            ("whole_lists", "tools/list"),
            ("whole_calls", "ping"),
        ] {
            let label = format!("{server}/any.");
            stand.gate.upstream.answer(&label, |_| Answer::new(500));
            let request = Era::Legacy.request(&path(server), method, None, json!({}));
            let request = request.key("ada-key").header("x-label", &label);
            for _ in 0..2 {
                let answer = stand.gate.send(&request, Transport::Length).await;
                assert_eq!(
                    (answer.status, answer.header("x-toolgate-decision")),
                    (500, "allowed".to_owned())
                );
            }
            let answer = stand.gate.send(&request, Transport::Length).await;
            assert_eq!(
                (answer.status, answer.header("x-toolgate-decision")),
                (503, "breaker".to_owned())
            );
            assert_eq!(stand.gate.upstream.labelled(&label).len(), 2);
            Tool::new(stand, server, "a_tool").is_spared().await;
        }
    });
}

#[test]
fn a_tools_own_breaker_takes_the_place_of_the_servers() {
    run(async {
        let stand = stand().await;
        let own = Tool::new(stand, "whole_own", "own");
        own.opens_after(3).await;
        // Its failures are not the server's,
        let other = Tool::new(stand, "whole_own", "other");
        other.passes().await;
        other.opens_after(2).await;
        own.is_spared().await;
        Tool::new(stand, "whole_own", "third").is_spared().await;
    });
}

/// Who is refused before the breaker is told so, open or not: a breaker says nothing of what a key may not know.
#[test]
fn what_a_key_may_not_use_is_unknown_to_it_all_the_same() {
    run(async {
        let stand = stand().await;
        let tool = Tool::new(stand, "docs", "unknown_key");
        tool.opens_after(3).await;
        let request = tool.request().with("authorization", "Bearer nobody");
        let answer = tool.send(&request).await;
        assert_eq!(
            (answer.status, answer.header("x-toolgate-decision")),
            (401, "bad_key".to_owned())
        );
        assert!(!answer.has("retry-after"), "{answer:?}");
    });
}
