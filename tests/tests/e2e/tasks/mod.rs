//! Tasks: a task is its maker's, in every place where a message can name it; and its result is the result of a call.

mod legacy;
mod modern;
mod official;
mod results;
mod server;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use toolgate_tests::client::{Request, Response, Transport};
use toolgate_tests::envoy::{Options, Release};
use toolgate_tests::gate::Gate;
use toolgate_tests::messages::Era;
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::Received;

use self::server::Form;

const PATH: &str = "/docs/mcp";

/// A client of one key, in one era.
#[derive(Clone, Copy)]
struct Client<'g> {
    gate: &'g Gate,
    era: Era,
    key: &'static str,
    /// How it is answered.
    form: Form,
}

impl Client<'_> {
    fn request(&self, method: &str, params: Value, label: &str) -> Request {
        let mut params = params;
        let name = params["taskId"].as_str().or(params["name"].as_str());
        let name = name.map(str::to_owned);
        if self.era == Era::Modern {
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
                json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
        }
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let request = Request::json(PATH, &message)
            .key(self.key)
            .header("x-label", label)
            .header("x-form", self.form.name());
        match (self.era, name) {
            (Era::Legacy, _) => request.header("mcp-protocol-version", "2025-11-25"),
            (Era::Modern, name) => {
                let request = request
                    .header("mcp-protocol-version", "2026-07-28")
                    .header("mcp-method", method);
                match name {
                    Some(name) => request.header("mcp-name", name),
                    None => request,
                }
            }
        }
    }

    /// What is answered, and what the server received.
    async fn exchange(&self, method: &str, params: Value, label: &str) -> (Value, Received) {
        let request = self.request(method, params, label);
        let before = self.gate.upstream.labelled(label).len();
        let transport = Transport::ALL[before % Transport::ALL.len()];
        let answer = self.gate.send(&request, transport).await;
        let what = format!("{self:?}: {method}: {answer:?}");
        assert_eq!(answer.status, 200, "{what}");
        assert_eq!(answer.header("x-toolgate-decision"), "allowed", "{what}");
        assert!(answer.complete, "{what}");
        let mut received = self.gate.upstream.labelled(label);
        assert_eq!(received.len(), before + 1, "{what}");
        let received = received.pop().expect("one more");
        assert_eq!(
            Some(received.body.len()),
            request.body.map(|body| body.len()),
            "{what}"
        );
        (self.message(&answer), received)
    }

    /// The response in an answer of this form.
    fn message(&self, answer: &Response) -> Value {
        match self.form {
            Form::Events => answer.messages().pop().expect("an event"),
            Form::Length | Form::Chunks => answer.json(),
        }
    }

    /// Calls a tool, which makes the task `id`; what this client is told of its id.
    async fn make(&self, tool: &str, id: &str, label: &str) -> String {
        let mut params = json!({ "name": tool, "arguments": { "task": id } });
        if self.era == Era::Legacy {
            params["task"] = json!({ "ttl": 60_000 });
        }
        let (answer, _) = self.exchange("tools/call", params, label).await;
        let task = match self.era {
            Era::Legacy => &answer["result"]["task"],
            Era::Modern => &answer["result"],
        };
        let tagged = task["taskId"].as_str().unwrap_or_default();
        assert!(
            tagged.starts_with("t1.") && tagged.ends_with(id),
            "{self:?}: {answer}"
        );
        assert_eq!(task["status"], "working", "{self:?}: {answer}");
        tagged.to_owned()
    }

    /// Expects of a request that it is answered as if there were no such task, and that the server gets nothing of it.
    async fn assert_unknown(&self, method: &str, params: Value, label: &str) {
        let request = self.request(method, params, label);
        for transport in [Transport::Length, Transport::ChunkedTrailers] {
            let answer = self.gate.send(&request, transport).await;
            let what = format!("{self:?}: {request:?}: {answer:?}");
            assert_eq!(answer.status, 200, "{what}");
            assert_eq!(answer.header("x-toolgate-decision"), "session", "{what}");
            let expected = json!({ "jsonrpc": "2.0", "id": 7, "error": { "code": -32602, "message": "Task not found" } });
            assert_eq!(answer.json(), expected, "{what}");
        }
        // With a held body the head may be there, but nothing that could be executed.
        let received = self.gate.upstream.labelled(label);
        assert!(
            received.iter().all(|request| request.body.is_empty()),
            "{label}: {received:?}"
        );
    }

    fn of(self, key: &'static str) -> Self {
        Self { key, ..self }
    }
}

impl std::fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {:?} with {:?}", self.key, self.era, self.form)
    }
}

/// What nobody was ever told of, made from what was.
fn forged(tagged: &str, raw: &str) -> Vec<String> {
    let flipped = |at: usize| {
        let other = if tagged.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{other}{}", &tagged[..at], &tagged[at + 1..])
    };
    vec![
        raw.to_owned(),
        flipped(3),
        flipped(24),
        // The tool.
        flipped(26),
        format!("{tagged}0"),
        tagged[..tagged.len() - 1].to_owned(),
        format!("t1.{}", &tagged[26..]),
        format!("t1.{}.c2VhcmNo.{raw}", "A".repeat(22)),
    ]
}

/// The task ids anywhere in a value.
fn ids(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(elements) => elements.iter().flat_map(ids).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("taskId", Value::String(id)) => vec![id.as_str()],
                ("taskIds", Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
                _ => ids(value),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Headers held in the newest release, bodies in the oldest.
async fn gates() -> [&'static Gate; 2] {
    static GATES: OnceCell<[Gate; 2]> = OnceCell::const_new();
    let start = |hold: &str, release| {
        let options = Options {
            release,
            ..Options::default()
        };
        Gate::start(options, policy(hold), server::tasks())
    };
    let gates = GATES
        .get_or_init(|| async {
            tokio::join!(start("headers", Release::V1_40), start("body", Release::V1_36)).into()
        })
        .await;
    gates.each_ref()
}

fn policy(hold: &str) -> Value {
    let key = |name: &str| json!({ "sha256": [key_digest(name)], "roles": ["all"] });
    json!({
        "version": 1,
        "hold": hold,
        "servers": { "docs": { "path": PATH, "tools": { "search": {}, "export": {} } } },
        "roles": { "all": { "allow": ["*/*"] } },
        "keys": { "alice": key("alice"), "bob": key("bob") },
    })
}
