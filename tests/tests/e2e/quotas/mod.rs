//! Quotas and budgets in a real Envoy: how many calls the server received, and what the others were told.

mod budgets;
mod exact;
mod global;
mod refusals;
mod replaced;
mod sockets;

use serde_json::{Value, json};
use toolgate_tests::client::Request;
use toolgate_tests::messages::Era;
use toolgate_tests::toolgate::key_digest;

/// The path of the server `docs`.
pub(crate) const PATH: &str = "/docs/mcp";

/// A policy for these keys, which may call everything on `docs` and are presented as `<name>-key`.
pub(crate) fn policy(keys: &Value, teams: &Value) -> Value {
    let mut policy = json!({
        "version": 1,
        "servers": { "docs": { "path": PATH, "tools": {} } },
        "roles": { "all": { "allow": ["docs/*"] } },
        "teams": teams,
        "keys": {},
    });
    for (name, key) in keys.as_object().expect("keys by name") {
        let mut key = key.clone();
        key["sha256"] = json!([key_digest(&format!("{name}-key"))]);
        key["roles"] = json!(["all"]);
        policy["keys"][name] = key;
    }
    policy
}

/// A call of `tool` on `docs` by `key`.
pub(crate) fn call(key: &str, tool: &str, label: &str) -> Request {
    Era::Modern
        .call(PATH, tool, &json!({ "query": label }))
        .key(&format!("{key}-key"))
        .header("x-label", label)
}

/// The answer's text for the model.
pub(crate) fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_default()
}
