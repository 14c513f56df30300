//! `toolgate explain` says what Envoy does.

use serde_json::{Value, json};
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::Options;
use toolgate_tests::gate::Gate;
use toolgate_tests::messages::Era;
use toolgate_tests::run;
use toolgate_tests::toolgate::{key_digest, toolgate};
use toolgate_tests::upstream::mcp_server;

#[test]
fn an_explanation_is_what_envoy_decides_and_answers() {
    run(async {
        let gate = Gate::start(Options::default(), policy(), mcp_server(json!([]))).await;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("policy.json");
        std::fs::write(&file, policy().to_string()).expect("written");
        let mut decisions = Vec::new();
        for (number, (key, server, request)) in requests().into_iter().enumerate() {
            let label = format!("explained-{number}.");
            let body = request.body.clone().unwrap_or_default();
            let what = format!("{key} on {server}: {}", String::from_utf8_lossy(&body));
            let message = directory.path().join("message.json");
            std::fs::write(&message, &body).expect("written");
            let output = toolgate([
                "explain",
                "--policy",
                &file.display().to_string(),
                "--key",
                key,
                "--server",
                server,
                "--request",
                &message.display().to_string(),
                "--format",
                "json",
            ]);
            let said = String::from_utf8_lossy(&output.stdout);
            let explained: Value =
                serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in {said} for {what}"));

            let request = request.key(&format!("{key}-key")).header("x-label", &label);
            let answer = gate.send(&request, Transport::Length).await;
            let decision = answer.header("x-toolgate-decision");
            assert_eq!(explained["decision"], decision.as_str(), "{what}: {answer:?}");
            let allowed = decision == "allowed";
            assert_eq!(output.status.code(), Some(i32::from(!allowed)), "{what}");
            let received = gate.upstream.received_for(&label);
            assert_eq!(received.len(), usize::from(allowed), "{what}");
            if allowed {
                assert_eq!(received[0].body, body, "{what}");
                assert_eq!(explained["answer"], Value::Null, "{what}");
            } else {
                assert_eq!(explained["answer"]["status"], answer.status, "{what}");
                assert_eq!(explained["answer"]["body"], answer.text(), "{what}");
            }
            if key == "shadow" {
                assert!(
                    allowed && explained["would_deny"] == "hidden",
                    "{what}: {explained}"
                );
            }
            decisions.push(decision);
        }
        // The comparison is worth something only if it sees more than one decision.
        decisions.sort();
        decisions.dedup();
        assert!(decisions.len() >= 8, "{decisions:?}");
    });
}

/// Key, server, request.
fn requests() -> Vec<(&'static str, &'static str, Request)> {
    let legacy =
        |text: &str| Request::post("/docs/mcp", text.to_owned()).header("mcp-protocol-version", "2025-11-25");
    let call = |path: &str, tool: &str, arguments: Value| Era::Legacy.call(path, tool, &arguments);
    let modern = |tool: &str, arguments: Value| Era::Modern.call("/docs/mcp", tool, &arguments);
    let other = |method: &str, params: Value| {
        legacy(&json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params }).to_string())
    };
    vec![
        (
            "reader",
            "docs",
            call("/docs/mcp", "search", json!({ "query": "x" })),
        ),
        ("reader", "docs", modern("search", json!({ "query": "x" }))),
        ("reader", "docs", call("/docs/mcp", "delete_all", json!({}))),
        ("reader", "docs", modern("delete_all", json!({}))),
        (
            "reader",
            "docs",
            call("/docs/mcp", "search", json!({ "query": 7 })),
        ),
        (
            "reader",
            "docs",
            modern("search", json!({ "query": "x", "more": 1 })),
        ),
        (
            "reader",
            "docs",
            call("/docs/mcp", "get_page", json!({ "n": 9_007_199_254_740_993_u64 })),
        ),
        ("reader", "files", call("/files/mcp", "read", json!({}))),
        ("reader", "closed", call("/closed/mcp", "unlisted", json!({}))),
        ("reader", "closed", call("/closed/mcp", "listed", json!({}))),
        (
            "retired",
            "docs",
            call("/docs/mcp", "search", json!({ "query": "x" })),
        ),
        (
            "disabled",
            "docs",
            call("/docs/mcp", "search", json!({ "query": "x" })),
        ),
        ("shadow", "docs", call("/docs/mcp", "delete_all", json!({}))),
        (
            "reader",
            "docs",
            other("resources/read", json!({ "uri": "file:///etc/passwd" })),
        ),
        ("reader", "docs", other("prompts/get", json!({ "name": "p" }))),
        ("reader", "docs", other("vendor/secret", json!({}))),
        ("reader", "docs", other("ping", json!({}))),
        (
            "reader",
            "docs",
            legacy(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#),
        ),
        (
            "reader",
            "docs",
            legacy(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping"}"#),
        ),
        (
            "reader",
            "docs",
            legacy(r#"{"jsonrpc":"2.0","id":1,"method":"ping""#),
        ),
        (
            "reader",
            "docs",
            legacy(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#),
        ),
        ("reader", "docs", legacy(r#"{"id":1,"method":"ping"}"#)),
    ]
}

fn policy() -> Value {
    let key = |name: &str| json!({ "sha256": [key_digest(&format!("{name}-key"))], "roles": ["reader"] });
    let mut policy = json!({
        "version": 1,
        "servers": {
            "docs": { "path": "/docs/mcp", "tools": { "search": { "inputSchema": {
                "type": "object", "properties": { "query": { "type": "string" } },
                "required": ["query"], "additionalProperties": false,
            } } } },
            "files": { "path": "/files/mcp" },
            "closed": { "path": "/closed/mcp", "unlistedTools": "deny", "tools": { "listed": {} } },
        },
        "roles": { "reader": { "allow": ["docs/search", "docs/get_page", "closed/*"] } },
        "keys": { "reader": key("reader"), "retired": key("retired"), "disabled": key("disabled"), "shadow": key("shadow") },
    });
    policy["keys"]["retired"]["expires"] = "2020-01-01T00:00:00Z".into();
    policy["keys"]["disabled"]["disabled"] = true.into();
    policy["keys"]["shadow"]["mode"] = "shadow".into();
    policy
}
