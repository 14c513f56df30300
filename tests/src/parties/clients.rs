//! The official clients, driven by one script format.

use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::{paths, rmcp_client};

/// The clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Client {
    /// The official Python SDK.
    Python,
    /// The official TypeScript SDK, v2.
    TypeScript,
    /// The official Rust SDK.
    Rmcp,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Python, Self::TypeScript, Self::Rmcp];

    /// Connects as `order` says, performs its operations one after the other, and reports on each.
    ///
    /// # Panics
    ///
    /// When the client itself cannot be run; what the server refuses is part of the report.
    pub async fn play(self, order: &Order) -> Report {
        let mut command = match self {
            Self::Rmcp => return rmcp_client::play(order).await,
            Self::Python => {
                let mut command = Command::new(paths::installed("sdk").join("bin/python"));
                command
                    .args(["-W", "ignore"])
                    .arg(paths::parties().join("python/client.py"));
                command
            }
            Self::TypeScript => {
                let mut command = Command::new("node");
                command.arg(paths::parties().join("ts/client.mjs"));
                command
            }
        };
        let stdio = (Stdio::piped(), Stdio::piped(), Stdio::piped());
        let mut child = command
            .stdin(stdio.0)
            .stdout(stdio.1)
            .stderr(stdio.2)
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let order = serde_json::to_vec(order).expect("it is plain data");
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(&order)
            .await
            .expect("it reads its order");
        let output = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output());
        let output = output
            .await
            .expect("it ends within a minute")
            .expect("it can be waited for");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{self:?} reports nothing ({error}): {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }
}

/// Which lifecycle a client is told to use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Era {
    /// `initialize`, up to 2025-11-25.
    #[serde(rename = "legacy")]
    Legacy,
    /// 2026-07-28 and nothing else.
    #[serde(rename = "2026-07-28")]
    Modern,
    /// Whatever the client finds out.
    #[serde(rename = "auto")]
    Auto,
}

impl Era {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Legacy, Self::Modern, Self::Auto];
}

/// What a client is to do.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// The server's URL.
    pub url: String,
    /// The lifecycle.
    pub era: Era,
    /// The virtual key, sent as a bearer token.
    pub key: Option<String>,
    /// The operations.
    pub operations: Vec<Value>,
}

impl Order {
    /// An order without operations.
    pub fn new(url: impl Into<String>, era: Era, key: Option<&str>) -> Self {
        Self {
            url: url.into(),
            era,
            key: key.map(str::to_owned),
            operations: Vec::new(),
        }
    }

    /// Lists tools.
    #[must_use]
    pub fn list_tools(self) -> Self {
        self.operation(json!({ "op": "list_tools" }))
    }

    /// Calls a tool.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "json!() literals read better without borrowing"
    )]
    pub fn call_tool(self, name: &str, arguments: Value) -> Self {
        self.operation(json!({ "op": "call_tool", "name": name, "arguments": arguments }))
    }

    /// Adds any operation: `ping`, `list_tools`, `call_tool` (`name`, `arguments`), `list_resources`,
    /// `list_resource_templates`, `read_resource` (`uri`), `list_prompts`, `get_prompt` (`name`, `arguments`),
    /// `complete` (`ref`, `argument`); of the TypeScript client also `session` (which has an `id`) and `end_session`.
    #[must_use]
    pub fn operation(mut self, operation: Value) -> Self {
        self.operations.push(operation);
        self
    }
}

/// What a client has to say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether the lifecycle was established.
    pub connected: bool,
    /// The negotiated revision.
    pub protocol_version: Option<String>,
    /// Why it was not established, or what ended it early.
    pub error: Option<Failure>,
    /// One outcome per operation.
    #[serde(default)]
    pub results: Vec<Outcome>,
}

/// The outcome of one operation.
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    /// The operation.
    pub op: String,
    /// Whether there was a result; a tool result with `isError` is one.
    pub ok: bool,
    /// The result.
    #[serde(default)]
    pub result: Value,
    /// The error.
    pub error: Option<Failure>,
    /// What the server has told of its progress (Python and TypeScript only).
    #[serde(default)]
    pub progress: Vec<f64>,
}

/// An error as a client shows it to the application.
#[derive(Clone, Debug, Deserialize)]
pub struct Failure {
    /// The error's class.
    #[serde(rename = "type")]
    pub kind: String,
    /// The JSON-RPC code, or the SDK's own.
    #[serde(default)]
    pub code: Value,
    /// The message.
    pub message: String,
    /// `data` of the JSON-RPC error.
    #[serde(default)]
    pub data: Value,
    /// The HTTP status, where the client tells it.
    pub status: Option<u16>,
}

impl Outcome {
    /// Names in a list result.
    pub fn names(&self) -> Vec<&str> {
        let lists = ["tools", "prompts", "resources", "resourceTemplates"];
        let list = lists.iter().find_map(|list| self.result[*list].as_array());
        list.into_iter()
            .flatten()
            .filter_map(|item| item["name"].as_str())
            .collect()
    }

    /// The text of a tool result.
    pub fn text(&self) -> &str {
        self.result["content"][0]["text"].as_str().unwrap_or_default()
    }

    /// Whether it is a tool result that says that the tool failed.
    pub fn is_tool_error(&self) -> bool {
        self.result["isError"] == true
    }
}
