//! What records say of calls, and how they are linked: read from the access log and from a collector, and verified by a
//! program that shares no code with what is verified.

mod chains;
mod fields;
mod otlp;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use toolgate_tests::client::Request;
use toolgate_tests::envoy::Envoy;
use toolgate_tests::toolgate::key_digest;
use toolgate_tests::upstream::Upstream;
use toolgate_tests::{paths, toolgate};

const PATH: &str = "/docs/mcp";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A policy with this `telemetry`. `delete_*` is hidden, `strict` has a schema, and one more call of `once` is refused.
fn policy(telemetry: &Value) -> Value {
    json!({
        "version": 1,
        "telemetry": telemetry,
        "servers": { "docs": { "path": PATH, "tools": {
            "strict": { "inputSchema": { "type": "object", "required": ["needed"] } },
            "priced": { "cost": 0.25 },
        } } },
        "roles": { "all": { "allow": ["docs/*"], "deny": ["docs/delete_*"] } },
        "teams": { "red": {} },
        "keys": {
            "ada": { "sha256": [key_digest("ada-key")], "roles": ["all"], "team": "red",
                "quotas": [{ "limit": 1, "per": "365d", "on": "docs/once" }] },
            "eve": { "sha256": [key_digest("eve-key")], "roles": ["all"], "loops": { "identicalCalls": 2, "per": "1h" } },
        },
    })
}

fn traceparent(trace: &str) -> String {
    format!("00-{trace}-00f067aa0ba902b7-01")
}

/// A call in 2025-11-25 whose id is `id`.
fn legacy(id: u64, tool: &str, arguments: &Value) -> Request {
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } });
    Request::json(PATH, &body)
        .key("ada-key")
        .header("mcp-protocol-version", "2025-11-25")
}

/// A call in 2026-07-28 whose id is `id`, with more in `_meta`.
fn modern(id: u64, tool: &str, arguments: &Value, meta: &Value) -> Request {
    let mut members = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (name, value) in meta.as_object().into_iter().flatten() {
        members[name] = value.clone();
    }
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": { "name": tool, "arguments": arguments, "_meta": members } });
    Request::json(PATH, &body)
        .key("ada-key")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
}

/// Begins the session `id` of the server, and returns what the client knows it by.
async fn session(envoy: &Envoy, upstream: &Upstream, id: &'static str) -> String {
    toolgate_tests::session::begin(envoy, upstream, PATH, "ada-key", id).await
}

/// What the program of docs/access-log.md says of a log; `Err` if it finds fault.
fn verified_by_python(log: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(paths::workspace().join("docs/access-log.md")).expect("readable");
    let (_, program) = text.split_once("```python\n").expect("a program");
    let (program, _) = program.split_once("```").expect("its end");
    let output = Command::new(paths::installed("sdk").join("bin/python"))
        .args(["-c", program])
        .stdin(std::fs::File::open(log).expect("a log"))
        .stderr(Stdio::piped())
        .output()
        .expect("Python starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}

/// What `toolgate audit verify` says of a log; `Err` if it finds fault.
fn verified_by_toolgate(log: &Path) -> Result<String, String> {
    let output = toolgate::toolgate(["audit".as_ref(), "verify".as_ref(), log.as_os_str()]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}
