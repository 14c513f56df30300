//! The official servers that have sessions, and the official clients in them.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use toolgate_tests::client::{Connection, Request, Transport};
use toolgate_tests::envoy::{Envoy, Options, Release};
use toolgate_tests::parties::{Client, Era, Order, RunningServer, Server};
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::{SOON, run};

/// A server, how it is held, and a call that it answers.
#[derive(Clone, Copy, Debug)]
struct Party {
    server: Server,
    hold: &'static str,
    tool: &'static str,
    said: &'static str,
}

const PYTHON: Party = Party {
    server: Server::Everything,
    hold: "headers",
    tool: "test_simple_text",
    said: "simple text",
};
const TYPESCRIPT: Party = Party {
    server: Server::TypeScriptSessions,
    hold: "body",
    tool: "echo",
    said: "again",
};

impl Party {
    fn arguments(self) -> Value {
        match self.server {
            Server::TypeScriptSessions => json!({ "text": "again" }),
            _ => json!({}),
        }
    }
}

#[test]
fn the_official_clients_have_sessions_with_the_python_server() {
    run(clients(PYTHON));
}

#[test]
fn the_official_clients_have_sessions_with_the_typescript_server() {
    run(clients(TYPESCRIPT));
}

#[test]
fn a_session_of_the_python_server_is_of_no_use_to_another_key_and_goes_on() {
    run(strangers(PYTHON));
}

#[test]
fn a_session_of_the_typescript_server_is_of_no_use_to_another_key_and_goes_on() {
    run(strangers(TYPESCRIPT));
}

async fn clients(party: Party) {
    let log = NamedTempFile::new().expect("a temporary file");
    let stand = Stand::start(party, Some(log.path())).await;
    for client in Client::ALL {
        let what = format!("{client:?}, {party:?}");
        let mut order = Order::new(stand.envoy.url("/it/mcp"), Era::Legacy, Some("alice-key"))
            .list_tools()
            .call_tool(party.tool, party.arguments());
        if client == Client::TypeScript {
            order = order
                .operation(json!({ "op": "session" }))
                .operation(json!({ "op": "end_session" }))
                .call_tool(party.tool, party.arguments());
        }
        let report = client.play(&order).await;
        assert!(report.connected && report.error.is_none(), "{what}: {report:?}");
        let mut results = report.results.iter();
        let mut next = || results.next().unwrap_or_else(|| panic!("{what}: {report:?}"));
        assert!(next().names().contains(&party.tool), "{what}: {report:?}");
        assert!(next().text().contains(party.said), "{what}: {report:?}");
        if client == Client::TypeScript {
            let session = next().result["id"].as_str().unwrap_or_default();
            assert!(session.starts_with("t1."), "{what}: {report:?}");
            assert_eq!(next().result["ended"], true, "{what}: {report:?}");
            let late = next().error.as_ref().and_then(|error| error.status);
            assert_eq!(late, Some(404), "{what}: {report:?}");
        }
    }
    stand.envoy.terminate();
    check_log(log.path(), &format!("{party:?}"));
}

async fn strangers(party: Party) {
    let what = format!("{party:?}");
    let stand = Stand::start(party, None).await;
    let session = stand.begin("alice-key").await;
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
                    "params": { "name": party.tool, "arguments": party.arguments() } });
    let call = Stand::post(&call);
    let get = Stand::request(Request::new("GET", "/it/mcp").header("accept", "text/event-stream"));
    let end = Stand::request(Request::new("DELETE", "/it/mcp"));
    let of = |request: &Request, key: &str| request.clone().key(key).header("mcp-session-id", &session);

    // Alice's stream stands while bob tries.
    let mut stream = Connection::open(stand.envoy.address()).await.expect("accepted");
    let opened = stream.request(&of(&get, "alice-key"), Transport::Length).await;
    opened.expect("sent");
    let head = tokio::time::timeout(SOON, stream.head()).await;
    let head = head.expect("it opens at once").expect("an answer");
    assert_eq!(
        (head.status, head.header("content-type").as_str()),
        (200, "text/event-stream"),
        "{what}"
    );
    let mut refusals = Vec::new();
    for request in [&call, &get, &end] {
        let answer = stand.envoy.send(&of(request, "bob-key"), Transport::Length).await;
        super::assert_unknown(&answer, &what);
        refusals.push(answer);
    }
    let answer = stand.envoy.send(&of(&call, "alice-key"), Transport::Length).await;
    assert!(
        answer.status == 200 && answer.text().contains(party.said),
        "{what}: {answer:?}"
    );

    // It ends by the hand of its owner, with its stream; then the server itself does not know it.
    let answer = stand.envoy.send(&of(&end, "alice-key"), Transport::Length).await;
    assert!((200..300).contains(&answer.status), "{what}: {answer:?}");
    let rest = async { while let Ok(Some(_)) = stream.piece().await {} };
    tokio::time::timeout(SOON, rest).await.expect("the stream ends");
    let answer = stand.envoy.send(&of(&call, "alice-key"), Transport::Length).await;
    assert_eq!(answer.status, 404, "{what}: {answer:?}");
    assert_eq!(
        answer.header("x-toolgate-decision"),
        "allowed",
        "{what}: {answer:?}"
    );
    // What the filter says of a session is what a server says.
    for refusal in refusals {
        assert_eq!(refusal.status, answer.status, "{what}");
        let (ours, theirs) = (refusal.json(), answer.json());
        assert_eq!(ours["error"]["message"], theirs["error"]["message"], "{what}");
    }
}

/// Whatever was sent in a session was let through, with the server's own id of it.
fn check_log(log: &Path, what: &str) {
    let log = std::fs::read_to_string(log).expect("the access log");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(!lines.is_empty(), "{what}");
    let sessions = lines.iter().filter_map(|line| line["mcp.session.id"].as_str());
    let sessions: std::collections::BTreeSet<&str> = sessions.filter(|session| !session.is_empty()).collect();
    assert_eq!(sessions.len(), Client::ALL.len(), "{what}: {log}");
    assert!(
        sessions.iter().all(|session| !session.starts_with("t1.")),
        "{what}: {log}"
    );
    for line in &lines {
        assert_eq!(line["decision"], "allowed", "{what}: {line}");
    }
}

struct Stand {
    envoy: Envoy,
    _server: RunningServer,
}

impl Stand {
    async fn start(party: Party, log: Option<&Path>) -> Self {
        let server = party.server.start().await;
        let key = |name: &str| json!({ "sha256": [key_digest(name)], "roles": ["all"] });
        let policy = json!({
            "version": 1,
            "hold": party.hold,
            "servers": { "it": { "path": "/it/mcp" } },
            "roles": { "all": { "allow": ["*/*"] } },
            "keys": { "alice": key("alice-key"), "bob": key("bob-key") },
        });
        let mut render = Render::new(policy).upstream("it", &server.url());
        if let Some(log) = log {
            render = render.arg("--access-log").arg(log.display().to_string());
        }
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options {
            release: Release::V1_40,
            concurrency: 2,
        };
        let envoy = Envoy::start(options, |listener, admin| {
            render.run(directory.path(), listener, admin).expect("rendered")
        })
        .await;
        Self {
            envoy,
            _server: server,
        }
    }

    /// The Python server takes no `Host` without a port.
    fn request(request: Request) -> Request {
        request
            .authority("localhost:80")
            .header("mcp-protocol-version", "2025-11-25")
    }

    fn post(message: &Value) -> Request {
        Self::request(Request::json("/it/mcp", message))
    }

    async fn begin(&self, key: &str) -> String {
        let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "toolgate-tests", "version": "1" },
        } });
        let answer = self
            .envoy
            .send(&Self::post(&initialize).key(key), Transport::Length)
            .await;
        let session = answer.header("mcp-session-id");
        assert!(session.starts_with("t1."), "{answer:?}");
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let request = Self::post(&initialized)
            .key(key)
            .header("mcp-session-id", &session);
        let answer = self.envoy.send(&request, Transport::Length).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        session
    }
}
