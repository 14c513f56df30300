//! A server that makes tasks of calls, in both eras, and shows everybody all of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use toolgate_tests::upstream::{Answer, Received};

/// How the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON with `content-length`.
    Length,
    /// JSON in pieces of a few bytes.
    Chunks,
    /// A stream of events.
    Events,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::Length, Self::Chunks, Self::Events];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Chunks => "chunks",
            Self::Events => "events",
        }
    }
}

/// A task of which the server tells everybody.
pub(super) const SOMEBODYS: &str = "somebody-elses";

/// The server. A call makes the task that its argument `task` names; requests say in `x-form` how they are answered.
pub(super) fn tasks() -> impl Fn(&Received) -> Answer + Send + Sync + 'static {
    let all = Mutex::new(vec![SOMEBODYS.to_owned()]);
    move |received| {
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        if received.method == "GET" {
            return Answer::sse(all.iter().map(|id| (Duration::ZERO, event(&status(id)))));
        }
        let message = received.json();
        let Some(id) = message.get("id") else {
            return Answer::new(202);
        };
        let params = &message["params"];
        let modern = params["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28";
        let task = params["taskId"].as_str().unwrap_or_default();
        let result = match (message["method"].as_str().unwrap_or_default(), modern) {
            ("server/discover", _) => json!({
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": { "tools": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } },
                "serverInfo": { "name": "tasks", "version": "1" },
                "ttlMs": 0,
                "cacheScope": "private",
            }),
            ("tools/call", _) => {
                let made = params["arguments"]["task"].as_str().unwrap_or_default();
                all.push(made.to_owned());
                created(made, modern)
            }
            ("tasks/get", true) => completed(task),
            ("tasks/get" | "tasks/cancel", false) => state(task, "completed"),
            ("tasks/result", false) => call_result(task, params["_meta"]["size"].as_u64()),
            ("tasks/list", false) => {
                let tasks: Vec<Value> = all.iter().map(|id| state(id, "working")).collect();
                json!({ "tasks": tasks, "nextCursor": "more" })
            }
            ("subscriptions/listen", true) => return listen(id, params),
            _ => json!({ "resultType": "complete" }),
        };
        let response = json!({ "jsonrpc": "2.0", "id": id, "result": result });
        answer(received.header("x-form"), &response, &all)
    }
}

fn answer(form: Option<&[u8]>, response: &Value, all: &[String]) -> Answer {
    match form {
        Some(b"chunks") => Answer::new(200)
            .header("content-type", "application/json")
            .chunked(response.to_string().into_bytes().chunks(11).map(<[u8]>::to_vec)),
        Some(b"events") => {
            let news = all.iter().map(|id| status(id));
            let messages: Vec<Value> = news.chain([response.clone()]).collect();
            Answer::sse_messages(&messages)
        }
        _ => Answer::json(response),
    }
}

/// News of each task that is listened to, and of one that is not.
fn listen(id: &Value, params: &Value) -> Answer {
    let ids = &params["notifications"]["taskIds"];
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": id });
    let mut messages = vec![json!({
        "jsonrpc": "2.0",
        "method": "notifications/subscriptions/acknowledged",
        "params": { "notifications": { "taskIds": ids }, "_meta": meta },
    })];
    let named = ids.as_array().into_iter().flatten().filter_map(Value::as_str);
    for task in [SOMEBODYS].into_iter().chain(named) {
        let mut params = completed(task);
        params["_meta"] = meta.clone();
        messages.push(json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": params }));
    }
    messages
        .push(json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete", "_meta": meta } }));
    Answer::sse_messages(&messages)
}

fn created(id: &str, modern: bool) -> Value {
    if modern {
        let mut task = dated(id, "working");
        task["resultType"] = "task".into();
        task["ttlMs"] = Value::Null;
        return task;
    }
    json!({ "task": state(id, "working") })
}

/// As before 2026-07-28.
fn state(id: &str, status: &str) -> Value {
    let mut task = dated(id, status);
    task["ttl"] = 60_000.into();
    task
}

/// Since 2026-07-28 the state of a completed task has the result in it.
fn completed(id: &str) -> Value {
    let mut task = dated(id, "completed");
    task["resultType"] = "complete".into();
    task["ttlMs"] = Value::Null;
    task["result"] = json!({ "resultType": "complete", "content": [{ "type": "text", "text": "done" }], "isError": id.contains("fails") });
    task
}

fn call_result(id: &str, size: Option<u64>) -> Value {
    let text = "x".repeat(size.and_then(|size| size.try_into().ok()).unwrap_or(4));
    json!({
        "content": [{ "type": "text", "text": text }],
        "isError": id.contains("fails"),
        "_meta": { "io.modelcontextprotocol/related-task": { "taskId": id } },
    })
}

fn status(id: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/tasks/status", "params": state(id, "working") })
}

fn dated(id: &str, status: &str) -> Value {
    json!({
        "taskId": id,
        "status": status,
        "createdAt": "2026-01-01T00:00:00Z",
        "lastUpdatedAt": "2026-01-01T00:00:00Z",
    })
}

fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}
