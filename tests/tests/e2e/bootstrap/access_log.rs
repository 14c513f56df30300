//! The access log that `--access-log` writes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolgate_tests::client::Request;
use toolgate_tests::messages::Era;
use toolgate_tests::{SOON, run};

use super::{KEY, QUERY, Stand, stands};

const ARGUMENT: &str = "argument-secret";

#[test]
fn every_request_is_one_json_line_without_secrets() {
    run(async {
        for stand in stands().await {
            let target = format!("/docs/mcp?{QUERY}");
            let call = |tool: &str| Era::Modern.call(&target, tool, &json!({ "q": ARGUMENT }));
            stand.send(&call("log-allowed").key(KEY)).await;
            stand.send(&call("delete_log-hidden").key(KEY)).await;
            stand.send(&call("log-stranger").key("stranger-secret")).await;
            stand
                .send(
                    &Era::Legacy
                        .call(&target, "log-legacy", &json!({ "q": ARGUMENT }))
                        .header("x-virtual-key", KEY),
                )
                .await;
            stand
                .send(
                    &Era::Legacy
                        .call(&target, "log-session", &json!({}))
                        .key(KEY)
                        .header("mcp-session-id", "session-7"),
                )
                .await;
            let lines = written(stand).await;

            let allowed = line(&lines, "gen_ai.tool.name", "log-allowed");
            for (field, expected) in [
                ("status", json!(200)),
                ("method", json!("POST")),
                ("path", json!("/docs/mcp")),
                ("flags", json!("-")),
                ("details", json!("via_upstream")),
                ("upstream", json!(stand.parts.plain.address().to_string())),
                ("client", json!("127.0.0.1")),
                ("decision", json!("allowed")),
                ("would_deny", Value::Null),
                ("key", json!("stand")),
                ("team", json!("red")),
                ("server", json!("docs")),
                ("mcp.method.name", json!("tools/call")),
                ("jsonrpc.request.id", json!("1")),
                ("mcp.protocol.version", json!("2026-07-28")),
                ("mcp.session.id", Value::Null),
            ] {
                assert_eq!(allowed[field], expected, "{field} in {allowed}");
            }
            for field in ["request_bytes", "response_bytes"] {
                assert!(allowed[field].as_u64() > Some(0), "{field} in {allowed}");
            }
            assert!(allowed["duration_ms"].is_u64(), "{allowed}");
            assert!(
                allowed["time"].as_str().is_some_and(|time| time.ends_with('Z')),
                "{allowed}"
            );
            assert!(allowed["request_id"].is_string(), "{allowed}");

            let hidden = line(&lines, "gen_ai.tool.name", "delete_log-hidden");
            for (field, expected) in [
                ("status", json!(200)),
                ("decision", json!("hidden")),
                ("key", json!("stand")),
                ("server", json!("docs")),
                ("upstream", Value::Null),
            ] {
                // Where headers are not held, the connection to the server is open when the body is refused.
                if field == "upstream" && stand.holds_bodies() {
                    continue;
                }
                assert_eq!(hidden[field], expected, "{field} in {hidden}");
            }

            let stranger = line(&lines, "decision", "bad_key");
            assert_eq!(
                (&stranger["status"], &stranger["key"]),
                (&json!(401), &Value::Null)
            );

            let legacy = line(&lines, "gen_ai.tool.name", "log-legacy");
            assert_eq!(legacy["mcp.session.id"], Value::Null, "{legacy}");
            assert_eq!(legacy["mcp.protocol.version"], "2025-11-25", "{legacy}");
            assert_eq!(legacy["decision"], "allowed", "{legacy}");

            // Nobody was given that session: refused before the body is read.
            let session = line(&lines, "decision", "session");
            assert_eq!(session["mcp.session.id"], "session-7", "{session}");
            assert_eq!(session["status"], 404, "{session}");

            let text = std::fs::read_to_string(stand.access_log()).expect("readable");
            for secret in [KEY, "stranger-secret", ARGUMENT, "query-secret"] {
                assert!(!text.contains(secret), "{secret} is in the log");
            }
        }
    });
}

/// The lines, once those of this test's five requests are there: Envoy writes what it has when it reopens its logs.
async fn written(stand: &Stand) -> Vec<Value> {
    let deadline = Instant::now() + SOON;
    loop {
        let asked = Request::new("POST", "/reopen_logs").header("content-length", "0");
        stand.envoy.ask_admin(&asked).await;
        let text = std::fs::read_to_string(stand.access_log()).unwrap_or_default();
        let ours = [
            "log-allowed",
            "delete_log-hidden",
            "bad_key",
            "log-legacy",
            "session-7",
        ];
        if ours.iter().all(|name| text.contains(name)) {
            return text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
                .collect();
        }
        assert!(Instant::now() < deadline, "not written: {text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn line<'a>(lines: &'a [Value], field: &str, value: &str) -> &'a Value {
    let mut found = lines.iter().filter(|line| line[field] == value);
    let first = found.next();
    assert!(found.next().is_none(), "more than one line has {field} {value}");
    first.unwrap_or_else(|| panic!("no line has {field} {value}"))
}
