//! What no official client shows: the stream and the end of a session, and what workers share.

use serde_json::{Value, json};
use toolgate_tests::client::{Connection, Request, Transport};
use toolgate_tests::envoy::Options;
use toolgate_tests::gate::Gate;
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::mcp_server;
use toolgate_tests::{SOON, run};

#[test]
fn a_legacy_session_has_its_stream_and_its_end() {
    run(async {
        let envoy = super::one_worker().await;
        let initialize = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "toolgate-tests", "version": "1" },
        });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize });
        let answer = envoy.send(&post(&message).key("reader"), Transport::Length).await;
        let session = answer.header("mcp-session-id");
        assert!(answer.status == 200 && !session.is_empty(), "{answer:?}");
        let in_session = |request: Request| {
            request
                .key("reader")
                .header("mcp-session-id", &session)
                .header("mcp-protocol-version", "2025-11-25")
        };
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let answer = envoy
            .send(&in_session(post(&initialized)), Transport::Length)
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");

        // The stream opens at once, and ends with the session.
        let listen = in_session(to_server("GET").header("accept", "text/event-stream"));
        let mut stream = Connection::open(envoy.address()).await.expect("Envoy accepts");
        stream.request(&listen, Transport::Length).await.expect("sent");
        let head = tokio::time::timeout(SOON, stream.head()).await;
        let head = head.expect("it opens at once").expect("an answer");
        assert_eq!(
            (head.status, head.header("content-type").as_str()),
            (200, "text/event-stream"),
            "{head:?}"
        );

        let end = in_session(to_server("DELETE"));
        let answer = envoy.send(&end, Transport::Length).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
        let rest = tokio::time::timeout(SOON, async { while let Ok(Some(_)) = stream.piece().await {} });
        rest.await.expect("the stream ends with the session");
        let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
        let answer = envoy.send(&in_session(post(&list)), Transport::Length).await;
        assert_eq!(answer.status, 404, "{answer:?}");

        // Without a key, none of it.
        for request in [&listen, &end] {
            let answer = envoy
                .send(&request.clone().without("authorization"), Transport::Length)
                .await;
            assert_eq!(answer.header("x-toolgate-decision"), "no_key", "{answer:?}");
        }
    });
}

#[test]
fn what_a_list_advertises_to_one_worker_binds_the_others() {
    run(async {
        let schema = json!({ "type": "object", "properties": { "query": { "type": "string" } }, "required": ["query"] });
        let tools = json!([{ "name": "search", "inputSchema": schema }]);
        let policy = json!({
            "version": 1,
            "servers": { "docs": { "path": "/docs/mcp", "schemas": "advertised" } },
            "roles": { "reader": { "allow": ["docs/search"] } },
            "keys": { "reader": { "sha256": [key_digest("reader")], "roles": ["reader"] } },
        });
        let gate = Gate::start(Options::default(), policy, mcp_server(tools)).await;
        let request = |method: &str, params: Value, label: &str| {
            let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            Request::json("/docs/mcp", &message)
                .key("reader")
                .header("mcp-protocol-version", "2025-11-25")
                .header("x-label", label)
        };
        let bad = json!({ "name": "search", "arguments": { "query": 7 } });
        let good = json!({ "name": "search", "arguments": { "query": "x" } });

        // Nobody has advertised anything yet.
        let answer = gate
            .send(&request("tools/call", bad.clone(), "before"), Transport::Length)
            .await;
        assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{answer:?}");
        let answer = gate
            .send(&request("tools/list", json!({}), "list"), Transport::Length)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");

        // Connections stay open until each worker has some, so that it is not one of them that serves all.
        let mut connections = Vec::new();
        while busy_workers(&gate).await < 2 || connections.len() < 20 {
            assert!(connections.len() < 400, "one worker takes all connections");
            let mut connection = Connection::open(gate.envoy.address())
                .await
                .expect("Envoy accepts");
            let answer = connection
                .exchange(
                    &request("tools/call", bad.clone(), "after-bad"),
                    Transport::Length,
                )
                .await;
            let answer = answer.expect("an answer");
            assert_eq!(answer.header("x-toolgate-decision"), "schema", "{answer:?}");
            assert_eq!(answer.json()["result"]["isError"], true, "{answer:?}");
            let answer = connection
                .exchange(
                    &request("tools/call", good.clone(), "after-good"),
                    Transport::Length,
                )
                .await;
            assert_eq!(
                answer.expect("an answer").header("x-toolgate-decision"),
                "allowed"
            );
            connections.push(connection);
        }
        assert!(gate.upstream.received_for("after-bad").is_empty());
        assert_eq!(gate.upstream.received_for("after-good").len(), connections.len());
    });
}

/// The server takes no `Host` without a port.
fn to_server(method: &str) -> Request {
    Request::new(method, "/everything/mcp").authority("localhost:80")
}

fn post(message: &Value) -> Request {
    Request::json("/everything/mcp", message).authority("localhost:80")
}

/// How many workers have served connections.
async fn busy_workers(gate: &Gate) -> usize {
    let port = gate.envoy.address().port();
    let stats = gate
        .envoy
        .admin("/stats?filter=worker_.*downstream_cx_total")
        .await;
    let served = |line: &&str| line.contains(&port.to_string()) && !line.ends_with(": 0");
    stats.lines().filter(served).count()
}
