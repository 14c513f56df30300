//! Capabilities of clients that a server must not see, and the requests that would come with them.

mod official;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::client::{Request, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::run;
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::{Answer, Received, mcp_server};

/// The servers, and what is taken away before each.
const SERVERS: [(&str, &[&str]); 3] = [
    ("closed", &["sampling", "elicitation", "roots"]),
    ("quiet", &["sampling"]),
    ("open", &[]),
];

/// How clients may write it.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    Compact,
    Pretty,
    /// With escapes in the names.
    Escaped,
}

#[test]
fn a_handshake_loses_what_its_server_must_not_see() {
    run(async {
        for gate in gates().await {
            for (server, stripped) in SERVERS {
                for (number, spelling) in spellings().enumerate() {
                    let label = format!("initialize-{server}-{number}");
                    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                        "protocolVersion": "2025-11-25",
                        "capabilities": capabilities(),
                        // Text is not what it says.
                        "clientInfo": { "name": "sampling", "version": "{\"roots\":{}}" },
                    } });
                    let request = Request::post(&path(server), spelled(&message, spelling));
                    let mut expected = message.clone();
                    strip(&mut expected["params"]["capabilities"], stripped);
                    let request = request.header("mcp-protocol-version", "2025-11-25");
                    sent(gate, request, number, &label, &expected).await;
                }
            }
        }
    });
}

#[test]
fn every_request_of_the_era_without_handshakes_loses_it() {
    run(async {
        for gate in gates().await {
            for (server, stripped) in SERVERS {
                let requests = [
                    (
                        "tools/call",
                        Some("search"),
                        json!({ "name": "search", "arguments": { "sampling": {}, "roots": [] } }),
                    ),
                    ("tools/list", None, json!({})),
                    ("server/discover", None, json!({})),
                    ("prompts/get", Some("greet"), json!({ "name": "greet" })),
                    ("subscriptions/listen", None, json!({ "notifications": {} })),
                ];
                for (number, ((method, name, params), spelling)) in
                    requests.into_iter().zip(spellings().cycle()).enumerate()
                {
                    let label = format!("modern-{server}-{number}");
                    let mut message =
                        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
                    message["params"]["_meta"] = json!({
                        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                        "io.modelcontextprotocol/clientCapabilities": capabilities(),
                        "roots": { "of": "somebody" },
                    });
                    let mut request = Request::post(&path(server), spelled(&message, spelling))
                        .header("mcp-protocol-version", "2026-07-28")
                        .header("mcp-method", method);
                    if let Some(name) = name {
                        request = request.header("mcp-name", name);
                    }
                    let seen = &mut message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
                    strip(seen, stripped);
                    sent(gate, request, number, &label, &message).await;
                }
            }
        }
    });
}

#[test]
fn requests_that_a_server_must_not_make_do_not_reach_the_client() {
    let asked = |id: u32, method: &str| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": {} });
    let mut messages = vec![
        asked(1, "sampling/createMessage"),
        asked(2, "ping"),
        asked(3, "elicitation/create"),
        asked(4, "roots/list"),
        // A notification asks for nothing.
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": "roots/list" } }),
        json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [] } }),
    ];
    run(async {
        for gate in gates().await {
            for (server, stripped) in SERVERS {
                let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "search" } });
                let post = Request::json(&path(server), &call);
                let get = Request::new("GET", &path(server)).header("accept", "text/event-stream");
                for (verb, request) in [("post", post), ("get", get)] {
                    let label = format!("asks-{server}-{verb}");
                    messages.truncate(if verb == "get" { 5 } else { 6 });
                    let script = messages.clone();
                    gate.upstream.answer(&label, move |_| {
                        let pause = Duration::from_millis(2);
                        let event = |message: &Value| (pause, format!("event: message\ndata: {message}\n\n"));
                        Answer::sse(script.iter().map(event))
                    });
                    let request = request
                        .key("alice")
                        .header("mcp-protocol-version", "2025-11-25")
                        .header("x-label", &label);
                    let answer = gate.send(&request, Transport::Length).await;
                    assert!(answer.status == 200 && answer.complete, "{label}: {answer:?}");
                    let kept = messages.iter().filter(|message| {
                        let method = message["method"].as_str().unwrap_or_default();
                        message.get("id").is_none() || !stripped.iter().any(|kind| method.starts_with(kind))
                    });
                    let kept: Vec<Value> = kept.cloned().collect();
                    assert_eq!(answer.messages(), kept, "{label}: {answer:?}");
                    for kind in stripped {
                        let asked = format!("\"method\":\"{kind}");
                        assert!(!answer.text().contains(&asked), "{label}: {answer:?}");
                    }
                    messages.truncate(5);
                    messages.push(json!({ "jsonrpc": "2.0", "id": 7, "result": { "content": [] } }));
                }
            }
        }
    });
}

/// Sends it, and expects that the server received this, in as many bytes.
async fn sent(gate: &Gate, request: Request, number: usize, label: &str, expected: &Value) {
    let request = request.key("alice").header("x-label", label);
    for turn in [number, number + 3] {
        let transport = Transport::ALL[turn % Transport::ALL.len()];
        let answer = gate.send(&request, transport).await;
        let what = format!("{label} by {transport:?}: {answer:?}");
        assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{what}");
        let received: Received = gate
            .upstream
            .labelled(label)
            .pop()
            .unwrap_or_else(|| panic!("{what}"));
        assert!(received.complete, "{what}");
        assert_eq!(received.json(), *expected, "{what}: {received:?}");
        assert_eq!(
            Some(received.body.len()),
            request.body.as_ref().map(bytes::Bytes::len),
            "{what}"
        );
        if let Some(length) = received.header("content-length") {
            assert_eq!(length, received.body.len().to_string().as_bytes(), "{what}");
        }
    }
}

/// Everything that a client can declare.
fn capabilities() -> Value {
    json!({
        "sampling": { "tools": {}, "context": { "deep": [1, "}", { "sampling": {} }] } },
        "elicitation": { "form": {}, "url": {} },
        "roots": { "listChanged": true },
        "experimental": { "sampling": { "x": 1 } },
        "extensions": { "com.example/roots": {} },
        "tasks": {
            "list": {},
            "requests": { "sampling": { "createMessage": {} }, "elicitation": { "create": {} } },
        },
    })
}

/// What is left of them.
fn strip(capabilities: &mut Value, stripped: &[&str]) {
    for kind in stripped {
        for place in ["", "/tasks/requests"] {
            let object = capabilities.pointer_mut(place).and_then(Value::as_object_mut);
            object.expect("an object").remove(*kind);
        }
    }
}

fn spellings() -> impl Iterator<Item = Spelling> + Clone {
    [Spelling::Compact, Spelling::Pretty, Spelling::Escaped].into_iter()
}

fn spelled(message: &Value, spelling: Spelling) -> String {
    match spelling {
        Spelling::Compact => message.to_string(),
        Spelling::Pretty => format!("\n\t{message:#}\r\n").replace('\n', "\r\n "),
        Spelling::Escaped => {
            let text = message.to_string();
            text.replace("\"sampling\":", "\"s\\u0061mpling\" :")
                .replace("\"roots\":", "\"\\u0072oots\":\t")
        }
    }
}

fn path(server: &str) -> String {
    format!("/{server}/mcp")
}

/// Headers held in the newest release, bodies in the oldest.
async fn gates() -> [&'static Gate; 2] {
    static GATES: OnceCell<[Gate; 2]> = OnceCell::const_new();
    let start = |hold: &str, release| {
        let options = Options {
            release,
            ..Options::default()
        };
        Gate::start(options, policy(hold), mcp_server(json!([])))
    };
    let gates = GATES
        .get_or_init(|| async {
            tokio::join!(start("headers", Release::V1_40), start("body", Release::V1_36)).into()
        })
        .await;
    gates.each_ref()
}

fn policy(hold: &str) -> Value {
    let server = |(name, stripped): (&str, &[&str])| {
        let kinds = ["sampling", "elicitation", "roots"].into_iter();
        let rule = |kind: &str| {
            if stripped.contains(&kind) {
                "strip"
            } else {
                "allow"
            }
        };
        let rules: serde_json::Map<_, _> = kinds.map(|kind| (kind.to_owned(), rule(kind).into())).collect();
        (
            name.to_owned(),
            json!({ "path": path(name), "clientCapabilities": rules }),
        )
    };
    let servers: serde_json::Map<_, _> = SERVERS.into_iter().map(server).collect();
    json!({
        "version": 1,
        "hold": hold,
        "servers": servers,
        "roles": { "all": { "allow": ["*/*"], "prompts": ["*/*"] } },
        "keys": { "alice": { "sha256": [key_digest("alice")], "roles": ["all"] } },
    })
}
