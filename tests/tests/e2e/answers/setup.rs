//! The gates of these tests, and what they expect of each answer.

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::ports;
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::{Answer, mcp_server};

/// With a single worker, a dead one is noticed by the next request.
pub(super) const ONE_WORKER: Options = Options {
    release: Release::V1_40,
    concurrency: 1,
};

pub(super) const RESULT_BYTES: usize = 65_536;

/// Where a policy keeps heads until the verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hold {
    Headers,
    Body,
}

pub(super) const HOLDS: [Hold; 2] = [Hold::Headers, Hold::Body];

/// Sends a request that is answered by `answer`, and holds the upstream to having received all of it, once.
pub(super) async fn exchange(hold: Hold, method: &str, label: &str, answer: &Answer) -> Response {
    let gate = gate(hold).await;
    let label = format!("{label}-{}", method.replace('/', "-"));
    let answer = answer.clone();
    gate.upstream.answer(&label, move |_| answer.clone());
    let before = gate.upstream.received_for(&label).len();
    let request = request(method, &label);
    let response = gate.send(&request, Transport::Length).await;
    let received = gate.upstream.received_for(&label);
    let [received] = received.get(before..).unwrap_or_default() else {
        panic!("{label} in {hold:?}: {received:?}")
    };
    assert!(received.complete, "{label} in {hold:?}: {received:?}");
    assert_eq!(
        Some(received.body.as_slice()),
        request.body.as_deref(),
        "{label} in {hold:?}"
    );
    response
}

/// Expects that an answer is replaced as a whole.
pub(super) async fn replaced(hold: Hold, method: &str, label: &str, answer: &Answer) {
    let answer = exchange(hold, method, label, answer).await;
    let what = format!("{label} to {method} in {hold:?}");
    assert_eq!(
        answer.header("x-toolgate-decision"),
        "upstream",
        "{what}: {answer:?}"
    );
    assert!(answer.complete, "{what}: {answer:?}");
    if method != "tools/call" {
        assert_eq!(answer.status, 502, "{what}: {answer:?}");
        assert_fault(&answer, &what);
        return;
    }
    assert_eq!(answer.status, 200, "{what}: {answer:?}");
    let message = answer.json();
    assert_eq!(
        (&message["id"], &message["result"]["isError"]),
        (&json!(7), &json!(true)),
        "{what}: {message}"
    );
    let text = message["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_default();
    assert!(text.contains("could not be used"), "{what}: {message}");
}

pub(super) fn assert_fault(answer: &Response, what: &str) {
    assert_eq!(
        answer.header("content-type"),
        "application/json",
        "{what}: {answer:?}"
    );
    let message = answer.json();
    assert_eq!(
        (&message["id"], &message["error"]["code"]),
        (&json!(7), &json!(-31_502)),
        "{what}: {message}"
    );
    assert!(message.get("result").is_none(), "{what}: {message}");
}

/// The only worker still serves, and has never been restarted.
pub(super) async fn alive(hold: Hold) {
    let gate = gate(hold).await;
    let answer = gate
        .send(&request("tools/list", "alive"), Transport::Length)
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, filtered()),
        "{hold:?}: {answer:?}"
    );
    let log = gate.envoy.log();
    assert!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
}

/// What the scripted server lists.
pub(super) fn list() -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "result": { "tools": [{ "name": "search" }, { "name": "delete_all" }] } })
}

/// What is left of it for the key.
pub(super) fn filtered() -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "result": { "tools": [{ "name": "search" }] } })
}

pub(super) fn request(method: &str, label: &str) -> Request {
    let params = match method {
        "tools/call" => json!({ "name": "search", "arguments": {} }),
        "resources/read" => json!({ "uri": "docs:open" }),
        _ => json!({}),
    };
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    Request::json("/docs/mcp", &message)
        .key("key")
        .header("mcp-protocol-version", "2025-11-25")
        .header("x-label", label)
}

pub(super) fn compressed(media_type: &str) -> Answer {
    // A gzip header is enough: nobody may look further.
    Answer::new(200)
        .header("content-type", media_type)
        .header("content-encoding", "gzip")
        .body(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".as_slice())
}

/// One gate per way of holding, with a single worker.
pub(super) async fn gate(hold: Hold) -> &'static Gate {
    static HEADERS: OnceCell<Gate> = OnceCell::const_new();
    static BODY: OnceCell<Gate> = OnceCell::const_new();
    let cell = match hold {
        Hold::Headers => &HEADERS,
        Hold::Body => &BODY,
    };
    cell.get_or_init(|| async {
        let script = mcp_server(list()["result"]["tools"].clone());
        // A port that nobody listens on.
        let gone = format!("http://{}/mcp", ports::free());
        Gate::start_with(
            ONE_WORKER,
            policy(hold),
            script,
            |render| render.upstream_instead("gone", &gone),
            |bootstrap| bootstrap,
        )
        .await
    })
    .await
}

pub(super) fn policy(hold: Hold) -> Value {
    json!({
        "version": 1,
        "hold": match hold { Hold::Headers => "headers", Hold::Body => "body" },
        "limits": { "resultBytes": RESULT_BYTES },
        "servers": { "docs": { "path": "/docs/mcp" }, "gone": { "path": "/gone/mcp" } },
        "roles": { "reader": { "allow": ["*/search"], "resources": ["docs/docs:*"] } },
        "keys": { "reader": { "sha256": [key_digest("key")], "roles": ["reader"] } },
    })
}

/// Makes every cluster of a rendered bootstrap speak HTTP/2.
#[expect(clippy::needless_pass_by_value, reason = "the harness hands it over")]
pub(super) fn speak_http2(bootstrap: String) -> String {
    bootstrap.replace("\"http_protocol_options\": {}", "\"http2_protocol_options\": {}")
}
