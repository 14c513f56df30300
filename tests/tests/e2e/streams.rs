//! Event streams: what passes does so at once and as it is, what lists is filtered, however it is spelled and cut.

mod memory;
mod spelling;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Notify, OnceCell};
use toolgate_tests::client::{Connection, Request, Response, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::toolgate::{Render, key_digest};
use toolgate_tests::upstream::{Action, Answer, mcp_server};
use toolgate_tests::{SOON, run};

const RESULT_BYTES: usize = 65_536;

#[test]
fn each_event_passes_before_the_next_is_sent() {
    run(async {
        for hold in ["headers", "body"] {
            for (method, request) in [("POST", post("tools/call", "at-once")), ("GET", get("at-once"))] {
                let gate = gate(hold).await;
                let go = Arc::new(Notify::new());
                let mut scripted = Answer::sse::<Bytes>([]);
                for number in 0..5 {
                    scripted = scripted
                        .then(Action::Send(progress(number).into()))
                        .then(Action::Until(Arc::clone(&go)));
                }
                gate.upstream.answer("at-once", move |_| scripted.clone());
                let (mut client, head) = open(gate, &request).await;
                assert_eq!(
                    head.header("content-type"),
                    "text/event-stream",
                    "{method}, {hold}"
                );
                assert_eq!(head.header("x-toolgate-decision"), "allowed", "{method}, {hold}");
                for number in 0..5 {
                    // The upstream goes on only after this one has been seen.
                    assert_eq!(
                        piece(&mut client).await,
                        progress(number).into_bytes(),
                        "{method}, {hold}"
                    );
                    go.notify_one();
                }
                let end = tokio::time::timeout(SOON, client.piece())
                    .await
                    .expect("the stream ends");
                assert_eq!(end.expect("readable"), None, "{method}, {hold}");
            }
        }
    });
}

#[test]
fn lists_inside_a_stream_are_filtered_whoever_asked() {
    let stream = format!("{}{}{}", progress(1), event(&list()), progress(2));
    let filtered = stream.replace(&list().to_string(), &rest().to_string());
    run(async {
        for hold in ["headers", "body"] {
            let gate = gate(hold).await;
            let scripted = Answer::sse([(Duration::ZERO, stream.clone())]);
            gate.upstream.answer("in-stream", move |_| scripted.clone());
            let resumed = get("in-stream").header("last-event-id", "41");
            let requests = [
                post("tools/list", "in-stream"),
                post("tools/call", "in-stream"),
                get("in-stream"),
                resumed,
            ];
            for request in requests {
                for transport in [Transport::Length, Transport::Http2] {
                    let answer = gate.send(&request, transport).await;
                    assert_eq!(answer.text(), filtered, "{transport:?}, {hold}: {request:?}");
                    assert!(answer.complete, "{transport:?}, {hold}: {answer:?}");
                }
            }
            let received = gate.upstream.received_for("in-stream");
            let ids = received
                .iter()
                .filter(|request| request.header("last-event-id") == Some(b"41"));
            assert_eq!(ids.count(), 2, "{hold}: {received:?}");
        }
    });
}

#[test]
fn a_batch_inside_a_stream_is_filtered() {
    run(async {
        let gate = gate("headers").await;
        let notice =
            json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": "x" } });
        let batch = json!([notice, list(), list()]);
        gate.upstream
            .answer("batch", move |_| Answer::sse_messages([&batch]));
        let answer = gate.send(&get("batch"), Transport::Length).await;
        assert_eq!(answer.messages(), [json!([notice, rest(), rest()])]);
    });
}

#[test]
fn an_event_that_cannot_be_used_becomes_the_answer_and_the_end() {
    let large = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "x": "x".repeat(RESULT_BYTES) } });
    run(async {
        for hold in ["headers", "body"] {
            let gate = gate(hold).await;
            for (label, bad) in [
                ("event-too-large", event(&large)),
                ("event-not-json", "data: not JSON\n\n".to_owned()),
                (
                    "event-half-json",
                    "event: message\ndata: {\"jsonrpc\":\"2.0\",\n\n".to_owned(),
                ),
            ] {
                // However it arrives, and whatever comes after it, in the same piece or later.
                let later = Duration::from_millis(20);
                let scripted = Answer::sse([
                    (Duration::ZERO, progress(1)),
                    (Duration::ZERO, format!("{bad}{}", progress(2))),
                    (later, event(&list())),
                ]);
                gate.upstream.answer(label, move |_| scripted.clone());
                let answer = gate.send(&post("tools/call", label), Transport::Length).await;
                let messages = answer.messages();
                let [first, last] = messages.as_slice() else {
                    panic!("{label}, {hold}: {messages:?}")
                };
                assert_eq!(event(first), progress(1), "{label}, {hold}");
                assert_eq!(
                    (&last["id"], &last["result"]["isError"]),
                    (&json!(7), &json!(true)),
                    "{label}, {hold}"
                );
                assert!(answer.complete, "{label}, {hold}: {answer:?}");

                let answer = gate.send(&post("tools/list", label), Transport::Length).await;
                let last = answer.messages().pop().unwrap_or_default();
                assert_eq!(
                    (&last["id"], &last["error"]["code"]),
                    (&json!(7), &json!(-31_502)),
                    "{label}, {hold}"
                );

                // A stream that belongs to no request has no answer to give: it goes on without the event.
                let answer = gate.send(&get(label), Transport::Length).await;
                let messages = answer.messages();
                let [first, second, third] = messages.as_slice() else {
                    panic!("{label}, {hold}: {messages:?}")
                };
                assert_eq!(
                    event(first) + &event(second),
                    progress(1) + &progress(2),
                    "{label}, {hold}"
                );
                assert_eq!(*third, rest(), "{label}, {hold}");
            }
        }
    });
}

#[test]
fn a_stream_without_its_last_blank_line_ends_with_the_event_before() {
    let complete = progress(1);
    run(async {
        for hold in ["headers", "body"] {
            let gate = gate(hold).await;
            for tail in [
                event(&list()).trim_end().to_owned() + "\n",
                "data: {\"half".to_owned(),
                "id: 3".to_owned(),
            ] {
                let scripted = Answer::sse([(Duration::ZERO, format!("{complete}{tail}"))]);
                gate.upstream.answer("no-blank", move |_| scripted.clone());
                for request in [post("tools/call", "no-blank"), get("no-blank")] {
                    let answer = gate.send(&request, Transport::Length).await;
                    assert_eq!(
                        (answer.text(), answer.complete),
                        (complete.clone(), true),
                        "{tail:?}, {hold}"
                    );
                }
            }
        }
    });
}

#[test]
fn a_stream_that_breaks_off_breaks_off_for_the_client() {
    run(async {
        let gate = gate("headers").await;
        gate.upstream.answer("broken-stream", |_| {
            Answer::sse([
                (Duration::ZERO, progress(1)),
                (Duration::from_millis(20), "data: {".to_owned()),
            ])
            .then(Action::Reset)
        });
        let answer = gate
            .send(&post("tools/call", "broken-stream"), Transport::Length)
            .await;
        assert_eq!(
            (answer.text(), answer.complete),
            (progress(1), false),
            "{answer:?}"
        );
    });
}

#[test]
fn a_client_that_leaves_is_reported_to_the_upstream() {
    run(async {
        for hold in ["headers", "body"] {
            for request in [post("tools/call", "leaves"), get("leaves")] {
                let gate = gate(hold).await;
                let before = gate.upstream.received_for("leaves").len();
                gate.upstream.answer("leaves", |_| {
                    Answer::sse([(Duration::ZERO, progress(1))]).then(Action::Until(Arc::new(Notify::new())))
                });
                let (mut client, _) = open(gate, &request).await;
                assert_eq!(piece(&mut client).await, progress(1).into_bytes(), "{hold}");
                assert!(!gate.upstream.received_for("leaves")[before].abandoned, "{hold}");
                drop(client);
                let left = async {
                    while !gate.upstream.received_for("leaves")[before].abandoned {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                let method = &request.method;
                tokio::time::timeout(SOON, left)
                    .await
                    .unwrap_or_else(|_| panic!("{method}, {hold}: it still sends"));
            }
        }
    });
}

#[test]
fn no_timeout_of_a_route_cuts_a_stream() {
    let render = Render::new(policy("headers")).upstream("docs", "http://127.0.0.1:9/mcp");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = "127.0.0.1:9".parse().expect("an address");
    let bootstrap = render.run(directory.path(), address, address).expect("rendered");
    let bootstrap: Value = serde_json::from_str(&bootstrap).expect("JSON");
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let manager = bootstrap.pointer(manager).expect("a connection manager");
    let routes = manager.pointer("/route_config/virtual_hosts/0/routes");
    let routes = routes.and_then(Value::as_array).expect("routes");
    assert!(!routes.is_empty());
    for route in routes {
        assert_eq!(route["route"]["timeout"], "0s", "{route}");
        assert_eq!(route["route"]["idle_timeout"], "3600s", "{route}");
    }
    assert_eq!(manager["stream_idle_timeout"], "3600s");
}

/// Sends a request and reads the head of its answer.
async fn open(gate: &Gate, request: &Request) -> (Connection, Response) {
    let mut client = Connection::open(gate.envoy.address())
        .await
        .expect("Envoy accepts");
    client.request(request, Transport::Length).await.expect("sent");
    let head = tokio::time::timeout(SOON, client.head())
        .await
        .expect("the head comes at once");
    (client, head.expect("an answer"))
}

async fn piece(client: &mut Connection) -> Vec<u8> {
    let piece = tokio::time::timeout(SOON, client.piece()).await;
    piece
        .expect("the event comes at once")
        .expect("readable")
        .expect("not the end")
}

fn post(method: &str, label: &str) -> Request {
    let params = match method {
        "tools/call" => json!({ "name": "search", "arguments": {} }),
        _ => json!({}),
    };
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    Request::json("/docs/mcp", &message)
        .key("key")
        .header("mcp-protocol-version", "2025-11-25")
        .header("x-label", label)
}

fn get(label: &str) -> Request {
    Request::new("GET", "/docs/mcp")
        .header("accept", "text/event-stream")
        .key("key")
        .header("mcp-protocol-version", "2025-11-25")
        .header("x-label", label)
}

fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

fn progress(number: usize) -> String {
    event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": number } }))
}

fn ping() -> Value {
    json!({ "jsonrpc": "2.0", "id": "p", "method": "ping" })
}

/// A list of tools.
fn list() -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "result": { "tools": [{ "name": "search" }, { "name": "delete_all" }] } })
}

/// What is left of it for the key.
fn rest() -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "result": { "tools": [{ "name": "search" }] } })
}

/// One gate per way of holding.
async fn gate(hold: &str) -> &'static Gate {
    static HEADERS: OnceCell<Gate> = OnceCell::const_new();
    static BODY: OnceCell<Gate> = OnceCell::const_new();
    let cell = if hold == "headers" { &HEADERS } else { &BODY };
    let options = Options {
        release: Release::V1_40,
        concurrency: 1,
    };
    cell.get_or_init(|| Gate::start(options, policy(hold), mcp_server(json!([]))))
        .await
}

fn policy(hold: &str) -> Value {
    json!({
        "version": 1,
        "hold": hold,
        "limits": { "resultBytes": RESULT_BYTES },
        "servers": { "docs": { "path": "/docs/mcp" } },
        "roles": { "reader": { "allow": ["docs/search"] } },
        "keys": { "reader": { "sha256": [key_digest("key")], "roles": ["reader"] } },
    })
}
