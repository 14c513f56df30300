//! Sessions: only the key that was given one, on the server that it is for, can use it; and every Envoy with the same
//! secret knows it.

mod official;
mod owners;
mod reload;
mod secrets;

use serde_json::{Value, json};
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::Envoy;
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::Upstream;

/// The session of everybody, as the scripted server knows it.
const RAW: &str = "scripted-session";

/// Who sends a request, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Caller {
    path: &'static str,
    /// What is presented as a key.
    credential: Option<String>,
}

impl Caller {
    fn new(path: &'static str, key: &str) -> Self {
        Self {
            path,
            credential: Some(key.to_owned()),
        }
    }

    fn nobody(path: &'static str) -> Self {
        Self {
            path,
            credential: None,
        }
    }

    fn request(&self, request: Request, label: &str) -> Request {
        let request = match &self.credential {
            Some(credential) => request.key(credential),
            None => request,
        };
        request
            .header("mcp-protocol-version", "2025-11-25")
            .header("x-label", label)
    }

    fn post(&self, message: &Value, label: &str) -> Request {
        self.request(Request::json(self.path, message), label)
    }

    /// A session on this server, as it is given to this caller.
    async fn begin(&self, envoy: &Envoy) -> String {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "toolgate-tests", "version": "1" },
        } });
        let answer = envoy.send(&self.post(&message, "begin"), Transport::Length).await;
        assert_eq!(answer.status, 200, "{self:?}: {answer:?}");
        let session = answer.header("mcp-session-id");
        assert!(
            session.starts_with("t1.") && session.ends_with(RAW),
            "{self:?}: {session:?}"
        );
        session
    }

    /// Everything that can be sent in a session.
    fn everything(&self, session: &str, label: &str) -> Vec<Request> {
        let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "search", "arguments": {} } });
        let news = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let response = json!({ "jsonrpc": "2.0", "id": 8, "result": {} });
        let get = Request::new("GET", self.path).header("accept", "text/event-stream");
        let resumed = get.clone().header("last-event-id", "41");
        let mut requests: Vec<Request> = [call, news, response]
            .iter()
            .map(|message| self.post(message, label))
            .collect();
        let others = [get, resumed, Request::new("DELETE", self.path)];
        requests.extend(others.map(|request| self.request(request, label)));
        requests
            .into_iter()
            .map(|request| request.header("mcp-session-id", session))
            .collect()
    }

    /// Expects that each request of the session arrives, with the server's id.
    async fn assert_in(&self, session: &str, envoy: &Envoy, upstream: &Upstream, label: &str) {
        for (number, request) in self.everything(session, label).into_iter().enumerate() {
            let before = upstream.labelled(label).len();
            let answer = envoy.send(&request, transport(&request, number)).await;
            let what = format!("{label}: {request:?}: {answer:?}");
            assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{what}");
            assert_ne!(answer.status, 404, "{what}");
            let received = upstream.labelled(label);
            assert_eq!(received.len(), before + 1, "{what}");
            let id = received
                .last()
                .and_then(|received| received.header("mcp-session-id"));
            assert_eq!(id, Some(RAW.as_bytes()), "{what}");
        }
    }

    /// Expects that no request of the session arrives, and that each is told that there is no such session.
    async fn assert_out(&self, session: &str, envoy: &Envoy, upstream: &Upstream, label: &str) {
        for (number, request) in self.everything(session, label).into_iter().enumerate() {
            let answer = envoy.send(&request, transport(&request, number)).await;
            assert_unknown(&answer, &format!("{label}: {request:?}"));
        }
        // The head is enough for the verdict, so that not even that goes on.
        assert!(upstream.labelled(label).is_empty(), "{label}");
    }
}

fn assert_unknown(answer: &Response, what: &str) {
    assert_eq!(answer.status, 404, "{what}: {answer:?}");
    assert_eq!(answer.header("x-toolgate-decision"), "session", "{what}");
    assert!(!answer.has("mcp-session-id"), "{what}: {answer:?}");
    let error = &answer.json()["error"];
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!(-32_001), &json!("Session not found")),
        "{what}"
    );
}

/// They take turns; without a body there is less choice.
fn transport(request: &Request, number: usize) -> Transport {
    match request.body {
        Some(_) => Transport::ALL[number % Transport::ALL.len()],
        None if number.is_multiple_of(2) => Transport::Length,
        None => Transport::Http2,
    }
}

/// `alice` and `bob` may do everything on `docs` and `files`. Keys are presented as `<name>-key`.
fn policy(hold: &str) -> Value {
    let key = |name: &str| json!({ "sha256": [key_digest(&format!("{name}-key"))], "roles": ["all"] });
    json!({
        "version": 1,
        "hold": hold,
        "servers": { "docs": { "path": DOCS }, "files": { "path": FILES } },
        "roles": { "all": { "allow": ["*/*"] } },
        "keys": { "alice": key("alice"), "bob": key("bob") },
    })
}

const DOCS: &str = "/docs/mcp";
const FILES: &str = "/files/mcp";
