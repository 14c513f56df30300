//! The policies that are pushed, and what they are called.

use serde_json::{Value, json};
use toolgate_engine::policy::Policy;
use toolgate_tests::toolgate::key_digest;

/// The key that all requests carry.
pub(crate) const KEY: &str = "mesh-key";
/// Where the policy's only server is.
pub(crate) const PATH: &str = "/docs/mcp";

/// A policy that lets [`KEY`] call `tool` and nothing else.
///
/// It is written as a person may: members out of order, numbers that a double spells otherwise, text that YAML and HTML
/// treat specially. None of this may change what it is called.
pub(crate) fn granting(tool: &str, hold: &str) -> Value {
    json!({
        "version": 1,
        "servers": { "docs": {
            "path": PATH,
            "tools": { "yes: <no> & \"ä\"": { "cost": 1.0, "inputSchema": { "type": "object", "maxProperties": 1e3 } } },
        } },
        "limits": { "requestBytes": 1_048_576 },
        "hold": hold,
        "roles": { "reader": { "allow": [format!("docs/{tool}")] } },
        "keys": { "k": { "sha256": [key_digest(KEY)], "roles": ["reader"] } },
    })
}

/// The name of a policy, as it is for the file.
pub(crate) fn hash(policy: &Value) -> String {
    let policy = Policy::compile(policy.to_string().as_bytes()).expect("it is one");
    policy.hash().to_string()
}
