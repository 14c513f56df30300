//! Four governed Envoys of one policy, in which each release meets each way to hold: what is true of a request must be
//! true in all of them.

use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::{Received, mcp_server};

/// What every request of [`post`] presents.
pub(crate) const KEY: &str = "reader-key";

/// The path of the server `docs`.
pub(crate) const PATH: &str = "/docs/mcp";

/// A gate, and what it has refused so far.
pub(crate) struct Held {
    /// The gate.
    pub(crate) gate: Gate,
    /// The release, the mode and the number of workers, for messages.
    pub(crate) name: String,
    holds_headers: bool,
    refused: Mutex<Vec<(String, Before)>>,
}

/// When a request was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Before {
    /// By its head alone: nothing of it may arrive, whatever is held.
    Body,
    /// By its body: with `hold: body` the head may have arrived, but no byte more.
    Verdict,
}

/// The gates. They start with the first test that wants one.
pub(crate) async fn all() -> [&'static Held; 4] {
    static GATES: [OnceCell<Held>; 4] = [const { OnceCell::const_new() }; 4];
    let kinds = [
        (Release::V1_40, "headers", 2),
        (Release::V1_40, "body", 1),
        (Release::V1_36, "headers", 1),
        (Release::V1_36, "body", 2),
    ];
    let start = |number: usize| GATES[number].get_or_init(move || start(kinds[number]));
    let (first, second, third, fourth) = tokio::join!(start(0), start(1), start(2), start(3));
    [first, second, third, fourth]
}

async fn start((release, hold, concurrency): (Release, &str, u32)) -> Held {
    let options = Options { release, concurrency };
    let gate = Gate::start(options, policy(hold), mcp_server(json!([{ "name": "search" }]))).await;
    Held {
        gate,
        name: format!("{release:?}, hold {hold}, {concurrency} workers"),
        holds_headers: hold == "headers",
        refused: Mutex::default(),
    }
}

/// The policy; limits are the defaults.
pub(crate) fn policy(hold: &str) -> Value {
    json!({
        "version": 1,
        "hold": hold,
        "servers": { "docs": { "path": PATH, "tools": { "search": { "inputSchema": {
            "type": "object",
            "properties": { "query": { "type": "string" }, "limit": { "type": "integer" } },
            "required": ["query"],
        } } } } },
        "roles": { "reader": { "allow": ["docs/search"] } },
        "keys": { "reader": { "sha256": [key_digest(KEY)], "roles": ["reader"] } },
    })
}

/// A POST to the server with the key.
pub(crate) fn post(label: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::post(PATH, body.into())
        .key(KEY)
        .header("mcp-protocol-version", "2025-11-25")
        .header("x-label", label)
}

/// A call of `tool` that its schema accepts.
pub(crate) fn call(tool: &str) -> String {
    let params = json!({ "name": tool, "arguments": { "query": "words" } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

/// An allowed call of exactly `size` bytes.
pub(crate) fn call_of_size(size: usize) -> String {
    let call = call("search");
    let (before, after) = call.split_once("words").expect("the query");
    let filler = "wörds ".repeat(size / 7 + 1);
    let room = size - before.len() - after.len();
    let end = (0..=room)
        .rev()
        .find(|end| filler.is_char_boundary(*end))
        .expect("a boundary");
    let query = format!("{}{}", &filler[..end], "x".repeat(room - end));
    [before, query.as_str(), after].concat()
}

impl Held {
    /// Sends a request that must be allowed, and returns what arrived: all of it, once, byte for byte.
    pub(crate) async fn allow(&self, label: &str, request: &Request, transport: Transport) -> Received {
        let what = format!("{label} over {transport:?} ({})", self.name);
        let answer = self.gate.send(request, transport).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{what}");
        assert!(
            answer.complete && answer.json()["result"].is_object(),
            "{what}: {}",
            answer.text()
        );
        self.arrived_once(label, request, &what)
    }

    /// What has arrived of an allowed request.
    pub(crate) fn arrived_once(&self, label: &str, request: &Request, what: &str) -> Received {
        let mut arrived = self.gate.upstream.labelled(label);
        assert_eq!(arrived.len(), 1, "{what}");
        let received = arrived.remove(0);
        assert!(received.complete, "{what}");
        let body = request.body.as_deref().unwrap_or_default();
        assert!(
            received.body == body,
            "{what}: {} bytes sent, {} arrived",
            body.len(),
            received.body.len()
        );
        assert_eq!(
            received.header("authorization"),
            None,
            "the key stays here: {what}"
        );
        received
    }

    /// Sends a request that must be refused for `reason`, before `before` and with `status`.
    pub(crate) async fn refuse(
        &self,
        label: &str,
        request: &Request,
        transport: Transport,
        (status, reason, before): (u16, &str, Before),
    ) -> Response {
        let answer = self.gate.send(request, transport).await;
        let what = format!("{label} over {transport:?} ({})", self.name);
        let decision = answer.header("x-toolgate-decision");
        assert_eq!(
            (answer.status, decision.as_str()),
            (status, reason),
            "{what}: {}",
            answer.text()
        );
        assert_eq!(answer.header("content-type"), "application/json", "{what}");
        assert!(
            answer.complete && answer.json()["jsonrpc"] == "2.0",
            "{what}: {}",
            answer.text()
        );
        self.must_not_arrive(label, before);
        answer
    }

    /// Remembers a refused request and checks that nothing of it has arrived that must not.
    pub(crate) fn must_not_arrive(&self, label: &str, before: Before) {
        self.check(label, before);
        self.refused
            .lock()
            .expect("no test has failed")
            .push((label.to_owned(), before));
    }

    /// A last allowed call; when it has arrived, everything that would arrive of the refused ones has, and the worker has
    /// not crashed.
    pub(crate) async fn settle(&self) {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let label = format!("settle-{number}.");
        self.allow(&label, &post(&label, call("search")), Transport::Length)
            .await;
        let refused = self.refused.lock().expect("no test has failed").clone();
        for (label, before) in refused {
            self.check(&label, before);
        }
        let log = self.gate.envoy.log();
        assert!(
            !log.contains("panicked") && !log.contains("[critical]"),
            "{}: {log}",
            self.name
        );
    }

    fn check(&self, label: &str, before: Before) {
        let arrived = self.gate.upstream.labelled(label);
        let wrong = |request: &Received| {
            self.holds_headers || before == Before::Body || request.complete || !request.raw_body.is_empty()
        };
        assert!(!arrived.iter().any(wrong), "{label} ({}): {arrived:?}", self.name);
    }
}
