//! A small, well-behaved MCP server as a script, for both eras.

use serde_json::{Value, json};

use super::{Answer, Received};

/// A server that advertises `tools` (an array of definitions) and answers each call with the name and arguments it got.
///
/// Answers are JSON. A list is one page. 2026-07-28 is recognised by its `_meta` and answered with `resultType`.
pub fn mcp_server(tools: Value) -> impl Fn(&Received) -> Answer + Send + Sync + 'static {
    move |received| {
        if received.method == "GET" {
            return Answer::new(405).header("allow", "POST, DELETE");
        }
        if received.method == "DELETE" {
            return Answer::new(200);
        }
        let message = received.json();
        let (Some(id), Some(method)) = (message.get("id"), message.get("method").and_then(Value::as_str))
        else {
            return Answer::new(202);
        };
        let mut result = match method {
            "initialize" => json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "scripted", "version": "1" },
            }),
            "server/discover" => json!({
                "supportedVersions": ["2025-11-25", "2026-07-28"],
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "scripted", "version": "1" },
                "ttlMs": 0,
                "cacheScope": "private",
            }),
            "tools/list" => json!({ "tools": tools }),
            "tools/call" => {
                let text =
                    json!({ "called": message["params"]["name"], "with": message["params"]["arguments"] });
                json!({ "content": [{ "type": "text", "text": text.to_string() }], "isError": false })
            }
            _ => json!({}),
        };
        if message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28" {
            result["resultType"] = "complete".into();
        }
        let answer = Answer::json(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
        if method == "initialize" {
            answer.header("mcp-session-id", "scripted-session")
        } else {
            answer
        }
    }
}
