//! The filter in a real Envoy: what passes arrives byte for byte, what is refused does not arrive at all.

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::Options;
use toolgate_tests::gate::Gate;
use toolgate_tests::run;
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::mcp_server;

#[test]
fn an_allowed_call_arrives_byte_for_byte() {
    run(async {
        let gate = gate().await;
        for transport in Transport::ALL {
            let label = format!("allowed-{transport:?}");
            let body = call("search", &label).replace(',', " ,\t");
            let answer = gate.send(&post(&body, &label), transport).await;
            assert_eq!(answer.status, 200, "{transport:?}: {answer:?}");
            assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{transport:?}");
            let received = gate.upstream.received_for(&label);
            let [request] = received.as_slice() else {
                panic!("{transport:?}: {received:?}")
            };
            assert!(request.complete, "{transport:?}");
            assert_eq!(request.body, body.as_bytes(), "{transport:?}");
            assert_eq!(
                request.header("authorization"),
                None,
                "the key stays here: {transport:?}"
            );
        }
    });
}

#[test]
fn a_refused_call_never_arrives() {
    run(async {
        let gate = gate().await;
        for transport in Transport::ALL {
            let label = format!("refused-{transport:?}");
            let answer = gate
                .send(&post(&call("delete_all", &label), &label), transport)
                .await;
            assert_eq!(answer.status, 200, "{transport:?}: {answer:?}");
            assert_eq!(answer.header("x-toolgate-decision"), "hidden", "{transport:?}");
            assert_eq!(answer.json()["error"]["code"], -32602, "{transport:?}");
            assert_eq!(
                answer.json()["error"]["message"],
                "Unknown tool: delete_all",
                "{transport:?}"
            );
            assert!(gate.upstream.received_for(&label).is_empty(), "{transport:?}");
        }
    });
}

fn post(body: &str, label: &str) -> Request {
    Request::post("/docs/mcp", body.to_owned())
        .key("reader-key")
        .header("mcp-protocol-version", "2025-11-25")
        .header("x-label", label)
}

fn call(tool: &str, label: &str) -> String {
    json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": { "name": tool, "arguments": { "query": label } },
    })
    .to_string()
}

/// One gate with a simple policy for the tests here.
async fn gate() -> &'static Gate {
    static GATE: OnceCell<Gate> = OnceCell::const_new();
    GATE.get_or_init(|| {
        Gate::start(
            Options::default(),
            policy(),
            mcp_server(json!([{ "name": "search" }])),
        )
    })
    .await
}

fn policy() -> Value {
    json!({
        "version": 1,
        "servers": { "docs": { "path": "/docs/mcp" } },
        "roles": { "reader": { "allow": ["docs/search"] } },
        "keys": { "reader": { "sha256": [key_digest("reader-key")], "roles": ["reader"] } },
    })
}
